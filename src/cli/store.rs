//! `vanthu store`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use crate::gateway::ports::{LogStore as _, StoreError};
use crate::store::content::ContentStore;
use crate::store::sled;

/// Cache while working on a stopped store, in bytes.
const CACHE: u64 = 256 * 1024 * 1024;

/// What `vanthu store` does; the gateway must be stopped.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Opens the store, which checks it, and says where the log ends
    Check {
        /// Data folder
        #[arg(long)]
        data: PathBuf,
    },
    /// Derives every mailbox, state and index anew from the entries and the content
    Rebuild {
        /// Data folder
        #[arg(long)]
        data: PathBuf,
    },
}

pub(super) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    let broken = |error: StoreError| Failure::new(Exit::LogBroken, error);
    let (data, rebuild) = match command {
        Command::Check { data } => (data, false),
        Command::Rebuild { data } => (data, true),
    };
    if !data.is_dir() {
        return Err(Failure::new(Exit::NotFound, format!("{}: no such folder", data.display())));
    }
    let store = sled::open(&data, CACHE).map_err(broken)?;
    if rebuild {
        store.rebuild(contents(&data).map_err(broken)?).map_err(broken)?;
    }
    let head = store.head().map_err(broken)?;
    match output {
        Output::Json => {
            println!("{}", json!({ "epoch": head.epoch, "size": head.size, "rebuilt": rebuild }))
        }
        Output::Text => println!(
            "{}: the log ends at {}/{}",
            if rebuild { "rebuilt" } else { "ok" },
            head.epoch,
            head.size
        ),
    }
    Ok(Exit::Ok)
}

fn contents(
    data: &Path,
) -> Result<Vec<(crate::digest::Sha256, crate::gateway::ports::Place)>, StoreError> {
    let mut places = Vec::new();
    ContentStore::scan(&data.join("content"), |digest, place| places.push((digest, place)))?;
    Ok(places)
}
