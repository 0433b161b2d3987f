//! One watcher: documents by urgency, then notices, then a wait for the bell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use uuid::Uuid;

use super::Door;
use super::admission::ClientCertificate;
use super::convert;
use super::status::to_status;
use crate::delivery::{Cursor, Holder, LeaseRequest};
use crate::directory::{Code, SystemId};
use crate::gateway::ports::StoreError;
use crate::gateway::{Error, Fault, note_text};
use crate::limits::{HANDED_OUT_AT_ONCE, LEASE, LEASED_ITEMS_MAX, WATCHES_PER_SYSTEM_MAX};
use crate::log::{Entry, EntryId};
use crate::proto::v1;
use crate::proto::v1::watch_response::Event;
use crate::refusal::{Reason, Refusal};

/// Without news: a sign of life, and another look for leases that ran out.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that wait for a slow watcher.
const EVENTS_AHEAD: usize = 16;
/// Notices looked up at a time.
const NOTICES_AT_ONCE: usize = 256;

/// Boxed: a channel has room for 32 messages from its first on, and 10 KiB for each idle watch are
/// more than all the rest of it.
type Sender = mpsc::Sender<Box<Result<v1::WatchResponse, Status>>>;

struct Watcher {
    door: Door,
    agency: Code,
    certificate: Option<Arc<ClientCertificate>>,
    cursor: Cursor,
    holder: Holder,
    sender: Sender,
    _place: OwnedSemaphorePermit,
}

/// Why a watch ends.
pub(super) enum End {
    /// The watcher has gone or takes nothing any more.
    Gone,
    /// It is told why.
    Status(Status),
}

impl<E: Into<Error>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Status(to_status(error))
    }
}

/// How many watches each system may still open.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<SystemId, Arc<Semaphore>>>);

impl Places {
    pub(super) fn take(&self, system: &SystemId) -> Result<OwnedSemaphorePermit, Refusal> {
        let mut places = self.0.lock().expect("no panic while counting");
        let of_system = places.entry(system.clone());
        let places = of_system.or_insert_with(|| Arc::new(Semaphore::new(WATCHES_PER_SYSTEM_MAX)));
        places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(Reason::WatchersTooMany).with("limit", WATCHES_PER_SYSTEM_MAX)
        })
    }
}

/// Starts a watch; dropping the stream ends it and frees what it held.
///
/// # Errors
/// [`Reason::WatchersTooMany`].
pub(super) fn start(
    door: Door,
    system: &SystemId,
    agency: Code,
    certificate: Option<Arc<ClientCertificate>>,
    cursor: Cursor,
) -> Result<impl Stream<Item = Result<v1::WatchResponse, Status>> + use<>, Refusal> {
    let place = door.watches.take(system)?;
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    let holder = Holder(Uuid::new_v4());
    let watcher = Watcher { door, agency, certificate, cursor, holder, sender, _place: place };
    tokio::spawn(watcher.run());
    Ok(ReceiverStream::new(receiver).map(|event| *event))
}

impl Watcher {
    async fn run(mut self) {
        let outcome = self.watch().await;
        self.door.gateway.store().release(self.holder);
        if let Err(End::Status(status)) = outcome {
            let _gone = self.sender.send(Box::new(Err(status))).await;
        }
    }

    async fn watch(&mut self) -> Result<(), End> {
        let mut bell = self.door.gateway.dispatcher().bell(&self.agency);
        let mut broken = self.door.gateway.broken();
        let mut closing = self.door.closing.clone();
        loop {
            bell.hear();
            // A certificate that was revoked or an agency that moved ends the watch, too.
            self.door.still_admitted(self.certificate.as_deref(), &self.agency)?;
            let now = self.door.gateway.now();
            self.door.gateway.dispatcher().note_look(&self.agency, now);
            let news = self.send_items().await? + self.send_notices().await?;
            if news > 0 {
                continue;
            }
            tokio::select! {
                () = bell.rung() => {}
                () = tokio::time::sleep(HEARTBEAT) => self.heartbeat().await?,
                () = self.sender.closed() => return Err(End::Gone),
                _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => return Err(Fault::Closing.into()),
                _ = broken.changed() => return Err(Fault::Stopped.into()),
            }
        }
    }

    async fn send_items(&mut self) -> Result<usize, End> {
        let now = self.door.gateway.now();
        let leased = self.door.gateway.store().lease(LeaseRequest {
            agency: &self.agency,
            holder: self.holder,
            cursor: self.cursor,
            now,
            until: now.after(LEASE),
            max: LEASED_ITEMS_MAX,
            at_once: HANDED_OUT_AT_ONCE,
        })?;
        for one in &leased {
            let item = self.door.item(&self.agency, &one.item, Some(one))?;
            self.cursor.see(one.item.urgency, one.item.position);
            self.send(Event::Item(item)).await?;
            if one.attempt == 1 {
                self.door.gateway.handed_out(one.item.consignment, &self.agency).await;
            }
        }
        Ok(leased.len())
    }

    async fn send_notices(&mut self) -> Result<usize, End> {
        let store = self.door.gateway.store();
        let entries = store.notices(&self.agency, self.cursor.notices(), NOTICES_AT_ONCE)?;
        for id in &entries {
            let notice = self.door.notice(*id)?;
            self.cursor.see_notice(*id);
            self.send(Event::Notice(notice)).await?;
        }
        Ok(entries.len())
    }

    async fn heartbeat(&mut self) -> Result<(), End> {
        let time = Some(convert::timestamp(self.door.gateway.now()));
        self.send(Event::Heartbeat(v1::Heartbeat { time })).await
    }

    /// A watcher that takes nothing for a whole lease has lost what it holds anyway.
    async fn send(&self, event: Event) -> Result<(), End> {
        let message = v1::WatchResponse { cursor: self.cursor.to_string(), event: Some(event) };
        match tokio::time::timeout(LEASE, self.sender.send(Box::new(Ok(message)))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}

impl Door {
    /// What the notice of an entry says.
    pub(super) fn notice(&self, id: EntryId) -> Result<v1::Notice, Error> {
        let leaf = self.gateway.reading().leaf(id)?;
        let entry = Entry::from_leaf(&leaf)
            .map_err(|error| StoreError::Damaged(format!("entry {id}: {error}")))?;
        // An erased note leaves its digest in the entry and nothing here.
        let note = entry.note.and_then(|digest| self.content(&digest, None).ok());
        let status = entry.status.map_or(v1::BusinessStatus::Unspecified, convert::status_to_wire);
        Ok(v1::Notice {
            consignment_id: entry.consignment.map(|id| id.to_string()).unwrap_or_default(),
            entry_id: Some(convert::entry_id(id)),
            leaf: Bytes::from(leaf),
            recipient: entry.to.map(|code| code.to_string()).unwrap_or_default(),
            status: status.into(),
            note: note.as_deref().and_then(note_text).unwrap_or_default().to_owned(),
            time: Some(convert::timestamp(entry.time)),
            event: entry.event.word().to_owned(),
        })
    }
}
