//! The second view: what a reader that ignores the cross-references finds in the bytes.
//!
//! Readers that repair files number the objects by a scan. Where such a scan finds another object
//! than the cross-references name, two readers see two documents (P5 and P10 of the attack list).

use std::cell::Cell;

use memchr::memmem;

use super::document::{Document, Loaded, View, indirect};
use super::file::Fault;
use super::object::{SyntaxError, is_space};
use super::xref::Entry;
use crate::limits::PDF_OBJECTS_MAX;

/// Bytes searched at a time.
const WINDOW: u64 = 1024 * 1024;
/// A hit is looked at with this many bytes around it: white space may be long.
const MARGIN: u64 = 1024;
/// White space that writers count into an offset: an end of line or two.
pub(super) const BLANKS_COUNTED_IN: u64 = 4;

/// What the bytes hold beside what the cross-references name.
pub(super) struct Linear<'a> {
    document: &'a Document<'a>,
    last: &'a View,
    /// Offsets that the sections list, ascending, with the number of the object.
    listed: Vec<(u64, u32)>,
    /// The stream that was found last; hits come in order.
    stream: Cell<(u64, u64)>,
}

impl<'a> Linear<'a> {
    pub fn new(document: &'a Document<'a>, last: &'a View) -> Self {
        let mut listed = Vec::new();
        for section in &document.sections {
            listed.extend(section.entries.iter().filter_map(|(number, entry)| match entry {
                Entry::At { offset } => Some((*offset, number)),
                _ => None,
            }));
        }
        listed.sort_unstable();
        Self { document, last, listed, stream: Cell::new((0, 0)) }
    }

    /// Objects outside of streams that no section lists: offset and number, ascending.
    pub fn unlisted_objects(&self) -> Result<Vec<(u64, u32)>, Fault> {
        let mut found = Vec::new();
        self.search(b"obj", |start, bytes, at| {
            let after = bytes.get(at + 3).copied().unwrap_or(b' ');
            let header = bytes.get(..at).and_then(header);
            let Some((back, number)) = header.filter(|_| !after.is_ascii_alphanumeric()) else {
                return Ok(());
            };
            let offset = start.saturating_add(place(at)).saturating_sub(back);
            if !self.is_listed(offset, number) && !self.is_in_stream(offset)? {
                found.push((offset, number));
            }
            if found.len() > PDF_OBJECTS_MAX { Err(Fault::OverBudget) } else { Ok(()) }
        })?;
        Ok(found)
    }

    /// Every `/ByteRange` outside of streams.
    pub fn byte_ranges(&self) -> Result<Vec<u64>, Fault> {
        let mut found = Vec::new();
        self.search(b"/ByteRange", |start, _, at| {
            found.push(start.saturating_add(place(at)));
            if found.len() > PDF_OBJECTS_MAX { Err(Fault::OverBudget) } else { Ok(()) }
        })?;
        Ok(found)
    }

    /// Calls `hit` with the offset of the bytes, the bytes and the place in them, in file order.
    fn search(
        &self,
        pattern: &[u8],
        mut hit: impl FnMut(u64, &[u8], usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let finder = memmem::Finder::new(pattern);
        let file = &self.document.file;
        let mut begin = 0;
        while begin < file.size {
            let end = begin.saturating_add(WINDOW);
            let start = begin.saturating_sub(MARGIN);
            let bytes = file.bytes(start, end.saturating_add(MARGIN))?;
            for at in finder.find_iter(&bytes) {
                if (begin..end).contains(&start.saturating_add(place(at))) {
                    hit(start, &bytes, at)?;
                }
            }
            begin = end;
        }
        Ok(())
    }

    fn is_listed(&self, offset: u64, number: u32) -> bool {
        let from = offset.saturating_sub(BLANKS_COUNTED_IN);
        let near = self.listed.partition_point(|&(listed, _)| listed < from);
        let mut near = self.listed.iter().skip(near).take_while(|(listed, _)| *listed <= offset);
        near.any(|&(_, listed)| listed == number)
            || self.document.sections.iter().any(|section| {
                let at = |place: u64| (from..=offset).contains(&place);
                section.is_stream && at(section.offset) || section.hybrid.is_some_and(at)
            })
    }

    /// The last listed object that begins before `offset`.
    pub fn object_before(&self, offset: u64) -> Option<u64> {
        let before = self.listed.partition_point(|&(listed, _)| listed < offset);
        Some(self.listed.get(before.checked_sub(1)?)?.0)
    }

    /// Whether `offset` lies in the data of a stream that the sections list.
    pub fn is_in_stream(&self, offset: u64) -> Result<bool, Fault> {
        let (start, end) = self.stream.get();
        if (start..end).contains(&offset) {
            return Ok(true);
        }
        let Some(object) = self.object_before(offset) else { return Ok(false) };
        let parsed = self.document.file.parse(object, u64::MAX, |lexer| {
            lexer.skim();
            let (_, object, stream) = indirect(lexer)?;
            stream.map(|start| (object, start)).ok_or(SyntaxError::Malformed)
        });
        let range = match parsed {
            Ok((value, start)) => {
                let place = (object, None);
                let loaded = Loaded { object: value, place, stream: Some(start), id: None };
                self.document.stream_range(self.last, &loaded)
            }
            Err(fault) => Err(fault),
        };
        match range {
            Ok((start, end)) => {
                self.stream.set((start, end));
                Ok((start..end).contains(&offset))
            }
            Err(Fault::Broken(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

fn place(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

/// The `N G ` at the end of `bytes`: how far back it begins, and N.
fn header(bytes: &[u8]) -> Option<(u64, u32)> {
    let rest = before(bytes, is_space)?;
    let rest = before(rest, |byte| byte.is_ascii_digit())?;
    let number_end = before(rest, is_space)?;
    let rest = before(number_end, |byte| byte.is_ascii_digit())?;
    if rest.last().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let number = std::str::from_utf8(number_end.get(rest.len()..)?).ok()?.parse().ok()?;
    Some((place(bytes.len() - rest.len()), number))
}

/// `bytes` without the bytes of this kind at its end; `None` if there are none.
fn before(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let count = bytes.iter().rev().take_while(|&&byte| is_kind(byte)).count();
    (count > 0).then(|| bytes.get(..bytes.len() - count)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_objects_are_read_backwards() {
        assert_eq!(header(b"endobj\n12 0 "), Some((5, 12)));
        assert_eq!(header(b"7\n\n 0\t"), Some((6, 7)));
        assert_eq!(header(b"x7 0 "), None);
        assert_eq!(header(b"7 0"), None);
        assert_eq!(header(b"end"), None);
        assert_eq!(header(b"99999999999 0 "), None);
    }
}
