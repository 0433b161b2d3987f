//! Sending documents.

use std::collections::HashSet;

use bytes::Bytes;
use tonic::{Request, Response, Status, Streaming};

use super::status::to_status;
use super::{Door, convert};
use crate::delivery::{Delivery, OrderKind};
use crate::digest::Sha256;
use crate::directory::{Code, Role};
use crate::document::{ConsignmentId, Envelope};
use crate::gateway::ports::{Upload, UploadError, Which};
use crate::gateway::{
    Accepted, Bodies, Error, Fault, Missing, Peer, SendersOrder, Submission, Validated,
};
use crate::limits::{CHUNK_DEADLINE, PART_SIZE_MAX, RECIPIENTS_MAX};
use crate::log::Entry;
use crate::proto::v1;
use crate::proto::v1::submission_service_server::SubmissionService;
use crate::refusal::{Reason, Refusal};

#[tonic::async_trait]
impl SubmissionService for Door {
    async fn announce(
        &self,
        request: Request<v1::AnnounceRequest>,
    ) -> Result<Response<v1::AnnounceResponse>, Status> {
        let peer = self.peer(&request)?;
        let today = self.gateway.now().date_in_vietnam();
        let envelope = convert::envelope(&request.get_ref().envelope, today).map_err(to_status)?;
        let (missing, recipients) = self.gateway.announce(&peer, &envelope).map_err(to_status)?;
        Ok(Response::new(v1::AnnounceResponse {
            missing: missing_parts(&envelope, missing),
            recipient_count: count(recipients),
        }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        let peer = self.peer(&request)?;
        let size = self.receive(&peer, request.into_inner()).await?;
        Ok(Response::new(v1::UploadResponse { size }))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let result = self
            .take(
                &peer,
                &request.request_id,
                &request.envelope,
                Bodies::Staged,
                request.validate_only,
            )
            .await?;
        Ok(Response::new(v1::SubmitResponse { result: Some(result) }))
    }

    async fn submit_document(
        &self,
        request: Request<v1::SubmitDocumentRequest>,
    ) -> Result<Response<v1::SubmitDocumentResponse>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let bodies = Bodies::Inline(request.parts);
        let result = self
            .take(&peer, &request.request_id, &request.envelope, bodies, request.validate_only)
            .await?;
        Ok(Response::new(v1::SubmitDocumentResponse { result: Some(result) }))
    }

    async fn order(
        &self,
        request: Request<v1::OrderRequest>,
    ) -> Result<Response<v1::OrderResponse>, Status> {
        let peer = self.peer(&request)?;
        let order = order(request.into_inner()).map_err(to_status)?;
        let (consignment, named) = (order.consignment, order.recipients.clone());
        let ordered = self.gateway.order(&peer, order).await.map_err(to_status)?;
        let all = Which::After(None, RECIPIENTS_MAX);
        let deliveries = self.gateway.store().deliveries(consignment, all).map_err(to_status)?;
        let surroundings = self.gateway.surroundings();
        let directory = &surroundings.directory;
        let named: HashSet<&Code> =
            named.iter().map(|code| directory.agency(code).map_or(code, |one| &one.code)).collect();
        let asked = |one: &&Delivery| named.is_empty() || named.contains(&one.recipient);
        Ok(Response::new(v1::OrderResponse {
            receipt: Some(convert::receipt(ordered.receipt)),
            repeated: ordered.repeated,
            deliveries: deliveries.iter().filter(asked).map(convert::delivery).collect(),
        }))
    }
}

fn order(request: v1::OrderRequest) -> Result<SendersOrder, Refusal> {
    let malformed = |field: &str| Refusal::of_field(Reason::FieldMalformed, field);
    let code = |text: &str, field: &str| Code::parse(text).ok_or_else(|| malformed(field));
    let kind = match request.kind() {
        v1::OrderKind::Unspecified => {
            return Err(Refusal::of_field(Reason::FieldMissing, "kind"));
        }
        v1::OrderKind::Recall => OrderKind::Recall,
        v1::OrderKind::Update => OrderKind::Update,
        v1::OrderKind::Replace => OrderKind::Replace,
    };
    let by = match request.by.as_str() {
        "" => None,
        by => Some(ConsignmentId::parse(by).ok_or_else(|| malformed("by"))?),
    };
    if request.reason.trim().is_empty() {
        return Err(Refusal::of_field(Reason::FieldMissing, "reason"));
    }
    let recipients = request.recipients.iter().map(|text| code(text, "recipients"));
    Ok(SendersOrder {
        sender: code(&request.sender, "sender")?,
        consignment: convert::consignment_id(&request.consignment_id)?,
        recipients: recipients.collect::<Result<_, _>>()?,
        kind,
        by,
        reason: request.reason,
    })
}

/// What is missing of an envelope's parts.
pub(super) fn missing_parts(envelope: &Envelope, missing: Vec<Missing>) -> Vec<v1::MissingPart> {
    let part = |one: Missing| {
        let part = envelope.parts.get(one.part)?;
        Some(v1::MissingPart {
            name: part.name.clone(),
            sha256: Bytes::copy_from_slice(&part.digest.0),
            size: part.size,
            offset: one.offset,
        })
    };
    missing.into_iter().filter_map(part).collect()
}

impl Door {
    async fn take(
        &self,
        peer: &Peer,
        request_id: &str,
        envelope: &Bytes,
        bodies: Bodies,
        validate_only: bool,
    ) -> Result<v1::SubmissionResult, Status> {
        let request = convert::request_id(request_id).map_err(to_status)?;
        let today = self.gateway.now().date_in_vietnam();
        let envelope = convert::envelope(envelope, today).map_err(to_status)?;
        let submission = Submission { request, envelope, bodies };
        if validate_only {
            let validated = self.gateway.validate(peer, submission).await.map_err(to_status)?;
            return Ok(validated_result(Some(validated)));
        }
        let accepted = self.gateway.submit(peer, submission).await.map_err(to_status)?;
        Ok(accepted_result(accepted))
    }

    /// Takes one part off the wire. Whatever ends the stream, what has arrived is kept.
    async fn receive(
        &self,
        peer: &Peer,
        mut stream: Streaming<v1::UploadRequest>,
    ) -> Result<u64, Status> {
        peer.require(&[Role::Agency, Role::Portal, Role::Gateway]).map_err(to_status)?;
        let header = match next(&mut stream).await? {
            Some(v1::upload_request::Kind::Header(header)) => header,
            _ => return Err(to_status(Refusal::of_field(Reason::ChunkOrder, "header"))),
        };
        let digest = Sha256::from_slice(&header.sha256)
            .ok_or_else(|| to_status(Refusal::of_field(Reason::FieldMalformed, "header.sha256")))?;
        let size = part_size(header.size).map_err(to_status)?;
        self.gateway.room().map_err(to_status)?;
        let rest = size.saturating_sub(header.offset);
        let mut reserved = self.gateway.reserve(peer, rest).map_err(to_status)?;
        let (contents, system) = (self.gateway.contents().clone(), peer.system.clone());
        let opened = tokio::task::spawn_blocking(move || {
            contents.upload(&system, &digest, size, header.offset)
        });
        let mut upload = blocking(opened).await?.map_err(|error| refuse(error, size))?;
        while let Some(kind) = next(&mut stream).await? {
            let v1::upload_request::Kind::Chunk(chunk) = kind else {
                return Err(to_status(Refusal::of_field(Reason::ChunkOrder, "chunk")));
            };
            self.gateway.room().map_err(to_status)?;
            let came = chunk.len() as u64;
            let appended = tokio::task::spawn_blocking(move || {
                let outcome = upload.append(&chunk);
                (upload, outcome)
            });
            let (back, outcome) = blocking(appended).await?;
            outcome.map_err(|error| refuse(error, size))?;
            reserved.came(came);
            upload = back;
        }
        finish(upload, size).await
    }
}

async fn finish(upload: Box<dyn Upload>, size: u64) -> Result<u64, Status> {
    let finished = tokio::task::spawn_blocking(move || upload.finish());
    blocking(finished).await?.map_err(|error| match error {
        UploadError::Offset(arrived) => {
            let refusal = Refusal::of_field(Reason::SizeMismatch, "chunk");
            to_status(refusal.with("announced", size).with("received", arrived))
        }
        other => refuse(other, size),
    })?;
    Ok(size)
}

pub(super) async fn blocking<T>(task: tokio::task::JoinHandle<T>) -> Result<T, Status> {
    task.await.map_err(|_| to_status(Fault::Content("a content task ended early".into())))
}

async fn next(
    stream: &mut Streaming<v1::UploadRequest>,
) -> Result<Option<v1::upload_request::Kind>, Status> {
    match next_message(stream).await? {
        None => Ok(None),
        Some(v1::UploadRequest { kind: Some(kind) }) => Ok(Some(kind)),
        Some(_) => Err(to_status(Refusal::of_field(Reason::ChunkOrder, "kind"))),
    }
}

/// The next message of a stream that carries a file; pauses are limited.
pub(super) async fn next_message<M>(stream: &mut Streaming<M>) -> Result<Option<M>, Status> {
    let message = tokio::time::timeout(CHUNK_DEADLINE, stream.message()).await.map_err(|_| {
        let refusal = Refusal::new(Reason::UploadStalled);
        to_status(refusal.with("limit_s", CHUNK_DEADLINE.as_secs()))
    })?;
    message.map_err(|status| match status.code() {
        tonic::Code::OutOfRange => {
            let refusal = Refusal::of_field(Reason::MessageTooLarge, "chunk");
            to_status(refusal.with("limit", crate::limits::MESSAGE_SIZE_MAX))
        }
        _ => status,
    })
}

fn part_size(size: u64) -> Result<u64, Refusal> {
    match size {
        0 => Err(Refusal::of_field(Reason::PartEmpty, "header.size")),
        size if size > PART_SIZE_MAX => {
            let refusal = Refusal::of_field(Reason::PartTooLarge, "header.size");
            Err(refusal.with("size", size).with("limit", PART_SIZE_MAX))
        }
        size => Ok(size),
    }
}

fn refuse(error: UploadError, size: u64) -> Status {
    let refusal: Error = match error {
        UploadError::Offset(arrived) => {
            Refusal::of_field(Reason::ChunkOrder, "header.offset").with("offset", arrived).into()
        }
        UploadError::TooLong(announced) => {
            Refusal::of_field(Reason::SizeMismatch, "chunk").with("announced", announced).into()
        }
        UploadError::Digest(received) => Refusal::of_field(Reason::DigestMismatch, "header.sha256")
            .with("received", received)
            .with("size", size)
            .into(),
        UploadError::TooMany(unfinished) => {
            Refusal::new(Reason::UploadsTooMany).with("unfinished", unfinished).into()
        }
        UploadError::Medium(cause) => Fault::Content(cause).into(),
    };
    to_status(refusal)
}

fn accepted_result(accepted: Accepted) -> v1::SubmissionResult {
    let entry = Entry::from_leaf(&accepted.receipt.leaf).ok();
    let recipients = entry.as_ref().and_then(|entry| entry.recipients);
    let consignment = entry.and_then(|entry| entry.consignment);
    v1::SubmissionResult {
        consignment_id: consignment.map(|id| id.to_string()).unwrap_or_default(),
        repeated: accepted.validated.is_none(),
        receipt: Some(convert::receipt(accepted.receipt)),
        recipient_count: recipients.map_or(0, |set| set.count),
        ..validated_result(accepted.validated)
    }
}

fn validated_result(validated: Option<Validated>) -> v1::SubmissionResult {
    let Some(validated) = validated else { return v1::SubmissionResult::default() };
    v1::SubmissionResult {
        verdict: Some(convert::verdict(&validated.judgement)),
        warnings: validated.warnings.into_iter().map(convert::warning).collect(),
        recipient_count: count(validated.recipients),
        ..v1::SubmissionResult::default()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
