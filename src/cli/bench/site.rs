//! A log with its gateway in this process, to be filled and measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::Letter;
use super::process::own_cpu_time;
use crate::cli::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Material, log_key};
use crate::digest::Sha256;
use crate::directory::{Role, SystemId};
use crate::document::{ConsignmentId, RequestId};
use crate::gateway::{Answer, Bodies, Gateway, Peer, Setup, Submission};
use crate::log::{Entry, EntryId, Status};
use crate::store::DiskSpace;
use crate::store::content::ContentStore;
use crate::store::guard::FileGuard;
use crate::store::sled;

/// Submissions and reports under way at once.
const AT_ONCE: usize = 64;
/// Reports under way at once while the log is filled.
const FILLING_AT_ONCE: usize = 512;

/// What one submission took, of many under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// By the clock: waits for the disk included, whose speed drifts most.
    pub(super) us: f64,
    /// Of all processors.
    pub(super) processor_us: f64,
}

/// A system as its certificate would name it.
pub(super) fn peer(system: &str, role: Role) -> Peer {
    Peer {
        system: SystemId::parse(system).expect("a well-formed name"),
        role,
        certificate: Sha256::of(system.as_bytes()),
        der: Arc::from(system.as_bytes()),
    }
}

/// A log with its gateway, and a document in it that can be reported on.
pub(super) struct Site {
    gateway: Arc<Gateway>,
    consignment: ConsignmentId,
}

impl Site {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let gateway = open_at(config, Arc::new(SystemClock))?;
        let consignment = submit(&gateway, 0).await?;
        Ok(Self { gateway, consignment })
    }

    pub(super) fn size(&self) -> Result<u64, Failure> {
        Ok(self.gateway.store().head().map_err(Failure::other)?.size)
    }

    /// Adds status reports until the log has `entries`.
    pub(super) async fn fill(&self, entries: u64) -> Result<(), Failure> {
        let mut reports = tokio::task::JoinSet::new();
        loop {
            let missing = usize::try_from(entries.saturating_sub(self.size()?)).unwrap_or(0);
            if missing == 0 {
                return Ok(());
            }
            for _ in 0..missing.min(FILLING_AT_ONCE) {
                let (gateway, consignment) = (self.gateway.clone(), self.consignment);
                reports.spawn(async move { report(&gateway, consignment).await });
            }
            while let Some(reported) = reports.join_next().await {
                reported.map_err(Failure::other)??;
            }
        }
    }

    /// The cost of one of `count` submissions, many of them under way; `round` tells rounds apart.
    pub(super) async fn measure(&self, round: u64, count: u64) -> Result<Cost, Failure> {
        let processor = own_cpu_time();
        let since = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        let first = 1 + round * count;
        for number in first..first + count {
            if tasks.len() >= AT_ONCE
                && let Some(done) = tasks.join_next().await
            {
                done.map_err(Failure::other)??;
            }
            let gateway = self.gateway.clone();
            tasks.spawn(async move { submit(&gateway, number).await.map(drop) });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(Failure::other)??;
        }
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let us = each(since.elapsed());
        Ok(Cost { us, processor_us: each(own_cpu_time().saturating_sub(processor)) })
    }

    /// How long each of `count` reports took until its proof was there, many of them under way.
    pub(super) async fn integration(&self, count: usize) -> Result<Vec<Duration>, Failure> {
        let mut tasks = tokio::task::JoinSet::new();
        let mut took = Vec::with_capacity(count);
        while took.len() < count {
            while tasks.len() < AT_ONCE && took.len() + tasks.len() < count {
                let (gateway, consignment) = (self.gateway.clone(), self.consignment);
                tasks.spawn(async move {
                    let since = Instant::now();
                    report(&gateway, consignment).await.map(|()| since.elapsed())
                });
            }
            let Some(done) = tasks.join_next().await else { break };
            took.push(done.map_err(Failure::other)??);
        }
        Ok(took)
    }

    /// Submits `count` letters to H49.11, many at once: all of them wait there.
    pub(super) async fn pile_up(&self, count: u64) -> Result<(), Failure> {
        let mut letters = tokio::task::JoinSet::new();
        for number in 0..count {
            if letters.len() >= FILLING_AT_ONCE
                && let Some(sent) = letters.join_next().await
            {
                sent.map_err(Failure::other)??;
            }
            let gateway = self.gateway.clone();
            letters.spawn(async move { submit(&gateway, number + 1).await.map(drop) });
        }
        while let Some(sent) = letters.join_next().await {
            sent.map_err(Failure::other)??;
        }
        Ok(())
    }

    /// Submits a letter and waits until its acceptance is durable.
    pub(super) async fn send(&self, letter: &Letter) -> Result<EntryId, Failure> {
        send(&self.gateway, "commune", letter).await.map(|(_, entry)| entry)
    }

    /// The gateway.
    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }
}

/// A gateway on the configured folder, in this process, with this clock.
pub(super) fn open_at(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Gateway>, Failure> {
    let store = sled::open(&config.data, config.cache_mib << 20).map_err(Failure::other)?;
    let contents = ContentStore::open(&config.data.join("content"), clock.now());
    let contents = Arc::new(contents.map_err(Failure::other)?);
    let setup = Setup {
        store: Arc::new(store),
        eraser: contents.clone(),
        contents,
        guard: Arc::new(FileGuard::open(&config.data).map_err(Failure::other)?),
        space: Arc::new(DiskSpace(config.data.clone())),
        reserve: 0,
        clock,
        key: log_key(config)?,
        cosigned: Arc::default(),
        name: config.name.clone(),
        epoch_entries: config.log.epoch_entries,
        accept_loss: false,
    };
    let surroundings = Material::read(config)?.surroundings;
    let gateway = Gateway::start(setup, surroundings);
    Ok(Arc::new(gateway.map_err(Failure::other)?))
}

/// The recipient says that it is at work: one small entry.
async fn report(gateway: &Gateway, consignment: ConsignmentId) -> Result<(), Failure> {
    let answer = Answer {
        agency: crate::directory::Code::parse("H49.11").expect("a code"),
        consignment,
        token: None,
        status: Status::InProgress,
        note: String::new(),
    };
    let answered = gateway.answer(&peer("province", Role::Agency), answer).await;
    answered.map(drop).map_err(Failure::other)
}

async fn submit(gateway: &Gateway, number: u64) -> Result<ConsignmentId, Failure> {
    send(gateway, "commune", &Letter::to("H49.11", number.to_string()))
        .await
        .map(|(consignment, _)| consignment)
}

/// Submits a letter; gives its consignment and the entry of its acceptance.
pub(super) async fn send(
    gateway: &Gateway,
    system: &str,
    letter: &Letter,
) -> Result<(ConsignmentId, EntryId), Failure> {
    let bytes = letter.envelope_bytes();
    let today = gateway.now().date_in_vietnam();
    let submission = Submission {
        request: RequestId(uuid::Uuid::new_v4()),
        envelope: crate::service::read_envelope(&bytes, today).map_err(Failure::other)?,
        bodies: Bodies::Inline(vec![letter.body.clone()]),
    };
    let accepted = gateway.submit(&peer(system, Role::Agency), submission).await;
    let receipt = accepted.map_err(Failure::other)?.receipt;
    let entry = Entry::from_leaf(&receipt.leaf).map_err(Failure::other)?;
    let consignment = entry.consignment;
    let consignment = consignment.ok_or_else(|| Failure::other("an acceptance of nothing"))?;
    Ok((consignment, receipt.id))
}
