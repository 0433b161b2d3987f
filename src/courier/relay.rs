//! Hands documents over to a neighbour gateway, and listens to what it tells of them.
//!
//! What waits for the neighbour waits in the mailbox of its name, and leaves it by an entry of the log;
//! so nothing here is remembered over a restart, and whatever is interrupted is done again: the
//! neighbour gives the same receipts, and what was recorded is not recorded twice. Documents for one
//! recipient go one after the other in the order of their lane; others go beside them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code as Grpc, Status};

use super::dial::Dial;
use crate::clock::Time;
use crate::delivery::neighbour_mailbox;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::evidence::Receipt;
use crate::gateway::{Error, Gateway, TellError, Teller, ToRelay, Told};
use crate::limits::{
    CALL_DEADLINE, CHUNK_DEADLINE, CHUNK_SIZE, ENTRY_SIZE_MAX, RECEIPT_SIZE_MAX, RECORDED_AT_ONCE,
    RELAY_ASIDE_MAX, RELAY_INLINE_MAX, RELAY_LOOKAHEAD, RELAY_OUTAGE_ATTEMPTS, RELAY_PAUSE_MAX,
    RELAY_PAUSE_MIN, RELAY_SCAN_MAX, RELAYS_AT_ONCE, REPORTS_SILENCE_MAX,
};
use crate::log::{LogPublicKey, Service};
use crate::proto::v1;
use crate::proto::v1::relay_service_client::RelayServiceClient;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;
use crate::source::Source;

/// Reports that came together are recorded together; this long is waited for the next one.
const GATHERING: Duration = Duration::from_millis(5);
/// Without a bell: how often to look whether what was set aside may be tried again.
const LOOK: Duration = Duration::from_secs(5);
/// Chunks read ahead of a slow line.
const CHUNKS_AHEAD: usize = 2;

/// A neighbour gateway, as the configuration names it.
#[derive(Clone)]
pub struct Neighbour {
    /// Its name in the log.
    pub service: Service,
    /// The key of its log.
    pub key: LogPublicKey,
    /// The way to it.
    pub dial: Dial,
}

/// Why something was not handed over or heard.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The neighbour cannot be reached, or can do nothing now.
    #[error("{0}")]
    Line(String),
    /// It cannot take this document as it is handed over.
    #[error("{0}")]
    Document(String),
    /// Our own log cannot be read or written.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl From<TellError> for Trouble {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Unproven(why) => Self::Line(format!("its word does not hold: {why}")),
            TellError::Gateway(error) => Self::Ours(error),
        }
    }
}

/// What was wrong: the document, if the neighbour says that its caller must mend something.
fn trouble(status: &Status) -> Trouble {
    let said = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Grpc::InvalidArgument
        | Grpc::FailedPrecondition
        | Grpc::AlreadyExists
        | Grpc::NotFound
        | Grpc::OutOfRange
        | Grpc::DataLoss
        | Grpc::ResourceExhausted => Trouble::Document(said),
        _ => Trouble::Line(said),
    }
}

fn late(what: &str) -> Trouble {
    Trouble::Line(format!("no answer to {what} in time"))
}

/// Pauses that grow: from one to the next twice as long, half of it by chance.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn grow(&mut self, longest: Duration) {
        let whole = RELAY_PAUSE_MIN.saturating_mul(1 << self.failures.min(20)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + whole / 2 + (whole / 2).mul_f64(chance()));
    }

    fn left(&self) -> Duration {
        self.until.map(|until| until - Instant::now()).unwrap_or_default()
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut byte = [0];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte)
        .expect("the system has randomness");
    f64::from(byte[0]) / f64::from(u8::MAX)
}

/// Runs until it is dropped, or our log can be written no more.
pub async fn run(gateway: Arc<Gateway>, neighbour: Neighbour) {
    let channel = neighbour.dial.channel();
    let (heard, _) = watch::channel(0);
    let link = Arc::new(Link { gateway, neighbour, channel, heard });
    let ended = tokio::select! {
        error = bring_all(&link) => error,
        error = hear_all(&link) => error,
    };
    tracing::error!(neighbour = %link.neighbour.service, %ended, "nothing is relayed any more");
}

/// One neighbour.
struct Link {
    gateway: Arc<Gateway>,
    neighbour: Neighbour,
    channel: Channel,
    /// Counts how often it began to be heard again.
    heard: watch::Sender<u64>,
}

/// What is under way, and what must wait.
#[derive(Default)]
struct Traffic {
    flying: HashMap<ConsignmentId, Vec<Code>>,
    aside: HashMap<ConsignmentId, Pause>,
}

/// Hands over what waits, the most urgent first.
async fn bring_all(link: &Arc<Link>) -> Error {
    let mailbox = neighbour_mailbox(&link.neighbour.service);
    let mut bell = link.gateway.dispatcher().bell(&mailbox);
    let mut heard = link.heard.subscribe();
    let mut traffic = Traffic::default();
    let mut flights = JoinSet::new();
    let mut pause = Pause::default();
    loop {
        bell.hear();
        if flights.is_empty() {
            // Also after one that ended without a word.
            traffic.flying.clear();
        }
        if pause.left().is_zero() {
            let ready = match link.ready(&mailbox, &traffic) {
                Ok(ready) => ready,
                Err(error) => return error,
            };
            for (id, recipients) in ready {
                traffic.flying.insert(id, recipients);
                let link = link.clone();
                flights.spawn(async move { (id, link.bring(id).await) });
            }
        }
        let look = if pause.left().is_zero() { LOOK } else { pause.left() };
        tokio::select! {
            Some(Ok((id, outcome))) = flights.join_next() => {
                traffic.flying.remove(&id);
                match outcome {
                    Ok(()) => {
                        traffic.aside.remove(&id);
                        pause = Pause::default();
                    }
                    Err(Trouble::Line(why)) => {
                        pause.grow(RELAY_PAUSE_MAX);
                        tracing::warn!(neighbour = %link.neighbour.service, why, "not handed over");
                    }
                    Err(Trouble::Document(why)) => {
                        traffic.aside.entry(id).or_default().grow(RELAY_ASIDE_MAX);
                        tracing::warn!(neighbour = %link.neighbour.service, consignment = %id, why, "set aside");
                    }
                    Err(Trouble::Ours(error)) => return error,
                }
            }
            () = bell.rung() => {}
            // It answers again: no need to wait to the end.
            _ = heard.changed() => pause = Pause::default(),
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// Listens to what the neighbour tells, and has its outages recorded.
async fn hear_all(link: &Arc<Link>) -> Error {
    let mut pause = Pause::default();
    let mut since: Option<Time> = None;
    loop {
        let before = *link.heard.borrow();
        let why = match link.hear().await {
            Trouble::Ours(error) => return error,
            Trouble::Line(why) | Trouble::Document(why) => why,
        };
        if *link.heard.borrow() != before {
            (pause, since) = (Pause::default(), None);
        }
        tracing::warn!(neighbour = %link.neighbour.service, why, "not heard");
        pause.grow(RELAY_PAUSE_MAX);
        let since = *since.get_or_insert_with(|| link.gateway.now());
        if pause.failures >= RELAY_OUTAGE_ATTEMPTS
            && let Err(error) = link.gateway.record_outage(&link.neighbour.service, since).await
        {
            return error;
        }
        tokio::time::sleep(pause.left()).await;
    }
}

impl Link {
    fn relays(&self) -> RelayServiceClient<Channel> {
        RelayServiceClient::new(self.channel.clone())
    }

    fn teller(&self) -> Result<Teller, Trouble> {
        let certificate = self.neighbour.dial.shown();
        let certificate = certificate.ok_or_else(|| Trouble::Line("not connected".into()))?;
        let (service, key) = (self.neighbour.service.clone(), self.neighbour.key.clone());
        Ok(Teller { service, key, certificate })
    }

    /// Consignments that may go now, in order, each with the recipients that it goes to: none of them
    /// has an earlier one under way or waiting.
    fn ready(
        &self,
        mailbox: &Code,
        traffic: &Traffic,
    ) -> Result<Vec<(ConsignmentId, Vec<Code>)>, Error> {
        let mut free = RELAYS_AT_ONCE.saturating_sub(traffic.flying.len());
        let mut busy: HashSet<Code> = traffic.flying.values().flatten().cloned().collect();
        let mut seen: HashSet<ConsignmentId> = traffic.flying.keys().copied().collect();
        let (mut ready, mut after) = (Vec::new(), None);
        let (mut looked_at, mut passed) = (0, 0);
        while free > 0 && looked_at < RELAY_LOOKAHEAD && passed < RELAY_SCAN_MAX {
            let page = self.gateway.store().waiting(mailbox, after, RELAY_LOOKAHEAD)?;
            let Some(last) = page.last() else { break };
            after = Some((last.urgency, last.position));
            passed += page.len();
            for item in page {
                let id = item.consignment;
                let aside = traffic.aside.get(&id).is_some_and(|pause| !pause.left().is_zero());
                if aside || !seen.insert(id) {
                    continue;
                }
                looked_at += 1;
                if free == 0 || looked_at > RELAY_LOOKAHEAD {
                    break;
                }
                let behind = self.gateway.behind(id, &self.neighbour.service)?;
                let recipients: Vec<Code> = behind.into_iter().map(|(code, _)| code).collect();
                let is_free = !recipients.iter().any(|code| busy.contains(code));
                busy.extend(recipients.iter().cloned());
                if is_free && !recipients.is_empty() {
                    free -= 1;
                    ready.push((id, recipients));
                }
            }
        }
        Ok(ready)
    }

    /// Hands one consignment over and records what the neighbour made of it.
    async fn bring(&self, id: ConsignmentId) -> Result<(), Trouble> {
        let Some(relayed) = self.gateway.to_relay(id, &self.neighbour.service)? else {
            return Ok(());
        };
        let envelope = self.read(id, &relayed.consignment.envelope)?;
        let listed = v1::Envelope::decode(envelope.clone()).map_err(unreadable)?.parts;
        let document = document(&relayed, envelope);
        let mut parts = Vec::new();
        if listed.iter().map(|part| part.size).sum::<u64>() <= RELAY_INLINE_MAX {
            for part in &listed {
                parts.push(self.read(id, &digest(&part.sha256)?)?);
            }
        } else {
            self.upload(id, &document, &listed).await?;
        }
        let request = v1::RelayRequest { document: Some(document), parts };
        let results = timeout(CALL_DEADLINE, self.handed_over(request, &relayed)).await;
        let results = results.map_err(|_| late("Relay"))??;
        Ok(self.gateway.record_relayed(&self.teller()?, &relayed, results).await?)
    }

    async fn handed_over(
        &self,
        request: v1::RelayRequest,
        relayed: &ToRelay,
    ) -> Result<Vec<(Code, Receipt)>, Trouble> {
        let mut relays = self.relays();
        let answers = relays.relay(request).await.map_err(|status| trouble(&status))?;
        let mut answers = answers.into_inner();
        let mut expected = relayed.recipients.iter();
        let mut results = Vec::with_capacity(relayed.recipients.len());
        while let Some(message) = answers.message().await.map_err(|status| trouble(&status))? {
            for result in message.results {
                let wanted = expected.next().filter(|(code, _)| code.as_str() == result.recipient);
                let receipt = result.receipt.as_ref().and_then(v1::Receipt::read);
                let (Some((code, _)), Some(receipt)) = (wanted, receipt) else {
                    return Err(Trouble::Line("it answers for other recipients".into()));
                };
                results.push((code.clone(), receipt));
            }
        }
        match expected.next() {
            None => Ok(results),
            Some(_) => Err(Trouble::Line("it does not answer for every recipient".into())),
        }
    }

    /// Content that fits into a message.
    fn read(&self, of: ConsignmentId, digest: &Sha256) -> Result<Bytes, Trouble> {
        let source = self.gateway.body(of, digest).map_err(gone)?;
        let mut bytes = vec![0; usize::try_from(source.size()).unwrap_or(0)];
        source.read_at(0, &mut bytes).map_err(unreadable)?;
        Ok(bytes.into())
    }

    /// Uploads what the neighbour misses.
    async fn upload(
        &self,
        id: ConsignmentId,
        document: &v1::RelayedDocument,
        listed: &[v1::Part],
    ) -> Result<(), Trouble> {
        let mut relays = self.relays();
        let request = v1::AnnounceRelayRequest { document: Some(document.clone()) };
        let answer = timeout(CALL_DEADLINE, relays.announce_relay(request)).await;
        let answer = answer.map_err(|_| late("AnnounceRelay"))?;
        let missing = answer.map_err(|status| trouble(&status))?.into_inner().missing;
        for missing in missing {
            let part = listed.iter().find(|part| part.sha256 == missing.sha256);
            let part = part.ok_or_else(|| Trouble::Line("it misses another part".into()))?;
            let source = self.gateway.body(id, &digest(&part.sha256)?).map_err(gone)?;
            self.upload_part(part, missing.offset, Arc::from(source)).await?;
        }
        Ok(())
    }

    async fn upload_part(
        &self,
        part: &v1::Part,
        offset: u64,
        source: Arc<dyn Source + Send + Sync>,
    ) -> Result<(), Trouble> {
        let (sender, messages) = mpsc::channel(CHUNKS_AHEAD);
        let sha256 = part.sha256.clone();
        let header = v1::UploadHeader { sha256, size: part.size, offset };
        let feeding = feed(header, source, sender);
        let mut desk = SubmissionServiceClient::new(self.channel.clone());
        let call = desk.upload(ReceiverStream::new(messages));
        tokio::pin!(call, feeding);
        let answer = tokio::select! {
            answer = &mut call => answer,
            fed = &mut feeding => {
                fed?;
                timeout(CALL_DEADLINE, call).await.map_err(|_| late("Upload"))?
            }
        };
        answer.map(drop).map_err(|status| trouble(&status))
    }

    /// Listens for as long as it can; gives why not longer.
    async fn hear(&self) -> Trouble {
        match self.listen().await {
            Ok(()) => Trouble::Line("it told to the end".into()),
            Err(trouble) => trouble,
        }
    }

    async fn listen(&self) -> Result<(), Trouble> {
        let service = &self.neighbour.service;
        let after = self.gateway.store().told(service).map_err(Error::from)?;
        let request = v1::WatchReportsRequest { after: Some(after.into()) };
        let mut relays = self.relays();
        let reports = timeout(CALL_DEADLINE, relays.watch_reports(request)).await;
        let reports = reports.map_err(|_| late("WatchReports"))?;
        let mut reports = reports.map_err(|status| trouble(&status))?.into_inner();
        let mut first = true;
        loop {
            let message = timeout(REPORTS_SILENCE_MAX, reports.message()).await;
            let message = message.map_err(|_| late("WatchReports"))?;
            let Some(message) = message.map_err(|status| trouble(&status))? else { return Ok(()) };
            if std::mem::take(&mut first) {
                self.gateway.record_repair(service).await?;
                self.heard.send_modify(|count| *count = count.wrapping_add(1));
            }
            let mut words: Vec<Told> = message.report.map(told).transpose()?.into_iter().collect();
            while !words.is_empty() && words.len() < RECORDED_AT_ONCE {
                let Ok(next) = timeout(GATHERING, reports.message()).await else { break };
                let Some(next) = next.map_err(|status| trouble(&status))? else { break };
                words.extend(next.report.map(told).transpose()?);
            }
            self.record(words).await?;
        }
    }

    async fn record(&self, words: Vec<Told>) -> Result<(), Trouble> {
        let mut left = &words[..];
        while !left.is_empty() {
            let (looked_at, early) = self.gateway.record_told(&self.teller()?, left).await?;
            left = &left[looked_at..];
            // The neighbour has it, but its answer was lost on the way: it is given again.
            if let Some(id) = early {
                self.bring(id).await?;
            }
        }
        Ok(())
    }
}

fn document(relayed: &ToRelay, envelope: Bytes) -> v1::RelayedDocument {
    let recipient = |(code, addressed): &(Code, Option<Code>)| v1::RelayedRecipient {
        code: code.to_string(),
        addressed: addressed.as_ref().map(Code::to_string).unwrap_or_default(),
    };
    v1::RelayedDocument {
        envelope,
        receipt: Some(relayed.receipt.clone().into()),
        promised: relayed.promised.iter().map(Code::to_string).collect(),
        recipients: relayed.recipients.iter().map(recipient).collect(),
    }
}

fn told(report: v1::Report) -> Result<Told, Trouble> {
    let receipt = report.receipt.as_ref().and_then(v1::Receipt::read);
    let fits = report.evidence.len() <= RECEIPT_SIZE_MAX && report.note.len() <= RECEIPT_SIZE_MAX;
    let receipt = receipt.filter(|receipt| fits && receipt.leaf.len() <= ENTRY_SIZE_MAX);
    let receipt = receipt.ok_or_else(|| Trouble::Line("a report that cannot be read".into()))?;
    Ok(Told { receipt, evidence: report.evidence, note: report.note })
}

fn digest(bytes: &[u8]) -> Result<Sha256, Trouble> {
    Sha256::from_slice(bytes).ok_or_else(|| unreadable("no digest"))
}

fn unreadable(why: impl ToString) -> Trouble {
    Trouble::Document(why.to_string())
}

/// Bodies that are erased or lost hold up this document and no other.
fn gone(error: Error) -> Trouble {
    Trouble::Document(error.to_string())
}

/// Sends a part chunk by chunk, no faster than the line takes it, but never waits long.
async fn feed(
    header: v1::UploadHeader,
    source: Arc<dyn Source + Send + Sync>,
    sender: mpsc::Sender<v1::UploadRequest>,
) -> Result<(), Trouble> {
    let (mut offset, size) = (header.offset, header.size);
    let send = async |kind| {
        let message = v1::UploadRequest { kind: Some(kind) };
        let sent = timeout(CHUNK_DEADLINE, sender.send(message)).await;
        sent.map_err(|_| late("Upload"))
    };
    let mut open = send(v1::upload_request::Kind::Header(header)).await?.is_ok();
    // Once the call has ended its own answer says why.
    while open && offset < size {
        let length = usize::try_from(size - offset).unwrap_or(usize::MAX).min(CHUNK_SIZE);
        let (source, at) = (source.clone(), offset);
        let mut chunk = vec![0; length];
        let read =
            tokio::task::spawn_blocking(move || source.read_at(at, &mut chunk).map(|()| chunk));
        let chunk = read.await.map_err(unreadable)?.map_err(unreadable)?;
        open = send(v1::upload_request::Kind::Chunk(chunk.into())).await?.is_ok();
        offset += length as u64;
    }
    Ok(())
}
