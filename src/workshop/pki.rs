//! A whole development PKI: two document trust domains, time-stamping, and TLS for every system.
//!
//! It is a set of files, in memory or on disk, and every accessor reads from that set; a PKI that was
//! loaded is the one that was written. Its root names say WORTHLESS, and nothing here can make others.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::identity::{Identity, certificates};
use super::issue::{self, Key, Revoked};
use super::making::Making;
use super::profile::Profile;
use super::{Error, disk};
use crate::clock::Time;

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
        Ok(Self { files: Making::new(profile, now)?.all()? })
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

    /// Another signer by its id: `tsa`, `gateway-seal`, `revoked-seal`, `expired-seal`, `business`.
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

    /// An Ed25519 key of the gateway, `log.key` or `witness.key`: PKCS#8 version 1 DER (with ring:
    /// `Ed25519KeyPair::from_pkcs8_maybe_unchecked`).
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn gateway_key(&self, name: &str) -> Result<Key, Error> {
        use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.file(name)?)
            .map_err(|_| Error::Unreadable(name.into()))?;
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

#[cfg(test)]
#[path = "pki_tests.rs"]
mod tests;
