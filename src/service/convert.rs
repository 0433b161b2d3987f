//! Wire types to the rooms' types and back, by hand.

use bytes::Bytes;
use prost::Message as _;
use uuid::Uuid;

use crate::clock::{Date, Time};
use crate::delivery::{Delivery, Mark, OrderKind, Token};
use crate::directory::{Agency, Code};
use crate::document::{
    ConsignmentId, Draft, Envelope, Form, PartDraft, PartRole, RequestId, Signer, Urgency,
};
use crate::evidence::Receipt;
use crate::gateway::{Judged, Judgement, Warning};
use crate::limits::ENVELOPE_SIZE_MAX;
use crate::log::{EntryId, Status};
pub(super) use crate::proto::timestamp;
use crate::proto::v1;
use crate::refusal::{Reason, Refusal};
use crate::signature::{
    Indication, Signature, Timestamp, Verdict, note_in_vietnamese, reason_in_vietnamese,
};

/// Reads an envelope from its bytes.
///
/// # Errors
/// The first rule that it breaks.
pub fn envelope(bytes: &Bytes, today: Date) -> Result<Envelope, Refusal> {
    if bytes.len() > ENVELOPE_SIZE_MAX {
        let refusal = Refusal::of_field(Reason::EnvelopeTooLarge, "envelope");
        return Err(refusal.with("size", bytes.len()).with("limit", ENVELOPE_SIZE_MAX));
    }
    if bytes.is_empty() {
        return Err(Refusal::of_field(Reason::FieldMissing, "envelope"));
    }
    let wire = v1::Envelope::decode(bytes.clone())
        .map_err(|_| Refusal::of_field(Reason::EnvelopeMalformed, "envelope"))?;
    Envelope::read(bytes.clone(), draft(wire), today)
}

fn draft(wire: v1::Envelope) -> Draft {
    let (urgency, form) = (urgency(wire.urgency()), form(wire.form()));
    let secret = wire.secrecy() != v1::Secrecy::None;
    let links = |links: Vec<v1::DocumentLink>| {
        links.into_iter().map(|link| (link.document_id, link.issuer)).collect()
    };
    let signer = wire.signer.unwrap_or_default();
    Draft {
        document_id: wire.document_id,
        number: wire.number,
        notation: wire.notation,
        type_name: wire.type_name,
        type_code: wire.type_code,
        subject: wire.subject,
        place: wire.place,
        issue_date: wire.issue_date.map(date_parts),
        signer: Signer {
            competence: signer.competence,
            position: signer.position,
            full_name: signer.full_name,
        },
        urgency,
        due_date: wire.due_date.map(date_parts),
        secret,
        form,
        sender: wire.sender,
        recipients: wire.recipients,
        recipients_below: wire.recipients_below,
        recipients_lists: wire.recipients_lists,
        replies_to: links(wire.replies_to),
        replaces: links(wire.replaces),
        dossier_code: wire.dossier_code,
        procedure_code: wire.procedure_code,
        parts: wire.parts.into_iter().map(part_draft).collect(),
    }
}

fn part_draft(wire: v1::Part) -> PartDraft {
    let role = match wire.role() {
        v1::PartRole::Unspecified => None,
        v1::PartRole::Main => Some(PartRole::Main),
        v1::PartRole::Annex => Some(PartRole::Annex),
        v1::PartRole::Signature => Some(PartRole::Signature),
    };
    PartDraft {
        name: wire.name,
        media_type: wire.media_type,
        size: wire.size,
        digest: wire.sha256.into(),
        role,
        signs: wire.signs,
    }
}

fn date_parts(wire: v1::Date) -> (i32, u32, u32) {
    let part = |value: i32| u32::try_from(value).unwrap_or(0);
    (wire.year, part(wire.month), part(wire.day))
}

pub(super) fn urgency(wire: v1::Urgency) -> Option<Urgency> {
    match wire {
        v1::Urgency::Unspecified => None,
        v1::Urgency::Normal => Some(Urgency::Normal),
        v1::Urgency::Urgent => Some(Urgency::Urgent),
        v1::Urgency::Immediate => Some(Urgency::Immediate),
        v1::Urgency::Flash => Some(Urgency::Flash),
    }
}

/// An urgency as it travels.
pub fn urgency_to_wire(urgency: Urgency) -> v1::Urgency {
    match urgency {
        Urgency::Normal => v1::Urgency::Normal,
        Urgency::Urgent => v1::Urgency::Urgent,
        Urgency::Immediate => v1::Urgency::Immediate,
        Urgency::Flash => v1::Urgency::Flash,
    }
}

fn form(wire: v1::Form) -> Option<Form> {
    match wire {
        v1::Form::Unspecified => None,
        v1::Form::Original => Some(Form::Original),
        v1::Form::Copy => Some(Form::Copy),
    }
}

/// The bytes of an envelope, as a client would make them.
pub fn envelope_bytes(envelope: &v1::Envelope) -> Vec<u8> {
    envelope.encode_to_vec()
}

/// Name, size and digest of each part that an envelope lists; `None` if it cannot be read.
pub fn part_listing(envelope: &[u8]) -> Option<Vec<(String, u64, crate::digest::Sha256)>> {
    let wire = v1::Envelope::decode(envelope).ok()?;
    let part = |part: v1::Part| {
        Some((part.name, part.size, crate::digest::Sha256::from_slice(&part.sha256)?))
    };
    wire.parts.into_iter().map(part).collect()
}

pub(super) fn request_id(text: &str) -> Result<RequestId, Refusal> {
    let malformed = || Refusal::of_field(Reason::RequestIdMalformed, "request_id");
    Ok(RequestId(Uuid::try_parse(text).map_err(|_| malformed())?))
}

pub(super) fn consignment_id(text: &str) -> Result<ConsignmentId, Refusal> {
    let malformed = || Refusal::of_field(Reason::FieldMalformed, "consignment_id");
    ConsignmentId::parse(text).ok_or_else(malformed)
}

pub(super) fn agency_code(text: &str) -> Result<Code, Refusal> {
    Code::parse(text).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, "agency"))
}

pub(super) fn token(text: &str) -> Result<Option<Token>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = |_| Refusal::of_field(Reason::LeaseLost, "lease_token");
    Ok(Some(Token(Uuid::try_parse(text).map_err(malformed)?)))
}

pub(super) fn status(wire: v1::BusinessStatus) -> Option<Status> {
    match wire {
        v1::BusinessStatus::Unspecified => None,
        v1::BusinessStatus::Arrived => Some(Status::Arrived),
        v1::BusinessStatus::Refused => Some(Status::Refused),
        v1::BusinessStatus::Accepted => Some(Status::Accepted),
        v1::BusinessStatus::Assigned => Some(Status::Assigned),
        v1::BusinessStatus::InProgress => Some(Status::InProgress),
        v1::BusinessStatus::Finished => Some(Status::Finished),
        v1::BusinessStatus::Withdrawal => Some(Status::Withdrawal),
        v1::BusinessStatus::Agreed => Some(Status::Agreed),
        v1::BusinessStatus::Declined => Some(Status::Declined),
    }
}

pub(super) fn status_to_wire(status: Status) -> v1::BusinessStatus {
    match status {
        Status::Arrived => v1::BusinessStatus::Arrived,
        Status::Refused => v1::BusinessStatus::Refused,
        Status::Accepted => v1::BusinessStatus::Accepted,
        Status::Assigned => v1::BusinessStatus::Assigned,
        Status::InProgress => v1::BusinessStatus::InProgress,
        Status::Finished => v1::BusinessStatus::Finished,
        Status::Withdrawal => v1::BusinessStatus::Withdrawal,
        Status::Agreed => v1::BusinessStatus::Agreed,
        Status::Declined => v1::BusinessStatus::Declined,
    }
}

pub(super) fn entry_id(id: EntryId) -> v1::EntryId {
    id.into()
}

pub(super) fn entry_id_from(wire: v1::EntryId) -> EntryId {
    EntryId { epoch: wire.epoch, index: wire.index }
}

/// `None` if it is no time between the years 1970 and 9999.
pub(super) fn time(wire: &prost_types::Timestamp) -> Option<Time> {
    let nanos = u32::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let millis = wire.seconds.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    let time = Time::from_millis(millis);
    (time.millis() == millis).then_some(time)
}

/// A date as it travels.
pub fn date(date: Date) -> v1::Date {
    v1::Date { year: date.year().into(), month: date.month().into(), day: date.day().into() }
}

pub(super) fn receipt(receipt: Receipt) -> v1::Receipt {
    receipt.into()
}

pub(super) fn verdict(judgement: &Judgement) -> v1::Verdict {
    v1::Verdict {
        indication: indication(judgement.indication()).into(),
        legal_value: judgement.legal.value.to_string(),
        legal_reason: judgement.legal.sentence.clone(),
        legal_reason_vi: note_in_vietnamese(&judgement.legal.sentence),
        signatures: judgement.signatures.iter().map(finding).collect(),
    }
}

pub(super) fn indication(indication: Option<Indication>) -> v1::Indication {
    match indication {
        None => v1::Indication::Unspecified,
        Some(Indication::TotalPassed) => v1::Indication::TotalPassed,
        Some(Indication::Indeterminate) => v1::Indication::Indeterminate,
        Some(Indication::TotalFailed) => v1::Indication::TotalFailed,
    }
}

fn finding(judged: &Judged) -> v1::SignatureFinding {
    v1::SignatureFinding {
        part: judged.part.clone(),
        signer_role: judged.role.word().to_owned(),
        ..signature(&judged.signature)
    }
}

/// A signature without the part and the role that a submission gives it.
pub(super) fn signature(signature: &Signature) -> v1::SignatureFinding {
    let verdict = &signature.verdict;
    let signer = signature.signer.as_ref();
    v1::SignatureFinding {
        part: String::new(),
        format: signature.format.to_string(),
        indication: indication(Some(verdict.indication())).into(),
        sub_indication: sub_indication(verdict),
        reasons: reasons(verdict),
        signer: signer.map(|signer| signer.subject.clone()).unwrap_or_default(),
        signer_sha256: signer.map(fingerprint).unwrap_or_default(),
        signer_role: String::new(),
        signing_time: signature.signing_time.map(timestamp),
        quirks: signature.quirks.clone(),
        best_signature_time: signature.best_time.map(timestamp),
        timestamps: signature.timestamps.iter().map(stamp).collect(),
        trust_domain: signature.domain.clone().unwrap_or_default(),
        counter_signs: signature.counter_signs.and_then(|index| u32::try_from(index).ok()),
    }
}

fn stamp(stamp: &Timestamp) -> v1::TimestampFinding {
    let authority = stamp.authority.as_ref();
    v1::TimestampFinding {
        kind: stamp.kind.to_string(),
        indication: indication(Some(stamp.verdict.indication())).into(),
        sub_indication: sub_indication(&stamp.verdict),
        reasons: reasons(&stamp.verdict),
        time: stamp.time.map(timestamp),
        authority: authority.map(|authority| authority.subject.clone()).unwrap_or_default(),
        authority_sha256: authority.map(fingerprint).unwrap_or_default(),
        trust_domain: stamp.domain.clone().unwrap_or_default(),
    }
}

fn reasons(verdict: &Verdict) -> Vec<v1::Finding> {
    let finding = |reason: &crate::signature::Reason| v1::Finding {
        code: reason.code.to_owned(),
        message: reason.message.clone(),
        message_vi: reason_in_vietnamese(reason, verdict.sub_indication()),
        offset: reason.offset,
    };
    verdict.reasons().iter().map(finding).collect()
}

fn sub_indication(verdict: &Verdict) -> String {
    verdict.sub_indication().map(|sub| sub.to_string()).unwrap_or_default()
}

fn fingerprint(signer: &crate::signature::Signer) -> Bytes {
    Bytes::copy_from_slice(&signer.fingerprint().0)
}

pub(super) fn warning(warning: Warning) -> v1::Warning {
    v1::Warning {
        code: warning.code.to_owned(),
        message: warning.message.to_owned(),
        entry_id: Some(entry_id(warning.entry)),
    }
}

pub(super) fn delivery(delivery: &Delivery) -> v1::Delivery {
    let order = delivery.order.as_ref().map(|order| v1::Order {
        kind: match order.kind {
            OrderKind::Recall => v1::OrderKind::Recall,
            OrderKind::Update => v1::OrderKind::Update,
            OrderKind::Replace => v1::OrderKind::Replace,
        }
        .into(),
        by: order.by.map(|by| by.to_string()).unwrap_or_default(),
        entry: Some(entry_id(order.entry)),
        answer_entry: order.answer.map(|(_, entry)| entry_id(entry)),
        agreed: order.answer.is_some_and(|(agreed, _)| agreed),
    });
    let seen = &delivery.milestones;
    let milestone = |mark: Option<Mark>| mark.map(|mark| entry_id(mark.entry));
    v1::Delivery {
        recipient: delivery.recipient.to_string(),
        transport: v1::Transport::from(delivery.transport).into(),
        business_status: status_to_wire(delivery.business).into(),
        consigned_entry: Some(entry_id(delivery.consigned)),
        latest_entry: Some(entry_id(delivery.latest)),
        change_time: Some(timestamp(delivery.changed_at)),
        notification_entry: milestone(seen.notified),
        access_entry: milestone(seen.accessed),
        notification_failure_entry: milestone(seen.notification_failed),
        handover_failure_entry: milestone(seen.handover_failed),
        relay_failure_entry: milestone(seen.relay_failed),
        via: delivery.via.as_ref().map(|via| via.name().to_owned()).unwrap_or_default(),
        addressed: delivery.addressed.as_ref().map(Code::to_string).unwrap_or_default(),
        order,
    }
}

/// An agency as it travels.
pub fn agency(agency: &Agency) -> v1::Agency {
    let text = |code: Option<&Code>| code.map(Code::to_string).unwrap_or_default();
    v1::Agency {
        code: agency.code.to_string(),
        code_qcvn: text(agency.code_qcvn.as_ref()),
        name: agency.name.clone(),
        level: agency.level.into(),
        parent: text(agency.parent.as_ref()),
        kind: agency.kind.word().to_owned(),
        valid_from: Some(date(agency.valid_from)),
        valid_until: agency.valid_until.map(date),
        successors: agency.successors.iter().map(|one| one.code.to_string()).collect(),
        reachable: agency.host.is_some(),
        succession: agency.succession.word().to_owned(),
        successor_scopes: agency.successors.iter().map(ToString::to_string).collect(),
        uncertain: agency.uncertain,
        source: agency.source.as_deref().unwrap_or_default().to_owned(),
    }
}
