//! Calls to the gateway, each with its deadline.

use std::time::Duration;

use prost::Message as _;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::digest::Sha256;
use crate::limits::CALL_DEADLINE;
use crate::proto::v1;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::refusal::Reason;

/// The answer, if it comes in time.
pub(super) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let late = |_| Err(Status::unavailable("no answer in time"));
    timeout(deadline, call).await.unwrap_or_else(late)
}

/// Why the gateway refuses, by its stable code.
pub(super) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// Another watch holds the item, until it answers or its lease ends.
pub(super) fn is_leased(status: &Status) -> bool {
    reason(status).as_deref() == Some(Reason::LeaseLost.code())
}

/// The item was taken back, or answered by somebody else.
pub(super) fn is_gone(status: &Status) -> bool {
    let gone = [
        Reason::ConsignmentUnknown,
        Reason::NotARecipient,
        Reason::AlreadyAnswered,
        Reason::DocumentWithdrawn,
        Reason::DocumentRedirected,
        Reason::ContentErased,
    ];
    let reason = reason(status);
    gone.iter().any(|gone| reason.as_deref() == Some(gone.code()))
}

/// The part of a document that is a message of the portal or to it; none if it has no such part.
pub(super) async fn message_part(
    mailbox: &mut MailboxServiceClient<Channel>,
    agency: &str,
    consignment: &str,
) -> Result<Option<v1::Part>, Status> {
    let request = v1::GetDocumentRequest {
        agency: agency.to_owned(),
        consignment_id: consignment.to_owned(),
    };
    let document = within(CALL_DEADLINE, mailbox.get_document(request)).await?;
    let envelope = v1::Envelope::decode(&document.into_inner().envelope[..]);
    let envelope = envelope.map_err(|error| Status::internal(error.to_string()))?;
    Ok(envelope.parts.into_iter().find(|part| part.media_type == super::MEDIA_TYPE))
}

/// The bytes of a part.
pub(super) async fn fetch(
    mailbox: &mut MailboxServiceClient<Channel>,
    agency: &str,
    consignment: &str,
    part: &v1::Part,
) -> Result<Vec<u8>, Status> {
    let request = v1::FetchPartRequest {
        agency: agency.to_owned(),
        consignment_id: consignment.to_owned(),
        part_name: part.name.clone(),
        offset: 0,
        length: 0,
    };
    let chunks = within(CALL_DEADLINE, mailbox.fetch_part(request)).await?;
    let (mut chunks, mut bytes) = (chunks.into_inner(), Vec::new());
    while let Some(message) = within(CALL_DEADLINE, chunks.message()).await? {
        bytes.extend_from_slice(&message.chunk);
    }
    if Sha256::from_slice(&part.sha256) == Some(Sha256::of(&bytes)) {
        Ok(bytes)
    } else {
        Err(Status::unavailable("a part does not have its digest"))
    }
}
