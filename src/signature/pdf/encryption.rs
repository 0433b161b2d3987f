//! What the encryption dictionary says (ISO 32000-1 §7.6): which objects are encrypted and how.
//!
//! The file has one encryption: a revision that brings another one would show other objects to the
//! programs that read only the newest trailer.

use std::collections::BTreeSet;

use super::cipher::{Cipher, Id};
use super::document::{Document, indirect};
use super::object::{Dictionary, Object};
use super::password::Lock;
use super::xref::Entry;

/// Characters of an unknown name that a report repeats; real ones have up to 20.
const NAME_SHOWN_MAX: usize = 64;

/// How to decrypt the strings and streams of a file.
#[derive(Debug)]
pub(super) struct Encryption {
    key: Vec<u8>,
    strings: Cipher,
    streams: Cipher,
    encrypts_metadata: bool,
    /// The object that holds the dictionary; its own strings are plain.
    number: Option<u32>,
}

/// Why an encrypted file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// It asks for a password.
    Password,
    /// It is encrypted for the holders of certain keys.
    Recipients,
    /// With what is not judged here, by name.
    NotJudged(String),
    /// The dictionary does not say what it must.
    Unreadable,
    /// Its revisions are encrypted differently.
    Differs,
}

impl Encryption {
    /// The encryption of a file, if there is one.
    pub fn of(document: &Document<'_>) -> Result<Option<Self>, Closed> {
        // The oldest section of a linearised file may say nothing but its size (ISO 32000-1 annex F).
        let trailers = document.sections.iter().map(|section| &section.trailer);
        let trailers = trailers.filter(|trailer| trailer.get("Root").is_some());
        let all: Vec<_> =
            trailers.map(|trailer| (trailer.get("Encrypt"), file_id(trailer))).collect();
        if all.iter().all(|(encryption, _)| encryption.is_none()) {
            return Ok(None);
        }
        let Some((&(first, file_id), older)) = all.split_first() else { return Ok(None) };
        if older.iter().any(|other| *other != (first, file_id)) {
            return Err(Closed::Differs);
        }
        let (first, file_id) = (first.ok_or(Closed::Differs)?, file_id.unwrap_or_default());
        let (dictionary, number) = match first {
            Object::Dictionary(dictionary) => (dictionary.clone(), None),
            Object::Reference(number, _) => (indirectly(document, *number)?, Some(*number)),
            _ => return Err(Closed::Unreadable),
        };
        Self::read(&dictionary, number, file_id).map(Some)
    }

    fn read(dictionary: &Dictionary, number: Option<u32>, file_id: &[u8]) -> Result<Self, Closed> {
        match dictionary.name("Filter") {
            Some(b"Standard") => {}
            Some(b"Adobe.PubSec") => return Err(Closed::Recipients),
            Some(other) => return Err(named("the security handler", other)),
            None => return Err(Closed::Unreadable),
        }
        if dictionary.has_doubles {
            return Err(Closed::Unreadable);
        }
        let integer = |key| dictionary.integer(key).ok_or(Closed::Unreadable);
        let (version, revision) = (integer("V")?, integer("R")?);
        let (strings, streams) = match version {
            1 | 2 => (Cipher::Rc4, Cipher::Rc4),
            4 | 5 => (filter(dictionary, "StrF")?, filter(dictionary, "StmF")?),
            other => return Err(Closed::NotJudged(format!("encryption of version {other}"))),
        };
        let fits = match version {
            5 => matches!(revision, 5 | 6),
            _ => matches!(revision, 2..=4),
        };
        let is_long = |cipher| cipher == Cipher::AesV3;
        if !fits || (version == 5) != (is_long(strings) || is_long(streams)) {
            let name = format!("encryption of version {version} and revision {revision}");
            return Err(Closed::NotJudged(name));
        }
        let text = |key| match dictionary.get(key) {
            Some(Object::String(text)) => Ok(&text.bytes[..]),
            _ => Err(Closed::Unreadable),
        };
        let encrypts_metadata =
            version < 4 || dictionary.get("EncryptMetadata") != Some(&Object::Boolean(false));
        let lock = Lock {
            revision,
            key_size: key_size(dictionary, version)?,
            owner: text("O")?,
            user: text("U")?,
            user_key: if version == 5 { text("UE")? } else { &[] },
            permissions: integer("P")?,
            file_id,
            encrypts_metadata,
        };
        let key = lock.open().ok_or(Closed::Password)?;
        Ok(Self { key, strings, streams, encrypts_metadata, number })
    }

    /// Decrypts the strings of an object that stands openly in the file.
    pub fn object(&self, id: Id, object: &mut Object) -> Option<()> {
        if self.number == Some(id.0) || self.strings == Cipher::Identity {
            return Some(());
        }
        self.strings_in(id, object)
    }

    fn strings_in(&self, id: Id, object: &mut Object) -> Option<()> {
        match object {
            Object::String(text) => {
                text.bytes = self.strings.decrypt(&self.key, id, &text.bytes)?;
            }
            Object::Array(items) => {
                for item in items {
                    self.strings_in(id, item)?;
                }
            }
            Object::Dictionary(dictionary) => {
                // The value of a signature stays as it is (ISO 32000-1 §7.6.1).
                let is_signature = dictionary.get("ByteRange").is_some();
                for (key, value) in dictionary.entries.iter_mut() {
                    if !(is_signature && key == b"Contents") {
                        self.strings_in(id, value)?;
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    /// The bytes of the stream with this dictionary, still packed.
    pub fn stream(&self, id: Id, dictionary: &Dictionary, bytes: &[u8]) -> Option<Vec<u8>> {
        self.cipher_of(dictionary)?.decrypt(&self.key, id, bytes)
    }

    /// `None` for a stream with a crypt filter of its own that is not judged.
    fn cipher_of(&self, dictionary: &Dictionary) -> Option<Cipher> {
        let is_plain = dictionary.is("Type", "XRef")
            || dictionary.is("Type", "Metadata") && !self.encrypts_metadata;
        let first = |key| match dictionary.get(key) {
            Some(Object::Array(items)) => items.first(),
            value => value,
        };
        let has_own = matches!(first("Filter"), Some(Object::Name(name)) if name == b"Crypt");
        if is_plain || !has_own {
            return Some(if is_plain { Cipher::Identity } else { self.streams });
        }
        // ISO 32000-1 table 14: without a name it is the identity.
        match first("DecodeParms") {
            None | Some(Object::Null) => Some(Cipher::Identity),
            Some(Object::Dictionary(own)) => match own.name("Name") {
                None | Some(b"Identity") => Some(Cipher::Identity),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The dictionary in an object of its own, which must be the same in every revision.
fn indirectly(document: &Document<'_>, number: u32) -> Result<Dictionary, Closed> {
    let entries = document.sections.iter().filter_map(|section| section.entries.get(number));
    let entries: BTreeSet<Option<u64>> = entries
        .map(|entry| match entry {
            Entry::At { offset } => Some(*offset),
            _ => None,
        })
        .collect();
    let mut found: Option<Dictionary> = None;
    for place in entries {
        let offset = place.ok_or(Closed::Differs)?;
        let read = document.file.parse(offset, u64::MAX, indirect);
        let dictionary = match read {
            Ok((at, Object::Dictionary(dictionary), None)) if at == u64::from(number) => dictionary,
            _ => return Err(Closed::Unreadable),
        };
        if found.replace(dictionary.clone()).is_some_and(|known| known != dictionary) {
            return Err(Closed::Differs);
        }
    }
    found.ok_or(Closed::Unreadable)
}

/// The first part of `/ID`.
fn file_id(trailer: &Dictionary) -> Option<&[u8]> {
    match trailer.get("ID") {
        Some(Object::Array(parts)) => match parts.first() {
            Some(Object::String(text)) => Some(&text.bytes),
            _ => None,
        },
        _ => None,
    }
}

/// The crypt filter under `key` (ISO 32000-1 §7.6.5).
fn filter(dictionary: &Dictionary, key: &str) -> Result<Cipher, Closed> {
    let name = match dictionary.name(key) {
        None | Some(b"Identity") => return Ok(Cipher::Identity),
        Some(name) => name,
    };
    let Some(Object::Dictionary(filters)) = dictionary.get("CF") else {
        return Err(Closed::Unreadable);
    };
    let Some(Object::Dictionary(filter)) = filters.entries.get(name) else {
        return Err(Closed::Unreadable);
    };
    match filter.name("CFM") {
        Some(b"V2") => Ok(Cipher::Rc4),
        Some(b"AESV2") => Ok(Cipher::AesV2),
        Some(b"AESV3") => Ok(Cipher::AesV3),
        Some(other) => Err(named("the cipher", other)),
        None => Err(Closed::Unreadable),
    }
}

/// Bytes of the key; `/Length` counts bits, and in a crypt filter often bytes.
fn key_size(dictionary: &Dictionary, version: i64) -> Result<usize, Closed> {
    let bits = match version {
        1 => 40,
        2 => dictionary.unsigned("Length").unwrap_or(40),
        4 => dictionary.unsigned("Length").filter(|&length| length >= 40).unwrap_or(128),
        _ => 256,
    };
    let is_possible = version == 5 || (40..=128).contains(&bits) && bits % 8 == 0;
    let bytes = usize::try_from(bits / 8).ok().filter(|_| is_possible);
    bytes.ok_or_else(|| Closed::NotJudged(format!("encryption with a key of {bits} bits")))
}

fn named(what: &str, name: &[u8]) -> Closed {
    // A name may hold any bytes; a report is text.
    let name: String = name.escape_ascii().take(NAME_SHOWN_MAX).map(char::from).collect();
    Closed::NotJudged(format!("{what} {name}"))
}
