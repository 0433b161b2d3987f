//! Configuration: one TOML file, the directory and the trust material it names. Everything is read
//! and checked before anything is started or replaced.

mod deadlines;
mod directory;
mod material;
mod neighbour;
mod official;
mod portal;
mod procedures;
mod quota;
mod seal;
mod timestamp;
mod trust;
mod witness;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use deadlines::{DeadlineTimes, LastDay, UrgencyTimes, deadlines};
pub use directory::{DirectoryFile, read as read_directory};
pub use material::{Material, TlsMaterial, log_key};
pub use neighbour::{NeighbourGateway, Relay};
pub use official::{Official, OfficialDomain};
pub use portal::{PortalFile, read_login};
pub use procedures::{parse as parse_procedures, read as read_procedures};
pub use quota::{QuotaSection, allowances};
pub use seal::{SealFiles, seal};
pub use timestamp::{TimestampAuthority, stamping};
pub use trust::{
    DomainProfile, Held, Place, TrustDomain, read_certificates, read_domains, read_trust,
};
pub use witness::{Neighbour, WitnessOf, WitnessedBy};

/// The operator's socket in the data folder of a running gateway.
pub const CONTROL_SOCKET: &str = "control";

/// Why the configuration cannot be used; the text says where and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Error {
    path: PathBuf,
    problem: String,
}

impl Error {
    pub(crate) fn new(path: &Path, problem: impl ToString) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// The file as it is written. Paths are relative to the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway's name: the origin of its log, for example its DNS name. Never change it.
    pub name: String,
    /// Where gRPC is served, mTLS only.
    pub listen: SocketAddr,
    /// Where /metrics, /healthz, /readyz and /indicators.json are served; must be a loopback address.
    pub operations: SocketAddr,
    /// Folder of the log and the content.
    pub data: PathBuf,
    /// The directory file.
    pub directory: PathBuf,
    /// The catalogue of procedures; without it none is known.
    pub procedures: Option<PathBuf>,
    /// Folder of trust domains, each with anchors, intermediates and crls.
    pub trust: PathBuf,
    /// TLS of the gateway.
    pub tls: Tls,
    /// The log.
    pub log: Log,
    /// How long recipients have; 24 hours for the notice and 36 for the answer if not given.
    #[serde(default)]
    pub deadlines: DeadlineTimes,
    /// Who time-stamps checkpoints; nobody if not given.
    pub timestamp: Option<TimestampAuthority>,
    /// The gateway's seal, for evidence that other delivery services read; none if not given.
    pub seal: Option<SealFiles>,
    /// Where the log is served to readers; nowhere if absent.
    pub readers: Option<Readers>,
    /// Whose logs this gateway watches; nobody's if absent.
    pub witness: Option<WitnessOf>,
    /// Who watches its log; nobody if absent.
    pub witnessed: Option<WitnessedBy>,
    /// The neighbour gateways; none if absent.
    #[serde(default, rename = "neighbour")]
    pub neighbours: Vec<NeighbourGateway>,
    /// Who this gateway is to them; by default it shows its server certificate.
    pub relay: Option<Relay>,
    /// Whether gRPC reflection is served; to known systems only.
    #[serde(default = "yes")]
    pub reflection: bool,
    /// The most memory that the store's cache may take, in MiB; a short log takes little of it.
    #[serde(default = "cache_mib")]
    pub cache_mib: u64,
    /// Room on the disk of `data`, in MiB, below which nothing new is taken. Reading goes on, and so
    /// does taking as soon as there is room again.
    #[serde(default = "reserve_mib")]
    pub reserve_mib: u64,
    /// How much systems may add in a day.
    #[serde(default)]
    pub quota: QuotaSection,
    /// When bodies are erased; without it, only by order.
    #[serde(default)]
    pub retention: Retention,
}

/// When bodies are erased: the parts of documents and what recipients wrote about them, never what
/// proves anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// How often the rules are applied.
    #[serde(default = "retention_hours")]
    pub every_hours: NonZeroU32,
    /// The first rule that fits a document counts; without one its bodies are kept for good.
    #[serde(default)]
    pub rules: Vec<RetentionRule>,
}

/// How long the bodies of some documents are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// Type name of the documents, as in their envelopes; every document if absent.
    pub kind: Option<String>,
    /// Days of 24 hours after the acceptance.
    pub days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { every_hours: retention_hours(), rules: Vec::new() }
    }
}

/// Once a day.
fn retention_hours() -> NonZeroU32 {
    NonZeroU32::new(24).expect("24 is not 0")
}

/// TLS of the gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PKCS #8 PEM.
    pub key: PathBuf,
    /// CA certificates for clients, PEM.
    pub client_ca: PathBuf,
    /// Revocation lists of those CAs, DER or PEM.
    pub client_crls: Vec<PathBuf>,
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Ed25519 private key, PKCS #8 PEM.
    pub key: PathBuf,
    /// Entries after which an epoch is closed.
    #[serde(default = "epoch_entries")]
    pub epoch_entries: u64,
}

/// The log as C2SP tlog-tiles over HTTPS, behind the gateway's own certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readers {
    /// Where. Checkpoints are for everybody, tiles and entries for auditors.
    #[serde(default = "readers_listen")]
    pub listen: SocketAddr,
}

/// Beside the port of gRPC, and below those of outgoing connections (32768 and up).
fn readers_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7444))
}

fn yes() -> bool {
    true
}

/// A log of a million entries fits: what is evicted must be read again. `vanthu bench --append` at a
/// million entries against a thousand: 1.06 and 1.33 times the cost with this, 1.26 and 1.46 with 256.
fn cache_mib() -> u64 {
    1024
}

/// What is under way when it is asked for: 64 full messages of 4 MiB, and the log of an hour.
fn reserve_mib() -> u64 {
    256
}

fn epoch_entries() -> u64 {
    crate::limits::EPOCH_ENTRIES_MAX
}

impl Config {
    /// Reads the file and makes its paths absolute.
    ///
    /// # Errors
    /// [`Error`] with line and column for what is not well-formed.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::new(path, error))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| Error::new(path, error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let paths = [
            &mut config.data,
            &mut config.directory,
            &mut config.trust,
            &mut config.tls.certificate,
            &mut config.tls.key,
            &mut config.tls.client_ca,
            &mut config.log.key,
        ];
        let calendar = &mut config.deadlines.calendar;
        let authority = config.timestamp.as_mut().and_then(|wanted| wanted.ca.as_mut());
        let seal = config.seal.iter_mut().flat_map(|seal| [&mut seal.certificate, &mut seal.key]);
        let relay = config.relay.iter_mut().flat_map(|own| [&mut own.certificate, &mut own.key]);
        let gateways = config.neighbours.iter_mut().filter_map(|one| one.ca.as_mut());
        let witness = config.witness.iter_mut().map(|section| &mut section.key);
        let neighbours = config.witnessed.iter_mut().flat_map(|section| &mut section.by);
        let cas = neighbours.filter_map(|neighbour| neighbour.ca.as_mut());
        let procedures = &mut config.procedures;
        let others = config.tls.client_crls.iter_mut().chain(calendar).chain(authority);
        let others = others.chain(procedures);
        let others = others.chain(seal).chain(witness).chain(cas).chain(relay).chain(gateways);
        for one in paths.into_iter().chain(others) {
            *one = folder.join(&*one);
        }
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        if !crate::log::is_key_name(&self.name) || self.name.contains('/') {
            return Err(Error::new(path, "name: a name without blanks, plus signs and slashes"));
        }
        if !self.operations.ip().is_loopback() {
            return Err(Error::new(path, "operations: must be a loopback address"));
        }
        if self.witness.is_some() && self.readers.is_none() {
            return Err(Error::new(path, "witness: is served where readers are; add [readers]"));
        }
        if self.log.epoch_entries == 0 {
            return Err(Error::new(path, "log.epoch_entries: must not be 0"));
        }
        Ok(())
    }
}
