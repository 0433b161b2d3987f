//! A blocked Bloom filter: most runs do not know a hash, and say so at the price of one cache miss.
//!
//! One block of 512 bits per lookup, six bits in it; at ten bits a record about 1 % of the answers
//! are a wrong "perhaps" (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters).

use crate::limits::INDEX_FILTER_BITS;

/// Bits of a block: a cache line.
const BLOCK_BITS: u64 = 512;
const BLOCK_WORDS: usize = 8;
/// Bits that a hash sets in its block.
const PROBES: u32 = 6;
/// Odd, without structure: 2⁶⁴ divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which hashes may be in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(Vec<[u64; BLOCK_WORDS]>);

impl Filter {
    /// A filter for so many records.
    pub fn new(records: u64) -> Self {
        let blocks = (records * INDEX_FILTER_BITS).div_ceil(BLOCK_BITS).max(1);
        let blocks = usize::try_from(blocks).expect("a run fits into memory many times over");
        Self(vec![[0; BLOCK_WORDS]; blocks])
    }

    pub fn add(&mut self, hash: u64) {
        let block = self.block(hash);
        for (word, bit) in bits(hash) {
            self.0[block][word] |= bit;
        }
    }

    pub fn may_have(&self, hash: u64) -> bool {
        let block = &self.0[self.block(hash)];
        bits(hash).all(|(word, bit)| block[word] & bit != 0)
    }

    fn block(&self, hash: u64) -> usize {
        let blocks = self.0.len() as u128;
        let scaled = (u128::from(hash.wrapping_mul(SPREAD)) * blocks) >> u64::BITS;
        usize::try_from(scaled).expect("below the number of blocks")
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// The filter for so many records from its bytes; `None` if they are of another size.
    pub fn from_bytes(records: u64, bytes: &[u8]) -> Option<Self> {
        let mut filter = Self::new(records);
        if bytes.len() != filter.0.len() * BLOCK_WORDS * 8 {
            return None;
        }
        let words = filter.0.iter_mut().flatten();
        for (word, bytes) in words.zip(bytes.chunks_exact(8)) {
            *word = u64::from_be_bytes(bytes.try_into().ok()?);
        }
        Some(filter)
    }
}

/// Word and bit of each probe.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(SPREAD) >> 8;
    (0..PROBES).map(move |probe| {
        let bit = (mixed >> (9 * probe)) % BLOCK_BITS;
        (usize::try_from(bit / 64).expect("below eight"), 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    fn hash(number: u64) -> u64 {
        let digest = Sha256::of(&number.to_be_bytes());
        u64::from_be_bytes(digest.0[..8].try_into().expect("eight bytes"))
    }

    #[test]
    fn what_was_added_is_never_denied_and_little_else_is_admitted() {
        for records in [1, 100, 20_000] {
            let mut filter = Filter::new(records);
            (0..records).for_each(|number| filter.add(hash(number)));
            assert!((0..records).all(|number| filter.may_have(hash(number))));
            let wrong = (0..20_000).filter(|number| filter.may_have(hash(1 << 40 | number)));
            assert!(wrong.count() < 600, "of 20,000, in a filter of {records}");
            let read = Filter::from_bytes(records, &filter.to_bytes());
            assert_eq!(read, Some(filter.clone()));
            assert_eq!(Filter::from_bytes(records, &filter.to_bytes()[8..]), None);
        }
    }
}
