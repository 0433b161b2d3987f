//! The gateway's seal, as it is configured: what seals evidence for other delivery services.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::trust::{read, read_certificates};
use super::{Config, Error};
use crate::evidence::Seal;

/// RFC 9231 §2.3.2.
const RSA: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// RFC 9231 §2.3.6.
const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// Where the seal is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealFiles {
    /// Certificate chain, PEM, the seal's first.
    pub certificate: PathBuf,
    /// Its private key, RSA or P-256, PKCS #8 PEM.
    pub key: PathBuf,
}

struct KeptSeal {
    chain: Vec<Vec<u8>>,
    key: Arc<dyn rustls::sign::SigningKey>,
    scheme: SignatureScheme,
}

impl Seal for KeptSeal {
    fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn method(&self) -> &'static str {
        if self.scheme == SignatureScheme::RSA_PKCS1_SHA256 { RSA } else { ECDSA }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let value = self.key.choose_scheme(&[self.scheme])?.sign(message).ok()?;
        match self.scheme {
            SignatureScheme::RSA_PKCS1_SHA256 => Some(value),
            _ => fixed(&value),
        }
    }
}

/// The two numbers of an ECDSA signature (DER) one after the other, 32 bytes each.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let number = |bytes: &[u8]| -> Option<(Vec<u8>, usize)> {
        let (&[tag, size], rest) = bytes.split_first_chunk::<2>()?;
        let size = usize::from(size);
        let value = rest.get(..size).filter(|_| tag == 0x02)?;
        let value = value.strip_prefix(&[0]).unwrap_or(value);
        let pad = 32_usize.checked_sub(value.len())?;
        Some(([&vec![0; pad][..], value].concat(), size + 2))
    };
    let (&[0x30, _], rest) = der.split_first_chunk::<2>()? else { return None };
    let (r, taken) = number(rest)?;
    let (s, _) = number(rest.get(taken..)?)?;
    Some([r, s].concat())
}

/// The seal; `None` if the configuration names none.
///
/// # Errors
/// Files that cannot be read, and keys that are neither RSA nor P-256.
pub fn seal(config: &Config) -> Result<Option<Arc<dyn Seal>>, Error> {
    let Some(files) = &config.seal else { return Ok(None) };
    let certificates = read_certificates(&files.certificate)?;
    let pem = Zeroizing::new(read(&files.key)?);
    let wrong = |problem: &str| Error::new(&files.key, problem);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| Error::new(&files.key, error))?;
    let key = any_supported_type(&key).map_err(|_| wrong("neither an RSA nor a P-256 key"))?;
    let known = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256];
    let scheme = known.into_iter().find(|scheme| key.choose_scheme(&[*scheme]).is_some());
    let scheme = scheme.ok_or_else(|| wrong("neither an RSA nor a P-256 key"))?;
    let chain = certificates.iter().map(|der| der.to_vec()).collect();
    Ok(Some(Arc::new(KeptSeal { chain, key, scheme })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_ecdsa_signature_are_padded_and_stripped() {
        let long = [&[0x30, 0x26, 0x02, 0x21, 0x00][..], &[0x80; 32], &[0x02, 0x01, 0x07]].concat();
        let mut expected = vec![0x80; 32];
        expected.extend([0; 31]);
        expected.push(7);
        assert_eq!(fixed(&long), Some(expected));
        for cut in 0..long.len() {
            assert_eq!(fixed(&long[..cut]), None, "{cut}");
        }
    }
}
