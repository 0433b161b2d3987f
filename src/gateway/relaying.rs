//! Documents that a neighbour gateway brings.
//!
//! The neighbour proves with the receipt of its own acceptance what it promised, to whom and for whom;
//! everything else is judged here again: the signatures, the sender's place behind that neighbour, and
//! the way to each recipient. The consignment and the request key stay what they are on every gateway,
//! so the same document has one acceptance here, whatever is repeated.
//!
//! What the neighbour did wrong is refused and leaves nothing in the log. What is wrong with the document
//! or a recipient becomes a `SubmissionRejection`, whose receipt is the neighbour's proof.

use std::sync::Arc;

use super::command::{self, Acceptance, Command, Facts, Rejection, recipient_set};
use super::judging::Judgement;
use super::peer::Peer;
use super::ports::Which;
use super::sequencer::Answered;
use super::submitting::{Bodies, Missing, Stopped, facts, judged, piece};
use super::{Error, Fault, Gateway, Surroundings};
use crate::delivery::{Consignment, neighbour_mailbox};
use crate::digest::Sha256;
use crate::directory::{Code, Role};
use crate::document::{ConsignmentId, Envelope};
use crate::evidence::Receipt;
use crate::limits::RECIPIENTS_MAX;
use crate::log::{EntryId, Event, Service, ServiceKind};
use crate::refusal::{Reason, Refusal};
use crate::routing::{Destination, Question, relay};

/// A document as a neighbour brings it: nothing about it is known to be true.
#[derive(Debug)]
pub struct Brought {
    /// The envelope, read.
    pub envelope: Envelope,
    /// Its acceptance in the neighbour's log.
    pub receipt: Receipt,
    /// The codes of all recipients that this acceptance promises.
    pub promised: Vec<Code>,
    /// Those to be reached from here, each with the code that the sender wrote if it is another.
    pub recipients: Vec<(Code, Option<Code>)>,
    /// Where its parts are.
    pub bodies: Bodies,
}

/// What becomes of a document for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub recipient: Code,
    /// Proof: of its `ContentConsignment` or `relay`, or of a `SubmissionRejection`.
    pub receipt: Receipt,
}

/// Recipients that can be reached from here.
type Ways = Vec<(Code, Destination)>;

/// What the neighbour has proved.
struct Proven {
    neighbour: Service,
    consignment: ConsignmentId,
    request: Sha256,
    facts: Facts,
    /// The bytes that prove it.
    evidence: Vec<u8>,
}

impl Proven {
    fn brought(&self) -> Option<command::Brought> {
        let evidence = Sha256::of(&self.evidence);
        Some(command::Brought { by: self.neighbour.clone(), evidence })
    }
}

impl Gateway {
    /// Checks a document before its content travels, and says what is missing: nothing, if it was taken
    /// before, or will be rejected whatever its content is.
    ///
    /// # Errors
    /// A refusal of what the neighbour says, or a fault.
    pub fn announce_relay(&self, peer: &Peer, brought: &Brought) -> Result<Vec<Missing>, Error> {
        let surroundings = self.surroundings();
        let proven = prove(peer, &surroundings, brought)?;
        let known = self.store.request(&proven.request)?.is_some();
        let (open, _) = self.ways_on(&surroundings, &proven, brought);
        if known || open.is_empty() {
            Ok(Vec::new())
        } else {
            self.missing(peer, &brought.envelope)
        }
    }

    /// Takes a document in charge for the recipients that can be reached from here. The answer comes
    /// after its entries are on disk, with a result for each recipient, in their order.
    ///
    /// # Errors
    /// A refusal of what the neighbour says, or a fault.
    pub async fn relay(&self, peer: &Peer, brought: Brought) -> Result<Vec<Taken>, Error> {
        let surroundings = self.surroundings();
        let proven = prove(peer, &surroundings, &brought)?;
        if let Some((envelope, first)) = self.store.request(&proven.request)? {
            command::repeated(envelope, proven.facts.envelope, first)?;
            return self.taken_before(peer, &proven, &brought.recipients, first).await;
        }
        self.room()?;
        let (open, refused) = self.ways_on(&surroundings, &proven, &brought);
        let mut taken = Vec::new();
        if !open.is_empty() {
            let recipients: Vec<Code> = open.iter().map(|(code, _)| code.clone()).collect();
            let Brought { envelope, bodies, .. } = brought;
            match self.take(peer, &surroundings, &proven, (envelope, bodies), open).await? {
                Ok(first) => {
                    let consignment = self.accepted(first)?;
                    for recipient in recipients {
                        let receipt = self.promise(&consignment, &recipient)?;
                        let lost = || Fault::Content(format!("no consignment to {recipient}"));
                        let receipt = receipt.ok_or_else(lost)?;
                        taken.push(Taken { recipient, receipt });
                    }
                }
                Err(stopped) => {
                    taken.extend(self.rejected(peer, &proven, recipients, stopped).await?);
                }
            }
        }
        taken.extend(self.rejected_each(peer, &proven, refused).await?);
        taken.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        Ok(taken)
    }

    /// The ways to the recipients, and why there is none to others.
    fn ways_on(
        &self,
        surroundings: &Surroundings,
        proven: &Proven,
        brought: &Brought,
    ) -> (Ways, Vec<(Code, Refusal)>) {
        let question = Question {
            today: self.now().date_in_vietnam(),
            type_name: &brought.envelope.type_name,
            urgency: Some(brought.envelope.urgency),
        };
        let (sender, from) = (&proven.facts.sender, proven.neighbour.name());
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        for (place, (code, addressed)) in brought.recipients.iter().enumerate() {
            let field = format!("document.recipients[{place}]");
            match relay(&surroundings.directory, question, sender, code, from, &field) {
                Ok(hop) => {
                    open.push((code.clone(), Destination { addressed: addressed.clone(), hop }));
                }
                Err(refusal) => refused.push((code.clone(), refusal)),
            }
        }
        (open, refused)
    }

    /// Judges and keeps the document and accepts it for these recipients; gives the acceptance.
    async fn take(
        &self,
        peer: &Peer,
        surroundings: &Arc<Surroundings>,
        proven: &Proven,
        (envelope, bodies): (Envelope, Bodies),
        recipients: Ways,
    ) -> Result<Result<EntryId, Stopped>, Error> {
        let gathered = self.gather(peer, envelope, bodies)?;
        let (sender, now) = (&proven.facts.sender, self.now());
        let verified = match judged(gathered, surroundings, sender, now).await {
            Ok(verified) => verified,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let on_its_way = self.ways.enter();
        let kept = self.keep(peer, &verified).await?;
        let mut contents = kept.shared;
        contents.extend(self.keep_pieces(vec![piece(&proven.evidence)]).await?);
        let uploads = verified.gathered.uploads();
        let acceptance = Acceptance {
            actor: peer.actor(),
            consignment: proven.consignment,
            request: proven.request,
            facts: proven.facts.clone(),
            verdict: verified.judgement.mark(),
            recipients,
            contents,
            bodies: kept.own,
            on_its_way: Some(on_its_way),
            brought: proven.brought(),
        };
        match self.sequencer.write(Command::Accept(acceptance)).await {
            Ok(Answered::New(receipt)) => {
                self.contents.discard(&peer.system, &uploads);
                Ok(Ok(receipt.id))
            }
            Ok(Answered::Before(first)) => Ok(Ok(first)),
            // Only recordings are answered so.
            Ok(Answered::Recorded) => Err(Fault::Stopped.into()),
            Err(Error::Refused(refusal)) if refusal.reason == Reason::RelayLoop => {
                Ok(Err(Stopped { refusal, judgement: None }))
            }
            Err(error) => Err(error),
        }
    }

    /// The results for a document whose request was accepted before: the first receipts, if it was this
    /// neighbour's.
    async fn taken_before(
        &self,
        peer: &Peer,
        proven: &Proven,
        recipients: &[(Code, Option<Code>)],
        first: EntryId,
    ) -> Result<Vec<Taken>, Error> {
        let consignment = self.accepted(first)?;
        let same_way = consignment.brought_by.as_ref() == Some(&proven.neighbour)
            && consignment.id == proven.consignment;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for (place, (code, _)) in recipients.iter().enumerate() {
            let field = format!("document.recipients[{place}]");
            let promised = if same_way { self.promise(&consignment, code)? } else { None };
            let reason = if same_way { Reason::RelayedWithout } else { Reason::RelayLoop };
            match promised {
                Some(receipt) => taken.push(Taken { recipient: code.clone(), receipt }),
                None => refused.push((code.clone(), Refusal::of_field(reason, field))),
            }
        }
        taken.extend(self.rejected_each(peer, proven, refused).await?);
        taken.sort_by(|one, other| one.recipient.cmp(&other.recipient));
        Ok(taken)
    }

    fn accepted(&self, acceptance: EntryId) -> Result<Consignment, Error> {
        let id = self.reading.entry(acceptance)?.consignment;
        let found = id.map(|id| self.store.consignment(id)).transpose()?.flatten();
        Ok(found.ok_or_else(|| Fault::Content(format!("no consignment of {acceptance}")))?)
    }

    /// Proof that the acceptance promised this recipient; `None` if it did not.
    fn promise(&self, consignment: &Consignment, to: &Code) -> Result<Option<Receipt>, Error> {
        let delivery = self.store.deliveries(consignment.id, Which::At(to))?.pop();
        let promised = delivery.filter(|delivery| consignment.promised(delivery));
        promised.map(|delivery| self.reading.receipt(delivery.consigned)).transpose()
    }

    /// Records refusals, those for one reason together.
    async fn rejected_each(
        &self,
        peer: &Peer,
        proven: &Proven,
        mut refused: Vec<(Code, Refusal)>,
    ) -> Result<Vec<Taken>, Error> {
        let mut taken = Vec::new();
        while let Some((_, refusal)) = refused.last().cloned() {
            let alike;
            (alike, refused) =
                refused.into_iter().partition(|(_, other)| other.reason == refusal.reason);
            let recipients = alike.into_iter().map(|(code, _)| code).collect();
            let stopped = Stopped { refusal, judgement: None };
            taken.extend(self.rejected(peer, proven, recipients, stopped).await?);
        }
        Ok(taken)
    }

    /// Records one refusal; it is the result for all these recipients.
    async fn rejected(
        &self,
        peer: &Peer,
        proven: &Proven,
        recipients: Vec<Code>,
        stopped: Stopped,
    ) -> Result<Vec<Taken>, Error> {
        let Stopped { refusal, judgement } = stopped;
        let mut pieces = vec![piece(&proven.evidence)];
        pieces.extend(judgement.as_ref().map(|judgement| piece(&judgement.report)));
        pieces.extend(self.shared(peer.certificate, &peer.der)?);
        tracing::info!(neighbour = %proven.neighbour, %refusal, "a relayed document is rejected");
        let rejection = Rejection {
            actor: peer.actor(),
            request: proven.request,
            facts: proven.facts.clone(),
            verdict: judgement.as_deref().map(Judgement::mark),
            reason: refusal.reason,
            contents: self.keep_pieces(pieces).await?,
            brought: proven.brought(),
        };
        match self.sequencer.write(Command::Reject(rejection)).await? {
            Answered::New(receipt) => {
                let of = |recipient| Taken { recipient, receipt: receipt.clone() };
                Ok(recipients.into_iter().map(of).collect())
            }
            // A rejection is always new.
            Answered::Before(_) | Answered::Recorded => Err(Fault::Stopped.into()),
        }
    }
}

/// Which neighbour this is.
///
/// # Errors
/// [`Reason::RoleNotAllowed`], [`Reason::NeighbourUnknown`].
pub(super) fn neighbour_of(peer: &Peer, surroundings: &Surroundings) -> Result<Service, Refusal> {
    peer.require(&[Role::Gateway])?;
    let unknown = || Refusal::new(Reason::NeighbourUnknown).with("system", &peer.system);
    let system = surroundings.directory.system(&peer.system).ok_or_else(unknown)?;
    let name = system.gateway.as_deref().ok_or_else(unknown)?;
    let configured = surroundings.neighbours.iter().any(|key| key.gateway == name);
    Service::new(ServiceKind::Gateway, name).filter(|_| configured).ok_or_else(unknown)
}

impl Gateway {
    /// The mailbox of the peer, which is a neighbour; its notices are what it is told.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NeighbourUnknown`].
    pub fn mailbox_of(&self, peer: &Peer) -> Result<Code, Refusal> {
        Ok(neighbour_mailbox(&neighbour_of(peer, &self.surroundings())?))
    }
}

/// Holds what the neighbour says against its receipt.
fn prove(peer: &Peer, surroundings: &Surroundings, brought: &Brought) -> Result<Proven, Refusal> {
    let neighbour = neighbour_of(peer, surroundings)?;
    let invalid = |why: &str| {
        Refusal::of_field(Reason::RelayReceiptInvalid, "document.receipt").with("why", why)
    };
    let Brought { envelope, receipt, promised, recipients, .. } = brought;
    let key = surroundings.neighbours.iter().find(|key| key.gateway == neighbour.name());
    let key = key.ok_or_else(|| Refusal::new(Reason::NeighbourUnknown))?;
    let entry = receipt.verify(key).map_err(|error| invalid(&error.to_string()))?;
    let registered = surroundings.directory.agency(&envelope.sender);
    let sender = registered.map_or(&envelope.sender, |agency| &agency.code);
    match () {
        () if entry.event != Event::SubmissionAcceptance => return Err(invalid("no acceptance")),
        () if entry.envelope != Some(envelope.digest()) => return Err(invalid("another envelope")),
        () if entry.from.as_ref() != Some(sender) => return Err(invalid("another sender")),
        () if entry.urgency != Some(envelope.urgency) => return Err(invalid("another urgency")),
        () => {}
    }
    let (Some(consignment), Some(request)) = (entry.consignment, entry.request) else {
        return Err(invalid("no consignment"));
    };
    let differ =
        |field| Refusal::of_field(Reason::RelayRecipientsDiffer, format!("document.{field}"));
    if promised.len() > RECIPIENTS_MAX {
        let refusal = Refusal::of_field(Reason::RecipientsTooMany, "document.promised");
        return Err(refusal.with("count", promised.len()).with("limit", RECIPIENTS_MAX));
    }
    if entry.recipients != Some(recipient_set(promised.iter())) {
        return Err(differ("promised"));
    }
    let ascending = recipients.is_sorted_by(|(one, _), (other, _)| one < other);
    let among = recipients.iter().all(|(code, _)| promised.binary_search(code).is_ok());
    if recipients.is_empty() || !ascending || !among {
        return Err(differ("recipients"));
    }
    if let Some(place) = recipients.iter().position(|(code, of)| of.as_ref() == Some(code)) {
        let field = format!("document.recipients[{place}].addressed");
        return Err(Refusal::of_field(Reason::FieldMalformed, field));
    }
    Ok(Proven {
        neighbour,
        consignment,
        request,
        facts: facts(sender, envelope),
        evidence: receipt.to_file().into_bytes(),
    })
}
