//! Receiving documents and answering them.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::admission::ClientCertificate;
use super::status::to_status;
use super::{Door, convert, paging, watch};
use crate::delivery::{Consignment, Delivery};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::gateway::ports::{Item, Leased, Which};
use crate::gateway::{Answer, Error, Fault, Peer, Reply};
use crate::limits::{CHUNK_SIZE, POISON_ATTEMPTS};
use crate::proto::v1;
use crate::proto::v1::mailbox_service_server::MailboxService;
use crate::refusal::{Reason, Refusal};
use crate::source::Source;

/// Chunks read ahead of a slow reader.
const CHUNKS_AHEAD: usize = 2;

/// A part to be read, from where and to where.
type OpenPart = (Box<dyn Source + Send + Sync>, u64, u64);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MailboxService for Door {
    type WatchStream = Answers<v1::WatchResponse>;
    type FetchPartStream = Answers<v1::FetchPartResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let peer = self.peer(&request)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let agency = self.own(&peer, &request.get_ref().agency).map_err(to_status)?;
        let cursor = paging::cursor(&request.get_ref().cursor).map_err(to_status)?;
        self.look(&peer.system).map_err(to_status)?;
        let stream = watch::start(self.clone(), &peer.system, agency, certificate, cursor)
            .map_err(to_status)?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_items(
        &self,
        request: Request<v1::ListItemsRequest>,
    ) -> Result<Response<v1::ListItemsResponse>, Status> {
        self.list(request).await
    }

    async fn list_notices(
        &self,
        request: Request<v1::ListNoticesRequest>,
    ) -> Result<Response<v1::ListNoticesResponse>, Status> {
        self.notices(request).await
    }

    async fn get_document(
        &self,
        request: Request<v1::GetDocumentRequest>,
    ) -> Result<Response<v1::GetDocumentResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let found = self.party(&peer, &request.agency, &request.consignment_id);
        let (consignment, delivery) = found.map_err(to_status)?;
        let content = |digest| self.content(digest, Some(consignment.id)).map_err(to_status);
        let envelope = content(&consignment.envelope)?;
        let report = content(&consignment.verdict.report)?;
        let receipt = self.gateway.reading().receipt(consignment.accepted).map_err(to_status)?;
        self.noticed(delivery.as_ref()).await;
        Ok(Response::new(v1::GetDocumentResponse {
            envelope: envelope.into(),
            verdict_report: report.into(),
            receipt: Some(convert::receipt(receipt)),
            delivery: delivery.as_ref().map(convert::delivery),
        }))
    }

    async fn fetch_part(
        &self,
        request: Request<v1::FetchPartRequest>,
    ) -> Result<Response<Self::FetchPartStream>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let (part, delivery) = self.open_part(&peer, &request).map_err(to_status)?;
        let (source, start, end) = part;
        if let Some(delivery) = delivery.filter(|one| one.milestones.accessed.is_none()) {
            self.gateway.content_read(&peer, delivery.consignment, &delivery.recipient).await;
        }
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(send_range(Arc::from(source), start, end, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeRequest>,
    ) -> Result<Response<v1::AcknowledgeResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let answer = answer(&request.agency, &request.consignment_id, &request.lease_token);
        let answer = answer.map_err(to_status)?;
        let answered = self.gateway.answer(&peer, answer).await.map_err(to_status)?;
        Ok(Response::new(v1::AcknowledgeResponse {
            receipt: Some(convert::receipt(answered.receipt)),
            repeated: answered.repeated,
        }))
    }

    async fn refuse(
        &self,
        request: Request<v1::RefuseRequest>,
    ) -> Result<Response<v1::RefuseResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        if request.reason.trim().is_empty() {
            return Err(to_status(Refusal::of_field(Reason::FieldMissing, "reason")));
        }
        let answer = answer(&request.agency, &request.consignment_id, &request.lease_token);
        let answer = Answer {
            status: crate::log::Status::Refused,
            note: request.reason,
            ..answer.map_err(to_status)?
        };
        let answered = self.gateway.answer(&peer, answer).await.map_err(to_status)?;
        Ok(Response::new(v1::RefuseResponse {
            receipt: Some(convert::receipt(answered.receipt)),
            repeated: answered.repeated,
        }))
    }

    async fn report_status(
        &self,
        request: Request<v1::ReportStatusRequest>,
    ) -> Result<Response<v1::ReportStatusResponse>, Status> {
        use crate::log::Status::{Arrived, Assigned, Finished, InProgress};
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let status = convert::status(request.status())
            .filter(|status| matches!(status, Arrived | Assigned | InProgress | Finished))
            .ok_or_else(|| to_status(Refusal::of_field(Reason::StatusNotReportable, "status")))?;
        let answer = answer(&request.agency, &request.consignment_id, "").map_err(to_status)?;
        let consignment = answer.consignment;
        let answer = Answer { status, note: request.note, ..answer };
        let answered = self.gateway.answer(&peer, answer).await.map_err(to_status)?;
        let agency = self.own(&peer, &request.agency).map_err(to_status)?;
        let state = self.gateway.store().deliveries(consignment, Which::At(&agency));
        Ok(Response::new(v1::ReportStatusResponse {
            receipt: Some(convert::receipt(answered.receipt)),
            delivery: state.map_err(to_status)?.first().map(convert::delivery),
        }))
    }

    async fn answer_order(
        &self,
        request: Request<v1::AnswerOrderRequest>,
    ) -> Result<Response<v1::AnswerOrderResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let reply = reply(&request).map_err(to_status)?;
        let consignment = reply.consignment;
        let answered = self.gateway.reply(&peer, reply).await.map_err(to_status)?;
        let agency = self.own(&peer, &request.agency).map_err(to_status)?;
        let state = self.gateway.store().deliveries(consignment, Which::At(&agency));
        Ok(Response::new(v1::AnswerOrderResponse {
            receipt: Some(convert::receipt(answered.receipt)),
            repeated: answered.repeated,
            delivery: state.map_err(to_status)?.first().map(convert::delivery),
        }))
    }
}

fn reply(request: &v1::AnswerOrderRequest) -> Result<Reply, Refusal> {
    let agrees = match request.answer() {
        v1::BusinessStatus::Agreed => true,
        v1::BusinessStatus::Declined => false,
        _ => return Err(Refusal::of_field(Reason::StatusNotReportable, "answer")),
    };
    if !agrees && request.note.trim().is_empty() {
        return Err(Refusal::of_field(Reason::FieldMissing, "note"));
    }
    Ok(Reply {
        agency: convert::agency_code(&request.agency)?,
        consignment: convert::consignment_id(&request.consignment_id)?,
        agrees,
        note: request.note.clone(),
    })
}

fn answer(agency: &str, consignment: &str, token: &str) -> Result<Answer, Refusal> {
    Ok(Answer {
        agency: convert::agency_code(agency)?,
        consignment: convert::consignment_id(consignment)?,
        token: convert::token(token)?,
        status: crate::log::Status::Accepted,
        note: String::new(),
    })
}

impl Door {
    /// The registered code of an agency for which the peer may speak.
    pub(super) fn own(&self, peer: &Peer, agency: &str) -> Result<Code, Error> {
        let code = convert::agency_code(agency)?;
        let surroundings = self.gateway.surroundings();
        Ok(peer.speak_for(&surroundings.directory, &code, "agency")?.code.clone())
    }

    /// A consignment of which `agency` is the sender or a recipient. To others it does not exist.
    fn party(
        &self,
        peer: &Peer,
        agency: &str,
        consignment: &str,
    ) -> Result<(Consignment, Option<Delivery>), Error> {
        let agency = self.own(peer, agency)?;
        let id = convert::consignment_id(consignment)?;
        let consignment = self.consignment(id)?;
        let delivery = self.gateway.store().deliveries(id, Which::At(&agency))?.pop();
        if delivery.is_none() && consignment.sender != agency {
            return Err(Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id").into());
        }
        Ok((consignment, delivery))
    }

    pub(super) fn consignment(&self, id: ConsignmentId) -> Result<Consignment, Error> {
        let unknown = || Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id");
        Ok(self.gateway.store().consignment(id)?.ok_or_else(unknown)?)
    }

    /// Kept content that fits into memory: envelopes and reports of a consignment, or what many
    /// share.
    pub(super) fn content(
        &self,
        digest: &Sha256,
        of: Option<ConsignmentId>,
    ) -> Result<Vec<u8>, Error> {
        let source = self.open(digest, of)?;
        let size = usize::try_from(source.size()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size.min(crate::limits::MESSAGE_SIZE_MAX)];
        let read = source.read_at(0, &mut bytes);
        read.map_err(|error| Fault::Content(error.to_string()))?;
        Ok(bytes)
    }

    pub(super) fn open(
        &self,
        digest: &Sha256,
        of: Option<ConsignmentId>,
    ) -> Result<Box<dyn Source + Send + Sync>, Error> {
        if let Some(id) = of {
            let keeping = self.gateway.store().keeping(id)?;
            let proof = |consignment: Consignment| {
                [consignment.envelope, consignment.verdict.report].contains(digest)
            };
            // What is a proof or tells what was sent is never erased.
            if keeping.erased.is_some() && !self.gateway.store().consignment(id)?.is_some_and(proof)
            {
                keeping.check_kept()?;
            }
        }
        let missing = || Fault::Content(format!("no content {digest}"));
        let place = self.gateway.store().place(digest, of)?.ok_or_else(missing)?;
        Ok(self.gateway.contents().read(digest, place)?)
    }

    fn open_part(
        &self,
        peer: &Peer,
        request: &v1::FetchPartRequest,
    ) -> Result<(OpenPart, Option<Delivery>), Error> {
        let (consignment, delivery) = self.party(peer, &request.agency, &request.consignment_id)?;
        if let Some(delivery) = &delivery {
            delivery.may_read()?;
        }
        let of = Some(consignment.id);
        let envelope = self.content(&consignment.envelope, of)?;
        let parts = convert::part_listing(&envelope).unwrap_or_default();
        let unknown = || Refusal::of_field(Reason::PartUnknown, "part_name");
        let (_, size, digest) =
            parts.into_iter().find(|(name, ..)| *name == request.part_name).ok_or_else(unknown)?;
        let length =
            if request.length == 0 { size.saturating_sub(request.offset) } else { request.length };
        let end = request.offset.checked_add(length).filter(|end| *end <= size);
        let Some(end) = end.filter(|_| request.offset <= size) else {
            let refusal = Refusal::of_field(Reason::RangeOutside, "offset");
            let refusal = refusal.with("offset", request.offset).with("length", request.length);
            return Err(refusal.with("size", size).into());
        };
        Ok(((self.open(&digest, of)?, request.offset, end), delivery))
    }

    /// Tells that the recipient's system was given notice, if it is for the first time.
    pub(super) async fn noticed(&self, delivery: Option<&Delivery>) {
        if let Some(delivery) = delivery.filter(|one| one.milestones.notified.is_none()) {
            self.gateway.handed_out(delivery.consignment, &delivery.recipient).await;
        }
    }

    /// What an item in an agency's mailbox says.
    pub(super) fn item(
        &self,
        agency: &Code,
        item: &Item,
        leased: Option<&Leased>,
    ) -> Result<v1::Item, Error> {
        let so_far = || self.gateway.store().attempts(agency, item.position);
        let attempt = leased.map_or_else(so_far, |leased| leased.attempt);
        let unanswered = attempt - u32::from(leased.is_some());
        let consignment = self.consignment(item.consignment)?;
        Ok(v1::Item {
            consignment_id: consignment.id.to_string(),
            entry_id: Some(convert::entry_id(item.position)),
            urgency: convert::urgency_to_wire(item.urgency).into(),
            sender: consignment.sender.to_string(),
            document_id: consignment.document,
            number: consignment.number.unwrap_or_default(),
            dossier_code: consignment.dossier.map(|code| code.to_string()).unwrap_or_default(),
            indication: consignment.verdict.indication,
            legal_value: consignment.verdict.legal_value,
            accept_time: Some(convert::timestamp(consignment.accepted_at)),
            lease_token: leased.map(|leased| leased.token.0.to_string()).unwrap_or_default(),
            lease_expire_time: leased.map(|leased| convert::timestamp(leased.until)),
            attempt,
            set_aside: unanswered >= POISON_ATTEMPTS,
        })
    }
}

/// Reads a range chunk by chunk, no faster than the receiver takes it.
async fn send_range(
    source: Arc<dyn Source + Send + Sync>,
    start: u64,
    end: u64,
    sender: mpsc::Sender<Result<v1::FetchPartResponse, Status>>,
) {
    let mut offset = start;
    while offset < end {
        let size = usize::try_from(end - offset).unwrap_or(usize::MAX).min(CHUNK_SIZE);
        let source = source.clone();
        // Made here: what many blocking threads allocate, each of them would keep.
        let mut chunk = vec![0; size];
        let read =
            tokio::task::spawn_blocking(move || source.read_at(offset, &mut chunk).map(|()| chunk));
        let message = match read.await {
            Ok(Ok(chunk)) => Ok(v1::FetchPartResponse { offset, chunk: Bytes::from(chunk) }),
            _ => Err(to_status(Fault::Content("a part could not be read".into()))),
        };
        let failed = message.is_err();
        let sent = tokio::time::timeout(crate::limits::CHUNK_DEADLINE, sender.send(message)).await;
        if failed || !matches!(sent, Ok(Ok(()))) {
            return;
        }
        offset += size as u64;
    }
}
