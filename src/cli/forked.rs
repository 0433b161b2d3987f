//! `vanthu log forked`: whether two signed checkpoints prove that a log was forked.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Output;
use super::evidence::public_key;
use super::exit::{Exit, Failure};
use crate::log::SignedCheckpoint;
use crate::witness::{Fork, ForkError, Proof};

/// Exit code 0 if the fork is proven, 7 if nothing is, 8 if the log must be asked.
///
/// Examples:
///   vanthu log forked data/witness/fork-… --key neighbour.vkey
///   vanthu log forked theirs.note ours.note --key log.vkey
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A proof that a witness or an audit kept, or one of two checkpoints
    file: PathBuf,
    /// The other checkpoint, if the first file is one
    other: Option<PathBuf>,
    /// Public key of the log (C2SP vkey), or a file that holds it
    #[arg(long)]
    key: String,
}

pub(super) fn run(options: &Options, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key)?;
    let failed = |error: ForkError| {
        let exit = match error {
            ForkError::Unproven => Exit::VerificationUndecided,
            _ => Exit::VerificationFailed,
        };
        Failure::new(exit, error)
    };
    let fork = match &options.other {
        None => Fork::read(&read(&options.file)?).map_err(failed)?,
        Some(other) => {
            let (first, second) = (read(&options.file)?, read(other)?);
            let open = |note: &[u8]| key.open(note).map_err(|error| failed(error.into()));
            let (a, b) = (open(&first)?, open(&second)?);
            let is_unproven = a.origin == b.origin && a.size != b.size;
            let proof = if is_unproven { Proof::Unproven } else { Proof::Size };
            Fork { first, second, proof }
        }
    };
    let forked = fork.verify(&key).map_err(failed)?;
    if output == Output::Json {
        let one = |checkpoint: &SignedCheckpoint| {
            json!({
                "epoch": checkpoint.origin.epoch,
                "size": checkpoint.size,
                "root": checkpoint.root.to_string(),
            })
        };
        let value = json!({
            "forked": true,
            "log": key.to_string(),
            "first": one(forked.first()),
            "second": one(forked.second()),
        });
        println!("{value}");
        return Ok(Exit::Ok);
    }
    println!("proven: the log of {} was forked; its key signed both of these:", key.gateway);
    for checkpoint in [forked.first(), forked.second()] {
        println!(
            "  epoch {}, {} entries, root {}",
            checkpoint.origin.epoch, checkpoint.size, checkpoint.root
        );
    }
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file(path, error))
}
