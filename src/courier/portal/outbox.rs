//! Takes messages out of the portal's mailbox and hands them over, in the order in which the log put
//! them there: for one dossier strictly, and across dossiers as far as none of them is in trouble.
//!
//! The mailbox is the memory. A message leaves it when the portal has taken or refused it, by an entry
//! of the log that proves it; a message whose handing over was cut short is handed over again, and the
//! portal replaces what it has. Steps that the gateway tells of stand in the same order, and are noted
//! in a file when the portal has them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Code as Grpc, Status};

use super::answer::Trouble;
use super::call::{fetch, is_gone, is_leased, message_part, reason, within};
use super::client::Portal;
use super::message::{Draft, Ready, Service, States, Wrong};
use super::steps::{Heard, Steps, Told};
use super::waiting::{Errand, Waiting};
use crate::directory::Code;
use crate::document::DossierCode;
use crate::limits::{
    CALL_DEADLINE, MESSAGE_SIZE_MAX, PAGE_SIZE_MAX, POLL_WAIT_MAX, PORTAL_CREDENTIALS_LOOK,
    PORTAL_HOLD_MAX, PORTAL_MESSAGE_SIZE_MAX, PORTAL_OUTAGE_FAILURES, PORTAL_WAITING_MAX,
};
use crate::log::EntryId;
use crate::proto::v1;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;

/// Is told how it goes.
pub trait Observer: Send + Sync {
    /// A message came to an end or not: `taken`, `refused`, `failed`, or `credentials`.
    fn handed(&self, outcome: &'static str);

    /// So many messages are known to wait.
    fn waiting(&self, count: usize);

    /// Whether the portal does not take the user name and password.
    fn alarmed(&self, is_alarmed: bool);

    /// The portal handed a record over to us: `taken`, `refused`, or `failed`.
    fn received(&self, outcome: &'static str) {
        let _unobserved = outcome;
    }

    /// An office has not taken a document that came from the portal, and will not.
    fn returned(&self);
}

/// Why nothing is handed over any longer.
#[derive(Debug, thiserror::Error)]
#[error("the gateway does not let this system work off the mailbox of {agency}: {status}")]
pub struct Ended {
    agency: String,
    status: Box<Status>,
}

/// Between the mailbox of the portal's agency and the portal.
pub struct Outbox {
    mailbox: MailboxServiceClient<Channel>,
    agency: String,
    portal: Portal,
    states: States,
    /// The pause after a failure, and the longest one.
    pauses: (Duration, Duration),
    observer: Arc<dyn Observer>,
    /// Agencies that write about dossiers of others than their own province or central body.
    abroad: BTreeSet<Code>,
    /// Agencies that get citizens' questions, and answer them.
    asked: BTreeSet<Code>,
    steps: Option<Steps>,
    /// The last message that was seen in the mailbox.
    seen: EntryId,
    /// Up to here, every message is known: a step behind it waits until the mailbox was looked into.
    listed: EntryId,
    /// Up to here, every step is known: a message behind it waits until the notices were asked for.
    heard: EntryId,
    waiting: BTreeMap<EntryId, Waiting>,
    held: HashMap<String, Held>,
    cursor: String,
    /// There is more in the mailbox than was listed; an older message may be among it.
    has_more: bool,
    failures: u32,
    is_alarmed: bool,
}

/// A dossier with which there was trouble.
struct Held {
    failures: u32,
    until: Instant,
}

/// What a document in the mailbox turned out to be.
enum Content {
    Message(Box<Ready>),
    Wrong(Wrong),
    /// Nothing for this courier.
    Other,
}

/// Why a message is still there.
enum Delay {
    Portal(Trouble),
    Gateway(Status),
}

impl From<Status> for Delay {
    fn from(status: Status) -> Self {
        Self::Gateway(status)
    }
}

impl From<Trouble> for Delay {
    fn from(trouble: Trouble) -> Self {
        Self::Portal(trouble)
    }
}

impl Outbox {
    /// The outbox of this agency's mailbox. After a failure it rests for the first of the `pauses`,
    /// then twice as long, up to the second.
    pub fn new(
        channel: Channel,
        agency: String,
        portal: Portal,
        states: States,
        pauses: (Duration, Duration),
        observer: Arc<dyn Observer>,
    ) -> Self {
        let mailbox = MailboxServiceClient::new(channel);
        Self {
            mailbox: mailbox.max_decoding_message_size(MESSAGE_SIZE_MAX + 64 * 1024),
            agency,
            portal,
            states,
            pauses,
            observer,
            abroad: BTreeSet::new(),
            asked: BTreeSet::new(),
            steps: None,
            seen: EntryId::ZERO,
            listed: EntryId::ZERO,
            heard: EntryId::ZERO,
            waiting: BTreeMap::new(),
            held: HashMap::new(),
            cursor: String::new(),
            has_more: false,
            failures: 0,
            is_alarmed: false,
        }
    }

    /// Hands over these steps, too.
    #[must_use]
    pub fn with_steps(self, steps: Option<Steps>) -> Self {
        Self { steps, ..self }
    }

    /// Takes messages of these agencies about any dossier. Others write about dossiers whose code has the
    /// first level of their own. Only they, and those that are `asked`, answer questions.
    #[must_use]
    pub fn hearing(self, abroad: BTreeSet<Code>, asked: BTreeSet<Code>) -> Self {
        Self { abroad, asked, ..self }
    }

    /// Hands over for as long as the gateway lets it.
    pub async fn run(mut self) -> Ended {
        let mut troubles = 0;
        loop {
            match self.work().await {
                Ok(()) => troubles = 0,
                Err(status) if is_final(status.code()) => {
                    return Ended { agency: self.agency, status: Box::new(status) };
                }
                Err(status) if status.code() == Grpc::ResourceExhausted => {
                    // It was looked into too often; what is known of it is good.
                    sleep(self.pauses.0).await;
                }
                Err(status) => {
                    tracing::warn!(code = ?status.code(), "the gateway cannot be asked");
                    // What was known of the mailbox may be old when it answers again: it is looked into
                    // before a step goes, which must not overtake what waits there.
                    self.waiting.retain(|_, one| matches!(one.errand, Errand::Step(_)));
                    self.cursor.clear();
                    self.has_more = true;
                    sleep(self.pause(troubles)).await;
                    troubles = troubles.saturating_add(1);
                }
            }
        }
    }

    /// One message or step, or a look into the mailbox if none can be handed over now.
    async fn work(&mut self) -> Result<(), Status> {
        if let Some(steps) = &mut self.steps {
            steps.tidy().await;
        }
        self.catch_up().await?;
        if self.has_more && !self.is_full() {
            return Ok(());
        }
        let Some((place, waiting)) = self.next() else {
            // What the last look showed may be due once the other side is known as far.
            return if self.knows_evenly() { self.look().await } else { Ok(()) };
        };
        let (waiting, name, key) = (waiting.clone(), waiting.name(), waiting.key().to_owned());
        let Waiting { dossier, errand } = waiting;
        let is_message = matches!(errand, Errand::Message { .. });
        let outcome = match &errand {
            Errand::Message { consignment, sender } => {
                self.hand_over(consignment, sender, &dossier).await
            }
            Errand::Step(told) => self.hand_over_step(told).await,
        };
        match outcome {
            Ok(outcome) => {
                self.dealt(place).await;
                if let Some(outcome) = outcome {
                    self.went_well(&key, outcome);
                }
                Ok(())
            }
            Err(Delay::Portal(Trouble::Credentials)) => {
                self.alarm(true);
                self.observer.handed("credentials");
                sleep(PORTAL_CREDENTIALS_LOOK).await;
                // It may be this record that is not taken so: another goes first next time.
                let until = Instant::now() + self.pauses.0;
                self.held.entry(key).or_insert(Held { failures: 0, until }).until = until;
                Ok(())
            }
            Err(Delay::Portal(trouble)) => {
                tracing::warn!(name, failures = self.failures + 1, %trouble, "not handed over");
                self.observer.handed("failed");
                self.failures = self.failures.saturating_add(1);
                sleep(self.pause(self.failures - 1)).await;
                // Held from now on: what is behind it in the mailbox has its turn first.
                self.hold(key);
                Ok(())
            }
            Err(Delay::Gateway(status)) if is_leased(&status) => {
                tracing::warn!(name, "somebody else holds it");
                self.hold(key);
                Ok(())
            }
            Err(Delay::Gateway(status)) if is_message && is_gone(&status) => {
                tracing::info!(name, code = ?status.code(), "it waits no longer");
                self.dealt(place).await;
                Ok(())
            }
            Err(Delay::Gateway(status)) => self.not_served(name, key, &status).await,
        }
    }

    /// One look where the mailbox and the notices are not known equally far: what the log has first goes
    /// first, be it a message or a step.
    async fn catch_up(&mut self) -> Result<(), Status> {
        if self.lists_more() {
            self.list(0).await
        } else if self.hears_more() {
            self.hear().await
        } else {
            Ok(())
        }
    }

    fn knows_evenly(&self) -> bool {
        !self.lists_more() && !self.hears_more()
    }

    /// There is more in the mailbox, or a step is known behind which it was not looked into.
    fn lists_more(&self) -> bool {
        let is_behind = self.steps.is_some() && self.listed < self.heard;
        (self.has_more || is_behind) && !self.is_full()
    }

    /// A message is known behind which notices were not asked for.
    fn hears_more(&self) -> bool {
        let takes_more = self.steps.as_ref().is_some_and(|steps| !steps.is_full());
        takes_more && self.heard < self.seen
    }

    /// Asks for notices until there are none, or too many of steps.
    async fn hear(&mut self) -> Result<(), Status> {
        loop {
            let steps = self.steps.as_mut().filter(|steps| !steps.is_full());
            let Some(steps) = steps else { return Ok(()) };
            let heard = steps.ask(Duration::ZERO).await?;
            if heard.last.is_none() {
                self.heard = self.heard.max(self.seen);
                return Ok(());
            }
            self.learn(heard);
        }
    }

    /// The gateway gave notice of steps.
    fn learn(&mut self, heard: Heard) {
        self.heard = self.heard.max(heard.last.unwrap_or(EntryId::ZERO));
        for told in heard.told {
            let (place, dossier) = (told.place, told.dossier.to_string());
            self.waiting.insert(place, Waiting { dossier, errand: Errand::Step(Box::new(told)) });
        }
        self.observer.waiting(self.waiting.len());
    }

    /// One thing that the gateway does not give: it waits, and others go on, unless the gateway is out.
    async fn not_served(
        &mut self,
        name: String,
        key: String,
        status: &Status,
    ) -> Result<(), Status> {
        if self.is_full() {
            sleep(self.pauses.0).await;
        } else {
            self.list(0).await?;
        }
        tracing::error!(name, code = ?status.code(), reason = reason(status), "the gateway cannot serve it");
        self.observer.handed("failed");
        self.hold(key);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= PORTAL_WAITING_MAX
    }

    /// Something waits no longer.
    async fn dealt(&mut self, place: EntryId) {
        let gone = self.waiting.remove(&place).map(|gone| gone.errand);
        if let (Some(Errand::Step(_)), Some(steps)) = (gone, &mut self.steps) {
            steps.dealt(place).await;
        }
        self.observer.waiting(self.waiting.len());
    }

    /// The oldest message or step whose dossier is not held, and before which everything is known.
    fn next(&self) -> Option<(EntryId, &Waiting)> {
        let now = Instant::now();
        let is_held = |key: &str| self.held.get(key).is_some_and(|held| now < held.until);
        let known = |errand: &Errand| match errand {
            Errand::Message { .. } if self.steps.is_none() => EntryId { epoch: u32::MAX, index: 0 },
            Errand::Message { .. } => self.heard,
            // No more is listed before something goes.
            Errand::Step(_) if self.is_full() => self.heard.min(self.seen),
            Errand::Step(_) => self.listed,
        };
        // None overtakes another one of its dossier that has to wait.
        let mut early = HashSet::new();
        let mut waiting = self.waiting.iter();
        let due = waiting.find(|(place, one)| {
            if is_held(one.key()) || early.contains(one.key()) {
                return false;
            }
            let is_known = **place <= known(&one.errand);
            is_known || !early.insert(one.key())
        });
        due.map(|(place, one)| (*place, one))
    }

    /// Nothing can be handed over now: waits for the next message or step, or the next turn of one.
    async fn look(&mut self) -> Result<(), Status> {
        let turns = self.waiting.values().filter_map(|one| self.held.get(one.key()));
        let turn = turns.map(|held| held.until.saturating_duration_since(Instant::now())).min();
        let wait = turn.unwrap_or(POLL_WAIT_MAX).min(POLL_WAIT_MAX);
        let Some(mut steps) = self.steps.take() else { return self.wait(wait).await };
        let outcome = tokio::select! {
            outcome = self.wait(wait) => outcome.map(|()| Heard::default()),
            heard = steps.next() => heard,
        };
        self.steps = Some(steps);
        self.learn(outcome?);
        Ok(())
    }

    /// Waits for the next message, so long at most.
    async fn wait(&mut self, wait: Duration) -> Result<(), Status> {
        let is_full = self.is_full();
        let wait_seconds = i32::try_from(wait.as_secs()).unwrap_or(0);
        if is_full || wait_seconds == 0 {
            sleep(wait).await;
        }
        if is_full { Ok(()) } else { self.list(wait_seconds).await }
    }

    /// Learns what has come since the last time. Once the whole mailbox is known, so is everything before
    /// the steps that were told before it was looked at.
    async fn list(&mut self, wait_seconds: i32) -> Result<(), Status> {
        let request = v1::ListItemsRequest {
            agency: self.agency.clone(),
            page_size: i32::try_from(PAGE_SIZE_MAX).unwrap_or(0),
            wait_seconds,
            cursor: self.cursor.clone(),
            ..v1::ListItemsRequest::default()
        };
        let asked = self.mailbox.list_items(request);
        let page = within(CALL_DEADLINE + POLL_WAIT_MAX, asked).await?.into_inner();
        self.cursor = page.cursor;
        self.has_more = page.items.len() >= PAGE_SIZE_MAX;
        for item in page.items {
            let Some(entry) = item.entry_id else { continue };
            let v1::Item { consignment_id: consignment, sender, dossier_code: dossier, .. } = item;
            let errand = Errand::Message { consignment, sender };
            let place = EntryId { epoch: entry.epoch, index: entry.index };
            self.seen = self.seen.max(place);
            self.waiting.insert(place, Waiting { dossier, errand });
        }
        if !self.has_more {
            self.listed = self.seen.max(self.heard);
        }
        self.observer.waiting(self.waiting.len());
        Ok(())
    }

    /// Brings one message to its end: how it ended, or nothing if it was not for this courier.
    async fn hand_over(
        &mut self,
        consignment: &str,
        sender: &str,
        dossier: &str,
    ) -> Result<Option<&'static str>, Delay> {
        let message = match self.content(consignment, sender, dossier).await? {
            Content::Other => return Ok(None),
            Content::Wrong(wrong) => {
                let reason = format!("{} / {wrong}", wrong.in_vietnamese());
                self.refuse(consignment, reason).await?;
                return Ok(Some("refused"));
            }
            Content::Message(message) => message,
        };
        match self.portal.hand_over(&message).await {
            Ok(()) => {
                let request = v1::AcknowledgeRequest {
                    agency: self.agency.clone(),
                    consignment_id: consignment.to_owned(),
                    lease_token: String::new(),
                };
                within(CALL_DEADLINE, self.mailbox.acknowledge(request)).await?;
                tracing::info!(consignment, service = message.service().name(), "handed over");
                Ok(Some("taken"))
            }
            Err(Trouble::Refused { code, text }) => {
                tracing::warn!(consignment, code, "the portal refuses it");
                let reason =
                    format!("Cổng từ chối ({code}) / the portal refuses it ({code}): {text}");
                self.refuse(consignment, reason).await?;
                Ok(Some("refused"))
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Tells the portal of a step. A step that it refuses has nobody to whom it could come back.
    async fn hand_over_step(&mut self, told: &Told) -> Result<Option<&'static str>, Delay> {
        let Some(steps) = &mut self.steps else { return Ok(None) };
        let Some(reception) = steps.reception(told).await? else { return Ok(None) };
        if self.is_foreign(reception.as_str(), told.dossier.as_str()).is_some() {
            tracing::warn!(entry = %told.place, "a step of another province; it is left out");
            return Ok(None);
        }
        let Some(steps) = &mut self.steps else { return Ok(None) };
        let Some(message) = steps.message(told).await? else { return Ok(None) };
        match self.portal.hand_over(&message).await {
            Ok(()) => {
                tracing::info!(entry = %told.place, "a step handed over");
                Ok(Some("taken"))
            }
            Err(Trouble::Refused { code, .. }) => {
                tracing::error!(entry = %told.place, code, "the portal refuses a step; it is left out");
                Ok(Some("refused"))
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    async fn content(
        &mut self,
        consignment: &str,
        sender: &str,
        dossier: &str,
    ) -> Result<Content, Delay> {
        let Some(part) = message_part(&mut self.mailbox, &self.agency, consignment).await? else {
            return Ok(Content::Other);
        };
        if part.size > PORTAL_MESSAGE_SIZE_MAX {
            return Ok(Content::Wrong(Wrong::TooLarge));
        }
        if let Some(wrong) = self.is_foreign(sender, dossier) {
            return Ok(Content::Wrong(wrong));
        }
        let bytes = fetch(&mut self.mailbox, &self.agency, consignment, &part).await?;
        let draft = match Draft::parse(&bytes, dossier, &self.states) {
            Ok(draft) => draft,
            Err(wrong) => return Ok(Content::Wrong(wrong)),
        };
        if draft.service() == Service::Answer && !self.answers(sender) {
            return Ok(Content::Wrong(Wrong::NotAsked(sender.to_owned())));
        }
        let procedure = match draft.procedure() {
            None => None,
            Some(code) => match self.portal.procedure(code).await {
                Ok(None) | Err(Trouble::Refused { .. }) => {
                    return Ok(Content::Wrong(Wrong::Procedure));
                }
                found => found?,
            },
        };
        Ok(match draft.ready(procedure.as_ref()) {
            Ok(ready) => Content::Message(Box::new(ready)),
            Err(wrong) => Content::Wrong(wrong),
        })
    }

    /// Whether the sender is of another province or central body than the dossier, and not let speak of
    /// it all the same. A document without a dossier is no message, which its content says.
    fn is_foreign(&self, sender: &str, dossier: &str) -> Option<Wrong> {
        let (code, agency) = (Code::parse(sender)?, DossierCode::parse(dossier)?.agency());
        let speaks = code.top() == agency.top() || self.abroad.contains(&code);
        let (sender, of) = (sender.to_owned(), agency.top().to_owned());
        (!speaks).then_some(Wrong::Foreign { sender, of })
    }

    /// Whether questions go to the sender, so that it may answer them.
    fn answers(&self, sender: &str) -> bool {
        let code = Code::parse(sender);
        code.is_some_and(|code| self.asked.contains(&code) || self.abroad.contains(&code))
    }

    async fn refuse(&mut self, consignment: &str, reason: String) -> Result<(), Status> {
        let request = v1::RefuseRequest {
            agency: self.agency.clone(),
            consignment_id: consignment.to_owned(),
            lease_token: String::new(),
            reason,
        };
        within(CALL_DEADLINE, self.mailbox.refuse(request)).await.map(drop)
    }

    fn went_well(&mut self, key: &str, outcome: &'static str) {
        self.observer.handed(outcome);
        if self.is_alarmed || self.failures >= PORTAL_OUTAGE_FAILURES {
            // It was the portal and not these dossiers; one that fails again waits as long as it has to.
            let now = Instant::now();
            self.held.values_mut().for_each(|held| held.until = now);
        }
        self.alarm(false);
        self.held.remove(key);
        self.failures = 0;
    }

    /// One word when it begins and one when it ends, however often the portal is asked between.
    fn alarm(&mut self, is_alarmed: bool) {
        if is_alarmed && !self.is_alarmed {
            tracing::error!("ALARM: the portal does not take the user name and password (15)");
        } else if self.is_alarmed && !is_alarmed {
            tracing::info!("the portal takes the user name and password again");
        }
        self.is_alarmed = is_alarmed;
        self.observer.alarmed(is_alarmed);
    }

    /// The other messages of the dossier wait with this one, so that none overtakes it.
    fn hold(&mut self, key: String) {
        if self.held.len() >= PORTAL_WAITING_MAX {
            let now = Instant::now();
            self.held.retain(|_, held| now < held.until);
        }
        let failures = self.held.get(&key).map_or(0, |held| held.failures);
        let span = self.pauses.0.saturating_mul(1 << failures.min(20)).min(PORTAL_HOLD_MAX);
        let held = Held { failures: failures.saturating_add(1), until: Instant::now() + span };
        self.held.insert(key, held);
    }

    fn pause(&self, failures: u32) -> Duration {
        self.pauses.0.saturating_mul(1 << failures.min(20)).min(self.pauses.1)
    }
}

/// To ask again changes nothing before an operator mends it.
fn is_final(code: Grpc) -> bool {
    matches!(code, Grpc::Unauthenticated | Grpc::PermissionDenied | Grpc::InvalidArgument)
}
