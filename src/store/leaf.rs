//! Leaves of the open epoch, as many in a value as fit: a key costs more than the bytes under it.
//!
//! A bundle holds leaves of one batch, each after its length (u16, big-endian), under the index of
//! the last of them; so the first key at or after an index is that of the bundle which has it.

use super::keyspace as key;
use super::kv::{Kv, Write};
use super::record;
use super::table::damaged;
use crate::gateway::ports::StoreError;
use crate::limits::{ENTRY_SIZE_MAX, STORED_VALUE_SIZE_MAX};
use crate::log::EntryId;

/// A length before each leaf.
const LENGTH_SIZE: usize = 2;
const _: () = assert!(ENTRY_SIZE_MAX + LENGTH_SIZE <= STORED_VALUE_SIZE_MAX);
/// Bundles read at a time: half a SCAN_PAGE of leaves if they are of the usual 450 bytes.
const BUNDLES_AT_ONCE: usize = 16;

/// What writes these leaves, of which the first is `first`.
///
/// # Panics
/// If a leaf is too long: a wrong log must not grow.
pub fn writes(first: EntryId, leaves: &[Vec<u8>]) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut bundle = Vec::new();
    let mut id = first;
    for leaf in leaves {
        assert!(leaf.len() <= ENTRY_SIZE_MAX, "leaf {id} has {} bytes", leaf.len());
        if !bundle.is_empty() && bundle.len() + LENGTH_SIZE + leaf.len() > STORED_VALUE_SIZE_MAX {
            let last = EntryId { index: id.index - 1, ..id };
            writes.push(Write::put(key::leaf(last), std::mem::take(&mut bundle)));
        }
        let length = u16::try_from(leaf.len()).expect("a leaf has at most 4,096 bytes");
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(leaf);
        id.index += 1;
    }
    if !bundle.is_empty() {
        let last = EntryId { index: id.index - 1, ..id };
        writes.push(Write::put(key::leaf(last), bundle));
    }
    writes
}

/// Up to `max` leaves of the open epoch from `from` on, in order; fewer at its end.
pub fn read(kv: &dyn Kv, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let end = key::end_of(&key::of_epoch(b'l', from.epoch));
    let mut leaves = Vec::new();
    let mut next = from;
    while leaves.len() < max {
        let wanted = BUNDLES_AT_ONCE.min(max - leaves.len());
        let bundles = kv.scan(&key::leaf(next), &end, wanted)?;
        let more = bundles.len() == wanted;
        for (key, value) in bundles {
            let bundle = split(&value).ok_or_else(|| record::unreadable("bundle of leaves"))?;
            let last = key::number_at_end(&key).ok_or_else(|| record::unreadable("leaf key"))?;
            // The first bundle may begin before what is asked for; none may begin behind it.
            let skipped = (last + 1).checked_sub(bundle.len() as u64);
            let skipped = skipped.and_then(|first| next.index.checked_sub(first));
            let skipped = skipped.ok_or_else(|| damaged(format!("leaf {next} is missing")))?;
            if skipped > 0 && next != from {
                return Err(damaged(format!("leaf {next} is there twice")));
            }
            let skipped = usize::try_from(skipped).expect("fewer than a bundle has");
            leaves.extend(bundle.into_iter().skip(skipped).map(<[u8]>::to_vec));
            next.index = last + 1;
        }
        if !more {
            break;
        }
    }
    leaves.truncate(max);
    Ok(leaves)
}

/// The leaves in a bundle.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut leaves = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_SIZE>()?;
        let (leaf, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        leaves.push(leaf);
        bytes = rest;
    }
    Some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::Medium as _;
    use crate::store::memory::MemoryMedium;

    #[test]
    fn leaves_of_any_size_come_back_in_order_from_anywhere() {
        let medium = std::sync::Arc::new(MemoryMedium::default());
        let kv = medium.open("map").expect("opens");
        let sizes = [0, 1, 4_096, 450, 450, 4_096, 2_000, 2_000, 92, 93, 4_095, 1];
        let all: Vec<Vec<u8>> = (0..120).map(|n| vec![n as u8; sizes[n % sizes.len()]]).collect();
        let mut index = 0;
        for batch in all.chunks(17) {
            let writes = writes(EntryId { epoch: 1, index }, batch);
            for write in &writes {
                let size = write.value.as_ref().map_or(0, Vec::len);
                assert!(size <= STORED_VALUE_SIZE_MAX);
            }
            kv.apply(writes).expect("writes");
            index += batch.len() as u64;
        }
        for from in 0..121 {
            for max in [0, 1, 2, 40, 1_000] {
                let found = read(kv.as_ref(), EntryId { epoch: 1, index: from as u64 }, max);
                let expected: Vec<_> = all.iter().skip(from).take(max).cloned().collect();
                assert_eq!(found, Ok(expected), "{max} from {from}");
            }
        }
        assert_eq!(read(kv.as_ref(), EntryId { epoch: 2, index: 0 }, 9), Ok(Vec::new()));
    }

    #[test]
    fn a_missing_doubled_or_torn_bundle_is_damage() {
        let at = |index| EntryId { epoch: 1, index };
        let leaves = |count: u8| (0..count).map(|n| vec![n; 9]).collect::<Vec<_>>();
        type Harm = fn(&dyn Kv);
        let harms: [Harm; 3] = [
            |kv| kv.apply(vec![Write::remove(key::leaf(EntryId { epoch: 1, index: 3 }))]).unwrap(),
            |kv| {
                let value = kv.get(&key::leaf(EntryId { epoch: 1, index: 3 })).unwrap().unwrap();
                kv.apply(vec![Write::put(key::leaf(EntryId { epoch: 1, index: 4 }), value)])
                    .unwrap();
            },
            |kv| {
                let key = key::leaf(EntryId { epoch: 1, index: 3 });
                kv.apply(vec![Write::put(key, vec![0, 9, 1])]).unwrap();
            },
        ];
        for harm in harms {
            let medium = std::sync::Arc::new(MemoryMedium::default());
            let kv = medium.open("map").expect("opens");
            for first in [0, 2, 4] {
                kv.apply(writes(at(first), &leaves(2))).expect("writes");
            }
            assert_eq!(read(kv.as_ref(), at(0), 9).map(|all| all.len()), Ok(6));
            harm(kv.as_ref());
            let found = read(kv.as_ref(), at(0), 9);
            assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
        }
    }
}
