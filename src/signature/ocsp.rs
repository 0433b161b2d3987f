//! OCSP responses (RFC 6960): what an authority, or someone it appointed, says about a certificate.
//!
//! Responses are never fetched here; they come with documents and are only candidates. An answer
//! counts if it is about this very certificate and its signer may give it; *unknown* is never good.

use std::sync::Arc;

use ring::digest;

use super::algorithm::{Algorithm, Hash, Outcome, verify};
use super::asn1::{self, Malformed, Value, tag, trimmed};
use super::certificate::Certificate;
use super::cms;
use super::crl::{Revocation, State};
use super::crypto_policy::{Strength, Use};
use super::extension::Extension;
use super::name::{CanonicalName, Name};
use super::purpose::{issuer_raw, key_bits, may_answer_for_authority};
use super::trust::Trust;
use crate::clock::Time;
use crate::limits::{CERTIFICATES_MAX, OCSP_AGE_MAX, OCSP_ANSWERS_MAX, OCSP_RESPONDERS_MAX};

/// Why a response decides nothing about a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the response is about another certificate")]
    OtherCertificate,
    #[error("the response answers twice about the certificate")]
    Doubled,
    #[error("the responder does not know the certificate")]
    Unknown,
    #[error("the response has the unknown critical extension {0}")]
    Extension(String),
    #[error("the signature of the response is not that of its responder")]
    Signature,
    #[error("the responder may not answer for the authority")]
    Responder,
    #[error("the responder's certificate was not valid when it answered")]
    ResponderExpired,
    #[error("the response is too weakly signed: {0}")]
    Weak(String),
    #[error("the response is signed with {0}, which this version does not judge")]
    Unsupported(String),
}

/// What is said about one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked(Revocation),
    Unknown,
}

/// SingleResponse.
#[derive(Debug)]
pub(super) struct Answer {
    hash: Hash,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
    pub status: Status,
    pub this_update: Time,
    next_update: Option<Time>,
    unknown_critical: Option<String>,
}

/// BasicOCSPResponse.
#[derive(Debug)]
pub(super) struct Response {
    responder: ResponderId,
    pub produced_at: Time,
    answers: Vec<Answer>,
    certificates: Vec<Vec<u8>>,
    unknown_critical: Option<String>,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    value: Vec<u8>,
}

#[derive(Debug)]
enum ResponderId {
    Name(CanonicalName),
    /// SHA-1 of the public key.
    Key(Vec<u8>),
}

/// Who signed a response.
#[derive(Debug, Clone)]
pub(super) enum Responder {
    /// The authority itself.
    Authority,
    /// Someone it appointed; whether *that* certificate was revoked is another question.
    Appointed(Arc<Certificate>),
}

const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const ENUMERATED: u8 = 0x0a;
const CONTEXT_2: u8 = 0xa2;
const HOLD: u8 = 6;

impl Response {
    /// Reads an OCSPResponse; one without an answer (`tryLater`, `unauthorized`) is malformed here.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let mut parts = asn1::only(der, tag::SEQUENCE)?.children();
        if parts.expect(ENUMERATED)?.content != [0] {
            return Err(Malformed);
        }
        let wrapper = parts.expect(tag::CONTEXT_0)?;
        let mut bytes = wrapper.children().expect(tag::SEQUENCE)?.children();
        if bytes.expect(tag::OBJECT_IDENTIFIER)?.content != BASIC {
            return Err(Malformed);
        }
        Self::from_basic(&bytes.octets(tag::OCTET_STRING)?)
    }

    /// Reads a BasicOCSPResponse.
    pub fn from_basic(der: &[u8]) -> Result<Self, Malformed> {
        let mut parts = asn1::only(der, tag::SEQUENCE)?.children();
        let data = parts.expect(tag::SEQUENCE)?;
        let algorithm_raw = parts.expect(tag::SEQUENCE)?.raw;
        let (0, value) = bits(parts.expect(tag::BIT_STRING)?)? else { return Err(Malformed) };
        let mut certificates = Vec::new();
        if let Some(wrapper) = parts.optional(tag::CONTEXT_0)? {
            let mut list = wrapper.children().expect(tag::SEQUENCE)?.children();
            while !list.is_empty() && certificates.len() < CERTIFICATES_MAX {
                certificates.push(list.read()?.raw.to_vec());
            }
        }
        let mut fields = data.children();
        fields.optional(tag::CONTEXT_0)?;
        let responder = responder_id(fields.read()?)?;
        let produced_at = cms::time(fields.expect(tag::GENERALIZED_TIME)?).ok_or(Malformed)?;
        let mut list = fields.expect(tag::SEQUENCE)?.children();
        let mut answers = Vec::new();
        while !list.is_empty() {
            if answers.len() >= OCSP_ANSWERS_MAX {
                return Err(Malformed);
            }
            answers.push(Answer::read(list.expect(tag::SEQUENCE)?)?);
        }
        Ok(Self {
            responder,
            produced_at,
            answers,
            certificates,
            unknown_critical: unknown_critical(fields.optional(tag::CONTEXT_1)?)?,
            tbs: data.raw.to_vec(),
            algorithm: Algorithm::from_identifier(algorithm_raw)?,
            value: value.to_vec(),
        })
    }

    /// What it says about `certificate`, which `issuer` issued, and who says so. `strangers` are
    /// certificates from elsewhere among which an appointed responder may be.
    pub fn answer(
        &self,
        strength: Strength<'_>,
        trust: &Trust,
        certificate: &Certificate,
        issuer: &Certificate,
        strangers: &[Arc<Certificate>],
    ) -> Result<(&Answer, Responder), Unusable> {
        let mut fitting = self.answers.iter().filter(|answer| answer.is_about(certificate, issuer));
        let answer = fitting.next().ok_or(Unusable::OtherCertificate)?;
        if fitting.next().is_some() {
            return Err(Unusable::Doubled);
        }
        let unknown = self.unknown_critical.as_ref().or(answer.unknown_critical.as_ref());
        if let Some(oid) = unknown {
            return Err(Unusable::Extension(oid.clone()));
        }
        let responder = self.responder(strength, trust, issuer, strangers)?;
        match answer.status {
            Status::Unknown => Err(Unusable::Unknown),
            _ => Ok((answer, responder)),
        }
    }

    /// RFC 6960 §4.2.2.2: the authority itself, or someone whom this very authority appointed.
    fn responder(
        &self,
        strength: Strength<'_>,
        trust: &Trust,
        issuer: &Certificate,
        strangers: &[Arc<Certificate>],
    ) -> Result<Responder, Unusable> {
        if self.is_named(issuer) {
            return self.verified_by(strength, issuer).map(|()| Responder::Authority);
        }
        let embedded = self.certificates.iter().filter_map(|der| trust.certificate(der).ok());
        let known = strangers.iter().cloned().chain(trust.all().cloned());
        let mut worst = Unusable::Responder;
        let named = embedded.chain(known).filter(|candidate| self.is_named(candidate));
        for candidate in named.take(OCSP_RESPONDERS_MAX) {
            match self.appointed(strength, trust, issuer, &candidate) {
                Ok(()) => return Ok(Responder::Appointed(candidate)),
                Err(why) => worst = why,
            }
        }
        Err(worst)
    }

    fn appointed(
        &self,
        strength: Strength<'_>,
        trust: &Trust,
        issuer: &Certificate,
        candidate: &Certificate,
    ) -> Result<(), Unusable> {
        let issued = candidate.issuer.canonical == issuer.subject.canonical;
        if !issued || !may_answer_for_authority(candidate) {
            return Err(Unusable::Responder);
        }
        let weakness = match trust.link(candidate, issuer) {
            Outcome::Valid { used } => strength.weakness(&used, Use::Certificate),
            Outcome::Invalid => return Err(Unusable::Responder),
            Outcome::Unsupported(name) => return Err(Unusable::Unsupported(name)),
        };
        if !candidate.is_valid_at(self.produced_at) {
            return Err(Unusable::ResponderExpired);
        }
        self.verified_by(strength, candidate)?;
        weakness.map_or(Ok(()), |weakness| Err(Unusable::Weak(weakness.what)))
    }

    fn is_named(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            ResponderId::Name(name) => certificate.subject.canonical == *name,
            ResponderId::Key(key) => key_bits(certificate).is_ok_and(|bits| {
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits).as_ref() == key.as_slice()
            }),
        }
    }

    fn verified_by(&self, strength: Strength<'_>, signer: &Certificate) -> Result<(), Unusable> {
        match verify(&signer.key, &self.algorithm, None, &self.tbs, &self.value) {
            Outcome::Valid { used } => {
                let weakness = strength.weakness(&used, Use::Revocation);
                weakness.map_or(Ok(()), |weakness| Err(Unusable::Weak(weakness.what)))
            }
            Outcome::Invalid => Err(Unusable::Signature),
            Outcome::Unsupported(name) => Err(Unusable::Unsupported(name)),
        }
    }
}

impl Answer {
    fn read(single: Value<'_>) -> Result<Self, Malformed> {
        let mut fields = single.children();
        let mut id = fields.expect(tag::SEQUENCE)?.children();
        let mut algorithm = id.expect(tag::SEQUENCE)?.children();
        let hash = Hash::from_oid(algorithm.expect(tag::OBJECT_IDENTIFIER)?.content);
        let issuer_name = id.expect(tag::OCTET_STRING)?.content.to_vec();
        let issuer_key = id.expect(tag::OCTET_STRING)?.content.to_vec();
        let serial = trimmed(id.expect(tag::INTEGER)?.content).to_vec();
        let status = status(fields.read()?)?;
        let this_update = cms::time(fields.expect(tag::GENERALIZED_TIME)?).ok_or(Malformed)?;
        let next_update = match fields.optional(tag::CONTEXT_0)? {
            Some(wrapper) => {
                let value = wrapper.children().expect(tag::GENERALIZED_TIME)?;
                Some(cms::time(value).ok_or(Malformed)?)
            }
            None => None,
        };
        let unknown_critical = unknown_critical(fields.optional(tag::CONTEXT_1)?)?;
        Ok(Self {
            hash,
            issuer_name,
            issuer_key,
            serial,
            status,
            this_update,
            next_update,
            unknown_critical,
        })
    }

    /// Until when it says anything.
    pub fn until(&self) -> Time {
        self.next_update.unwrap_or_else(|| self.this_update.after(OCSP_AGE_MAX))
    }

    /// CertID: the issuer's name, the issuer's key and the number must all fit.
    fn is_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let Some(algorithm) = self.hash.ring() else { return false };
        let (Ok(name), Ok(key)) = (issuer_raw(certificate), key_bits(issuer)) else { return false };
        let is = |bytes: &[u8], hashed: &[u8]| digest::digest(algorithm, bytes).as_ref() == hashed;
        self.serial == certificate.serial
            && is(name, &self.issuer_name)
            && is(key, &self.issuer_key)
    }
}

fn bits(value: Value<'_>) -> Result<(u8, &[u8]), Malformed> {
    value.content.split_first().map(|(unused, rest)| (*unused, rest)).ok_or(Malformed)
}

fn responder_id(value: Value<'_>) -> Result<ResponderId, Malformed> {
    let inner = value.children().read()?;
    match value.tag {
        tag::CONTEXT_1 => Ok(ResponderId::Name(Name::from_der(inner.raw)?.canonical)),
        CONTEXT_2 => Ok(ResponderId::Key(inner.octets(tag::OCTET_STRING)?.into_owned())),
        _ => Err(Malformed),
    }
}

fn status(value: Value<'_>) -> Result<Status, Malformed> {
    match value.tag {
        0x80 => Ok(Status::Good),
        0x82 => Ok(Status::Unknown),
        tag::CONTEXT_1 => {
            let mut fields = value.children();
            let at = cms::time(fields.expect(tag::GENERALIZED_TIME)?).ok_or(Malformed)?;
            let reason = match fields.optional(tag::CONTEXT_0)? {
                Some(wrapper) => wrapper.children().expect(ENUMERATED)?.content.last().copied(),
                None => None,
            };
            let state = if reason == Some(HOLD) { State::OnHold } else { State::Revoked };
            Ok(Status::Revoked(Revocation { at, state }))
        }
        _ => Err(Malformed),
    }
}

/// The first critical extension; none that exists changes what an answer says.
fn unknown_critical(wrapper: Option<Value<'_>>) -> Result<Option<String>, Malformed> {
    let Some(wrapper) = wrapper else { return Ok(None) };
    Extension::first_critical(wrapper.children().expect(tag::SEQUENCE)?.children())
}

#[cfg(test)]
#[path = "ocsp_tests.rs"]
mod tests;
