//! Time-stamps over checkpoints that cover the entries (`FORMAT.md` §4, step 11).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::archive::Files;
use super::bundle::checkpoint_path;
use super::verify::{Broken, Fault};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::log::{LogPublicKey, SignedCheckpoint, verify_consistency};
use crate::signature::{Indication, Trust, judge_token};

/// A time-stamp to be enclosed.
#[derive(Debug, Clone)]
pub struct EvidenceStamp {
    /// The checkpoint that the token covers: a signed note.
    pub checkpoint: Vec<u8>,
    /// The token, DER.
    pub token: Vec<u8>,
    /// The proof from that checkpoint to the one of the epoch in the file.
    pub consistency: Vec<Sha256>,
}

/// A time-stamp in a file that holds: what it covers is proven, who made it is for the reader to
/// judge with the anchors that he trusts ([`judge_token`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveringStamp {
    /// The epoch.
    pub epoch: u32,
    /// It covers so many entries of it.
    pub size: u64,
    /// The token, DER.
    pub token: Vec<u8>,
    /// The text of the checkpoint, over which it goes.
    pub text: Vec<u8>,
    /// The time that it states.
    pub time: Option<Time>,
}

/// Paths of checkpoint, consistency proof and token.
pub(super) fn paths(epoch: u32, size: u64) -> [String; 3] {
    ["checkpoint", "consistency", "tst"].map(|ending| format!("timestamps/{epoch}-{size}.{ending}"))
}

/// The file form of a consistency proof: a line for each hash.
pub(super) fn proof_file(proof: &[Sha256]) -> String {
    proof.iter().map(|hash| format!("{}\n", BASE64.encode(hash.0))).collect()
}

fn read_proof(bytes: &[u8]) -> Option<Vec<Sha256>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let hash = |line: &str| Sha256::from_slice(&BASE64.decode(line).ok()?);
    let proof: Vec<Sha256> = text.lines().map(hash).collect::<Option<_>>()?;
    (proof_file(&proof) == text).then_some(proof)
}

/// Takes the time-stamps out of the files, each tied to the checkpoint of its epoch.
pub(super) fn take(
    files: &mut Files,
    key: &LogPublicKey,
    checkpoints: &BTreeMap<u32, SignedCheckpoint>,
) -> Result<Vec<CoveringStamp>, Broken> {
    let named = |path: &String| {
        let (epoch, size) =
            path.strip_prefix("timestamps/")?.strip_suffix(".tst")?.split_once('-')?;
        Some((epoch.parse().ok()?, size.parse().ok()?))
    };
    let places: BTreeSet<(u32, u64)> = files.keys().filter_map(named).collect();
    places.into_iter().map(|(epoch, size)| one(files, key, checkpoints, epoch, size)).collect()
}

fn one(
    files: &mut Files,
    key: &LogPublicKey,
    checkpoints: &BTreeMap<u32, SignedCheckpoint>,
    epoch: u32,
    size: u64,
) -> Result<CoveringStamp, Broken> {
    let [note_path, proof_path, token_path] = paths(epoch, size);
    let mut take = |path: &str| files.remove(path).ok_or(Broken::new(path, Fault::Missing));
    let (token, note, proof) = (take(&token_path)?, take(&note_path)?, take(&proof_path)?);
    let covered =
        key.open(&note).map_err(|error| Broken::new(&note_path, Fault::Checkpoint(error)))?;
    if (covered.origin.epoch, covered.size) != (epoch, size) {
        return Err(Broken::new(&note_path, Fault::OtherCheckpoint));
    }
    let last = checkpoints.get(&epoch);
    let last = last.ok_or(Broken::new(&checkpoint_path(epoch), Fault::Missing))?;
    let proof = read_proof(&proof).ok_or(Broken::new(&proof_path, Fault::Malformed))?;
    verify_consistency(covered.size, &covered.root, last.size, &last.root, &proof)
        .map_err(|_| Broken::new(&proof_path, Fault::NotConsistent))?;
    let text = covered.text().into_bytes();
    let stamp = judge_token(&token, &text, &nobody(), Time::from_millis(i64::MAX));
    // Nobody is trusted here: what is judged is whether it is a time-stamp over this text.
    if stamp.verdict.indication() == Indication::TotalFailed || stamp.time.is_none() {
        return Err(Broken::new(&token_path, Fault::NotAStamp));
    }
    Ok(CoveringStamp { epoch, size, token, text, time: stamp.time })
}

/// Trust in no one.
pub(super) fn nobody() -> Trust {
    Trust::new(Vec::new(), Vec::new(), Vec::new()).expect("no certificate is unreadable")
}
