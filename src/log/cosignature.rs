//! What a witness says of a checkpoint: C2SP tlog-cosignature, Ed25519 `cosignature/v1`.
//!
//! A cosignature says that at its time this was the largest tree of this log that the witness knew,
//! and that it extends every tree of this log that the witness had seen before.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::checkpoint::{NotAKey, SignedCheckpoint};
use super::note::{self, COSIGNATURE_TYPE, Note, is_key_name};
use crate::clock::Time;

/// The first line of what is signed.
const HEADER: &str = "cosignature/v1";

fn message(seconds: u64, text: &str) -> String {
    format!("{HEADER}\ntime {seconds}\n{text}")
}

/// The private key of a witness. Never the key of a log: the two say different things.
pub struct WitnessKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl WitnessKey {
    /// The key of the witness `name` from PKCS #8 DER.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_pkcs8(name: &str, der: &[u8]) -> Result<Self, NotAKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| NotAKey)?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// The public half.
    pub fn public(&self) -> WitnessPublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        WitnessPublicKey { name: self.name.clone(), key }
    }

    /// The signature line for a checkpoint that this witness has found to extend all that it knew.
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, now: Time) -> String {
        // Time is clamped to 1970 and later; zero would say that there is none.
        let seconds = u64::try_from(now.seconds()).unwrap_or(0).max(1);
        let signature = self.pair.sign(message(seconds, &checkpoint.text()).as_bytes());
        let stamped = [&seconds.to_be_bytes(), signature.as_ref()].concat();
        note::line(&self.name, self.public().key_id(), &stamped)
    }
}

/// The public key of a witness, as those hold it who rely on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPublicKey {
    /// The witness's name.
    pub name: String,
    key: [u8; 32],
}

impl fmt::Display for WitnessPublicKey {
    /// The key in C2SP vkey form, signature type 0x04.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&note::vkey(&self.name, COSIGNATURE_TYPE, &self.key))
    }
}

impl WitnessPublicKey {
    /// Reads the vkey form.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, key) = note::parse_vkey(text, COSIGNATURE_TYPE)?;
        is_key_name(&name).then_some(Self { name, key })
    }

    /// Whether both are the same key, under whatever name.
    pub fn is_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    fn key_id(&self) -> [u8; 4] {
        note::key_id(&self.name, COSIGNATURE_TYPE, &self.key)
    }

    /// What this witness says on `note`: nothing, or since when it knows the checkpoint.
    ///
    /// # Errors
    /// [`WrongCosignature`].
    pub fn cosigned(&self, note: &[u8]) -> Result<Option<Cosigned>, WrongCosignature> {
        let note = Note::read(note).ok_or(WrongCosignature)?;
        let Some(stamped) = note.signature(&self.name, self.key_id()) else { return Ok(None) };
        let (seconds, signature) = stamped.split_first_chunk::<8>().ok_or(WrongCosignature)?;
        let seconds = u64::from_be_bytes(*seconds);
        UnparsedPublicKey::new(&ED25519, &self.key)
            .verify(message(seconds, note.text).as_bytes(), signature)
            .map_err(|_| WrongCosignature)?;
        // Zero says that there is no time, and above 2^63 - 1 there is none.
        let at = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
        Ok(Some(Cosigned { at: Time::from_seconds(at.ok_or(WrongCosignature)?) }))
    }
}

/// A cosignature that was checked. Only [`WitnessPublicKey::cosigned`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosigned {
    at: Time,
}

impl Cosigned {
    /// When the witness signed, by its own clock.
    pub fn at(&self) -> Time {
        self.at
    }
}

/// A line bears the name and id of a witness and is not its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cosignature is wrong")]
pub struct WrongCosignature;

/// `note` with `lines` of cosignatures added; what is no line of a signature is left out.
pub fn with_cosignatures(note: &[u8], lines: &[String]) -> Vec<u8> {
    let mut cosigned = note.to_vec();
    for line in lines {
        let longer = [&cosigned[..], line.as_bytes()].concat();
        if Note::read(&longer).is_some() {
            cosigned = longer;
        }
    }
    cosigned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;
    use crate::log::format::key_of;
    use crate::log::{Checkpoint, LogKey, Origin};

    fn signed() -> (LogKey, Vec<u8>) {
        let key = LogKey::from_pkcs8("gate.example", &key_of(7)).expect("a key");
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        let note = key.sign(&Checkpoint { origin, size: 9, root: Sha256::of(b"root") });
        (key, note)
    }

    #[test]
    fn a_cosignature_holds_for_its_checkpoint_witness_and_time_only() {
        let (key, note) = signed();
        let witness = WitnessKey::from_pkcs8("witness.example/w1", &key_of(9)).expect("a key");
        let public = WitnessPublicKey::parse(&witness.public().to_string()).expect("a vkey");
        let checkpoint = key.public().open(&note).expect("signed");
        let now = Time::from_seconds(1_679_315_147);
        assert_eq!(public.cosigned(&note), Ok(None));
        let cosigned = with_cosignatures(&note, &[witness.cosign(&checkpoint, now)]);
        assert_eq!(public.cosigned(&cosigned).expect("right").map(|it| it.at()), Some(now));
        assert_eq!(*key.public().open(&cosigned).expect("signed"), *checkpoint);

        let other = WitnessKey::from_pkcs8("witness.example/w1", &key_of(8)).expect("a key");
        assert_eq!(other.public().cosigned(&cosigned), Ok(None), "another key has another id");
        let text = String::from_utf8(cosigned.clone()).expect("text");
        let grown = text.replacen("\n9\n", "\n8\n", 1);
        assert_eq!(public.cosigned(grown.as_bytes()), Err(WrongCosignature));
        let line = text.lines().last().expect("a line");
        let (start, encoded) = line.rsplit_once(' ').expect("a line");
        // The first bytes are the key id, then comes the time.
        let later = format!("{start} {}B{}", &encoded[..15], &encoded[16..]);
        assert_eq!(public.cosigned(text.replace(line, &later).as_bytes()), Err(WrongCosignature));
        let short = format!("{start} {}", &encoded[..8]);
        assert_eq!(public.cosigned(text.replace(line, &short).as_bytes()), Err(WrongCosignature));
    }

    #[test]
    fn the_key_of_a_log_is_no_key_of_a_witness() {
        let (key, _) = signed();
        assert_eq!(WitnessPublicKey::parse(&key.public().to_string()), None);
        let witness = WitnessKey::from_pkcs8("w", &key_of(9)).expect("a key").public();
        assert_eq!(crate::log::LogPublicKey::parse(&witness.to_string()), None);
    }

    #[test]
    fn what_is_no_signature_does_not_get_onto_a_note() {
        let (key, note) = signed();
        for wrong in ["", "\n", "\u{2014} w\n", "text\n", "\u{2014} w AAAAAA", "\u{2014} w !!!\n"] {
            let kept = with_cosignatures(&note, &[wrong.to_owned()]);
            assert!(key.public().open(&kept).is_ok(), "{wrong:?}");
        }
    }
}
