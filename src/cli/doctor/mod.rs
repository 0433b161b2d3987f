//! `vanthu doctor`: what is wrong, before anyone complains.

mod doors;
mod mailboxes;
mod reach;
mod wire;

use std::path::PathBuf;

use clap::Subcommand;

use super::Output;
use super::exit::{Exit, Failure};

/// Shows the mailboxes of a running gateway in which something waits: the longest wait first, how often
/// it was handed out without an answer, and whether anybody watches.
///
/// Examples:
///   vanthu doctor --data certs/dev/data
///   vanthu doctor --data certs/dev/data --output json
///   vanthu doctor reach H49.11 --cert certs/dev/systems/commune.pem
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Options {
    /// Data folder of the running gateway
    #[arg(long, required = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Proves layer by layer that documents can reach an agency, and says what to mend
    Reach(Box<reach::ReachOptions>),
}

pub(super) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    match (options.command, options.data) {
        (Some(Command::Reach(options)), _) => reach::run(*options, output).await,
        (None, Some(data)) => mailboxes::run(&data, output).await,
        (None, None) => Err(Failure::other("no data folder")),
    }
}
