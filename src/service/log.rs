//! The log itself: checkpoints, proofs, and, for auditors, every entry.

use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::reads::query;
use super::status::to_status;
use super::{Door, convert};
use crate::directory::Role;
use crate::gateway::{Asked, Error, Fault, Reading};
use crate::limits::CHUNK_DEADLINE;
use crate::log::EntryId;
use crate::proto::v1;
use crate::proto::v1::log_service_server::LogService;
use crate::refusal::{Reason, Refusal};

/// Entries in one message: 256 × 4 KiB is a quarter of the message limit.
const ENTRIES_AT_ONCE: usize = 256;
/// Messages read ahead of a slow auditor.
const MESSAGES_AHEAD: usize = 2;

#[tonic::async_trait]
impl LogService for Door {
    type ReadEntriesStream =
        Pin<Box<dyn Stream<Item = Result<v1::ReadEntriesResponse, Status>> + Send>>;

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        self.peer(&request)?;
        let reading = self.gateway.reading();
        let note = reading.last_of(request.get_ref().epoch).map_err(to_status)?;
        let signed = reading.open(&note).map_err(to_status)?;
        let epoch = signed.origin.epoch;
        let cosigned = self.gateway.cosigned().of(epoch).unwrap_or_default();
        Ok(Response::new(v1::GetCheckpointResponse {
            epoch,
            size: signed.size,
            checkpoint: note.into(),
            cosigned_checkpoint: cosigned.into(),
            time: Some(convert::timestamp(self.gateway.now())),
        }))
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        let peer = self.peer(&request)?;
        let missing = || to_status(Refusal::of_field(Reason::FieldMissing, "entry_id"));
        let id = convert::entry_id_from(request.get_ref().entry_id.ok_or_else(missing)?);
        let reading = self.gateway.reading();
        let wanted = request.get_ref().cosigned;
        let note = wanted.then(|| self.gateway.cosigned().covering(id)).flatten();
        let cosigned = note.is_some();
        let receipt = match note {
            Some(note) => reading.receipt_under(id, note),
            None => reading.receipt(id),
        };
        let receipt = receipt.map_err(to_status)?;
        if !self.concerns(&peer, &receipt.leaf).map_err(to_status)? {
            return Err(to_status(Refusal::of_field(Reason::NotAParty, "entry_id")));
        }
        let receipt = Some(convert::receipt(receipt));
        Ok(Response::new(v1::GetReceiptResponse { receipt, cosigned }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        self.peer(&request)?;
        let request = request.into_inner();
        let proof = self.consistency(&request).map_err(to_status)?;
        Ok(Response::new(v1::GetConsistencyProofResponse { proof }))
    }

    async fn read_entries(
        &self,
        request: Request<v1::ReadEntriesRequest>,
    ) -> Result<Response<Self::ReadEntriesStream>, Status> {
        let peer = self.peer(&request)?;
        peer.require(&[Role::Auditor]).map_err(to_status)?;
        let request = request.into_inner();
        let first = request.from.map(|id| convert::entry_id_from(id).to_string());
        let (first, max) = (first.unwrap_or_default(), request.max_entries.to_string());
        let fields = [("from", first.as_str()), ("max_entries", max.as_str())];
        self.noted(&peer, &mut String::new(), &query(Asked::Entries, "entries", &fields)).await?;
        let from = request.from.map_or(EntryId::ZERO, convert::entry_id_from);
        let from = EntryId { epoch: from.epoch.max(1), ..from };
        let max = if request.max_entries == 0 { u64::MAX } else { request.max_entries };
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
        tokio::spawn(send_entries(self.clone(), from, max, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Door {
    fn consistency(&self, request: &v1::GetConsistencyProofRequest) -> Result<Vec<Bytes>, Error> {
        let reading = self.gateway.reading();
        let epoch = match request.epoch {
            0 => reading.open(&reading.last_of(0)?)?.origin.epoch,
            epoch => epoch,
        };
        let proof = reading.consistency(epoch, request.old_size, request.new_size)?;
        Ok(proof.iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect())
    }

    /// Whether an entry is about an agency of this system, or the caller is an auditor.
    fn concerns(&self, peer: &crate::gateway::Peer, leaf: &[u8]) -> Result<bool, Error> {
        if peer.role == Role::Auditor {
            return Ok(true);
        }
        let surroundings = self.gateway.surroundings();
        let Ok(entry) = crate::log::Entry::from_leaf(leaf) else { return Ok(false) };
        let named: Vec<_> = entry.from.iter().chain(&entry.to).collect();
        if peer.may_read(&surroundings.directory, &named) {
            return Ok(true);
        }
        match entry.consignment.filter(|_| entry.to.is_none()) {
            Some(id) => self.is_party(peer, &surroundings, id),
            None => Ok(false),
        }
    }
}

async fn send_entries(
    door: Door,
    from: EntryId,
    max: u64,
    sender: mpsc::Sender<Result<v1::ReadEntriesResponse, Status>>,
) {
    let (mut next, mut left) = (from, max);
    while left > 0 {
        let door = door.clone();
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(ENTRIES_AT_ONCE);
        let read =
            tokio::task::spawn_blocking(move || read_some(door.gateway.reading(), next, count));
        let message = match read.await {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(message))) => message,
            Ok(Err(error)) => {
                let _gone = sender.send(Err(to_status(error))).await;
                return;
            }
            // An end without an error would say that the log ends here.
            Err(_) => {
                let fault = Fault::Content("reading entries ended early".into());
                let _gone = sender.send(Err(to_status(fault))).await;
                return;
            }
        };
        if message.leaves.is_empty() {
            next = EntryId { epoch: next.epoch + 1, index: 0 };
            continue;
        }
        next.index += message.leaves.len() as u64;
        left -= message.leaves.len() as u64;
        let sent = tokio::time::timeout(CHUNK_DEADLINE, sender.send(Ok(message))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// Some entries with the checkpoints that end among them; empty at the end of a closed epoch,
/// `None` at the end of the log.
fn read_some(
    reading: &Reading,
    from: EntryId,
    count: usize,
) -> Result<Option<v1::ReadEntriesResponse>, Error> {
    let Some(latest) = reading.latest()? else { return Ok(None) };
    let open = reading.open(&latest)?.origin.epoch;
    if from.epoch > open {
        return Ok(None);
    }
    let leaves = reading.leaves(from, count)?;
    if leaves.is_empty() && from.epoch == open {
        return Ok(None);
    }
    let end = from.index + leaves.len() as u64;
    let mut checkpoints = Vec::new();
    let mut size = from.index.saturating_add(1);
    while size <= end {
        let Some(note) = reading.checkpoint_at(from.epoch, size)? else { break };
        let covered = reading.open(&note)?.size;
        if covered > end {
            break;
        }
        checkpoints.push(Bytes::from(note));
        size = covered + 1;
    }
    Ok(Some(v1::ReadEntriesResponse {
        first: Some(convert::entry_id(from)),
        leaves: leaves.into_iter().map(Bytes::from).collect(),
        checkpoints,
    }))
}
