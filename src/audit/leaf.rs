//! The auditor's own reading of an entry, from the tables of `log/FORMAT.md` §1 and §2.

use std::fmt;

pub(super) use super::shape::{Actor, Kind};
#[cfg(test)]
use super::shape::{SHAPES, Shape};
use crate::limits::{ENTRY_SIZE_MAX, RECIPIENTS_MAX};

/// The first line of an entry, with its line feed.
const HEADER: &[u8] = b"vanthu.entry.v1\n";

/// A field; its place in the order of §1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Event,
    Time,
    Actor,
    Consignment,
    From,
    To,
    Envelope,
    Document,
    Number,
    Dossier,
    Urgency,
    Request,
    Recipients,
    Verdict,
    Status,
    Reason,
    Note,
    Previous,
    Covers,
    Content,
    Service,
    Since,
    Offset,
    Bodies,
    Addressed,
    By,
    Procedure,
    Applicant,
    Due,
    Rule,
    Grade,
}

use Field as F;

/// What an entry has that a neighbour brought or told.
const TOLD: &[Field] = &[F::Content, F::Service];

type Check = fn(&str) -> bool;

/// Fields as a set: a bit for each, by its place in the order of §1.
pub(super) type Fields = u32;

/// The set of these fields.
pub(super) const fn set_of(fields: &[Field]) -> Fields {
    let (mut set, mut place) = (0, 0);
    while place < fields.len() {
        set |= 1 << fields[place] as u32;
        place += 1;
    }
    set
}

/// Fields that every entry has.
const ALWAYS: Fields = set_of(&[F::Event, F::Time, F::Actor]);

/// §1: every field with its name and the rule for its value, in order.
const FIELDS: [(Field, &str, Check); 31] = [
    (F::Event, "event", |value| Kind::of(value).is_some()),
    (F::Time, "time", |value| moment(value).is_some()),
    (F::Actor, "actor", |value| pair(value, is_system, is_digest)),
    (F::Consignment, "consignment", |value| uuid(value).is_some()),
    (F::From, "from", is_code),
    (F::To, "to", is_code),
    (F::Envelope, "envelope", is_digest),
    (F::Document, "document", |value| is_line(value, 100)),
    (F::Number, "number", |value| is_line(value, 42)),
    (F::Dossier, "dossier", is_dossier),
    (F::Urgency, "urgency", |value| ["flash", "immediate", "urgent", "normal"].contains(&value)),
    (F::Request, "request", is_digest),
    (F::Recipients, "recipients", |value| recipients(value).is_some()),
    (F::Verdict, "verdict", is_verdict),
    (F::Status, "status", is_status),
    (F::Reason, "reason", is_word),
    (F::Note, "note", is_digest),
    (F::Previous, "previous", |value| head(value).is_some()),
    (F::Covers, "covers", |value| head(value).is_some()),
    (F::Content, "content", is_digest),
    (F::Service, "service", is_service),
    (F::Since, "since", |value| moment(value).is_some()),
    (F::Offset, "offset", is_offset),
    (F::Bodies, "bodies", is_bodies),
    (F::Addressed, "addressed", is_code),
    (F::By, "by", |value| uuid(value).is_some()),
    (F::Procedure, "procedure", is_procedure),
    (F::Applicant, "applicant", is_digest),
    (F::Due, "due", |value| moment(value).is_some()),
    (F::Rule, "rule", is_word),
    (F::Grade, "grade", |value| ["1", "2", "3", "4", "5"].contains(&value)),
];

/// The bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    Size(usize),
    Header,
    Text,
    Unfinished { line: usize },
    Unknown { line: usize },
    Value { line: usize, field: &'static str },
    Absent { field: &'static str },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => write!(f, "{size} bytes are more than an entry may have"),
            Self::Header => f.write_str("the first line is not that of an entry"),
            Self::Text => f.write_str("the bytes are not UTF-8 text"),
            Self::Unfinished { line } => write!(f, "line {line} does not end"),
            Self::Unknown { line } => write!(f, "line {line} is no field, or out of order"),
            Self::Value { line, field } => write!(f, "line {line}: the value of {field} is wrong"),
            Self::Absent { field } => write!(f, "there is no {field}"),
        }
    }
}

/// One entry: well-formed (§1), its fields not yet held against its event.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    pub(super) kind: Kind,
    /// The moment as a number that orders like it.
    pub(super) moment: u64,
    values: [Option<&'a str>; FIELDS.len()],
    /// Which of them are there.
    present: Fields,
}

/// What is wrong with an entry that stands alone: its form (§1), or the fields of its event (§2). A
/// gateway asks it of what other gateways say, before it repeats them.
pub fn misfit(leaf: &[u8]) -> Option<String> {
    match Leaf::read(leaf) {
        Ok(leaf) => leaf.misfit(),
        Err(malformed) => Some(malformed.to_string()),
    }
}

impl<'a> Leaf<'a> {
    /// Reads leaf bytes.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > ENTRY_SIZE_MAX {
            return Err(Malformed::Size(bytes.len()));
        }
        let rest = bytes.strip_prefix(HEADER).ok_or(Malformed::Header)?;
        let mut rest = std::str::from_utf8(rest).map_err(|_| Malformed::Text)?;
        let mut values = [None; FIELDS.len()];
        let mut fields = FIELDS.iter().zip(&mut values);
        let mut present = 0;
        let mut line = 1;
        while !rest.is_empty() {
            line += 1;
            let (text, after) = split(rest, b'\n').ok_or(Malformed::Unfinished { line })?;
            let (name, value) = split(text, b' ').ok_or(Malformed::Unknown { line })?;
            let ((place, field, check), value_of) = fields
                .find(|((_, known, _), _)| *known == name)
                .ok_or(Malformed::Unknown { line })?;
            if value.is_empty() || !check(value) {
                return Err(Malformed::Value { line, field });
            }
            *value_of = Some(value);
            present |= 1 << *place as u32;
            rest = after;
        }
        let event = values[F::Event as usize].and_then(Kind::of);
        let time = values[F::Time as usize].and_then(moment);
        match (event, time, values[F::Actor as usize]) {
            (Some(kind), Some(moment), Some(_)) => Ok(Self { kind, moment, values, present }),
            (None, ..) => Err(Malformed::Absent { field: "event" }),
            (_, None, _) => Err(Malformed::Absent { field: "time" }),
            (.., None) => Err(Malformed::Absent { field: "actor" }),
        }
    }

    /// Holds the fields against the event (§2); the first that does not fit, in words.
    pub(super) fn misfit(&self) -> Option<String> {
        let shape = self.kind.shape();
        let told = if self.is_a_neighbours_word() { set_of(TOLD) } else { 0 };
        let (must, may) = self.kind.fields();
        let must = must | told | ALWAYS;
        let wrong = must & !self.present | self.present & !(must | may);
        if let Some((field, name, _)) = FIELDS.get(wrong.trailing_zeros() as usize) {
            return Some(match self.value(*field) {
                None => format!("{} has no {name}", shape.word),
                Some(_) => format!("{} has a {name}, which it must not", shape.word),
            });
        }
        for field in [F::Status, F::Reason] {
            if let Some(value) = self.value(field)
                && !shape.allows(field, value)
            {
                return Some(format!("{} cannot have {value}", shape.word));
            }
        }
        let kind = match self.kind {
            Kind::Stamp => "tsa ",
            Kind::Clock => "clock ",
            Kind::Outage | Kind::Repair => return None,
            _ => "gateway ",
        };
        let service = self.value(F::Service)?;
        (!service.starts_with(kind)).then(|| format!("{} cannot be of {service}", shape.word))
    }

    /// The text of a field.
    pub(super) fn value(&self, field: Field) -> Option<&'a str> {
        self.values[field as usize]
    }

    /// A field that is a digest.
    pub(super) fn digest(&self, field: Field) -> Option<[u8; 32]> {
        digest(self.value(field)?)
    }

    /// The system that acted and the digest of its certificate, as text.
    pub(super) fn actor(&self) -> (&'a str, &'a str) {
        self.value(F::Actor).and_then(|value| value.split_once(' ')).unwrap_or_default()
    }

    /// The consignment's 16 bytes.
    pub(super) fn consignment(&self) -> Option<[u8; 16]> {
        uuid(self.value(F::Consignment)?)
    }

    /// How many recipients, and the digest of their codes.
    pub(super) fn recipients(&self) -> Option<(u64, [u8; 32])> {
        recipients(self.value(F::Recipients)?)
    }

    /// A field that is a head: epoch, size, root.
    pub(super) fn head(&self, field: Field) -> Option<(u64, u64, [u8; 32])> {
        head(self.value(field)?)
    }

    /// The consignment that updates or replaces.
    pub(super) fn by(&self) -> Option<[u8; 16]> {
        uuid(self.value(F::By)?)
    }

    /// The reason; empty if there is none.
    pub(super) fn reason(&self) -> &'a str {
        self.value(F::Reason).unwrap_or_default()
    }

    /// Whether a neighbour brought or told it.
    pub(super) fn is_a_neighbours_word(&self) -> bool {
        let shape = self.kind.shape();
        let only_then = |field: &&Field| !shape.must.contains(field);
        let there = |field: &Field| self.value(*field).is_some();
        shape.told && TOLD.iter().filter(only_then).any(there)
    }

    /// The first letter of the urgency, which tells it.
    pub(super) fn initial_of_urgency(&self) -> u8 {
        self.value(F::Urgency).and_then(|word| word.bytes().next()).unwrap_or_default()
    }

    /// Whether it has an urgency.
    pub(super) fn has_urgency(&self) -> bool {
        self.value(F::Urgency).is_some()
    }

    /// Since when, as a number that orders like it.
    pub(super) fn since(&self) -> Option<u64> {
        moment(self.value(F::Since)?)
    }

    /// Until when, as a number that orders like it.
    pub(super) fn due(&self) -> Option<u64> {
        moment(self.value(F::Due)?)
    }

    /// Whether it names a delivery in full, so that it can be followed.
    pub(super) fn names_a_delivery(&self) -> bool {
        [F::Consignment, F::From, F::To, F::Envelope]
            .iter()
            .all(|field| self.value(*field).is_some())
    }
}

/// The text before and after the first `byte`, which is ASCII. An audit reads millions of lines a
/// second by this.
fn split(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn pair(value: &str, first: Check, second: Check) -> bool {
    value.split_once(' ').is_some_and(|(left, right)| first(left) && second(right))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    unhex(text.as_bytes(), &mut bytes)?;
    Some(bytes)
}

fn is_digest(text: &str) -> bool {
    // No early end: so it is done for many digits at once.
    let is_hex = |sum, digit: u8| sum & matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().fold(true, is_hex)
}

/// Lower-case hexadecimal into exactly these bytes.
fn unhex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut rest: &mut [u8] = &mut bytes;
    let mut digits = text.as_bytes();
    for (place, size) in [4, 2, 2, 2, 6].into_iter().enumerate() {
        if place > 0 {
            digits = digits.strip_prefix(b"-")?;
        }
        let (group, after) = rest.split_at_mut_checked(size)?;
        let (these, others) = digits.split_at_checked(size * 2)?;
        unhex(these, group)?;
        (rest, digits) = (after, others);
    }
    digits.is_empty().then_some(bytes)
}

/// A decimal number of at most 15 digits in its only spelling.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=15).contains(&text.len()) && digits && (text == "0" || !text.starts_with('0'));
    fits.then(|| text.bytes().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` as the number that its digits write.
fn moment(text: &str) -> Option<u64> {
    const PATTERN: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let mut digits = 0u64;
    for (byte, pattern) in bytes.iter().zip(PATTERN) {
        match pattern {
            b'0' if byte.is_ascii_digit() => digits = digits * 10 + u64::from(byte - b'0'),
            b'0' => return None,
            _ if byte == pattern => {}
            _ => return None,
        }
    }
    let (second, minute) = (digits / 1_000 % 100, digits / 100_000 % 100);
    let (hour, day) = (digits / 10_000_000 % 100, digits / 1_000_000_000 % 100);
    let (month, year) = (digits / 100_000_000_000 % 100, digits / 10_000_000_000_000);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = second < 60
        && minute < 60
        && hour < 24
        && (1..=days).contains(&day)
        && (1..=12).contains(&month)
        && year >= 1970;
    fits.then_some(digits)
}

fn is_system(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_status(text: &str) -> bool {
    ["01", "02", "03", "04", "05", "06", "13", "15", "16"].contains(&text)
}

fn is_code(text: &str) -> bool {
    text.len() <= 35 && is_procedure(text)
}

fn is_procedure(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=50).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-');
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && text.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_line(text: &str, length_max: usize) -> bool {
    if text.is_ascii() {
        // Nearly every one: two passes over bytes.
        return text.len() <= length_max
            && text.bytes().all(|byte| !byte.is_ascii_control())
            && text.trim_ascii().len() == text.len();
    }
    let forbidden = |c: char| {
        let code = u32::from(c);
        c.is_control()
            || matches!(code, 0x2028 | 0x2029 | 0x202A..=0x202E | 0x2066..=0x2069 | 0xFEFF)
    };
    text.chars().count() <= length_max && !text.contains(forbidden) && text.trim() == text
}

fn is_dossier(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let Some((rest, serial)) = text.rsplit_once('-') else { return false };
    let Some((agency, date)) = rest.rsplit_once('-') else { return false };
    is_code(agency)
        && digits(date)
        && matches!(date.len(), 6 | 8)
        && digits(serial)
        && matches!(serial.len(), 4..=7)
}

fn is_verdict(text: &str) -> bool {
    let Some((indication, rest)) = text.split_once(' ') else { return false };
    ["TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED", "UNSIGNED"].contains(&indication)
        && pair(rest, is_word, is_digest)
}

fn recipients(text: &str) -> Option<(u64, [u8; 32])> {
    let (count, codes) = text.split_once(' ')?;
    let count = number(count).filter(|count| (1..=RECIPIENTS_MAX as u64).contains(count))?;
    Some((count, digest(codes)?))
}

fn is_service(text: &str) -> bool {
    let Some((kind, name)) = text.split_once(' ') else { return false };
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-');
    ["tsa", "witness", "ocsp", "crl", "clock", "gateway"].contains(&kind)
        && (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
}

fn is_offset(text: &str) -> bool {
    match text.strip_prefix('-') {
        Some(rest) => number(rest).is_some_and(|number| number > 0),
        None => number(text).is_some(),
    }
}

fn is_bodies(text: &str) -> bool {
    let Some((count, digest)) = text.split_once(' ') else { return false };
    number(count).is_some_and(|count| count > 0 && count <= u64::from(u32::MAX))
        && is_digest(digest)
}

fn head(text: &str) -> Option<(u64, u64, [u8; 32])> {
    let (epoch, rest) = text.split_once(' ')?;
    let (size, root) = rest.split_once(' ')?;
    let (epoch, size) = (number(epoch)?, number(size)?);
    (epoch > 0 && size > 0).then_some((epoch, size, digest(root)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Entry;

    /// The entries of `log/FORMAT.md`.
    fn documented() -> Vec<&'static str> {
        let page = include_str!("../log/FORMAT.md");
        let blocks = page.split("\n```entry ").skip(1);
        let body = |block: &'static str| {
            let (_, rest) = block.split_once('\n').expect("an info line");
            &rest[..=rest.find("\n```\n").expect("an end")]
        };
        blocks.map(body).collect()
    }

    #[test]
    fn every_documented_entry_is_read_and_fits_its_event() {
        for text in documented() {
            let leaf = Leaf::read(text.as_bytes()).expect("an entry");
            assert_eq!(leaf.misfit(), None, "{text}");
        }
        assert_eq!(documented().len(), 58);
        for (place, (field, ..)) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, place, "FIELDS stand in order");
        }
        for shape in &SHAPES {
            assert_eq!(shape.kind.shape().word, shape.word, "SHAPES stand in order");
        }
    }

    #[test]
    fn the_table_of_the_page_is_the_table_of_the_auditor() {
        let page = include_str!("../log/FORMAT.md");
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        };
        let mut shapes = SHAPES.iter();
        for table in page.split("\n| event |").skip(1) {
            let mut rows = table.lines();
            let names = cells(rows.next().expect("the names"));
            for row in rows.skip(1).take_while(|row| row.starts_with('|')) {
                let shape = shapes.next().expect("a shape for every row");
                hold(shape, &names, &cells(row));
            }
        }
        assert!(shapes.next().is_none(), "a row for every shape");
    }

    /// Holds a shape against its row of the page; fields that the table has no column for are none
    /// of the event's.
    fn hold(shape: &Shape, names: &[String], row: &[String]) {
        let word = row[0].trim_end_matches(" ⇄");
        assert_eq!((word, word != row[0]), (shape.word, shape.told));
        for (field, name, _) in FIELDS.iter().skip(F::Consignment as usize) {
            let column = names.iter().position(|known| known == name);
            let cell = column.map_or("", |column| row[column + 1].as_str());
            let (must, may) = (shape.must.contains(field), shape.may.contains(field));
            let expected = (!matches!(cell, "" | "○"), cell == "○");
            assert_eq!((must, may), expected, "{} {name}", shape.word);
            let words = match field {
                F::Status => shape.statuses,
                F::Reason => shape.reasons,
                _ => &[],
            };
            let listed = cell.split(' ').filter(|word| !matches!(*word, "" | "●" | "○"));
            assert_eq!(listed.collect::<Vec<_>>(), words, "{} {name}", shape.word);
        }
    }

    #[test]
    fn the_auditor_never_reads_what_the_writer_would_not_write() {
        // Each byte of each example, changed in four ways: whatever the auditor still reads, the
        // writer's reader must read too.
        for text in documented() {
            for place in 0..text.len() {
                for change in [1u8, 2, 0x20, 0x80] {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[place] ^= change;
                    if Leaf::read(&bytes).is_ok() {
                        let read = Entry::from_leaf(&bytes).map(|entry| entry.to_leaf());
                        assert_eq!(read.as_ref(), Ok(&bytes), "{}", bytes.escape_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn moments_that_no_calendar_has_are_refused() {
        assert_eq!(moment("2026-11-22T03:45:18.123Z"), Some(20_261_122_034_518_123));
        assert!(moment("2024-02-29T23:59:59.999Z").is_some());
        for wrong in [
            "2026-02-29T00:00:00.000Z",
            "2100-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-04-31T00:00:00.000Z",
            "2026-04-00T00:00:00.000Z",
            "2026-04-30T24:00:00.000Z",
            "2026-04-30T23:60:00.000Z",
            "2026-04-30T23:59:60.000Z",
            "1969-12-31T23:59:59.999Z",
            "2026-04-30T23:59:59.999z",
            "2026-04-30T23:59:59.99Z",
            "+026-04-30T23:59:59.999Z",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }
}
