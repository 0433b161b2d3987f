//! Private keys: what a signature needs of one, wherever it lives, and keys in PEM files.
//!
//! A key is never printed and never leaves its holder. The text it was read from is wiped; what ring
//! keeps of it while the process lives is not.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroize as _;

use super::identity::Identity;
use super::{Error, der, encrypted_key};
use crate::limits::HASH_WINDOW_SIZE;

const RSA: &[u32] = &[1, 2, 840, 113_549, 1, 1, 1];
const ECDSA_SHA_256: &[u32] = &[1, 2, 840, 10_045, 4, 3, 2];
const ECDSA_SHA_384: &[u32] = &[1, 2, 840, 10_045, 4, 3, 3];
const ED_25519: &[u32] = &[1, 3, 101, 112];
const SHA_2: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2];

/// The digest that goes with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The digest of the concatenation of `parts`.
    pub fn of(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = self.context();
        for part in parts {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    }

    /// The digest of all that can be read.
    ///
    /// # Errors
    /// Why it cannot be read to the end.
    pub fn of_file(self, mut file: impl Read) -> std::io::Result<Vec<u8>> {
        let mut context = self.context();
        let mut window = vec![0; HASH_WINDOW_SIZE];
        loop {
            let size = file.read(&mut window)?;
            if size == 0 {
                return Ok(context.finish().as_ref().to_vec());
            }
            context.update(window.get(..size).unwrap_or_default());
        }
    }

    fn context(self) -> ring::digest::Context {
        ring::digest::Context::new(match self {
            Self::Sha256 => &ring::digest::SHA256,
            Self::Sha384 => &ring::digest::SHA384,
            Self::Sha512 => &ring::digest::SHA512,
        })
    }

    /// Its `AlgorithmIdentifier`, without parameters (RFC 5754 §2).
    pub(super) fn identifier(self) -> Vec<u8> {
        let last = match self {
            Self::Sha256 => 1,
            Self::Sha384 => 2,
            Self::Sha512 => 3,
        };
        der::sequence(&[&der::oid(&[SHA_2, &[last]].concat())])
    }
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rsa,
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519; the content is hashed with SHA-512 (RFC 8419 §3).
    Ed25519,
}

impl Scheme {
    /// The digest of the content.
    pub fn hash(self) -> Hash {
        match self {
            Self::Rsa | Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::Ed25519 => Hash::Sha512,
        }
    }

    /// The signature's `AlgorithmIdentifier`.
    pub(super) fn identifier(self) -> Vec<u8> {
        match self {
            Self::Rsa => der::sequence(&[&der::oid(RSA), &der::NULL]),
            Self::P256 => der::sequence(&[&der::oid(ECDSA_SHA_256)]),
            Self::P384 => der::sequence(&[&der::oid(ECDSA_SHA_384)]),
            Self::Ed25519 => der::sequence(&[&der::oid(ED_25519)]),
        }
    }

    fn verifier(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::Ed25519 => &ED25519,
        }
    }
}

/// A private key, in memory or on a token.
pub trait SigningKey {
    /// How it signs.
    fn scheme(&self) -> Scheme;

    /// Signs a whole message; ECDSA signatures are in DER.
    ///
    /// # Errors
    /// [`Error::Key`] or [`Error::Token`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// Who signs.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// Certificates in DER: the leaf, then its issuers; all are embedded.
    pub chain_der: &'a [Vec<u8>],
    /// The key of the leaf.
    pub key: &'a dyn SigningKey,
}

impl Signer<'_> {
    /// The certificate of the key.
    pub(super) fn leaf(&self) -> &[u8] {
        self.chain_der.first().map_or(&[], Vec::as_slice)
    }
}

/// A key in memory.
pub struct SoftwareKey {
    key: Arc<dyn rustls::sign::SigningKey>,
    scheme: Scheme,
}

impl SoftwareKey {
    /// Reads a key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    ///
    /// # Errors
    /// [`Error::KeyEncrypted`], [`Error::Unreadable`], or [`Error::KeyKind`] if the key is not RSA of
    /// 2048 to 8192 bits, P-256, P-384 or Ed25519.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        // OpenSSL's own form of encryption says so in a header (RFC 1421 §4.6.1.1).
        let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
        if marks.iter().any(|mark| memchr::memmem::find(text, mark).is_some()) {
            return Err(Error::KeyEncrypted);
        }
        let mut der = PrivateKeyDer::from_pem_slice(text)
            .map_err(|_| Error::Unreadable("the private key (PEM)".into()))?;
        let key = Self::of(&der);
        der.zeroize();
        key
    }

    /// Reads a PKCS#8 key in PEM that is encrypted with AES-CBC under a password (PBES2, PBKDF2).
    ///
    /// # Errors
    /// [`Error::KeyEncryption`] if it is encrypted in another way, [`Error::KeyPassword`], and
    /// those of [`SoftwareKey::from_pem`].
    pub fn from_encrypted_pem(text: &[u8], password: &[u8]) -> Result<Self, Error> {
        let blocks = Pem::iter_from_buffer(text).filter_map(Result::ok);
        let mut keys = blocks.filter(|block| block.label == "ENCRYPTED PRIVATE KEY");
        let block = keys.next().ok_or(Error::KeyEncryption)?;
        let plain = encrypted_key::open(&block.contents, password)?;
        Self::of(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(plain.as_slice())))
    }

    /// The key of an identity.
    pub(super) fn of_identity(identity: &Identity) -> Result<Self, Error> {
        let key = PrivatePkcs8KeyDer::from(identity.key_pkcs8.as_slice());
        Self::of(&PrivateKeyDer::Pkcs8(key)).map_err(|_| Error::Key)
    }

    fn of(der: &PrivateKeyDer<'_>) -> Result<Self, Error> {
        let key = any_supported_type(der).map_err(|_| Error::KeyKind)?;
        let known = |(offered, scheme)| key.choose_scheme(&[offered]).map(|_| scheme);
        let scheme = KNOWN.into_iter().find_map(known).ok_or(Error::KeyKind)?;
        Ok(Self { key, scheme })
    }
}

const KNOWN: [(SignatureScheme, Scheme); 4] = [
    (SignatureScheme::RSA_PKCS1_SHA256, Scheme::Rsa),
    (SignatureScheme::ECDSA_NISTP256_SHA256, Scheme::P256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, Scheme::P384),
    (SignatureScheme::ED25519, Scheme::Ed25519),
];

impl SigningKey for SoftwareKey {
    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let offered = KNOWN.into_iter().find(|(_, scheme)| *scheme == self.scheme);
        let signer = offered.and_then(|(offered, _)| self.key.choose_scheme(&[offered]));
        signer.ok_or(Error::Key)?.sign(message).map_err(|_| Error::Key)
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// A key whose every signature is checked with the certificate before anyone gets it.
pub struct CheckedKey<'a> {
    key: &'a dyn SigningKey,
    public: Vec<u8>,
}

impl<'a> CheckedKey<'a> {
    /// Joins a key and its certificate, and signs a word to see that they belong together.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::KeyMismatch`], or why the key could not sign.
    pub fn new(key: &'a dyn SigningKey, leaf: &[u8]) -> Result<Self, Error> {
        let unreadable = |_| Error::Unreadable("the certificate".into());
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(unreadable)?;
        let public = leaf.public_key().subject_public_key.data.to_vec();
        let checked = Self { key, public };
        checked.sign(b"vanthu: does this key belong to this certificate?")?;
        Ok(checked)
    }
}

impl SigningKey for CheckedKey<'_> {
    fn scheme(&self) -> Scheme {
        self.key.scheme()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.key.sign(message)?;
        UnparsedPublicKey::new(self.scheme().verifier(), &self.public)
            .verify(message, &signature)
            .map_err(|_| Error::KeyMismatch)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::shared::pki;

    #[test]
    fn a_key_signs_for_its_own_certificate_only() {
        for identity in [pki().seal("H49").unwrap(), pki().system("commune").unwrap()] {
            let key = SoftwareKey::from_pem(identity.key_pem().as_bytes()).unwrap();
            let checked = CheckedKey::new(&key, identity.leaf()).unwrap();
            assert_eq!(checked.scheme(), key.scheme());
            let other = pki().seal("H49.151").unwrap();
            assert!(matches!(CheckedKey::new(&key, other.leaf()), Err(Error::KeyMismatch)));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let encrypted =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(matches!(SoftwareKey::from_pem(encrypted), Err(Error::KeyEncrypted)));
        assert!(matches!(SoftwareKey::from_pem(b"x"), Err(Error::Unreadable(_))));
        let label = "PRIVATE KEY";
        let empty = format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n");
        assert!(matches!(SoftwareKey::from_pem(empty.as_bytes()), Err(Error::KeyKind)));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let key = SoftwareKey::of_identity(&pki().system("commune").unwrap()).unwrap();
        assert_eq!(format!("{key:?}"), "SoftwareKey { scheme: P256, .. }");
    }
}
