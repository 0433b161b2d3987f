//! Evidence that stands alone: gathered, packed, verified as the receiver will, and only then sent.

use std::collections::{BTreeMap, btree_map};
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::reads::query;
use super::status::to_status;
use super::{Door, convert};
use crate::delivery::{Consignment, Term};
use crate::digest::Sha256;
use crate::directory::{Code, Role};
use crate::document::ConsignmentId;
use crate::evidence::{
    Evidence, EvidencePart, EvidenceStamp, PartInfo, Receipt, Verified, told_by, verify,
};
use crate::gateway::ports::Which;
use crate::gateway::{Asked, Error, Fault, Peer, named_in};
use crate::limits::{
    CHUNK_DEADLINE, CHUNK_SIZE, EVIDENCE_PARTS_SIZE_MAX, PAGE_SIZE_MAX, RELAY_HOPS_MAX,
};
use crate::log::{Entry, EntryId};
use crate::proto::v1;
use crate::proto::v1::evidence_service_server::EvidenceService;
use crate::refusal::{Reason, Refusal};

/// Chunks read ahead of a slow reader.
const CHUNKS_AHEAD: usize = 2;

#[tonic::async_trait]
impl EvidenceService for Door {
    type GetEvidenceStream =
        Pin<Box<dyn Stream<Item = Result<v1::GetEvidenceResponse, Status>> + Send>>;

    async fn get_evidence(
        &self,
        request: Request<v1::GetEvidenceRequest>,
    ) -> Result<Response<Self::GetEvidenceStream>, Status> {
        let peer = self.peer(&request)?;
        let request = request.into_inner();
        let fields = [
            ("consignment_id", request.consignment_id.as_str()),
            ("recipient", request.recipient.as_str()),
            ("include_parts", if request.include_parts { "true" } else { "" }),
        ];
        let asked = query(Asked::Evidence, "evidence", &fields);
        self.noted(&peer, &mut String::new(), &asked).await?;
        let door = self.clone();
        let made = tokio::task::spawn_blocking(move || door.evidence(&peer, &request));
        let stopped = |_| to_status(Fault::Content("packing evidence ended early".into()));
        let file = made.await.map_err(stopped)?.map_err(to_status)?;
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(send(Bytes::from(file), sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

async fn send(mut file: Bytes, sender: mpsc::Sender<Result<v1::GetEvidenceResponse, Status>>) {
    while !file.is_empty() {
        let chunk = file.split_to(file.len().min(CHUNK_SIZE));
        let message = Ok(v1::GetEvidenceResponse { chunk });
        let sent = tokio::time::timeout(CHUNK_DEADLINE, sender.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

impl Door {
    fn evidence(&self, peer: &Peer, request: &v1::GetEvidenceRequest) -> Result<Vec<u8>, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let id = convert::consignment_id(&request.consignment_id)?;
        let consignment = self.consignment(id)?;
        let recipient = match request.recipient.as_str() {
            "" => None,
            code => Some(convert::agency_code(code)?),
        };
        self.may_have(peer, &consignment, recipient.as_ref(), request.include_parts)?;
        let mut evidence = self.gather_evidence(&consignment, recipient, request.include_parts)?;
        let (_, verified) = self.packed(&evidence)?;
        if let Some(seal) = &self.seal {
            evidence.seal(&verified, &**seal, self.gateway.now());
        }
        evidence.page = Some(verified.page());
        Ok(self.packed(&evidence)?.0)
    }

    /// The file, verified as its receiver will.
    fn packed(&self, evidence: &Evidence) -> Result<(Vec<u8>, Verified), Error> {
        let file = evidence.to_bytes().map_err(|error| Fault::Content(error.to_string()))?;
        let mut keys = vec![self.gateway.reading().public_key().clone()];
        keys.extend(self.gateway.surroundings().neighbours.iter().cloned());
        let verified = verify(&file, &keys, &part_infos)
            .map_err(|broken| Fault::Content(format!("evidence does not verify: {broken}")))?;
        Ok((file, verified))
    }

    /// The first time-stamp over each entry, as far as there is one.
    fn stamps(&self, receipts: &[Receipt]) -> Result<Vec<EvidenceStamp>, Error> {
        let (store, reading) = (self.gateway.store(), self.gateway.reading());
        let mut found = BTreeMap::new();
        for receipt in receipts {
            if let Some(entry) = store.stamp_over(receipt.id)? {
                found.entry(entry).or_insert(&receipt.checkpoint);
            }
        }
        let mut stamps = Vec::new();
        for (entry, last) in found {
            let entry = reading.entry(entry)?;
            let (Some(covers), Some(token)) = (entry.covers, entry.content) else { continue };
            // A token that was erased is named as absent by the verifier.
            let Ok(token) = self.content(&token, None) else { continue };
            let Some(checkpoint) = store.checkpoint(covers.epoch, covers.size)? else { continue };
            let size = reading.open(last)?.size;
            if covers.size > size {
                continue; // It was made a moment ago, after the receipts.
            }
            let consistency = reading.consistency(covers.epoch, covers.size, size)?;
            stamps.push(EvidenceStamp { checkpoint, token, consistency });
        }
        Ok(stamps)
    }

    /// The sender and auditors may have all of it; a recipient its own part, without the bodies of what
    /// was taken back from it.
    fn may_have(
        &self,
        peer: &Peer,
        consignment: &Consignment,
        recipient: Option<&Code>,
        with_parts: bool,
    ) -> Result<(), Error> {
        let surroundings = self.gateway.surroundings();
        let directory = &surroundings.directory;
        if peer.may_read(directory, &[&consignment.sender]) {
            return Ok(());
        }
        if !self.is_party(peer, &surroundings, consignment.id)? {
            return Err(Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id").into());
        }
        let own = recipient.filter(|code| peer.may_read(directory, &[code]));
        let own = own.ok_or_else(|| Refusal::of_field(Reason::NotAParty, "recipient"))?;
        let delivery = self.gateway.store().deliveries(consignment.id, Which::At(own))?.pop();
        Ok(delivery.filter(|_| with_parts).map_or(Ok(()), |delivery| delivery.may_read())?)
    }

    fn gather_evidence(
        &self,
        consignment: &Consignment,
        recipient: Option<Code>,
        include_parts: bool,
    ) -> Result<Evidence, Error> {
        let receipts = self.receipts(consignment, recipient.as_ref())?;
        if receipts.len() < 2 {
            return Err(Refusal::of_field(Reason::RecipientUnknown, "recipient").into());
        }
        let of = Some(consignment.id);
        let envelope = self.content(&consignment.envelope, of)?;
        let report = self.content(&consignment.verdict.report, of)?;
        let (mut certificates, mut crls) = named_in(&report);
        let (mut notes, mut words) = (Vec::new(), Vec::new());
        for receipt in &receipts {
            let Ok(entry) = Entry::from_leaf(&receipt.leaf) else { continue };
            certificates.push(entry.actor.certificate);
            words.extend(self.words(&entry));
            if let Some(bytes) = entry.note.and_then(|digest| self.content(&digest, None).ok()) {
                notes.push((receipt.id, bytes));
            }
        }
        let bytes_of = |mut digests: Vec<Sha256>| {
            digests.sort();
            digests.dedup();
            // What was never kept or has been erased is named as absent by the verifier.
            digests.iter().filter_map(|digest| self.content(digest, None).ok()).collect()
        };
        let parts = if include_parts {
            self.enclosed_parts(consignment.id, &envelope)?
        } else {
            Vec::new()
        };
        Ok(Evidence {
            stamps: self.stamps(&receipts)?,
            erds: Vec::new(),
            page: None,
            consignment: consignment.id,
            recipient,
            key: self.gateway.reading().public_key().clone(),
            receipts,
            envelope,
            report,
            certificates: bytes_of(certificates),
            crls: bytes_of(std::mem::take(&mut crls)),
            parts,
            words,
            notes,
        })
    }

    /// The receipts on which a neighbour's word rests, its own first. One that was never kept is named as
    /// absent by the verifier.
    fn words(&self, entry: &Entry) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        let mut told = entry.clone();
        while words.len() < RELAY_HOPS_MAX
            && let Some((_, digest)) = told_by(&told)
            && let Ok(word) = self.content(digest, None)
        {
            let next = Receipt::read(&word).ok();
            words.push(word);
            let next = next.and_then(|receipt| Entry::from_leaf(&receipt.leaf).ok());
            let Some(next) = next else { break };
            told = next;
        }
        words
    }

    /// Every entry of the consignment, or those about one recipient, under the newest checkpoint of
    /// their epochs that witnesses have cosigned, or else under the newest one.
    fn receipts(
        &self,
        consignment: &Consignment,
        recipient: Option<&Code>,
    ) -> Result<Vec<Receipt>, Error> {
        let reading = self.gateway.reading();
        let mut ids = Vec::new();
        let mut after = EntryId::ZERO;
        loop {
            let term = Term::Consignment(consignment.id);
            let page = self.gateway.store().find(&term, after, PAGE_SIZE_MAX)?;
            let Some(last) = page.last() else { break };
            after = *last;
            for id in page {
                let entry = reading.entry(id)?;
                if recipient.is_some() && entry.to.is_some() && entry.to.as_ref() != recipient {
                    continue;
                }
                ids.push(id);
            }
        }
        // From the last of an epoch on, so that the first checkpoint looked for covers all of them.
        let mut notes: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for id in ids.iter().rev() {
            if let btree_map::Entry::Vacant(place) = notes.entry(id.epoch) {
                let cosigned = self.gateway.cosigned().covering(*id);
                place.insert(cosigned.map_or_else(|| reading.last_of(id.epoch), Ok)?);
            }
        }
        let note_of = |epoch| notes.get(&epoch).cloned().unwrap_or_default();
        ids.into_iter().map(|id| reading.receipt_under(id, note_of(id.epoch))).collect()
    }

    fn enclosed_parts(
        &self,
        of: ConsignmentId,
        envelope: &[u8],
    ) -> Result<Vec<EvidencePart>, Error> {
        let listed = convert::part_listing(envelope).unwrap_or_default();
        let mut left = EVIDENCE_PARTS_SIZE_MAX;
        let mut parts = Vec::new();
        for (index, (name, size, digest)) in listed.into_iter().enumerate() {
            if size > left {
                continue;
            }
            left -= size;
            let source = match self.open(&digest, Some(of)) {
                // The evidence says so by the entry of the erasure.
                Err(Error::Refused(refusal)) if refusal.reason == Reason::ContentErased => continue,
                opened => opened?,
            };
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            source.read_at(0, &mut bytes).map_err(|error| Fault::Content(error.to_string()))?;
            parts.push(EvidencePart { index, name, bytes });
        }
        Ok(parts)
    }
}

/// The parts that an envelope lists, for the verifier of evidence.
pub fn part_infos(envelope: &[u8]) -> Option<Vec<PartInfo>> {
    let listed = convert::part_listing(envelope)?;
    let info = |(name, size, digest)| PartInfo { name, size, digest };
    Some(listed.into_iter().map(info).collect())
}
