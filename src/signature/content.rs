//! The bytes that a signature is about: ranges of a source, hashed once per algorithm.

use std::borrow::Cow;
use std::ops::Range;

use ring::digest::Context;

use super::algorithm::Hash;
use crate::limits::{HASH_WINDOW_SIZE, PLAIN_MESSAGE_SIZE_MAX};
use crate::source::{Source, Unreadable};

/// Ranges of a source, one after the other.
pub(super) struct Content<'a> {
    source: &'a dyn Source,
    /// The whole source, if it is in memory anyway.
    memory: Option<&'a [u8]>,
    ranges: Vec<Range<u64>>,
    digests: Vec<(Hash, Vec<u8>)>,
}

impl<'a> Content<'a> {
    pub fn new(source: &'a dyn Source, memory: Option<&'a [u8]>, ranges: Vec<Range<u64>>) -> Self {
        Self { source, memory, ranges, digests: Vec::new() }
    }

    /// All bytes of `source`.
    pub fn whole_of(source: &'a dyn Source) -> Self {
        Self::new(source, None, std::iter::once(0..source.size()).collect())
    }

    /// The digest, computed at most once; `None` for a hash that is not computed here.
    pub fn digest(&mut self, hash: &Hash) -> Result<Option<Vec<u8>>, Unreadable> {
        if let Some((_, digest)) = self.digests.iter().find(|(known, _)| known == hash) {
            return Ok(Some(digest.clone()));
        }
        let Some(algorithm) = hash.ring() else { return Ok(None) };
        let mut context = Context::new(algorithm);
        let mut window = Vec::new();
        for range in &self.ranges {
            if let Some(bytes) = self.memory {
                context.update(slice(bytes, range)?);
                continue;
            }
            let mut offset = range.start;
            while offset < range.end {
                let size = usize::try_from(range.end - offset)
                    .map_or(HASH_WINDOW_SIZE, |left| left.min(HASH_WINDOW_SIZE));
                window.resize(size, 0);
                self.source.read_at(offset, &mut window)?;
                context.update(&window);
                offset = offset.saturating_add(size.try_into().map_err(|_| Unreadable)?);
            }
        }
        let digest = context.finish().as_ref().to_vec();
        self.digests.push((hash.clone(), digest.clone()));
        Ok(Some(digest))
    }

    /// The bytes themselves; `None` if they are more than one should hold in memory.
    pub fn bytes(&self) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        let size =
            self.ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
        if size > PLAIN_MESSAGE_SIZE_MAX {
            return Ok(None);
        }
        if let (Some(bytes), [range]) = (self.memory, &self.ranges[..]) {
            return Ok(Some(Cow::Borrowed(slice(bytes, range)?)));
        }
        let mut joined = Vec::new();
        for range in &self.ranges {
            let start = joined.len();
            let length = usize::try_from(range.end.saturating_sub(range.start));
            joined.resize(start + length.map_err(|_| Unreadable)?, 0);
            let into = joined.get_mut(start..).ok_or(Unreadable)?;
            self.source.read_at(range.start, into)?;
        }
        Ok(Some(Cow::Owned(joined)))
    }
}

fn slice<'a>(bytes: &'a [u8], range: &Range<u64>) -> Result<&'a [u8], Unreadable> {
    let start = usize::try_from(range.start).map_err(|_| Unreadable)?;
    let end = usize::try_from(range.end).map_err(|_| Unreadable)?;
    bytes.get(start..end).ok_or(Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    #[test]
    fn windows_and_memory_hash_alike() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let ranges = vec![0..10, 300_000..999_999];
        let expected = Sha256::of_parts(&[&bytes[..10], &bytes[300_000..999_999]]);
        for memory in [None, Some(&bytes[..])] {
            let mut content = Content::new(&bytes, memory, ranges.clone());
            assert_eq!(content.digest(&Hash::Sha256).unwrap().unwrap(), expected.0);
            assert_eq!(Sha256::of(&content.bytes().unwrap().unwrap()), expected);
        }
    }

    #[test]
    fn a_range_outside_is_unreadable() {
        let bytes = vec![1, 2, 3];
        let outside: Vec<_> = std::iter::once(1..9).collect();
        assert!(Content::new(&bytes, None, outside.clone()).digest(&Hash::Sha256).is_err());
        assert!(Content::new(&bytes, Some(&bytes), outside).digest(&Hash::Sha256).is_err());
    }
}
