//! Collects cosignatures for our own checkpoints (C2SP tlog-witness, `witness/FORMAT.md` §2).
//!
//! At an interval, the newest checkpoint goes to all witnesses at once, with the proof that each one
//! needs; what comes back within the deadline is published with it. A checkpoint that a quorum has
//! cosigned is kept, for receipts. The last checkpoint of a closed epoch is brought until a quorum has
//! it. Submissions know nothing of all this.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::https::{Address, Client};
use crate::clock::Time;
use crate::gateway::{Error, Gateway};
use crate::limits::WITNESS_ANSWER_SIZE_MAX;
use crate::log::{
    EntryId, Policy, Service, ServiceKind, SignedCheckpoint, WitnessPublicKey, with_cosignatures,
};
use crate::witness::Request;

/// Epochs that are brought in one round besides the open one; a long outage is made good in steps.
const EPOCHS_AT_ONCE: usize = 4;
/// Rounds without an answer that make an outage; one that is missed is none.
const OUTAGE_ROUNDS: u32 = 3;

/// Is told how it goes.
pub trait Observer: Send + Sync {
    /// A witness was asked: how it ended (`cosigned`, or a word for what went wrong), and how long
    /// it took.
    fn asked(&self, witness: &str, outcome: &'static str, took: Duration);

    /// A quorum has seen so much of an epoch.
    fn witnessed(&self, epoch: u32, size: u64);
}

/// Whom to ask, how often, and what is enough.
pub struct Round {
    /// The witnesses and where they are.
    pub witnesses: Vec<(WitnessPublicKey, Address)>,
    /// How many of them are enough.
    pub policy: Policy,
    /// From one round to the next.
    pub interval: Duration,
    /// For each witness in each round.
    pub deadline: Duration,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// No answer, or none that makes sense.
    #[error("{0}")]
    Unreachable(String),
    /// The witness has seen more of our log than we have: this is an old copy of it.
    #[error("it has seen {known} entries of our log, and we have fewer")]
    Ahead { known: u64 },
    /// The witness says that our log does not extend what it has seen.
    #[error("our log does not extend what it has seen")]
    Forked,
    /// The witness does not know our log, or turned it away.
    #[error("it answered {0}")]
    Refused(StatusCode),
    /// Our own log could not be read.
    #[error("our log cannot be read: {0}")]
    Log(String),
}

impl Trouble {
    fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Ahead { .. } => "ahead",
            Self::Forked => "forked",
            Self::Refused(_) => "refused",
            Self::Log(_) => "failed",
        }
    }
}

/// Runs until it is dropped.
pub async fn run(gateway: Arc<Gateway>, round: Round, observer: Arc<dyn Observer>) {
    let Round { witnesses, policy, interval, deadline } = round;
    let mut asked: Vec<Option<Asked>> =
        witnesses.into_iter().map(|(key, address)| Some(Asked::new(key, address))).collect();
    let mut pending: BTreeSet<u32> = BTreeSet::new();
    let mut newest = 0;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match targets(&gateway, &mut pending, &mut newest).await {
            Ok(notes) => {
                for note in notes {
                    let lines = ask_all(&gateway, &mut asked, &note, deadline, &*observer).await;
                    settle(&gateway, &policy, note, lines, newest, &*observer).await;
                }
            }
            Err(error) => tracing::error!(%error, "checkpoints for witnesses cannot be read"),
        }
    }
}

/// The checkpoints to be brought now: of closed epochs that no quorum has seen to their end, oldest
/// first, and the newest, unless a quorum has seen it.
async fn targets(
    gateway: &Arc<Gateway>,
    pending: &mut BTreeSet<u32>,
    newest: &mut u32,
) -> Result<Vec<Vec<u8>>, Error> {
    let (reader, from, mut open) = (gateway.clone(), *newest, pending.clone());
    let read = move || -> Result<_, Error> {
        let reading = reader.reading();
        let Some(latest) = reading.latest()? else { return Ok((open, from, Vec::new())) };
        let head = reading.open(&latest)?;
        // What was the open epoch is closed now; at the start, all before it are looked at once.
        open.extend(from.max(1)..head.origin.epoch);
        let mut notes = Vec::new();
        let mut seen = Vec::new();
        for epoch in open.iter().take(EPOCHS_AT_ONCE) {
            let last = reading.last_of(*epoch)?;
            match reader.cosigned().covers(*epoch, reading.open(&last)?.size) {
                true => seen.push(*epoch),
                false => notes.push(last),
            }
        }
        open.retain(|epoch| !seen.contains(epoch));
        if !reader.cosigned().covers(head.origin.epoch, head.size) {
            notes.push(latest);
        }
        Ok((open, head.origin.epoch, notes))
    };
    let (open, epoch, notes) = blocking(read).await?;
    (*pending, *newest) = (open, epoch);
    Ok(notes)
}

/// Asks all witnesses at once; gives the lines that came in time. Who did not answer loses its
/// connection and what was known of it, and is asked anew in the next round.
async fn ask_all(
    gateway: &Arc<Gateway>,
    asked: &mut [Option<Asked>],
    note: &[u8],
    deadline: Duration,
    observer: &dyn Observer,
) -> Vec<String> {
    let mut calls = JoinSet::new();
    for (place, one) in asked.iter_mut().enumerate() {
        let Some(mut one) = one.take() else { continue };
        let (gateway, note) = (gateway.clone(), note.to_vec());
        calls.spawn(async move {
            let since = Instant::now();
            let answer = match tokio::time::timeout(deadline, one.bring(&gateway, &note)).await {
                Ok(answer) => answer,
                Err(_) => Err(Trouble::Unreachable(format!("no answer within {deadline:?}"))),
            };
            (place, one, answer, since.elapsed())
        });
    }
    let mut lines = Vec::new();
    while let Some(Ok((place, mut one, answer, took))) = calls.join_next().await {
        one.note(gateway, answer.as_ref().map(|_line| ())).await;
        let name = &one.key.name;
        match answer {
            Ok(line) => {
                observer.asked(name, "cosigned", took);
                lines.push(line);
            }
            Err(trouble) => {
                observer.asked(name, trouble.word(), took);
                match trouble {
                    Trouble::Ahead { .. } | Trouble::Forked => {
                        tracing::error!(witness = name, %trouble, "OUR LOG IS NOT THE ONE IT SAW");
                    }
                    _ => tracing::warn!(witness = name, %trouble, "no cosignature"),
                }
            }
        }
        asked[place] = Some(one);
    }
    lines
}

/// Publishes a checkpoint with what was said about it, and keeps it if that is enough.
async fn settle(
    gateway: &Arc<Gateway>,
    policy: &Policy,
    note: Vec<u8>,
    lines: Vec<String>,
    newest: u32,
    observer: &dyn Observer,
) {
    let cosigned = with_cosignatures(&note, &lines);
    let Ok(checkpoint) = gateway.reading().open(&cosigned) else { return };
    let (epoch, size) = (checkpoint.origin.epoch, checkpoint.size);
    if policy.judge(&checkpoint, &cosigned).is_ok() {
        let (keeper, kept) = (gateway.clone(), cosigned.clone());
        let keep = move || keeper.cosigned().keep(&checkpoint, kept).map_err(Error::from);
        match blocking(keep).await {
            Ok(()) => observer.witnessed(epoch, size),
            Err(error) => tracing::error!(%error, "a cosigned checkpoint could not be kept"),
        }
    }
    if epoch == newest {
        gateway.cosigned().publish(cosigned);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let stopped = |_| Error::Fault(crate::gateway::Fault::Stopped);
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// A witness, and what it is known to know.
struct Asked {
    key: WitnessPublicKey,
    client: Client,
    /// By epoch: the size that it cosigned last.
    known: HashMap<u32, u64>,
    /// Its name in the log; `None` if it has none that the log can hold.
    service: Option<Service>,
    /// Rounds without an answer, and when they began.
    missed: u32,
    missed_since: Option<Time>,
}

/// What a witness said to one call.
enum Said {
    Cosigned(String),
    OtherSize(u64),
    Unknown,
}

impl Asked {
    fn new(key: WitnessPublicKey, address: Address) -> Self {
        let name = key.name.strip_suffix("/witness").unwrap_or(&key.name);
        let service = Service::new(ServiceKind::Witness, name);
        let (client, known) = (Client::new(address), HashMap::new());
        Self { key, client, known, service, missed: 0, missed_since: None }
    }

    /// Has an outage recorded once it is one, and its end.
    async fn note(&mut self, gateway: &Gateway, answer: Result<(), &Trouble>) {
        let Some(service) = &self.service else { return };
        let recorded = match answer {
            Ok(()) => {
                (self.missed, self.missed_since) = (0, None);
                gateway.record_repair(service).await
            }
            Err(Trouble::Unreachable(_) | Trouble::Refused(_)) => {
                self.missed = self.missed.saturating_add(1);
                let since = *self.missed_since.get_or_insert_with(|| gateway.now());
                match self.missed < OUTAGE_ROUNDS {
                    true => Ok(()),
                    false => gateway.record_outage(service, since).await,
                }
            }
            Err(_) => Ok(()),
        };
        if let Err(error) = recorded {
            tracing::error!(%error, %service, "an outage could not be recorded");
        }
    }

    /// Brings one checkpoint and, where the witness has not heard of its epoch, those before it.
    async fn bring(&mut self, gateway: &Arc<Gateway>, note: &[u8]) -> Result<String, Trouble> {
        let signed = open(gateway, note)?;
        if let Some(line) = self.extend(gateway, note, &signed).await? {
            return Ok(line);
        }
        // Back to the newest epoch that it knows, then forth from opening to opening.
        let epoch = signed.origin.epoch;
        let mut from = epoch;
        loop {
            from = from.checked_sub(1).filter(|epoch| *epoch > 0).ok_or(unknown())?;
            let last = last_of(gateway, from).await?;
            if self.extend(gateway, &last, &open(gateway, &last)?).await?.is_some() {
                break;
            }
        }
        for next in from + 1..epoch {
            let last = last_of(gateway, next).await?;
            self.begin(gateway, next, last).await?;
        }
        self.begin(gateway, epoch, note.to_vec()).await
    }

    /// `add-checkpoint`; `None` if the witness does not know the epoch.
    async fn extend(
        &mut self,
        gateway: &Arc<Gateway>,
        note: &[u8],
        signed: &SignedCheckpoint,
    ) -> Result<Option<String>, Trouble> {
        let (epoch, size) = (signed.origin.epoch, signed.size);
        // Twice: what is known may have been forgotten here, or come from elsewhere there.
        for _ in 0..2 {
            let old = self.known.get(&epoch).copied().unwrap_or(0);
            if old > size {
                return Err(Trouble::Ahead { known: old });
            }
            let reader = gateway.clone();
            let prove = move || reader.reading().consistency(epoch, old, size);
            let proof = blocking(prove).await.map_err(|error| Trouble::Log(error.to_string()))?;
            let body = Request { old, proof, note: note.to_vec() }.to_body();
            match self.call("add-checkpoint", body, note).await? {
                Said::Cosigned(line) => {
                    self.known.insert(epoch, size);
                    return Ok(Some(line));
                }
                Said::OtherSize(known) => {
                    self.known.insert(epoch, known);
                }
                Said::Unknown => return Ok(None),
            }
        }
        Err(Trouble::Unreachable("it names another size each time".to_owned()))
    }

    /// `add-opening`, with the checkpoint that covers it.
    async fn begin(
        &mut self,
        gateway: &Arc<Gateway>,
        epoch: u32,
        note: Vec<u8>,
    ) -> Result<String, Trouble> {
        let size = open(gateway, &note)?.size;
        let (reader, under) = (gateway.clone(), note.clone());
        let prove = move || reader.reading().receipt_under(EntryId { epoch, index: 0 }, under);
        let receipt = blocking(prove).await.map_err(|error| Trouble::Log(error.to_string()))?;
        match self.call("add-opening", receipt.to_file().into_bytes(), &note).await? {
            Said::Cosigned(line) => {
                self.known.insert(epoch, size);
                Ok(line)
            }
            Said::OtherSize(known) => Err(Trouble::Ahead { known }),
            Said::Unknown => Err(unknown()),
        }
    }

    async fn call(&mut self, name: &str, body: Vec<u8>, note: &[u8]) -> Result<Said, Trouble> {
        let answer = self.client.post(name, body, WITNESS_ANSWER_SIZE_MAX).await;
        let (status, body) = answer.map_err(Trouble::Unreachable)?;
        let text = String::from_utf8_lossy(&body);
        match status {
            StatusCode::OK => self.line_in(&text, note).map(Said::Cosigned).ok_or_else(|| {
                Trouble::Unreachable("its answer is not its cosignature".to_owned())
            }),
            StatusCode::CONFLICT => crate::log::number(text.trim_end_matches('\n'))
                .map(Said::OtherSize)
                .ok_or_else(|| Trouble::Unreachable("it names no size".to_owned())),
            StatusCode::NOT_FOUND => Ok(Said::Unknown),
            StatusCode::UNPROCESSABLE_ENTITY => Err(Trouble::Forked),
            other => Err(Trouble::Refused(other)),
        }
    }

    /// The line of this witness for this note; lines of keys that we do not know are passed over.
    fn line_in(&self, answer: &str, note: &[u8]) -> Option<String> {
        answer.split_inclusive('\n').map(str::to_owned).find(|line| {
            let cosigned = with_cosignatures(note, std::slice::from_ref(line));
            matches!(self.key.cosigned(&cosigned), Ok(Some(_)))
        })
    }
}

fn unknown() -> Trouble {
    Trouble::Refused(StatusCode::NOT_FOUND)
}

fn open(gateway: &Gateway, note: &[u8]) -> Result<SignedCheckpoint, Trouble> {
    gateway.reading().open(note).map_err(|error| Trouble::Log(error.to_string()))
}

async fn last_of(gateway: &Arc<Gateway>, epoch: u32) -> Result<Vec<u8>, Trouble> {
    let reader = gateway.clone();
    let read = move || reader.reading().last_of(epoch);
    blocking(read).await.map_err(|error| Trouble::Log(error.to_string()))
}
