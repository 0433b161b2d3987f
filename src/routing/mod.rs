//! From the addressees of an envelope to mailboxes.
//!
//! Routing never guesses: an unknown code, a closed code, and an agency without a mailbox are three
//! different refusals. A closed code leads on only by a recorded rule to exactly one successor, and
//! then the destination keeps the code that was written; else the refusal names the successors.

mod explain;
mod policy;
mod recipient;

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Date;
use crate::directory::{Agency, Code, Directory, SystemId};
use crate::document::{Addressee, Envelope};
use crate::limits::RECIPIENTS_MAX;
use crate::refusal::{Reason, Refusal};

pub use explain::{Explanation, Question, Step, explain};
use recipient::{Found, Router};

/// Where a document goes: every mailbox once, in ascending order of codes. Only [`route`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    sender: Code,
    destinations: BTreeMap<Code, Destination>,
}

/// Where it goes for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The code that the sender wrote, if it is not the recipient's.
    pub addressed: Option<Code>,
    /// The way there.
    pub hop: Hop,
}

/// The next step to a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// Into its mailbox, which this system hosts.
    Mailbox(SystemId),
    /// To the neighbour gateway of this name, behind which it is.
    Neighbour(String),
}

impl Route {
    /// The sending agency under its registered code.
    pub fn sender(&self) -> &Code {
        &self.sender
    }

    /// Receiving agencies and the ways to them.
    pub fn destinations(&self) -> impl ExactSizeIterator<Item = (&Code, &Destination)> {
        self.destinations.iter()
    }
}

/// Routes an envelope as the country stands in `directory` on `today`.
///
/// # Errors
/// The first addressee that cannot be reached, with its field and, for a closed code, the
/// successors in `successors`.
pub fn route(directory: &Directory, today: Date, envelope: &Envelope) -> Result<Route, Refusal> {
    let question =
        Question { today, type_name: &envelope.type_name, urgency: Some(envelope.urgency) };
    let mut router = Router::of(directory, question, &envelope.sender)?;
    let mut route = Route { sender: router.sender().code.clone(), destinations: BTreeMap::new() };
    let mut named = BTreeSet::new();
    let (mut agencies, mut groups, mut lists) = (0, 0, 0);
    for addressee in &envelope.addressees {
        match addressee {
            Addressee::Agency(code) => {
                let field = format!("recipients[{agencies}]");
                agencies += 1;
                let found = router.find(code, &field)?;
                if !named.insert(&found.named.code) {
                    let refusal = Refusal::of_field(Reason::RecipientDuplicate, field);
                    return Err(refusal.with("code", code));
                }
                route.add(found, code);
            }
            Addressee::Below(code) => {
                let field = format!("recipients_below[{groups}]");
                groups += 1;
                expand(&mut router, code, &field, &mut route)?;
            }
            Addressee::List(name) => {
                let field = format!("recipients_lists[{lists}]");
                lists += 1;
                enlist(&mut router, name, &field, &mut route)?;
            }
        }
        if route.destinations.len() > RECIPIENTS_MAX {
            let refusal = Refusal::of_field(Reason::RecipientsTooMany, "recipients");
            let count = route.destinations.len();
            return Err(refusal.with("count", count).with("limit", RECIPIENTS_MAX));
        }
    }
    Ok(route)
}

impl Route {
    /// One delivery for each agency: that its own code was written counts more than that another led
    /// to it, and what was written more than what a group holds.
    fn add(&mut self, found: Found<'_>, written: &Code) {
        let recipient = found.agency.code.clone();
        let direct = *written == recipient;
        let addressed = (!direct).then(|| written.clone());
        let destination = Destination { addressed, hop: found.hop };
        match direct {
            true => _ = self.destinations.insert(recipient, destination),
            false => _ = self.destinations.entry(recipient).or_insert(destination),
        }
    }
}

/// Adds every open agency below `code` that has a mailbox; the group is named, not its members, so
/// a member without one is passed over.
fn expand(
    router: &mut Router<'_>,
    code: &Code,
    field: &str,
    route: &mut Route,
) -> Result<(), Refusal> {
    let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
    let (directory, today) = (router.directory, router.question.today);
    let top = directory.at(code, today).ok_or_else(|| refusal(Reason::RecipientUnknown))?;
    let mut found = false;
    for agency in directory.below(&top.code, today) {
        if agency.code == route.sender {
            continue;
        }
        if let Some(hop) = router.hop(agency) {
            found = true;
            router.may_send(agency, field)?;
            let destination = Destination { addressed: None, hop };
            route.destinations.entry(agency.code.clone()).or_insert(destination);
        }
    }
    if found { Ok(()) } else { Err(refusal(Reason::GroupEmpty)) }
}

/// Adds every member of a list but the sender. Whoever keeps the list named each of them, so what
/// would be refused alone is refused here.
fn enlist(
    router: &mut Router<'_>,
    name: &str,
    field: &str,
    route: &mut Route,
) -> Result<(), Refusal> {
    let refusal = |reason| Refusal::of_field(reason, field).with("list", name);
    let list = router.directory.list(name).ok_or_else(|| refusal(Reason::ListUnknown))?;
    let mut found = false;
    for member in &list.members {
        let resolved = router.directory.at(member, router.question.today);
        if resolved.is_some_and(|agency: &Agency| agency.code == route.sender) {
            continue;
        }
        found = true;
        let member_found = router.find(member, field)?;
        let recipient = member_found.agency.code.clone();
        let addressed = (*member != recipient).then(|| member.clone());
        let destination = Destination { addressed, hop: member_found.hop };
        route.destinations.entry(recipient).or_insert(destination);
    }
    if found { Ok(()) } else { Err(refusal(Reason::GroupEmpty)) }
}

/// The way on to a recipient that the neighbour `from` names: an open agency under its registered code,
/// whose sender is behind that neighbour.
///
/// # Errors
/// As [`route`], [`Reason::RelaySenderNotYours`], and [`Reason::RelayLoop`] if it would lead back.
pub fn relay(
    directory: &Directory,
    question: Question<'_>,
    sender: &Code,
    code: &Code,
    from: &str,
    field: &str,
) -> Result<Hop, Refusal> {
    let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
    let stranger = || Refusal::of_field(Reason::RelaySenderNotYours, "document.envelope");
    // Its code may have been closed since it sent the document.
    let sender = directory.at(sender, question.today).ok_or_else(stranger)?;
    let mut router = Router::for_sender(directory, question, sender);
    if router.hop(sender) != Some(Hop::Neighbour(from.to_owned())) {
        return Err(stranger());
    }
    let found = router.find(code, field)?;
    match found.hop {
        _ if found.agency.code != *code => Err(refusal(Reason::RecipientUnknown)),
        Hop::Neighbour(name) if name == from => Err(refusal(Reason::RelayLoop)),
        hop => Ok(hop),
    }
}

#[cfg(test)]
mod tests;
