//! Whose cosignatures are enough: C2SP tlog-policy.
//!
//! A policy names logs, witnesses and the quorum. A log is named by the vkey of its gateway, from
//! which the key of every epoch follows (`FORMAT.md` §5).

use std::collections::{HashMap, HashSet};

use super::checkpoint::{LogPublicKey, SignedCheckpoint};
use super::cosignature::{Cosigned, WitnessPublicKey, WrongCosignature};
use crate::limits::{POLICY_NAMES_MAX, POLICY_SIZE_MAX};

/// The quorum that asks for nobody.
const NONE: &[u8] = b"none";

/// Logs, witnesses, and which of them together are enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Logs that it knows; empty if they are known otherwise.
    pub logs: Vec<LogPublicKey>,
    /// Every name, in the order in which they were defined: a group stands below its members.
    parties: Vec<Party>,
    /// Which of them decides; `None` asks for no cosignature.
    quorum: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Party {
    Witness(WitnessPublicKey),
    Group { threshold: usize, members: Vec<usize> },
}

/// The file is not a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PolicyError {
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// A checkpoint was not seen by enough witnesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// A cosignature in the name of a known witness does not verify.
    #[error(transparent)]
    Wrong(#[from] WrongCosignature),
    /// Too few of the witnesses that count.
    #[error("{found} of {known} known witnesses cosigned, and they are not enough")]
    TooFew {
        /// Known witnesses that cosigned.
        found: usize,
        /// Known witnesses.
        known: usize,
    },
}

/// A checkpoint that a quorum has seen. Only [`Policy::judge`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    by: Vec<(String, Cosigned)>,
}

impl Witnessed {
    /// Who cosigned, and when, in the order of the policy.
    pub fn by(&self) -> &[(String, Cosigned)] {
        &self.by
    }
}

impl Policy {
    /// Any `threshold` of these witnesses; `None` if there are fewer, or one stands twice.
    pub fn of(witnesses: Vec<WitnessPublicKey>, threshold: usize) -> Option<Self> {
        let mut reader = Reader::default();
        for witness in witnesses {
            reader.witness(witness).ok()?;
        }
        let members: Vec<usize> = (0..reader.parties.len()).collect();
        let quorum = (threshold > 0).then_some(members.len());
        if threshold > members.len() {
            return None;
        }
        reader.parties.push(Party::Group { threshold, members });
        Some(Self { logs: Vec::new(), parties: reader.parties, quorum })
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`]: the first line that is not as it must be.
    pub fn read(file: &[u8]) -> Result<Self, PolicyError> {
        let whole = |problem| PolicyError { line: 0, problem };
        if file.len() > POLICY_SIZE_MAX {
            return Err(whole("the policy is too large"));
        }
        let lines = file.strip_suffix(b"\n").ok_or(whole("the last line has no end"))?;
        let mut reader = Reader::default();
        for (line, text) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
            reader.line(text).map_err(|problem| PolicyError { line, problem })?;
        }
        let quorum = reader.quorum.ok_or(whole("no quorum"))?;
        Ok(Self { logs: reader.logs, parties: reader.parties, quorum })
    }

    /// The witnesses, in the order in which they were named.
    pub fn witnesses(&self) -> impl Iterator<Item = &WitnessPublicKey> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness),
            Party::Group { .. } => None,
        })
    }

    /// Judges the cosignatures on `note`, which holds `checkpoint`.
    ///
    /// # Errors
    /// [`QuorumError`].
    ///
    /// # Panics
    /// If the note holds another checkpoint: that is a mistake of the caller.
    pub fn judge(
        &self,
        checkpoint: &SignedCheckpoint,
        note: &[u8],
    ) -> Result<Witnessed, QuorumError> {
        let text = checkpoint.text();
        assert!(note.starts_with(text.as_bytes()), "the note holds another checkpoint");
        let mut by = Vec::new();
        let mut satisfied: Vec<bool> = Vec::with_capacity(self.parties.len());
        for party in &self.parties {
            satisfied.push(match party {
                Party::Witness(witness) => match witness.cosigned(note)? {
                    Some(cosigned) => {
                        by.push((witness.name.clone(), cosigned));
                        true
                    }
                    None => false,
                },
                Party::Group { threshold, members } => {
                    let count = members.iter().filter(|member| satisfied[**member]).count();
                    count >= *threshold
                }
            });
        }
        match self.quorum.is_none_or(|quorum| satisfied[quorum]) {
            true => Ok(Witnessed { by }),
            false => Err(QuorumError::TooFew { found: by.len(), known: self.witnesses().count() }),
        }
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<LogPublicKey>,
    parties: Vec<Party>,
    names: HashMap<Vec<u8>, usize>,
    /// Names that are members of a group: each can be one once.
    taken: HashSet<usize>,
    quorum: Option<Option<usize>>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        // 0x0A does not occur within a line.
        if line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7F) {
            return Err("a control character");
        }
        let words: Vec<&[u8]> = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"witness", name, key] | [b"witness", name, key, _] => {
                let witness = std::str::from_utf8(key).ok().and_then(WitnessPublicKey::parse);
                let place =
                    self.witness(witness.ok_or("not the vkey of an Ed25519 cosigner (0x04)")?)?;
                self.name(name, place)
            }
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.decide(name),
            _ => Err("neither log, witness, group nor quorum, or with other words than it takes"),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), &'static str> {
        let key = std::str::from_utf8(key).ok().and_then(LogPublicKey::parse);
        let key = key.ok_or("not the vkey of an Ed25519 log (0x01)")?;
        if self.logs.iter().any(|log| log.fingerprint() == key.fingerprint()) {
            return Err("this log stands twice");
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, key: WitnessPublicKey) -> Result<usize, &'static str> {
        let is_known = |party: &Party| match party {
            Party::Witness(known) => known.is_key_of(&key),
            Party::Group { .. } => false,
        };
        if self.parties.iter().any(is_known) {
            return Err("this witness stands twice");
        }
        self.add(Party::Witness(key))
    }

    fn add(&mut self, party: Party) -> Result<usize, &'static str> {
        if self.parties.len() >= POLICY_NAMES_MAX {
            return Err("too many names");
        }
        self.parties.push(party);
        Ok(self.parties.len() - 1)
    }

    fn name(&mut self, name: &[u8], place: usize) -> Result<(), &'static str> {
        if name == NONE || self.names.insert(name.to_vec(), place).is_some() {
            return Err("this name is taken");
        }
        Ok(())
    }

    fn group(
        &mut self,
        name: &[u8],
        threshold: &[u8],
        members: &[&[u8]],
    ) -> Result<(), &'static str> {
        let mut places = Vec::new();
        for member in members {
            let place = *self.names.get(*member).ok_or("a member that is not defined above")?;
            if !self.taken.insert(place) {
                return Err("a name is a member twice");
            }
            places.push(place);
        }
        let threshold = match threshold {
            b"all" => places.len(),
            b"any" => 1,
            digits => std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or("not a number of members")?,
        };
        if !(1..=places.len()).contains(&threshold) {
            return Err("a group needs members, and a number of them that there are");
        }
        let place = self.add(Party::Group { threshold, members: places })?;
        self.name(name, place)
    }

    fn decide(&mut self, name: &[u8]) -> Result<(), &'static str> {
        let quorum = match name {
            NONE => None,
            name => Some(*self.names.get(name).ok_or("a quorum that is not defined above")?),
        };
        match self.quorum.replace(quorum) {
            Some(_) => Err("a second quorum"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::digest::Sha256;
    use crate::log::format::key_of;
    use crate::log::{Checkpoint, LogKey, Origin, WitnessKey, with_cosignatures};

    fn witness(seed: u8) -> WitnessKey {
        WitnessKey::from_pkcs8(&format!("w{seed}.example"), &key_of(seed)).expect("a key")
    }

    /// A checkpoint with the cosignatures of these witnesses.
    fn note(seeds: &[u8]) -> (SignedCheckpoint, Vec<u8>) {
        let key = LogKey::from_pkcs8("gate.example", &key_of(7)).expect("a key");
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        let note = key.sign(&Checkpoint { origin, size: 9, root: Sha256::of(b"root") });
        let checkpoint = key.public().open(&note).expect("signed");
        let cosign = |seed: &u8| witness(*seed).cosign(&checkpoint, Time::from_seconds(1));
        let lines: Vec<String> = seeds.iter().map(cosign).collect();
        let note = with_cosignatures(&note, &lines);
        (checkpoint, note)
    }

    fn is_enough(policy: &Policy, seeds: &[u8]) -> bool {
        let (checkpoint, note) = note(seeds);
        match policy.judge(&checkpoint, &note) {
            Ok(witnessed) => {
                assert!(witnessed.by().len() <= seeds.len());
                true
            }
            Err(error) => {
                assert!(matches!(error, QuorumError::TooFew { .. }), "{error}");
                false
            }
        }
    }

    /// `<1>` stands for the vkey of witness 1.
    fn read(text: &str) -> Result<Policy, PolicyError> {
        let mut text = text.to_owned();
        for seed in 1..9 {
            text = text.replace(&format!("<{seed}>"), &witness(seed).public().to_string());
        }
        Policy::read(text.as_bytes())
    }

    #[test]
    fn any_so_many_of_the_witnesses_are_a_quorum() {
        let keys = || (1..=3).map(|seed| witness(seed).public()).collect::<Vec<_>>();
        let two = Policy::of(keys(), 2).expect("a policy");
        assert!(is_enough(&two, &[1, 3]) && is_enough(&two, &[1, 2, 3]));
        assert!(!is_enough(&two, &[2]) && !is_enough(&two, &[2, 4]) && !is_enough(&two, &[2, 2]));
        assert!(is_enough(&Policy::of(keys(), 0).expect("a policy"), &[]));
        assert_eq!(Policy::of(keys(), 4), None);
        assert_eq!(Policy::of([keys(), keys()].concat(), 2), None);
    }

    #[test]
    fn the_example_of_the_specification_means_what_it_says() {
        let policy = read(
            "# two of X and one of Y\n\n  witness X1 <1> https://x.example/\nwitness\tX2 <2>\n\
             witness X3 <3>\ngroup X-witnesses 2 X1 X2 X3\nwitness Y1 <4>\nwitness Y2 <5>\n\
             group Y-witnesses any Y1 Y2\ngroup X-and-Y all X-witnesses Y-witnesses\n\
             quorum X-and-Y\n",
        )
        .expect("a policy");
        assert_eq!(policy.witnesses().count(), 5);
        for enough in [&[1, 2, 4][..], &[2, 3, 5], &[1, 2, 3, 4, 5]] {
            assert!(is_enough(&policy, enough), "{enough:?}");
        }
        for short in [&[][..], &[1, 2, 3], &[1, 4, 5], &[1, 2, 6]] {
            assert!(!is_enough(&policy, short), "{short:?}");
        }
    }

    #[test]
    fn a_wrong_cosignature_of_a_known_witness_is_an_error_and_of_others_nothing() {
        let (checkpoint, note) = note(&[1, 2]);
        let other = LogKey::from_pkcs8("gate.example", &key_of(7)).expect("a key");
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        let forked = other.sign(&Checkpoint { origin, size: 9, root: Sha256::of(b"other") });
        let text = String::from_utf8(note).expect("text");
        let (_, signatures) = text.split_once("\n\n").expect("a note");
        let stolen: Vec<String> =
            signatures.lines().skip(1).map(|line| format!("{line}\n")).collect();
        let forked = with_cosignatures(&forked, &stolen);
        let opened = other.public().open(&forked).expect("signed");
        let one = Policy::of(vec![witness(1).public()], 1).expect("a policy");
        assert_eq!(one.judge(&opened, &forked), Err(QuorumError::Wrong(WrongCosignature)));
        let third = Policy::of(vec![witness(3).public()], 0).expect("a policy");
        assert_eq!(third.judge(&checkpoint, text.as_bytes()).expect("none needed").by(), []);
    }

    #[test]
    fn what_is_no_policy_is_named_by_its_line() {
        for (text, line) in [
            ("witness A <1>\n", 0),
            ("quorum none", 0),
            ("quorum A\n", 1),
            ("quorum none\nquorum none\n", 2),
            ("witness none <1>\nquorum none\n", 1),
            ("witness A <1>\nwitness A <2>\nquorum A\n", 2),
            ("witness A <1>\nwitness B <1>\nquorum A\n", 2),
            ("witness A <1>\ngroup G 2 A\nquorum G\n", 2),
            ("witness A <1>\ngroup G 0 A\nquorum G\n", 2),
            ("witness A <1>\ngroup G +1 A\nquorum G\n", 2),
            ("group G any\nquorum G\n", 1),
            ("group G any A\nwitness A <1>\nquorum G\n", 1),
            ("witness A <1>\ngroup G all A A\nquorum G\n", 2),
            ("witness A <1>\ngroup G all A\ngroup H all A G\nquorum H\n", 3),
            ("witness A <1> url more\nquorum A\n", 1),
            ("witness A\nquorum none\n", 1),
            ("log gate.example\nquorum none\n", 1),
            ("quorum none\r\n", 1),
            ("threshold 2\nquorum none\n", 1),
        ] {
            assert_eq!(read(text).map_err(|error| error.line), Err(line), "{text}");
        }
        let key = LogKey::from_pkcs8("gate.example", &key_of(7)).expect("a key").public();
        let policy = read(&format!("log {key} https://gate.example\nquorum none\n"));
        assert_eq!(policy.expect("a policy").logs, std::slice::from_ref(&key));
        let twice = read(&format!("log {key}\nlog {key}\nquorum none\n"));
        assert_eq!(twice.map_err(|error| error.line), Err(2));
    }
}
