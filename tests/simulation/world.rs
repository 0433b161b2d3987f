//! A gateway that can be killed and started again on what is left of it.

use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vanthu::clock::{Clock, Time};
use vanthu::config::{Config, Material, log_key};
use vanthu::digest::Sha256;
use vanthu::directory::{Role, SystemId};
use vanthu::gateway::ports::{HeadGuard, StoreError};
use vanthu::gateway::{Gateway, Peer, Setup};
use vanthu::log::LogPublicKey;
use vanthu::store::DiskSpace;
use vanthu::store::Table;
use vanthu::store::content::ContentStore;
use vanthu::store::memory::MemoryMedium;

use crate::faulty::{FaultyMedium, Fuse};

/// How long threads of an ended gateway may take to let go of its store.
const RELEASE_DEADLINE: Duration = Duration::from_secs(20);

/// Agencies that send and receive, with the systems that speak for them.
pub const AGENCIES: [(&str, &str, Role); 6] = [
    ("H49", "province", Role::Agency),
    ("H49.11", "province", Role::Agency),
    ("H49.11.3", "district", Role::Agency),
    ("H49.151", "commune", Role::Agency),
    ("H49.152", "commune", Role::Agency),
    ("G22.DVC", "portal", Role::Portal),
];

/// The system that speaks for an agency.
pub fn peer(agency: &str) -> Peer {
    let known = AGENCIES.iter().find(|(code, ..)| *code == agency).expect("one of AGENCIES");
    Peer {
        system: SystemId::parse(known.1).expect("a name"),
        role: known.2,
        certificate: Sha256::of(known.1.as_bytes()),
        der: Arc::from(known.1.as_bytes()),
    }
}

/// Keys, directory and configuration, as `vanthu certs dev` makes them.
pub struct Papers {
    config: Config,
    _folder: tempfile::TempDir,
}

impl Papers {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("pki");
        let made = Command::new(env!("CARGO_BIN_EXE_vanthu"))
            .args(["certs", "dev", "--out"])
            .arg(&out)
            .output()
            .expect("runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = Config::read(&out.join("vanthu.toml")).expect("a configuration");
        Self { config, _folder: folder }
    }
}

/// A clock that goes where it is told, backwards too.
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The head guard in memory, behind the fuse of the store.
struct Guard {
    kept: Arc<Mutex<Option<Vec<u8>>>>,
    fuse: Arc<Fuse>,
}

impl HeadGuard for Guard {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn keep(&self, note: &[u8]) -> Result<(), StoreError> {
        self.fuse.burn("head", || {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.to_vec());
            Ok(())
        })
    }
}

/// What outlives a gateway.
pub struct World {
    #[expect(clippy::redundant_allocation, reason = "what is a medium in memory is the inner Arc")]
    medium: Arc<Arc<MemoryMedium>>,
    guard: Arc<Mutex<Option<Vec<u8>>>>,
    contents: tempfile::TempDir,
    clock: Arc<Jumping>,
    config: Config,
    epoch_entries: u64,
    gateway: Option<Arc<Gateway>>,
    pub fuse: Arc<Fuse>,
}

impl World {
    pub fn new(papers: &Papers, epoch_entries: u64) -> Self {
        let start: Time = "2026-11-27T01:00:00.000Z".parse().expect("a time");
        let mut world = Self {
            medium: Arc::default(),
            guard: Arc::default(),
            contents: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(Jumping(AtomicI64::new(start.millis()))),
            config: papers.config.clone(),
            epoch_entries,
            gateway: None,
            fuse: Fuse::unburnt(),
        };
        world.start(Fuse::unburnt()).expect("starts on new media");
        world
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        self.gateway.as_ref().expect("it runs")
    }

    pub fn key(&self) -> LogPublicKey {
        log_key(&self.config).expect("a key").public()
    }

    pub fn jump(&self, milliseconds: i64) {
        self.clock.0.fetch_add(milliseconds, Ordering::SeqCst);
    }

    /// Starts a gateway whose writes go through `fuse`.
    pub fn start(&mut self, fuse: Arc<Fuse>) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        let medium = FaultyMedium::new(&self.medium, &fuse);
        let store = Table::open_with_runs_of(medium, 16).map_err(text)?;
        let contents = ContentStore::open(self.contents.path(), self.clock.now()).map_err(text)?;
        let guard = Guard { kept: self.guard.clone(), fuse: fuse.clone() };
        let contents = Arc::new(contents);
        let setup = Setup {
            store: Arc::new(store),
            eraser: contents.clone(),
            contents,
            guard: Arc::new(guard),
            space: Arc::new(DiskSpace(self.contents.path().to_owned())),
            reserve: 0,
            clock: self.clock.clone(),
            key: log_key(&self.config).expect("a key"),
            cosigned: Arc::default(),
            name: self.config.name.clone(),
            epoch_entries: self.epoch_entries,
            accept_loss: false,
        };
        let material = Material::read(&self.config).expect("sound material");
        let gateway = Gateway::start(setup, material.surroundings);
        self.gateway = Some(Arc::new(gateway.map_err(|error| error.to_string())?));
        self.fuse = fuse;
        Ok(())
    }

    /// Ends the gateway and waits until nothing of it is left.
    pub fn stop(&mut self) {
        let Some(gateway) = self.gateway.take() else { return };
        let (store, contents) =
            (Arc::downgrade(gateway.store()), Arc::downgrade(gateway.contents()));
        drop(gateway);
        let since = Instant::now();
        while store.strong_count() + contents.strong_count() > 0 {
            assert!(since.elapsed() < RELEASE_DEADLINE, "the gateway does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
