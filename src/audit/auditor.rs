//! The audit itself: entries and checkpoints in, findings out.

use std::collections::BTreeMap;

use super::frontier::Frontier;
use super::history::History;
use super::leaf::{Actor, Field, Kind, Leaf};
use super::remembered::Remembered;
use super::report::{Counts, Findings, Head, Report, Rule};
use super::services::Services;
use crate::digest::Sha256;
use crate::log::{Checkpoint, EntryId, LogPublicKey, NoteError};

/// Reads a log from its beginning, entry by entry.
///
/// For each epoch: hand in its next stored checkpoint, then the entries up to the size that
/// [`Auditor::checkpoint`] names, then the next checkpoint, and so on; at the end of the epoch
/// call [`Auditor::next_epoch`]. A checkpoint may also be handed in when its size is just reached, or
/// long before: checkpoints that others kept are checked along with those of the store.
pub struct Auditor {
    key: LogPublicKey,
    fingerprint: String,
    epoch: u32,
    entries: u64,
    frontier: Frontier,
    /// Signed roots by size, of sizes not yet reached; more than one only if the log was forked.
    waiting: BTreeMap<u64, Vec<Sha256>>,
    /// The last checkpoint of this epoch that was reached.
    last: Option<Head>,
    /// Whether the entries of this epoch are known not to be the signed ones.
    diverged: bool,
    heads: Vec<Head>,
    history: History,
    services: Services,
    counts: Counts,
    findings: Findings,
}

impl Auditor {
    /// An audit of the log that signs with this key, from entry 1/0 on.
    pub fn new(key: LogPublicKey) -> Self {
        Self {
            fingerprint: key.fingerprint().to_hex(),
            key,
            epoch: 1,
            entries: 0,
            frontier: Frontier::default(),
            waiting: BTreeMap::new(),
            last: None,
            diverged: false,
            heads: Vec::new(),
            history: History::default(),
            services: Services::default(),
            counts: Counts::default(),
            findings: Findings::default(),
        }
    }

    /// An audit that goes on where another one ended, whose findings were none. It judges what
    /// follows by itself; what an entry says about older ones it counts as unjudged.
    pub fn resume(key: LogPublicKey, from: &Remembered) -> Self {
        let Checkpoint { origin, size, root } = (**from.checkpoint()).clone();
        let epoch = origin.epoch;
        let frontier = Frontier::of(size, &from.peaks).unwrap_or_default();
        Self {
            epoch,
            frontier,
            last: Some(Head { epoch, size, root }),
            history: History::after(from.moment),
            services: Services::after(&from.outages),
            ..Self::new(key)
        }
    }

    /// What the next audit can go on from: `note` is the checkpoint over everything so far. `None`
    /// if it is not, or if there is any finding.
    pub fn remember(&self, note: &[u8]) -> Option<Remembered> {
        let signed = self.key.open(note).ok()?;
        let (size, root) = (self.frontier.count(), self.frontier.root());
        let fits =
            (signed.origin.epoch, signed.size, Some(signed.root)) == (self.epoch, size, root);
        let is_sound = self.findings.kept.is_empty() && self.history.promising().is_none();
        (fits && is_sound).then(|| Remembered {
            checkpoint: signed,
            note: note.to_vec(),
            moment: self.history.end().0,
            outages: self.services.outages(),
            peaks: self.frontier.peaks(),
        })
    }

    /// The log now has only `size` entries in the epoch in which the audit before ended.
    pub fn went_back(&mut self, size: u64) {
        let before = self.frontier.count();
        let message = format!("{before} entries had been signed, and now there are {size}");
        let at = Some(EntryId { epoch: self.epoch, index: size });
        self.findings.add(at, Rule::EntriesMissing, message);
    }

    /// The log signed a checkpoint that does not extend the one that was remembered.
    pub fn forked(&mut self, before: &Checkpoint, now: &Checkpoint) {
        let message = format!(
            "the checkpoint of size {} begins with other entries than the one of size {} before it",
            now.size, before.size
        );
        self.findings.add(self.last_entry(), Rule::CheckpointFork, message);
    }

    /// Takes the leaf bytes of the next entry of this epoch.
    pub fn entry(&mut self, leaf: &[u8]) {
        let id = EntryId { epoch: self.epoch, index: self.frontier.count() };
        self.entries += 1;
        self.frontier.push(leaf);
        match Leaf::read(leaf) {
            Ok(leaf) => self.read(id, &leaf),
            Err(malformed) => {
                self.findings.add(Some(id), Rule::EntryForm, malformed.to_string());
                if self.opens_an_epoch(id) {
                    self.findings.add(Some(id), Rule::EpochOpening, "it does not open the epoch");
                }
            }
        }
        if let Some(roots) = self.waiting.remove(&self.frontier.count()) {
            self.compare(&roots);
        }
    }

    /// Takes a checkpoint of this epoch. Gives the size that it signs; `None` if it is not one of
    /// this log and epoch, which is a finding.
    pub fn checkpoint(&mut self, note: &[u8]) -> Option<u64> {
        let signed = match self.key.open(note) {
            Ok(signed) => signed,
            Err(error) => {
                let rule = match error {
                    NoteError::Malformed => Rule::CheckpointForm,
                    NoteError::OtherLog => Rule::CheckpointOrigin,
                    NoteError::Unsigned => Rule::CheckpointKey,
                    NoteError::Signature => Rule::CheckpointSignature,
                };
                self.findings.add(self.last_entry(), rule, error.to_string());
                return None;
            }
        };
        if signed.origin.epoch != self.epoch {
            let message = format!("the checkpoint is one of epoch {}", signed.origin.epoch);
            self.findings.add(self.last_entry(), Rule::CheckpointOrigin, message);
            return None;
        }
        if signed.size == 0 {
            let message = "the checkpoint covers no entry";
            self.findings.add(self.last_entry(), Rule::CheckpointForm, message);
            return None;
        }
        self.place(signed.size, signed.root);
        Some(signed.size)
    }

    /// The entries that follow are those of the next epoch.
    pub fn next_epoch(&mut self) {
        self.close_epoch();
        self.epoch = self.epoch.saturating_add(1);
        self.frontier = Frontier::default();
        self.diverged = false;
    }

    /// Ends the audit.
    pub fn finish(mut self) -> Report {
        self.close_epoch();
        let unjudged = self.history.end().1;
        Report {
            entries: self.entries,
            epochs: self.epoch,
            counts: self.counts,
            unjudged,
            heads: self.heads,
            findings: self.findings.kept,
            findings_omitted: self.findings.omitted,
        }
    }

    fn read(&mut self, id: EntryId, leaf: &Leaf<'_>) {
        if let Some(misfit) = leaf.misfit() {
            self.findings.add(Some(id), Rule::EntryFields, misfit);
        }
        let (system, certificate) = leaf.actor();
        let by_gateway = system == "gateway" && certificate == self.fingerprint;
        let fits = match leaf.kind.shape().actor {
            Actor::Gateway if !leaf.is_a_neighbours_word() => by_gateway,
            Actor::Any if system == "gateway" => by_gateway && !leaf.is_a_neighbours_word(),
            _ => system != "gateway",
        };
        if !fits {
            let message = format!("{system} cannot be the actor of {}", leaf.kind.word());
            self.findings.add(Some(id), Rule::EntryActor, message);
        }
        match (self.opens_an_epoch(id), leaf.kind == Kind::Opening) {
            (true, true) => self.chain(id, leaf),
            (true, false) => {
                self.findings.add(Some(id), Rule::EpochOpening, "it does not open the epoch");
            }
            (false, true) => {
                let message = "it opens an epoch where none begins";
                self.findings.add(Some(id), Rule::EpochOpening, message);
            }
            (false, false) => {}
        }
        let count = match leaf.kind {
            Kind::Acceptance => Some(&mut self.counts.acceptances),
            Kind::Rejection => Some(&mut self.counts.rejections),
            Kind::Consignment => Some(&mut self.counts.consignments),
            Kind::Handover => Some(&mut self.counts.handovers),
            Kind::Refusal => Some(&mut self.counts.refusals),
            Kind::Report => Some(&mut self.counts.reports),
            Kind::NotificationFailure | Kind::HandoverFailure | Kind::RelayFailure => {
                Some(&mut self.counts.failures)
            }
            Kind::Stamp => Some(&mut self.counts.stamps),
            Kind::Notification
            | Kind::Access
            | Kind::Opening
            | Kind::Outage
            | Kind::Repair
            | Kind::Clock
            | Kind::Erasure
            | Kind::Hold
            | Kind::Release
            | Kind::Read
            | Kind::Relay
            | Kind::RelayAcceptance
            | Kind::RelayRejection
            | Kind::Redirection
            | Kind::Order
            | Kind::OrderAnswer
            | Kind::Directory
            | Kind::Dossier => None,
        };
        count.into_iter().for_each(|count| *count += 1);
        self.history.take(id, leaf, &mut self.findings);
        self.services.take(id, leaf, &mut self.findings);
    }

    fn opens_an_epoch(&self, id: EntryId) -> bool {
        id.index == 0 && self.epoch > 1
    }

    fn last_entry(&self) -> Option<EntryId> {
        let index = self.frontier.count().checked_sub(1)?;
        Some(EntryId { epoch: self.epoch, index })
    }

    /// Holds an opening against the end of the epoch before.
    fn chain(&mut self, id: EntryId, leaf: &Leaf<'_>) {
        let Some((epoch, size, root)) = leaf.head(Field::Previous) else { return };
        let before = self.heads.iter().find(|head| head.epoch == self.epoch - 1);
        let Some(before) = before else {
            let message = "the epoch before has no checkpoint that it could commit to";
            self.findings.add(Some(id), Rule::EpochChain, message);
            return;
        };
        let fits = (epoch, size, root) == (u64::from(before.epoch), before.size, before.root.0);
        if !fits {
            let message = format!(
                "it commits to epoch {epoch} with {size} entries and root {}; the last checkpoint \
                 before it is of epoch {} with {} and {}",
                Sha256(root),
                before.epoch,
                before.size,
                before.root
            );
            self.findings.add(Some(id), Rule::EpochChain, message);
        }
    }

    /// Compares a signed root now, or keeps it until its size is reached.
    fn place(&mut self, size: u64, root: Sha256) {
        let at = Some(EntryId { epoch: self.epoch, index: size - 1 });
        let count = self.frontier.count();
        let last = self.last.filter(|last| last.size == size).map(|last| last.root);
        let rival = last.or_else(|| self.waiting.get(&size)?.first().copied());
        if rival == Some(root) {
            return;
        }
        if let Some(rival) = rival {
            let message = format!("two checkpoints of size {size} sign {rival} and {root}");
            self.findings.add(at, Rule::CheckpointFork, message);
        }
        if size > count {
            self.waiting.entry(size).or_default().push(root);
        } else if rival.is_none() && size == count {
            self.compare(&[root]);
        } else if rival.is_none() {
            let message = "the checkpoint was handed in after its size had passed";
            self.findings.add(at, Rule::CheckpointLate, message);
        }
    }

    /// Compares what was signed with the root of the entries so far.
    fn compare(&mut self, signed: &[Sha256]) {
        let size = self.frontier.count();
        let ours = self.frontier.root();
        let same = signed.iter().find(|root| Some(**root) == ours);
        let Some(root) = same.or_else(|| signed.first()).copied() else { return };
        if same.is_some() {
            self.counts.checkpoints += 1;
            self.services.signed(Head { epoch: self.epoch, size, root });
        } else if !self.diverged {
            let sound = self.last.map_or(0, |last| last.size);
            let message = format!(
                "entries {epoch}/{sound} to {epoch}/{} are not those that were signed",
                size.saturating_sub(1),
                epoch = self.epoch
            );
            self.findings.add(self.last_entry(), Rule::CheckpointRoot, message);
            // Every later root of this epoch differs too, and says nothing new.
            self.diverged = true;
        }
        if let Some(acceptance) = self.history.promising() {
            let message = format!("a checkpoint at {size} entries divides it from its recipients");
            self.findings.add(Some(acceptance), Rule::PromiseDivided, message);
        }
        self.last = Some(Head { epoch: self.epoch, size, root });
    }

    fn close_epoch(&mut self) {
        self.history.settle(&mut self.findings);
        let (epoch, count) = (self.epoch, self.frontier.count());
        let covered = self.last.map_or(0, |last| last.size);
        if let Some((size, roots)) = std::mem::take(&mut self.waiting).pop_last() {
            let message = format!("a checkpoint covers {size} entries and there are {count}");
            let at = Some(EntryId { epoch, index: count });
            self.findings.add(at, Rule::EntriesMissing, message);
            self.last = roots.first().map(|root| Head { epoch, size, root: *root });
        } else if covered < count {
            let message =
                format!("no checkpoint covers it and the {} after it", count - covered - 1);
            let at = Some(EntryId { epoch, index: covered });
            self.findings.add(at, Rule::EntriesUnsigned, message);
        }
        self.heads.extend(self.last.take());
    }
}
