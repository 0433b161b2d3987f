//! Those who follow the directory: snapshots in pieces, then changes from version to version.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::admission::ClientCertificate;
use super::status::to_status;
use super::{Door, convert};
use crate::directory::Changed;
use crate::evidence::Receipt;
use crate::gateway::{Error, Fault, Version};
use crate::limits::{
    CHUNK_DEADLINE, CHUNK_SIZE, DIRECTORY_CHANGES_AT_ONCE, DIRECTORY_SNAPSHOTS_MAX,
    DIRECTORY_WATCHES_MAX,
};
use crate::proto::v1;
use crate::proto::v1::directory_change::Change;
use crate::refusal::{Reason, Refusal};

/// Without news: a sign of life, and another look at the certificate.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that wait for a slow reader.
const MESSAGES_AHEAD: usize = 2;

type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// How many more there may be.
pub(super) struct Places {
    watches: Arc<Semaphore>,
    snapshots: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let room = |count| Arc::new(Semaphore::new(count));
        Self { watches: room(DIRECTORY_WATCHES_MAX), snapshots: room(DIRECTORY_SNAPSHOTS_MAX) }
    }
}

impl Places {
    /// Room for one more watch.
    pub(super) fn watch(&self) -> Result<OwnedSemaphorePermit, Status> {
        taken(&self.watches, DIRECTORY_WATCHES_MAX)
    }

    /// Room for one more snapshot.
    pub(super) fn snapshot(&self) -> Result<OwnedSemaphorePermit, Status> {
        taken(&self.snapshots, DIRECTORY_SNAPSHOTS_MAX)
    }
}

fn taken(places: &Arc<Semaphore>, limit: usize) -> Result<OwnedSemaphorePermit, Status> {
    places
        .clone()
        .try_acquire_owned()
        .map_err(|_| to_status(Refusal::new(Reason::DirectoryWatchersTooMany).with("limit", limit)))
}

/// A snapshot in pieces.
pub(super) fn chunks(
    version: Version,
    receipt: Receipt,
    bytes: Bytes,
    place: OwnedSemaphorePermit,
) -> ReceiverStream<Result<v1::GetSnapshotResponse, Status>> {
    let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
    tokio::spawn(async move {
        let _place = place;
        let first = v1::GetSnapshotResponse {
            version,
            receipt: Some(convert::receipt(receipt)),
            size: bytes.len() as u64,
            chunk: bytes.slice(..bytes.len().min(CHUNK_SIZE)),
        };
        let mut next = Some((first, bytes.len().min(CHUNK_SIZE)));
        while let Some((message, at)) = next {
            if !send(&sender, message).await {
                return;
            }
            let end = bytes.len().min(at + CHUNK_SIZE);
            let chunk = bytes.slice(at..end);
            next =
                (at < end).then(|| (v1::GetSnapshotResponse { chunk, ..Default::default() }, end));
        }
    });
    ReceiverStream::new(receiver)
}

/// Changes since a version, then every change.
pub(super) fn changes(
    door: Door,
    certificate: Option<Arc<ClientCertificate>>,
    since: Version,
    place: OwnedSemaphorePermit,
) -> ReceiverStream<Result<v1::DirectoryServiceWatchResponse, Status>> {
    let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = follow(&door, certificate, since, &sender).await {
            let _gone = sender.send(Err(to_status(error))).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn follow(
    door: &Door,
    certificate: Option<Arc<ClientCertificate>>,
    since: Version,
    sender: &Sender<v1::DirectoryServiceWatchResponse>,
) -> Result<(), Error> {
    let mut bell = door.gateway.directory_bell();
    let mut broken = door.gateway.broken();
    let mut closing = door.closing.clone();
    let mut has = since;
    loop {
        bell.borrow_and_update();
        let Some(certificate) = &certificate else { return Ok(()) };
        door.admission.judge(certificate)?;
        let latest = door.gateway.directory_version();
        if latest > has {
            let changes = door.gateway.directory_difference(has, latest).await?;
            if !tell(sender, &changes, has, latest).await {
                return Ok(());
            }
            has = latest;
            continue;
        }
        tokio::select! {
            _ = bell.changed() => {}
            () = tokio::time::sleep(HEARTBEAT) => {
                let alive = v1::DirectoryServiceWatchResponse { version: has, changes: Vec::new() };
                if !send(sender, alive).await {
                    return Ok(());
                }
            }
            () = sender.closed() => return Ok(()),
            _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => return Err(Fault::Closing.into()),
            _ = broken.changed() => return Err(Fault::Stopped.into()),
        }
    }
}

/// One difference in messages; the last one has the new version. `false` if nobody takes them.
async fn tell(
    sender: &Sender<v1::DirectoryServiceWatchResponse>,
    changes: &[Changed],
    has: Version,
    latest: Version,
) -> bool {
    let mut rest = changes;
    loop {
        let (now, later) = rest.split_at(rest.len().min(DIRECTORY_CHANGES_AT_ONCE));
        let version = if later.is_empty() { latest } else { has };
        let changes = now.iter().map(change).collect();
        if !send(sender, v1::DirectoryServiceWatchResponse { version, changes }).await {
            return false;
        }
        if later.is_empty() {
            return true;
        }
        rest = later;
    }
}

fn change(changed: &Changed) -> v1::DirectoryChange {
    let change = match changed {
        Changed::Added(agency) => Change::Added(convert::agency(agency)),
        Changed::Changed(agency) => Change::Changed(convert::agency(agency)),
        Changed::Removed(code) => Change::Removed(code.to_string()),
    };
    v1::DirectoryChange { change: Some(change) }
}

/// A reader that takes nothing for too long has gone.
async fn send<T>(sender: &Sender<T>, message: T) -> bool {
    let sent = tokio::time::timeout(CHUNK_DEADLINE, sender.send(Ok(message))).await;
    matches!(sent, Ok(Ok(())))
}
