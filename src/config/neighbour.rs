//! The neighbour gateways: where they are, whose logs they keep, and who we are to them.

use std::path::{Path, PathBuf};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::trust::{read, read_certificates};
use super::{Config, Error};
use crate::courier::Dial;
use crate::courier::relay::Neighbour;
use crate::directory::Code;
use crate::log::{LogPublicKey, Service, ServiceKind};

/// One neighbour. The directory has a system of the role `gateway` with its name, which hosts the
/// agencies behind it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourGateway {
    /// Its name: the origin of its log, 1–35 of `0-9 a-z . -`.
    pub name: String,
    /// Where it serves, such as `https://nation.example:7443`.
    pub address: String,
    /// The vkey of its log.
    pub vkey: String,
    /// CA of its server certificate, PEM; that of our clients if not given.
    pub ca: Option<PathBuf>,
}

/// Who this gateway is to its neighbours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Certificate chain, PEM, leaf first: a client's.
    pub certificate: PathBuf,
    /// Its private key, PKCS #8 PEM.
    pub key: PathBuf,
}

impl Config {
    /// The keys of the neighbours' logs.
    ///
    /// # Errors
    /// A name or key that cannot be used.
    pub fn neighbour_keys(&self) -> Result<Vec<LogPublicKey>, Error> {
        let mut keys: Vec<LogPublicKey> = Vec::new();
        for neighbour in &self.neighbours {
            let wrong = |problem: &str| {
                Error::new(Path::new("neighbour"), format!("{}: {problem}", neighbour.name))
            };
            if service(&neighbour.name).is_none() || neighbour.name == self.name {
                return Err(wrong("name: another than our own, of 1-35 of 0-9 a-z . -"));
            }
            let key = LogPublicKey::parse(&neighbour.vkey);
            let key = key.filter(|key| key.gateway == neighbour.name);
            let key = key.ok_or_else(|| wrong("vkey: not the key of a log of this name"))?;
            if keys.iter().any(|other| other.gateway == key.gateway) {
                return Err(wrong("stands twice"));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// The neighbours, ready to be called.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn neighbours(&self) -> Result<Vec<Neighbour>, Error> {
        let keys = self.neighbour_keys()?;
        let own = self
            .relay
            .as_ref()
            .map_or((&self.tls.certificate, &self.tls.key), |own| (&own.certificate, &own.key));
        let mut ready = Vec::new();
        for (neighbour, key) in self.neighbours.iter().zip(keys) {
            let cas = read_certificates(neighbour.ca.as_ref().unwrap_or(&self.tls.client_ca))?;
            let chain = read_certificates(own.0)?;
            let pem = Zeroizing::new(read(own.1)?);
            let private =
                PrivateKeyDer::from_pem_slice(&pem).map_err(|error| Error::new(own.1, error))?;
            let dial = Dial::new(&neighbour.address, &cas, chain, private);
            let dial = dial.map_err(|error| Error::new(Path::new("neighbour"), error))?;
            let service = service(&neighbour.name).expect("it was checked with the keys");
            ready.push(Neighbour { service, key, dial });
        }
        Ok(ready)
    }
}

/// What waits for a neighbour waits in a mailbox of its name.
fn service(name: &str) -> Option<Service> {
    Service::new(ServiceKind::Gateway, name).filter(|_| Code::parse(name).is_some())
}
