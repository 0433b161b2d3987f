//! What a sender asks after a document was sent, and what its recipient says to it: statuses 13, 15 and
//! 16, business types 1 to 3 of the national axis.
//!
//! Both sides act whenever they like, and the log has one order: whichever entry stands first decides.
//! What the recipient has not taken is out of its mailbox at once. What it has taken only the recipient
//! can give back, and says so itself.
//!
//! | the delivery is | an order | an answer to it |
//! |---|---|---|
//! | in the mailbox | withdraws it; the gateway agrees | refused: nothing is asked |
//! | taken | waits for the recipient | 15 ends it, 16 leaves everything as it was |
//! | taken, an order waits | refused, unless it is the same | 15 or 16, once |
//! | given back or destroyed (02, 15, withdrawn, redirected) | refused: there is nothing to have back | the first answer, if it is the same |

use super::state::{Delivery, Transport};
use crate::document::ConsignmentId;
use crate::log::EntryId;
use crate::refusal::{Reason, Refusal};

/// What a sender asks after a document was sent (`BussinessDocType` 1 to 3 of edXML).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// To have it back (thu hồi, lấy lại).
    Recall,
    /// To take another consignment as its new state (cập nhật).
    Update,
    /// To take another consignment in its place (thay thế).
    Replace,
}

impl OrderKind {
    /// Every kind with its word in the log.
    pub const WORDS: &'static [(&'static str, OrderKind)] = &[
        ("RECALL", OrderKind::Recall),
        ("UPDATE", OrderKind::Update),
        ("REPLACE", OrderKind::Replace),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
    }
}

/// The latest order of the sender about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What it asks.
    pub kind: OrderKind,
    /// The consignment that updates or replaces.
    pub by: Option<ConsignmentId>,
    /// The entry that says so.
    pub entry: EntryId,
    /// Whether it was agreed to, and the entry of the answer; `None` while it waits.
    pub answer: Option<(bool, EntryId)>,
}

/// What an order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// The same order stands there already.
    Before(EntryId),
    /// The recipient has to answer it.
    Waits,
    /// The document leaves the mailbox, for which the gateway answers.
    Withdraws,
}

/// What an answer to an order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    /// The same answer stands there already.
    Before(EntryId),
    /// It answers this order.
    To(OrderKind),
}

impl Delivery {
    /// What an order of the sender does to it. `replaced` tells of the consignment that updates or
    /// replaces it at the same recipient; it must have been sent there.
    ///
    /// # Errors
    /// [`Reason::OrderWaits`] while another one has no answer, [`Reason::OrderPointless`] if the recipient
    /// does not have it, [`Reason::OrderBehindNeighbour`], [`Reason::ReplacementNotSent`].
    pub fn ordered(
        &self,
        kind: OrderKind,
        by: Option<ConsignmentId>,
        replacement: Option<&Delivery>,
    ) -> Result<Ordered, Refusal> {
        if let Some(order) = &self.order {
            let same = (order.kind, order.by) == (kind, by);
            match order.answer {
                None if same => return Ok(Ordered::Before(order.entry)),
                None => return Err(Refusal::new(Reason::OrderWaits).with("entry", order.entry)),
                Some((true, _)) if same => return Ok(Ordered::Before(order.entry)),
                Some((true, entry)) if order.kind != OrderKind::Update => {
                    return Err(self.pointless(entry));
                }
                Some(_) => {}
            }
        }
        let there =
            |one: &&Delivery| matches!(one.transport, Transport::Consigned | Transport::HandedOver);
        if by.is_some() && replacement.filter(there).is_none() {
            let refusal = Refusal::of_field(Reason::ReplacementNotSent, "by");
            return Err(refusal.with("recipient", &self.recipient));
        }
        match self.transport {
            _ if self.via.is_some() => {
                let refusal = Refusal::of_field(Reason::OrderBehindNeighbour, "recipients");
                Err(refusal.with("recipient", &self.recipient))
            }
            Transport::Consigned => Ok(Ordered::Withdraws),
            Transport::HandedOver => Ok(Ordered::Waits),
            _ => Err(self.pointless(self.latest)),
        }
    }

    fn pointless(&self, entry: EntryId) -> Refusal {
        let refusal = Refusal::of_field(Reason::OrderPointless, "recipients");
        refusal.with("recipient", &self.recipient).with("entry", entry)
    }

    /// What the recipient's answer to an order does.
    ///
    /// # Errors
    /// [`Reason::OrderUnknown`] if none waits and the last one was not answered so.
    pub fn replied(&self, agrees: bool) -> Result<Replied, Refusal> {
        match self.order {
            Some(Order { answer: None, kind, .. }) => Ok(Replied::To(kind)),
            Some(Order { answer: Some((agreed, entry)), .. })
                if agreed == agrees && self.transport != Transport::Withdrawn =>
            {
                Ok(Replied::Before(entry))
            }
            _ => Err(Refusal::of_field(Reason::OrderUnknown, "consignment_id")),
        }
    }

    /// Whether the recipient may still read the content.
    ///
    /// # Errors
    /// [`Reason::DocumentWithdrawn`] with the entry after which it must not.
    pub fn may_read(&self) -> Result<(), Refusal> {
        let withdrawn = self.transport == Transport::Withdrawn;
        let given_back = self.order.and_then(|order| match (order.kind, order.answer) {
            (OrderKind::Recall | OrderKind::Replace, Some((true, entry))) => Some(entry),
            _ => withdrawn.then_some(self.latest),
        });
        match given_back {
            Some(entry) => Err(Refusal::new(Reason::DocumentWithdrawn).with("entry", entry)),
            None => Ok(()),
        }
    }
}
