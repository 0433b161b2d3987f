//! The tree of one epoch, as far as it must be remembered: the roots of its complete subtrees.

use crate::digest::Sha256;

/// A binary counter of subtree roots (RFC 6962 §2.1): place `h` holds the root over 2^h leaves where
/// the number of leaves has that bit.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    places: Vec<Option<Sha256>>,
    count: u64,
}

impl Frontier {
    /// The tree of `count` leaves whose complete subtrees have these roots, the largest first;
    /// `None` if a tree of that size has more or fewer of them.
    pub(super) fn of(count: u64, peaks: &[Sha256]) -> Option<Self> {
        let mut peaks = peaks.iter().rev();
        let mut places = Vec::new();
        for height in 0..u64::BITS - count.leading_zeros() {
            places.push(match count >> height & 1 {
                1 => Some(*peaks.next()?),
                _ => None,
            });
        }
        peaks.next().is_none().then_some(Self { places, count })
    }

    /// The roots of the complete subtrees, the largest first.
    pub(super) fn peaks(&self) -> Vec<Sha256> {
        self.places.iter().rev().flatten().copied().collect()
    }

    /// Leaves taken.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next leaf: carries as a counter does.
    pub(super) fn push(&mut self, leaf: &[u8]) {
        self.count += 1;
        let mut carry = Sha256::of_parts(&[&[0x00], leaf]);
        for place in &mut self.places {
            match place.take() {
                Some(left) => carry = join(&left, &carry),
                None => {
                    *place = Some(carry);
                    return;
                }
            }
        }
        self.places.push(Some(carry));
    }

    /// The root over all leaves; `None` if there is none.
    pub(super) fn root(&self) -> Option<Sha256> {
        let mut peaks = self.places.iter().flatten();
        let smallest = *peaks.next()?;
        Some(peaks.fold(smallest, |right, left| join(left, &right)))
    }
}

fn join(left: &Sha256, right: &Sha256) -> Sha256 {
    Sha256::of_parts(&[&[0x01], &left.0, &right.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Tree, leaf_hash};

    #[test]
    fn the_auditor_and_the_writer_come_to_the_same_root_at_every_size() {
        let (mut ours, mut theirs) = (Frontier::default(), Tree::default());
        assert_eq!(ours.root(), None);
        for index in 0..300u64 {
            let leaf = index.to_be_bytes();
            ours.push(&leaf);
            theirs.append(vec![leaf_hash(&leaf)]);
            assert_eq!(ours.root(), Some(theirs.root()), "size {}", index + 1);
            assert_eq!(ours.count(), theirs.size());
            let again = Frontier::of(ours.count(), &ours.peaks()).expect("as many as there are");
            assert_eq!((again.root(), again.count()), (ours.root(), ours.count()));
            assert!(Frontier::of(ours.count() ^ 1, &ours.peaks()).is_none());
        }
    }
}
