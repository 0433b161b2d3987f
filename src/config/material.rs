//! Certificates, keys and revocation lists, read from files and checked against each other.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

use super::trust::{crl, read, read_certificates, trust};
use super::{Config, DirectoryFile, Error, directory, procedures};
use crate::gateway::Surroundings;
use crate::log::LogKey;
use crate::service::Revocations;

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
    /// Directory, trust and procedures.
    pub surroundings: Surroundings,
    /// Who approved the directory as it is, if its file says so.
    pub approved_by: Option<String>,
    /// TLS.
    pub tls: TlsMaterial,
}

impl Material {
    /// Reads and checks it all.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let DirectoryFile { directory, approved_by } = directory::read(&config.directory)?;
        let (trust, crls) = trust(&config.trust)?;
        let neighbours = config.neighbour_keys()?;
        let procedures = config.procedures.as_deref().map(procedures::read).transpose()?;
        let procedures = procedures.unwrap_or_default();
        let surroundings = Surroundings { directory, trust, crls, neighbours, procedures };
        Ok(Self { surroundings, approved_by, tls: tls(&config.tls)? })
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
    let chain = read_certificates(&tls.certificate)?;
    let key = Zeroizing::new(read(&tls.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| Error::new(&tls.key, error))?;
    let client_cas = read_certificates(&tls.client_ca)?;
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
