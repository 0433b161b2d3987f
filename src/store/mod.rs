//! The store: everything that must survive a restart, behind the ports of the hall.
//!
//! [`sled`] and [`memory`] are two ordered maps; [`Table`] is the store over either, written once.
//! Bodies lie beside it in [`content`], the last signed head in [`guard`].
//!
//! Trust: none of it is evidence. Who edits the store is noticed when the tree no longer gives the
//! root that was signed; who sets all of it back is noticed by the witnesses of the log.

mod archive;
pub mod backup;
pub mod check;
mod commit;
pub mod content;
mod disk;
mod dossier;
pub mod guard;
mod index;
mod keyspace;
mod kv;
mod leaf;
mod lookup;
mod mailbox;
pub mod memory;
pub mod notebook;
mod rebuild;
mod record;
pub mod sled;
mod table;
mod upload;
mod volume;
mod writer;

pub use disk::DiskSpace;
pub use kv::{Files, Kv, Medium, Pair, Write};
pub use table::Table;
