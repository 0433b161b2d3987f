//! Making an evidence file.

use super::archive::{self, Files};
use super::erds::{self, Seal};
use super::manifest::{self, Manifest};
use super::neighbour::word_path;
use super::receipt::Receipt;
use super::stamped::{self, EvidenceStamp};
use super::verify::{Broken, Fault, Verified};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::limits::{EVIDENCE_SEALED_MAX, EVIDENCE_SIZE_MAX};
use crate::log::{Checkpoint, EntryId, LogPublicKey};

/// Where the page for people stands.
pub(super) const PAGE: &str = "page.html";
/// What people read who open the file by hand.
const README: &str = include_str!("README.txt");

/// The pieces of an evidence file. Whoever makes one verifies it before giving it away
/// ([`super::verify()`]): nothing here is checked except that it can be packed.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The consignment it is about.
    pub consignment: ConsignmentId,
    /// The only recipient it is about; all of them if `None`.
    pub recipient: Option<Code>,
    /// The key of the log, for information.
    pub key: LogPublicKey,
    /// Its entries. Those of one epoch must be proven under one checkpoint.
    pub receipts: Vec<Receipt>,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// The verdict report's bytes.
    pub report: Vec<u8>,
    /// Certificates in DER: those of the actors, and those that the report used.
    pub certificates: Vec<Vec<u8>>,
    /// Revocation lists in DER that the report used.
    pub crls: Vec<Vec<u8>>,
    /// Time-stamps over checkpoints that cover the entries.
    pub stamps: Vec<EvidenceStamp>,
    /// The same for other delivery services: XML by the entry that it tells of.
    pub erds: Vec<(EntryId, String)>,
    /// The page for people ([`super::Verified::page`]), if there is one.
    pub page: Option<String>,
    /// Bodies, as far as they are enclosed.
    pub parts: Vec<EvidencePart>,
    /// Receipts of neighbour gateways, as their files, on which entries rest.
    pub words: Vec<Vec<u8>>,
    /// Salted texts by the entry that commits to them, as far as they are enclosed.
    pub notes: Vec<(EntryId, Vec<u8>)>,
}

/// One enclosed body.
#[derive(Debug, Clone)]
pub struct EvidencePart {
    /// Its place in the envelope's list, counted from 0.
    pub index: usize,
    /// Its name there.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The pieces do not make an evidence file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no evidence file can be made: {0}")]
pub struct NotBundled(pub Broken);

impl Evidence {
    /// The evidence file. The same pieces give the same bytes.
    ///
    /// # Errors
    /// [`NotBundled`] if it would be too large, if two pieces have the same name, or if the entries
    /// of one epoch are not proven under one checkpoint.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotBundled> {
        let bodies: usize = self.parts.iter().map(|part| part.bytes.len()).sum();
        if bodies >= EVIDENCE_SIZE_MAX {
            return Err(NotBundled(Broken::new(archive::ARCHIVE, Fault::TooLarge)));
        }
        let mut files = Files::new();
        self.collect(&mut files).map_err(NotBundled)?;
        let manifest = Manifest::of(self.consignment, self.recipient.clone(), &files);
        files.insert(manifest::PATH.to_owned(), manifest.render().into_bytes());
        archive::pack(&files).map_err(NotBundled)
    }

    /// Adds a sealed XML for each event of the standard, if there are not too many of them.
    pub fn seal(&mut self, verified: &Verified, seal: &dyn Seal, now: Time) {
        if verified.entries.len() > EVIDENCE_SEALED_MAX {
            return;
        }
        let of = |id| self.receipts.iter().find(|receipt| receipt.id == id);
        let sealed = verified.entries.iter().filter_map(|entry| {
            let receipt = of(entry.id())?.to_file();
            let told = erds::told(&verified.key.gateway, &verified.entries, &verified.parts, entry);
            let xml = erds::render(&told, receipt.as_bytes())?;
            Some((entry.id(), erds::sealed(&xml, seal, now)?))
        });
        self.erds = sealed.collect();
    }

    fn collect(&self, files: &mut Files) -> Result<(), Broken> {
        add(files, "README.txt".into(), README.as_bytes())?;
        add(files, "log.vkey".into(), format!("{}\n", self.key).as_bytes())?;
        add(files, "envelope.bin".into(), &self.envelope)?;
        add(files, report_path(&self.report), &self.report)?;
        for receipt in &self.receipts {
            let note = checkpoint_path(receipt.id.epoch);
            match files.get(&note) {
                Some(present) if *present == receipt.checkpoint => {}
                Some(_) => return Err(Broken::new(&note, Fault::OtherCheckpoint)),
                None => add(files, note, &receipt.checkpoint)?,
            }
            add(files, entry_path(receipt.id), &receipt.leaf)?;
            add(files, proof_path(receipt.id), receipt.to_proof().as_bytes())?;
        }
        for bytes in &self.certificates {
            files.insert(certificate_path(bytes), bytes.clone());
        }
        for bytes in &self.crls {
            files.insert(crl_path(bytes), bytes.clone());
        }
        for stamp in &self.stamps {
            let unreadable = || Broken::new("timestamps", Fault::Malformed);
            let covered = Checkpoint::claimed(&stamp.checkpoint).ok_or_else(unreadable)?;
            let [note, proof, token] = stamped::paths(covered.origin.epoch, covered.size);
            add(files, note, &stamp.checkpoint)?;
            add(files, proof, stamped::proof_file(&stamp.consistency).as_bytes())?;
            add(files, token, &stamp.token)?;
        }
        for (id, xml) in &self.erds {
            add(files, erds_path(*id), xml.as_bytes())?;
        }
        if let Some(page) = &self.page {
            add(files, PAGE.into(), page.as_bytes())?;
        }
        for part in &self.parts {
            add(files, part_path(part.index, &part.name), &part.bytes)?;
        }
        for word in &self.words {
            files.insert(word_path(&Sha256::of(word)), word.clone());
        }
        for (id, text) in &self.notes {
            add(files, note_path(*id), text)?;
        }
        Ok(())
    }
}

fn add(files: &mut Files, path: String, bytes: &[u8]) -> Result<(), Broken> {
    match files.insert(path.clone(), bytes.to_vec()) {
        None => Ok(()),
        Some(_) => Err(Broken::new(&path, Fault::Twice)),
    }
}

/// Paths of `FORMAT.md` §2.
pub(super) fn entry_path(id: EntryId) -> String {
    format!("entries/{}-{}.entry", id.epoch, id.index)
}

pub(super) fn proof_path(id: EntryId) -> String {
    format!("proofs/{}-{}.tlog-proof", id.epoch, id.index)
}

pub(super) fn note_path(id: EntryId) -> String {
    format!("notes/{}-{}.txt", id.epoch, id.index)
}

pub(super) fn erds_path(id: EntryId) -> String {
    format!("erds/{}-{}.xml", id.epoch, id.index)
}

pub(super) fn checkpoint_path(epoch: u32) -> String {
    format!("checkpoint-{epoch}")
}

pub(super) fn part_path(index: usize, name: &str) -> String {
    format!("parts/{:03}-{name}", index.saturating_add(1))
}

pub(super) fn report_path(bytes: &[u8]) -> String {
    format!("reports/{}.json", Sha256::of(bytes))
}

pub(super) fn certificate_path(bytes: &[u8]) -> String {
    format!("certificates/{}.der", Sha256::of(bytes))
}

pub(super) fn crl_path(bytes: &[u8]) -> String {
    format!("crls/{}.der", Sha256::of(bytes))
}
