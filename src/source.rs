//! Bytes that can be read at any offset without being in memory at once: a document of 1 GiB is
//! verified through a small window.

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
}
