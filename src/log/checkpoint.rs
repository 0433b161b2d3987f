//! Signed checkpoints: C2SP tlog-checkpoint in a C2SP signed-note with an Ed25519 signature.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::note::{self, ED25519_TYPE, Note, is_key_name};
use crate::digest::Sha256;

/// The name of one epoch of one log: `<gateway>/log/<epoch>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The gateway's name, for example its DNS name.
    pub gateway: String,
    /// The epoch, counted from 1.
    pub epoch: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/log/{}", self.gateway, self.epoch)
    }
}

impl Origin {
    /// The origin in `text`, in its only spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (gateway, epoch) = text.rsplit_once("/log/")?;
        let origin = Self { gateway: gateway.to_owned(), epoch: epoch.parse().ok()? };
        (origin.to_string() == text && is_key_name(gateway)).then_some(origin)
    }
}

/// What a checkpoint says: the log, its size and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Number of entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Sha256,
}

impl Checkpoint {
    /// The text that is signed and time-stamped.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.0))
    }

    /// What a note claims, its signature unchecked: for the store, which asks whether a note
    /// belongs to the tree beside it. Evidence goes through [`LogPublicKey::open`].
    pub fn claimed(note: &[u8]) -> Option<Self> {
        let (text, _) = std::str::from_utf8(note).ok()?.rsplit_once("\n\n")?;
        Self::parse(&format!("{text}\n"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let origin = Origin::parse(lines.next()?)?;
        let size: u64 = lines.next()?.parse().ok()?;
        let root = Sha256::from_slice(&BASE64.decode(lines.next()?).ok()?)?;
        let checkpoint = Self { origin, size, root };
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// The private key of the log.
pub struct LogKey {
    gateway: String,
    pair: Ed25519KeyPair,
}

/// The key file holds no Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS #8")]
pub struct NotAKey;

impl LogKey {
    /// The key of `gateway` from PKCS #8 DER.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_pkcs8(gateway: &str, der: &[u8]) -> Result<Self, NotAKey> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| NotAKey)?;
        Ok(Self { gateway: gateway.to_owned(), pair })
    }

    /// The public half.
    pub fn public(&self) -> LogPublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        LogPublicKey { gateway: self.gateway.clone(), key }
    }

    /// The signed note for `checkpoint`. Deterministic: the same checkpoint gives the same bytes.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let text = checkpoint.text();
        let name = checkpoint.origin.to_string();
        let signature = self.pair.sign(text.as_bytes());
        let line = note::line(&name, self.public().key_id(&name), signature.as_ref());
        format!("{text}\n{line}").into_bytes()
    }
}

/// The public key of a gateway's log, as auditors hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPublicKey {
    /// The gateway's name.
    pub gateway: String,
    key: [u8; 32],
}

impl fmt::Display for LogPublicKey {
    /// The key in C2SP vkey form, `<gateway>+<key id>+<base64>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&note::vkey(&self.gateway, ED25519_TYPE, &self.key))
    }
}

impl LogPublicKey {
    /// Reads the vkey form.
    pub fn parse(text: &str) -> Option<Self> {
        let (gateway, key) = note::parse_vkey(text, ED25519_TYPE)?;
        Some(Self { gateway, key })
    }

    /// SHA-256 of the raw public key: how the gateway names itself as an actor.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.key)
    }

    fn key_id(&self, name: &str) -> [u8; 4] {
        note::key_id(name, ED25519_TYPE, &self.key)
    }

    /// Checks a note: that it is a checkpoint of this gateway's log, signed with this key.
    /// Signatures of others on the same note are passed over.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, NoteError> {
        let note = Note::read(note).ok_or(NoteError::Malformed)?;
        let checkpoint = Checkpoint::parse(note.text).ok_or(NoteError::Malformed)?;
        if checkpoint.origin.gateway != self.gateway {
            return Err(NoteError::OtherLog);
        }
        let name = checkpoint.origin.to_string();
        let signature = note.signature(&name, self.key_id(&name)).ok_or(NoteError::Unsigned)?;
        UnparsedPublicKey::new(&ED25519, &self.key)
            .verify(note.text.as_bytes(), signature)
            .map(|()| SignedCheckpoint { checkpoint, _proven: () })
            .map_err(|_| NoteError::Signature)
    }
}

impl LogPublicKey {
    /// The note with this key's signature and no other.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn bare(&self, note: &[u8]) -> Result<Vec<u8>, NoteError> {
        let name = self.open(note)?.origin.to_string();
        let note = Note::read(note).ok_or(NoteError::Malformed)?;
        let id = self.key_id(&name);
        let signature = note.signature(&name, id).ok_or(NoteError::Unsigned)?;
        let line = note::line(&name, id, signature);
        Ok(format!("{}\n{line}", note.text).into_bytes())
    }
}

/// A checkpoint whose signature was checked. Only [`LogPublicKey::open`] makes one.
///
/// ```compile_fail
/// use vanthu::log::{Checkpoint, SignedCheckpoint};
/// fn forge(checkpoint: Checkpoint) -> SignedCheckpoint {
///     SignedCheckpoint { checkpoint, _proven: () }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    _proven: (),
}

impl std::ops::Deref for SignedCheckpoint {
    type Target = Checkpoint;

    fn deref(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// A note is not a checkpoint that this key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a checkpoint note.
    #[error("not a checkpoint note")]
    Malformed,
    /// A checkpoint of another log.
    #[error("the checkpoint belongs to another log")]
    OtherLog,
    /// No signature with this key.
    #[error("the checkpoint is not signed with this key")]
    Unsigned,
    /// A signature that does not verify.
    #[error("the signature on the checkpoint is wrong")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LogKey {
        LogKey::from_pkcs8("gate.example", &crate::log::format::key_of(7)).expect("a key")
    }

    fn checkpoint() -> Checkpoint {
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        Checkpoint { origin, size: 20_852_163, root: Sha256::of(b"root") }
    }

    #[test]
    fn a_signed_note_opens_with_its_key_only() {
        let note = key().sign(&checkpoint());
        let public = LogPublicKey::parse(&key().public().to_string()).expect("a vkey");
        assert_eq!(*public.open(&note).expect("signed"), checkpoint());

        let text = String::from_utf8(note.clone()).expect("text");
        assert!(text.starts_with("gate.example/log/1\n20852163\n"));
        let grown = text.replace("20852163", "20852164");
        assert_eq!(public.open(grown.as_bytes()), Err(NoteError::Signature));
        let renamed = text.replace("gate.example", "gate.invalid");
        assert_eq!(public.open(renamed.as_bytes()), Err(NoteError::OtherLog));
        let other = text.replace("/log/1 ", "/log/2 ");
        assert_eq!(public.open(other.as_bytes()), Err(NoteError::Unsigned));
        for wrong in ["", "\n\n", "a\nb\nc\n\n", &text[..text.len() - 1]] {
            assert_eq!(public.open(wrong.as_bytes()), Err(NoteError::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn signatures_of_others_are_passed_over() {
        let mut note = key().sign(&checkpoint());
        note.extend_from_slice("\u{2014} witness.example AAAAAAAAAAAA\n".as_bytes());
        assert_eq!(*key().public().open(&note).expect("signed"), checkpoint());
    }
}
