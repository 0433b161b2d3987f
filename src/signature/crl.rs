//! Certificate revocation lists, indexed once.
//!
//! Only complete CRLs issued by the authority itself are usable. Partitioned, indirect and delta
//! CRLs are recognised and left aside with the reason.

use std::collections::HashMap;

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::algorithm::{Algorithm, Outcome, verify};
use super::asn1::{self, Malformed};
use super::certificate::{Certificate, Signed};
use super::name::Name;
use crate::clock::Time;

/// How an entry takes the certificate out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revocation {
    pub at: Time,
    /// certificateHold: may come back.
    pub on_hold: bool,
}

/// One CRL.
#[derive(Debug)]
pub(super) struct Crl {
    pub issuer: Name,
    pub this_update: Time,
    pub next_update: Option<Time>,
    /// Why it decides nothing, if so.
    pub unusable: Option<String>,
    revoked: HashMap<Box<[u8]>, Revocation>,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    value: Vec<u8>,
}

const HOLD: u8 = 6;
const REMOVE_FROM_CRL: u8 = 8;

impl Crl {
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let (rest, parsed) = CertificateRevocationList::from_der(der).map_err(|_| Malformed)?;
        if !rest.is_empty() {
            return Err(Malformed);
        }
        let signed = Signed::from_der(der)?;
        let mut unusable = unusable_extension(&parsed);
        let mut revoked = HashMap::new();
        for entry in parsed.iter_revoked_certificates() {
            let mut on_hold = false;
            let mut removed = false;
            for extension in entry.extensions() {
                match extension.parsed_extension() {
                    ParsedExtension::ReasonCode(reason) => {
                        on_hold = reason.0 == HOLD;
                        removed = reason.0 == REMOVE_FROM_CRL;
                    }
                    ParsedExtension::InvalidityDate(_) => {}
                    _ if extension.critical => {
                        let oid = extension.oid.to_id_string();
                        unusable = Some(format!("an entry has the unknown extension {oid}"));
                    }
                    _ => {}
                }
            }
            if removed {
                continue;
            }
            let at = Time::from_seconds(entry.revocation_date.timestamp());
            let serial = asn1::trimmed(entry.raw_serial()).into();
            revoked.insert(serial, Revocation { at, on_hold });
        }
        let seconds = |time: x509_parser::time::ASN1Time| Time::from_seconds(time.timestamp());
        Ok(Self {
            issuer: Name::from_der(parsed.issuer().as_raw())?,
            this_update: seconds(parsed.last_update()),
            next_update: parsed.next_update().map(seconds),
            unusable,
            revoked,
            tbs: signed.tbs.to_vec(),
            algorithm: Algorithm::from_identifier(signed.algorithm_raw)?,
            value: signed.value.to_vec(),
        })
    }

    /// Whether `issuer`'s key made this list; it must also be allowed to.
    pub fn verified_by(&self, issuer: &Certificate) -> Outcome {
        if !issuer.constraints.may_sign_crls() {
            return Outcome::Invalid;
        }
        verify(&issuer.key, &self.algorithm, None, &self.tbs, &self.value)
    }

    pub fn revocation(&self, serial: &[u8]) -> Option<Revocation> {
        self.revoked.get(serial).copied()
    }

    /// Why it says nothing about `now`, if so.
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

fn unusable_extension(parsed: &CertificateRevocationList<'_>) -> Option<String> {
    parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::IssuingDistributionPoint(_) => {
            Some("it is partitioned (issuing distribution point)".to_owned())
        }
        ParsedExtension::CRLNumber(_) | ParsedExtension::AuthorityKeyIdentifier(_) => None,
        _ if extension.oid.to_id_string() == "2.5.29.27" => Some("it is a delta list".to_owned()),
        _ if extension.critical => {
            Some(format!("it has the unknown extension {}", extension.oid.to_id_string()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signature::testing::{Authority, NOW};

    #[test]
    fn a_list_names_the_revoked_and_knows_its_time() {
        let root = Authority::root("Root");
        let issuer = Certificate::from_der(root.certificate.der()).unwrap();
        let crl = Crl::from_der(&root.crl(&[5])).unwrap();
        assert_eq!(crl.verified_by(&issuer), Outcome::Valid { weakness: None });
        assert!(crl.revocation(&[5]).is_some() && crl.revocation(&[6]).is_none());
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
        assert_eq!(crl.verified_by(&issuer), Outcome::Invalid);
    }
}
