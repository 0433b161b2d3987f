//! What stands after the signed bytes must be a chain of well-formed incremental updates.
//!
//! Two views must agree: what the cross-reference sections say, and what a straight walk over the
//! bytes finds. A reader that repairs files sees the second; one that does not, the first.

use std::collections::{HashMap, HashSet};

use super::super::report::{Findings, SubIndication as Sub};
use super::document::{Document, View, indirect};
use super::file::Fault;
use super::linear::BLANKS_COUNTED_IN;
use super::object::SyntaxError;
use super::xref::{Entry, Section, end_of_stream};

/// Whether only white space follows `end`.
pub(super) fn nothing_follows(document: &Document<'_>, end: u64) -> Result<bool, Fault> {
    // Signed files end with an end of line or two; kilobytes of blanks are judged as an update.
    const BLANKS_MAX: u64 = 64;
    if document.file.size.saturating_sub(end) > BLANKS_MAX {
        return Ok(false);
    }
    let rest = document.file.bytes(end, document.file.size)?;
    Ok(rest.iter().all(|&byte| super::object::is_space(byte)))
}

/// Walks the bytes from `end` on against the `newer` newest sections.
pub(super) fn check(
    document: &Document<'_>,
    last: &View,
    newer: usize,
    end: u64,
    findings: &mut Findings,
) -> Result<(), Fault> {
    let sections: Vec<&Section> = document.sections.iter().take(newer).collect();
    let mut listed: Vec<(u64, u32)> = Vec::new();
    for section in &sections {
        if section.offset < end {
            findings.failed_at(
                Sub::FormatFailure,
                "UPDATE_INSIDE_SIGNED_BYTES",
                "A later version of the document is described inside the signed bytes.",
                Some(section.offset),
            );
            return Ok(());
        }
        for (number, entry) in section.entries.iter() {
            if let Entry::At { offset } = entry
                && *offset >= end
            {
                listed.push((*offset, number));
            }
        }
    }
    // Of two numbers at one place, that of the oldest section counts.
    listed.sort_by_key(|(offset, _)| *offset);
    listed.dedup_by(|(offset, number), (kept_offset, kept)| {
        let is_same = offset == kept_offset;
        if is_same {
            *kept = *number;
        }
        is_same
    });
    let places = sections.iter().enumerate().map(|(index, section)| (section.offset, index));
    let places = places.collect();
    let mut walk = Walk { document, last, sections, places, listed, seen: HashSet::new() };
    let mut at = end;
    loop {
        match walk.step(at) {
            Ok(Some(next)) => at = next,
            Ok(None) => break,
            Err(Fault::Broken(_)) => {
                findings.failed_at(
                    Sub::FormatFailure,
                    "UNPARSED_BYTES",
                    "Bytes were added after signing that do not form a proper new version.",
                    Some(at),
                );
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
    }
    if let Some((hidden, _)) = walk.listed.iter().find(|(offset, _)| !walk.seen.contains(offset)) {
        findings.failed_at(
            Sub::FormatFailure,
            "HIDDEN_OBJECT",
            "An object added after signing is hidden inside another one.",
            Some(*hidden),
        );
    }
    Ok(())
}

struct Walk<'a> {
    document: &'a Document<'a>,
    last: &'a View,
    sections: Vec<&'a Section>,
    /// Offset of each section to its index.
    places: HashMap<u64, usize>,
    /// Offset to number of every object that the newer sections list.
    listed: Vec<(u64, u32)>,
    seen: HashSet<u64>,
}

/// What comes next in the file.
enum Part {
    Table,
    Start(u64),
    Object,
    End,
}

impl Walk<'_> {
    /// Takes one part of the file; gives where the next one begins, `None` at the end.
    fn step(&mut self, at: u64) -> Result<Option<u64>, Fault> {
        let file = &self.document.file;
        if at >= file.size {
            return Ok(None);
        }
        let (part, begin, end) = file.parse(at, u64::MAX, |lexer| {
            lexer.skip_space();
            let begin = lexer.offset();
            if lexer.is_at_end() {
                // Comments may be longer than what was read; at the end of the file this is it.
                return if begin >= file.size {
                    Ok((Part::End, begin, begin))
                } else {
                    Err(SyntaxError::Truncated)
                };
            }
            if lexer.has_keyword(b"xref") {
                return Ok((Part::Table, begin, lexer.offset()));
            }
            if lexer.has_keyword(b"startxref") {
                let target = lexer.unsigned()?;
                return Ok((Part::Start(target), begin, lexer.offset()));
            }
            if lexer.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Ok((Part::Object, begin, begin));
            }
            Err(SyntaxError::Malformed)
        })?;
        match part {
            Part::End => Ok(None),
            Part::Table => match self.section_at(begin)? {
                Some(section) if !section.is_stream => Ok(Some(section.end)),
                _ => Err(Fault::Broken(begin)),
            },
            Part::Start(target) => {
                if self.places.contains_key(&target) {
                    Ok(Some(end))
                } else {
                    Err(Fault::Broken(begin))
                }
            }
            Part::Object => self.object(begin).map(Some),
        }
    }

    fn object(&mut self, begin: u64) -> Result<u64, Fault> {
        let file = &self.document.file;
        let ((number, object, stream), end) = file.parse(begin, u64::MAX, |lexer| {
            lexer.skim();
            Ok((indirect(lexer)?, lexer.offset()))
        })?;
        let is_section = self.section_at(begin)?.is_some_and(|section| section.is_stream)
            || self.sections.iter().any(|section| section.hybrid == Some(begin));
        let listed = self.listed_at(begin, number)?;
        if !is_section && listed.is_none() {
            return Err(Fault::Broken(begin));
        }
        self.seen.extend(listed);
        // A section may list its own stream.
        self.seen.insert(begin);
        if stream.is_none() {
            return Ok(end);
        }
        let loaded = super::document::Loaded { object, place: (begin, None), stream, id: None };
        let (_, data_end) = self.document.stream_range(self.last, &loaded)?;
        end_of_stream(file, data_end)
    }

    /// The offset under which the sections list the object at `begin`.
    fn listed_at(&self, begin: u64, number: u64) -> Result<Option<u64>, Fault> {
        for offset in (begin.saturating_sub(BLANKS_COUNTED_IN)..=begin).rev() {
            let at = self.listed.binary_search_by_key(&offset, |(listed, _)| *listed).ok();
            let listed = at.and_then(|at| self.listed.get(at));
            if listed.is_some_and(|(_, listed)| u64::from(*listed) == number) {
                return Ok(self.names(offset, begin)?.then_some(offset));
            }
        }
        Ok(None)
    }

    /// Whether `offset` names what begins at `begin`: directly, or by the white space before it,
    /// which some writers count in. A comment between them would be another reader's object.
    fn names(&self, offset: u64, begin: u64) -> Result<bool, Fault> {
        if offset > begin || begin - offset > BLANKS_COUNTED_IN {
            return Ok(false);
        }
        let blanks = self.document.file.bytes(offset, begin)?;
        Ok(blanks.iter().all(|&byte| super::object::is_space(byte)))
    }

    /// The section at `begin`.
    fn section_at(&self, begin: u64) -> Result<Option<&Section>, Fault> {
        for offset in (begin.saturating_sub(BLANKS_COUNTED_IN)..=begin).rev() {
            if let Some(&index) = self.places.get(&offset) {
                let section = self.sections.get(index).copied();
                return Ok(section.filter(|_| self.names(offset, begin).is_ok_and(|names| names)));
            }
        }
        Ok(None)
    }
}
