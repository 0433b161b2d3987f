//! Reading pieces of the file: from memory if it is small, through small reads if it is large.

use std::borrow::Cow;

use super::object::{Lexer, SyntaxError, ValueBudget};
use crate::digest::Hasher;
use crate::limits::{PDF_INFLATED_STREAM_MAX, PDF_MEMORY_MAX, PDF_OBJECT_SIZE_MAX};
use crate::source::{Source, Unreadable};

/// Why a piece of the file is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The structure is broken, at this offset.
    Broken(u64),
    /// Larger or more complicated than this version judges.
    OverBudget,
    Unreadable,
    /// What stands at this offset cannot be decrypted.
    Undeciphered(u64),
}

impl From<Unreadable> for Fault {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

/// The bytes of a PDF up to `size`.
pub(super) struct File<'a> {
    source: &'a dyn Source,
    memory: Option<Cow<'a, [u8]>>,
    pub size: u64,
    pub values: ValueBudget,
}

/// First read of an object in a large file; most objects are smaller.
const FIRST_READ: usize = 4 * 1024;

impl<'a> File<'a> {
    pub fn open(source: &'a dyn Source) -> Result<Self, Fault> {
        let size = source.size();
        let memory = match (source.in_memory(), usize::try_from(size)) {
            (Some(bytes), _) => Some(Cow::Borrowed(bytes)),
            (None, Ok(length)) if size <= PDF_MEMORY_MAX => {
                let mut bytes = vec![0; length];
                source.read_at(0, &mut bytes)?;
                Some(Cow::Owned(bytes))
            }
            _ => None,
        };
        Ok(Self { source, memory, size, values: ValueBudget::default() })
    }

    /// The bytes of `start..end`, cut at the end of the file.
    pub fn bytes(&self, start: u64, end: u64) -> Result<Cow<'_, [u8]>, Fault> {
        let end = end.min(self.size);
        let size = usize::try_from(end.saturating_sub(start)).map_err(|_| Fault::OverBudget)?;
        if let Some(memory) = &self.memory {
            let from = usize::try_from(start).unwrap_or(usize::MAX).min(memory.len());
            return Ok(Cow::Borrowed(memory.get(from..from + size).unwrap_or_default()));
        }
        let mut bytes = vec![0; size];
        if size > 0 {
            self.source.read_at(start, &mut bytes)?;
        }
        Ok(Cow::Owned(bytes))
    }

    /// The bytes of a stream that holds structure: in memory at once, so of limited size.
    pub fn stored(&self, start: u64, end: u64) -> Result<Cow<'_, [u8]>, Fault> {
        let size = usize::try_from(end.saturating_sub(start)).map_err(|_| Fault::OverBudget)?;
        if size > PDF_INFLATED_STREAM_MAX { Err(Fault::OverBudget) } else { self.bytes(start, end) }
    }

    /// Parses at `offset`, reading more as long as the parser asks for more. Nothing at or after
    /// `limit` is seen.
    pub fn parse<T>(
        &self,
        offset: u64,
        limit: u64,
        parse: impl Fn(&mut Lexer<'_>) -> Result<T, SyntaxError>,
    ) -> Result<T, Fault> {
        let limit = limit.min(self.size);
        if offset >= limit {
            return Err(Fault::Broken(offset));
        }
        let mut size = if self.memory.is_some() { PDF_OBJECT_SIZE_MAX } else { FIRST_READ };
        loop {
            let span = u64::try_from(size).map_err(|_| Fault::OverBudget)?;
            let end = offset.saturating_add(span).min(limit);
            let bytes = self.bytes(offset, end)?;
            match parse(&mut Lexer::new(&bytes, offset, &self.values)) {
                Ok(value) => return Ok(value),
                Err(SyntaxError::TooMany) => return Err(Fault::OverBudget),
                Err(SyntaxError::Malformed) => return Err(Fault::Broken(offset)),
                Err(SyntaxError::Truncated) if end >= limit => return Err(Fault::Broken(offset)),
                Err(SyntaxError::Truncated) if size >= PDF_OBJECT_SIZE_MAX => {
                    return Err(Fault::OverBudget);
                }
                Err(SyntaxError::Truncated) => size = PDF_OBJECT_SIZE_MAX.min(size * 16),
            }
        }
    }

    /// The last place of `pattern` in `start..end`.
    pub fn find_last(&self, pattern: &[u8], start: u64, end: u64) -> Result<Option<u64>, Fault> {
        let bytes = self.bytes(start, end)?;
        let found = bytes.windows(pattern.len()).rposition(|window| window == pattern);
        Ok(found.and_then(|at| u64::try_from(at).ok()).map(|at| start + at))
    }

    /// The first place of `pattern` at or after `start`, by a scan in windows.
    pub fn find_first(&self, pattern: &[u8], start: u64) -> Result<Option<u64>, Fault> {
        const WINDOW: u64 = 1024 * 1024;
        let overlap = u64::try_from(pattern.len()).unwrap_or(0);
        let Some((&first, _)) = pattern.split_first() else { return Ok(None) };
        let mut at = start;
        while at < self.size {
            let bytes = self.bytes(at, at.saturating_add(WINDOW + overlap))?;
            let mut from = 0;
            while let Some(step) =
                bytes.get(from..).and_then(|b| b.iter().position(|&b| b == first))
            {
                from += step;
                if bytes.get(from..).is_some_and(|rest| rest.starts_with(pattern)) {
                    return Ok(u64::try_from(from).ok().map(|from| at + from));
                }
                from += 1;
            }
            at = at.saturating_add(WINDOW);
        }
        Ok(None)
    }
}

impl Source for File<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.source.read_at(offset, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.memory.as_deref()
    }

    fn hashed(&self, size: u64) -> Option<(u64, Hasher)> {
        self.source.hashed(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::OnDisk;

    #[test]
    fn patterns_are_found_across_windows() {
        let mut bytes = vec![b'.'; 3 * 1024 * 1024];
        bytes[1024 * 1024 - 3..][..10].copy_from_slice(b"/ByteRange");
        let file = File::open(&bytes).unwrap();
        assert_eq!(file.find_first(b"/ByteRange", 0), Ok(Some(1024 * 1024 - 3)));
        assert_eq!(file.find_first(b"/ByteRange", 1024 * 1024), Ok(None));
        assert_eq!(file.find_last(b"/ByteRange", 0, 2 * 1024 * 1024), Ok(Some(1024 * 1024 - 3)));
    }

    #[test]
    fn a_large_file_is_parsed_through_growing_reads() {
        let mut bytes = vec![b' '; 9 * 1024 * 1024];
        let array = format!("[{}]", "1 ".repeat(50_000));
        bytes[1000..1000 + array.len()].copy_from_slice(array.as_bytes());
        let source = OnDisk(&bytes);
        let file = File::open(&source).unwrap();
        assert!(file.in_memory().is_none());
        assert!(file.parse(1000, u64::MAX, |lexer| lexer.object()).is_ok());
        assert_eq!(file.parse(1000, 1100, |lexer| lexer.object()), Err(Fault::Broken(1000)));
    }
}
