//! Evidence that stands alone.

use crate::digest::Sha256;
use crate::log::EntryId;

/// Proof that an entry stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The exact bytes of the entry.
    pub leaf: Vec<u8>,
    /// Where it stands.
    pub id: EntryId,
    /// Audit path.
    pub path: Vec<Sha256>,
    /// The signed checkpoint.
    pub checkpoint: Vec<u8>,
}
