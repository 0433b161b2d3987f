//! In the making.
/// Options.
#[derive(Debug, clap::Args)]
pub struct Options {}
use crate::cli::{Exit, Failure};
/// Runs.
pub async fn run(_o: Options) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
