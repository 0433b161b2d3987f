//! `vanthu doctor`: what is wrong, before anyone complains.

mod mailboxes;

use std::path::PathBuf;

use super::Output;
use super::exit::{Exit, Failure};

/// Shows the mailboxes of a running gateway in which something waits: the longest wait first, how often
/// it was handed out without an answer, and whether anybody watches.
///
/// Examples:
///   vanthu doctor --data certs/dev/data
///   vanthu doctor --data certs/dev/data --output json
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Data folder of the running gateway
    #[arg(long)]
    data: PathBuf,
}

pub(super) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    mailboxes::run(&options.data, output).await
}
