//! A log, its fork, and a witness who is shown both.

use super::*;
use crate::audit::book::{Desk, key};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::evidence::Receipt;
use crate::log::{
    Checkpoint, Entry, EntryId, Event, LogPublicKey, Nodes, Origin, SignedCheckpoint, SignedHead,
    Tree, WitnessKey, WitnessPublicKey, consistency, leaf_hash, root, with_cosignatures,
};

const GATE: &str = "gate.example";

fn public() -> LogPublicKey {
    key(GATE, 7).public()
}

/// One epoch of a log as its leaves.
#[derive(Clone)]
struct Epoch {
    number: u32,
    leaves: Vec<Vec<u8>>,
}

impl Nodes for Epoch {
    type Error = std::convert::Infallible;

    fn node(&self, height: u32, index: u64) -> Result<Sha256, Self::Error> {
        let (start, count) = ((index << height) as usize, 1 << height);
        let mut tree = Tree::default();
        tree.append(self.leaves[start..start + count].iter().map(|leaf| leaf_hash(leaf)).collect());
        Ok(tree.root())
    }
}

impl Epoch {
    /// Leaves that differ from those of another `seed`.
    fn of(number: u32, count: u64, seed: u64) -> Self {
        let leaf = |index: u64| [index.to_be_bytes(), seed.to_be_bytes()].concat();
        Self { number, leaves: (0..count).map(leaf).collect() }
    }

    /// The same up to `size`, then others.
    fn forked(&self, size: usize, count: u64) -> Self {
        let mut fork = Self::of(self.number, count, 99);
        fork.leaves[..size].clone_from_slice(&self.leaves[..size]);
        fork
    }

    fn root(&self, size: u64) -> Sha256 {
        let Ok(root) = root(self, size);
        root
    }

    fn note(&self, size: u64) -> Vec<u8> {
        let origin = Origin { gateway: GATE.into(), epoch: self.number };
        key(GATE, 7).sign(&Checkpoint { origin, size, root: self.root(size) })
    }

    fn request(&self, old: u64, size: u64) -> Request {
        let Ok(proof) = consistency(self, old.min(size), size);
        Request { old, proof, note: self.note(size) }
    }

    fn receipt(&self, index: u64, size: u64) -> Receipt {
        let Ok(path) = crate::log::inclusion(self, index, size);
        let id = EntryId { epoch: self.number, index };
        let leaf = self.leaves[index as usize].clone();
        Receipt { leaf, id, path, checkpoint: self.note(size) }
    }
}

/// The epoch after `before`, which is said to have ended at `size`.
fn next_epoch(before: &Epoch, size: u64, count: u64) -> Epoch {
    let mut next = Epoch::of(before.number + 1, count, 1);
    let entry = Desk { seconds: 0 }.entry(Event::EpochOpening, "gateway", 0);
    let root = before.root(size);
    let opening = Entry {
        previous_epoch: Some(SignedHead { epoch: before.number, size, root }),
        ..Entry::new(Event::EpochOpening, entry.time, entry.actor)
    };
    next.leaves[0] = opening.to_leaf();
    next
}

fn take(seen: &mut Seen, request: &Request) {
    let next = seen.judge(&public(), request).expect("it extends what was seen");
    seen.take(next, request.note.clone());
}

fn why(seen: &Seen, request: &Request) -> Why {
    seen.judge(&public(), request).expect_err("it is refused").why
}

fn fork_of(refused: Refused) -> Fork {
    let fork = refused.fork.expect("both checkpoints are kept");
    assert_eq!(Fork::read(&fork.to_file()), Ok(fork.clone()));
    fork
}

#[test]
fn a_log_that_grows_is_cosigned_from_size_to_size() {
    let (log, mut seen) = (Epoch::of(1, 70, 1), Seen::default());
    for (old, size) in [(0, 1), (1, 1), (1, 6), (6, 32), (32, 33), (33, 64), (64, 70), (70, 70)] {
        take(&mut seen, &log.request(old, size));
    }
    let sizes: Vec<u64> = seen.notes().map(|(checkpoint, _)| checkpoint.size).collect();
    assert_eq!(sizes, [70]);
}

#[test]
fn each_wrong_request_gets_the_answer_of_the_specification() {
    let (log, mut seen) = (Epoch::of(1, 70, 1), Seen::default());
    let good = log.request(0, 9);
    let bent = |bend: fn(&mut Request)| {
        let mut request = log.request(0, 9);
        bend(&mut request);
        request
    };
    assert_eq!(why(&seen, &bent(|it| it.note.truncate(20))), Why::Malformed);
    assert_eq!(why(&seen, &bent(|it| it.old = 10)), Why::Backwards);
    assert_eq!(why(&seen, &bent(|it| it.old = 3)), Why::OtherSize(0));
    assert_eq!(why(&seen, &bent(|it| it.proof.push(Sha256::of(b"")))), Why::Inconsistent);
    let other = seen.judge(&key("other.example", 7).public(), &good).expect_err("another log");
    assert_eq!(other.why, Why::UnknownOrigin);
    let other = seen.judge(&key(GATE, 8).public(), &good).expect_err("another key");
    assert_eq!(other.why, Why::NotSigned);
    let text = String::from_utf8(good.note.clone()).expect("text").replacen("\n9\n", "\n8\n", 1);
    let forged = Request { note: text.into_bytes(), ..good.clone() };
    assert_eq!(why(&seen, &forged), Why::NotSigned);

    take(&mut seen, &good);
    assert_eq!(why(&seen, &log.request(0, 20)), Why::OtherSize(9));
    assert_eq!(why(&seen, &log.request(8, 20)), Why::OtherSize(9));
    assert_eq!(why(&seen, &log.request(20, 20)), Why::OtherSize(9));
    assert_eq!(why(&seen, &log.request(9, 8)), Why::Backwards);
    let mut short = log.request(9, 20);
    short.proof.pop();
    let refused = seen.judge(&public(), &short).expect_err("no proof");
    assert_eq!(refused.why, Why::Inconsistent);
    assert_eq!(fork_of(refused).verify(&public()), Err(ForkError::Unproven));
    let origin = Origin { gateway: GATE.into(), epoch: 1 };
    let empty = Checkpoint { origin, size: 0, root: Sha256::of(b"not empty") };
    let empty = Request { old: 0, proof: Vec::new(), note: key(GATE, 7).sign(&empty) };
    assert_eq!(why(&Seen::default(), &empty), Why::Inconsistent);
}

#[test]
fn two_roots_of_one_size_are_proof_of_a_fork() {
    let (log, mut seen) = (Epoch::of(1, 70, 1), Seen::default());
    take(&mut seen, &log.request(0, 50));
    let fork = log.forked(30, 70);
    // Whatever size the forked log takes the witness to know.
    for (old, answer) in [(50, Why::Inconsistent), (30, Why::OtherSize(50))] {
        let refused = seen.judge(&public(), &fork.request(old, 50)).expect_err("forked");
        assert_eq!(refused.why, answer);
        let forked = fork_of(refused).verify(&public()).expect("proven");
        assert_eq!((forked.first().size, forked.second().size), (50, 50));
        assert_eq!(forked.second().root, fork.root(50));
    }
    let again = seen.judge(&public(), &log.request(50, 60)).map(|next| next.size);
    assert_eq!(again, Ok(60), "the log that was seen goes on");
}

#[test]
fn a_fork_that_has_grown_proves_itself_by_its_own_proof() {
    let log = Epoch::of(1, 70, 1);
    for size in [3, 31, 33, 50, 63] {
        let mut seen = Seen::default();
        take(&mut seen, &log.request(0, size));
        let fork = log.forked(2, 70);
        let refused = seen.judge(&public(), &fork.request(size, 68)).expect_err("forked");
        assert_eq!(refused.why, Why::Inconsistent);
        let proof = fork_of(refused);
        assert!(matches!(proof.proof, Proof::Tree { root, .. } if root == fork.root(size)));
        let forked = proof.verify(&public()).expect("proven");
        assert_eq!((forked.first().size, forked.second().size), (size, 68));
        assert_eq!(
            proof.verify(&key(GATE, 8).public()),
            Err(ForkError::Checkpoint(crate::log::NoteError::Unsigned))
        );
    }
    // A power of two is no node of its proof: both notes are kept, and the log is asked.
    let mut seen = Seen::default();
    take(&mut seen, &log.request(0, 32));
    let refused = seen.judge(&public(), &log.forked(2, 70).request(32, 68)).expect_err("forked");
    assert_eq!(fork_of(refused).verify(&public()), Err(ForkError::Unproven));
}

#[test]
fn nobody_is_accused_without_a_contradiction() {
    let log = Epoch::of(1, 70, 1);
    let (small, large) = (log.note(33), log.note(68));
    let Ok(path) = consistency(&log, 33, 68);
    let honest = |proof| Fork { first: small.clone(), second: large.clone(), proof };
    let root = log.root(33);
    for proof in [
        Proof::Size,
        Proof::Tree { root, path: path.clone() },
        Proof::Tree { root: Sha256::of(b"invented"), path: path.clone() },
        Proof::Tree { root: log.forked(2, 70).root(33), path: path.clone() },
        Proof::Opening { leaf: log.leaves[0].clone(), path },
    ] {
        assert_eq!(honest(proof).verify(&public()), Err(ForkError::NoContradiction));
    }
    let same = Fork { first: small.clone(), second: small.clone(), proof: Proof::Size };
    assert_eq!(same.verify(&public()), Err(ForkError::NoContradiction));
    let mut seen = Seen::default();
    take(&mut seen, &log.request(0, 33));
    let forked = seen.judge(&public(), &log.forked(2, 70).request(33, 68)).expect_err("forked");
    let file = fork_of(forked).to_file();
    assert!(Fork::read(&file).and_then(|fork| fork.verify(&public())).is_ok());
    for at in 0..file.len() {
        let mut bent = file.clone();
        bent[at] ^= 1;
        let judged = Fork::read(&bent).and_then(|fork| fork.verify(&public()));
        assert!(judged.is_err(), "byte {at}");
    }
}

#[test]
fn a_new_epoch_goes_on_where_the_witness_saw_the_last_one_end() {
    let first = Epoch::of(1, 40, 1);
    let second = next_epoch(&first, 40, 5);
    let mut seen = Seen::default();
    take(&mut seen, &first.request(0, 30));
    assert_eq!(why(&seen, &second.request(0, 3)), Why::UnknownOrigin);
    let opening = second.receipt(0, 3);
    let early = seen.judge_opening(&public(), &opening).expect_err("the end was not seen");
    assert_eq!(early.why, Why::OtherSize(30));
    take(&mut seen, &first.request(30, 40));
    let next = seen.judge_opening(&public(), &opening).expect("it goes on");
    assert_eq!((next.origin.epoch, next.size), (2, 3));
    seen.take(next, opening.checkpoint.clone());
    seen.take_opening(opening.clone());
    take(&mut seen, &second.request(3, 5));
    take(&mut seen, &first.request(40, 40));
    let again = seen.judge_opening(&public(), &opening).expect_err("known already");
    assert_eq!(again.why, Why::OtherSize(5));

    // The closed epoch grows: its own successor contradicts it.
    let grown = Epoch { leaves: Epoch::of(1, 45, 1).leaves, ..first };
    let refused = seen.judge(&public(), &grown.request(40, 45)).expect_err("it had ended");
    assert_eq!(refused.why, Why::Inconsistent);
    let forked = fork_of(refused).verify(&public()).expect("proven");
    assert_eq!((forked.first().size, forked.second().origin.epoch), (45, 2));
}

#[test]
fn an_epoch_that_cuts_off_the_end_of_the_last_one_is_a_fork() {
    let first = Epoch::of(1, 40, 1);
    let mut seen = Seen::default();
    take(&mut seen, &first.request(0, 40));
    for end in [next_epoch(&first, 39, 5), next_epoch(&first.forked(10, 40), 40, 5)] {
        let refused = seen.judge_opening(&public(), &end.receipt(0, 5)).expect_err("cut off");
        assert_eq!(refused.why, Why::Inconsistent);
        let forked = fork_of(refused).verify(&public()).expect("proven");
        assert_eq!((forked.first().origin.epoch, forked.second().origin.epoch), (1, 2));
    }
    let not_an_opening = first.receipt(3, 40);
    let refused = seen.judge_opening(&public(), &not_an_opening).expect_err("no opening");
    assert_eq!(refused.why, Why::Malformed);
}

/// The examples of `FORMAT.md`, made anew.
#[test]
fn the_page_shows_what_the_code_makes() {
    let page = include_str!("FORMAT.md");
    let block = |info: &str| -> String {
        let (_, rest) = page.split_once(&format!("\n```{info}\n")).expect("a block");
        rest.split_once("\n```\n").map(|(text, _)| format!("{text}\n")).expect("it ends")
    };
    let witness = WitnessKey::from_pkcs8("gate.example/witness", &crate::log::format::key_of(9));
    let witness = witness.expect("a key");
    assert_eq!(block("vkey"), format!("{}\n", witness.public()));
    assert!(WitnessPublicKey::parse(block("vkey").trim()).is_some());
    let log = Epoch::of(1, 70, 1);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    assert_eq!(block("request"), text(log.request(33, 68).to_body()));
    let signed: SignedCheckpoint = public().open(&log.note(68)).expect("signed");
    let line = witness.cosign(&signed, Time::from_seconds(1_795_000_000));
    assert_eq!(block("answer"), line);
    assert_eq!(block("cosigned"), text(with_cosignatures(&log.note(68), &[line])));
    let mut seen = Seen::default();
    take(&mut seen, &log.request(0, 33));
    let fork = seen.judge(&public(), &log.forked(2, 70).request(33, 68)).expect_err("forked");
    assert_eq!(block("fork"), text(fork_of(fork).to_file()));
}
