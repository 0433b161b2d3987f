//! The walk of a document: read → gather → verify → route → keep → commit → answer.
//!
//! The steps are types, each made only from the one before: [`Gathered`] → [`Verified`] →
//! [`Routed`]; only a `Routed` document can be committed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::command::{self, Acceptance, Command, Facts, Rejection};
use super::judging::Judgement;
use super::peer::Peer;
use super::ports::{Piece, Place, Staged, UploadError};
use super::sequencer::Answered;
use super::{Error, Fault, Gateway, Reserved, Surroundings};
use crate::clock::Time;
use crate::delivery::Term;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, Envelope, Part, RequestId};
use crate::evidence::Receipt;
use crate::log::EntryId;
use crate::refusal::{Reason, Refusal};
use crate::routing::{Route, route};
use crate::source::{Hashed, Source};

/// Digests of certificates and lists that are known to be kept; beyond it the store is asked.
const KEPT_MAX: usize = 10_000;
/// Content above this size is verified on a thread that may block; below it, hashing takes less
/// than a millisecond.
const INLINE_SIZE_MAX: u64 = 1024 * 1024;

/// A document as it stands before the hall.
#[derive(Debug)]
pub struct Submission {
    /// The sender's name for this request.
    pub request: RequestId,
    /// The envelope, read.
    pub envelope: Envelope,
    /// Where its parts are.
    pub bodies: Bodies,
}

/// Where the parts of a submission are.
#[derive(Debug)]
pub enum Bodies {
    /// In the call, in the order of the envelope.
    Inline(Vec<Bytes>),
    /// Uploaded before.
    Staged,
}

/// A part that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its position in the envelope.
    pub part: usize,
    /// Bytes that have arrived.
    pub offset: u64,
}

/// Something the clerk should know (NĐ 30/2020 Annex VI: duplicates are reported, not refused).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// `DOCUMENT_ID_SEEN` or `NUMBER_SEEN`.
    pub code: &'static str,
    /// One sentence.
    pub message: &'static str,
    /// The earlier acceptance.
    pub entry: EntryId,
}

/// What every check said, with nothing written.
#[derive(Debug)]
pub struct Validated {
    /// The judgement on the signatures.
    pub judgement: Judgement,
    /// How many agencies would receive it.
    pub recipients: usize,
    /// What the clerk should know.
    pub warnings: Vec<Warning>,
}

/// The document is in charge of the gateway.
#[derive(Debug)]
pub struct Accepted {
    /// Proof of the acceptance.
    pub receipt: Receipt,
    /// What the checks said; `None` if the same request was accepted before.
    pub validated: Option<Validated>,
}

/// The envelope with the bytes of its parts, each of the listed size and digest.
pub(super) struct Gathered {
    pub(super) envelope: Envelope,
    bodies: Vec<Body>,
}

impl Gathered {
    /// The parts that were uploaded before.
    pub(super) fn uploads(&self) -> Vec<Sha256> {
        let parts = self.envelope.parts.iter().zip(&self.bodies);
        let uploaded = parts.filter(|(_, body)| matches!(body, Body::Staged(_)));
        uploaded.map(|(part, _)| part.digest).collect()
    }
}

/// A gathered document whose signatures were judged and not refused.
pub(super) struct Verified {
    pub(super) gathered: Gathered,
    pub(super) judgement: Judgement,
}

/// A verified document with its destinations.
struct Routed {
    verified: Verified,
    route: Route,
}

enum Body {
    Inline(Hashed<Bytes>),
    Staged(Box<dyn Source + Send + Sync>),
}

impl Body {
    fn source(&self) -> &dyn Source {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Staged(source) => &**source,
        }
    }
}

impl Gateway {
    /// Takes a document in charge. The answer comes after its entries are on disk and in the
    /// Merkle tree, never before; the same request always gets the first receipt.
    ///
    /// # Errors
    /// A refusal of any stage (those of verify and route are entries of the log too), or a fault.
    pub async fn submit(&self, peer: &Peer, submission: Submission) -> Result<Accepted, Error> {
        let surroundings = self.surroundings();
        let now = self.now();
        let Submission { request, envelope, bodies } = submission;
        let sender = self.admit(peer, &surroundings, &envelope)?;
        let key = request_key(&sender, request);
        if let Some(first) = self.accepted_before(&key, &envelope)? {
            return Ok(Accepted { receipt: first, validated: None });
        }
        self.room()?;
        let size: u64 = envelope.parts.iter().map(|part| part.size).sum();
        if matches!(bodies, Bodies::Inline(_)) {
            self.afford(peer, size)?;
        }
        let facts = facts(&sender, &envelope);
        let gathered = self.gather(peer, envelope, bodies)?;
        let routed = match walk(gathered, &surroundings, &sender, now).await {
            Ok(routed) => routed,
            Err(stopped) => return Err(self.reject(peer, key, facts, stopped).await),
        };
        let warnings = self.warnings(&routed, now)?;
        let on_its_way = self.ways.enter();
        let kept = self.keep(peer, &routed.verified).await?;
        let uploads = routed.verified.gathered.uploads();
        let (mut acceptance, validated) = routed.prepare(peer, now, key, facts, kept, warnings);
        acceptance.on_its_way = Some(on_its_way);
        match self.sequencer.write(Command::Accept(acceptance)).await? {
            Answered::New(receipt) => {
                self.quotas.kept(&peer.system, now, size);
                self.contents.discard(&peer.system, &uploads);
                Ok(Accepted { receipt, validated: Some(validated) })
            }
            Answered::Before(first) => {
                Ok(Accepted { receipt: self.reading.receipt(first)?, validated: None })
            }
            // Only recordings are answered so.
            Answered::Recorded => Err(Fault::Stopped.into()),
        }
    }

    /// Runs every check of [`Gateway::submit`] and writes nothing, refusals included.
    ///
    /// # Errors
    /// As [`Gateway::submit`].
    pub async fn validate(&self, peer: &Peer, submission: Submission) -> Result<Validated, Error> {
        let surroundings = self.surroundings();
        let now = self.now();
        let Submission { request, envelope, bodies } = submission;
        let sender = self.admit(peer, &surroundings, &envelope)?;
        self.accepted_before(&request_key(&sender, request), &envelope)?;
        let gathered = self.gather(peer, envelope, bodies)?;
        let routed =
            walk(gathered, &surroundings, &sender, now).await.map_err(|stopped| stopped.refusal)?;
        let warnings = self.warnings(&routed, now)?;
        let recipients = routed.route.destinations().len();
        Ok(Validated { judgement: routed.verified.judgement, recipients, warnings })
    }

    /// Checks an envelope before its content travels, and says what is missing.
    ///
    /// # Errors
    /// A refusal by identity, size, route or quota; nothing is written.
    pub fn announce(
        &self,
        peer: &Peer,
        envelope: &Envelope,
    ) -> Result<(Vec<Missing>, usize), Error> {
        let surroundings = self.surroundings();
        self.admit(peer, &surroundings, envelope)?;
        let route = route(&surroundings.directory, self.now().date_in_vietnam(), envelope)?;
        Ok((self.missing(peer, envelope)?, route.destinations().len()))
    }

    /// The parts that the peer has not uploaded to their ends.
    pub(super) fn missing(&self, peer: &Peer, envelope: &Envelope) -> Result<Vec<Missing>, Error> {
        let mut missing = Vec::new();
        let mut size = 0;
        for (part, listed) in envelope.parts.iter().enumerate() {
            if let Staged::Arriving(offset) = self.staged(peer, part, listed)? {
                missing.push(Missing { part, offset });
                size += listed.size - offset;
            }
        }
        self.afford(peer, size)?;
        Ok(missing)
    }

    /// Whether the peer's system may add `size` bytes today.
    fn afford(&self, peer: &Peer, size: u64) -> Result<(), Error> {
        let staged = self.staged_size(peer)?;
        Ok(self.quotas.check(&peer.system, self.now(), staged, size)?)
    }

    /// Keeps room in the quota of the peer's system for the rest of an upload.
    ///
    /// # Errors
    /// [`Reason::QuotaExceeded`], or a fault.
    pub fn reserve(&self, peer: &Peer, size: u64) -> Result<Reserved, Error> {
        let staged = self.staged_size(peer)?;
        Ok(self.quotas.reserve(&peer.system, self.now(), staged, size)?)
    }

    fn staged_size(&self, peer: &Peer) -> Result<u64, Error> {
        let staged = self.contents.staged_size(&peer.system);
        Ok(staged.map_err(|error| Fault::Content(error.to_string()))?)
    }

    /// The registered code of the sender, for whom the peer may send.
    fn admit(
        &self,
        peer: &Peer,
        surroundings: &Surroundings,
        envelope: &Envelope,
    ) -> Result<Code, Error> {
        let today = self.now().date_in_vietnam();
        let agency = peer.send_for(&surroundings.directory, today, &envelope.sender)?;
        Ok(agency.code.clone())
    }

    fn accepted_before(&self, key: &Sha256, envelope: &Envelope) -> Result<Option<Receipt>, Error> {
        let Some((used_for, first)) = self.store.request(key)? else { return Ok(None) };
        command::repeated(used_for, envelope.digest(), first)?;
        Ok(Some(self.reading.receipt(first)?))
    }

    pub(super) fn gather(
        &self,
        peer: &Peer,
        envelope: Envelope,
        bodies: Bodies,
    ) -> Result<Gathered, Error> {
        let bodies = match bodies {
            Bodies::Inline(parts) => inline(&envelope, parts)?,
            Bodies::Staged => self.uploaded(peer, &envelope)?,
        };
        Ok(Gathered { envelope, bodies })
    }

    fn uploaded(&self, peer: &Peer, envelope: &Envelope) -> Result<Vec<Body>, Error> {
        let mut bodies = Vec::with_capacity(envelope.parts.len());
        for (index, part) in envelope.parts.iter().enumerate() {
            match self.staged(peer, index, part)? {
                Staged::Complete(source) => bodies.push(Body::Staged(source)),
                Staged::Arriving(arrived) => {
                    let refusal =
                        Refusal::of_field(Reason::UploadIncomplete, format!("parts[{index}]"));
                    let refusal = refusal.with("part", &part.name).with("offset", arrived);
                    return Err(refusal.with("size", part.size).into());
                }
            }
        }
        Ok(bodies)
    }

    fn staged(&self, peer: &Peer, index: usize, part: &Part) -> Result<Staged, Error> {
        match self.contents.staged(&peer.system, &part.digest, part.size) {
            Ok(staged) => Ok(staged),
            Err(UploadError::TooLong(_)) => {
                let field = format!("parts[{index}].size");
                Err(Refusal::of_field(Reason::SizeMismatch, field).with("size", part.size).into())
            }
            Err(error) => Err(Fault::Content(error.to_string()).into()),
        }
    }

    /// The earlier acceptances that share a natural key with this document.
    fn warnings(&self, routed: &Routed, now: Time) -> Result<Vec<Warning>, Error> {
        let envelope = &routed.verified.gathered.envelope;
        let mut warnings = Vec::new();
        let document = Term::Document(envelope.document_id.clone());
        if let Some(entry) = self.accepted_under(&document)? {
            let message = "a document with this identifier was accepted before";
            warnings.push(Warning { code: "DOCUMENT_ID_SEEN", message, entry });
        }
        if let Some(number) = &envelope.number {
            let term = Term::Issued {
                sender: routed.route.sender().clone(),
                year: now.date_in_vietnam().year(),
                number: crate::delivery::fold_number(number),
            };
            if let Some(entry) = self.accepted_under(&term)? {
                let message = "this agency sent a document with this number before this year";
                warnings.push(Warning { code: "NUMBER_SEEN", message, entry });
            }
        }
        Ok(warnings)
    }

    /// The first acceptance that bears a term.
    fn accepted_under(&self, term: &Term) -> Result<Option<EntryId>, Error> {
        /// Entries looked at for one warning: an identifier that was rejected more often before it
        /// was accepted is not worth more reading.
        const LOOKED_AT_MAX: usize = 16;
        for id in self.store.find(term, EntryId::ZERO, LOOKED_AT_MAX)? {
            let entry = self.reading.entry(id)?;
            let accepted = entry.event == crate::log::Event::SubmissionAcceptance;
            if accepted && term.is_of(&entry) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Makes everything durable that the entries will refer to.
    pub(super) async fn keep(&self, peer: &Peer, verified: &Verified) -> Result<KeptFor, Error> {
        let Verified { gathered, judgement } = verified;
        let envelope = &gathered.envelope;
        let mut pieces = vec![
            Piece::Bytes(envelope.digest(), envelope.bytes().clone()),
            piece(&judgement.report),
        ];
        for (part, body) in envelope.parts.iter().zip(&gathered.bodies) {
            pieces.push(match body {
                Body::Inline(hashed) => Piece::Bytes(part.digest, hashed.bytes.clone()),
                Body::Staged(_) => Piece::Staged(peer.system.clone(), part.digest),
            });
        }
        let own = pieces.len();
        for der in &judgement.material {
            pieces.extend(self.shared(der.digest(), der)?);
        }
        pieces.extend(self.shared(peer.certificate, &peer.der)?);
        let mut own_and_shared = self.keep_pieces(pieces).await?;
        let shared = own_and_shared.split_off(own);
        Ok(KeptFor { own: own_and_shared, shared })
    }

    /// A piece that many documents share, unless it is known to be kept.
    pub(super) fn shared(&self, digest: Sha256, bytes: &[u8]) -> Result<Option<Piece>, Error> {
        if self.kept.holds(&digest) {
            return Ok(None);
        }
        if self.store.place(&digest, None)?.is_some() {
            // Indexed by a commit, so it is durable for good.
            self.kept.note(digest);
            return Ok(None);
        }
        Ok(Some(Piece::Bytes(digest, Bytes::copy_from_slice(bytes))))
    }

    pub(super) async fn keep_pieces(
        &self,
        pieces: Vec<Piece>,
    ) -> Result<Vec<(Sha256, Place)>, Error> {
        let stopped = |_| Fault::Content("the content writer has stopped".into());
        let kept = self.contents.keep(pieces).await.map_err(stopped)?;
        Ok(kept.map_err(Fault::Content)?)
    }

    /// Records a refusal of verify or route; gives the refusal with its place in the log.
    async fn reject(&self, peer: &Peer, key: Sha256, facts: Facts, stopped: Stopped) -> Error {
        let contents = match &stopped.judgement {
            None => Vec::new(),
            Some(judgement) => match self.keep_pieces(vec![piece(&judgement.report)]).await {
                Ok(contents) => contents,
                Err(error) => return error,
            },
        };
        let rejection = Rejection {
            actor: peer.actor(),
            request: key,
            facts,
            verdict: stopped.judgement.as_ref().map(|judgement| judgement.mark()),
            reason: stopped.refusal.reason,
            contents,
            brought: None,
        };
        match self.sequencer.write(Command::Reject(rejection)).await {
            Ok(Answered::New(receipt)) => stopped.refusal.with("log_entry", receipt.id).into(),
            Ok(Answered::Before(id)) => stopped.refusal.with("log_entry", id).into(),
            Ok(Answered::Recorded) => stopped.refusal.into(),
            Err(error) => error,
        }
    }
}

/// Where the content of a document was kept.
pub(super) struct KeptFor {
    /// Envelope, report and parts.
    pub(super) own: Vec<(Sha256, Place)>,
    /// Certificates and lists that are new.
    pub(super) shared: Vec<(Sha256, Place)>,
}

/// Why the walk ended early, with the judgement if there was one.
pub(super) struct Stopped {
    pub(super) refusal: Refusal,
    pub(super) judgement: Option<Box<Judgement>>,
}

/// Verify, then route.
async fn walk(
    gathered: Gathered,
    surroundings: &Arc<Surroundings>,
    sender: &Code,
    now: Time,
) -> Result<Routed, Stopped> {
    let verified = judged(gathered, surroundings, sender, now).await?;
    let today = now.date_in_vietnam();
    match route(&surroundings.directory, today, &verified.gathered.envelope) {
        Ok(route) => Ok(Routed { verified, route }),
        Err(refusal) => Err(Stopped { refusal, judgement: None }),
    }
}

/// Judges the signatures; the sender is in the directory.
pub(super) async fn judged(
    gathered: Gathered,
    surroundings: &Arc<Surroundings>,
    sender: &Code,
    now: Time,
) -> Result<Verified, Stopped> {
    let size: u64 = gathered.envelope.parts.iter().map(|part| part.size).sum();
    let judge = {
        let (surroundings, sender) = (surroundings.clone(), sender.clone());
        move || {
            let agency = surroundings.directory.agency(&sender).expect("the sender is known");
            let part = |index: usize| gathered.bodies[index].source();
            let judgement = Judgement::of(&gathered.envelope, agency, &surroundings, now, part);
            (gathered, judgement)
        }
    };
    let (gathered, judgement) = match size > INLINE_SIZE_MAX {
        true => tokio::task::spawn_blocking(judge).await.expect("the judgement does not panic"),
        false => judge(),
    };
    if let Err(refusal) = judgement.accept() {
        return Err(Stopped { refusal, judgement: Some(Box::new(judgement)) });
    }
    Ok(Verified { gathered, judgement })
}

impl Routed {
    fn prepare(
        self,
        peer: &Peer,
        now: Time,
        request: Sha256,
        facts: Facts,
        kept: KeptFor,
        warnings: Vec<Warning>,
    ) -> (Acceptance, Validated) {
        let destinations = self.route.destinations();
        let recipients: Vec<_> =
            destinations.map(|(code, destination)| (code.clone(), destination.clone())).collect();
        let validated = Validated {
            recipients: recipients.len(),
            judgement: self.verified.judgement,
            warnings,
        };
        let acceptance = Acceptance {
            actor: peer.actor(),
            consignment: ConsignmentId(new_id(now)),
            request,
            facts,
            verdict: validated.judgement.mark(),
            recipients,
            contents: kept.shared,
            bodies: kept.own,
            on_its_way: None,
            brought: None,
        };
        (acceptance, validated)
    }
}

/// A time-ordered UUID (RFC 9562 version 7): neighbours in the log are neighbours in the store.
fn new_id(now: Time) -> uuid::Uuid {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    let nanos = u32::try_from(now.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

pub(super) fn request_key(sender: &Code, request: RequestId) -> Sha256 {
    Sha256::of(format!("{sender}\n{request}").as_bytes())
}

pub(super) fn facts(sender: &Code, envelope: &Envelope) -> Facts {
    Facts {
        sender: sender.clone(),
        envelope: envelope.digest(),
        document: envelope.document_id.clone(),
        number: envelope.number.clone(),
        dossier: envelope.dossier.clone(),
        urgency: envelope.urgency,
    }
}

pub(super) fn piece(bytes: &[u8]) -> Piece {
    Piece::Bytes(Sha256::of(bytes), Bytes::copy_from_slice(bytes))
}

fn inline(envelope: &Envelope, parts: Vec<Bytes>) -> Result<Vec<Body>, Refusal> {
    if parts.len() != envelope.parts.len() {
        let refusal = Refusal::of_field(Reason::PartsDoNotMatch, "parts");
        return Err(refusal.with("listed", envelope.parts.len()).with("sent", parts.len()));
    }
    let mut bodies = Vec::with_capacity(parts.len());
    for (index, (listed, bytes)) in envelope.parts.iter().zip(parts).enumerate() {
        let refusal = |reason| {
            Refusal::of_field(reason, format!("parts[{index}]")).with("part", &listed.name)
        };
        if bytes.len() as u64 != listed.size {
            let refusal = refusal(Reason::SizeMismatch).with("announced", listed.size);
            return Err(refusal.with("received", bytes.len()));
        }
        let hashed = Hashed::new(bytes);
        if hashed.digest != listed.digest {
            let refusal = refusal(Reason::DigestMismatch).with("announced", listed.digest);
            return Err(refusal.with("received", hashed.digest));
        }
        bodies.push(Body::Inline(hashed));
    }
    Ok(bodies)
}

/// Digests of small content that many documents share and that is known to be kept.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashSet<Sha256>>);

impl Kept {
    fn holds(&self, digest: &Sha256) -> bool {
        self.0.lock().expect("no panic while looking").contains(digest)
    }

    fn note(&self, digest: Sha256) {
        let mut kept = self.0.lock().expect("no panic while noting");
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(digest);
    }
}
