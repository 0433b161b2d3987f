//! What may happen, and what each answer must be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use vanthu::digest::Sha256;
use vanthu::directory::Code;
use vanthu::document::{ConsignmentId, RequestId};
use vanthu::evidence::Receipt;
use vanthu::gateway::{Accepted, Answer, Bodies, Error, Gateway, Submission};
use vanthu::log::{Entry, EntryId, Event, LogPublicKey, Status};
use vanthu::proto::v1;
use vanthu::refusal::Reason;

use crate::faulty::{FAULTS, Fault, Fuse};
use crate::judge;
use crate::random::Random;
use crate::world::{AGENCIES, Papers, World, peer};

/// Steps between two audits without a restart.
const AUDIT_EVERY: usize = 250;
/// Requests that come at once.
const BURST_MAX: usize = 24;
/// Writes within which an armed fault happens.
const WRITES_MAX: usize = 60;
/// The number of a document that is sent under another's request id.
const OTHER_NUMBER: usize = 999_999_999;
const DAY_MS: i64 = 24 * 3_600_000;

/// What became of a document, as far as its sender knows.
pub enum Fate {
    Unsent,
    /// Sent, and no answer came.
    Unknown,
    Accepted {
        consignment: ConsignmentId,
        id: EntryId,
        leaf: Vec<u8>,
        receipt: Option<Receipt>,
    },
}

/// What a recipient finally said.
#[derive(Clone, Copy)]
pub enum Answered {
    /// It said something, and no answer came.
    Unknown,
    Known(EntryId, Event),
}

pub struct Document {
    request: RequestId,
    sender: &'static str,
    pub recipients: Vec<&'static str>,
    envelope: Bytes,
    body: Bytes,
    pub fate: Fate,
    pub answers: BTreeMap<&'static str, Answered>,
}

impl Document {
    fn new(random: &mut Random, number: usize) -> Self {
        let (sender, ..) = AGENCIES[random.below(AGENCIES.len())];
        let mut recipients: Vec<&str> = AGENCIES.iter().map(|(code, ..)| *code).collect();
        recipients.retain(|code| *code != sender);
        while recipients.len() > 1 && random.below(3) > 0 {
            let gone = random.below(recipients.len());
            recipients.remove(gone);
        }
        let body = Bytes::from(format!("document {number}"));
        let envelope = envelope(random, sender, &recipients, number, &body);
        let request = RequestId(uuid::Uuid::from_u128(number as u128 + 1));
        let answers = BTreeMap::new();
        Self { request, sender, recipients, envelope, body, fate: Fate::Unsent, answers }
    }

    /// Its idempotency key (log/FORMAT.md §3).
    pub fn key(&self) -> Sha256 {
        Sha256::of(format!("{}\n{}", self.sender, self.request).as_bytes())
    }

    /// It stands in the log.
    pub fn accept(&mut self, id: EntryId, entry: &Entry) {
        let consignment = entry.consignment.expect("an acceptance names its consignment");
        self.fate = Fate::Accepted { consignment, id, leaf: entry.to_leaf(), receipt: None };
    }

    fn submission(&self, gateway: &Gateway) -> Submission {
        self.submission_of(gateway, &self.envelope)
    }

    fn submission_of(&self, gateway: &Gateway, envelope: &Bytes) -> Submission {
        let today = gateway.now().date_in_vietnam();
        Submission {
            request: self.request,
            envelope: vanthu::service::read_envelope(envelope, today).expect("well-formed"),
            bodies: Bodies::Inline(vec![self.body.clone()]),
        }
    }
}

fn envelope(
    random: &mut Random,
    sender: &str,
    recipients: &[&str],
    number: usize,
    body: &Bytes,
) -> Bytes {
    let urgencies =
        [v1::Urgency::Normal, v1::Urgency::Urgent, v1::Urgency::Immediate, v1::Urgency::Flash];
    let wire = v1::Envelope {
        document_id: format!("simulation,{number}"),
        number: number.to_string(),
        notation: "CV".to_owned(),
        type_name: "Công văn".to_owned(),
        subject: "Mô phỏng".to_owned(),
        issue_date: Some(v1::Date { year: 2026, month: 1, day: 2 }),
        urgency: urgencies[random.below(urgencies.len())].into(),
        secrecy: v1::Secrecy::None.into(),
        form: v1::Form::Original.into(),
        sender: sender.to_owned(),
        recipients: recipients.iter().map(|&code| code.to_owned()).collect(),
        parts: vec![v1::Part {
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size: body.len() as u64,
            sha256: Bytes::copy_from_slice(&Sha256::of(body).0),
            role: v1::PartRole::Main.into(),
            signs: String::new(),
        }],
        ..v1::Envelope::default()
    };
    Bytes::from(vanthu::service::envelope_bytes(&wire))
}

/// What happened in a run.
#[derive(Default)]
pub struct Told {
    pub accepted: usize,
    pub restarts: usize,
    pub epochs: u32,
    faults: usize,
    failed_starts: usize,
    audits: usize,
    entries: u64,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, restarts, epochs, faults, failed_starts, audits, entries } = self;
        write!(
            f,
            "{accepted} acceptances, {entries} entries in {epochs} epochs, {faults} faults, \
             {restarts} restarts ({failed_starts} more failed), {audits} audits"
        )
    }
}

pub struct Simulation {
    random: Random,
    world: World,
    key: LogPublicKey,
    runtime: tokio::runtime::Runtime,
    documents: Vec<Document>,
    told: Told,
    /// Whether the medium forgets a batch; then nothing else goes wrong.
    forgetful: bool,
}

impl Simulation {
    pub fn new(seed: u64, papers: &Papers) -> Self {
        let mut random = Random::new(seed, 0);
        let world = World::new(papers, 40 + random.below(400) as u64);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            random,
            key: world.key(),
            world,
            runtime: runtime.expect("a runtime"),
            documents: Vec::new(),
            told: Told::default(),
            forgetful: false,
        }
    }

    /// Has one of the first batches forgotten.
    pub fn forget(&mut self) {
        self.world.fuse.arm(Fault::Forgets, 1 + self.random.below(WRITES_MAX));
        self.forgetful = true;
    }

    pub fn run(mut self, steps: usize) -> Told {
        for step in 0..steps {
            let sound = match self.random.below(100) {
                0..35 => self.send_new(),
                35..48 => self.send_again(),
                48..50 => self.misuse(),
                50..52 => self.send_nowhere(),
                52..80 => self.answer(),
                80..85 => self.burst(),
                85..90 => self.jump(),
                90..92 => self.restart(),
                92..96 => self.arm(),
                _ => self.look(),
            };
            if !sound {
                self.told.faults += 1;
                self.restart();
            } else if step % AUDIT_EVERY == 0 {
                self.audit();
            }
        }
        self.restart();
        self.told.accepted =
            self.documents.iter().filter(|one| matches!(one.fate, Fate::Accepted { .. })).count();
        self.world.stop();
        self.told
    }

    /// Sends the first documents of a log until this fault happens, and goes on after it. Gives the
    /// kind of the write at which it did.
    pub fn begin_with(mut self, fault: Fault, write: usize) -> Option<&'static str> {
        let fuse = self.world.fuse.clone();
        fuse.arm(fault, write);
        while fuse.burnt().is_none() {
            self.send_new();
        }
        self.restart();
        assert!(self.send_new(), "it goes on");
        self.restart();
        self.world.stop();
        fuse.burnt()
    }

    /// A new document; now and then it is only prepared, and comes late.
    fn send_new(&mut self) -> bool {
        let document = Document::new(&mut self.random, self.documents.len());
        self.documents.push(document);
        self.random.below(10) == 0 || self.submit(self.documents.len() - 1)
    }

    fn send_again(&mut self) -> bool {
        self.documents.is_empty() || {
            let which = self.random.below(self.documents.len());
            self.submit(which)
        }
    }

    fn submit(&mut self, which: usize) -> bool {
        let document = &self.documents[which];
        let gateway = self.world.gateway();
        let submission = document.submission(gateway);
        let sender = peer(document.sender);
        let answer = self.runtime.block_on(gateway.submit(&sender, submission));
        self.take(which, answer)
    }

    /// Holds an answer against what is known; false if the gateway is broken.
    fn take(&mut self, which: usize, answer: Result<Accepted, Error>) -> bool {
        let lost = self.random.below(10) == 0;
        let document = &mut self.documents[which];
        let receipt = match answer {
            Ok(accepted) => accepted.receipt,
            Err(Error::Fault(_)) => {
                if !matches!(document.fate, Fate::Accepted { .. }) {
                    document.fate = Fate::Unknown;
                }
                return false;
            }
            Err(refused) => panic!("refused: {refused}"),
        };
        match &document.fate {
            Fate::Accepted { id, leaf, .. } => {
                assert_eq!((id, leaf), (&receipt.id, &receipt.leaf), "another receipt");
            }
            Fate::Unsent if lost => document.fate = Fate::Unknown,
            Fate::Unsent | Fate::Unknown => {
                let proven = receipt.verify(&self.key).expect("a receipt proves its entry");
                document.accept(proven.id(), &Entry::from_leaf(&receipt.leaf).expect("an entry"));
                if let Fate::Accepted { receipt: kept, .. } = &mut document.fate {
                    *kept = Some(receipt);
                }
            }
        }
        true
    }

    /// The same request for other bytes.
    fn misuse(&mut self) -> bool {
        let Some(which) = self.accepted() else { return true };
        let document = &self.documents[which];
        let (number, recipients) = (OTHER_NUMBER, document.recipients.clone());
        let other =
            envelope(&mut self.random, document.sender, &recipients, number, &document.body);
        let gateway = self.world.gateway();
        let submission = document.submission_of(gateway, &other);
        let sender = peer(document.sender);
        let answer = gateway.submit(&sender, submission);
        match self.runtime.block_on(answer) {
            Err(Error::Refused(refusal)) => {
                assert_eq!(refusal.reason, Reason::RequestIdReused);
                true
            }
            Err(Error::Fault(_)) => false,
            Ok(_) => panic!("one request stands for two documents"),
        }
    }

    /// To an agency that does not exist: refused, and the refusal is an entry.
    fn send_nowhere(&mut self) -> bool {
        let mut document = Document::new(&mut self.random, self.documents.len());
        let number = self.documents.len();
        document.envelope =
            envelope(&mut self.random, document.sender, &["H49.999"], number, &document.body);
        let gateway = self.world.gateway();
        let sender = peer(document.sender);
        let answer = gateway.submit(&sender, document.submission(gateway));
        match self.runtime.block_on(answer) {
            Err(Error::Refused(refusal)) => {
                assert_eq!(refusal.reason, Reason::RecipientUnknown);
                let entry = refusal.metadata.iter().find(|(name, _)| *name == "log_entry");
                let id = entry.and_then(|(_, id)| EntryId::parse(id)).expect("an entry");
                let entry = gateway.reading().entry(id).expect("reads");
                assert_eq!(entry.event, Event::SubmissionRejection);
                true
            }
            Err(Error::Fault(_)) => false,
            Ok(_) => panic!("accepted for nobody"),
        }
    }

    fn accepted(&mut self) -> Option<usize> {
        let which = self.random.below(self.documents.len());
        let document = self.documents.get(which)?;
        matches!(document.fate, Fate::Accepted { .. }).then_some(which)
    }

    fn answer(&mut self) -> bool {
        let Some(which) = self.accepted() else { return true };
        let document = &self.documents[which];
        let Fate::Accepted { consignment, .. } = document.fate else { return true };
        let recipient = document.recipients[self.random.below(document.recipients.len())];
        let statuses = [
            Status::Accepted,
            Status::Accepted,
            Status::Refused,
            Status::InProgress,
            Status::Finished,
        ];
        let status = statuses[self.random.below(statuses.len())];
        let answer = Answer {
            agency: Code::parse(recipient).expect("a code"),
            consignment,
            token: None,
            status,
            note: if status == Status::Refused { "sai nơi nhận".into() } else { String::new() },
        };
        let (gateway, speaker) = (self.world.gateway(), peer(recipient));
        let answer = self.runtime.block_on(gateway.answer(&speaker, answer));
        let lost = self.random.below(10) == 0;
        let given = &mut self.documents[which].answers;
        let event = match status {
            Status::Accepted => Event::ContentHandover,
            Status::Refused => Event::ConsignmentRejection,
            _ => return answer.is_ok(),
        };
        match (answer, given.get(recipient).copied()) {
            (Err(Error::Fault(_)), before) => {
                given.insert(recipient, before.unwrap_or(Answered::Unknown));
                return false;
            }
            (Ok(said), Some(Answered::Known(id, before))) => {
                assert!(said.repeated, "answered twice");
                assert_eq!((said.receipt.id, event), (id, before));
            }
            (Ok(said), before) => {
                assert!(!said.repeated || before.is_some(), "the first answer is not the first");
                let known = Answered::Known(said.receipt.id, event);
                given.insert(recipient, if lost { Answered::Unknown } else { known });
            }
            (Err(Error::Refused(refusal)), Some(before)) => {
                assert_eq!(refusal.reason, Reason::AlreadyAnswered);
                let other = matches!(before, Answered::Known(_, said) if said != event);
                assert!(other || matches!(before, Answered::Unknown));
            }
            (Err(refused), None) => panic!("refused: {refused}"),
        }
        true
    }

    /// Many at once, some of them twice.
    fn burst(&mut self) -> bool {
        let gateway = Arc::clone(self.world.gateway());
        let mut which = Vec::new();
        for _ in 0..2 + self.random.below(BURST_MAX) {
            let document = Document::new(&mut self.random, self.documents.len());
            self.documents.push(document);
            which.push(self.documents.len() - 1);
            if self.random.below(3) == 0 {
                which.push(self.random.below(self.documents.len()));
            }
        }
        let calls = which.into_iter().map(|which| {
            let document = &self.documents[which];
            let (gateway, sender) = (gateway.clone(), peer(document.sender));
            let submission = document.submission(&gateway);
            async move { (which, gateway.submit(&sender, submission).await) }
        });
        let mut answers = tokio::task::JoinSet::new();
        let calls: Vec<_> = calls.collect();
        let answers = self.runtime.block_on(async {
            for call in calls {
                answers.spawn(call);
            }
            answers.join_all().await
        });
        drop(gateway);
        let mut sound = true;
        for (which, answer) in answers {
            sound &= self.take(which, answer);
        }
        sound
    }

    fn jump(&mut self) -> bool {
        let forth = self.random.below(4) > 0;
        let far = self.random.below(3 * DAY_MS as usize) as i64;
        self.world.jump(if forth { far } else { -far / 8 });
        true
    }

    /// From now on, the next writes but a few fail.
    fn arm(&mut self) -> bool {
        if self.forgetful {
            return true;
        }
        let fault = FAULTS[self.random.below(FAULTS.len())];
        self.world.fuse.arm(fault, 1 + self.random.below(WRITES_MAX));
        true
    }

    fn look(&mut self) -> bool {
        let (agency, ..) = AGENCIES[self.random.below(AGENCIES.len())];
        judge::judge_mailbox(self.world.gateway(), agency, &self.documents);
        if let Some(document) = self.random.pick(&self.documents) {
            judge::judge_receipt(self.world.gateway(), &self.key, document);
        }
        true
    }

    /// Ends the gateway wherever it is and starts another; the start may be cut short, too.
    fn restart(&mut self) -> bool {
        self.world.stop();
        self.told.restarts += 1;
        while !self.forgetful && self.random.below(4) == 0 {
            let fault = FAULTS[self.random.below(FAULTS.len())];
            let fuse = Fuse::new(fault, 1 + self.random.below(8));
            let world = std::panic::AssertUnwindSafe(&mut self.world);
            let started = std::panic::catch_unwind(|| {
                let world = world;
                world.0.start(fuse)
            });
            if matches!(started, Ok(Ok(()))) {
                self.world.stop();
            } else {
                self.told.failed_starts += 1;
            }
        }
        let fuse = if self.forgetful { self.world.fuse.clone() } else { Fuse::unburnt() };
        self.world.start(fuse).expect("starts again on whatever is left");
        self.audit();
        true
    }

    fn audit(&mut self) {
        self.told.audits += 1;
        let found = judge::read(self.world.gateway(), &self.key);
        found.judge(&mut self.documents);
        (self.told.entries, self.told.epochs) = (found.entries, found.epochs);
        for (agency, ..) in AGENCIES {
            judge::judge_mailbox(self.world.gateway(), agency, &self.documents);
        }
    }
}
