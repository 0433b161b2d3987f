//! The hall: the only place where the rooms meet.
//!
//! [`Gateway::submit`] is the walk of a document; [`Gateway::answer`] is what recipients say about
//! it. Both end in the sequencer, the one writer of the log. Nothing is answered before it is
//! durable and proven.

mod answering;
mod backlog;
mod command;
mod cosigned;
mod deadlines;
mod described;
mod dispatcher;
mod dossiers;
mod erasing;
mod filing;
mod judging;
mod pace;
pub mod peer;
pub mod ports;
mod quota;
mod reading;
mod reads;
mod recording;
mod redirecting;
mod registering;
mod relaying;
mod searching;
mod sequencer;
mod stage;
mod stamping;
mod submitting;
mod telling;
mod validation_report;
mod witnessing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

pub use answering::{Answer, AnswerReceipt, Reply, SendersOrder, note_text};
pub use backlog::{Overview, Stuck};
pub use cosigned::Cosigned;
pub use described::describe;
pub use dispatcher::Dispatcher;
pub use dossiers::DossierStep;
pub use erasing::{Erased, Erasure, HoldChange};
pub use judging::{Judged, Judgement, SignerRole, named_in};
pub use pace::Pace;
pub use peer::Peer;
pub use quota::{Allowances, Quotas, Reserved};
pub use reading::{EpochRows, Page, Reading, page};
pub use reads::{Asked, Query};
pub use registering::{NotTaken, Version};
pub use relaying::{Brought, Taken};
pub use searching::{Findings, Found, Wanted};
pub use sequencer::{Setup, StartError};
pub use stamping::{StampError, ToStamp};
pub use submitting::{Accepted, Bodies, Missing, Submission, Validated, Warning};
pub use telling::{TellError, Teller, ToRelay, Told};
pub use validation_report::ValidationReport;
pub use witnessing::{NotCosigned, Witness};

use crate::calendar::Calendar;
use crate::clock::{Clock, Time};
use crate::directory::Directory;
use crate::dossier::Catalogue;
use crate::limits::{READ_INTERVAL, READS_AT_ONCE};
use crate::log::LogPublicKey;
use crate::refusal::Refusal;
use crate::signature::{Der, Trust};
use ports::{Contents, Eraser, Space, Store, StoreError};
use sequencer::Sequencer;

/// What a panic left behind is still whole: nothing here is half changed under a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our trouble, not the caller's: nothing happened, and the same request may be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too much waits for the writer.
    #[error("the gateway is busy")]
    Busy,
    /// The process is about to stop; another will answer.
    #[error("the gateway is closing")]
    Closing,
    /// The disk has less room than is kept in reserve.
    #[error("the disk is full: {free} bytes are free, {reserve} are kept in reserve")]
    Full {
        /// Bytes left.
        free: u64,
        /// Bytes that must be.
        reserve: u64,
    },
    /// The file system takes no writes.
    #[error("the file system of the store is read-only")]
    ReadOnly,
    /// The writer has stopped; a restart is under way.
    #[error("the gateway cannot write to its log")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content store failed.
    #[error("content cannot be stored: {0}")]
    Content(String),
}

impl Fault {
    /// When it makes sense to try again.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Busy | Self::Closing => Duration::from_secs(1),
            Self::Stopped | Self::Store(_) | Self::Content(_) => Duration::from_secs(10),
            // Somebody must make room.
            Self::Full { .. } | Self::ReadOnly => Duration::from_secs(60),
        }
    }
}

/// Why a call did not do what it was asked: a refusal is final, a fault is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller's to mend.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ours to mend.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// What may change while the gateway runs; replaced as a whole.
#[derive(Debug)]
pub struct Surroundings {
    /// Who exists.
    pub directory: Directory,
    /// Whom signatures may lead to.
    pub trust: Trust,
    /// The revocation lists in `trust`, in the order in which they were given to it.
    pub crls: Vec<Der>,
    /// The logs of the neighbour gateways.
    pub neighbours: Vec<LogPublicKey>,
    /// What the law says of procedures.
    pub procedures: Catalogue,
}

/// The gateway.
pub struct Gateway {
    store: Arc<dyn Store>,
    contents: Arc<dyn Contents>,
    clock: Arc<dyn Clock>,
    surroundings: RwLock<Arc<Surroundings>>,
    register: registering::Register,
    reading: Reading,
    sequencer: Sequencer,
    dispatcher: Arc<Dispatcher>,
    kept: submitting::Kept,
    readers: Pace,
    quotas: Quotas,
    recorder: recording::Recorder,
    eraser: Arc<dyn Eraser>,
    /// Held while bodies are erased.
    erasing: Mutex<()>,
    ways: erasing::Ways,
    space: Arc<dyn Space>,
    reserve: u64,
    cosigned: Arc<Cosigned>,
    calendar: Arc<Calendar>,
}

impl Gateway {
    /// Opens the log, checks it against its head guard, and starts the writer.
    ///
    /// # Errors
    /// [`StartError`] if the log must not be written to.
    pub fn start(setup: Setup, surroundings: Surroundings) -> Result<Self, StartError> {
        let dispatcher = Arc::new(Dispatcher::default());
        let (store, clock) = (setup.store.clone(), setup.clock.clone());
        let contents = setup.contents.clone();
        let cosigned = setup.cosigned.clone();
        let reading = Reading::new(store.clone(), setup.key.public());
        let eraser = setup.eraser.clone();
        let (space, reserve) = (setup.space.clone(), setup.reserve);
        let sequencer = Sequencer::start(setup, dispatcher.clone())?;
        Ok(Self {
            store,
            contents,
            clock,
            surroundings: RwLock::new(Arc::new(surroundings)),
            register: registering::Register::default(),
            reading,
            sequencer,
            dispatcher,
            kept: submitting::Kept::default(),
            readers: Pace::new(READ_INTERVAL, READS_AT_ONCE),
            quotas: Quotas::default(),
            recorder: recording::Recorder::default(),
            eraser,
            erasing: Mutex::default(),
            ways: erasing::Ways::default(),
            space,
            reserve,
            cosigned,
            calendar: Arc::new(Calendar::vietnam()),
        })
    }

    /// Holds systems to these quotas instead of the usual ones.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// Counts the times of dossiers in this calendar instead of that of Vietnam.
    #[must_use]
    pub fn with_calendar(self, calendar: Calendar) -> Self {
        Self { calendar: Arc::new(calendar), ..self }
    }

    /// The calendar in which dossiers' times are counted.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// What systems have used of their quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether there is room for anything new. Asked before a document, an answer or an upload is
    /// taken, so that a full disk is met by a refusal and not by a failed write, after which only a
    /// restart helps. Reading needs no room.
    ///
    /// # Errors
    /// [`Fault::Full`], [`Fault::ReadOnly`].
    pub fn room(&self) -> Result<(), Fault> {
        match self.space.free()? {
            Some(free) if free >= self.reserve => Ok(()),
            Some(free) => Err(Fault::Full { free, reserve: self.reserve }),
            None => Err(Fault::ReadOnly),
        }
    }

    /// The present time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The present directory and trust; stable for as long as it is held.
    pub fn surroundings(&self) -> Arc<Surroundings> {
        self.surroundings.read().expect("no panic while replacing").clone()
    }

    /// The log, to read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Our checkpoints as witnesses have seen them.
    pub fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }

    /// The store, to look things up.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The bodies.
    pub fn contents(&self) -> &Arc<dyn Contents> {
        &self.contents
    }

    /// The bells of the mailboxes.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Becomes the reason once the writer has stopped for good; the process must then restart.
    pub fn broken(&self) -> watch::Receiver<Option<String>> {
        self.sequencer.broken()
    }
}
