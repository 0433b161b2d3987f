//! The keys: one tree, a tag of one byte, then fixed-width big-endian numbers and text that ends
//! with a zero byte where something follows it. No code contains a zero byte, and zero sorts before
//! everything, so keys sort as what they name.
//!
//! | tag | then | value |
//! |---|---|---|
//! | `V` | | `Format` |
//! | `H` | | `Head` |
//! | `T` | | `Leadership` |
//! | `E` | epoch | `ClosedEpoch` |
//! | `I` | | `Index`: which runs the index has; it lies in files beside the map |
//! | `l` | epoch, index of the last | leaves, each after its length |
//! | `r` | epoch, level, index | hashes of the row |
//! | `c` | epoch, size | signed checkpoint over that size |
//! | `s` | consignment | `Consignment` |
//! | `d` | consignment, recipient | `Delivery` |
//! | `b` | consignment, number of the first | `Bodies`, if its record would be too long with them |
//! | `k` | consignment | `Keeping` |
//! | `x` | epoch, index | empty: what this entry says is erased still is to be |
//! | `w` | agency `0`, lane, epoch, index | `Waiting` |
//! | `n` | agency `0`, epoch, index | empty |
//! | `o` | kind, space, name of a service | since when it is out, ms big-endian |
//! | `q` | epoch, size | epoch, index of the entry of the time-stamp over it |
//! | `t` | failure, lane | `Swept` |
//! | `t` | 255, name of a neighbour | `Swept`, in the neighbour's log |
//! | `f` | dossier code | `Dossier` |
//! | `g` | agency `0`, dossier code | empty |
//! | `u` | ms of the alarm, dossier code | empty |
//! | `p` | content digest, 21 bytes | `ContentPlace`, of content that no consignment has in its record |
//!
//! Digests are cut so that a key has 22 bytes: sled keeps such keys in place, longer ones each in an
//! allocation of their own. 21 bytes are beyond collision.
//!
//! `l`, `r` and `c` belong to the open epoch. `b` and the tags from `d` on, except
//! `l` and `r`, are projections: they are carried into the next epoch and can be derived again from the entries and
//! the content volumes; `t` begins anew then, and what is looked at again is recorded once.

use crate::clock::Time;
use crate::delivery::Failure;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::log::{EntryId, Service};

/// Tags of the projections, in ascending order.
pub const PROJECTIONS: [u8; 13] = *b"bdfgknopqstuw";

/// Tags of the projections that follow from the entries alone, as far as a record's fields do.
pub const DERIVED: [u8; 8] = *b"dfgknsuw";

/// How much of a digest is in a key that nothing follows.
const DIGEST_IN_KEY: usize = 21;

/// Key of the format record.
pub const FORMAT: &[u8] = b"V";
/// Key of the head record.
pub const HEAD: &[u8] = b"H";
/// Key of the record of the index.
pub const INDEX: &[u8] = b"I";
/// Key of the leadership record.
pub const LEADERSHIP: &[u8] = b"T";

/// The first key after every key that begins with `prefix`.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    unreachable!("every prefix begins with a tag below 0xFF")
}

/// The first key after `key`.
pub fn next(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Key of a closed epoch.
pub fn closed(epoch: u32) -> Vec<u8> {
    join(b'E', &[&epoch.to_be_bytes()])
}

/// Key of the bundle of leaves that ends with this one.
pub fn leaf(id: EntryId) -> Vec<u8> {
    join(b'l', &[&entry(id)])
}

/// Key of a row.
pub fn row(epoch: u32, level: u8, index: u64) -> Vec<u8> {
    join(b'r', &[&epoch.to_be_bytes(), &[level], &index.to_be_bytes()])
}

/// Key of the checkpoint over `size` entries.
pub fn checkpoint(epoch: u32, size: u64) -> Vec<u8> {
    join(b'c', &[&epoch.to_be_bytes(), &size.to_be_bytes()])
}

/// The prefix of everything of the open epoch under one tag.
pub fn of_epoch(tag: u8, epoch: u32) -> Vec<u8> {
    join(tag, &[&epoch.to_be_bytes()])
}

/// Key of a consignment.
pub fn consignment(id: ConsignmentId) -> Vec<u8> {
    join(b's', &[id.0.as_bytes()])
}

/// The prefix of the bodies of a consignment that has many.
pub fn many_bodies(id: ConsignmentId) -> Vec<u8> {
    join(b'b', &[id.0.as_bytes()])
}

/// Key of the bodies from `first` on of a consignment that has many.
pub fn bodies(id: ConsignmentId, first: u16) -> Vec<u8> {
    join(b'b', &[id.0.as_bytes(), &first.to_be_bytes()])
}

/// Key of the keeping of a consignment's bodies.
pub fn keeping(id: ConsignmentId) -> Vec<u8> {
    join(b'k', &[id.0.as_bytes()])
}

/// Prefix of the keys of erasures that are to be done.
pub const ERASING: &[u8] = b"x";

/// Key of an erasure that is to be done.
pub fn erasing(id: EntryId) -> Vec<u8> {
    join(b'x', &[&entry(id)])
}

/// The prefix of a consignment's deliveries.
pub fn deliveries(id: ConsignmentId) -> Vec<u8> {
    join(b'd', &[id.0.as_bytes()])
}

/// Key of a delivery.
pub fn delivery(id: ConsignmentId, recipient: &Code) -> Vec<u8> {
    join(b'd', &[id.0.as_bytes(), recipient.as_str().as_bytes()])
}

/// The prefix of a mailbox.
pub fn mailbox(agency: &Code) -> Vec<u8> {
    join(b'w', &[agency.as_str().as_bytes(), &[0]])
}

/// The prefix of a lane of a mailbox.
pub fn lane(agency: &Code, urgency: Urgency) -> Vec<u8> {
    join(b'w', &[agency.as_str().as_bytes(), &[0, urgency.lane()]])
}

/// Key of a waiting item.
pub fn waiting(agency: &Code, urgency: Urgency, position: EntryId) -> Vec<u8> {
    join(b'w', &[agency.as_str().as_bytes(), &[0, urgency.lane()], &entry(position)])
}

/// The prefix of an agency's notices.
pub fn notices(agency: &Code) -> Vec<u8> {
    join(b'n', &[agency.as_str().as_bytes(), &[0]])
}

/// Key of a notice.
pub fn notice(agency: &Code, id: EntryId) -> Vec<u8> {
    join(b'n', &[agency.as_str().as_bytes(), &[0], &entry(id)])
}

/// Key of a service that is out.
pub fn outage(service: &Service) -> Vec<u8> {
    join(b'o', &[service.to_string().as_bytes()])
}

/// Key of the time-stamp over `size` entries.
pub fn stamp(epoch: u32, size: u64) -> Vec<u8> {
    join(b'q', &[&epoch.to_be_bytes(), &size.to_be_bytes()])
}

/// An entry as a value.
pub fn entry_value(id: EntryId) -> Vec<u8> {
    entry(id).to_vec()
}

/// Key of how far the deadlines of a lane were looked at.
pub fn swept(failure: Failure, urgency: Urgency) -> Vec<u8> {
    let failure = match failure {
        Failure::Notification => 0,
        Failure::Handover => 1,
        Failure::Relay => 2,
    };
    join(b't', &[&[failure, urgency.lane()]])
}

/// Key of how far a neighbour's word was looked at.
pub fn told(by: &Service) -> Vec<u8> {
    join(b't', &[&[u8::MAX], by.name().as_bytes()])
}

/// Key of a dossier.
pub fn dossier(code: &DossierCode) -> Vec<u8> {
    join(b'f', &[code.as_str().as_bytes()])
}

/// The prefix of the dossiers of an agency.
pub fn dossiers_of(agency: &Code) -> Vec<u8> {
    join(b'g', &[agency.as_str().as_bytes(), &[0]])
}

/// Key of a dossier of an agency.
pub fn dossier_of(agency: &Code, code: &DossierCode) -> Vec<u8> {
    join(b'g', &[agency.as_str().as_bytes(), &[0], code.as_str().as_bytes()])
}

/// The first key of alarms at `at`, which is not before 1970.
pub fn alarms_at(at: Time) -> Vec<u8> {
    join(b'u', &[&at.millis().to_be_bytes()])
}

/// Key of an alarm.
pub fn alarm(at: Time, code: &DossierCode) -> Vec<u8> {
    join(b'u', &[&at.millis().to_be_bytes(), code.as_str().as_bytes()])
}

/// The dossier at the end of a key, behind so many bytes.
pub fn dossier_behind(key: &[u8], size: usize) -> Option<DossierCode> {
    DossierCode::parse(std::str::from_utf8(key.get(size..)?).ok()?)
}

/// Key of a piece of content.
pub fn place(digest: &Sha256) -> Vec<u8> {
    join(b'p', &[&digest.0[..DIGEST_IN_KEY]])
}

/// The entry at the end of a key.
pub fn entry_at_end(key: &[u8]) -> Option<EntryId> {
    let (_, bytes) = key.split_last_chunk::<12>()?;
    let (epoch, index) = bytes.split_first_chunk::<4>()?;
    let index = index.try_into().ok()?;
    Some(EntryId { epoch: u32::from_be_bytes(*epoch), index: u64::from_be_bytes(index) })
}

/// The number at the end of a key.
pub fn number_at_end(key: &[u8]) -> Option<u64> {
    let (_, bytes) = key.split_last_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes))
}

/// The agency of a waiting item's key.
pub fn agency_of(key: &[u8]) -> Option<Code> {
    let end = key.iter().position(|byte| *byte == 0)?;
    Code::parse(std::str::from_utf8(key.get(1..end)?).ok()?)
}

/// The lane of a waiting item's key.
pub fn lane_of(key: &[u8]) -> Option<Urgency> {
    Urgency::of_lane(*key.get(key.len().checked_sub(13)?)?)
}

fn entry(id: EntryId) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&id.epoch.to_be_bytes());
    bytes[4..].copy_from_slice(&id.index.to_be_bytes());
    bytes
}

fn join(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![tag];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_what_they_name() {
        let code = |text| Code::parse(text).expect("a code");
        let at = |epoch, index| EntryId { epoch, index };
        let keys = [
            waiting(&code("H49"), Urgency::Flash, at(2, 0)),
            waiting(&code("H49"), Urgency::Normal, at(1, 255)),
            waiting(&code("H49"), Urgency::Normal, at(1, 256)),
            waiting(&code("H49"), Urgency::Normal, at(2, 0)),
            waiting(&code("H49-1"), Urgency::Flash, at(1, 0)),
            waiting(&code("H49.1"), Urgency::Flash, at(1, 0)),
        ];
        assert!(keys.is_sorted());
        assert!(keys[3] < end_of(&mailbox(&code("H49"))));
        assert!(keys[4] >= end_of(&mailbox(&code("H49"))));
        assert_eq!(entry_at_end(&keys[2]), Some(at(1, 256)));
        assert_eq!(lane_of(&keys[2]), Some(Urgency::Normal));
        assert_eq!(agency_of(&keys[4]), Some(code("H49-1")));
        assert_eq!(end_of(&[b'p', 0xFF, 0xFF]), vec![b'q']);
    }
}
