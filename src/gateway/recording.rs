//! Entries that nobody waits for: notices handed out, content read, deadlines that passed, what
//! services did. They go through the one writer like everything else, and a full queue only delays
//! them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::command::{Command, Context, Decided, asked_for};
use super::dossiers;
use super::peer::Peer;
use super::ports::{Piece, Place};
use super::reads::Read;
use super::stage::Stage;
use super::{Error, Fault, Gateway};
use crate::clock::Time;
use crate::delivery::{Change, Failure, Prior as _};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode};
use crate::dossier::Step;
use crate::limits::{RECORDED_AT_ONCE, RECORDING_QUEUE_MAX};
use crate::log::{Actor, Entry, Event, Service, SignedHead};

/// While the writer's queue is full.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// While the disk is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// While what was told before the end becomes durable.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    /// A notice of the consignment was handed to the recipient's system.
    Notified(ConsignmentId, Code),
    /// The system read content for the recipient.
    Accessed(Actor, ConsignmentId, Code),
    /// An auditor asked.
    Asked(Box<Read>),
    /// The recipient's time ended then.
    Failed(Failure, ConsignmentId, Code, Time),
    /// A neighbour tells this of one of its recipients, or brings an order; time, sender and envelope are
    /// still missing.
    Told(Box<Entry>),
    /// A service gave a time-stamp over a checkpoint.
    Stamped {
        /// What it covers.
        covers: SignedHead,
        /// Digest of the token.
        token: Sha256,
        /// Who gave it.
        service: Service,
    },
    /// A service has not answered since.
    Outage(Service, Time),
    /// It answers again after an outage since.
    Repair(Service, Time),
    /// A service's clock is so many milliseconds ahead of ours.
    Clock(Service, i64),
    /// The directory is another now.
    DirectoryChanged {
        /// Digest of its canonical form.
        content: Sha256,
        /// Digest of the salted text of who approved it.
        note: Sha256,
    },
    /// What waited for a closed agency waits for its successor.
    Redirected {
        /// What.
        consignment: ConsignmentId,
        /// The closed agency.
        closed: Code,
        /// The other.
        successor: Code,
    },
    /// A time of the dossier has come.
    Alarm(DossierCode),
    /// An agency that has a part in the dossier was closed.
    Succeeded {
        /// Which dossier.
        dossier: DossierCode,
        /// The closed agency.
        closed: Code,
        /// The other.
        successor: Code,
    },
}

/// Facts to be recorded together.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    pub(super) facts: Vec<Fact>,
    /// How far deadlines were looked at.
    pub(super) swept: Vec<Change>,
    /// Content that the entries refer to.
    pub(super) contents: Vec<(Sha256, Place)>,
}

impl Recording {
    /// Decides which of the facts are new; their entries are on the stage then.
    pub(super) fn decide(
        self,
        stage: &mut Stage<'_>,
        context: &Context<'_>,
    ) -> Result<Decided, Error> {
        for fact in self.facts {
            match fact {
                Fact::Told(entry) if entry.event == Event::Order => {
                    brought_order(stage, context, *entry)?;
                }
                fact => {
                    if let Fact::Succeeded { dossier, .. } = &fact {
                        // What a passed time brought about was brought about by the one before.
                        while let Some(entry) = dossiers::alarm(stage, context, dossier)? {
                            stage.push(&entry)?;
                        }
                    }
                    if let Some(entry) = entry_of(stage, context, fact)? {
                        stage.push(&entry)?;
                    }
                }
            }
        }
        stage.changes.extend(self.swept);
        Ok(Decided::Recorded)
    }
}

/// The entry of a fact; `None` if it is recorded already or nothing of the kind can be.
fn entry_of(stage: &Stage<'_>, context: &Context<'_>, fact: Fact) -> Result<Option<Entry>, Error> {
    let ours = |event| Entry::new(event, context.now, context.gateway.clone());
    match fact {
        Fact::Notified(consignment, recipient) => {
            let entry = ours(Event::ConsignmentNotification);
            milestone(stage, consignment, recipient, entry)
        }
        Fact::Accessed(actor, consignment, recipient) => {
            let entry = Entry::new(Event::ContentAccessTracking, context.now, actor);
            milestone(stage, consignment, recipient, entry)
        }
        Fact::Asked(read) => {
            let Read { actor, query, note } = *read;
            Ok(Some(Entry {
                consignment: query.consignment,
                from: query.from,
                to: query.to,
                reason: Some(query.asked.word().into()),
                note: Some(note),
                ..Entry::new(Event::AuditorsRead, context.now, actor)
            }))
        }
        Fact::Failed(failure, consignment, recipient, end) => {
            let entry =
                Entry { reason: Some("EXPIRED".into()), since: Some(end), ..ours(failure.event()) };
            if context.now <= end {
                return Ok(None);
            }
            milestone(stage, consignment, recipient, entry)
        }
        Fact::Told(entry) => told(stage, context, *entry),
        Fact::Stamped { covers, token, service } => Ok(Some(Entry {
            covers: Some(covers),
            content: Some(token),
            service: Some(service),
            ..ours(Event::TimeStamp)
        })),
        Fact::Outage(service, since) => {
            Ok(Some(Entry { service: Some(service), since: Some(since), ..ours(Event::Outage) }))
        }
        Fact::Repair(service, since) => {
            Ok(Some(Entry { service: Some(service), since: Some(since), ..ours(Event::Repair) }))
        }
        Fact::Clock(service, offset) => Ok(Some(Entry {
            service: Some(service),
            offset: Some(offset),
            ..ours(Event::ClockCheck)
        })),
        Fact::DirectoryChanged { content, note } => Ok(Some(Entry {
            content: Some(content),
            note: Some(note),
            ..ours(Event::DirectoryChange)
        })),
        Fact::Redirected { consignment, closed, successor } => {
            redirection(stage, consignment, closed, successor, ours(Event::Redirection))
        }
        Fact::Alarm(code) => dossiers::alarm(stage, context, &code),
        Fact::Succeeded { dossier, closed, successor } => {
            let needed = stage.dossier(&dossier)?.is_some_and(|found| found.needs(&closed));
            Ok(needed.then(|| Entry {
                from: Some(closed),
                to: Some(successor),
                dossier: Some(dossier),
                reason: Some(Step::Succession.word().to_owned()),
                ..ours(Event::DossierStep)
            }))
        }
    }
}

/// Only what still waits in a mailbox here is redirected.
fn redirection(
    stage: &Stage<'_>,
    consignment: ConsignmentId,
    closed: Code,
    successor: Code,
    entry: Entry,
) -> Result<Option<Entry>, Error> {
    let delivery = stage.delivery(consignment, &closed)?;
    let waiting = delivery.filter(|delivery| delivery.waits() && delivery.via.is_none());
    Ok(waiting.map(|delivery| Entry {
        consignment: Some(consignment),
        from: Some(delivery.sender),
        to: Some(successor),
        envelope: Some(delivery.envelope),
        urgency: Some(delivery.urgency),
        addressed: Some(closed),
        ..entry
    }))
}

/// An entry about a delivery that stands there at most once.
fn milestone(
    stage: &Stage<'_>,
    consignment: ConsignmentId,
    recipient: Code,
    entry: Entry,
) -> Result<Option<Entry>, Error> {
    let Some(delivery) = stage.delivery(consignment, &recipient)? else { return Ok(None) };
    if delivery.via.is_some() && entry.event != Event::RelayFailure {
        return Ok(None); // Its gateway tells what happens there.
    }
    let seen = &delivery.milestones;
    let end = entry.since.unwrap_or(entry.time);
    let is_new = match entry.event {
        Event::ConsignmentNotification => seen.notified.is_none(),
        Event::ContentAccessTracking => seen.accessed.is_none(),
        Event::ConsignmentNotificationFailure => delivery.has_failed(Failure::Notification, end),
        Event::RelayFailure => delivery.has_failed(Failure::Relay, end),
        _ => delivery.has_failed(Failure::Handover, end),
    };
    let neighbour = delivery.via.filter(|_| entry.event == Event::RelayFailure);
    Ok(is_new.then_some(Entry {
        service: neighbour,
        consignment: Some(consignment),
        from: Some(delivery.sender),
        to: Some(recipient),
        envelope: Some(delivery.envelope),
        ..entry
    }))
}

/// The entry of a neighbour's word about a recipient behind it.
fn told(stage: &Stage<'_>, context: &Context<'_>, told: Entry) -> Result<Option<Entry>, Error> {
    let redirected = told.event == Event::Redirection;
    let about = if redirected { &told.addressed } else { &told.to };
    let Some((consignment, about)) = told.consignment.zip(about.as_ref()) else { return Ok(None) };
    let Some(delivery) = stage.delivery(consignment, about)? else { return Ok(None) };
    let is_new = match (delivery.is_news(told.event), &told.content) {
        (Some(is_new), _) => is_new,
        (None, Some(content)) => !stage.rests_on(consignment, content)?,
        (None, None) => false,
    };
    // An answer comes once for each order, and the evidence of an earlier one does not count again.
    let replayed = told.event == Event::OrderAnswer
        && match &told.content {
            Some(content) => stage.rests_on(consignment, content)?,
            None => true,
        };
    let is_new = is_new && !replayed && delivery.fits(&told) && delivery.via == told.service;
    let consigned = redirected || told.event == Event::ContentConsignment;
    Ok(is_new.then_some(Entry {
        time: context.now,
        from: Some(delivery.sender),
        envelope: Some(delivery.envelope),
        urgency: consigned.then_some(delivery.urgency),
        ..told
    }))
}

/// An order about a document that the neighbour brought.
fn brought_order(stage: &mut Stage<'_>, context: &Context<'_>, order: Entry) -> Result<(), Error> {
    let named = order.consignment.zip(order.to.as_ref()).zip(order.content.as_ref());
    let Some(((consignment, to), content)) = named else { return Ok(()) };
    let Some(delivery) = stage.delivery(consignment, to)? else { return Ok(()) };
    let Some(ordered) = delivery.brought(&order) else { return Ok(()) };
    let by_is_known = match order.by {
        Some(by) => stage.delivery(by, to)?.is_some_and(|by| {
            (&by.sender, &by.brought_by, &by.via)
                == (&delivery.sender, &delivery.brought_by, &delivery.via)
        }),
        None => true,
    };
    if !by_is_known || stage.rests_on(consignment, content)? {
        return Ok(());
    }
    let asked = Entry {
        time: context.now,
        from: Some(delivery.sender),
        envelope: Some(delivery.envelope),
        ..order
    };
    asked_for(stage, context, asked, ordered).map(drop)
}

/// What was told and is not recorded yet.
enum Told {
    HandedOut(ConsignmentId, Code),
    Read(Peer, ConsignmentId, Code),
}

/// The queue of what was told.
pub(super) struct Recorder {
    told: mpsc::Sender<Told>,
    queue: Mutex<Option<mpsc::Receiver<Told>>>,
    open: AtomicUsize,
}

impl Default for Recorder {
    fn default() -> Self {
        let (told, queue) = mpsc::channel(RECORDING_QUEUE_MAX);
        Self { told, queue: Mutex::new(Some(queue)), open: AtomicUsize::new(0) }
    }
}

impl Recorder {
    async fn tell(&self, told: Told) {
        self.open.fetch_add(1, Ordering::SeqCst);
        if self.told.send(told).await.is_err() {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The same, but what does not fit is given up.
    fn tell_if_possible(&self, told: Told) {
        self.open.fetch_add(1, Ordering::SeqCst);
        if self.told.try_send(told).is_err() {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Gateway {
    /// A notice of the consignment was handed to the recipient's system. Returns at once, unless tens
    /// of thousands wait to be recorded.
    pub async fn handed_out(&self, consignment: ConsignmentId, recipient: &Code) {
        self.tell(Told::HandedOut(consignment, recipient.clone())).await;
    }

    /// The peer reads content for the recipient. Returns as [`Gateway::handed_out`] does.
    pub async fn content_read(&self, peer: &Peer, consignment: ConsignmentId, recipient: &Code) {
        self.tell(Told::Read(peer.clone(), consignment, recipient.clone())).await;
    }

    /// While there is no room, nothing is recorded; reading goes on, even if it is not.
    async fn tell(&self, told: Told) {
        match self.room() {
            Ok(()) => self.recorder.tell(told).await,
            Err(_) => self.recorder.tell_if_possible(told),
        }
    }

    /// Records what is told, for as long as the gateway runs.
    pub async fn record_what_is_told(&self) {
        let queue = self.recorder.queue.lock().expect("no panic while taking").take();
        let Some(mut queue) = queue else { return };
        while let Some(first) = queue.recv().await {
            let mut told = vec![first];
            while told.len() < RECORDED_AT_ONCE {
                let Ok(next) = queue.try_recv() else { break };
                told.push(next);
            }
            let count = told.len();
            let recording = self.recording_of(told).await;
            let recorded = self.record(recording).await;
            self.recorder.open.fetch_sub(count, Ordering::SeqCst);
            if recorded.is_err() {
                return; // The writer has stopped; the process is about to.
            }
        }
    }

    /// Returns once everything that was told is recorded.
    pub async fn all_recorded(&self) {
        while self.recorder.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    async fn recording_of(&self, told: Vec<Told>) -> Recording {
        let mut recording = Recording::default();
        for one in told {
            match one {
                Told::HandedOut(consignment, recipient) => {
                    recording.facts.push(Fact::Notified(consignment, recipient));
                }
                Told::Read(peer, consignment, recipient) => {
                    recording.contents.extend(self.kept_certificate(&peer).await);
                    recording.facts.push(Fact::Accessed(peer.actor(), consignment, recipient));
                }
            }
        }
        recording
    }

    /// Evidence shows the certificate; without it the entry still names its digest.
    async fn kept_certificate(&self, peer: &Peer) -> Vec<(Sha256, Place)> {
        let piece: Option<Piece> = self.shared(peer.certificate, &peer.der).unwrap_or_default();
        match piece {
            Some(piece) => self.keep_pieces(vec![piece]).await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Records facts; returns when they are durable. Waits while the writer is busy, or until there is
    /// room.
    pub(super) async fn record(&self, recording: Recording) -> Result<(), Error> {
        loop {
            if self.room().is_err() {
                tokio::time::sleep(FULL_PAUSE).await;
                continue;
            }
            match self.sequencer.write(Command::Record(recording.clone())).await {
                Err(Error::Fault(Fault::Busy)) => tokio::time::sleep(BUSY_PAUSE).await,
                other => return other.map(drop),
            }
        }
    }
}
