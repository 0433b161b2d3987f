//! Certificates, keys and revocation lists, read from files and checked against each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

use super::{Config, Error, directory};
use crate::gateway::Surroundings;
use crate::log::LogKey;
use crate::service::Revocations;
use crate::signature::Trust;

/// Files larger than this are no certificates or lists; the largest CRLs in use have about 40 MiB.
const FILE_SIZE_MAX: u64 = 64 * 1024 * 1024;

/// What the gateway needs for TLS.
pub struct TlsMaterial {
    /// Certificate chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// CAs of clients.
    pub client_cas: Vec<CertificateDer<'static>>,
    /// Client certificates that were revoked.
    pub revocations: Revocations,
}

/// Everything that a configuration names and that may be replaced while the gateway runs.
pub struct Material {
    /// Directory and trust.
    pub surroundings: Surroundings,
    /// TLS.
    pub tls: TlsMaterial,
}

impl Material {
    /// Reads and checks it all.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let directory = directory::read(&config.directory)?;
        let (trust, crls) = trust(&config.trust)?;
        Ok(Self { surroundings: Surroundings { directory, trust, crls }, tls: tls(&config.tls)? })
    }
}

/// The log's private key.
///
/// # Errors
/// If the file holds none.
pub fn log_key(config: &Config) -> Result<Arc<LogKey>, Error> {
    let path = &config.log.key;
    let pem = Zeroizing::new(read(path)?);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| Error::new(path, error))?;
    LogKey::from_pkcs8(&config.name, key.secret_der())
        .map(Arc::new)
        .map_err(|error| Error::new(path, error))
}

fn tls(tls: &super::Tls) -> Result<TlsMaterial, Error> {
    let chain = certificates(&tls.certificate)?;
    let key = Zeroizing::new(read(&tls.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| Error::new(&tls.key, error))?;
    let client_cas = certificates(&tls.client_ca)?;
    let mut crls = Vec::new();
    for path in &tls.client_crls {
        let der = crl(path)?;
        check_crl(&der, &client_cas).map_err(|problem| Error::new(path, problem))?;
        crls.push(der);
    }
    let revocations = Revocations::read(&crls)
        .ok_or_else(|| Error::new(&tls.client_ca, "a revocation list cannot be read"))?;
    Ok(TlsMaterial { chain, key, client_cas, revocations })
}

/// The list must be signed by one of the client CAs.
fn check_crl(der: &[u8], cas: &[CertificateDer<'_>]) -> Result<(), String> {
    let (_, crl) = x509_parser::revocation_list::CertificateRevocationList::from_der(der)
        .map_err(|_| "not a certificate revocation list")?;
    for ca in cas {
        let (_, ca) = x509_parser::certificate::X509Certificate::from_der(ca)
            .map_err(|_| "a client CA cannot be read")?;
        if ca.subject() == crl.issuer() && crl.verify_signature(ca.public_key()).is_ok() {
            return Ok(());
        }
    }
    Err("the list is not signed by a client CA".into())
}

/// Trust domains: `<trust>/<domain>/{anchors,intermediates,crls}/*`, one item in a file.
fn trust(folder: &Path) -> Result<(Trust, Vec<Vec<u8>>), Error> {
    let (mut anchors, mut intermediates, mut crls) = (Vec::new(), Vec::new(), Vec::new());
    for domain in entries(folder)? {
        for path in files(&domain.join("anchors"))? {
            anchors.extend(certificates(&path)?.into_iter().map(|one| one.to_vec()));
        }
        for path in files(&domain.join("intermediates"))? {
            intermediates.extend(certificates(&path)?.into_iter().map(|one| one.to_vec()));
        }
        for path in files(&domain.join("crls"))? {
            crls.push(crl(&path)?);
        }
    }
    if anchors.is_empty() {
        return Err(Error::new(folder, "no trust anchor; see certs/README.md"));
    }
    let trust = Trust::new(anchors, intermediates, crls.clone())
        .map_err(|error| Error::new(folder, error))?;
    Ok((trust, crls))
}

/// Loads a folder of trust domains, for commands that work without a gateway.
///
/// # Errors
/// The first file that cannot be used, and why.
pub fn read_trust(folder: &Path) -> Result<Trust, Error> {
    trust(folder).map(|(trust, _)| trust)
}

/// The entries of a folder in the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let wrong = |error| Error::new(folder, error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        paths.push(entry.map_err(wrong)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// As [`entries`]; a folder that is not there has none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if folder.is_dir() { entries(folder) } else { Ok(Vec::new()) }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let wrong = |error| Error::new(path, error);
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > FILE_SIZE_MAX {
        return Err(Error::new(path, format!("{size} bytes; at most {FILE_SIZE_MAX}")));
    }
    std::fs::read(path).map_err(wrong)
}

/// Certificates in PEM or one in DER.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| Error::new(path, error))?;
    if all.is_empty() { Err(Error::new(path, "no certificate")) } else { Ok(all) }
}

/// A revocation list in PEM or DER.
fn crl(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read(path)?;
    if bytes.first() == Some(&0x30) {
        return Ok(bytes);
    }
    rustls::pki_types::CertificateRevocationListDer::from_pem_slice(&bytes)
        .map(|list| list.to_vec())
        .map_err(|error| Error::new(path, error))
}
