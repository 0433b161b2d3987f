//! What travels: the envelope and its parts.
//!
//! The envelope's bytes are kept and hashed as they came, never re-encoded (design D1). Reading
//! them gives an [`Envelope`]; there is no other way to make one.

mod check;
mod dossier;
mod envelope;

pub use dossier::DossierCode;
pub use envelope::{
    Addressee, ConsignmentId, Draft, Envelope, Form, Link, Part, PartDraft, PartRole, PartTarget,
    RequestId, Signer, Urgency,
};
