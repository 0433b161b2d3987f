//! A certificate chain with its private key, and the PEM text both are kept in.
//!
//! The key is wiped from memory when the identity is dropped and never appears in `Debug`.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::Error;

/// Who signs or connects: a chain and its key.
#[derive(Clone)]
pub struct Identity {
    /// Certificates in DER: the leaf, then its issuers without the root.
    pub chain_der: Vec<Vec<u8>>,
    /// The private key, PKCS#8 DER.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// Reads a chain (leaf first) and an unencrypted PKCS#8 key.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if either is missing or broken.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain_der = certificates(chain)?;
        if chain_der.is_empty() {
            return Err(Error::Unreadable("the certificate".into()));
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(key)
            .map_err(|_| Error::Unreadable("the private key (PKCS#8 PEM)".into()))?;
        let key_pkcs8 = Zeroizing::new(key.secret_pkcs8_der().to_vec());
        Ok(Self { chain_der, key_pkcs8 })
    }

    /// The certificate of the key.
    pub fn leaf(&self) -> &[u8] {
        self.chain_der.first().map_or(&[], Vec::as_slice)
    }

    /// The same key with its own certificate only. Most real documents embed no more than that.
    #[must_use]
    pub fn leaf_only(&self) -> Self {
        Self { chain_der: vec![self.leaf().to_vec()], key_pkcs8: self.key_pkcs8.clone() }
    }

    /// The chain in PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain_der.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// The key in PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem("PRIVATE KEY", &self.key_pkcs8))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain_der.len())
            .finish_non_exhaustive()
    }
}

/// The certificates of a PEM text, in DER.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    CertificateDer::pem_slice_iter(text)
        .map(|der| der.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Unreadable("the certificate".into()))
}

/// RFC 7468 text of one value.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 2 * label.len() + 36);
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_pem() {
        let identity = super::super::shared::pki().seal("H49").unwrap();
        let again =
            Identity::from_pem(identity.chain_pem().as_bytes(), identity.key_pem().as_bytes())
                .unwrap();
        assert_eq!(again.chain_der, identity.chain_der);
        assert_eq!(again.key_pkcs8, identity.key_pkcs8);
        assert!(identity.chain_pem().lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let identity = Identity { chain_der: vec![], key_pkcs8: Zeroizing::new(vec![0xab; 8]) };
        assert_eq!(format!("{identity:?}"), "Identity { certificates: 0, .. }");
    }

    #[test]
    fn a_text_without_certificates_is_refused() {
        assert!(Identity::from_pem(b"", b"").is_err());
    }
}
