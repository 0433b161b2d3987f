//! What other gateways prove: the receipts to whose digests entries commit that tell a neighbour's word
//! (`FORMAT.md` §6). The bytes are bound to our log by the digest alone, and so is what stands behind
//! them at a further gateway; whether a neighbour's log holds them is shown by its key.

use std::collections::BTreeSet;

use super::archive::Files;
use super::receipt::{ProvenEntry, Receipt};
use super::verify::{Broken, Fault};
use crate::digest::Sha256;
use crate::limits::RELAY_HOPS_MAX;
use crate::log::{Entry, Event, LogPublicKey, Service, ServiceKind};

/// Where a neighbour's receipt stands.
pub(super) fn word_path(digest: &Sha256) -> String {
    format!("neighbours/{digest}.tlog-proof")
}

/// Who told what the entry says, and the digest of the proof.
pub fn told_by(entry: &Entry) -> Option<(&Service, &Sha256)> {
    let service = entry.service.as_ref().filter(|it| it.kind() == ServiceKind::Gateway)?;
    Some((service, entry.content.as_ref()?))
}

/// What the neighbours' receipts show.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// How many hold under their neighbour's key.
    pub verified: usize,
    /// What is not enclosed or not verified, one sentence each.
    pub absent: BTreeSet<String>,
}

/// Takes the neighbours' receipts and holds each against the entry that rests on it.
pub(super) fn take(
    files: &mut Files,
    keys: &[LogPublicKey],
    entries: &[ProvenEntry],
) -> Result<Words, Broken> {
    let mut words = Words::default();
    let mut used = BTreeSet::new();
    for entry in entries {
        let mut told = Entry::clone(entry);
        for _ in 0..RELAY_HOPS_MAX {
            let Some((service, digest)) = told_by(&told) else { break };
            let path = word_path(digest);
            let Some(bytes) = files.get(&path) else {
                words.absent.insert(format!(
                    "the proof by {} of what it told is not enclosed",
                    service.name()
                ));
                break;
            };
            if Sha256::of(bytes) != *digest {
                return Err(Broken::new(&path, Fault::NotCommitted));
            }
            let unproven = |error| Broken::new(&path, Fault::Receipt(error));
            let receipt = Receipt::read(bytes).map_err(unproven)?;
            let next = match keys.iter().find(|key| key.gateway == service.name()) {
                Some(key) => {
                    let proven = receipt.verify(key).map_err(unproven)?;
                    words.verified += usize::from(!used.contains(&path));
                    Entry::clone(&proven)
                }
                None => {
                    let name = service.name();
                    words.absent.insert(format!(
                        "what {name} told is not verified: no key of its log was given"
                    ));
                    let read = Entry::from_leaf(&receipt.leaf);
                    read.map_err(|error| Broken::new(&path, Fault::Receipt(error.into())))?
                }
            };
            if !proves(&next, &told) {
                let fault = Fault::Contradiction("its neighbour says something else");
                return Err(Broken::new(&path, fault));
            }
            used.insert(path);
            told = next;
        }
    }
    files.retain(|path, _| !used.contains(path));
    Ok(words)
}

/// Whether the neighbour's entry says what was told of it.
fn proves(theirs: &Entry, told: &Entry) -> bool {
    if theirs.from != told.from || theirs.envelope != told.envelope {
        return false;
    }
    let same_place = theirs.consignment == told.consignment && theirs.to == told.to;
    match told.event {
        Event::SubmissionAcceptance | Event::SubmissionRejection => {
            theirs.event == Event::SubmissionAcceptance && theirs.request == told.request
        }
        Event::RelayAcceptance => {
            same_place && matches!(theirs.event, Event::ContentConsignment | Event::Relay)
        }
        Event::RelayRejection => {
            let further = same_place && theirs.event == Event::RelayRejection;
            let refused = further || theirs.event == Event::SubmissionRejection;
            refused && theirs.reason == told.reason
        }
        Event::Redirection => {
            same_place && theirs.event == told.event && theirs.addressed == told.addressed
        }
        event => {
            let said = |entry: &Entry| {
                (entry.status, entry.note, entry.since, entry.reason.clone(), entry.by)
            };
            same_place && theirs.event == event && said(theirs) == said(told)
        }
    }
}
