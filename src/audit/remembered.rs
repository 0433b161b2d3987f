//! What an auditor remembers from one audit to the next: a checkpoint that it has verified, and the
//! roots of the complete subtrees below it. The next audit reads what came after and nothing else.

use super::frontier::Frontier;
use crate::digest::Sha256;
use crate::log::{LogPublicKey, SignedCheckpoint, number};

/// First line of the file.
const HEADER: &str = "vanthu.audit.v1";
/// How the line of a service begins that was out.
const OUTAGE: &str = "outage ";

/// The end of an audit without findings.
///
/// An auditor keeps it where nobody else writes. Who changes it can make the next audit fail, but not
/// pass for another log: the subtrees must lead to the signed root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    pub(super) checkpoint: SignedCheckpoint,
    pub(super) note: Vec<u8>,
    /// The time of the last entry, as the digits of its text.
    pub(super) moment: u64,
    /// Which services were out, and since when.
    pub(super) outages: Vec<(String, String)>,
    /// Roots of the complete subtrees, the largest first.
    pub(super) peaks: Vec<Sha256>,
}

/// The file is not what an audit remembers of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not what an audit of this log remembered")]
pub struct NotRemembered;

impl Remembered {
    /// The checkpoint up to which everything was verified.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Its signed note.
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// The file: header, time, one line for each service that is out and for each subtree, and the
    /// note after an empty line.
    pub fn to_file(&self) -> Vec<u8> {
        let mut head = format!("{HEADER}\nmoment {}\n", self.moment);
        for (service, since) in &self.outages {
            head.push_str(&format!("{OUTAGE}{since} {service}\n"));
        }
        for peak in &self.peaks {
            head.push_str(&format!("{peak}\n"));
        }
        [head.as_bytes(), b"\n", &self.note].concat()
    }

    /// Reads a file of the log that signs with `key`.
    ///
    /// # Errors
    /// [`NotRemembered`], also if the subtrees do not lead to the signed root.
    pub fn read(file: &[u8], key: &LogPublicKey) -> Result<Self, NotRemembered> {
        parse(file, key).ok_or(NotRemembered)
    }
}

fn parse(file: &[u8], key: &LogPublicKey) -> Option<Remembered> {
    let (head, note) = std::str::from_utf8(file).ok()?.split_once("\n\n")?;
    let mut lines = head.split('\n').peekable();
    let header = lines.next()?;
    let moment = number(lines.next()?.strip_prefix("moment ")?)?;
    let mut outages = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with(OUTAGE)) {
        let (since, service) = line.strip_prefix(OUTAGE)?.split_once(' ')?;
        outages.push((service.to_owned(), since.to_owned()));
    }
    let peaks: Vec<Sha256> = lines.map(str::parse).collect::<Result<_, _>>().ok()?;
    let checkpoint = key.open(note.as_bytes()).ok()?;
    let frontier = Frontier::of(checkpoint.size, &peaks)?;
    let fits = header == HEADER && frontier.root() == Some(checkpoint.root);
    let note = note.as_bytes().to_vec();
    fits.then_some(Remembered { checkpoint, note, moment, outages, peaks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::book::{Desk, key};
    use crate::audit::{Auditor, Report, Rule};
    use crate::log::{Checkpoint, Entry, Origin, Tree, leaf_hash};

    fn public() -> LogPublicKey {
        key("gate.example", 7).public()
    }

    /// The checkpoint over these leaves.
    fn note(leaves: &[Vec<u8>]) -> Vec<u8> {
        let mut tree = Tree::default();
        tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        key("gate.example", 7).sign(&Checkpoint { origin, size: tree.size(), root: tree.root() })
    }

    fn leaves(entries: Vec<Entry>) -> Vec<Vec<u8>> {
        entries.iter().map(Entry::to_leaf).collect()
    }

    /// Some consignments of three recipients, four entries each.
    fn log(numbers: std::ops::Range<u128>) -> Vec<Vec<u8>> {
        let mut desk = Desk { seconds: 0 };
        let all = (0..numbers.end).flat_map(|number| {
            let entries = desk.accept(number, &["H49", "H49.11", "H50"]);
            if numbers.contains(&number) { leaves(entries) } else { Vec::new() }
        });
        all.collect()
    }

    fn audit_to(leaves: &[Vec<u8>]) -> Remembered {
        let mut auditor = Auditor::new(public());
        leaves.iter().for_each(|leaf| auditor.entry(leaf));
        let note = note(leaves);
        auditor.checkpoint(&note);
        auditor.remember(&note).expect("a sound log")
    }

    fn audit_from(from: &Remembered, new: &[Vec<u8>], note: &[u8]) -> (Report, Option<Remembered>) {
        let mut auditor = Auditor::resume(public(), from);
        new.iter().for_each(|leaf| auditor.entry(leaf));
        auditor.checkpoint(note);
        let next = auditor.remember(note);
        (auditor.finish(), next)
    }

    fn rules(report: &Report) -> Vec<Rule> {
        report.findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn an_audit_in_steps_remembers_what_an_audit_at_once_does() {
        let all = log(0..10);
        let mut state = audit_to(&all[..4]);
        for end in (8..=40).step_by(4) {
            let file = state.to_file();
            let read = Remembered::read(&file, &public()).expect("what was written");
            assert_eq!(read, state);
            let (report, next) = audit_from(&read, &all[end - 4..end], &note(&all[..end]));
            assert_eq!((rules(&report), report.entries, report.unjudged), (Vec::new(), 4, 0));
            state = next.expect("sound");
            assert_eq!(state, audit_to(&all[..end]));
        }
        let (report, next) = audit_from(&state, &[], &note(&all));
        assert_eq!((rules(&report), report.entries, next), (Vec::new(), 0, Some(state)));
    }

    #[test]
    fn a_log_that_was_changed_before_the_remembered_end_does_not_go_on() {
        let (all, mut forked) = (log(0..10), log(0..10));
        forked.splice(4..8, log(11..12));
        let state = audit_to(&all[..20]);
        let (report, next) = audit_from(&state, &forked[20..], &note(&forked));
        assert_eq!((rules(&report), next), (vec![Rule::CheckpointRoot], None));
        let (report, _) = audit_from(&state, &[], &note(&forked[..20]));
        assert_eq!(rules(&report), [Rule::CheckpointFork]);
    }

    #[test]
    fn what_is_about_older_entries_is_counted_and_not_guessed() {
        let mut desk = Desk { seconds: 0 };
        let mut all = leaves(desk.accept(1, &["H49"]));
        let state = audit_to(&all);
        let answer = desk.answer(1, "H49", crate::log::Status::Accepted).to_leaf();
        all.push(answer.clone());
        let (report, next) = audit_from(&state, &[answer], &note(&all));
        assert_eq!((rules(&report), report.unjudged), (Vec::new(), 1));
        assert!(next.is_some());
        // Time is remembered.
        let mut early = Desk { seconds: -3600 };
        let new = leaves(early.accept(2, &["H49"]));
        all.truncate(2);
        all.extend(new.iter().cloned());
        let (report, _) = audit_from(&state, &new, &note(&all));
        assert!(rules(&report).contains(&Rule::TimeBackwards));
    }

    #[test]
    fn a_changed_file_is_not_what_was_remembered() {
        let file = audit_to(&log(0..5)).to_file();
        let moment = file.windows(7).position(|word| word == b"moment ").expect("it is there");
        for at in 0..file.len() {
            let mut bent = file.clone();
            bent[at] ^= 1;
            // The time is the auditor's own word; everything else is signed.
            let is_time = (moment + 7..moment + 24).contains(&at);
            let read = Remembered::read(&bent, &public());
            assert!(is_time || read.is_err(), "byte {at}");
        }
        assert!(Remembered::read(&file, &key("gate.example", 8).public()).is_err());
    }
}
