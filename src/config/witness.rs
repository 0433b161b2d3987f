//! Whom this gateway watches, and who watches it (`witness/FORMAT.md`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::trust::{read, read_certificates};
use super::{Config, Error};
use crate::courier::{Address, Round};
use crate::log::{LogPublicKey, Policy, WitnessKey, WitnessPublicKey};

/// This gateway as a witness of others; served where readers are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessOf {
    /// Its name; by default that of the gateway and `/witness`.
    pub name: Option<String>,
    /// Ed25519 private key, PKCS #8 PEM; never that of the log.
    pub key: PathBuf,
    /// The logs that it watches: the vkey of each gateway.
    pub logs: Vec<String>,
}

/// The witnesses of this gateway's log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessedBy {
    /// How many of them are enough.
    pub quorum: usize,
    /// From one round to the next; a round is skipped when nothing was added.
    #[serde(default = "interval_seconds")]
    pub interval_seconds: u64,
    /// How long each of them may take.
    #[serde(default = "deadline_seconds")]
    pub deadline_seconds: u64,
    /// Who they are.
    pub by: Vec<Neighbour>,
}

/// One witness.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// Its vkey (C2SP, signature type 0x04).
    pub key: String,
    /// Its submission prefix, such as `https://gateway.example:7444/witness`.
    pub url: String,
    /// CA of its server certificate, PEM; for https.
    pub ca: Option<PathBuf>,
}

/// As Tessera publishes by default.
fn interval_seconds() -> u64 {
    10
}

/// A neighbour across the country answers in a tenth of that.
fn deadline_seconds() -> u64 {
    5
}

impl Config {
    /// The private key of this gateway's witness and the logs that it watches.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn witness_of(&self) -> Result<Option<(WitnessKey, Vec<LogPublicKey>)>, Error> {
        let Some(section) = &self.witness else { return Ok(None) };
        let path = &section.key;
        let wrong = |problem: &str| Error::new(path, problem);
        if std::fs::canonicalize(path).ok() == std::fs::canonicalize(&self.log.key).ok() {
            return Err(wrong("witness.key: must not be the key of the log"));
        }
        let name = section.name.clone().unwrap_or_else(|| format!("{}/witness", self.name));
        if !crate::log::is_key_name(&name) {
            return Err(wrong("witness.name: a name without blanks and plus signs"));
        }
        let pem = Zeroizing::new(read(path)?);
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| Error::new(path, error))?;
        let key = WitnessKey::from_pkcs8(&name, key.secret_der());
        let key = key.map_err(|error| Error::new(path, error))?;
        let mut logs: Vec<LogPublicKey> = Vec::new();
        for text in &section.logs {
            let log = LogPublicKey::parse(text)
                .filter(|log| logs.iter().all(|other| other.gateway != log.gateway))
                .ok_or_else(|| wrong("witness.logs: each must be the vkey of another log"))?;
            logs.push(log);
        }
        Ok(Some((key, logs)))
    }

    /// The witnesses of this gateway's log, ready to be asked.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn witnessed_by(&self) -> Result<Option<Round>, Error> {
        let Some(section) = &self.witnessed else { return Ok(None) };
        let wrong = |problem: String| Error::new(Path::new("witnessed"), problem);
        let mut witnesses = Vec::new();
        for Neighbour { key, url, ca } in &section.by {
            let parsed = WitnessPublicKey::parse(key);
            let parsed = parsed.ok_or_else(|| wrong(format!("by.key: not a vkey: {key}")))?;
            let cas = match ca {
                Some(path) => read_certificates(path)?,
                None => Vec::new(),
            };
            let address = Address::new(url, &cas);
            let address = address.map_err(|error| wrong(format!("by.url: {url}: {error}")))?;
            witnesses.push((parsed, address));
        }
        let keys = witnesses.iter().map(|(key, _)| key.clone()).collect();
        let policy = Policy::of(keys, section.quorum).filter(|_| section.quorum > 0);
        let seconds = |seconds: u64| Duration::from_secs(seconds.max(1));
        Ok(Some(Round {
            witnesses,
            policy: policy.ok_or_else(|| {
                wrong("quorum: at least 1, and as many different witnesses must be named".into())
            })?,
            interval: seconds(section.interval_seconds),
            deadline: seconds(section.deadline_seconds),
        }))
    }
}
