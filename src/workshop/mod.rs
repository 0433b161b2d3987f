//! The workshop: signing with one's own key, and throw-away keys, certificates and papers.
//!
//! `vanthu sign` uses it with real keys; every key and certificate made here is worthless outside a
//! test, and says so in its names. The gateway never signs documents and never calls this module
//! while it serves; it only judges what others signed.

mod cms;
mod composed;
mod der;
pub(crate) mod disk;
pub mod drawing;
mod encrypted_key;
mod field;
pub mod font;
pub mod identity;
pub mod image;
mod issue;
pub mod key;
mod making;
pub mod official;
pub mod page;
pub mod pki;
pub mod portal;
pub mod profile;
mod revision;
pub mod sign;
pub mod token;
pub mod tsp;

/// Why the workshop could not make something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The profile is not well-formed or names what it does not have.
    #[error("the profile is wrong: {0}")]
    Profile(String),
    /// A certificate or CRL could not be made.
    #[error("the certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A key could not be made or used.
    #[error("the key could not be made or used")]
    Key,
    /// The private key is encrypted.
    #[error("the private key is encrypted")]
    KeyEncrypted,
    /// The private key is encrypted in another way than those that are opened here.
    #[error("the private key is encrypted in a way that is not read here")]
    KeyEncryption,
    /// The private key needs another password.
    #[error("the password does not open the private key")]
    KeyPassword,
    /// The private key is of a kind that is not used here.
    #[error("the private key is none of RSA (2048 to 8192 bits), P-256, P-384, Ed25519")]
    KeyKind,
    /// A signature does not verify with the certificate.
    #[error("the certificate does not belong to the key")]
    KeyMismatch,
    /// The token or its module said no.
    #[error("{0}")]
    Token(String),
    /// The PIN is wrong, or was wrong too often.
    #[error("the token does not take the PIN: {0}")]
    Pin(&'static str),
    /// The token has no such object.
    #[error("{0}")]
    NotOnToken(String),
    /// No time-stamp was to be had.
    #[error("the time-stamping authority {0}")]
    Stamp(String),
    /// The time-stamping authority cannot be reached.
    #[error("the time-stamping authority cannot be reached: {0}")]
    StampConnection(String),
    /// Nothing says which server may be asked for a time-stamp over TLS.
    #[error("the time-stamping authority is reached by https, and no certificate says who it is")]
    StampTrust,
    /// The image or font cannot be used.
    #[error("{0}")]
    Drawing(String),
    /// What is to be shown would lie outside of the page.
    #[error(
        "the signature would stand outside of its page, which is {width_mm:.0} mm wide and \
         {height_mm:.0} mm high"
    )]
    OutsidePage {
        /// Width as a reader sees the page, in millimetres.
        width_mm: f64,
        /// Height, in millimetres.
        height_mm: f64,
    },
    /// The PEM or DER text is not what it should be.
    #[error("{0} is not readable")]
    Unreadable(String),
    /// The PKI has no such member.
    #[error("the PKI has no {0}")]
    Unknown(String),
    /// The directory holds something that is not a development PKI.
    #[error("{0} is not empty and has no WORTHLESS.txt")]
    NotOurs(std::path::PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file or directory.
        path: std::path::PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The PDF has a structure that the signer does not extend.
    #[error("the PDF cannot be signed: {0}")]
    Pdf(&'static str),
}

#[cfg(test)]
mod shared {
    use std::sync::OnceLock;

    use super::{pki::DevPki, profile::Profile};
    use crate::clock::Time;

    /// When the shared PKI was made.
    pub fn now() -> Time {
        "2026-11-22T03:45:18.000Z".parse().expect("a time")
    }

    /// RSA keys are slow to make, so all tests of this module share one PKI.
    pub fn pki() -> &'static DevPki {
        static PKI: OnceLock<DevPki> = OnceLock::new();
        PKI.get_or_init(|| DevPki::generate(&Profile::built_in(), now()).expect("a PKI"))
    }
}
