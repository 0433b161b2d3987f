//! A record of an agency as columns of text, the same in snapshots and in files.

use std::fmt::Write as _;

use super::agency::{Agency, Kind, Succession, Successor, of_word};
use super::code::{Code, SystemId};
use crate::clock::Date;
use crate::digest::Sha256;

/// The columns in their order.
pub const COLUMNS: [&str; 15] = [
    "code",
    "valid_from",
    "valid_until",
    "code_qcvn",
    "name",
    "level",
    "parent",
    "kind",
    "succession",
    "successors",
    "host",
    "seals",
    "revision",
    "uncertain",
    "source",
];

/// The columns of a record.
pub(super) fn columns(agency: &Agency) -> [String; COLUMNS.len()] {
    let code = |code: &Option<Code>| code.as_ref().map(Code::to_string).unwrap_or_default();
    [
        agency.code.to_string(),
        agency.valid_from.to_string(),
        agency.valid_until.map(|date| date.to_string()).unwrap_or_default(),
        code(&agency.code_qcvn),
        agency.name.clone(),
        agency.level.to_string(),
        code(&agency.parent),
        agency.kind.word().to_owned(),
        agency.succession.word().to_owned(),
        joined(&agency.successors, "|"),
        agency.host.as_ref().map(SystemId::to_string).unwrap_or_default(),
        joined(&agency.seals, " "),
        agency.revision.to_string(),
        if agency.uncertain { "yes".to_owned() } else { String::new() },
        agency.source.as_deref().unwrap_or_default().to_owned(),
    ]
}

/// The record in these columns.
///
/// # Errors
/// The name of the first column that cannot be read.
pub(super) fn agency(columns: &[&str; COLUMNS.len()]) -> Result<Agency, &'static str> {
    let [code, from, until, qcvn, name, level, parent, kind, rest @ ..] = *columns;
    let [succession, successors, host, seals, revision, uncertain, source] = rest;
    let optional_code = |text: &str, column| optional(text, Code::parse).ok_or(column);
    Ok(Agency {
        code: Code::parse(code).ok_or("code")?,
        valid_from: date(from).ok_or("valid_from")?,
        valid_until: optional(until, date).ok_or("valid_until")?,
        code_qcvn: optional_code(qcvn, "code_qcvn")?,
        name: name.to_owned(),
        level: level.parse().map_err(|_| "level")?,
        parent: optional_code(parent, "parent")?,
        kind: of_word(Kind::WORDS, kind).ok_or("kind")?,
        succession: match succession {
            "" => Succession::default(),
            word => of_word(Succession::WORDS, word).ok_or("succession")?,
        },
        successors: items(successors, '|', Successor::parse).ok_or("successors")?,
        host: optional(host, SystemId::parse).ok_or("host")?,
        seals: items(seals, ' ', |text| text.parse::<Sha256>().ok()).ok_or("seals")?,
        revision: optional(revision, |text| text.parse().ok()).ok_or("revision")?.unwrap_or(1),
        uncertain: match uncertain {
            "" => false,
            "yes" => true,
            _ => return Err("uncertain"),
        },
        source: (!source.is_empty()).then(|| source.into()),
    })
}

/// A date as `2026-11-22`, years 0–9999.
pub(super) fn date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

/// Nothing, or something that can be read.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}

/// Items that a character divides; none in an empty text.
pub(super) fn items<T>(
    text: &str,
    divider: char,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(divider).map(read).collect() }
}

/// The opposite.
pub(super) fn joined<T: std::fmt::Display>(items: &[T], divider: &str) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let divider = if index == 0 { "" } else { divider };
        write!(text, "{divider}{item}").expect("a string takes everything");
    }
    text
}
