//! What the sequencer is asked to write, and the decision on each: entries, or a refusal.
//!
//! Decisions are made one after the other by the one writer, each seeing all before it, so that
//! two answers to one document or two uses of one request id cannot both be accepted.

use super::Error;
use super::dossiers::Taken;
use super::erasing::OnItsWay;
use super::ports::{Place, Settled, StoreError};
use super::recording::Recording;
use super::stage::Stage;
use crate::clock::Time;
use crate::delivery::{Delivery, OrderKind, Ordered, Prior as _, Replied, Token, Transport};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::limits::HOLDS_MAX;
use crate::log::{
    Actor, BodySet, Entry, EntryId, Event, RecipientSet, Service, ServiceKind, Status, VerdictMark,
};
use crate::refusal::{Reason, Refusal};
use crate::routing::{Destination, Hop};

/// A document that passed every stage and whose content is durable.
#[derive(Debug)]
pub(super) struct Acceptance {
    pub(super) actor: Actor,
    pub(super) consignment: ConsignmentId,
    pub(super) request: Sha256,
    pub(super) facts: Facts,
    pub(super) verdict: VerdictMark,
    /// Registered codes in ascending order, and the way to each.
    pub(super) recipients: Vec<(Code, Destination)>,
    /// Content that many share.
    pub(super) contents: Vec<(Sha256, Place)>,
    /// Its own content.
    pub(super) bodies: Vec<(Sha256, Place)>,
    /// An erasure waits for it: it may share a body.
    pub(super) on_its_way: Option<OnItsWay>,
    /// The neighbour that brought it.
    pub(super) brought: Option<Brought>,
}

/// The neighbour that brought a document, and the digest of its evidence.
#[derive(Debug, Clone)]
pub(super) struct Brought {
    pub(super) by: Service,
    pub(super) evidence: Sha256,
}

/// What entries say about a document.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) sender: Code,
    pub(super) envelope: Sha256,
    pub(super) document: String,
    pub(super) number: Option<String>,
    pub(super) dossier: Option<DossierCode>,
    pub(super) urgency: Urgency,
}

/// A document that was not taken in charge.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) actor: Actor,
    pub(super) request: Sha256,
    pub(super) facts: Facts,
    pub(super) verdict: Option<VerdictMark>,
    pub(super) reason: Reason,
    pub(super) contents: Vec<(Sha256, Place)>,
    /// The neighbour that brought it.
    pub(super) brought: Option<Brought>,
}

/// What a recipient says about a document.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) actor: Actor,
    pub(super) agency: Code,
    pub(super) consignment: ConsignmentId,
    pub(super) token: Option<Token>,
    pub(super) status: Status,
    pub(super) note: Option<Sha256>,
    pub(super) contents: Vec<(Sha256, Place)>,
}

/// What a sender asks after a document was sent.
#[derive(Debug)]
pub(super) struct SendersOrder {
    pub(super) actor: Actor,
    pub(super) consignment: ConsignmentId,
    /// At these recipients; none of them twice.
    pub(super) recipients: Vec<Code>,
    /// Whether recipients where it would change nothing are passed over.
    pub(super) where_possible: bool,
    pub(super) kind: OrderKind,
    pub(super) by: Option<ConsignmentId>,
    pub(super) note: Option<Sha256>,
    pub(super) contents: Vec<(Sha256, Place)>,
}

/// What a recipient says to an order.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) actor: Actor,
    pub(super) agency: Code,
    pub(super) consignment: ConsignmentId,
    pub(super) agrees: bool,
    pub(super) note: Option<Sha256>,
    pub(super) contents: Vec<(Sha256, Place)>,
}

/// A change in the keeping of a consignment's bodies.
#[derive(Debug)]
pub(super) struct KeepingOrder {
    pub(super) consignment: ConsignmentId,
    pub(super) kind: KeepingKind,
    /// `RETENTION` or `ORDER`; of a hold or release its own reason.
    pub(super) reason: String,
    pub(super) note: Option<Sha256>,
    pub(super) contents: Vec<(Sha256, Place)>,
}

/// What is to become of the bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeepingKind {
    Erase(BodySet),
    Hold,
    Release,
}

/// Anything that adds to the log.
#[derive(Debug)]
pub(super) enum Command {
    Accept(Acceptance),
    Reject(Rejection),
    Answer(Answer),
    Record(Recording),
    Keep(KeepingOrder),
    Order(SendersOrder),
    Reply(Reply),
    Step(Box<Taken>),
}

/// Content that entries refer to.
#[derive(Debug, Default)]
pub(super) struct Referred {
    /// Dropped when the entries are durable.
    pub(super) on_their_way: Vec<OnItsWay>,
    /// That many share.
    pub(super) contents: Vec<(Sha256, Place)>,
    /// Of one consignment each.
    pub(super) bodies: Vec<(ConsignmentId, Vec<(Sha256, Place)>)>,
}

impl Referred {
    pub(super) fn extend(&mut self, other: Self) {
        self.on_their_way.extend(other.on_their_way);
        self.contents.extend(other.contents);
        self.bodies.extend(other.bodies);
    }
}

/// What was decided: a new entry in this batch, or one that stood there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    New(EntryId),
    Before(EntryId),
    /// Entries, or none, of which nobody asks a receipt.
    Recorded,
}

impl Command {
    /// How many entries it will add.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Accept(acceptance) => 1 + acceptance.recipients.len(),
            Self::Reject(_) | Self::Answer(_) | Self::Keep(_) | Self::Reply(_) | Self::Step(_) => 1,
            Self::Record(recording) => recording.facts.len(),
            Self::Order(order) => 2 * order.recipients.len(),
        }
    }

    pub(super) fn take_referred(&mut self) -> Referred {
        let mut on_their_way = Vec::new();
        let (contents, bodies) = match self {
            Self::Accept(acceptance) => {
                let bodies = std::mem::take(&mut acceptance.bodies);
                on_their_way.extend(acceptance.on_its_way.take());
                (&mut acceptance.contents, vec![(acceptance.consignment, bodies)])
            }
            Self::Reject(rejection) => (&mut rejection.contents, Vec::new()),
            Self::Answer(answer) => (&mut answer.contents, Vec::new()),
            Self::Record(recording) => (&mut recording.contents, Vec::new()),
            Self::Keep(order) => (&mut order.contents, Vec::new()),
            Self::Order(order) => (&mut order.contents, Vec::new()),
            Self::Reply(reply) => (&mut reply.contents, Vec::new()),
            Self::Step(taken) => (&mut taken.contents, Vec::new()),
        };
        Referred { on_their_way, contents: std::mem::take(contents), bodies }
    }

    /// Decides; on success the entries are on the stage.
    pub(super) fn decide(
        self,
        stage: &mut Stage<'_>,
        context: &Context<'_>,
    ) -> Result<Decided, Error> {
        match self {
            Self::Accept(acceptance) => accept(stage, context, acceptance),
            Self::Reject(rejection) => reject(stage, context, rejection),
            Self::Answer(answer) => self::answer(stage, context, answer),
            Self::Record(recording) => recording.decide(stage, context),
            Self::Keep(order) => keep(stage, context, order),
            Self::Order(order) => self::order(stage, context, &order),
            Self::Reply(reply) => self::reply(stage, context, reply),
            Self::Step(taken) => taken.decide(stage, context),
        }
    }
}

/// What every decision needs to know.
pub(super) struct Context<'a> {
    pub(super) now: Time,
    /// The gateway as an actor.
    pub(super) gateway: &'a Actor,
    /// Checks a lease; the same `now` is given to the commit.
    pub(super) check_lease: &'a dyn Fn(&Settled) -> Result<(), StoreError>,
}

fn accept(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    acceptance: Acceptance,
) -> Result<Decided, Error> {
    if let Some((envelope, first)) = stage.request(&acceptance.request)? {
        return repeated(envelope, acceptance.facts.envelope, first);
    }
    // Its id is the neighbour's choice.
    if acceptance.brought.is_some() && stage.consignment(acceptance.consignment)?.is_some() {
        return Err(Refusal::new(Reason::RelayLoop).into());
    }
    let facts = acceptance.facts;
    let recipients = recipient_set(acceptance.recipients.iter().map(|(code, _)| code));
    let (service, content) = named(acceptance.brought);
    let entry = Entry {
        consignment: Some(acceptance.consignment),
        document: Some(facts.document),
        number: facts.number,
        dossier: facts.dossier,
        urgency: Some(facts.urgency),
        request: Some(acceptance.request),
        recipients: Some(recipients),
        verdict: Some(acceptance.verdict),
        from: Some(facts.sender.clone()),
        envelope: Some(facts.envelope),
        service,
        content,
        ..Entry::new(Event::SubmissionAcceptance, context.now, acceptance.actor)
    };
    let id = stage.push(&entry)?;
    for (recipient, Destination { addressed, hop }) in acceptance.recipients {
        let (event, service) = match hop {
            Hop::Mailbox(_) => (Event::ContentConsignment, None),
            Hop::Neighbour(name) => (Event::Relay, Service::new(ServiceKind::Gateway, &name)),
        };
        stage.push(&Entry {
            consignment: Some(acceptance.consignment),
            from: Some(facts.sender.clone()),
            to: Some(recipient),
            envelope: Some(facts.envelope),
            urgency: Some(facts.urgency),
            service,
            addressed,
            ..Entry::new(event, context.now, context.gateway.clone())
        })?;
    }
    Ok(Decided::New(id))
}

/// The same request again: the first acceptance, or a refusal if it was for something else.
pub(super) fn repeated(
    used_for: Sha256,
    now_for: Sha256,
    first: EntryId,
) -> Result<Decided, Error> {
    if used_for == now_for {
        return Ok(Decided::Before(first));
    }
    let refusal = Refusal::of_field(Reason::RequestIdReused, "request_id");
    Err(refusal.with("first_entry", first).with("first_envelope", used_for).into())
}

/// The recipients with these codes, which are in ascending order.
pub(super) fn recipient_set<'a>(codes: impl Iterator<Item = &'a Code>) -> RecipientSet {
    let mut lines = String::new();
    let mut count = 0;
    for code in codes {
        lines.push_str(code.as_str());
        lines.push('\n');
        count += 1;
    }
    RecipientSet { count, digest: Sha256::of(lines.as_bytes()) }
}

fn named(brought: Option<Brought>) -> (Option<Service>, Option<Sha256>) {
    brought.map(|brought| (brought.by, brought.evidence)).unzip()
}

fn reject(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    rejection: Rejection,
) -> Result<Decided, Error> {
    let facts = rejection.facts;
    let (service, content) = named(rejection.brought);
    let id = stage.push(&Entry {
        from: Some(facts.sender),
        envelope: Some(facts.envelope),
        document: Some(facts.document),
        dossier: facts.dossier,
        request: Some(rejection.request),
        verdict: rejection.verdict,
        reason: Some(rejection.reason.code().to_owned()),
        service,
        content,
        ..Entry::new(Event::SubmissionRejection, context.now, rejection.actor)
    })?;
    Ok(Decided::New(id))
}

fn answer(stage: &mut Stage<'_>, context: &Context<'_>, answer: Answer) -> Result<Decided, Error> {
    let delivery = stage
        .delivery(answer.consignment, &answer.agency)?
        .filter(|delivery| delivery.via.is_none())
        .ok_or_else(|| Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id"))?;
    let event = match answer.status {
        Status::Accepted => Event::ContentHandover,
        Status::Refused => Event::ConsignmentRejection,
        _ => Event::StatusReport,
    };
    if event != Event::StatusReport {
        if let Some(first) = answered_before(&delivery, event) {
            return Ok(Decided::Before(first));
        }
        delivery.may_answer()?;
        let settled = Settled {
            agency: answer.agency.clone(),
            position: delivery.consigned,
            token: answer.token,
        };
        (context.check_lease)(&settled).map_err(|error| match error {
            StoreError::Lease(_) => Refusal::of_field(Reason::LeaseLost, "lease_token").into(),
            other => Error::from(other),
        })?;
        stage.settled.push(settled);
    }
    let entry = Entry {
        consignment: Some(answer.consignment),
        from: Some(delivery.sender),
        to: Some(answer.agency),
        envelope: Some(delivery.envelope),
        status: Some(answer.status),
        reason: (event == Event::ConsignmentRejection).then(|| "RECIPIENT".to_owned()),
        note: answer.note,
        ..Entry::new(event, context.now, answer.actor)
    };
    Ok(Decided::New(stage.push(&entry)?))
}

/// Decides for every recipient before it writes for the first, so that a refusal leaves nothing. Gives
/// the first entry of the order, new or from before.
fn order(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    order: &SendersOrder,
) -> Result<Decided, Error> {
    let mut decided = Vec::new();
    for recipient in &order.recipients {
        let unknown = || {
            let refusal = Refusal::of_field(Reason::NotARecipient, "recipients");
            refusal.with("code", recipient)
        };
        let delivery = stage.delivery(order.consignment, recipient)?.ok_or_else(unknown)?;
        match delivery.ordered(order.kind, order.by) {
            Ok(ordered) => {
                if let (Some(by), Ordered::Waits | Ordered::Withdraws) = (order.by, ordered) {
                    delivery.replaced_by(stage.delivery(by, recipient)?.as_ref())?;
                }
                decided.push((delivery, ordered));
            }
            Err(refusal) if order.where_possible && refusal.reason == Reason::OrderPointless => {}
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let mut first = None;
    for (delivery, ordered) in decided {
        if let Ordered::Before(entry) = ordered {
            first.get_or_insert(Decided::Before(entry));
            continue;
        }
        let asked = Entry {
            consignment: Some(order.consignment),
            from: Some(delivery.sender.clone()),
            to: Some(delivery.recipient.clone()),
            envelope: Some(delivery.envelope),
            status: Some(Status::Withdrawal),
            reason: Some(order.kind.word().to_owned()),
            note: order.note,
            by: order.by,
            ..Entry::new(Event::Order, context.now, order.actor.clone())
        };
        let id = asked_for(stage, context, asked, ordered)?;
        if !matches!(first, Some(Decided::New(_))) {
            first = Some(Decided::New(id));
        }
    }
    first.ok_or_else(|| Refusal::of_field(Reason::OrderPointless, "recipients").into())
}

/// The entry of an order, and that of our answer if the recipient has not taken the document.
pub(super) fn asked_for(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    asked: Entry,
    ordered: Ordered,
) -> Result<EntryId, Error> {
    let id = stage.push(&asked)?;
    if ordered == Ordered::Withdraws {
        stage.push(&Entry {
            actor: context.gateway.clone(),
            event: Event::OrderAnswer,
            status: Some(Status::Agreed),
            note: None,
            by: None,
            service: None,
            content: None,
            ..asked
        })?;
    }
    Ok(id)
}

fn reply(stage: &mut Stage<'_>, context: &Context<'_>, reply: Reply) -> Result<Decided, Error> {
    let unknown = || Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id");
    let delivery = stage.delivery(reply.consignment, &reply.agency)?;
    let delivery = delivery.filter(|delivery| delivery.via.is_none()).ok_or_else(unknown)?;
    let kind = match delivery.replied(reply.agrees)? {
        Replied::Before(entry) => return Ok(Decided::Before(entry)),
        Replied::To(kind) => kind,
    };
    let id = stage.push(&Entry {
        consignment: Some(reply.consignment),
        from: Some(delivery.sender),
        to: Some(reply.agency),
        envelope: Some(delivery.envelope),
        status: Some(if reply.agrees { Status::Agreed } else { Status::Declined }),
        reason: Some(kind.word().to_owned()),
        note: reply.note,
        ..Entry::new(Event::OrderAnswer, context.now, reply.actor)
    })?;
    Ok(Decided::New(id))
}

fn keep(
    stage: &mut Stage<'_>,
    context: &Context<'_>,
    order: KeepingOrder,
) -> Result<Decided, Error> {
    let unknown = || Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id");
    let consignment = stage.consignment(order.consignment)?.ok_or_else(unknown)?;
    let keeping = stage.keeping(order.consignment)?;
    let (event, bodies) = match order.kind {
        KeepingKind::Erase(bodies) => {
            keeping.check_erasable()?;
            (Event::Erasure, Some(bodies))
        }
        KeepingKind::Hold => {
            keeping.check_kept()?;
            if let Some((_, entry)) = keeping.holds.iter().find(|(held, _)| *held == order.reason) {
                return Ok(Decided::Before(*entry));
            }
            if keeping.holds.len() >= HOLDS_MAX {
                return Err(Refusal::new(Reason::HoldsTooMany).with("limit", HOLDS_MAX).into());
            }
            (Event::Hold, None)
        }
        KeepingKind::Release => {
            if !keeping.is_held_for(&order.reason) {
                let refusal = Refusal::of_field(Reason::HoldUnknown, "reason");
                return Err(refusal.with("reason", order.reason).into());
            }
            (Event::Release, None)
        }
    };
    let entry = Entry {
        consignment: Some(order.consignment),
        from: Some(consignment.sender),
        envelope: Some(consignment.envelope),
        reason: Some(order.reason),
        note: order.note,
        bodies,
        ..Entry::new(event, context.now, context.gateway.clone())
    };
    Ok(Decided::New(stage.push(&entry)?))
}

/// The entry of the same answer, if it was given before.
fn answered_before(delivery: &Delivery, event: Event) -> Option<EntryId> {
    match (delivery.transport, event) {
        (Transport::HandedOver, Event::ContentHandover)
        | (Transport::Rejected, Event::ConsignmentRejection) => delivery.answered,
        _ => None,
    }
}
