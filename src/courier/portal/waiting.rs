//! What waits for its turn: a message in the mailbox, or a step that the gateway told.

use super::steps::Told;

/// Something that is to be handed over.
#[derive(Clone)]
pub(super) struct Waiting {
    /// Code of the dossier; empty if it is about none.
    pub(super) dossier: String,
    /// What it is.
    pub(super) errand: Errand,
}

/// What is handed over.
#[derive(Clone)]
pub(super) enum Errand {
    /// A message in the mailbox.
    Message { consignment: String, sender: String },
    /// A step that the gateway told.
    Step(Box<Told>),
}

impl Waiting {
    /// What is held if there is trouble with it: its dossier, or itself.
    pub(super) fn key(&self) -> &str {
        match &self.errand {
            Errand::Message { consignment, .. } if self.dossier.is_empty() => consignment,
            _ => &self.dossier,
        }
    }

    /// What the traces call it.
    pub(super) fn name(&self) -> String {
        match &self.errand {
            Errand::Message { consignment, .. } => consignment.clone(),
            Errand::Step(told) => format!("step {}", told.place),
        }
    }
}
