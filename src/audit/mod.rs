//! The auditor: re-derives the whole log from its bytes and the gateway's public key.
//!
//! It is written from `log/FORMAT.md` alone and shares no code with the writer of the log: it reads
//! leaves, hashes the tree and follows each delivery in its own way, so that a mistake of the writer
//! does not repeat here. Only the note around a checkpoint is opened with the log's own code.
//!
//! It trusts the key it was given and nothing else; it never repairs, and it never stops at the
//! first finding. Memory grows with the number of consignments, not with the bytes of the log: about
//! 35 MiB for 1,000,000 entries (consignments with three recipients).

mod auditor;
#[cfg(test)]
pub(crate) mod book;
mod course;
mod dossier;
#[cfg(test)]
mod dossier_model;
#[cfg(test)]
mod forgeries;
mod frontier;
mod history;
mod keeping;
#[cfg(test)]
mod incidents;
mod leaf;
mod remembered;
mod report;
mod services;
mod shape;

pub use auditor::Auditor;
pub use leaf::misfit;
pub use remembered::{NotRemembered, Remembered};
pub use report::{Counts, Finding, Head, Report, Rule};
