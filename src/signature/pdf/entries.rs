//! The entries of a dictionary: sorted, in one piece of memory, so that a file of tiny dictionaries
//! costs little more than it counts against the budget.

use super::object::Object;

/// Keys and values; every key once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entries(Vec<(Vec<u8>, Object)>);

impl Entries {
    /// Sorts what was read; of a key that stands there twice the last value counts. Also tells
    /// whether a key other than /Type had two different values.
    pub fn of(mut pairs: Vec<(Vec<u8>, Object)>) -> (Self, bool) {
        let mut has_doubles = false;
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        pairs.dedup_by(|(key, value), (kept_key, kept)| {
            if key != kept_key {
                return false;
            }
            // Honest time-stamps say what they are once as a signature and once as a time-stamp.
            has_doubles |= value != kept && key != b"Type";
            std::mem::swap(value, kept);
            true
        });
        pairs.shrink_to_fit();
        (Self(pairs), has_doubles)
    }

    pub fn get(&self, key: &[u8]) -> Option<&Object> {
        let at = self.0.binary_search_by(|(known, _)| known.as_slice().cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Puts a value in the place of the one that is there.
    pub fn insert(&mut self, key: Vec<u8>, value: Object) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some((_, known)) = self.0.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Object)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The values may be changed, the keys not.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Vec<u8>, &mut Object)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.0.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &Object> {
        self.0.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_values_counts_and_is_noticed() {
        let pair = |key: &[u8], value| (key.to_vec(), Object::Integer(value));
        let (entries, has_doubles) = Entries::of(vec![pair(b"b", 1), pair(b"a", 2), pair(b"b", 3)]);
        assert!(has_doubles);
        assert_eq!(entries.get(b"b"), Some(&Object::Integer(3)));
        assert_eq!(entries.keys().count(), 2);
        let (entries, has_doubles) = Entries::of(vec![pair(b"b", 1), pair(b"b", 1)]);
        assert_eq!((entries.iter().count(), has_doubles), (1, false));
    }
}
