//! From gateway to gateway.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::admission::ClientCertificate;
use super::status::to_status;
use super::submission::missing_parts;
use super::watch::End;
use super::{Door, convert};
use crate::delivery::neighbour_mailbox;
use crate::directory::Code;
use crate::evidence::Receipt;
use crate::gateway::ports::{StoreError, Which};
use crate::gateway::{Bodies, Brought, Fault, Taken};
use crate::limits::{CHUNK_DEADLINE, RECIPIENTS_MAX, RELAY_RESULTS_AT_ONCE};
use crate::log::{Entry, EntryId, Event, ServiceKind};
use crate::proto::v1;
use crate::proto::v1::relay_service_server::RelayService;
use crate::refusal::{Reason, Refusal};

/// Without a report: a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Reports that wait for a slow neighbour.
const REPORTS_AHEAD: usize = 16;
/// Notices looked up at a time.
const NOTICES_AT_ONCE: usize = 256;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl RelayService for Door {
    type RelayStream = Answers<v1::RelayResponse>;
    type WatchReportsStream = Answers<v1::WatchReportsResponse>;

    async fn announce_relay(
        &self,
        request: Request<v1::AnnounceRelayRequest>,
    ) -> Result<Response<v1::AnnounceRelayResponse>, Status> {
        let peer = self.peer(&request)?;
        self.gateway.mailbox_of(&peer).map_err(to_status)?;
        let brought = self.brought(request.into_inner().document, Bodies::Staged);
        let brought = brought.map_err(to_status)?;
        let missing = self.gateway.announce_relay(&peer, &brought).map_err(to_status)?;
        let missing = missing_parts(&brought.envelope, missing);
        Ok(Response::new(v1::AnnounceRelayResponse { missing }))
    }

    async fn relay(
        &self,
        request: Request<v1::RelayRequest>,
    ) -> Result<Response<Self::RelayStream>, Status> {
        let peer = self.peer(&request)?;
        self.gateway.mailbox_of(&peer).map_err(to_status)?;
        let v1::RelayRequest { document, parts } = request.into_inner();
        let bodies = if parts.is_empty() { Bodies::Staged } else { Bodies::Inline(parts) };
        let brought = self.brought(document, bodies).map_err(to_status)?;
        let taken = self.gateway.relay(&peer, brought).await.map_err(to_status)?;
        let result = |taken: &Taken| v1::RelayResult {
            recipient: taken.recipient.to_string(),
            receipt: Some(taken.receipt.clone().into()),
        };
        let message =
            |some: &[Taken]| v1::RelayResponse { results: some.iter().map(result).collect() };
        let messages: Vec<_> =
            taken.chunks(RELAY_RESULTS_AT_ONCE).map(|some| Ok(message(some))).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn watch_reports(
        &self,
        request: Request<v1::WatchReportsRequest>,
    ) -> Result<Response<Self::WatchReportsStream>, Status> {
        let peer = self.peer(&request)?;
        let mailbox = self.gateway.mailbox_of(&peer).map_err(to_status)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let after = request.into_inner().after.map_or(EntryId::ZERO, convert::entry_id_from);
        let place = self.watches.take(&peer.system).map_err(to_status)?;
        let (sender, receiver) = mpsc::channel(REPORTS_AHEAD);
        let door = self.clone();
        let reporter = Reporter { door, mailbox, certificate, after, sender, _place: place };
        tokio::spawn(reporter.run());
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Door {
    fn brought(
        &self,
        document: Option<v1::RelayedDocument>,
        bodies: Bodies,
    ) -> Result<Brought, Refusal> {
        let missing = |field: &str| Refusal::of_field(Reason::FieldMissing, field);
        let document = document.ok_or_else(|| missing("document"))?;
        for (field, count) in
            [("promised", document.promised.len()), ("recipients", document.recipients.len())]
        {
            if count > RECIPIENTS_MAX {
                let field = format!("document.{field}");
                let refusal = Refusal::of_field(Reason::RecipientsTooMany, field);
                return Err(refusal.with("count", count).with("limit", RECIPIENTS_MAX));
            }
        }
        let code = |text: &str, field: &str, place: usize| {
            let field = || format!("document.{field}[{place}]");
            Code::parse(text).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field()))
        };
        let receipt = document.receipt.ok_or_else(|| missing("document.receipt"))?;
        let malformed = || Refusal::of_field(Reason::FieldMalformed, "document.receipt");
        let promised = document.promised.iter().enumerate();
        let recipients = document.recipients.iter().enumerate();
        let recipient = |(place, one): (usize, &v1::RelayedRecipient)| {
            let of = |text| code(text, "recipients", place);
            let addressed = Some(one.addressed.as_str()).filter(|text| !text.is_empty());
            Ok::<_, Refusal>((of(&one.code)?, addressed.map(of).transpose()?))
        };
        Ok(Brought {
            envelope: convert::envelope(&document.envelope, self.gateway.now().date_in_vietnam())?,
            receipt: receipt.read().ok_or_else(malformed)?,
            promised: promised
                .map(|(place, text)| code(text, "promised", place))
                .collect::<Result<_, _>>()?,
            recipients: recipients.map(recipient).collect::<Result<_, _>>()?,
            bodies,
        })
    }
}

/// One neighbour that is told what happens to what it brought.
struct Reporter {
    door: Door,
    mailbox: Code,
    certificate: Option<Arc<ClientCertificate>>,
    after: EntryId,
    sender: mpsc::Sender<Result<v1::WatchReportsResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Reporter {
    async fn run(mut self) {
        if let Err(End::Status(status)) = self.report().await {
            let _gone = self.sender.send(Err(status)).await;
        }
    }

    async fn report(&mut self) -> Result<(), End> {
        let mut bell = self.door.gateway.dispatcher().bell(&self.mailbox);
        let mut broken = self.door.gateway.broken();
        let mut closing = self.door.closing.clone();
        self.send(None).await?;
        loop {
            bell.hear();
            self.still_admitted()?;
            if self.send_reports().await? > 0 {
                continue;
            }
            tokio::select! {
                () = bell.rung() => {}
                () = tokio::time::sleep(HEARTBEAT) => self.send(None).await?,
                () = self.sender.closed() => return Err(End::Gone),
                _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => return Err(Fault::Closing.into()),
                _ = broken.changed() => return Err(Fault::Stopped.into()),
            }
        }
    }

    fn still_admitted(&self) -> Result<(), End> {
        let certificate = self.certificate.as_ref().ok_or(End::Gone)?;
        let peer = self.door.admission.judge(certificate)?;
        if self.door.gateway.mailbox_of(&peer)? == self.mailbox { Ok(()) } else { Err(End::Gone) }
    }

    async fn send_reports(&mut self) -> Result<usize, End> {
        let store = self.door.gateway.store().clone();
        let entries = store.notices(&self.mailbox, self.after, NOTICES_AT_ONCE)?;
        for id in &entries {
            if let Some(report) = self.report_of(*id)? {
                self.send(Some(report)).await?;
            }
            self.after = *id;
        }
        Ok(entries.len())
    }

    /// What an entry tells or asks.
    fn report_of(&self, id: EntryId) -> Result<Option<v1::Report>, End> {
        let (receipt, entry) = self.entry(id)?;
        let taken = entry.event == Event::RelayAcceptance;
        let by_it = entry.service.as_ref().is_some_and(|it| neighbour_mailbox(it) == self.mailbox);
        let (receipt, entry) = match taken && by_it {
            false => (receipt, entry),
            // Now it can be told what was asked before it had the document.
            true => match self.asked(id, &entry)? {
                Some(order) => self.entry(order)?,
                None => return Ok(None),
            },
        };
        let told = entry.service.is_some_and(|service| service.kind() == ServiceKind::Gateway);
        let kept = |digest| self.door.content(&digest, None).map(Bytes::from).ok();
        Ok(Some(v1::Report {
            receipt: Some(receipt.into()),
            evidence: entry.content.filter(|_| told).and_then(kept).unwrap_or_default(),
            // An erased note leaves its digest in the entry and nothing here.
            note: entry.note.and_then(kept).unwrap_or_default(),
        }))
    }

    fn entry(&self, id: EntryId) -> Result<(Receipt, Entry), End> {
        let receipt = self.door.gateway.reading().receipt(id)?;
        let entry = Entry::from_leaf(&receipt.leaf)
            .map_err(|error| StoreError::Damaged(format!("entry {id}: {error}")))?;
        Ok((receipt, entry))
    }

    /// The order before this entry that waits for its answer where the entry happened. A later one has a
    /// notice of its own.
    fn asked(&self, id: EntryId, entry: &Entry) -> Result<Option<EntryId>, End> {
        let Some((consignment, to)) = entry.consignment.zip(entry.to.as_ref()) else {
            return Ok(None);
        };
        let delivery = self.door.gateway.store().deliveries(consignment, Which::At(to))?.pop();
        let order = delivery.and_then(|delivery| delivery.order);
        let waits = order.filter(|order| order.answer.is_none() && order.entry < id);
        Ok(waits.map(|order| order.entry))
    }

    async fn send(&self, report: Option<v1::Report>) -> Result<(), End> {
        let time = Some(convert::timestamp(self.door.gateway.now()));
        let message = v1::WatchReportsResponse { time, report };
        match tokio::time::timeout(CHUNK_DEADLINE, self.sender.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}
