//! Evidence: what the gateway hands out so that others can prove, without it, what happened.
//!
//! A [`Receipt`] proves one entry of the log; an [`Evidence`] file proves all that the log says of one
//! consignment, with the bytes that the entries commit to. Both are defined in `FORMAT.md` and are
//! checked with nothing but the public key of the log. What a file says about itself is never
//! believed: every statement comes from an entry whose inclusion was proven.

mod archive;
mod bundle;
mod course;
mod erds;
mod examine;
#[cfg(test)]
mod forgeries;
mod manifest;
mod neighbour;
mod page;
mod receipt;
mod reconcile;
#[cfg(test)]
mod sealed_tests;
mod stamped;
mod statement;
#[cfg(test)]
mod story;
mod verify;

pub use bundle::{Evidence, EvidencePart, NotBundled};
pub use erds::Seal;
pub use neighbour::told_by;
pub(crate) use page::escaped;
pub use receipt::{ProvenEntry, Receipt, ReceiptError};
pub use reconcile::{Finding, Gap, Held, Side, reconcile};
pub use stamped::{CoveringStamp, EvidenceStamp};
pub use statement::Statement;
pub use verify::{
    Attachment, Binding, Broken, Fault, Findings, PartInfo, SealedEvent, Verified, verify,
};
