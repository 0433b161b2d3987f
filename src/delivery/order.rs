//! What a sender asks after a document was sent, and what its recipient says to it: statuses 13, 15 and
//! 16, business types 1 to 3 of the national axis.
//!
//! Both sides act whenever they like, and the log has one order: whichever entry stands first decides.
//! What the recipient has not taken is out of its mailbox at once. What it has taken only the recipient
//! can give back, and says so itself. What is behind a neighbour is decided by the log of the gateway that
//! has the mailbox: the order goes there after the document, and the answer comes back as it was given.
//!
//! | the delivery is | an order | an answer to it |
//! |---|---|---|
//! | in the mailbox | withdraws it; the gateway agrees | refused: nothing is asked |
//! | taken | waits for the recipient | 15 ends it, 16 leaves everything as it was |
//! | behind a neighbour, taken or not | waits for what the neighbour tells | 15 ends it, 16 leaves everything as it was |
//! | an order waits | refused, unless it is the same | 15 or 16, once |
//! | given back or destroyed (02, 15, withdrawn, redirected, rejected by a neighbour) | refused: there is nothing to have back; one that waited has lapsed | the first answer, if it is the same |

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
    /// What an order of the sender does to it.
    ///
    /// # Errors
    /// [`Reason::OrderWaits`] while another one has no answer, [`Reason::OrderPointless`] if the recipient
    /// does not have it.
    pub fn ordered(&self, kind: OrderKind, by: Option<ConsignmentId>) -> Result<Ordered, Refusal> {
        let there = self.is_there();
        if let Some(order) = &self.order {
            let same = (order.kind, order.by) == (kind, by);
            match order.answer {
                None if same => return Ok(Ordered::Before(order.entry)),
                None if there => {
                    return Err(Refusal::new(Reason::OrderWaits).with("entry", order.entry));
                }
                Some((true, _)) if same => return Ok(Ordered::Before(order.entry)),
                Some((true, entry)) if order.kind != OrderKind::Update => {
                    return Err(self.pointless(entry));
                }
                _ => {}
            }
        }
        match self.transport {
            _ if !there => Err(self.pointless(self.latest)),
            Transport::Consigned if self.via.is_none() => Ok(Ordered::Withdraws),
            _ => Ok(Ordered::Waits),
        }
    }

    /// Whether the recipient has it, may take it, or will get it as far as we know.
    pub(super) fn is_there(&self) -> bool {
        match self.transport {
            Transport::Consigned
            | Transport::HandedOver
            | Transport::Relaying
            | Transport::Relayed => true,
            Transport::Rejected
            | Transport::RelayRejected
            | Transport::Redirected
            | Transport::Withdrawn => false,
        }
    }

    /// Whether `other`, a delivery of another consignment to the same recipient, can update or replace it:
    /// the recipient must be able to see it, and both must have come the same way.
    ///
    /// # Errors
    /// [`Reason::ReplacementNotSent`].
    pub fn replaced_by(&self, other: Option<&Delivery>) -> Result<(), Refusal> {
        let seen = |other: &&Delivery| {
            let there = matches!(other.transport, Transport::Consigned | Transport::HandedOver);
            there && other.via == self.via
        };
        match other.filter(seen) {
            Some(_) => Ok(()),
            None => {
                let refusal = Refusal::of_field(Reason::ReplacementNotSent, "by");
                Err(refusal.with("recipient", &self.recipient))
            }
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
