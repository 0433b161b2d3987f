//! TLS: every client must show a certificate under our CA and prove that it has the key. Readers
//! of the log may come without one, and then see what is public.
//!
//! A certificate that has expired passes the handshake: admission, which judges every request,
//! can then say why it is turned away. Revocation is admission's, too.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use x509_parser::prelude::FromDer as _;

use super::Error;
use crate::config::TlsMaterial;

/// The server's side of TLS for gRPC.
pub(super) fn server(material: &TlsMaterial) -> Result<ServerConfig, Error> {
    config(material, Caller::Known, b"h2")
}

/// The server's side of TLS for readers of the log.
pub(super) fn readers(material: &TlsMaterial) -> Result<ServerConfig, Error> {
    config(material, Caller::Anybody, b"http/1.1")
}

/// Who may finish a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Who shows a certificate.
    Known,
    /// Who shows a good certificate or none.
    Anybody,
}

fn config(material: &TlsMaterial, caller: Caller, alpn: &[u8]) -> Result<ServerConfig, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for ca in &material.client_cas {
        roots.add(ca.clone()).map_err(|error| wrong(&error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match caller {
        Caller::Known => builder,
        Caller::Anybody => builder.allow_unauthenticated(),
    };
    let inner = builder.build().map_err(|error| wrong(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_client_cert_verifier(Arc::new(KeyHolder { inner, provider }))
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// Accepts whoever holds the key of a certificate under the client CAs.
#[derive(Debug)]
struct KeyHolder {
    inner: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for KeyHolder {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        match self.inner.verify_client_cert(certificate, intermediates, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => {
                // The chain still has to hold, at a time when the certificate was valid.
                let then = valid_time(certificate)
                    .ok_or(TlsError::InvalidCertificate(CertificateError::BadEncoding))?;
                self.inner.verify_client_cert(certificate, intermediates, then)
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The last moment of a certificate's validity.
fn valid_time(der: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let end = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(end)))
}
