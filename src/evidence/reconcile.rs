//! Two sides' proofs held against each other: what contradicts, and what one side lacks.
//!
//! Everything here was proven before it comes in, so every [`Finding`] is a proof: it names the entry
//! and the files that show it. That nothing is found says only that nothing is missing among what
//! was held against each other.

use std::collections::{BTreeMap, HashMap};

use super::receipt::ProvenEntry;
use crate::digest::Sha256;
use crate::document::ConsignmentId;
use crate::log::{Entry, EntryId};

/// Whose proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who reconciles.
    Own,
    /// The log, or another agency.
    Other,
}

impl Side {
    /// The one on the other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Own => Self::Other,
            Self::Other => Self::Own,
        }
    }
}

/// A proven entry, and where its proof lies.
#[derive(Debug, Clone)]
pub struct Held {
    /// The entry.
    pub proven: ProvenEntry,
    /// File or other place of the proof.
    pub source: String,
    /// Who holds it.
    pub side: Side,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Two different entries are proven for one place: whoever signed both keeps two logs.
    EntryDiffers,
    /// Two checkpoints of one size have different roots: the same.
    CheckpointDiffers,
    /// One consignment has two envelopes.
    EnvelopeDiffers,
    /// This side lacks an entry that the other proves.
    Lacks(Side),
}

impl Gap {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::EntryDiffers => "ENTRY_DIFFERS",
            Self::CheckpointDiffers => "CHECKPOINT_DIFFERS",
            Self::EnvelopeDiffers => "ENVELOPE_DIFFERS",
            Self::Lacks(Side::Own) => "OWN_LACKS",
            Self::Lacks(Side::Other) => "OTHER_LACKS",
        }
    }
}

/// A gap with its proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub gap: Gap,
    /// The entry that it is about.
    pub entry: EntryId,
    /// The consignment, if the entry is about one.
    pub consignment: Option<ConsignmentId>,
    /// Where the proofs lie.
    pub proofs: Vec<String>,
}

impl Finding {
    /// A finding about a held entry.
    pub fn about(gap: Gap, held: &Held, proofs: &[&Held]) -> Self {
        Self {
            gap,
            entry: held.proven.id(),
            consignment: held.proven.consignment,
            proofs: proofs.iter().map(|held| held.source.clone()).collect(),
        }
    }
}

/// Holds proofs against each other. `concerns` says whether a side should have proof of an entry.
/// Findings are in the order of entries.
pub fn reconcile(all: &[Held], concerns: &dyn Fn(Side, &Entry) -> bool) -> Vec<Finding> {
    let mut entries: BTreeMap<EntryId, Vec<&Held>> = BTreeMap::new();
    let mut checkpoints: HashMap<(u32, u64), &Held> = HashMap::new();
    let mut envelopes: HashMap<ConsignmentId, (Sha256, &Held)> = HashMap::new();
    let mut findings = Vec::new();
    for held in all {
        entries.entry(held.proven.id()).or_default().push(held);
        let signed = held.proven.checkpoint();
        let first = *checkpoints.entry((signed.origin.epoch, signed.size)).or_insert(held);
        if first.proven.checkpoint().root != signed.root {
            findings.push(Finding::about(Gap::CheckpointDiffers, held, &[first, held]));
        }
        if let Some((id, envelope)) = held.proven.consignment.zip(held.proven.envelope) {
            let (known, first) = *envelopes.entry(id).or_insert((envelope, held));
            if known != envelope {
                findings.push(Finding::about(Gap::EnvelopeDiffers, held, &[first, held]));
            }
        }
    }
    for held in entries.values() {
        let Some((first, rest)) = held.split_first() else { continue };
        let is_same = |other: &&&Held| *other.proven == *first.proven;
        if let Some(other) = rest.iter().find(|other| !is_same(other)) {
            findings.push(Finding::about(Gap::EntryDiffers, first, &[first, other]));
        }
        for side in [Side::Own, Side::Other] {
            let lacks = held.iter().all(|held| held.side != side);
            if lacks && concerns(side, &first.proven) {
                findings.push(Finding::about(Gap::Lacks(side), first, &[first]));
            }
        }
    }
    findings.sort_by_key(|finding| finding.entry);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::book::{Desk, key};
    use crate::evidence::Receipt;
    use crate::log::{Checkpoint, Event, Origin, Status, Tree, leaf_hash};

    /// An accepted document, and what a recipient did with it.
    fn log(answer: Status) -> Vec<Entry> {
        let mut desk = Desk { seconds: 0 };
        let mut entries = desk.accept(1, &["H49", "H50"]);
        entries.push(desk.answer(1, "H49", answer));
        entries
    }

    /// Everything that a log of these entries proves, under its last checkpoint.
    fn held(entries: &[Entry], side: Side) -> Vec<Held> {
        let leaves: Vec<Vec<u8>> = entries.iter().map(Entry::to_leaf).collect();
        let mut tree = Tree::default();
        let grown = tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        let key = key("gate.example", 7);
        let one = |(index, leaf): (u64, Vec<u8>)| {
            let id = EntryId { epoch: 1, index };
            let (path, checkpoint) = (grown.inclusion(index), key.sign(&checkpoint));
            let receipt = Receipt { leaf, id, path, checkpoint };
            let proven = receipt.verify(&key.public()).expect("holds");
            Held { proven, source: format!("{side:?} {id}"), side }
        };
        (0..).zip(leaves).map(one).collect()
    }

    fn gaps(all: &[Held]) -> Vec<(Gap, String, Vec<String>)> {
        let found = reconcile(all, &|_, _| true).into_iter();
        found.map(|it| (it.gap, it.entry.to_string(), it.proofs)).collect()
    }

    #[test]
    fn sides_that_hold_the_same_have_no_gap() {
        let entries = log(Status::Accepted);
        assert_eq!(gaps(&[held(&entries, Side::Own), held(&entries, Side::Other)].concat()), []);
    }

    #[test]
    fn what_one_side_lacks_is_named_with_the_proof_of_the_other() {
        let (own, other) =
            (held(&log(Status::Accepted), Side::Own), held(&log(Status::Accepted), Side::Other));
        let all = [&own[..3], &other[1..]].concat();
        assert_eq!(
            gaps(&all),
            [
                (Gap::Lacks(Side::Other), "1/0".into(), vec!["Own 1/0".into()]),
                (Gap::Lacks(Side::Own), "1/3".into(), vec!["Other 1/3".into()]),
            ]
        );
        let answers = |_, entry: &Entry| entry.event == Event::ContentHandover;
        let found = reconcile(&all, &answers);
        assert_eq!(found.len(), 1, "the rest concerns nobody");
        assert_eq!(
            (found[0].gap.code(), found[0].consignment),
            ("OWN_LACKS", own[0].proven.consignment)
        );
    }

    #[test]
    fn a_log_that_shows_each_side_something_else_contradicts_itself() {
        let own = held(&log(Status::Accepted), Side::Own);
        let other = held(&log(Status::Refused), Side::Other);
        let all = [own, other].concat();
        let both = |at: &str| vec![format!("Own {at}"), format!("Other {at}")];
        let found = gaps(&all);
        assert!(found.contains(&(Gap::EntryDiffers, "1/3".into(), both("1/3"))), "{found:?}");
        let roots = found.iter().filter(|(gap, ..)| *gap == Gap::CheckpointDiffers).count();
        assert_eq!(roots, 4, "each entry of the other comes with the other root");
        assert!(!found.iter().any(|(gap, ..)| matches!(gap, Gap::Lacks(_))));
    }

    #[test]
    fn one_consignment_with_two_envelopes_contradicts_itself() {
        let mut forged = log(Status::Accepted);
        for entry in &mut forged {
            entry.envelope = Some(Sha256::of(b"another"));
        }
        let all = [held(&log(Status::Accepted), Side::Own), held(&forged, Side::Other)].concat();
        assert!(gaps(&all).iter().any(|(gap, ..)| *gap == Gap::EnvelopeDiffers));
    }
}
