//! What must hold after every step.

use std::collections::BTreeSet;

use vanthu::audit::{Auditor, Rule};
use vanthu::delivery::{OrderKind, Transport};
use vanthu::directory::Code;
use vanthu::log::{Entry, EntryId, Event, Status};

use super::world::{Action, DOCUMENT, Outcome, Who, World, code, key};

pub const INVARIANTS: [&str; 8] = [
    "a delivery ends once: taken, returned, withdrawn or redirected",
    "every order has at most one answer, which is to it",
    "an order that waits can be answered both ways",
    "what was declined is as it was before it was asked",
    "nobody reads what was withdrawn or given back",
    "what waits in a mailbox is what the states say",
    "the sender is told of every answer, the recipient of every order",
    "the independent audit finds nothing, and a step that was refused or repeated writes nothing",
];

pub fn judge(
    before: &World,
    action: Action,
    after: &World,
    outcome: &Outcome,
) -> Result<(), String> {
    let fail = |number: usize, why: &str| Err(format!("{}: {why}", INVARIANTS[number]));
    if !matches!(outcome, Outcome::Written) {
        return match after.entries.len() == before.entries.len() {
            true => Ok(()),
            false => fail(7, "something was written"),
        };
    }
    for who in [Who::Agency, Who::Successor] {
        let ends = ends(after, &who.code());
        if ends > 1 {
            return fail(0, &format!("{who:?} ends {ends} times"));
        }
        orders(after, &who.code()).or_else(|why| fail(1, &why))?;
        let waits = after.delivery(DOCUMENT, who).and_then(|one| one.order);
        if waits.is_some_and(|order| order.answer.is_none()) {
            for answer in [Action::Agree(who), Action::Decline(who)] {
                if !matches!(after.after(answer).1, Outcome::Written) {
                    return fail(2, &format!("{answer:?} is refused"));
                }
            }
        }
    }
    if let Action::Decline(who) = action {
        let state = |world: &World| {
            world.delivery(DOCUMENT, who).map(|one| (one.transport, one.business, one.waits()))
        };
        if state(before) != state(after) {
            return fail(3, "it changed");
        }
    }
    if let Action::Read(who) = action {
        let gone = before.delivery(DOCUMENT, who).is_some_and(|one| {
            let given_back = one.order.is_some_and(|order| {
                order.kind != OrderKind::Update && order.answer.is_some_and(|(agreed, _)| agreed)
            });
            one.transport == Transport::Withdrawn || given_back
        });
        if gone {
            return fail(4, &format!("{who:?} reads it"));
        }
    }
    let waiting: BTreeSet<(Code, EntryId)> = after
        .deliveries()
        .filter(|one| one.waits())
        .map(|one| (one.mailbox(), one.consigned))
        .collect();
    if waiting != after.waiting {
        return fail(5, &format!("{waiting:?} and {:?}", after.waiting));
    }
    for (index, entry) in (0..).zip(&after.entries) {
        let party = match entry.event {
            Event::Order => entry.to.clone(),
            Event::OrderAnswer => Some(code("H49")),
            _ => None,
        };
        if party.is_some_and(|party| !after.told.contains(&(party, EntryId { epoch: 1, index }))) {
            return fail(6, &format!("nobody tells of entry {index}"));
        }
    }
    audit(&after.entries).or_else(|why| fail(7, &why))
}

fn ends(world: &World, of: &Code) -> usize {
    let ends = |entry: &&Entry| {
        entry.consignment == Some(DOCUMENT)
            && match entry.event {
                Event::ContentHandover | Event::ConsignmentRejection => {
                    entry.to.as_ref() == Some(of)
                }
                Event::OrderAnswer => entry.actor.is_gateway() && entry.to.as_ref() == Some(of),
                Event::Redirection => entry.addressed.as_ref() == Some(of),
                _ => false,
            }
    };
    world.entries.iter().filter(ends).count()
}

fn orders(world: &World, of: &Code) -> Result<(), String> {
    let mut waits: Option<&Entry> = None;
    let of_it =
        |entry: &&Entry| entry.to.as_ref() == Some(of) && entry.consignment == Some(DOCUMENT);
    for entry in world.entries.iter().filter(of_it) {
        match (entry.event, waits) {
            (Event::Order, None) => waits = Some(entry),
            (Event::Order, Some(_)) => return Err("two orders wait at once".into()),
            (Event::OrderAnswer, Some(order)) if order.reason == entry.reason => waits = None,
            (Event::OrderAnswer, _) => return Err("an answer without an order".into()),
            _ => {}
        }
        let answers = [Status::Agreed, Status::Declined];
        if entry.event == Event::OrderAnswer
            && !entry.status.is_some_and(|it| answers.contains(&it))
        {
            return Err("an answer that is none".into());
        }
    }
    Ok(())
}

/// The log has no checkpoint here, which the audit says, and which is no matter.
fn audit(entries: &[Entry]) -> Result<(), String> {
    let mut auditor = Auditor::new(key().public());
    for entry in entries {
        auditor.entry(&entry.to_leaf());
    }
    let report = auditor.finish();
    match report.findings.iter().find(|finding| finding.rule != Rule::EntriesUnsigned) {
        None => Ok(()),
        Some(finding) => Err(finding.to_string()),
    }
}
