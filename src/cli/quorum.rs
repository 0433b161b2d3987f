//! Whose cosignatures a command asks for.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use crate::log::{LogPublicKey, Policy, SignedCheckpoint, WitnessPublicKey, Witnessed};

/// Witnesses that must have seen the log.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Public key of a witness (C2SP vkey), or a file that holds it
    #[arg(long, num_args = 1..)]
    witness: Vec<String>,
    /// How many of the witnesses must have cosigned; by default all
    #[arg(long, requires = "witness")]
    quorum: Option<usize>,
    /// Policy file (C2SP tlog-policy), instead of both
    #[arg(long, conflicts_with = "witness")]
    policy: Option<PathBuf>,
}

impl Options {
    /// What is asked for; `None` if nothing is.
    pub(super) fn policy(&self) -> Result<Option<Policy>, Failure> {
        let wrong = |path: &Path, problem: &dyn std::fmt::Display| {
            Failure::new(Exit::Configuration, format!("{}: {problem}", path.display()))
        };
        if let Some(path) = &self.policy {
            let bytes = std::fs::read(path).map_err(|error| Failure::file(path, error))?;
            return Policy::read(&bytes).map(Some).map_err(|error| wrong(path, &error));
        }
        if self.witness.is_empty() {
            return Ok(None);
        }
        let keys: Result<Vec<_>, _> = self.witness.iter().map(|key| public_key(key)).collect();
        let keys = keys?;
        let quorum = self.quorum.unwrap_or(keys.len());
        let policy = Policy::of(keys, quorum).ok_or_else(|| {
            Failure::new(Exit::Configuration, "fewer different witnesses than the quorum asks for")
        })?;
        Ok(Some(policy))
    }
}

/// Holds a checkpoint against the policy.
pub(super) fn judge(
    policy: &Policy,
    key: &LogPublicKey,
    checkpoint: &SignedCheckpoint,
    note: &[u8],
) -> Result<Witnessed, Failure> {
    if !policy.logs.is_empty() && !policy.logs.contains(key) {
        let message = format!("the policy does not name the log of {}", key.gateway);
        return Err(Failure::new(Exit::VerificationFailed, message));
    }
    policy.judge(checkpoint, note).map_err(|error| {
        let (epoch, size) = (checkpoint.origin.epoch, checkpoint.size);
        Failure::new(Exit::VerificationFailed, format!("checkpoint {epoch}/{size}: {error}"))
            .with_hint("a receipt can be had again once witnesses have seen it: vanthu log prove --cosigned")
    })
}

/// A key given as text or as a file.
fn public_key(key: &str) -> Result<WitnessPublicKey, Failure> {
    let text = match WitnessPublicKey::parse(key) {
        Some(key) => return Ok(key),
        None => {
            std::fs::read_to_string(key).map_err(|error| Failure::file(Path::new(key), error))?
        }
    };
    WitnessPublicKey::parse(&text).ok_or_else(|| {
        Failure::new(Exit::Configuration, format!("{key}: not the public key of a witness"))
    })
}
