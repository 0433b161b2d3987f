//! In the making.
/// Options.
#[derive(Debug, clap::Args)]
pub struct Options {}
use crate::cli::{Exit, Failure, Output};
/// Runs.
pub async fn run(_o: Options, _p: Output) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
