//! The central directory of a ZIP (APPNOTE 6.3.10 §4.3.12–16), read strictly.
//!
//! Nothing is searched for or repaired except the end record, which every reader has to search.

use super::anomaly::{Anomalies, Anomaly};
use super::fields::{Fields, extras};
use crate::limits::{PACKAGE_DIRECTORY_SIZE_MAX, PACKAGE_ENTRIES_MAX};
use crate::source::{Source, Unreadable};

pub(super) const END: &[u8; 4] = b"PK\x05\x06";
const END_SIZE: u64 = 22;
const COMMENT_SIZE_MAX: u64 = 65_535;
const LOCATOR: &[u8; 4] = b"PK\x06\x07";
const LOCATOR_SIZE: u64 = 20;
const END_64: &[u8; 4] = b"PK\x06\x06";
const END_64_SIZE: usize = 56;
const RECORD: &[u8; 4] = b"PK\x01\x02";
/// Extra field of sizes and offsets that need 64 bits.
pub(super) const ZIP64: u16 = 0x0001;
/// Extra field with another name (Info-ZIP Unicode Path).
const UNICODE_PATH: u16 = 0x7075;
/// The type bits of a Unix mode, and those of a symbolic link.
const MODE_TYPE: u32 = 0o170_000;
const MODE_LINK: u32 = 0o120_000;

/// Why an archive cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Broken(Anomaly),
    Unreadable,
}

impl From<Unreadable> for Fault {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl From<Anomaly> for Fault {
    fn from(anomaly: Anomaly) -> Self {
        Self::Broken(anomaly)
    }
}

fn broken(message: &str, offset: u64) -> Fault {
    Fault::Broken(Anomaly::forged("ZIP_BROKEN", message, offset))
}

/// What the directory says about one entry.
#[derive(Debug)]
pub(super) struct Record {
    /// Where this record stands.
    pub offset: u64,
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u64,
    pub size: u64,
    /// Where the local header stands.
    pub header: u64,
}

/// The directory and where it stands.
#[derive(Debug)]
pub(super) struct Directory {
    pub records: Vec<Record>,
    pub start: u64,
    pub comment: Vec<u8>,
}

/// What the end record says.
struct End {
    /// Where the directory must end.
    before: u64,
    count: u64,
    size: u64,
    start: u64,
    comment: Vec<u8>,
}

impl Directory {
    pub fn read(source: &dyn Source, anomalies: &mut Anomalies) -> Result<Self, Fault> {
        let end = end(source, anomalies)?;
        let stop = end.start.checked_add(end.size);
        match stop.map(|stop| stop.cmp(&end.before)) {
            Some(std::cmp::Ordering::Equal) => {}
            Some(std::cmp::Ordering::Less) => {
                let message = "Bytes stand before the archive: its own offsets do not count them.";
                return Err(Anomaly::forged("ZIP_PREPENDED", message, 0).into());
            }
            _ => return Err(broken("The directory of the archive is cut off.", end.before)),
        }
        if end.count > PACKAGE_ENTRIES_MAX {
            return Err(Anomaly::unjudged(
                "ZIP_TOO_MANY_ENTRIES",
                "The archive has more entries than this version judges.",
            )
            .into());
        }
        let size = usize::try_from(end.size).ok();
        let Some(size) = size.filter(|&size| size <= PACKAGE_DIRECTORY_SIZE_MAX) else {
            return Err(Anomaly::unjudged(
                "ZIP_DIRECTORY_TOO_LARGE",
                "The directory of the archive is larger than this version judges.",
            )
            .into());
        };
        let mut bytes = vec![0; size];
        source.read_at(end.start, &mut bytes)?;
        let mut fields = Fields(&bytes);
        let mut records = Vec::new();
        while !fields.0.is_empty() {
            let left = u64::try_from(fields.0.len()).unwrap_or(u64::MAX);
            let offset = end.before.saturating_sub(left);
            let record = record(&mut fields, offset, anomalies)
                .ok_or_else(|| broken("The directory of the archive cannot be read.", offset))?;
            records.push(record);
        }
        if u64::try_from(records.len()) != Ok(end.count) {
            let message = "The directory has another number of entries than the archive states.";
            return Err(broken(message, end.before));
        }
        Ok(Self { records, start: end.start, comment: end.comment })
    }
}

/// The last end record; a reader that goes on searching would find another archive.
fn end(source: &dyn Source, anomalies: &mut Anomalies) -> Result<End, Fault> {
    let size = source.size();
    let within = size.min(END_SIZE + COMMENT_SIZE_MAX);
    let mut tail = vec![0; usize::try_from(within).map_err(|_| Fault::Unreadable)?];
    source.read_at(size - within, &mut tail)?;
    let found = memchr::memmem::rfind(&tail, END);
    let (at, record) = found
        .and_then(|at| Some((at, tail.get(at..)?)))
        .ok_or_else(|| broken("The archive has no directory; it may be cut off.", size))?;
    let at = size - within + u64::try_from(at).map_err(|_| Fault::Unreadable)?;
    let cut = || broken("The end of the archive is cut off.", at);
    let mut fields = Fields(record.get(4..).unwrap_or_default());
    let short = [(); 4].map(|()| fields.u16());
    let [Some(disk), Some(first), Some(here), Some(count)] = short else { return Err(cut()) };
    let (Some(size), Some(start), Some(comment)) = (fields.u32(), fields.u32(), fields.u16())
    else {
        return Err(cut());
    };
    let comment = fields.take(comment.into()).ok_or_else(cut)?.to_vec();
    if !fields.0.is_empty() {
        let after = source.size() - u64::try_from(fields.0.len()).unwrap_or(0);
        let message = "Bytes follow the end of the archive.";
        anomalies.push(Anomaly::forged("ZIP_APPENDED", message, after));
    }
    let plain =
        End { before: at, count: count.into(), size: size.into(), start: start.into(), comment };
    let is_saturated = count == u16::MAX || size == u32::MAX || start == u32::MAX;
    let end = match end_64(source, at)? {
        Some(long) => agreed(plain, long).ok_or_else(|| {
            broken("The two end records of the archive name different directories.", at)
        })?,
        None if is_saturated => return Err(broken("The 64-bit end record is missing.", at)),
        None => plain,
    };
    let is_split = ![0, u16::MAX].contains(&disk) || ![0, u16::MAX].contains(&first);
    if is_split || here != count {
        return Err(broken("The archive is a part of a split one.", at));
    }
    Ok(end)
}

/// The 64-bit end record before the end record at `end`, if there is one.
fn end_64(source: &dyn Source, end: u64) -> Result<Option<End>, Fault> {
    let Some(at) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
    let mut locator = [0; 20];
    source.read_at(at, &mut locator)?;
    let Some(rest) = locator.strip_prefix(LOCATOR) else { return Ok(None) };
    let wrong = || broken("The 64-bit end record is not where the archive says.", at);
    let mut fields = Fields(rest);
    let (Some(0), Some(start)) = (fields.u32(), fields.u64()) else { return Err(wrong()) };
    let mut record = [0; END_64_SIZE];
    source.read_at(start, &mut record).map_err(|_| wrong())?;
    let mut fields = Fields(record.strip_prefix(END_64).ok_or_else(wrong)?);
    let size = fields.u64().ok_or_else(wrong)?;
    if start.checked_add(12).and_then(|after| after.checked_add(size)) != Some(at) {
        return Err(wrong());
    }
    fields.take(4).ok_or_else(wrong)?;
    let (Some(0), Some(0)) = (fields.u32(), fields.u32()) else { return Err(wrong()) };
    let long = [(); 4].map(|()| fields.u64());
    let [Some(here), Some(count), Some(size), Some(first)] = long else { return Err(wrong()) };
    if here != count {
        return Err(wrong());
    }
    Ok(Some(End { before: start, count, size, start: first, comment: Vec::new() }))
}

/// The long record, if the short one says the same or that it cannot.
fn agreed(plain: End, long: End) -> Option<End> {
    let fits = (plain.count == u64::from(u16::MAX) || plain.count == long.count)
        && (plain.size == u64::from(u32::MAX) || plain.size == long.size)
        && (plain.start == u64::from(u32::MAX) || plain.start == long.start);
    fits.then_some(End { comment: plain.comment, ..long })
}

fn record(fields: &mut Fields<'_>, offset: u64, anomalies: &mut Anomalies) -> Option<Record> {
    if fields.take(4)? != RECORD {
        return None;
    }
    fields.take(4)?;
    let (flags, method) = (fields.u16()?, fields.u16()?);
    fields.take(4)?;
    let (crc, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
    let disk = fields.u16()?;
    fields.take(2)?;
    let (attributes, header) = (fields.u32()?, fields.u32()?);
    let (name, extra) = (fields.take(name.into())?, fields.take(extra.into())?);
    fields.take(comment.into())?;
    let mut long = Fields(extras(extra).find(|(kind, _)| *kind == ZIP64).map_or(&[], |(_, d)| d));
    let size = widened(size, &mut long)?;
    let packed = widened(packed, &mut long)?;
    let header = widened(header, &mut long)?;
    if ![0, u16::MAX].contains(&disk) {
        return None;
    }
    if (attributes >> 16) & MODE_TYPE == MODE_LINK {
        let message = format!("The entry “{}” is a link to another file.", shown(name));
        anomalies.push(Anomaly::odd("ENTRY_IS_LINK", message, offset));
    }
    // Version and CRC of the name stand before it.
    let other = extras(extra).find(|(kind, _)| *kind == UNICODE_PATH).map(|(_, data)| data);
    if other.is_some_and(|data| data.get(5..) != Some(name)) {
        let message = format!("The entry “{}” has a second, different name.", shown(name));
        anomalies.push(Anomaly::forged("ENTRY_NAMED_TWICE", message, offset));
    }
    let name = name.to_vec();
    Some(Record { offset, name, flags, method, crc, packed, size, header })
}

/// A number that may stand in the extra field instead.
pub(super) fn widened(short: u32, long: &mut Fields<'_>) -> Option<u64> {
    if short == u32::MAX { long.u64() } else { Some(short.into()) }
}

/// A name for people.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().filter(|letter| !letter.is_control()).take(120).collect()
}
