//! From the addressees of an envelope to mailboxes.
//!
//! Routing never guesses: an unknown code, a closed code, and an agency without a mailbox are three
//! different refusals, and a closed code names its successors.

use std::collections::BTreeMap;

use crate::clock::Date;
use crate::directory::{Agency, Code, Directory, SystemId};
use crate::document::{Addressee, Envelope};
use crate::limits::RECIPIENTS_MAX;
use crate::refusal::{Reason, Refusal};

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
    let sender = sender(directory, today, &envelope.sender)?.code.clone();
    let mut destinations = BTreeMap::new();
    let (mut agencies, mut groups) = (0, 0);
    for addressee in &envelope.addressees {
        match addressee {
            Addressee::Agency(code) => {
                let field = format!("recipients[{agencies}]");
                agencies += 1;
                let (agency, hop) = recipient(directory, today, code, &field)?;
                if agency.code == sender {
                    return Err(Refusal::of_field(Reason::RecipientIsSender, field));
                }
                let destination = Destination { addressed: None, hop };
                if destinations.insert(agency.code.clone(), destination).is_some() {
                    let refusal = Refusal::of_field(Reason::RecipientDuplicate, field);
                    return Err(refusal.with("code", code));
                }
            }
            Addressee::Below(code) => {
                let field = format!("recipients_below[{groups}]");
                groups += 1;
                expand(directory, today, code, &field, &sender, &mut destinations)?;
            }
        }
        if destinations.len() > RECIPIENTS_MAX {
            let refusal = Refusal::of_field(Reason::RecipientsTooMany, "recipients");
            return Err(refusal.with("count", destinations.len()).with("limit", RECIPIENTS_MAX));
        }
    }
    Ok(Route { sender, destinations })
}

fn sender<'a>(directory: &'a Directory, today: Date, code: &Code) -> Result<&'a Agency, Refusal> {
    let unknown = || Refusal::of_field(Reason::SenderUnknown, "sender").with("code", code);
    let agency = directory.agency(code).ok_or_else(unknown)?;
    if agency.is_open(today) {
        return Ok(agency);
    }
    let refusal = Refusal::of_field(Reason::SenderClosed, "sender").with("code", code);
    Err(refusal.with("successors", agency.successors_line()))
}

fn recipient<'a>(
    directory: &'a Directory,
    today: Date,
    code: &Code,
    field: &str,
) -> Result<(&'a Agency, Hop), Refusal> {
    let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
    let agency = directory.agency(code).ok_or_else(|| refusal(Reason::RecipientUnknown))?;
    if !agency.is_open(today) {
        return Err(refusal(Reason::AgencyClosed).with("successors", agency.successors_line()));
    }
    let hop = hop(directory, agency).ok_or_else(|| refusal(Reason::MailboxMissing))?;
    Ok((agency, hop))
}

/// The way on to a recipient that the neighbour `from` names: a registered code and nothing else.
///
/// # Errors
/// As [`route`], and [`Reason::RelayLoop`] if it would lead back.
pub fn relay(
    directory: &Directory,
    today: Date,
    code: &Code,
    from: &str,
    field: &str,
) -> Result<Hop, Refusal> {
    let (agency, hop) = recipient(directory, today, code, field)?;
    let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
    match hop {
        _ if agency.code != *code => Err(refusal(Reason::RecipientUnknown)),
        Hop::Neighbour(name) if name == from => Err(refusal(Reason::RelayLoop)),
        hop => Ok(hop),
    }
}

/// The way to an agency; `None` if there is none.
fn hop(directory: &Directory, agency: &Agency) -> Option<Hop> {
    let host = agency.host.as_ref()?;
    match directory.system(host)?.gateway.as_deref() {
        None => Some(Hop::Mailbox(host.clone())),
        Some(name) => Some(Hop::Neighbour(name.to_owned())),
    }
}

/// Adds every open agency below `code` that has a mailbox; the group is named, not its members, so
/// a member without one is passed over.
fn expand(
    directory: &Directory,
    today: Date,
    code: &Code,
    field: &str,
    sender: &Code,
    destinations: &mut BTreeMap<Code, Destination>,
) -> Result<(), Refusal> {
    let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
    let top = directory.agency(code).ok_or_else(|| refusal(Reason::RecipientUnknown))?;
    let mut found = false;
    for agency in directory.below(&top.code, today) {
        if let Some(hop) = hop(directory, agency).filter(|_| agency.code != *sender) {
            found = true;
            let destination = Destination { addressed: None, hop };
            destinations.entry(agency.code.clone()).or_insert(destination);
        }
    }
    if found { Ok(()) } else { Err(refusal(Reason::GroupEmpty)) }
}
