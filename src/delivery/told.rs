//! What a neighbour's word is to a delivery: news, or known already. Words come again after every
//! interruption, and are recorded once.

use super::order::{OrderKind, Ordered};
use super::state::{Delivery, Transport};
use crate::log::{Entry, Event};

impl Delivery {
    /// Whether the neighbour behind which the recipient is may tell this answer to an order, or this
    /// redirection; everything else is known by its event.
    pub fn fits(&self, word: &Entry) -> bool {
        match word.event {
            Event::Redirection => word.to.as_ref() != Some(&self.recipient),
            Event::OrderAnswer => {
                let asked = self.order.map(|order| order.kind.word());
                asked.is_some() && asked == word.reason.as_deref()
            }
            _ => true,
        }
    }

    /// Whether it is news that the neighbour behind which the recipient is tells this event; `None` for one
    /// that may happen again, where only the evidence shows whether it was told before.
    pub fn is_news(&self, event: Event) -> Option<bool> {
        let seen = &self.milestones;
        let on_its_way = matches!(self.transport, Transport::Relaying | Transport::Relayed);
        Some(match event {
            Event::RelayAcceptance => self.transport == Transport::Relaying,
            Event::RelayRejection | Event::ContentConsignment => on_its_way,
            Event::RelayFailure => seen.relay_failed.is_none(),
            Event::Redirection => on_its_way || self.transport == Transport::Consigned,
            Event::ContentHandover | Event::ConsignmentRejection => {
                self.answered.is_none() && self.is_there()
            }
            Event::ConsignmentNotification => seen.notified.is_none(),
            Event::ContentAccessTracking => seen.accessed.is_none(),
            Event::ConsignmentNotificationFailure => seen.notification_failed.is_none(),
            Event::ContentHandoverFailure => seen.handover_failed.is_none(),
            Event::OrderAnswer => self.order.is_some_and(|order| order.answer.is_none()),
            _ => return None,
        })
    }

    /// What an order does that the neighbour brings from which the document came. `None` if it stands there
    /// already, or comes too late: the neighbour is told how the recipient ended it, and knows that the
    /// order has lapsed.
    pub fn brought(&self, order: &Entry) -> Option<Ordered> {
        let kind = order.reason.as_deref().and_then(OrderKind::from_word)?;
        let fits =
            self.brought_by == order.service && order.by.is_none() == (kind == OrderKind::Recall);
        let ordered = self.ordered(kind, order.by).ok().filter(|_| fits)?;
        (!matches!(ordered, Ordered::Before(_))).then_some(ordered)
    }
}
