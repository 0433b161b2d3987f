//! What one entry says, held against those before it of the same recipient (`log/FORMAT.md` §2 and §7).

use std::collections::BTreeMap;

use super::manifest::Manifest;
use super::neighbour::told_by;
use super::receipt::ProvenEntry;
use crate::directory::Code;
use crate::log::{Event, LogPublicKey, Status};

/// Whether the event is one of those that tell of a consignment at a recipient.
pub(super) fn of_a_delivery(event: Event) -> bool {
    event.is_told_on() || matches!(event, Event::Order | Event::Relay | Event::RelayAcceptance)
}

/// What the entries before a redirection have against it (`log/FORMAT.md` §7, rule 14), as far as the
/// file holds them.
pub(super) fn redirection_denied(
    entry: &ProvenEntry,
    manifest: &Manifest,
    told: &BTreeMap<&Code, Vec<&ProvenEntry>>,
) -> Option<&'static str> {
    let Some(closed) = entry.addressed.as_ref().filter(|closed| Some(*closed) != entry.to.as_ref())
    else {
        return Some("it does not say from whom");
    };
    match told.get(closed) {
        Some(before) if before.iter().any(|one| ends(one, closed)) => {
            Some("the recipient had answered")
        }
        Some(before) if before.first().is_some_and(|first| first.service != entry.service) => {
            Some("another gateway tells it than the one behind which the recipient is")
        }
        None if manifest.recipient.is_none() => Some("its recipient was sent nothing"),
        _ => None,
    }
}

/// Whether this recipient has it no more after the entry, or has taken it.
fn ends(entry: &ProvenEntry, recipient: &Code) -> bool {
    match entry.event {
        Event::ContentHandover | Event::ConsignmentRejection => true,
        Event::Redirection => entry.addressed.as_ref() == Some(recipient),
        Event::OrderAnswer => entry.actor.is_gateway(),
        _ => false,
    }
}

/// What the entries of a recipient before this one have against it (`log/FORMAT.md` §7, rules 5, 6
/// and 9).
pub(super) fn denied(entry: &ProvenEntry, before: &[&ProvenEntry]) -> Option<&'static str> {
    let is_answer = |event| matches!(event, Event::ContentHandover | Event::ConsignmentRejection);
    let is_notice =
        |event| matches!(event, Event::ConsignmentNotification | Event::ContentAccessTracking);
    if before.is_empty() {
        let here = entry.event == Event::ContentConsignment && entry.service.is_none();
        let first = here || entry.event == Event::Relay;
        return (!first).then_some("its recipient was sent nothing");
    }
    let withdrawn = entry.event == Event::OrderAnswer && entry.actor.is_gateway();
    let elsewhere = before.first().is_some_and(|first| first.service != entry.service);
    if elsewhere && !withdrawn && entry.event != Event::Order {
        return Some("another gateway tells it than the one behind which the recipient is");
    }
    if matches!(entry.event, Event::Order | Event::OrderAnswer) {
        return order_denied(entry, before);
    }
    let is_relayed = |event| matches!(event, Event::RelayAcceptance | Event::RelayRejection);
    let stands = |events: &[Event]| before.iter().any(|one| events.contains(&one.event));
    let told = entry.service.is_some();
    let repeated = match entry.event {
        Event::StatusReport => false,
        event if is_answer(event) => {
            entry.to.as_ref().is_some_and(|to| before.iter().any(|one| ends(one, to)))
        }
        Event::RelayAcceptance => stands(&[Event::RelayAcceptance, Event::RelayRejection]),
        Event::RelayRejection => stands(&[Event::RelayRejection, Event::ContentConsignment]),
        Event::ContentConsignment if told => {
            stands(&[Event::ContentConsignment, Event::RelayRejection])
        }
        event => stands(&[event]),
    };
    if repeated {
        return Some(if is_answer(entry.event) {
            "it is a second answer"
        } else {
            "it stands twice"
        });
    }
    // What a neighbour tells of a failure is not held against this (rule 9).
    let since = entry.since.filter(|_| told_by(entry).is_none())?;
    if since >= entry.time {
        return Some("its time had not ended");
    }
    let in_time = |event: &dyn Fn(Event) -> bool| {
        before.iter().any(|one| event(one.event) && one.time <= since)
    };
    match entry.event {
        Event::RelayFailure if in_time(&is_relayed) => Some("the neighbour had answered in time"),
        _ if in_time(&is_answer) => Some("the recipient had answered in time"),
        Event::ConsignmentNotificationFailure if in_time(&is_notice) => {
            Some("the recipient had its notice in time")
        }
        _ => None,
    }
}

/// The same for an order or its answer (`log/FORMAT.md` §7, rule 15).
fn order_denied(entry: &ProvenEntry, before: &[&ProvenEntry]) -> Option<&'static str> {
    let is_of_one = |one: &&&ProvenEntry| matches!(one.event, Event::Order | Event::OrderAnswer);
    let last = before.iter().rev().find(is_of_one);
    let waits = last.filter(|last| last.event == Event::Order);
    match (entry.event, waits) {
        (Event::Order, None) => None,
        (Event::Order, Some(_)) => Some("an order before it is not answered"),
        (_, Some(order)) if order.reason == entry.reason => None,
        _ => Some("it answers no order that waits for an answer"),
    }
}

/// Whether actor, status or reason are not those of the event (`log/FORMAT.md` §2).
pub(super) fn misfit(entry: &ProvenEntry, key: &LogPublicKey) -> Option<&'static str> {
    let by_gateway = entry.actor.system.as_str() == "gateway";
    let own = by_gateway && entry.actor.certificate == key.fingerprint();
    let gateways = matches!(
        entry.event,
        Event::ContentConsignment
            | Event::Redirection
            | Event::ConsignmentNotification
            | Event::ConsignmentNotificationFailure
            | Event::ContentHandoverFailure
            | Event::Relay
            | Event::RelayFailure
            | Event::Erasure
            | Event::Hold
            | Event::Release
    ) && told_by(entry).is_none();
    if gateways && !own {
        return Some("somebody else acted for the gateway");
    }
    let either = entry.event == Event::OrderAnswer;
    if !gateways && by_gateway && !(either && own) {
        return Some("the gateway acted for somebody else");
    }
    let failure = matches!(
        entry.event,
        Event::ConsignmentNotificationFailure | Event::ContentHandoverFailure | Event::RelayFailure
    );
    if failure && (entry.reason.as_deref() != Some("EXPIRED") || entry.since.is_none()) {
        return Some("it does not say which time ended");
    }
    match (entry.event, entry.status) {
        (Event::Order, Some(Status::Withdrawal))
        | (Event::OrderAnswer, Some(Status::Agreed | Status::Declined))
        | (Event::ContentHandover, Some(Status::Accepted))
        | (Event::ConsignmentRejection, Some(Status::Refused))
        | (
            Event::StatusReport,
            Some(Status::Arrived | Status::Assigned | Status::InProgress | Status::Finished),
        ) => None,
        (
            Event::ContentHandover
            | Event::ConsignmentRejection
            | Event::StatusReport
            | Event::Order
            | Event::OrderAnswer,
            _,
        )
        | (_, Some(_)) => Some("its status is not one of its event"),
        _ => None,
    }
}
