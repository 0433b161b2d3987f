//! Certificate revocation lists, read once and indexed by serial number.
//!
//! A list says for which certificates and reasons it speaks ([`Scope`]); [`super::revocation`]
//! decides with it. What cannot be processed makes the whole list unusable, with the reason.

use std::collections::HashMap;

use super::algorithm::{Algorithm, Key, Outcome, verify};
use super::asn1::{self, Malformed, Reader, Value, only, tag};
use super::certificate::{Certificate, Signed};
use super::cms;
use super::distribution::Scope;
use super::extension::Extension;
use super::name::{CanonicalName, Name};
use crate::clock::Time;
use crate::limits::CRL_SIZE_MAX;

/// How an entry takes the certificate out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Revoked,
    /// certificateHold: may come back.
    OnHold,
    /// removeFromCRL in a delta list: came back.
    Removed,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revocation {
    pub at: Time,
    pub state: State,
}

/// One CRL.
#[derive(Debug)]
pub(super) struct Crl {
    pub issuer: Name,
    pub this_update: Time,
    pub next_update: Option<Time>,
    /// Why it decides nothing, if so.
    pub unusable: Option<String>,
    pub scope: Scope,
    /// cRLNumber in its shortest form.
    number: Option<Vec<u8>>,
    /// BaseCRLNumber: this is a delta list.
    base: Option<Vec<u8>>,
    /// authorityKeyIdentifier as it stands.
    authority_key: Option<Vec<u8>>,
    entries: HashMap<CanonicalName, HashMap<Box<[u8]>, Revocation>>,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    value: Vec<u8>,
}

mod oid {
    pub const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
    pub const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
    pub const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
    pub const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
    pub const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
    pub const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
    pub const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 35];
}

impl Crl {
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > CRL_SIZE_MAX {
            return Err(Malformed);
        }
        let signed = Signed::from_der(der)?;
        let mut fields = only(signed.tbs, tag::SEQUENCE)?.children();
        fields.optional(tag::INTEGER)?;
        // RFC 5280 §5.1.1.2: both must name the same algorithm.
        if fields.expect(tag::SEQUENCE)?.raw != signed.algorithm_raw {
            return Err(Malformed);
        }
        let issuer = Name::from_der(fields.expect(tag::SEQUENCE)?.raw)?;
        let mut crl = Self {
            this_update: cms::time(fields.read()?).ok_or(Malformed)?,
            next_update: next_update(&mut fields)?,
            unusable: None,
            scope: Scope::WHOLE,
            number: None,
            base: None,
            authority_key: None,
            entries: HashMap::new(),
            tbs: signed.tbs.to_vec(),
            algorithm: Algorithm::from_identifier(signed.algorithm_raw)?,
            value: signed.value.to_vec(),
            issuer,
        };
        let entries = fields.optional(tag::SEQUENCE)?;
        if let Some(extensions) = fields.optional(tag::CONTEXT_0)? {
            crl.read_extensions(only(extensions.content, tag::SEQUENCE)?)?;
        }
        if !fields.is_empty() {
            return Err(Malformed);
        }
        if let Some(entries) = entries {
            crl.read_entries(entries)?;
        }
        Ok(crl)
    }

    fn read_extensions(&mut self, extensions: Value<'_>) -> Result<(), Malformed> {
        let mut reader = extensions.children();
        let mut seen = Vec::new();
        while !reader.is_empty() {
            let extension = Extension::read(&mut reader)?;
            if seen.contains(&extension.oid) {
                return Err(Malformed);
            }
            seen.push(extension.oid);
            let integer =
                || Ok(asn1::minimal(only(extension.value, tag::INTEGER)?.content).to_vec());
            match extension.oid {
                oid::DELTA_INDICATOR => self.base = Some(integer()?),
                oid::ISSUING_POINT => {
                    self.scope = Scope::from_der(extension.value, &self.issuer.canonical)?;
                }
                // These are never critical; a list that says so means something else by them.
                oid::CRL_NUMBER if !extension.critical => self.number = Some(integer()?),
                oid::AUTHORITY_KEY if !extension.critical => {
                    self.authority_key = Some(extension.value.to_vec());
                }
                _ if extension.critical => {
                    let name = asn1::dotted(extension.oid);
                    self.unusable = Some(format!("it has the unknown extension {name}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_entries(&mut self, entries: Value<'_>) -> Result<(), Malformed> {
        let mut reader = entries.children();
        let mut issuer = self.issuer.canonical.clone();
        let mut listed = HashMap::new();
        while !reader.is_empty() {
            let mut fields = reader.expect(tag::SEQUENCE)?.children();
            let serial = asn1::minimal(fields.expect(tag::INTEGER)?.content).into();
            let at = cms::time(fields.read()?).ok_or(Malformed)?;
            let mut state = State::Revoked;
            if let Some(extensions) = fields.optional(tag::SEQUENCE)? {
                let (named, other) = self.read_entry_extensions(extensions)?;
                state = named;
                // §5.3.3: holds for the following entries too.
                if let Some(other) = other.filter(|other| *other != issuer) {
                    let done = std::mem::take(&mut listed);
                    self.entries
                        .entry(std::mem::replace(&mut issuer, other))
                        .or_default()
                        .extend(done);
                }
            }
            listed.insert(serial, Revocation { at, state });
        }
        self.entries.entry(issuer).or_default().extend(listed);
        Ok(())
    }

    fn read_entry_extensions(
        &mut self,
        extensions: Value<'_>,
    ) -> Result<(State, Option<CanonicalName>), Malformed> {
        let mut state = State::Revoked;
        let mut issuer = None;
        let mut reader = extensions.children();
        while !reader.is_empty() {
            let extension = Extension::read(&mut reader)?;
            match extension.oid {
                oid::REASON_CODE => {
                    state = match only(extension.value, tag::ENUMERATED)?.content {
                        [6] => State::OnHold,
                        [8] => State::Removed,
                        _ => State::Revoked,
                    };
                }
                oid::CERTIFICATE_ISSUER if self.scope.is_indirect => {
                    let names = only(extension.value, tag::SEQUENCE)?;
                    issuer = Some(directory_name(names)?);
                }
                oid::INVALIDITY_DATE => {}
                _ if extension.critical => {
                    let name = asn1::dotted(extension.oid);
                    self.unusable = Some(format!("an entry has the unknown extension {name}"));
                }
                _ => {}
            }
        }
        Ok((state, issuer))
    }

    /// Whether `signer`, with the key that counts for it on its path, made this list; it must also
    /// be allowed to.
    pub fn verified_by(&self, signer: &Certificate, key: &Key) -> Outcome {
        if !signer.constraints.may_sign_crls() {
            return Outcome::Invalid;
        }
        verify(key, &self.algorithm, None, &self.tbs, &self.value)
    }

    /// The entry for a certificate of `issuer`.
    pub fn entry(&self, issuer: &CanonicalName, serial: &[u8]) -> Option<Revocation> {
        self.entries.get(issuer)?.get(serial).copied()
    }

    pub fn is_delta(&self) -> bool {
        self.base.is_some()
    }

    /// Whether this delta list continues `complete` (RFC 5280 §6.3.3 (c) and §5.2.4).
    pub fn continues(&self, complete: &Self) -> bool {
        let newer = |low: &Option<Vec<u8>>, high: &Option<Vec<u8>>| match (low, high) {
            (Some(low), Some(high)) => (low.len(), low) <= (high.len(), high),
            _ => false,
        };
        !complete.is_delta()
            && self.issuer.canonical == complete.issuer.canonical
            && self.scope == complete.scope
            && self.authority_key == complete.authority_key
            && newer(&self.base, &complete.number)
            && newer(&complete.number, &self.number)
    }

    /// Whether it can say anything at `now`. A list that ran out still proves a revocation; one
    /// from the future does not.
    pub fn counts_at(&self, now: Time) -> bool {
        self.unusable.is_none() && self.this_update <= now
    }

    /// Why it cannot say at `now` that a certificate is good, if so.
    pub fn staleness(&self, now: Time) -> Option<String> {
        if let Some(why) = &self.unusable {
            return Some(why.clone());
        }
        if now < self.this_update {
            return Some(format!("it was issued later, on {}", self.this_update.in_vietnam()));
        }
        match self.next_update {
            None => Some("it does not say when the next one is due".to_owned()),
            Some(next) if next < now => Some(format!("it ran out on {}", next.in_vietnam())),
            Some(_) => None,
        }
    }
}

fn next_update(fields: &mut Reader<'_>) -> Result<Option<Time>, Malformed> {
    if !matches!(fields.peek(), Some(tag::UTC_TIME | tag::GENERALIZED_TIME)) {
        return Ok(None);
    }
    cms::time(fields.read()?).map(Some).ok_or(Malformed)
}

/// The one directoryName in GeneralNames.
fn directory_name(names: Value<'_>) -> Result<CanonicalName, Malformed> {
    let mut reader = names.children();
    while !reader.is_empty() {
        let name = reader.read()?;
        if name.tag == 0xa4 {
            return Ok(Name::from_der(only(name.content, tag::SEQUENCE)?.raw)?.canonical);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signature::asn1::encode;
    use crate::signature::testing::{Authority, NOW};

    #[test]
    fn a_list_names_the_revoked_and_knows_its_time() {
        let root = Authority::root("Root");
        let issuer = Certificate::from_der(root.certificate.der()).unwrap();
        let crl = Crl::from_der(&root.crl(&[5])).unwrap();
        assert!(matches!(crl.verified_by(&issuer, &issuer.key), Outcome::Valid { .. }));
        let name = &issuer.subject.canonical;
        assert!(crl.entry(name, &[5]).is_some() && crl.entry(name, &[6]).is_none());
        let now = Time::from_seconds(NOW);
        assert_eq!(crl.staleness(now), None);
        assert!(crl.staleness(now.after(Duration::from_secs(86_400 * 30))).is_some());
        assert!(crl.staleness(Time::from_seconds(NOW - 86_400 * 30)).is_some());
    }

    #[test]
    fn a_list_of_another_authority_does_not_verify() {
        let crl = Crl::from_der(&Authority::root("Root").crl(&[])).unwrap();
        let other = Authority::root("Root");
        let issuer = Certificate::from_der(other.certificate.der()).unwrap();
        assert_eq!(crl.verified_by(&issuer, &issuer.key), Outcome::Invalid);
    }

    /// A list with `count` entries and these extensions; its signature is nonsense.
    fn list(count: u32, entry_extensions: &[u8], extensions: &[u8]) -> Vec<u8> {
        let algorithm =
            encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[&[0x2b, 0x65, 0x70]])]);
        let time = encode(tag::UTC_TIME, &[b"261101000000Z"]);
        let mut entries = Vec::new();
        for serial in 0..count {
            let serial = encode(tag::INTEGER, &[&[1], &serial.to_be_bytes()]);
            entries.extend(encode(tag::SEQUENCE, &[&serial, &time, entry_extensions]));
        }
        let entries = encode(tag::SEQUENCE, &[&entries]);
        let extensions = encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[extensions])]);
        let name = encode(tag::SEQUENCE, &[]);
        let tbs = encode(tag::SEQUENCE, &[&algorithm, &name, &time, &entries, &extensions]);
        encode(tag::SEQUENCE, &[&tbs, &algorithm, &encode(tag::BIT_STRING, &[&[0, 1]])])
    }

    fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
        let oid = encode(tag::OBJECT_IDENTIFIER, &[oid]);
        let critical = encode(tag::BOOLEAN, &[&[if critical { 0xff } else { 0 }]]);
        encode(tag::SEQUENCE, &[&oid, &critical, &encode(tag::OCTET_STRING, &[value])])
    }

    #[test]
    fn a_hundred_thousand_entries_are_found_by_number() {
        let crl = Crl::from_der(&list(100_000, &[], &[])).unwrap();
        let issuer = crl.issuer.canonical.clone();
        assert!(crl.entry(&issuer, &[1, 0, 1, 0x86, 0x9f]).is_some());
        assert!(crl.entry(&issuer, &[1, 0, 1, 0x86, 0xa0]).is_none());
    }

    #[test]
    fn what_is_critical_and_unknown_makes_a_list_unusable() {
        let unusable = |entry: &[u8], list_extensions: &[u8]| {
            Crl::from_der(&list(1, entry, list_extensions)).unwrap().unusable.is_some()
        };
        let unknown = |critical| extension(&[0x2a, 3], critical, &[5, 0]);
        let issuer = extension(oid::CERTIFICATE_ISSUER, true, &[0x30, 0]);
        assert!(!unusable(&[], &unknown(false)));
        assert!(unusable(&[], &unknown(true)));
        assert!(!unusable(&encode(tag::SEQUENCE, &[&unknown(false)]), &[]));
        assert!(unusable(&encode(tag::SEQUENCE, &[&unknown(true)]), &[]));
        assert!(unusable(&encode(tag::SEQUENCE, &[&issuer]), &[]));
    }
}
