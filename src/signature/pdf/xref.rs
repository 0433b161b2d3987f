//! Cross-reference tables and streams, chained through `/Prev`.

use std::collections::HashSet;
use std::rc::Rc;

use super::file::{Fault, File};
use super::inflate::{InflateBudget, decode};
use super::object::{Dictionary, Lexer, Object, SyntaxError};
use super::table::Table;
use crate::limits::{PDF_OBJECTS_MAX, PDF_REVISIONS_MAX};

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Free,
    At { offset: u64 },
    Packed { container: u32, index: u32 },
}

/// One cross-reference section: what one revision says.
#[derive(Debug)]
pub(super) struct Section {
    pub offset: u64,
    /// After the trailer dictionary or the stream.
    pub end: u64,
    pub entries: Rc<Table>,
    pub trailer: Dictionary,
    /// The stream of a hybrid file that belongs to a table.
    pub hybrid: Option<u64>,
    pub is_stream: bool,
    /// The section names two places for one object.
    pub is_ambiguous: bool,
}

/// The place named by the last `startxref` before `end`.
pub(super) fn start(file: &File<'_>, end: u64) -> Result<u64, Fault> {
    // ISO 32000-1 annex H.3.4.4: readers look within the last 1024 bytes.
    let from = end.saturating_sub(1024);
    let at = file.find_last(b"startxref", from, end)?.ok_or(Fault::Broken(from))?;
    // A little more than the number may follow; the limit keeps the number inside.
    file.parse(at, end, |lexer| {
        lexer.keyword(b"startxref")?;
        lexer.unsigned()
    })
}

/// All sections from the one at `start` on, newest first.
pub(super) fn chain(
    file: &File<'_>,
    budget: &InflateBudget,
    start: u64,
) -> Result<Vec<Section>, Fault> {
    let mut sections: Vec<Section> = Vec::new();
    let mut seen = HashSet::new();
    let mut objects = 0_usize;
    let mut next = Some(start);
    while let Some(offset) = next {
        if !seen.insert(offset) {
            return Err(Fault::Broken(offset));
        }
        if sections.len() >= PDF_REVISIONS_MAX {
            return Err(Fault::OverBudget);
        }
        let mut section = section(file, budget, offset)?;
        if let (Some(hybrid), false) = (section.trailer.unsigned("XRefStm"), section.is_stream) {
            let hidden = stream(file, budget, hybrid)?;
            // Some writers copy the key from an older trailer: an older stream says nothing about
            // this revision.
            let is_own = section.trailer.unsigned("Prev").is_none_or(|p| p < hybrid);
            let mut shown = Vec::new();
            for (number, entry) in hidden.entries.iter() {
                // ISO 32000-1 §7.5.8.4: the table hides these objects as free.
                match section.entries.get(number) {
                    None | Some(Entry::Free) => shown.push((number, *entry)),
                    Some(known) => {
                        section.is_ambiguous |= is_own && known != entry && *entry != Entry::Free;
                    }
                }
            }
            section.entries = Rc::new(section.entries.overlaid(&Table::of(shown).0));
            section.hybrid = Some(hybrid);
        }
        objects = objects.saturating_add(section.entries.len());
        if objects > PDF_OBJECTS_MAX {
            return Err(Fault::OverBudget);
        }
        next = match section.trailer.get("Prev") {
            // Offset 0 is the header; some writers say so when there is no earlier section.
            None | Some(Object::Integer(0)) => None,
            Some(Object::Integer(value)) => {
                Some(u64::try_from(*value).map_err(|_| Fault::Broken(offset))?)
            }
            Some(_) => return Err(Fault::Broken(offset)),
        };
        sections.push(section);
    }
    Ok(sections)
}

fn section(file: &File<'_>, budget: &InflateBudget, offset: u64) -> Result<Section, Fault> {
    let is_table = file.parse(offset, u64::MAX, |lexer| {
        if lexer.has_keyword(b"xref") {
            return Ok(true);
        }
        lexer.unsigned().map(|_| false)
    })?;
    if is_table { table(file, offset) } else { stream(file, budget, offset) }
}

fn table(file: &File<'_>, offset: u64) -> Result<Section, Fault> {
    let ((entries, is_ambiguous), trailer, end) = file.parse(offset, u64::MAX, |lexer| {
        lexer.keyword(b"xref")?;
        let mut rows = Vec::new();
        while !lexer.has_keyword(b"trailer") {
            let first = lexer.unsigned()?;
            let count = lexer.unsigned()?;
            for step in 0..count {
                let number = first.checked_add(step).and_then(|n| u32::try_from(n).ok());
                let number = number.ok_or(SyntaxError::Malformed)?;
                if rows.len() >= PDF_OBJECTS_MAX {
                    return Err(SyntaxError::TooMany);
                }
                rows.push((number, table_entry(lexer)?));
            }
        }
        match lexer.object()? {
            Object::Dictionary(trailer) => Ok((Table::of(rows), trailer, lexer.offset())),
            _ => Err(SyntaxError::Malformed),
        }
    })?;
    let entries = Rc::new(entries);
    Ok(Section { offset, end, entries, trailer, hybrid: None, is_stream: false, is_ambiguous })
}

fn table_entry(lexer: &mut Lexer<'_>) -> Result<Entry, SyntaxError> {
    let offset = lexer.unsigned()?;
    lexer.unsigned()?;
    if lexer.has_keyword(b"n") {
        // Offset 0 is the header; writers use it for objects that do not exist.
        return Ok(if offset == 0 { Entry::Free } else { Entry::At { offset } });
    }
    lexer.keyword(b"f")?;
    Ok(Entry::Free)
}

fn stream(file: &File<'_>, budget: &InflateBudget, offset: u64) -> Result<Section, Fault> {
    let (trailer, data) = file.parse(offset, u64::MAX, |lexer| {
        lexer.unsigned()?;
        lexer.unsigned()?;
        lexer.keyword(b"obj")?;
        let Object::Dictionary(dictionary) = lexer.object()? else {
            return Err(SyntaxError::Malformed);
        };
        lexer.keyword(b"stream")?;
        lexer.stream_start()?;
        Ok((dictionary, lexer.offset()))
    })?;
    let broken = || Fault::Broken(offset);
    if !trailer.is("Type", "XRef") {
        return Err(broken());
    }
    // The length must be direct: there is no table yet to look it up in (ISO 32000-1 §7.5.8.2).
    let length = trailer.unsigned("Length").ok_or_else(broken)?;
    let data_end = data.checked_add(length).filter(|&end| end <= file.size).ok_or_else(broken)?;
    let end = end_of_stream(file, data_end)?;
    let bytes = decode(&trailer, &file.stored(data, data_end)?, budget)?;
    if bytes.len() / row_size(&trailer).unwrap_or(1).max(1) > PDF_OBJECTS_MAX {
        return Err(Fault::OverBudget);
    }
    let (entries, is_ambiguous) = stream_entries(&trailer, &bytes).ok_or_else(broken)?;
    let entries = Rc::new(entries);
    Ok(Section { offset, end, entries, trailer, hybrid: None, is_stream: true, is_ambiguous })
}

/// Reads `endstream endobj` and tells where it ends.
pub(super) fn end_of_stream(file: &File<'_>, data_end: u64) -> Result<u64, Fault> {
    file.parse(data_end, u64::MAX, |lexer| {
        lexer.keyword(b"endstream")?;
        lexer.keyword(b"endobj")?;
        Ok(lexer.offset())
    })
}

/// `/W`: the bytes of the three fields of a row.
fn widths(dictionary: &Dictionary) -> Option<[usize; 3]> {
    let Object::Array(widths) = dictionary.get("W")? else { return None };
    let widths = widths
        .iter()
        .map(|width| match width {
            Object::Integer(width) => usize::try_from(*width).ok().filter(|&width| width <= 8),
            _ => None,
        })
        .collect::<Option<Vec<usize>>>()?;
    widths.try_into().ok()
}

fn row_size(dictionary: &Dictionary) -> Option<usize> {
    widths(dictionary).map(|widths| widths.iter().sum())
}

/// The entries, and whether one object has two different ones.
fn stream_entries(dictionary: &Dictionary, bytes: &[u8]) -> Option<(Table, bool)> {
    let [kind_width, second_width, third_width] = widths(dictionary)?;
    let size = dictionary.integer("Size")?;
    let index = match dictionary.get("Index") {
        None => vec![0, size],
        Some(Object::Array(index)) => index
            .iter()
            .map(|item| if let Object::Integer(n) = item { Some(*n) } else { None })
            .collect::<Option<Vec<i64>>>()?,
        Some(_) => return None,
    };
    let row = kind_width + second_width + third_width;
    if row == 0 {
        return None;
    }
    let mut rows = bytes.chunks_exact(row);
    let mut entries = Vec::new();
    for pair in index.chunks(2) {
        let &[first, count] = pair else { return None };
        let (first, count) = (u32::try_from(first).ok()?, u32::try_from(count).ok()?);
        for step in 0..count {
            let row = rows.next()?;
            let (kind, rest) = row.split_at_checked(kind_width)?;
            let (second, third) = rest.split_at_checked(second_width)?;
            let kind = if kind_width == 0 { 1 } else { number(kind) };
            let entry = match kind {
                0 => Entry::Free,
                1 => Entry::At { offset: number(second) },
                2 => Entry::Packed {
                    container: u32::try_from(number(second)).ok()?,
                    index: u32::try_from(number(third)).ok()?,
                },
                // ISO 32000-1 §7.5.8.3: other types are references to null.
                _ => Entry::Free,
            };
            entries.push((first.checked_add(step)?, entry));
        }
    }
    Some(Table::of(entries))
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Section>, Fault> {
        let bytes = text.as_bytes();
        let file = File::open(&bytes).unwrap();
        chain(&file, &InflateBudget::default(), start(&file, file.size)?)
    }

    #[test]
    fn tables_chain_from_the_newest_to_the_oldest() {
        let text = "%PDF-1.7\nxref\n0 2\n0000000000 65535 f \n0000000100 00000 n \n\
                    trailer\n<</Size 2/Root 1 0 R>>\nstartxref\n9\n%%EOF\n";
        let at = text.len();
        let text = format!(
            "{text}xref\n1 1\n0000000200 00000 n \ntrailer\n<</Size 2/Prev 9>>\nstartxref\n{at}\n%%EOF\n"
        );
        let sections = read(&text).unwrap();
        assert_eq!(sections.len(), 2);
        assert_eq!(sections[0].entries.get(1), Some(&Entry::At { offset: 200 }));
        assert_eq!(sections[1].entries.get(1), Some(&Entry::At { offset: 100 }));
    }

    #[test]
    fn a_chain_that_bites_its_tail_is_broken() {
        let text = "%PDF-1.7\nxref\n0 0\ntrailer\n<</Prev 9>>\nstartxref\n9\n%%EOF\n";
        assert_eq!(read(text).err(), Some(Fault::Broken(9)));
        assert!(read("%PDF-1.7\nstartxref\n99999\n%%EOF").is_err());
        assert!(read("%PDF-1.7\nstartxref\n0\n%%EOF").is_err());
        assert!(read("").is_err());
    }

    #[test]
    fn rows_of_a_stream_are_read_by_their_widths() {
        let mut dictionary = Dictionary::default();
        let numbers =
            |list: &[i64]| Object::Array(list.iter().map(|&n| Object::Integer(n)).collect());
        dictionary.entries.insert(b"W".to_vec(), numbers(&[1, 2, 1]));
        dictionary.entries.insert(b"Size".to_vec(), Object::Integer(9));
        dictionary.entries.insert(b"Index".to_vec(), numbers(&[3, 1, 7, 1]));
        let (entries, _) = stream_entries(&dictionary, &[1, 1, 0, 0, 2, 0, 5, 2]).unwrap();
        assert_eq!(entries.get(3), Some(&Entry::At { offset: 256 }));
        assert_eq!(entries.get(7), Some(&Entry::Packed { container: 5, index: 2 }));
        assert!(stream_entries(&dictionary, &[1, 1, 0]).is_none());
    }
}
