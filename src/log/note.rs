//! Signed notes (C2SP signed-note): a text, a blank line, and lines of signatures; and the keys that
//! make them, in vkey form. What a text means and which signatures count is decided elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::digest::Sha256;

/// Signature type of Ed25519.
pub(super) const ED25519_TYPE: u8 = 0x01;
/// Signature type of Ed25519 cosignatures (C2SP tlog-cosignature).
pub(super) const COSIGNATURE_TYPE: u8 = 0x04;
/// A note; ours have about 200 bytes, cosignatures add 150 each.
pub(super) const NOTE_SIZE_MAX: usize = 16 * 1024;
/// Bytes of a key id.
const KEY_ID_SIZE: usize = 4;

/// A note as it was received: nothing about it is known to be true.
#[derive(Debug)]
pub(super) struct Note<'a> {
    /// What is signed, with its last line feed.
    pub(super) text: &'a str,
    signatures: Vec<Signature<'a>>,
}

/// One line below the blank one.
#[derive(Debug)]
struct Signature<'a> {
    name: &'a str,
    /// Key id and signature.
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Reads a note; `None` if it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > NOTE_SIZE_MAX {
            return None;
        }
        let note = std::str::from_utf8(bytes).ok()?;
        let end = note.rfind("\n\n")?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let lines = signatures.strip_suffix('\n')?.split('\n');
        Some(Self { text, signatures: lines.map(read_line).collect::<Option<_>>()? })
    }

    /// The first signature of this key, without the key's id.
    pub(super) fn signature(&self, name: &str, id: [u8; KEY_ID_SIZE]) -> Option<&[u8]> {
        let by_key = |line: &&Signature<'_>| line.name == name && line.bytes.starts_with(&id);
        self.signatures.iter().find(by_key).and_then(|line| line.bytes.get(KEY_ID_SIZE..))
    }
}

fn read_line(line: &str) -> Option<Signature<'_>> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    Some(Signature { name, bytes: BASE64.decode(encoded).ok()? })
}

/// The line of a signature, with its line feed.
pub(super) fn line(name: &str, id: [u8; KEY_ID_SIZE], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", BASE64.encode([&id[..], signature].concat()))
}

/// Signed-note key names: not empty, no spaces, no plus.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// The id of a key under a name: the first bytes of SHA-256(name ‖ LF ‖ type ‖ key).
pub(super) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; KEY_ID_SIZE] {
    let digest = Sha256::of_parts(&[name.as_bytes(), b"\n", &[kind], key]);
    let mut id = [0; KEY_ID_SIZE];
    id.copy_from_slice(&digest.0[..KEY_ID_SIZE]);
    id
}

/// A public key in vkey form.
pub(super) fn vkey(name: &str, kind: u8, key: &[u8; 32]) -> String {
    let id = crate::digest::hex(&key_id(name, kind, key));
    format!("{name}+{id}+{}", BASE64.encode([&[kind], &key[..]].concat()))
}

/// Name and key of a vkey of this type, in its only spelling.
pub(super) fn parse_vkey(text: &str, kind: u8) -> Option<(String, [u8; 32])> {
    let text = text.trim();
    let (name, rest) = text.split_once('+')?;
    let (_, encoded) = rest.split_once('+')?;
    let bytes = BASE64.decode(encoded).ok()?;
    let key: [u8; 32] = bytes.strip_prefix(&[kind])?.try_into().ok()?;
    (is_key_name(name) && vkey(name, kind, &key) == text).then(|| (name.to_owned(), key))
}
