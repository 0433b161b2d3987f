//! Whether the bodies of a consignment are still kept, must be, or are erased.

use crate::log::{Entry, EntryId, Event};
use crate::refusal::{Reason, Refusal};

/// What entries said about keeping the bodies of one consignment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Holds that last: the reason and the entry of each, in the order of the entries.
    pub holds: Vec<(String, EntryId)>,
    /// The entry that said that they are erased.
    pub erased: Option<EntryId>,
}

impl Keeping {
    /// The state after one more entry.
    #[must_use]
    pub(super) fn after(mut self, id: EntryId, entry: &Entry) -> Self {
        let reason = entry.reason.clone().unwrap_or_default();
        match entry.event {
            Event::Hold if !self.is_held_for(&reason) => self.holds.push((reason, id)),
            Event::Release => self.holds.retain(|(held, _)| *held != reason),
            Event::Erasure => self.erased = self.erased.or(Some(id)),
            _ => {}
        }
        self
    }

    /// Whether a hold for this reason lasts.
    pub fn is_held_for(&self, reason: &str) -> bool {
        self.holds.iter().any(|(held, _)| held == reason)
    }

    /// Whether the bodies are still there for the consignment's parties.
    ///
    /// # Errors
    /// [`Reason::ContentErased`] with the entry that said so.
    pub fn check_kept(&self) -> Result<(), Refusal> {
        match self.erased {
            None => Ok(()),
            Some(entry) => Err(Refusal::new(Reason::ContentErased).with("entry", entry)),
        }
    }

    /// Whether they may be erased.
    ///
    /// # Errors
    /// [`Reason::ContentErased`], [`Reason::ContentHeld`] with the first hold.
    pub fn check_erasable(&self) -> Result<(), Refusal> {
        self.check_kept()?;
        match self.holds.first() {
            None => Ok(()),
            Some((reason, entry)) => {
                let refusal = Refusal::of_field(Reason::ContentHeld, "consignment_id");
                Err(refusal.with("hold", reason).with("entry", entry))
            }
        }
    }
}
