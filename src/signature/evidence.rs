//! What a document brings along for its own judgement: revocation data and proofs of existence.
//!
//! Revocation data from a document is never trusted for standing there (C6); each list and response
//! is verified like one from anywhere else, when it is needed and not before.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::algorithm::Outcome;
use super::archive::Archive;
use super::asn1::{Malformed, Value, tag};
use super::certificate::Certificate;
use super::cms::{SignedData, SignerInfo, oid};
use super::crl::Crl;
use super::ocsp::Response;
use super::timestamp::Existed;
use super::trust::Trust;
use crate::digest::Sha256;
use crate::limits::{
    CERTIFICATES_MAX, EMBEDDED_REVOCATIONS_MAX, EMBEDDED_REVOCATIONS_SIZE_MAX,
    REVOCATION_CHECKS_MAX,
};

/// How a piece of revocation data is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    List,
    Response,
    /// BasicOCSPResponse without its envelope.
    BasicResponse,
}

/// A piece of revocation data, read.
#[derive(Debug)]
pub(super) enum Revocations {
    List(Box<Crl>),
    Response(Box<Response>),
}

/// A piece of revocation data from a document.
#[derive(Debug)]
pub(super) struct Piece {
    packing: Packing,
    der: Vec<u8>,
    /// Where it ends in the file, if a time-stamp over the file could cover it.
    pub end: Option<u64>,
    read: OnceCell<Option<Revocations>>,
    /// Whether a list was made by these keys.
    verified: RefCell<Vec<(Sha256, Outcome)>>,
}

impl Piece {
    /// What it says; `None` if it cannot be read.
    pub fn read(&self) -> Option<&Revocations> {
        let answer =
            |read: Result<Response, Malformed>| read.ok().map(Box::new).map(Revocations::Response);
        let read = || match self.packing {
            Packing::List => Crl::from_der(&self.der).ok().map(Box::new).map(Revocations::List),
            Packing::Response => answer(Response::from_der(&self.der)),
            Packing::BasicResponse => answer(Response::from_basic(&self.der)),
        };
        self.read.get_or_init(read).as_ref()
    }

    /// Whether `issuer` made `crl`, which is this piece.
    pub fn verified_by(&self, crl: &Crl, issuer: &Certificate) -> Outcome {
        let mut verified = self.verified.borrow_mut();
        if let Some((_, known)) = verified.iter().find(|(key, _)| *key == issuer.fingerprint()) {
            return known.clone();
        }
        let outcome = crl.verified_by(issuer, &issuer.key);
        verified.push((issuer.fingerprint(), outcome.clone()));
        outcome
    }
}

/// Everything a document brings along; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Material {
    pieces: Vec<Rc<Piece>>,
    pub certificates: Vec<Arc<Certificate>>,
    /// Pieces that were looked into for some certificate, in the whole document.
    spent: Rc<Cell<usize>>,
}

/// Where what stands in a CMS ends, for the question whether a time-stamp covers it.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    /// All of it ends with the CMS in the file, if that is where time-stamps are.
    File(Option<u64>),
    /// Archive time-stamps in the CMS itself say what they cover.
    Archived(&'a Archive<'a>),
}

impl Extent<'_> {
    fn of_revocation(&self, info: &SignerInfo<'_>, raw: &[u8]) -> Option<u64> {
        match self {
            Self::File(end) => *end,
            Self::Archived(archive) => Some(archive.end_of_revocation(info, raw)),
        }
    }

    fn of_attribute(&self, info: &SignerInfo<'_>, kind: &[u8], value: &[u8]) -> Option<u64> {
        match self {
            Self::File(end) => *end,
            Self::Archived(archive) => Some(archive.end_of_attribute(info, kind, value)),
        }
    }

    /// Signed attributes are covered by whatever covers the signature.
    fn of_signed(&self) -> Option<u64> {
        match self {
            Self::File(end) => *end,
            Self::Archived(archive) => Some(archive.place().end),
        }
    }
}

/// id-ri-ocsp-response (RFC 5940 §2.1).
const OTHER_OCSP: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x10, 0x02];

impl Material {
    pub fn add(&mut self, packing: Packing, der: &[u8], end: Option<u64>) {
        let size: usize = self.pieces.iter().map(|piece| piece.der.len()).sum();
        if self.pieces.len() < EMBEDDED_REVOCATIONS_MAX
            && size.saturating_add(der.len()) <= EMBEDDED_REVOCATIONS_SIZE_MAX
        {
            let (read, verified) = (OnceCell::new(), RefCell::default());
            let piece = Piece { packing, der: der.to_vec(), end, read, verified };
            self.pieces.push(Rc::new(piece));
        }
    }

    /// The pieces, while the document's budget for them lasts.
    pub fn within_budget(&self) -> impl Iterator<Item = &Rc<Piece>> {
        self.pieces.iter().take_while(|_| {
            self.spent.set(self.spent.get() + 1);
            self.spent.get() <= REVOCATION_CHECKS_MAX
        })
    }

    /// A certificate that cannot be read is left out.
    pub fn add_certificate(&mut self, trust: &Trust, der: &[u8]) {
        if self.certificates.len() < 4 * CERTIFICATES_MAX {
            self.certificates.extend(trust.certificate(der).ok());
        }
    }

    /// This and what stands in a CMS.
    pub fn with_cms(
        &self,
        trust: &Trust,
        data: &SignedData<'_>,
        info: &SignerInfo<'_>,
        extent: Extent<'_>,
    ) -> Self {
        let mut material = self.clone();
        for value in &data.revocations {
            let end = extent.of_revocation(info, value.raw);
            match value.tag {
                tag::SEQUENCE => material.add(Packing::List, value.raw, end),
                tag::CONTEXT_1 => {
                    let mut parts = value.children();
                    let is_ocsp = parts
                        .expect(tag::OBJECT_IDENTIFIER)
                        .is_ok_and(|oid| oid.content == OTHER_OCSP);
                    if let (true, Ok(response)) = (is_ocsp, parts.read()) {
                        material.add(Packing::Response, response.raw, end);
                    }
                }
                _ => {}
            }
        }
        // What cannot be read is no candidate; nothing here can fail a signature.
        for values in info.unsigned(oid::REVOCATION_VALUES) {
            let end = extent.of_attribute(info, oid::REVOCATION_VALUES, values.raw);
            let _ = material.add_values(values, Packing::BasicResponse, end);
        }
        if let Some(attributes) = &info.signed_attributes {
            for values in attributes.all(oid::REVOCATION_ARCHIVAL) {
                let _ = material.add_values(values, Packing::Response, extent.of_signed());
            }
        }
        for list in info.unsigned(oid::CERTIFICATE_VALUES) {
            let mut list = list.children();
            while let Ok(certificate) = list.read() {
                material.add_certificate(trust, certificate.raw);
            }
        }
        material
    }

    /// `[0]` holds CRLs and `[1]` responses, both in RFC 5126 §6.3.4 and in adbe-revocationInfoArchival.
    fn add_values(
        &mut self,
        values: Value<'_>,
        responses: Packing,
        end: Option<u64>,
    ) -> Result<(), Malformed> {
        let mut parts = values.children();
        while !parts.is_empty() {
            let part = parts.read()?;
            let packing = match part.tag {
                tag::CONTEXT_0 => Packing::List,
                tag::CONTEXT_1 => responses,
                _ => continue,
            };
            let mut list = part.children().expect(tag::SEQUENCE)?.children();
            while !list.is_empty() {
                self.add(packing, list.read()?.raw, end);
            }
        }
        Ok(())
    }
}

/// Proofs of existence from time-stamps over the file (EN 319 102-1 §5.6.2.3).
#[derive(Debug, Clone, Default)]
pub(super) struct Proofs(Vec<Proof>);

#[derive(Debug, Clone)]
enum Covered {
    /// Everything before this offset.
    UpTo(u64),
    /// What ends at these offsets, and nothing else.
    Only(Vec<u64>),
}

#[derive(Debug, Clone)]
struct Proof {
    /// What existed.
    covered: Covered,
    /// Where the time-stamp itself ends.
    end: u64,
    existed: Existed,
}

impl Proof {
    fn covers(&self, end: u64) -> bool {
        match &self.covered {
            Covered::UpTo(covered) => end <= *covered,
            Covered::Only(ends) => ends.contains(&end),
        }
    }
}

impl Proofs {
    /// A time-stamp that covers the file up to `covered` and itself ends at `end`.
    pub fn add(&mut self, covered: u64, end: u64, existed: Existed) {
        self.0.push(Proof { covered: Covered::UpTo(covered), end, existed });
    }

    /// A time-stamp that covers what ends at `ends`.
    pub fn add_only(&mut self, ends: Vec<u64>, end: u64, existed: Existed) {
        self.0.push(Proof { covered: Covered::Only(ends), end, existed });
    }

    /// What is proven about everything that stands within what ends at `end`.
    pub fn within(&self, end: u64) -> Self {
        let around = |proof: &Proof| Proof {
            covered: Covered::UpTo(u64::MAX),
            end: u64::MAX,
            existed: proof.existed,
        };
        Self(self.0.iter().filter(|proof| proof.covers(end)).map(around).collect())
    }

    /// The earliest proof that what ends at `end` existed.
    pub fn of(&self, end: u64) -> Option<Existed> {
        let fitting = self.0.iter().filter(|proof| proof.covers(end));
        fitting.map(|proof| proof.existed).min_by_key(Existed::at)
    }

    /// The latest time-stamp inside what is signed up to `covered`: no such signature is older.
    pub fn inside(&self, covered: u64) -> Option<Existed> {
        let fitting = self.0.iter().filter(|proof| proof.end <= covered);
        fitting.map(|proof| proof.existed).max_by_key(Existed::at)
    }
}
