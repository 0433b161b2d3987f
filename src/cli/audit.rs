//! `vanthu log audit`, and the walk through a log that it shares with `vanthu log mirror`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Instant;

use serde_json::json;
use tonic::transport::Channel;

use super::Output;
use super::bench::peak_memory;
use super::evidence::public_key;
use super::exit::{Exit, Failure};
use crate::audit::{Auditor, Remembered, Report};
use crate::client;
use crate::digest::Sha256;
use crate::gateway::Reading;
use crate::gateway::ports::{Store, StoreError};
use crate::log::{Checkpoint, EntryId, LogPublicKey};
use crate::proto::v1;
use crate::proto::v1::log_service_client::LogServiceClient;
use crate::store;
use crate::witness::Fork;

/// Entries read at a time.
const ENTRIES_AT_ONCE: usize = 1_024;
/// Pages of so many that are read ahead: at most 12 MiB wait.
const PAGES_AHEAD: usize = 2;
/// Cache for reading a copied log, in bytes.
const CACHE: u64 = 64 * 1024 * 1024;
/// Progress is told after so many entries.
const PROGRESS_EVERY: u64 = 250_000;

/// Reads every entry, from a stopped gateway's or a copied data folder or from a running gateway.
///
/// With --since, only what came after the audit before: FILE keeps where that ended, and is written
/// anew after an audit without findings. Such an audit proves that the log only grew and judges the
/// new entries; whether one repeats or answers something older, only a full audit can say, and the
/// entries for which that is open are counted as unjudged.
///
/// Examples:
///   vanthu log audit --key log.vkey --data copy-of-data
///   vanthu log audit --key log.vkey --cert certs/dev/systems/auditor.pem --since audit.state
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Public key of the log (C2SP vkey), or a file that holds it
    #[arg(long)]
    key: String,
    /// Data folder; not the one of a running gateway
    #[arg(long)]
    data: Option<PathBuf>,
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    ca: PathBuf,
    /// Certificate of an auditor, PEM
    #[arg(long, env = "VANTHU_CERT", required_unless_present = "data")]
    cert: Option<PathBuf>,
    /// Go on where the audit before ended, and remember here where this one ends
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
}

/// Is told of every entry and checkpoint, in order, after the auditor was.
pub(super) trait Follower {
    /// The next entry.
    fn leaf(&mut self, id: EntryId, leaf: &[u8]) -> Result<(), Failure>;

    /// A checkpoint over all entries of its epoch so far.
    fn checkpoint(&mut self, auditor: &Auditor, note: &[u8]) -> Result<(), Failure>;
}

/// Nobody else follows the audit.
struct Alone;

impl Follower for Alone {
    fn leaf(&mut self, _id: EntryId, _leaf: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn checkpoint(&mut self, _auditor: &Auditor, _note: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
}

/// An audit under way.
pub(super) struct Walk {
    auditor: Auditor,
    key: LogPublicKey,
    from: Option<Remembered>,
    next: EntryId,
    /// The newest checkpoint over all entries so far.
    note: Vec<u8>,
    /// Notes of two checkpoints that do not go together, and the failed proof.
    fork: Option<Fork>,
}

impl Walk {
    pub(super) fn new(key: LogPublicKey, from: Option<Remembered>) -> Self {
        let (auditor, next, note) = match &from {
            None => (Auditor::new(key.clone()), EntryId { epoch: 1, index: 0 }, Vec::new()),
            Some(from) => {
                let (epoch, index) = (from.checkpoint().origin.epoch, from.checkpoint().size);
                let auditor = Auditor::resume(key.clone(), from);
                (auditor, EntryId { epoch, index }, from.note().to_vec())
            }
        };
        Self { auditor, key, from, next, note, fork: None }
    }

    /// Where the audit before ended, or the beginning.
    pub(super) fn next(&self) -> EntryId {
        self.next
    }

    fn entry(&mut self, leaf: &[u8], follower: &mut dyn Follower) -> Result<(), Failure> {
        let id = self.next;
        self.auditor.entry(leaf);
        self.next.index += 1;
        if self.next.index.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("audited {}", self.next);
        }
        follower.leaf(id, leaf)
    }

    fn checkpoint(&mut self, note: &[u8], follower: &mut dyn Follower) -> Result<(), Failure> {
        let size = self.auditor.checkpoint(note);
        if size != Some(self.next.index) {
            return Ok(());
        }
        self.note = note.to_vec();
        follower.checkpoint(&self.auditor, note)
    }

    fn next_epoch(&mut self) {
        self.auditor.next_epoch();
        self.next = EntryId { epoch: self.next.epoch + 1, index: 0 };
    }

    /// The epoch in which the audit before ended has this checkpoint now.
    fn hold_against(&mut self, note: &[u8], consistency: &[Sha256]) -> Result<(), Failure> {
        let Some(from) = &self.from else { return Ok(()) };
        let Some(size) = self.auditor.checkpoint(note) else { return Ok(()) };
        if size < from.checkpoint().size {
            self.auditor.went_back(size);
            return Ok(());
        }
        let Ok(now) = self.key.open(note) else { return Ok(()) };
        let fork = Fork::of((from.checkpoint(), from.note()), (&now, note), consistency);
        if fork.verify(&self.key).is_ok() {
            // Two roots of one size are a finding already.
            if now.size > from.checkpoint().size {
                self.auditor.forked(from.checkpoint(), &now);
            }
            self.fork = Some(fork);
        }
        Ok(())
    }

    /// What to remember, if there was no finding.
    pub(super) fn remember(&self) -> Option<Remembered> {
        self.auditor.remember(&self.note)
    }

    /// Ends the audit.
    pub(super) fn finish(self) -> Report {
        self.auditor.finish()
    }
}

pub(super) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key)?;
    let began = Instant::now();
    let from = match &options.since {
        Some(path) => remembered(path, &key)?,
        None => None,
    };
    let since = from.as_ref().map(|from| EntryId {
        epoch: from.checkpoint().origin.epoch,
        index: from.checkpoint().size,
    });
    let mut walk = Walk::new(key, from);
    match &options.data {
        Some(data) => walk_folder(&mut walk, data)?,
        None => {
            let cert = options.cert.clone().ok_or_else(|| Failure::other("--cert is missing"))?;
            let (server, ca) = (options.server.clone(), options.ca.clone());
            let client = client::Options { server, ca, cert, key: None };
            walk_gateway(&mut walk, &client, &mut Alone).await?;
        }
    }
    let (next, fork) = (walk.remember(), walk.fork.take());
    let report = walk.finish();
    print(&report, since, began.elapsed().as_secs_f64(), output);
    if let Some(path) = &options.since {
        if let Some(fork) = fork {
            let proof = path.with_extension("fork");
            std::fs::write(&proof, fork.to_file()).map_err(|error| Failure::file(&proof, error))?;
            eprintln!("the log was FORKED; the proof is kept: {}", proof.display());
        }
        if let Some(next) = next.filter(|_| report.findings.is_empty()) {
            keep(path, &next)?;
        }
    }
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::LogBroken })
}

/// What the audit before remembered; `None` if there was none.
pub(super) fn remembered(path: &Path, key: &LogPublicKey) -> Result<Option<Remembered>, Failure> {
    let file = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| Failure::file(path, error))?,
    };
    Remembered::read(&file, key).map(Some).map_err(|error| {
        Failure::file(path, error).with_hint("remove the file for a full audit from the beginning")
    })
}

/// Keeps what is remembered: the old bytes or the new ones, whatever happens.
pub(super) fn keep(path: &Path, remembered: &Remembered) -> Result<(), Failure> {
    store::notebook::replace(path, &remembered.to_file())
        .map_err(|error| Failure::file(path, error))
}

/// Audits a data folder in full.
pub(super) fn audit_folder(data: &Path, key: LogPublicKey) -> Result<Report, Failure> {
    audit_folder_since(data, key, None).map(|(report, _)| report)
}

/// Audits a data folder from what was remembered on; gives what to remember of it.
pub(super) fn audit_folder_since(
    data: &Path,
    key: LogPublicKey,
    from: Option<Remembered>,
) -> Result<(Report, Option<Remembered>), Failure> {
    let mut walk = Walk::new(key, from);
    walk_folder(&mut walk, data)?;
    let next = walk.remember();
    Ok((walk.finish(), next))
}

fn walk_folder(walk: &mut Walk, data: &Path) -> Result<(), Failure> {
    if !data.is_dir() {
        return Err(Failure::new(Exit::NotFound, format!("{}: no such folder", data.display())));
    }
    let broken = |error: StoreError| Failure::new(Exit::LogBroken, error);
    let store: Arc<dyn Store> = Arc::new(store::sled::open(data, CACHE).map_err(broken)?);
    let head = store.head().map_err(broken)?;
    let reading = Reading::new(store.clone(), walk.key.clone());
    let unread = |error: crate::gateway::Error| Failure::new(Exit::LogBroken, error);
    if let Some(from) = walk.from.as_ref().map(|from| from.checkpoint().clone()) {
        let epoch = from.origin.epoch;
        if epoch > head.epoch {
            walk.auditor.went_back(0);
            return Ok(());
        }
        let last = reading.last_of(epoch).map_err(unread)?;
        let size = reading.open(&last).map_err(broken)?.size;
        let proof = match size > from.size {
            true => reading.consistency(epoch, from.size, size).map_err(unread)?,
            false => Vec::new(),
        };
        walk.hold_against(&last, &proof)?;
    }
    for epoch in walk.next.epoch..=head.epoch {
        thread::scope(|scope| {
            let (pages, read) = sync_channel(PAGES_AHEAD);
            let (done, used) = channel();
            let (ahead, from) = (store.clone(), walk.next);
            scope.spawn(move || read_ahead(&*ahead, from, &pages, &used));
            walk_epoch(walk, &reading, read, &done)
        })?;
        if epoch < head.epoch {
            walk.next_epoch();
        }
    }
    Ok(())
}

type Leaves = Result<Vec<Vec<u8>>, StoreError>;

/// Reads an epoch from `next` to its end, while what was read before is audited. What was audited
/// comes back in `used` and is freed here, where it was allocated: an allocator has it at hand then,
/// instead of giving it to the kernel and getting it back cleared.
fn read_ahead(
    store: &dyn Store,
    mut next: EntryId,
    pages: &SyncSender<Leaves>,
    used: &Receiver<Vec<Vec<u8>>>,
) {
    loop {
        drop(used.try_iter().collect::<Vec<_>>());
        let page = store.leaves(next, ENTRIES_AT_ONCE);
        let count = page.as_ref().map(Vec::len);
        let is_last = !matches!(count, Ok(1..));
        next.index += count.map_or(0, |count| count as u64);
        // Not taken any more if the audit ended early.
        if pages.send(page).is_err() || is_last {
            return;
        }
    }
}

/// Every entry, and every checkpoint that was ever signed, at the size that it names.
fn walk_epoch(
    walk: &mut Walk,
    reading: &Reading,
    pages: Receiver<Leaves>,
    done: &Sender<Vec<Vec<u8>>>,
) -> Result<(), Failure> {
    let broken = |error: StoreError| Failure::new(Exit::LogBroken, error);
    let mut checkpoint = walk.next.index + 1;
    for leaves in pages {
        let leaves = leaves.map_err(broken)?;
        for leaf in &leaves {
            walk.entry(leaf, &mut Alone)?;
            let (epoch, size) = (walk.next.epoch, walk.next.index);
            if size < checkpoint {
                continue;
            }
            let Some(note) = reading.checkpoint_at(epoch, size).map_err(broken)? else {
                continue;
            };
            // Whether it is signed is looked at when its size is reached.
            match Checkpoint::claimed(&note) {
                Some(claimed) if claimed.size > size => checkpoint = claimed.size,
                _ => {
                    walk.checkpoint(&note, &mut Alone)?;
                    checkpoint = size + 1;
                }
            }
        }
        // The reader may have ended.
        let _ended = done.send(leaves);
    }
    Ok(())
}

/// Walks through what a running gateway has.
pub(super) async fn walk_gateway(
    walk: &mut Walk,
    options: &client::Options,
    follower: &mut dyn Follower,
) -> Result<(), Failure> {
    let client = LogServiceClient::new(options.connect().await?);
    let mut client = client.max_decoding_message_size(client::message_size_max());
    ask_about_end(walk, &mut client).await?;
    let from = Some(v1::EntryId { epoch: walk.next.epoch, index: walk.next.index });
    let request = v1::ReadEntriesRequest { from, max_entries: 0 };
    let mut messages = client.read_entries(request).await?.into_inner();
    while let Some(message) = messages.message().await? {
        let first = message.first.unwrap_or_default();
        while walk.next.epoch < first.epoch {
            walk.next_epoch();
        }
        let mut checkpoints = message.checkpoints.iter().peekable();
        let mut due = checkpoints.peek().and_then(|note| size_of(note));
        for leaf in &message.leaves {
            walk.entry(leaf, follower)?;
            if due == Some(walk.next.index) {
                if let Some(note) = checkpoints.next() {
                    walk.checkpoint(note, follower)?;
                }
                due = checkpoints.peek().and_then(|note| size_of(note));
            }
        }
        // A note whose size cannot be read is given as it stands: the auditor says what is wrong.
        for note in checkpoints {
            walk.checkpoint(note, follower)?;
        }
    }
    Ok(())
}

/// The size that a note claims; its signature is looked at when that is reached.
fn size_of(note: &[u8]) -> Option<u64> {
    Checkpoint::claimed(note).map(|claimed| claimed.size)
}

/// Asks what has become of the epoch in which the audit before ended.
async fn ask_about_end(
    walk: &mut Walk,
    client: &mut LogServiceClient<Channel>,
) -> Result<(), Failure> {
    let Some(from) = walk.from.as_ref().map(|from| from.checkpoint().clone()) else {
        return Ok(());
    };
    let epoch = from.origin.epoch;
    let answer = match client.get_checkpoint(v1::GetCheckpointRequest { epoch }).await {
        Err(status) if status.code() == tonic::Code::NotFound => {
            walk.auditor.went_back(0);
            return Ok(());
        }
        answer => answer?.into_inner(),
    };
    let mut proof = Vec::new();
    if answer.size > from.size {
        let (old_size, new_size) = (from.size, answer.size);
        let request = v1::GetConsistencyProofRequest { epoch, old_size, new_size };
        let answer = client.get_consistency_proof(request).await?.into_inner();
        proof = answer.proof.iter().filter_map(|hash| Sha256::from_slice(hash)).collect();
    }
    walk.hold_against(&answer.checkpoint, &proof)
}

pub(super) fn print(report: &Report, since: Option<EntryId>, seconds: f64, output: Output) {
    let rate = report.entries as f64 / seconds.max(1e-9);
    let memory = peak_memory("/proc/self/status");
    if output == Output::Json {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "entry_id": finding.entry.map(|id| id.to_string()),
                    "rule": finding.rule.code(),
                    "message": finding.message,
                })
            })
            .collect();
        let value = json!({
            "valid": report.findings.is_empty(),
            "since": since.map(|id| id.to_string()),
            "entries": report.entries,
            "epochs": report.epochs,
            "unjudged": report.unjudged,
            "findings": findings,
            "seconds": seconds,
            "entries_per_second": rate,
            "peak_memory_bytes": memory,
        });
        println!("{value}");
        return;
    }
    for finding in &report.findings {
        let at = finding.entry.map(|id| format!("entry {id}: ")).unwrap_or_default();
        println!("{at}{}: {}", finding.rule.code(), finding.message);
    }
    let verdict = if report.findings.is_empty() { "holds" } else { "DOES NOT HOLD" };
    let from = since.map(|id| format!(" from {id} on")).unwrap_or_default();
    println!(
        "the log {verdict}{from}: {} entries in {} epochs, {} checkpoints, {} findings, {rate:.0} entries/s, peak memory {} MiB",
        report.entries,
        report.epochs,
        report.counts.checkpoints,
        report.findings.len(),
        memory >> 20,
    );
    if report.unjudged > 0 {
        println!("{} entries are about older ones; a full audit judges them, too", report.unjudged);
    }
}
