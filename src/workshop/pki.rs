//! A whole development PKI: two document trust domains, time-stamping, and TLS for every system.
//!
//! It is a set of files, in memory or on disk, and every accessor reads from that set; a PKI that was
//! loaded is the one that was written. Its root names say WORTHLESS, and nothing here can make others.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::identity::{Identity, certificates, pem};
use super::issue::{self, Key, Request, Revoked, Role, Subject};
use super::profile::{Agency, Algorithm, Profile, Purpose, Validity};
use super::{Error, disk};
use crate::clock::Time;

const NOTICE: &str = "WORTHLESS\n\nThese keys are for development. Anyone may have a copy of them. \
                      Nothing signed with them has any value.\n";

/// The development PKI: its files by their path below the directory.
pub struct DevPki {
    pub(super) files: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// What a verifier of documents trusts, all in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Roots.
    pub anchors: Vec<Vec<u8>>,
    /// Authorities below them.
    pub intermediates: Vec<Vec<u8>>,
    /// Revocation lists of all of them.
    pub crls: Vec<Vec<u8>>,
}

impl DevPki {
    /// Makes the PKI that `profile` describes.
    ///
    /// # Errors
    /// [`Error::Profile`] if an issuer is unknown; [`Error::Key`] or [`Error::Certificate`].
    pub fn generate(profile: &Profile, now: Time) -> Result<Self, Error> {
        Making::new(profile, now)?.all()
    }

    /// Reads a PKI that [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Error::NotOurs`] without a `WORTHLESS.txt`; [`Error::File`].
    pub fn load(dir: &Path) -> Result<Self, Error> {
        Ok(Self { files: disk::read(dir)? })
    }

    /// Writes all files; keys are readable by their owner only. An older development PKI at `dir` is
    /// replaced as a whole.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if `dir` holds anything else; [`Error::File`].
    pub fn write(&self, dir: &Path) -> Result<(), Error> {
        disk::replace(dir, &self.files)
    }

    /// The seal of an agency.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn seal(&self, code: &str) -> Result<Identity, Error> {
        self.identity(&format!("seals/{code}"))
    }

    /// The officer of an agency.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn officer(&self, code: &str) -> Result<Identity, Error> {
        self.identity(&format!("officers/{code}"))
    }

    /// The TLS client certificate of a system.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn system(&self, id: &str) -> Result<Identity, Error> {
        self.identity(&format!("systems/{id}"))
    }

    /// The TLS server certificate of the gateway.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn gateway(&self) -> Result<Identity, Error> {
        self.identity("tls/gateway")
    }

    /// Another signer by its id: `tsa`, `revoked-seal`, `expired-seal`, `business`.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn signer(&self, id: &str) -> Result<Identity, Error> {
        self.identity(id)
    }

    /// What to trust in a domain: `gov`, `public` or `tls`.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Unreadable`].
    pub fn trust(&self, domain: &str) -> Result<Trust, Error> {
        if domain == "tls" {
            let anchors = certificates(self.file("tls/ca.pem")?)?;
            let crls = vec![self.file("tls/ca.crl")?.to_vec()];
            return Ok(Trust { anchors, intermediates: Vec::new(), crls });
        }
        let below = |folder: &str| {
            let prefix = format!("trust/{domain}/{folder}/");
            self.files.iter().filter(move |(path, _)| path.starts_with(&prefix))
        };
        let pems = |folder: &str| {
            let read = below(folder).map(|(_, text)| certificates(text));
            Ok::<_, Error>(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        };
        let anchors: Vec<_> = pems("anchors")?;
        if anchors.is_empty() {
            return Err(Error::Unknown(format!("trust domain {domain}")));
        }
        let crls = below("crls").map(|(_, der)| der.to_vec()).collect();
        Ok(Trust { anchors, intermediates: pems("intermediates")?, crls })
    }

    /// The gateway's key for signing its log: Ed25519, PKCS#8 version 1 DER (with ring:
    /// `Ed25519KeyPair::from_pkcs8_maybe_unchecked`).
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn log_key(&self) -> Result<Key, Error> {
        use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.file("log.key")?)
            .map_err(|_| Error::Unreadable("log.key".into()))?;
        Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
    }

    /// One file as written, such as `tls/ca.pem`.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn file(&self, path: &str) -> Result<&[u8], Error> {
        self.files
            .get(path)
            .map(|bytes| bytes.as_slice())
            .ok_or_else(|| Error::Unknown(path.into()))
    }

    /// Adds a system to the TLS revocation list, which is issued anew at `now` with the next number.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a system without certificate.
    pub fn revoke_system(&mut self, id: &str, now: Time) -> Result<(), Error> {
        use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
        let system = self.system(id)?;
        let (_, leaf) = X509Certificate::from_der(system.leaf())
            .map_err(|_| Error::Unreadable(format!("systems/{id}.pem")))?;
        let (_, old) = CertificateRevocationList::from_der(self.file("tls/ca.crl")?)
            .map_err(|_| Error::Unreadable("tls/ca.crl".into()))?;
        let number = old.crl_number().and_then(|number| number.to_u64_digits().first().copied());
        let mut lines: Vec<Revoked> = (old.iter_revoked_certificates())
            .map(|line| Revoked {
                serial: line.raw_serial().to_vec(),
                at: Time::from_seconds(line.revocation_date.timestamp()),
                reason: line.reason_code().and_then(|(_, code)| issue::reason_of_code(code.0)),
            })
            .collect();
        let serial = leaf.raw_serial().to_vec();
        if !lines.iter().any(|line| line.serial == serial) {
            let reason = Some(rcgen::RevocationReason::KeyCompromise);
            lines.push(Revoked { serial, at: now, reason });
        }
        let issuer = self.identity("tls/ca")?;
        let days = old.next_update().map_or(30, |next| {
            (next.timestamp() - old.last_update().timestamp()).unsigned_abs() / 86_400
        });
        let days = u32::try_from(days).unwrap_or(30);
        let issuer = (issuer.leaf(), issuer.key_pkcs8.as_slice());
        let crl = issue::crl(now, days, number.unwrap_or(0) + 1, &lines, issuer)?;
        self.files.insert("tls/ca.crl".into(), Zeroizing::new(crl));
        Ok(())
    }

    fn identity(&self, stem: &str) -> Result<Identity, Error> {
        Identity::from_pem(self.file(&format!("{stem}.pem"))?, self.file(&format!("{stem}.key"))?)
    }
}

/// Revokes a system in the PKI at `dir`: rewrites `tls/ca.crl` and nothing else.
///
/// # Errors
/// As [`DevPki::load`] and [`DevPki::revoke_system`].
pub fn revoke(dir: &Path, system_id: &str, now: Time) -> Result<(), Error> {
    let mut pki = DevPki::load(dir)?;
    pki.revoke_system(system_id, now)?;
    disk::write_file(&dir.join("tls/ca.crl"), pki.file("tls/ca.crl")?)
}

/// An authority that was made.
struct Made {
    certificate: Vec<u8>,
    key: Key,
    root: bool,
    revoked: Vec<Revoked>,
}

/// The PKI while it is being made.
struct Making<'a> {
    profile: &'a Profile,
    now: Time,
    /// Keys not used yet, in the order in which `all` asks for them.
    keys: std::vec::IntoIter<Key>,
    authorities: BTreeMap<&'a str, Made>,
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl<'a> Making<'a> {
    fn new(profile: &'a Profile, now: Time) -> Result<Self, Error> {
        let agencies = profile.agencies.iter().flat_map(|_| [profile.agency_certificates.key; 2]);
        let algorithms: Vec<Algorithm> = (profile.authorities.iter().map(|one| one.key))
            .chain(agencies)
            .chain(profile.signers.iter().map(|one| one.key))
            .chain(std::iter::repeat_n(profile.tls.key, profile.systems.len() + 1))
            .collect();
        let keys = issue::keys(&algorithms, profile.rsa_bits)?.into_iter();
        Ok(Self { profile, now, keys, authorities: BTreeMap::new(), files: BTreeMap::new() })
    }

    fn all(mut self) -> Result<DevPki, Error> {
        let profile = self.profile;
        for authority in &profile.authorities {
            self.authority(authority)?;
        }
        for agency in &profile.agencies {
            self.agency(agency)?;
        }
        for signer in &profile.signers {
            self.signer(signer)?;
        }
        self.tls()?;
        self.crls()?;
        self.put("log.key", pem("PRIVATE KEY", &issue::ed25519_key()?).into_bytes());
        self.put("WORTHLESS.txt", NOTICE.into());
        Ok(DevPki { files: self.files })
    }

    fn authority(&mut self, authority: &'a super::profile::Authority) -> Result<(), Error> {
        let key = self.next_key()?;
        let issuer = authority.issuer.as_deref();
        let request = Request {
            subject: Subject {
                common_name: &authority.common_name,
                organization: &authority.organization,
                ..Subject::default()
            },
            role: Role::Authority { root: issuer.is_none() },
            valid: authority.valid,
            crl_uri: issuer.map(|id| self.crl_uri(id)),
        };
        let certificate = self.certify(&request, &key, issuer)?;
        let text = pem("CERTIFICATE", &certificate).into_bytes();
        let (id, domain) = (&authority.id, &authority.domain);
        match (domain.as_str(), issuer) {
            ("tls", None) => {
                self.put("tls/ca.pem", text);
                self.put("tls/ca.key", pem("PRIVATE KEY", &key).into_bytes());
            }
            ("tls", Some(_)) => return Err(Error::Profile("the TLS authority is a root".into())),
            (_, None) => self.put(&format!("trust/{domain}/anchors/{id}.pem"), text),
            (_, Some(_)) => self.put(&format!("trust/{domain}/intermediates/{id}.pem"), text),
        }
        let root = issuer.is_none();
        self.authorities.insert(id, Made { certificate, key, root, revoked: Vec::new() });
        Ok(())
    }

    fn agency(&mut self, agency: &Agency) -> Result<(), Error> {
        let terms = &self.profile.agency_certificates;
        let seal = Subject {
            common_name: &agency.name,
            organization: &agency.name,
            organization_identifier: Some(&agency.code),
            ..Subject::default()
        };
        let officer = Subject {
            common_name: &agency.officer.name,
            organization: &agency.name,
            title: Some(&agency.officer.title),
            ..Subject::default()
        };
        for (folder, subject) in [("seals", seal), ("officers", officer)] {
            let stem = format!("{folder}/{}", agency.code);
            self.leaf(&stem, subject, Role::Signer, &terms.issuer, terms.valid)?;
        }
        Ok(())
    }

    fn signer(&mut self, signer: &super::profile::Signer) -> Result<(), Error> {
        let subject = Subject {
            common_name: &signer.common_name,
            organization: &signer.organization,
            organization_identifier: signer.organization_identifier.as_deref(),
            user_id: signer.user_id.as_deref(),
            ..Subject::default()
        };
        let role = match signer.purpose {
            Purpose::Sign => Role::Signer,
            Purpose::Timestamp => Role::Timestamp,
        };
        let leaf = self.leaf(&signer.id, subject, role, &signer.issuer, signer.valid)?;
        self.revoke(&leaf, &signer.issuer, signer.revoked)
    }

    fn tls(&mut self) -> Result<(), Error> {
        let profile = self.profile;
        let tls = &profile.tls;
        let subject = |common_name| Subject {
            common_name,
            organization: "Vanthu (dev, WORTHLESS)",
            ..Subject::default()
        };
        let server = Role::Server(&tls.gateway_names);
        self.leaf("tls/gateway", subject("gateway"), server, &tls.issuer, tls.valid)?;
        for system in &profile.systems {
            let uri = format!("{}{}", tls.uri_prefix, system.id);
            let (stem, valid) =
                (format!("systems/{}", system.id), system.valid.unwrap_or(tls.valid));
            let client = Role::Client(&uri);
            let leaf = self.leaf(&stem, subject(&system.id), client, &tls.issuer, valid)?;
            self.revoke(&leaf, &tls.issuer, system.revoked)?;
        }
        Ok(())
    }

    fn crls(&mut self) -> Result<(), Error> {
        for authority in &self.profile.authorities {
            let made = self.made(&authority.id)?;
            let issuer = (made.certificate.as_slice(), made.key.as_slice());
            let crl = issue::crl(self.now, self.profile.crl_days, 1, &made.revoked, issuer)?;
            match authority.domain.as_str() {
                "tls" => self.put("tls/ca.crl", crl),
                domain => self.put(&format!("trust/{domain}/crls/{}.crl", authority.id), crl),
            }
        }
        Ok(())
    }

    /// Makes a certificate that is not an authority's, and its two files.
    fn leaf(
        &mut self,
        stem: &str,
        subject: Subject<'_>,
        role: Role<'_>,
        issuer: &str,
        valid: Validity,
    ) -> Result<Vec<u8>, Error> {
        let key = self.next_key()?;
        let request = Request { subject, role, valid, crl_uri: Some(self.crl_uri(issuer)) };
        let certificate = self.certify(&request, &key, Some(issuer))?;
        let made = self.made(issuer)?;
        let mut chain_der = vec![certificate.clone()];
        if !made.root {
            chain_der.push(made.certificate.clone());
        }
        let identity = Identity { chain_der, key_pkcs8: key };
        self.put(&format!("{stem}.pem"), identity.chain_pem().into_bytes());
        self.put(&format!("{stem}.key"), identity.key_pem().as_bytes().to_vec());
        Ok(certificate)
    }

    fn certify(
        &self,
        request: &Request<'_>,
        key: &[u8],
        issuer: Option<&str>,
    ) -> Result<Vec<u8>, Error> {
        let issuer = issuer.map(|id| self.made(id)).transpose()?;
        let issuer = issuer.map(|made| (made.certificate.as_slice(), made.key.as_slice()));
        issue::certificate(self.now, request, key, issuer)
    }

    fn revoke(
        &mut self,
        leaf: &[u8],
        issuer: &str,
        revocation: Option<super::profile::Revocation>,
    ) -> Result<(), Error> {
        let (Some(revocation), Some(made)) = (revocation, self.authorities.get_mut(issuer)) else {
            return Ok(());
        };
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|_| Error::Unreadable("a certificate just made".into()))?;
        let at = self.now.seconds() - i64::from(revocation.days_ago) * 86_400;
        made.revoked.push(Revoked {
            serial: leaf.raw_serial().to_vec(),
            at: Time::from_seconds(at),
            reason: Some(issue::reason(revocation.reason)),
        });
        Ok(())
    }

    fn made(&self, id: &str) -> Result<&Made, Error> {
        let unknown = || Error::Profile(format!("{id} signs before it is made"));
        self.authorities.get(id).ok_or_else(unknown)
    }

    fn next_key(&mut self) -> Result<Key, Error> {
        self.keys.next().ok_or(Error::Key)
    }

    fn crl_uri(&self, issuer: &str) -> String {
        format!("{}/{issuer}.crl", self.profile.crl_base)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), Zeroizing::new(bytes));
    }
}

#[cfg(test)]
#[path = "pki_tests.rs"]
mod tests;
