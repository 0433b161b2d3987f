//! With which key and certificate: from files, or on a PKCS#11 token.
//!
//! A PIN or password comes from a file or the environment, never from the command line, which every user of the
//! machine can read.

use std::path::{Path, PathBuf};

use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::{failure, read};
use crate::cli::exit::{Exit, Failure};
use crate::clock::Time;
use crate::limits::KEY_FILE_SIZE_MAX;
use crate::workshop::Error;
use crate::workshop::identity::certificates;
use crate::workshop::key::{SigningKey, SoftwareKey};
use crate::workshop::token::{Choice, TokenKey};

/// The environment variable that holds the PIN.
const PIN: &str = "VANTHU_PIN";
/// The environment variable that holds the password of a key file.
const KEY_PASSWORD: &str = "VANTHU_KEY_PASSWORD";

/// With which key and certificate.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Options {
    /// Certificate of the key, then its issuers (PEM, or one in DER); a token may have its own
    #[arg(long, required_unless_present = "pkcs11")]
    cert: Option<PathBuf>,
    /// Private key in PEM: RSA, P-256, P-384 or Ed25519
    #[arg(long, required_unless_present = "pkcs11", conflicts_with = "pkcs11")]
    key: Option<PathBuf>,
    /// File with the password of the key [default: the one in VANTHU_KEY_PASSWORD]
    #[arg(long, value_name = "FILE", requires = "key")]
    key_password_file: Option<PathBuf>,
    /// PKCS#11 module that reaches the token
    #[arg(long, value_name = "MODULE")]
    pkcs11: Option<PathBuf>,
    /// Label of the token, if there are several
    #[arg(long, value_name = "LABEL", requires = "pkcs11", conflicts_with = "key")]
    token: Option<String>,
    /// Label of the key, if the token has several
    #[arg(long, value_name = "LABEL", requires = "pkcs11", conflicts_with = "key")]
    key_label: Option<String>,
    /// File with the PIN [default: the PIN in VANTHU_PIN]
    #[arg(long, requires = "pkcs11", conflicts_with = "key")]
    pin_file: Option<PathBuf>,
}

/// A key with its certificates.
pub(super) struct Held {
    pub key: Box<dyn SigningKey>,
    pub chain_der: Vec<Vec<u8>>,
}

impl Held {
    /// Opens the key; its certificate must be valid now.
    pub fn open(options: &Options, now: Time) -> Result<Self, Failure> {
        let given = options.cert.as_deref().map(chain).transpose()?;
        let held = match (&options.key, &options.pkcs11) {
            (Some(path), _) => {
                let text = Zeroizing::new(read(path, KEY_FILE_SIZE_MAX).map_err(unusable)?);
                let key = match SoftwareKey::from_pem(&text) {
                    Err(Error::KeyEncrypted) => opened(options, &text)?,
                    key => key.map_err(failure)?,
                };
                Self { key: Box::new(key), chain_der: given.unwrap_or_default() }
            }
            (None, Some(module)) => {
                let (token, key) = (options.token.as_deref(), options.key_label.as_deref());
                let key = TokenKey::open(Choice { module, token, key }, pin(options)?);
                let key = key.map_err(failure)?;
                let chain_der = match given {
                    Some(chain) => chain,
                    None => vec![key.certificate().map_err(failure)?],
                };
                Self { key: Box::new(key), chain_der }
            }
            (None, None) => return Err(Failure::new(Exit::Configuration, "no key was named")),
        };
        usable(held.leaf(), now)?;
        Ok(held)
    }

    pub fn leaf(&self) -> &[u8] {
        self.chain_der.first().map_or(&[], Vec::as_slice)
    }
}

/// The certificates in a file: several in PEM, or one in DER.
pub(super) fn chain(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = read(path, KEY_FILE_SIZE_MAX).map_err(unusable)?;
    if X509Certificate::from_der(&bytes).is_ok() {
        return Ok(vec![bytes]);
    }
    let found = certificates(&bytes).map_err(failure)?;
    if found.is_empty() {
        return Err(unusable(Failure::file(path, "there is no certificate in it")));
    }
    Ok(found)
}

/// A signature with a certificate that does not hold would prove nothing.
fn usable(leaf: &[u8], now: Time) -> Result<(), Failure> {
    let wrong = |why: String| Failure::new(Exit::Configuration, why);
    let parsed = X509Certificate::from_der(leaf);
    let (_, leaf) = parsed.map_err(|_| wrong("the certificate is not readable".into()))?;
    let validity = leaf.validity();
    let at = |time: x509_parser::time::ASN1Time| Time::from_seconds(time.timestamp());
    let (from, until) = (at(validity.not_before), at(validity.not_after));
    if now > until {
        let failure = wrong(format!("the certificate expired on {}", until.in_vietnam()));
        return Err(failure.with_hint("ask its authority for a new one"));
    }
    if now < from {
        return Err(wrong(format!("the certificate is not valid before {}", from.in_vietnam())));
    }
    let usage = leaf.key_usage().ok().flatten().map(|usage| usage.value);
    if usage.is_some_and(|usage| !usage.digital_signature() && !usage.non_repudiation()) {
        return Err(wrong("the certificate is not for signatures".into()));
    }
    Ok(())
}

/// An encrypted key, with the password that was given.
fn opened(options: &Options, text: &[u8]) -> Result<SoftwareKey, Failure> {
    let password = secret(options.key_password_file.as_deref(), KEY_PASSWORD)?;
    let password = password.ok_or_else(|| failure(Error::KeyEncrypted))?;
    SoftwareKey::from_encrypted_pem(text, password.as_bytes()).map_err(failure)
}

fn pin(options: &Options) -> Result<Zeroizing<String>, Failure> {
    let hint = || format!("put it in a file for --pin-file, or in {PIN}");
    let pin = secret(options.pin_file.as_deref(), PIN)?;
    pin.ok_or_else(|| Failure::new(Exit::Configuration, "no PIN").with_hint(hint()))
}

/// The first line of a file, or else a variable of the environment.
fn secret(path: Option<&Path>, variable: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(path) = path else {
        return Ok(std::env::var(variable).ok().map(Zeroizing::new));
    };
    let bytes = Zeroizing::new(read(path, KEY_FILE_SIZE_MAX).map_err(unusable)?);
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| unusable(Failure::file(path, "it is no text")))?;
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

fn unusable(failure: Failure) -> Failure {
    Failure { exit: Exit::Configuration, ..failure }
}
