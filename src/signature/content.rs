//! The bytes that a signature is about: ranges of a source, hashed once per algorithm.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use ring::digest::Context;

use super::algorithm::Hash;
use crate::limits::{HASH_WINDOW_SIZE, PLAIN_MESSAGE_SIZE_MAX};
use crate::source::{Source, Unreadable};

/// What several contents of one source have in common. The signatures of a document share nearly
/// all of it: it is hashed once, with the states kept where each of them leaves the rest.
pub(super) struct Beginning {
    /// Where the first ranges of the contents end, ascending.
    ends: Vec<u64>,
    known: RefCell<Vec<(Hash, u64, Context)>>,
}

impl Beginning {
    /// `ends` are the ends of the first ranges.
    pub fn new(mut ends: Vec<u64>) -> Self {
        ends.sort_unstable();
        Self { ends, known: RefCell::default() }
    }

    /// Where hashing from `start` to `end` stops on its way.
    fn stops(&self, start: u64, end: u64) -> impl Iterator<Item = u64> {
        self.ends.iter().copied().filter(move |stop| start < *stop && *stop <= end)
    }

    fn before(&self, hash: &Hash, end: u64) -> Option<(u64, Context)> {
        let known = self.known.borrow();
        let fits = known.iter().filter(|(other, size, _)| other == hash && *size <= end);
        fits.max_by_key(|(_, size, _)| *size).map(|(_, size, context)| (*size, context.clone()))
    }

    fn keep(&self, hash: &Hash, size: u64, context: &Context) {
        self.known.borrow_mut().push((hash.clone(), size, context.clone()));
    }
}

/// Ranges of a source, one after the other.
pub(super) struct Content<'a> {
    source: &'a dyn Source,
    /// What other contents of the same source have hashed.
    beginning: Option<&'a Beginning>,
    ranges: Vec<Range<u64>>,
    digests: Vec<(Hash, Vec<u8>)>,
}

impl<'a> Content<'a> {
    pub fn new(
        source: &'a dyn Source,
        beginning: Option<&'a Beginning>,
        ranges: Vec<Range<u64>>,
    ) -> Self {
        Self { source, beginning, ranges, digests: Vec::new() }
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
        for (position, range) in self.ranges.iter().enumerate() {
            let mut start = range.start;
            if position == 0 && start == 0 {
                if let Some((size, known)) = self.known(hash, range.end) {
                    (start, context) = (size, known);
                }
                self.begin(hash, &mut context, start, range.end)?;
            } else {
                self.update(&mut context, start..range.end)?;
            }
        }
        let digest = context.finish().as_ref().to_vec();
        self.digests.push((hash.clone(), digest.clone()));
        Ok(Some(digest))
    }

    /// The longest beginning up to `end` that was hashed before.
    fn known(&self, hash: &Hash, end: u64) -> Option<(u64, Context)> {
        let by_others = self.beginning.and_then(|beginning| beginning.before(hash, end));
        let by_source = self.source.hashed(end).filter(|_| *hash == Hash::Sha256);
        let by_source = by_source.map(|(size, hasher)| (size, hasher.into_context()));
        by_others.into_iter().chain(by_source).max_by_key(|(size, _)| *size)
    }

    fn begin(
        &self,
        hash: &Hash,
        context: &mut Context,
        mut start: u64,
        end: u64,
    ) -> Result<(), Unreadable> {
        let Some(beginning) = self.beginning else { return self.update(context, start..end) };
        for stop in beginning.stops(start, end) {
            self.update(context, start..stop)?;
            beginning.keep(hash, stop, context);
            start = stop;
        }
        self.update(context, start..end)
    }

    fn update(&self, context: &mut Context, range: Range<u64>) -> Result<(), Unreadable> {
        if let Some(bytes) = self.source.in_memory() {
            context.update(slice(bytes, &range)?);
            return Ok(());
        }
        let mut window = Vec::new();
        let mut offset = range.start;
        while offset < range.end {
            let size = usize::try_from(range.end - offset)
                .map_or(HASH_WINDOW_SIZE, |left| left.min(HASH_WINDOW_SIZE));
            window.resize(size, 0);
            self.source.read_at(offset, &mut window)?;
            context.update(&window);
            offset = offset.saturating_add(size.try_into().map_err(|_| Unreadable)?);
        }
        Ok(())
    }

    /// The bytes themselves; `None` if they are more than one should hold in memory.
    pub fn bytes(&self) -> Result<Option<Cow<'a, [u8]>>, Unreadable> {
        let size =
            self.ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
        if size > PLAIN_MESSAGE_SIZE_MAX {
            return Ok(None);
        }
        if let (Some(bytes), [range]) = (self.source.in_memory(), &self.ranges[..]) {
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
    use crate::source::OnDisk;

    #[test]
    fn windows_and_memory_hash_alike() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let ranges = vec![0..10, 300_000..999_999];
        let expected = Sha256::of_parts(&[&bytes[..10], &bytes[300_000..999_999]]);
        for source in [&bytes as &dyn Source, &OnDisk(&bytes)] {
            let mut content = Content::new(source, None, ranges.clone());
            assert_eq!(content.digest(&Hash::Sha256).unwrap().unwrap(), expected.0);
            assert_eq!(Sha256::of(&content.bytes().unwrap().unwrap()), expected);
        }
    }

    /// Reads nothing before `from`: what was hashed once is not read again.
    struct OnlyFrom<'a> {
        bytes: &'a [u8],
        from: std::cell::Cell<u64>,
    }

    impl Source for OnlyFrom<'_> {
        fn size(&self) -> u64 {
            self.bytes.size()
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
            if offset < self.from.get() {
                Err(Unreadable)
            } else {
                self.bytes.read_at(offset, into)
            }
        }
    }

    #[test]
    fn what_contents_share_is_read_once_whichever_is_asked_first() {
        let bytes: Vec<u8> = (0..9_000_u32).map(|n| u8::try_from(n % 241).unwrap()).collect();
        let source = OnlyFrom { bytes: &bytes, from: 0.into() };
        let beginning = Beginning::new(vec![6_000, 3_000]);
        let digest = |hash: &Hash, first: u64, second: u64, end: u64| {
            let ranges = vec![0..first, second..end];
            Content::new(&source, Some(&beginning), ranges).digest(hash)
        };
        let expected = |first: usize, second: usize, end: usize| {
            Ok(Some(Sha256::of_parts(&[&bytes[..first], &bytes[second..end]]).0.to_vec()))
        };
        assert_eq!(digest(&Hash::Sha256, 6_000, 7_000, 9_000), expected(6_000, 7_000, 9_000));
        source.from.set(3_000);
        assert_eq!(digest(&Hash::Sha256, 3_000, 4_000, 5_000), expected(3_000, 4_000, 5_000));
        assert_eq!(digest(&Hash::Sha256, 5_999, 7_000, 9_000), expected(5_999, 7_000, 9_000));
        assert_eq!(digest(&Hash::Sha256, 2_999, 7_000, 9_000), Err(Unreadable));
        assert_eq!(digest(&Hash::Sha384, 8_000, 8_500, 9_000), Err(Unreadable));
    }

    #[test]
    fn a_range_outside_is_unreadable() {
        let bytes = vec![1, 2, 3];
        let outside: Vec<_> = std::iter::once(1..9).collect();
        assert!(
            Content::new(&OnDisk(&bytes), None, outside.clone()).digest(&Hash::Sha256).is_err()
        );
        assert!(Content::new(&bytes, None, outside).digest(&Hash::Sha256).is_err());
    }
}
