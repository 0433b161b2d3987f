//! An operator who keeps two logs with one key: the real one, and an old copy that goes on without the
//! last letters. A witness who is shown both refuses the second and can prove it; so does an auditor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::country::Country;
use super::forgery::copy_folder;
use super::say;
use crate::cli::Failure;
use crate::cli::audit::audit_folder_since;
use crate::clock::SystemClock;
use crate::gateway::ports::Notebook as _;
use crate::gateway::{NotCosigned, Reading, Witness};
use crate::log::{LogPublicKey, WitnessKey};
use crate::proto::v1;
use crate::store::notebook::FileNotebook;
use crate::witness::{Fork, Request, Why};
use crate::workshop::page;

/// Shows both logs to a neighbour's witness; gives the data folders of both.
pub(super) async fn show(country: Country) -> Result<(PathBuf, PathBuf), Failure> {
    let original = country.data().to_owned();
    let twin = original.with_extension("twin");
    let key = country.public_key();
    let book = FileNotebook::open(&country.folder().join("neighbour")).map_err(Failure::other)?;
    let book = Arc::new(book);
    let witness_key = country.pki().gateway_key("witness.key").map_err(Failure::other)?;
    let witness = WitnessKey::from_pkcs8("neighbour.dev.invalid/witness", &witness_key);
    let witness = witness.map_err(Failure::other)?;
    let witness = Witness::open(witness, vec![key.clone()], book.clone(), Arc::new(SystemClock));
    let witness = witness.map_err(Failure::other)?;

    let copied = |data: &Path| match copy_folder(data, &twin) {
        Ok(()) => Ok(data.to_owned()),
        Err(error) => Err(Failure::file(&twin, error)),
    };
    let country = country.restart(copied).await?;
    letter(&country, "91/UBND-VP").await?;
    let (request, size) = request(country.gateway().reading(), 0)?;
    witness.add_checkpoint(&request.to_body()).map_err(Failure::other)?;
    say(&format!("a neighbour's witness has cosigned {size} entries"));

    let country = country.restart(|_| Ok(twin.clone())).await?;
    letter(&country, "92/UBND-VP").await?;
    say("an old copy of the data goes on with another letter, under the same key");
    let (request, _) = self::request(country.gateway().reading(), size)?;
    let refused = witness.add_checkpoint(&request.to_body());
    if refused != Err(NotCosigned::Refused(Why::Inconsistent)) {
        return Err(Failure::other(format!("the witness did not refuse: {refused:?}")));
    }
    let kept = book.load().map_err(Failure::other)?;
    let proof = kept.iter().find(|(name, _)| name.starts_with("fork-"));
    let (name, proof) = proof.ok_or_else(|| Failure::other("the witness kept no proof"))?;
    let forked = Fork::read(proof).and_then(|fork| fork.verify(&key)).map_err(Failure::other)?;
    say(&format!("the witness refuses it (422) and keeps both checkpoints: {}…", &name[..13]));
    for signed in [forked.first(), forked.second()] {
        let root = &signed.root.to_string()[..16];
        say(&format!("  signed: {} entries, root {root}…", signed.size));
    }
    country.close().await?;
    Ok((original, twin))
}

/// An auditor who saw the original is shown the copy.
pub(super) fn audit(
    (original, twin): &(PathBuf, PathBuf),
    key: &LogPublicKey,
) -> Result<(), Failure> {
    let (_, seen) = audit_folder_since(original, key.clone(), None)?;
    let seen = seen.ok_or_else(|| Failure::other("the original does not hold"))?;
    let (report, _) = audit_folder_since(twin, key.clone(), Some(seen))?;
    let Some(finding) = report.findings.first() else {
        return Err(Failure::other("the audit did not notice the fork"));
    };
    say(&format!("an auditor who saw the first one: {}: {}", finding.rule.code(), finding.message));
    Ok(())
}

async fn letter(country: &Country, number: &str) -> Result<(), Failure> {
    let written = country.envelope("H49.151", &["H49.11"], number, "Báo cáo công tác tuần");
    let pdf = page::pdf("Báo cáo", &["Báo cáo công tác tuần"], 0);
    let parts = vec![("bao-cao.pdf".to_owned(), v1::PartRole::Main, pdf)];
    country.submit("commune", written, parts).await?;
    Ok(())
}

/// The newest checkpoint for a witness that knows `old` entries, and its size.
fn request(reading: &Reading, old: u64) -> Result<(Request, u64), Failure> {
    let note = reading.latest().map_err(Failure::other)?.unwrap_or_default();
    let signed = reading.open(&note).map_err(Failure::other)?;
    let proof = reading.consistency(signed.origin.epoch, old, signed.size);
    Ok((Request { old, proof: proof.map_err(Failure::other)?, note }, signed.size))
}
