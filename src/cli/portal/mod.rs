//! `vanthu portal`: the way to the National Public Service Portal.

mod check;
mod run;
mod stand_in;

use clap::Subcommand;

use super::Output;
use super::exit::{Exit, Failure};
use crate::courier::portal::Trouble;

/// What `vanthu portal` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Logs in at the portal, reads its catalogue, and looks a dossier up
    Check(check::CheckOptions),
    /// Hands over to the portal what waits for it and takes what begins there, until it is told to end
    Run(Box<run::RunOptions>),
    /// Plays the portal on this machine, for tests and demos
    StandIn(stand_in::StandInOptions),
}

pub(super) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Check(options) => check::run(options, output).await,
        Command::Run(options) => run::run(*options).await,
        Command::StandIn(options) => stand_in::run(options).await,
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let exit = match &trouble {
            Trouble::Credentials => Exit::NotPermitted,
            Trouble::Line(_) => Exit::Connection,
            Trouble::Refused { .. } => Exit::Other,
        };
        Self::new(exit, trouble)
    }
}
