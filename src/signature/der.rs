//! Certificates and lists as they travel with verdicts.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::digest::Sha256;

/// A DER object that verdicts rest on, with its SHA-256: hashed once, cheap to pass on.
#[derive(Clone)]
pub struct Der {
    bytes: Arc<[u8]>,
    digest: Sha256,
}

impl Der {
    /// Hashes `bytes`.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: Sha256::of(&bytes), bytes }
    }

    /// Its digest.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}

impl Deref for Der {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Der {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Der {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Der {}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({})", self.digest)
    }
}
