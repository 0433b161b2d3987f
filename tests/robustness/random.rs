//! Numbers that look random and are the same in every run (Steele, Lea and Flood 2014).

/// A generator.
pub struct Random(u64);

impl Random {
    /// The numbers of one iteration of a run.
    pub fn new(seed: u64, iteration: u64) -> Self {
        let mut random = Self(seed);
        let mixed = random.next() ^ iteration;
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// A place of a size that is short more often than long.
    pub fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let longest = 1 << self.below(14);
        let start = self.below(length);
        start..(start + 1 + self.below(longest)).min(length)
    }
}
