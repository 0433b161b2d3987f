//! Bytes that can be read at any offset without being in memory at once: a document of 1 GiB is
//! verified through a small window.

use crate::digest::{Hasher, Sha256};
use crate::limits::HASH_STATE_EVERY;

/// The bytes could not be read; the cause is in the traces of whoever owns the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content could not be read")]
pub struct Unreadable;

/// Random-access, unchanging bytes.
pub trait Source {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Unreadable`] if the range leaves the content or the medium fails.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable>;

    /// All bytes, if they are in memory anyway.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }

    /// SHA-256 of the longest beginning of at most `size` bytes for which it is known already, and
    /// how long that is.
    fn hashed(&self, _size: u64) -> Option<(u64, Hasher)> {
        None
    }
}

impl<T: AsRef<[u8]>> Source for T {
    fn size(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(offset).map_err(|_| Unreadable)?;
        let end = start.checked_add(into.len()).ok_or(Unreadable)?;
        into.copy_from_slice(self.as_ref().get(start..end).ok_or(Unreadable)?);
        Ok(())
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self.as_ref())
    }
}

/// Bytes in memory that were hashed once, with the states on the way. A signature covers nearly
/// all of its document, so its digest goes on from there instead of reading everything again.
#[derive(Clone)]
pub struct Hashed<B> {
    /// The bytes.
    pub bytes: B,
    /// Their digest.
    pub digest: Sha256,
    states: Vec<Hasher>,
}

impl<B: AsRef<[u8]>> Hashed<B> {
    /// Hashes `bytes`.
    pub fn new(bytes: B) -> Self {
        let mut states = Vec::with_capacity(bytes.as_ref().len() / HASH_STATE_EVERY + 1);
        let mut hasher = Hasher::default();
        for piece in bytes.as_ref().chunks(HASH_STATE_EVERY) {
            states.push(hasher.clone());
            hasher.update(piece);
        }
        Self { bytes, digest: hasher.finish(), states }
    }
}

impl<B: AsRef<[u8]>> Source for Hashed<B> {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes.read_at(offset, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.bytes.in_memory()
    }

    fn hashed(&self, size: u64) -> Option<(u64, Hasher)> {
        let passed = usize::try_from(size).unwrap_or(usize::MAX) / HASH_STATE_EVERY;
        let at = passed.min(self.states.len().checked_sub(1)?);
        Some(((at * HASH_STATE_EVERY) as u64, self.states.get(at)?.clone()))
    }
}

/// Bytes that are not taken for in memory.
#[cfg(test)]
pub(crate) struct OnDisk<'a>(pub &'a [u8]);

#[cfg(test)]
impl Source for OnDisk<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read_at(offset, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_beginning_is_hashed_from_a_state_on_the_way() {
        let bytes: Vec<u8> = (0..5 * HASH_STATE_EVERY / 2).map(|n| n as u8).collect();
        let hashed = Hashed::new(&bytes);
        assert_eq!(hashed.digest, Sha256::of(&bytes));
        let every = HASH_STATE_EVERY as u64;
        for (size, known) in [(0, 0), (every - 1, 0), (every, every), (u64::MAX, 2 * every)] {
            let (start, mut hasher) = hashed.hashed(size).expect("there are bytes");
            assert_eq!(start, known);
            hasher.update(&bytes[start as usize..]);
            assert_eq!(hasher.finish(), hashed.digest);
        }
        assert!(Hashed::new([]).hashed(9).is_none());
    }
}
