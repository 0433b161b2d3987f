//! Holds the directory of a ZIP against the entries themselves: every byte of the file belongs to
//! exactly one of them, and both say the same about it.
//!
//! One program goes by the directory, another one by the local headers in their order. Where they
//! would see different contents, a signature seen by one is worth nothing to the other.

use super::anomaly::{Anomalies, Anomaly};
use super::directory::{Directory, Fault, Record, ZIP64, shown, widened};
use super::fields::{Fields, extras};
use crate::source::Source;

const HEADER: &[u8; 4] = b"PK\x03\x04";
const HEADER_SIZE: usize = 30;
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
/// General purpose bit flags (APPNOTE §4.4.4).
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const SIZES_FOLLOW: u16 = 1 << 3;
const UTF_8: u16 = 1 << 11;

/// How an entry is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
    Other(u16),
}

/// One entry on which directory and local header agree.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub method: Method,
    pub crc: u32,
    pub packed: u64,
    pub size: u64,
    /// Where the local header stands.
    pub header: u64,
    /// Where the packed bytes begin.
    pub data: u64,
    pub is_encrypted: bool,
    /// Whether it is not where the directory says.
    pub is_lost: bool,
    /// Whether the local header has an extra field.
    pub has_extra: bool,
}

impl Entry {
    /// Whether its bytes are there and in clear.
    pub fn is_readable(&self) -> bool {
        !self.is_encrypted && !self.is_lost
    }

    /// A folder is no content.
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/') && self.size == 0
    }
}

/// The entries in the order of the directory.
pub(super) fn entries(
    source: &dyn Source,
    directory: &Directory,
    anomalies: &mut Anomalies,
) -> Result<Vec<Entry>, Fault> {
    let mut order: Vec<(usize, &Record)> = directory.records.iter().enumerate().collect();
    order.sort_by_key(|(_, record)| record.header);
    let mut expected = 0;
    let mut entries = Vec::new();
    for (index, record) in order {
        if record.header < expected {
            let message = format!("The entry “{}” lies inside another one.", shown(&record.name));
            anomalies.push(Anomaly::forged("ENTRIES_OVERLAP", message, record.header));
        } else if record.header > expected {
            anomalies.push(gap(source, expected, record.header)?);
        }
        let (entry, end) = entry(source, directory.start, record, anomalies)?;
        expected = end.max(expected);
        entries.push((index, entry));
    }
    if expected < directory.start {
        anomalies.push(gap(source, expected, directory.start)?);
    }
    entries.sort_by_key(|(index, _)| *index);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// Bytes that belong to no entry.
fn gap(source: &dyn Source, start: u64, end: u64) -> Result<Anomaly, Fault> {
    let mut begin = [0; 4];
    let is_header =
        end - start >= 4 && source.read_at(start, &mut begin).map(|()| begin == *HEADER)?;
    Ok(if is_header {
        let message = "The archive holds an entry that its directory does not name.";
        Anomaly::forged("ENTRY_HIDDEN", message, start)
    } else if start == 0 {
        Anomaly::forged("ZIP_PREPENDED", "Bytes stand before the first entry.", start)
    } else {
        Anomaly::forged("ZIP_GAP", "Bytes between the entries belong to none of them.", start)
    })
}

/// What the local header says.
struct Local<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    name: &'a [u8],
    has_extra: bool,
}

/// The entry and where it ends; one that is not where the directory says stays known by its name.
fn entry(
    source: &dyn Source,
    stop: u64,
    record: &Record,
    anomalies: &mut Anomalies,
) -> Result<(Entry, u64), Fault> {
    let mut entry = listed(record, anomalies);
    let mut fixed = [0; HEADER_SIZE];
    if record.header.checked_add(30).is_some_and(|data| data <= stop) {
        source.read_at(record.header, &mut fixed)?;
    }
    let mut lengths = Fields(fixed.get(26..).unwrap_or_default());
    let (name_size, extra_size) = (lengths.u16().unwrap_or(0), lengths.u16().unwrap_or(0));
    let size = u64::from(name_size) + u64::from(extra_size);
    let data = record.header.saturating_add(30).saturating_add(size);
    let end = data.checked_add(record.packed).filter(|&end| end <= stop);
    let Some(end) = end.filter(|_| fixed.starts_with(HEADER)) else {
        let name = shown(&record.name);
        let message = format!("The entry “{name}” is not where the directory says.");
        anomalies.push(Anomaly::forged("ENTRY_HEADER_MISSING", message, record.offset));
        return Ok((entry, record.header));
    };
    let mut rest = vec![0; usize::from(name_size) + usize::from(extra_size)];
    source.read_at(record.header + 30, &mut rest)?;
    let Some(local) = local(&fixed, &rest, name_size) else {
        anomalies.push(differing(record, "size"));
        return Ok((entry, end));
    };
    compare(record, &local, anomalies);
    let end = match record.flags & SIZES_FOLLOW {
        0 => end,
        _ => descriptor(source, end, stop, record, anomalies)?,
    };
    entry.data = data;
    entry.is_lost = false;
    entry.has_extra = local.has_extra;
    Ok((entry, end))
}

/// What the directory alone says.
fn listed(record: &Record, anomalies: &mut Anomalies) -> Entry {
    let method = match record.method {
        0 => Method::Stored,
        8 => Method::Deflated,
        other => Method::Other(other),
    };
    if method == Method::Stored && record.packed != record.size {
        let message = format!("The entry “{}” is stored in two sizes.", shown(&record.name));
        anomalies.push(Anomaly::forged("ENTRY_SIZE", message, record.header));
    }
    let name = String::from_utf8_lossy(&record.name).into_owned();
    if std::str::from_utf8(&record.name).is_err() {
        let message = format!("The name “{}” is in an unknown encoding.", shown(&record.name));
        anomalies.push(Anomaly::odd("ENTRY_NAME_ENCODING", message, record.offset));
    } else if record.flags & UTF_8 == 0 && !record.name.is_ascii() {
        let message = format!("the name “{name}” does not state its encoding");
        anomalies.push(Anomaly::remark("ENTRY_NAME_ENCODING", message, record.offset));
    }
    Entry {
        name,
        method,
        crc: record.crc,
        packed: record.packed,
        size: record.size,
        header: record.header,
        data: record.header,
        is_encrypted: record.flags & ENCRYPTED != 0,
        is_lost: true,
        has_extra: false,
    }
}

fn local<'a>(fixed: &[u8], rest: &'a [u8], name_size: u16) -> Option<Local<'a>> {
    let mut fields = Fields(fixed.get(6..)?);
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.take(4)?;
    let (crc, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (name, extra) = rest.split_at_checked(name_size.into())?;
    let mut long = Fields(extras(extra).find(|(kind, _)| *kind == ZIP64).map_or(&[], |(_, d)| d));
    let (size, packed) = (widened(size, &mut long)?, widened(packed, &mut long)?);
    Some(Local { flags, method, crc, packed, size, name, has_extra: !extra.is_empty() })
}

fn compare(record: &Record, local: &Local<'_>, anomalies: &mut Anomalies) {
    // All but how hard the packer tried.
    let flags = !(1 << 1 | 1 << 2);
    // Where the sizes follow the data, the header may leave them open.
    let open = local.flags & SIZES_FOLLOW != 0;
    let same = |local: u64, directory: u64| local == directory || open && local == 0;
    let what = if local.name != record.name {
        "name"
    } else if local.method != record.method {
        "method"
    } else if local.flags & flags != record.flags & flags {
        "flags"
    } else if !same(local.crc.into(), record.crc.into()) {
        "checksum"
    } else if !same(local.size, record.size) || !same(local.packed, record.packed) {
        "size"
    } else {
        return;
    };
    anomalies.push(differing(record, what));
}

fn differing(record: &Record, what: &str) -> Anomaly {
    let name = shown(&record.name);
    let message =
        format!("The entry “{name}” has one {what} in the directory and another one itself.");
    Anomaly::forged("ENTRY_HEADERS_DIFFER", message, record.header)
}

/// Where the data descriptor after the data ends; it comes in four forms (APPNOTE §4.3.9).
fn descriptor(
    source: &dyn Source,
    start: u64,
    stop: u64,
    record: &Record,
    anomalies: &mut Anomalies,
) -> Result<u64, Fault> {
    let mut bytes = [0; 24];
    let size = usize::try_from(stop.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    let bytes = bytes.get_mut(..size).unwrap_or_default();
    source.read_at(start, bytes)?;
    let mark = if bytes.starts_with(DESCRIPTOR) { DESCRIPTOR.len() } else { 0 };
    let rest = bytes.get(mark..).unwrap_or_default();
    let fits = |is_long: bool| {
        let mut fields = Fields(rest);
        let crc = fields.u32()?;
        let mut next = || if is_long { fields.u64() } else { fields.u32().map(u64::from) };
        Some(crc == record.crc && next()? == record.packed && next()? == record.size)
    };
    for (is_long, size) in [(false, 12), (true, 20)] {
        if fits(is_long) == Some(true) {
            return Ok(start + u64::try_from(mark).unwrap_or(0) + size);
        }
    }
    anomalies.push(differing(record, "size"));
    Ok(start)
}
