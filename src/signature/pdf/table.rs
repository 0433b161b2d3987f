//! What a cross-reference section says of each object: sorted, in one piece of memory. A hostile
//! file lists a million objects in a few kilobytes; a hash map of them costs three times as much, and
//! every signature looks at a version of its own.

use super::xref::Entry;

/// Entries by object number; every number once.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(Vec<(u32, Entry)>);

impl Table {
    /// Sorts what was read; of a number that stands there twice the last entry counts. Also tells
    /// whether a number had two different entries.
    pub fn of(mut rows: Vec<(u32, Entry)>) -> (Self, bool) {
        let mut is_ambiguous = false;
        if !rows.is_sorted_by(|(left, _), (right, _)| left < right) {
            rows.sort_by_key(|(number, _)| *number);
            rows.dedup_by(|(number, entry), (kept_number, kept)| {
                if number != kept_number {
                    return false;
                }
                is_ambiguous |= entry != kept;
                std::mem::swap(entry, kept);
                true
            });
        }
        (Self(rows), is_ambiguous)
    }

    pub fn get(&self, number: u32) -> Option<&Entry> {
        let at = self.0.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        self.0.get(at).map(|(_, entry)| entry)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.0.iter().map(|(number, entry)| (*number, entry))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// These entries and those of `other`, which count where both speak of a number.
    pub fn overlaid(&self, other: &Self) -> Self {
        let (mut older, mut newer) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut rows = Vec::with_capacity(self.len() + other.len());
        loop {
            let row = match (older.peek(), newer.peek()) {
                (None, None) => return Self(rows),
                (Some((left, _)), Some((right, _))) if left < right => older.next(),
                (Some((left, _)), Some((right, _))) if left == right => {
                    older.next();
                    newer.next()
                }
                (_, Some(_)) => newer.next(),
                (Some(_), None) => older.next(),
            };
            rows.extend(row.copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &Table) -> Vec<(u32, Entry)> {
        table.iter().map(|(number, entry)| (number, *entry)).collect()
    }

    #[test]
    fn the_last_of_two_entries_counts_and_is_noticed() {
        let at = |offset| Entry::At { offset };
        let (table, is_ambiguous) = Table::of(vec![(7, at(1)), (3, at(2)), (7, at(3))]);
        assert!(is_ambiguous);
        assert_eq!(rows(&table), [(3, at(2)), (7, at(3))]);
        assert_eq!((table.get(7), table.get(8)), (Some(&at(3)), None));
        assert!(!Table::of(vec![(7, at(1)), (7, at(1))]).1);
    }

    #[test]
    fn newer_entries_overlay_older_ones() {
        let at = |offset| Entry::At { offset };
        let (older, _) = Table::of(vec![(1, at(1)), (2, at(2)), (5, at(5))]);
        let (newer, _) = Table::of(vec![(0, Entry::Free), (2, Entry::Free), (9, at(9))]);
        let both = older.overlaid(&newer);
        let expected = [(0, Entry::Free), (1, at(1)), (2, Entry::Free), (5, at(5)), (9, at(9))];
        assert_eq!(rows(&both), expected);
    }
}
