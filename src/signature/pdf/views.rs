//! Whether the two views of a file agree, and what an honest file would not have.

use std::collections::{BTreeSet, HashMap};

use super::diff::{Graph, graph};
use super::document::{Document, View, indirect};
use super::file::Fault;
use super::linear::Linear;
use super::object::{Object, SyntaxError};
use super::xref::{Entry, Section};
use crate::limits::SIGNATURES_MAX;

/// What the comparison found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where a reader that ignores the cross-references takes another object, ascending.
    pub differing: Vec<u64>,
    /// Every `/ByteRange` that belongs to no signature of the form.
    pub unreachable: Vec<u64>,
    /// What prepares a shadow attack, but is found in honest files, too.
    pub quirks: BTreeSet<&'static str>,
}

/// Compares the cross-references with a scan of the bytes. `signatures` are the offsets of the
/// signature dictionaries that the form leads to.
pub(super) fn survey(
    document: &Document<'_>,
    last: &View,
    signatures: &BTreeSet<u64>,
) -> Result<Survey, Fault> {
    let linear = Linear::new(document, last);
    let mut survey = Survey::default();
    let Graph { missing, .. } = graph(document, last)?;
    if !missing.is_empty() {
        survey.quirks.insert("the document refers to objects that it does not have");
    }
    let unlisted = linear.unlisted_objects()?;
    let newest = newest(document, &unlisted);
    for (offset, number) in unlisted {
        match newest.get(&number) {
            Some(known) if *known < offset => survey.differing.push(offset),
            _ if missing.contains(&number) => survey.differing.push(offset),
            Some(_) => {
                survey.quirks.insert("the file holds an object in a version that is not shown");
            }
            None => {
                survey.quirks.insert("the file holds objects that are not shown");
            }
        }
    }
    let ambiguous = document.sections.iter().filter(|section| section.is_ambiguous);
    survey.differing.extend(ambiguous.map(|section| section.offset));
    if document.sections.iter().any(|section| section.hybrid.is_some()) {
        survey.quirks.insert("old programs do not see a part of the document (hybrid file)");
    }
    let known = rights(document, last)?;
    for offset in linear.byte_ranges()? {
        let is_known = |begin: u64| signatures.contains(&begin) || known.contains(&begin);
        if is_of_mac(document, offset) {
            survey.quirks.insert("the document carries a MAC, which was not judged");
            continue;
        }
        if !linear.is_in_stream(offset)? && !belongs(document, &linear, offset, is_known)? {
            survey.unreachable.push(offset);
        }
        if survey.unreachable.len() >= SIGNATURES_MAX {
            break;
        }
    }
    survey.differing.sort_unstable();
    Ok(survey)
}

/// For the numbers of `unlisted`: the last place in the file where a section speaks of them.
fn newest(document: &Document<'_>, unlisted: &[(u64, u32)]) -> HashMap<u32, u64> {
    let mut newest = HashMap::new();
    let numbers: BTreeSet<u32> = unlisted.iter().map(|(_, number)| *number).collect();
    for number in numbers {
        for section in &document.sections {
            let place = match section.entries.get(number) {
                Some(Entry::At { offset }) => *offset,
                Some(_) => section.offset,
                None => continue,
            };
            let known = newest.entry(number).or_insert(place);
            *known = place.max(*known);
        }
    }
    newest
}

/// Usage rights of a reader program (ISO 32000-1 §12.8.2.3) are no signature of the document.
fn rights(document: &Document<'_>, last: &View) -> Result<BTreeSet<u64>, Fault> {
    let root = document.root(last)?;
    let permissions = document.dictionary(last, &root, "Perms")?.unwrap_or_default();
    let mut places = BTreeSet::new();
    for key in ["UR", "UR3"] {
        if let Some(value) = permissions.get(key)
            && let Some(loaded) = document.resolve(last, value)?
        {
            places.insert(loaded.place.0);
        }
    }
    Ok(places)
}

/// Whether `offset` lies in a trailer whose only range is that of a MAC (ISO/TS 32004): it tells those
/// who know the password that nobody else changed the file, and is no signature.
fn is_of_mac(document: &Document<'_>, offset: u64) -> bool {
    let around = |section: &&Section| (section.offset..section.end).contains(&offset);
    document.sections.iter().find(around).is_some_and(|section| {
        let ranges = section.trailer.entries.iter().filter(|(_, value)| has_range(value));
        ranges.map(|(key, _)| &key[..]).eq([b"AuthCode"])
    })
}

/// Whether the `/ByteRange` at `offset` stands in a known signature, or is not the key of one.
fn belongs(
    document: &Document<'_>,
    linear: &Linear<'_>,
    offset: u64,
    is_known: impl Fn(u64) -> bool,
) -> Result<bool, Fault> {
    let Some(begin) = linear.object_before(offset) else { return Ok(false) };
    let parsed = document.file.parse(begin, u64::MAX, |lexer| {
        lexer.skim();
        let (_, object, stream) = indirect(lexer)?;
        if stream.is_some() { Err(SyntaxError::Malformed) } else { Ok((object, lexer.offset())) }
    });
    match parsed {
        Ok((_, end)) if end <= offset => Ok(false),
        Ok((object, _)) => Ok(is_known(begin) || !has_range(&object)),
        Err(Fault::Broken(_)) => Ok(is_known(begin)),
        Err(fault) => Err(fault),
    }
}

fn has_range(object: &Object) -> bool {
    match object {
        Object::Array(items) => items.iter().any(has_range),
        Object::Dictionary(dictionary) => {
            dictionary.get("ByteRange").is_some() || dictionary.entries.values().any(has_range)
        }
        _ => false,
    }
}
