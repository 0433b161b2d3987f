//! Stored values: between the rooms' types and the bytes of `vanthu.storage.v1`. Whatever cannot be
//! read back exactly is damage, and says which record.

use prost::Message;

use super::keyspace as key;
use super::kv::Write;
use crate::clock::Time;
use crate::delivery::{
    Change, Consignment, Delivery, Keeping, Mark, Milestones, Order, OrderKind, Transport,
};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::gateway::ports::{LeaderTerm, Place, StoreError};
use crate::limits::STORED_VALUE_SIZE_MAX;
use crate::log::{EntryId, RecipientSet, Service, ServiceKind, Status, VerdictMark};
use crate::proto::storage;

/// Version of every record.
pub(super) const VERSION: u32 = 1;
/// Bodies in a record of their own: 66 bytes each.
const BODIES_IN_RECORD: usize = 48;
/// Version of the key layout.
pub const LAYOUT: u32 = 3;

/// Who leads, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Its term.
    pub term: LeaderTerm,
    /// Its name.
    pub owner: String,
    /// Until when.
    pub until: Time,
}

/// What a change writes; nothing if it is one of the index, which has files of its own.
pub fn write_of(change: &Change) -> Option<Write> {
    Some(match change {
        Change::Consignment(record) => {
            Write::put(key::consignment(record.id), consignment(record, &[]))
        }
        Change::Delivery(record) => {
            Write::put(key::delivery(record.consignment, &record.recipient), delivery(record))
        }
        Change::Waiting { agency, urgency, position, consignment } => {
            let value = storage::Waiting {
                version: VERSION,
                consignment: consignment.0.as_bytes().to_vec(),
            };
            Write::put(key::waiting(agency, *urgency, *position), value.encode_to_vec())
        }
        Change::Answered { agency, urgency, position } => {
            Write::remove(key::waiting(agency, *urgency, *position))
        }
        Change::Keeping(id, state) => Write::put(key::keeping(*id), keeping(state)),
        Change::Erasing(entry) => Write::put(key::erasing(*entry), Vec::new()),
        Change::Notice { agency, entry } => Write::put(key::notice(agency, *entry), Vec::new()),
        Change::Outage { service, since: Some(since) } => {
            Write::put(key::outage(service), since.millis().to_be_bytes().to_vec())
        }
        Change::Outage { service, since: None } => Write::remove(key::outage(service)),
        Change::Stamped { covers, entry } => {
            Write::put(key::stamp(covers.epoch, covers.size), key::entry_value(*entry))
        }
        Change::Swept { failure, urgency, next } => {
            let value = storage::Swept { version: VERSION, next: Some(entry(*next)) };
            Write::put(key::swept(*failure, *urgency), value.encode_to_vec())
        }
        Change::Told { by, last } => {
            let value = storage::Swept { version: VERSION, next: Some(entry(*last)) };
            Write::put(key::told(by), value.encode_to_vec())
        }
        Change::Dossier(record) => super::dossier::write(record),
        Change::Party { agency, dossier } => {
            Write::put(key::dossier_of(agency, dossier), Vec::new())
        }
        Change::Alarm { at, dossier, set: true } => {
            Write::put(key::alarm(*at, dossier), Vec::new())
        }
        Change::Alarm { at, dossier, set: false } => Write::remove(key::alarm(*at, dossier)),
        Change::Index { .. } => return None,
    })
}

/// The format record.
pub fn format() -> Vec<u8> {
    storage::Format { version: LAYOUT }.encode_to_vec()
}

/// Reads the version of the key layout.
pub fn read_format(bytes: &[u8]) -> Result<u32, StoreError> {
    Ok(decode::<storage::Format>("format", bytes)?.version)
}

/// The head record.
pub fn head(epoch: u32, size: u64) -> Vec<u8> {
    storage::Head { version: VERSION, epoch, size }.encode_to_vec()
}

/// Reads epoch and size from the head record.
pub fn read_head(bytes: &[u8]) -> Result<(u32, u64), StoreError> {
    let record: storage::Head = decode("head", bytes)?;
    known("head", record.version)?;
    Ok((record.epoch, record.size))
}

/// The leadership record.
pub fn leadership(record: &Leadership) -> Vec<u8> {
    let (term, until_ms) = (record.term.0, record.until.millis());
    let owner = record.owner.clone();
    storage::Leadership { version: VERSION, term, owner, until_ms }.encode_to_vec()
}

/// Reads the leadership record.
pub fn read_leadership(bytes: &[u8]) -> Result<Leadership, StoreError> {
    let record: storage::Leadership = decode("leadership", bytes)?;
    known("leadership", record.version)?;
    let until = Time::from_millis(record.until_ms);
    Ok(Leadership { term: LeaderTerm(record.term), owner: record.owner, until })
}

/// The record of a closed epoch.
pub fn closed(size: u64, checkpoint: &[u8]) -> Vec<u8> {
    let checkpoint = checkpoint.to_vec();
    storage::ClosedEpoch { version: VERSION, size, checkpoint }.encode_to_vec()
}

/// Reads size and last checkpoint of a closed epoch.
pub fn read_closed(bytes: &[u8]) -> Result<(u64, Vec<u8>), StoreError> {
    let record: storage::ClosedEpoch = decode("closed epoch", bytes)?;
    known("closed epoch", record.version)?;
    Ok((record.size, record.checkpoint))
}

/// The record of the index.
pub fn index(covered: EntryId, runs: Vec<storage::IndexRun>) -> Vec<u8> {
    storage::Index { version: VERSION, covered: Some(entry(covered)), runs }.encode_to_vec()
}

/// Reads up to where the runs of the index reach, and which they are.
pub fn read_index(bytes: &[u8]) -> Result<(EntryId, Vec<storage::IndexRun>), StoreError> {
    let record: storage::Index = decode("index", bytes)?;
    known("index", record.version)?;
    let covered = read_entry(&record.covered).ok_or_else(|| unreadable("index"))?;
    Ok((covered, record.runs))
}

/// What a consignment writes with its bodies: one record, or several if they are too many for one value.
pub fn consignment_with(record: &Consignment, bodies: &[(Sha256, Place)]) -> Vec<Write> {
    let value = consignment(record, bodies);
    let key = key::consignment(record.id);
    if value.len() <= STORED_VALUE_SIZE_MAX {
        return vec![Write::put(key, value)];
    }
    let alone = Write::put(key, consignment(record, &[]));
    let some = |(number, some): (usize, &[(Sha256, Place)])| {
        let first = u16::try_from(number * BODIES_IN_RECORD).expect("parts are limited to tens");
        let value = storage::Bodies { version: VERSION, bodies: some.iter().map(body).collect() };
        Write::put(key::bodies(record.id, first), value.encode_to_vec())
    };
    bodies.chunks(BODIES_IN_RECORD).enumerate().map(some).chain([alone]).collect()
}

fn body((digest, place): &(Sha256, Place)) -> storage::Body {
    storage::Body { sha256: digest.0.to_vec(), place: Some(content_place(*place)) }
}

fn keeping(state: &Keeping) -> Vec<u8> {
    let hold = |(reason, id): &(String, EntryId)| storage::KeepingHold {
        reason: reason.clone(),
        entry: Some(entry(*id)),
    };
    let holds = state.holds.iter().map(hold).collect();
    let erased = state.erased.map(entry);
    storage::Keeping { version: VERSION, holds, erased }.encode_to_vec()
}

/// Reads the keeping of a consignment's bodies.
pub fn read_keeping(bytes: &[u8]) -> Result<Keeping, StoreError> {
    let record: storage::Keeping = decode("keeping", bytes)?;
    known("keeping", record.version)?;
    let hold = |hold: storage::KeepingHold| Some((hold.reason, read_entry(&hold.entry)?));
    let holds: Option<_> = record.holds.into_iter().map(hold).collect();
    let holds = holds.ok_or_else(|| unreadable("keeping"))?;
    Ok(Keeping { holds, erased: read_entry(&record.erased) })
}

/// What a piece of content writes that has a record of its own.
pub fn content_write((digest, found): &(Sha256, Place)) -> Write {
    Write::put(key::place(digest), place(*found))
}

fn consignment(record: &Consignment, bodies: &[(Sha256, Place)]) -> Vec<u8> {
    storage::Consignment {
        version: VERSION,
        id: record.id.0.as_bytes().to_vec(),
        accepted: Some(entry(record.accepted)),
        accepted_at_ms: record.accepted_at.millis(),
        sender: record.sender.to_string(),
        envelope: record.envelope.0.to_vec(),
        document: record.document.clone(),
        number: record.number.clone(),
        dossier: record.dossier.as_ref().map(ToString::to_string),
        urgency: record.urgency.word().to_owned(),
        recipients_count: record.recipients.count,
        recipients_digest: record.recipients.digest.0.to_vec(),
        indication: record.verdict.indication.clone(),
        legal_value: record.verdict.legal_value.clone(),
        report: record.verdict.report.0.to_vec(),
        bodies: bodies.iter().map(body).collect(),
        brought_by: record.brought_by.as_ref().map(|service| service.name().to_owned()),
    }
    .encode_to_vec()
}

/// Reads a consignment.
pub fn read_consignment(bytes: &[u8]) -> Result<Consignment, StoreError> {
    let record: storage::Consignment = decode("consignment", bytes)?;
    known("consignment", record.version)?;
    let read = || {
        let dossier = match &record.dossier {
            Some(text) => Some(DossierCode::parse(text)?),
            None => None,
        };
        Some(Consignment {
            id: read_id(&record.id)?,
            accepted: read_entry(&record.accepted)?,
            accepted_at: Time::from_millis(record.accepted_at_ms),
            sender: Code::parse(&record.sender)?,
            envelope: Sha256::from_slice(&record.envelope)?,
            document: record.document.clone(),
            number: record.number.clone(),
            dossier,
            urgency: word(Urgency::WORDS, &record.urgency)?,
            recipients: RecipientSet {
                count: record.recipients_count,
                digest: Sha256::from_slice(&record.recipients_digest)?,
            },
            verdict: VerdictMark {
                indication: record.indication.clone(),
                legal_value: record.legal_value.clone(),
                report: Sha256::from_slice(&record.report)?,
            },
            brought_by: read_neighbour(record.brought_by.as_ref())?,
        })
    };
    read().ok_or_else(|| unreadable("consignment"))
}

fn delivery(record: &Delivery) -> Vec<u8> {
    let transport = Transport::WORDS.iter().find(|(_, known)| *known == record.transport);
    storage::Delivery {
        version: VERSION,
        consignment: record.consignment.0.as_bytes().to_vec(),
        recipient: record.recipient.to_string(),
        sender: record.sender.to_string(),
        urgency: record.urgency.word().to_owned(),
        transport: transport.expect("every transport state has a word").0.to_owned(),
        business: record.business.code().to_owned(),
        consigned: Some(entry(record.consigned)),
        latest: Some(entry(record.latest)),
        changed_at_ms: record.changed_at.millis(),
        envelope: record.envelope.0.to_vec(),
        answered: record.answered.map(entry),
        answered_at_ms: record.milestones.answered_at.map(Time::millis),
        notified: record.milestones.notified.map(mark),
        accessed: record.milestones.accessed.map(mark),
        notification_failed: record.milestones.notification_failed.map(mark),
        handover_failed: record.milestones.handover_failed.map(mark),
        relay_failed: record.milestones.relay_failed.map(mark),
        via: record.via.as_ref().map(|service| service.name().to_owned()),
        brought_by: record.brought_by.as_ref().map(|service| service.name().to_owned()),
        addressed: record.addressed.as_ref().map(Code::to_string),
        order: record.order.map(order),
    }
    .encode_to_vec()
}

fn order(order: Order) -> storage::Order {
    storage::Order {
        entry: Some(entry(order.entry)),
        kind: order.kind.word().to_owned(),
        by: order.by.map(|by| by.0.as_bytes().to_vec()),
        answer: order.answer.map(|(_, answer)| entry(answer)),
        agreed: order.answer.is_some_and(|(agreed, _)| agreed),
    }
}

/// `None` for an order that cannot be read, `Some(None)` for none.
#[expect(clippy::option_option, reason = "absent and unreadable are two things")]
fn read_order(record: Option<&storage::Order>) -> Option<Option<Order>> {
    let Some(record) = record else { return Some(None) };
    let by = match &record.by {
        None => None,
        Some(by) => Some(read_id(by)?),
    };
    let answer = match &record.answer {
        None => None,
        answer => Some((record.agreed, read_entry(answer)?)),
    };
    let kind = OrderKind::from_word(&record.kind)?;
    Some(Some(Order { kind, by, entry: read_entry(&record.entry)?, answer }))
}

/// `None` for a name that is none, `Some(None)` for no neighbour.
#[expect(clippy::option_option, reason = "absent and unreadable are two things")]
fn read_neighbour(name: Option<&String>) -> Option<Option<Service>> {
    let Some(name) = name else { return Some(None) };
    Some(Some(Service::new(ServiceKind::Gateway, name)?))
}

fn mark(mark: Mark) -> storage::Mark {
    storage::Mark { entry: Some(entry(mark.entry)), time_ms: mark.time.millis() }
}

/// `None` for a mark that cannot be read, `Some(None)` for none.
#[expect(clippy::option_option, reason = "absent and unreadable are two things")]
fn read_mark(record: &Option<storage::Mark>) -> Option<Option<Mark>> {
    let Some(record) = record else { return Some(None) };
    let entry = read_entry(&record.entry)?;
    Some(Some(Mark { entry, time: Time::from_millis(record.time_ms) }))
}

/// Reads how far the deadlines of a lane were looked at.
pub fn read_swept(bytes: &[u8]) -> Result<EntryId, StoreError> {
    let record: storage::Swept = decode("sweep", bytes)?;
    known("sweep", record.version)?;
    read_entry(&record.next).ok_or_else(|| unreadable("sweep"))
}

/// Reads a delivery.
pub fn read_delivery(bytes: &[u8]) -> Result<Delivery, StoreError> {
    let record: storage::Delivery = decode("delivery", bytes)?;
    known("delivery", record.version)?;
    let read = || {
        Some(Delivery {
            consignment: read_id(&record.consignment)?,
            recipient: Code::parse(&record.recipient)?,
            sender: Code::parse(&record.sender)?,
            urgency: word(Urgency::WORDS, &record.urgency)?,
            transport: word(Transport::WORDS, &record.transport)?,
            business: Status::from_code(&record.business)?,
            consigned: read_entry(&record.consigned)?,
            latest: read_entry(&record.latest)?,
            envelope: Sha256::from_slice(&record.envelope)?,
            answered: match &record.answered {
                None => None,
                answered => Some(read_entry(answered)?),
            },
            milestones: Milestones {
                answered_at: record.answered_at_ms.map(Time::from_millis),
                notified: read_mark(&record.notified)?,
                accessed: read_mark(&record.accessed)?,
                notification_failed: read_mark(&record.notification_failed)?,
                handover_failed: read_mark(&record.handover_failed)?,
                relay_failed: read_mark(&record.relay_failed)?,
            },
            via: read_neighbour(record.via.as_ref())?,
            brought_by: read_neighbour(record.brought_by.as_ref())?,
            addressed: match &record.addressed {
                None => None,
                Some(code) => Some(Code::parse(code)?),
            },
            order: read_order(record.order.as_ref())?,
            changed_at: Time::from_millis(record.changed_at_ms),
        })
    };
    read().ok_or_else(|| unreadable("delivery"))
}

/// Reads which consignment waits.
pub fn read_waiting(bytes: &[u8]) -> Result<ConsignmentId, StoreError> {
    let record: storage::Waiting = decode("waiting item", bytes)?;
    known("waiting item", record.version)?;
    read_id(&record.consignment).ok_or_else(|| unreadable("waiting item"))
}

/// Reads where the bodies in a consignment's record lie.
pub fn read_bodies(bytes: &[u8]) -> Result<Vec<(Sha256, Place)>, StoreError> {
    let record: storage::Consignment = decode("consignment", bytes)?;
    known("consignment", record.version)?;
    places_of(record.bodies)
}

/// Reads where the bodies lie that have a record of their own.
pub fn read_many_bodies(bytes: &[u8]) -> Result<Vec<(Sha256, Place)>, StoreError> {
    let record: storage::Bodies = decode("bodies", bytes)?;
    known("bodies", record.version)?;
    places_of(record.bodies)
}

fn places_of(bodies: Vec<storage::Body>) -> Result<Vec<(Sha256, Place)>, StoreError> {
    let read = |body: storage::Body| {
        let digest = Sha256::from_slice(&body.sha256).ok_or_else(|| unreadable("body"))?;
        Ok((digest, place_of(body.place.as_ref().ok_or_else(|| unreadable("body"))?)?))
    };
    bodies.into_iter().map(read).collect()
}

/// Whether two records under a tag say the same; where bodies lie does not follow from the entries.
pub fn same(tag: u8, one: &[u8], other: &[u8]) -> Result<bool, StoreError> {
    match tag {
        b's' => Ok(read_consignment(one)? == read_consignment(other)?),
        _ => Ok(one == other),
    }
}

/// The record of a content's place.
pub fn place(place: Place) -> Vec<u8> {
    content_place(place).encode_to_vec()
}

fn content_place(place: Place) -> storage::ContentPlace {
    let (volume, offset) = match place {
        Place::Volume { volume, offset, .. } => (volume, offset),
        Place::File { .. } => (0, 0),
    };
    storage::ContentPlace { version: VERSION, size: place.size(), volume, offset }
}

/// Reads a content's place.
pub fn read_place(bytes: &[u8]) -> Result<Place, StoreError> {
    place_of(&decode("content place", bytes)?)
}

fn place_of(record: &storage::ContentPlace) -> Result<Place, StoreError> {
    known("content place", record.version)?;
    let size = record.size;
    Ok(match record.volume {
        0 => Place::File { size },
        volume => Place::Volume { volume, offset: record.offset, size },
    })
}

/// The error for a record that does not read back.
pub fn unreadable(name: &str) -> StoreError {
    StoreError::Damaged(format!("a {name} record cannot be read"))
}

pub(super) fn decode<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|_| unreadable(name))
}

pub(super) fn known(name: &str, version: u32) -> Result<(), StoreError> {
    if version == VERSION {
        return Ok(());
    }
    Err(StoreError::Damaged(format!("a {name} record has version {version}, not {VERSION}")))
}

pub(super) fn entry(id: EntryId) -> storage::EntryPlace {
    storage::EntryPlace { epoch: id.epoch, index: id.index }
}

pub(super) fn read_entry(record: &Option<storage::EntryPlace>) -> Option<EntryId> {
    record.as_ref().map(|place| EntryId { epoch: place.epoch, index: place.index })
}

pub(super) fn read_id(bytes: &[u8]) -> Option<ConsignmentId> {
    uuid::Uuid::from_slice(bytes).ok().map(ConsignmentId)
}

fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == text).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_and_unknown_versions_are_damage() {
        for known in
            [Place::File { size: 9 }, Place::Volume { volume: 3, offset: 1 << 40, size: 100_000 }]
        {
            assert_eq!(read_place(&place(known)), Ok(known));
        }
        let future = storage::Head { version: 2, epoch: 1, size: 0 }.encode_to_vec();
        assert!(matches!(read_head(&future), Err(StoreError::Damaged(_))));
        assert!(matches!(read_delivery(b"\xff\xff"), Err(StoreError::Damaged(_))));
    }
}
