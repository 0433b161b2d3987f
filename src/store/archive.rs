//! Closed epochs as immutable files, in the layout of C2SP tlog-tiles, so that any web server can
//! hand them to auditors.
//!
//! ```text
//! epochs/00001/tile/entries/x001/234[.p/<width>]   256 leaves, each after its length (u16)
//! epochs/00001/tile/<level>/x001/234[.p/<width>]   256 hashes
//! epochs/00001/checkpoint                          the last checkpoint
//! epochs/00001/checkpoints                         every checkpoint, one after the other
//! epochs/00001/checkpoints.index                   per checkpoint: size (u64), end in the file (u64)
//! ```
//! All numbers are big-endian. The last two files are ours: receipts name the first checkpoint that
//! covers an entry, and it must stay answerable. Nothing here is believed for being here: what was
//! written is read back and must lead to the signed root before the epoch is closed.

use super::keyspace as key;
use super::kv::{Files, Kv};
use super::leaf;
use super::record;
use super::table::{check_note, damaged, each};
use crate::gateway::ports::{Head, StoreError};
use crate::log::{
    self, EntryId, LEVEL_HEIGHT, ROW_NODES, TILE_WIDTH, TileKind, TileName, Tree, read_bundle,
    write_bundle,
};

/// Folder of all closed epochs.
pub const ROOT: &str = "epochs";
/// A record of `checkpoints.index`.
pub const INDEX_RECORD_SIZE: u64 = 16;
/// A bundle of 256 leaves of 4 KiB with their lengths.
pub const BUNDLE_SIZE_MAX: usize = 256 * (4096 + 2);

/// Path of a bundle or tile that is `width` wide.
pub fn tile_path(epoch: u32, kind: TileKind, index: u64, width: u64) -> String {
    format!("{}/tile/{}", folder(epoch), TileName { kind, index, width })
}

pub fn folder(epoch: u32) -> String {
    format!("{ROOT}/{epoch:05}")
}

pub fn note_path(epoch: u32) -> String {
    format!("{}/checkpoint", folder(epoch))
}

/// How many of `count` stand in tile `index`.
pub fn width(count: u64, index: u64) -> u64 {
    count.saturating_sub(index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH)
}

/// Nodes of a stored level in a tree of `size` leaves.
pub fn nodes(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * LEVEL_HEIGHT).unwrap_or(0)
}

/// Writes a closing epoch, makes it durable, and reads it back.
pub fn export(kv: &dyn Kv, files: &dyn Files, closing: &Head) -> Result<(), StoreError> {
    let (epoch, size) = (closing.epoch, closing.size);
    files.remove(&folder(epoch))?;
    export_entries(kv, files, epoch, size)?;
    for level in (0u8..).take_while(|level| nodes(size, *level) > 0) {
        export_level(kv, files, closing, level)?;
    }
    export_checkpoints(kv, files, epoch)?;
    files.append(&note_path(epoch), &closing.checkpoint)?;
    files.sync(&folder(epoch))?;
    verify(files, closing)
}

fn export_entries(kv: &dyn Kv, files: &dyn Files, epoch: u32, size: u64) -> Result<(), StoreError> {
    for bundle in 0..size.div_ceil(TILE_WIDTH) {
        let count = width(size, bundle);
        let from = EntryId { epoch, index: bundle * TILE_WIDTH };
        let leaves = leaf::read(kv, from, TILE_WIDTH as usize)?;
        if leaves.len() as u64 != count {
            return Err(damaged(format!("bundle {bundle} of epoch {epoch} lacks leaves")));
        }
        let bytes = write_bundle(&leaves).ok_or_else(|| damaged("a leaf is too long"))?;
        files.append(&tile_path(epoch, TileKind::Entries, bundle, count), &bytes)?;
    }
    Ok(())
}

fn export_level(
    kv: &dyn Kv,
    files: &dyn Files,
    closing: &Head,
    level: u8,
) -> Result<(), StoreError> {
    let count = nodes(closing.size, level);
    for tile in 0..count.div_ceil(TILE_WIDTH) {
        let mut hashes = Vec::with_capacity(TILE_WIDTH as usize * 32);
        for half in [tile * 2, tile * 2 + 1] {
            let row = kv.get(&key::row(closing.epoch, level, half))?;
            hashes.extend_from_slice(&row.unwrap_or_default());
        }
        let width = width(count, tile);
        if hashes.len() as u64 != width * 32 {
            return Err(damaged(format!("tile {level}/{tile} is incomplete")));
        }
        files.append(&tile_path(closing.epoch, TileKind::Hashes(level), tile, width), &hashes)?;
    }
    Ok(())
}

fn export_checkpoints(kv: &dyn Kv, files: &dyn Files, epoch: u32) -> Result<(), StoreError> {
    let mut end = 0;
    each(kv, &key::of_epoch(b'c', epoch), |page| {
        let (mut notes, mut index) = (Vec::new(), Vec::new());
        for (key, note) in page {
            let size = key::number_at_end(&key).ok_or_else(|| record::unreadable("checkpoint"))?;
            end += note.len() as u64;
            notes.extend_from_slice(&note);
            index.extend_from_slice(&size.to_be_bytes());
            index.extend_from_slice(&end.to_be_bytes());
        }
        files.append(&format!("{}/checkpoints", folder(epoch)), &notes)?;
        files.append(&format!("{}/checkpoints.index", folder(epoch)), &index)
    })
}

/// Reads all of it back: the leaves give the hashes, and the hashes give the signed root.
pub fn verify(files: &dyn Files, closing: &Head) -> Result<(), StoreError> {
    let (epoch, size) = (closing.epoch, closing.size);
    let mut tree = Tree::default();
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let leaves = bundle(files, epoch, size, index)?;
        let grown = tree.append(leaves.iter().map(|leaf| log::leaf_hash(leaf)).collect());
        for row in tree.rows_of(&grown) {
            let written = row_of(files, epoch, size, row.level, row.index)?.unwrap_or_default();
            if !written.starts_with(&row.hashes) {
                return Err(damaged(format!("exported row {}/{} is wrong", row.level, row.index)));
            }
        }
    }
    let note = read(files, &note_path(epoch), 0, BUNDLE_SIZE_MAX)?;
    check_note(&note, epoch, size, &tree)?;
    let last = checkpoint_of(files, epoch, size)?;
    match last == Some(note) {
        true => Ok(()),
        false => Err(damaged(format!("the exported checkpoints of epoch {epoch} end elsewhere"))),
    }
}

/// Checks at opening that the files of a closed epoch are those that were closed.
pub fn check(kv: &dyn Kv, files: &dyn Files, epoch: u32) -> Result<(), StoreError> {
    let (_, note) = closed(kv, epoch)?;
    match read(files, &note_path(epoch), 0, BUNDLE_SIZE_MAX)? == note {
        true => Ok(()),
        false => Err(damaged(format!("the files of epoch {epoch} have another checkpoint"))),
    }
}

/// Size and last checkpoint of a closed epoch.
pub fn closed(kv: &dyn Kv, epoch: u32) -> Result<(u64, Vec<u8>), StoreError> {
    let record = kv.get(&key::closed(epoch))?;
    record::read_closed(&record.ok_or_else(|| damaged(format!("epoch {epoch} is unknown")))?)
}

/// Leaves of a closed epoch.
pub fn leaves(
    kv: &dyn Kv,
    files: &dyn Files,
    from: EntryId,
    max: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    if from.epoch == 0 {
        return Ok(Vec::new());
    }
    leaves_of(files, from, closed(kv, from.epoch)?.0, max)
}

/// Leaves of an epoch of `size` entries.
pub fn leaves_of(
    files: &dyn Files,
    from: EntryId,
    size: u64,
    max: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut found = Vec::new();
    let mut next = from.index;
    while next < size && found.len() < max {
        let bundle = bundle(files, from.epoch, size, next / TILE_WIDTH)?;
        let skip = usize::try_from(next % TILE_WIDTH).expect("below 256");
        let take = max - found.len();
        let before = found.len();
        found.extend(bundle.into_iter().skip(skip).take(take));
        next += (found.len() - before) as u64;
    }
    Ok(found)
}

/// The hashes of a row of a closed epoch.
pub fn row(
    kv: &dyn Kv,
    files: &dyn Files,
    epoch: u32,
    level: u8,
    index: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    if epoch == 0 {
        return Ok(None);
    }
    row_of(files, epoch, closed(kv, epoch)?.0, level, index)
}

pub fn row_of(
    files: &dyn Files,
    epoch: u32,
    size: u64,
    level: u8,
    index: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let count = nodes(size, level);
    let first = index.saturating_mul(ROW_NODES);
    if first >= count {
        return Ok(None);
    }
    let tile = index / 2;
    let path = tile_path(epoch, TileKind::Hashes(level), tile, width(count, tile));
    let hashes = (count - first).min(ROW_NODES) * 32;
    let bytes = read(files, &path, (first % TILE_WIDTH) * 32, hashes as usize)?;
    match bytes.len() as u64 == hashes {
        true => Ok(Some(bytes)),
        false => Err(damaged(format!("{path} is incomplete"))),
    }
}

/// The first checkpoint of a closed epoch that covers `size` entries.
pub fn checkpoint(
    kv: &dyn Kv,
    files: &dyn Files,
    epoch: u32,
    size: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    if epoch == 0 || size > closed(kv, epoch)?.0 {
        return Ok(None);
    }
    checkpoint_of(files, epoch, size)
}

pub fn checkpoint_of(
    files: &dyn Files,
    epoch: u32,
    size: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    // Double the reach until it covers `size` or the file ends, then halve it.
    let (mut low, mut high) = (0u64, 1u64);
    while index_record(files, epoch, high - 1)?.is_some_and(|(covered, _)| covered < size) {
        (low, high) = (high, high * 2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match index_record(files, epoch, middle)? {
            Some((covered, _)) if covered < size => low = middle + 1,
            _ => high = middle,
        }
    }
    let Some((_, end)) = index_record(files, epoch, low)? else { return Ok(None) };
    let start = match low.checked_sub(1) {
        Some(before) => index_record(files, epoch, before)?.map_or(0, |(_, end)| end),
        None => 0,
    };
    let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    let path = format!("{}/checkpoints", folder(epoch));
    read(files, &path, start, length.min(BUNDLE_SIZE_MAX)).map(Some)
}

/// Size covered by the checkpoint `index`, and where its note ends.
pub fn index_record(
    files: &dyn Files,
    epoch: u32,
    index: u64,
) -> Result<Option<(u64, u64)>, StoreError> {
    let path = format!("{}/checkpoints.index", folder(epoch));
    let bytes = read(files, &path, index * INDEX_RECORD_SIZE, INDEX_RECORD_SIZE as usize)?;
    let Some((size, end)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let Some(end) = end.first_chunk::<8>() else { return Ok(None) };
    Ok(Some((u64::from_be_bytes(*size), u64::from_be_bytes(*end))))
}

/// The leaves of a bundle.
pub fn bundle(
    files: &dyn Files,
    epoch: u32,
    size: u64,
    index: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let count = width(size, index);
    let path = tile_path(epoch, TileKind::Entries, index, count);
    let bytes = read(files, &path, 0, BUNDLE_SIZE_MAX + 1)?;
    let leaves = read_bundle(&bytes).filter(|leaves| leaves.len() as u64 == count);
    leaves.ok_or_else(|| damaged(format!("{path} is not a bundle of {count} leaves")))
}

pub fn read(files: &dyn Files, path: &str, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
    let bytes = files.read(path, offset, max)?;
    bytes.ok_or_else(|| damaged(format!("{path} is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_tlog_tiles_says() {
        let path = tile_path(1, TileKind::Hashes(0), 1_234_067, 256);
        assert_eq!(path, "epochs/00001/tile/0/x001/x234/067");
        let path = tile_path(12, TileKind::Entries, 5, 112);
        assert_eq!(path, "epochs/00012/tile/entries/005.p/112");
        assert_eq!((width(70_000, 273), width(70_000, 272), width(256, 0)), (112, 256, 256));
        assert_eq!((nodes(70_000, 0), nodes(70_000, 1), nodes(70_000, 8)), (70_000, 273, 0));
    }
}
