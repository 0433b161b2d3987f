//! One entry of the log and its exact bytes. `FORMAT.md` beside this file is the definition; this
//! is its one implementation on the writer's side (the auditor's stands in `audit`).

use std::fmt::Write as _;

use super::field::{
    Actor, BodySet, Grade, RecipientSet, Service, SignedHead, Status, VerdictMark, actor, bodies,
    head, number, recipients, urgency, verdict,
};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::limits::ENTRY_SIZE_MAX;

/// First line of every entry.
pub const HEADER: &str = "vanthu.entry.v1";

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// What happened. Names in capitals are those of ETSI EN 319 522-3 Table 2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// Every event there is.
            pub const ALL: &'static [Event] = &[$(Event::$name,)*];

            /// Its name in the log.
            pub fn word(self) -> &'static str {
                match self { $(Event::$name => $word,)* }
            }

            /// The event with this name.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.word() == word)
            }

            /// What a leaf says to have happened, for who has many to look through; the rest of it is
            /// not read.
            pub fn of_leaf(leaf: &[u8]) -> Option<Self> {
                let line = leaf.strip_prefix(HEADER.as_bytes())?.strip_prefix(b"\nevent ")?;
                let word = line.split(|byte| *byte == b'\n').next()?;
                Self::from_word(std::str::from_utf8(word).ok()?)
            }
        }
    };
}

events! {
    /// A.1: the sender was authenticated and the document taken in charge.
    SubmissionAcceptance "SubmissionAcceptance";
    /// A.2: the document was not taken in charge.
    SubmissionRejection "SubmissionRejection";
    /// D.1: the content is at the recipient's disposal.
    ContentConsignment "ContentConsignment";
    /// E.1: the content left the gateway into the recipient's hands.
    ContentHandover "ContentHandover";
    /// C.4: the recipient refused it.
    ConsignmentRejection "ConsignmentRejection";
    /// The recipient reported a business status (01, 04, 05, 06).
    StatusReport "status";
    /// An epoch of the log began; commits to the last checkpoint of the one before.
    EpochOpening "epoch";
    /// D.3: a notice of the item was handed to the recipient's system for the first time.
    ConsignmentNotification "ConsignmentNotification";
    /// D.4: nobody of the recipient took a notice in time.
    ConsignmentNotificationFailure "ConsignmentNotificationFailure";
    /// The recipient's system read content for the first time.
    ContentAccessTracking "ContentAccessTracking";
    /// E.2: the recipient neither took nor refused it in time.
    ContentHandoverFailure "ContentHandoverFailure";
    /// A time-stamp over a checkpoint was obtained and verified.
    TimeStamp "timestamp";
    /// A service on which evidence relies does not answer.
    Outage "outage";
    /// It answers again.
    Repair "repair";
    /// Our clock was held against another.
    ClockCheck "clock";
    /// Bodies of a consignment were erased.
    Erasure "erasure";
    /// Bodies of a consignment must not be erased.
    Hold "hold";
    /// They may be again.
    Release "release";
    /// An auditor read.
    AuditorsRead "read";
    /// The content waits for the neighbour gateway behind which the recipient is.
    Relay "relay";
    /// B.1: the neighbour took it in charge.
    RelayAcceptance "RelayAcceptance";
    /// B.2: the neighbour did not.
    RelayRejection "RelayRejection";
    /// B.3: the neighbour did neither in time.
    RelayFailure "RelayFailure";
    /// What waited for a closed agency waits for its successor.
    Redirection "redirection";
    /// The sender asks to have it back, or that another document updates or replaces it (13).
    Order "order";
    /// The recipient agrees (15) or does not (16).
    OrderAnswer "order-answer";
    /// The directory changed.
    DirectoryChange "directory";
    /// A step of a dossier was taken.
    DossierStep "dossier";
}

impl Event {
    /// Whether a gateway tells it to the one that relayed the document (`FORMAT.md` §2, ⇄): what happens
    /// to it at a recipient.
    pub fn is_told_on(self) -> bool {
        matches!(
            self,
            Self::ContentConsignment
                | Self::ContentHandover
                | Self::ConsignmentRejection
                | Self::StatusReport
                | Self::ConsignmentNotification
                | Self::ConsignmentNotificationFailure
                | Self::ContentAccessTracking
                | Self::ContentHandoverFailure
                | Self::RelayRejection
                | Self::RelayFailure
                | Self::Redirection
                | Self::OrderAnswer
        )
    }
}

/// One entry. Fields that an event does not have are `None`; see `FORMAT.md` for which has which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// When, by the gateway's clock.
    pub time: Time,
    /// Who acted.
    pub actor: Actor,
    /// Which consignment.
    pub consignment: Option<ConsignmentId>,
    /// The sending agency.
    pub from: Option<Code>,
    /// The recipient that this entry is about.
    pub to: Option<Code>,
    /// SHA-256 of the envelope's bytes.
    pub envelope: Option<Sha256>,
    /// Identifier of the document.
    pub document: Option<String>,
    /// Number and notation.
    pub number: Option<String>,
    /// Dossier code.
    pub dossier: Option<DossierCode>,
    /// Urgency.
    pub urgency: Option<Urgency>,
    /// SHA-256 of sender code, line feed, request id: the idempotency key.
    pub request: Option<Sha256>,
    /// To whom an acceptance promises delivery.
    pub recipients: Option<RecipientSet>,
    /// The verdict on the signatures.
    pub verdict: Option<VerdictMark>,
    /// Business status code, two digits.
    pub status: Option<Status>,
    /// Why it was refused: a code of the catalogue, or `RECIPIENT` for the recipient's own reason.
    pub reason: Option<String>,
    /// SHA-256 of a salted text kept outside the log.
    pub note: Option<Sha256>,
    /// The epoch before this one.
    pub previous_epoch: Option<SignedHead>,
    /// The checkpoint that a time-stamp covers.
    pub covers: Option<SignedHead>,
    /// SHA-256 of bytes kept outside the log.
    pub content: Option<Sha256>,
    /// The service that the entry is about.
    pub service: Option<Service>,
    /// Since when.
    pub since: Option<Time>,
    /// How far the service's clock is ahead of ours, in milliseconds.
    pub offset: Option<i64>,
    /// Which bodies were erased.
    pub bodies: Option<BodySet>,
    /// The code that the sender wrote, if it is not that in `to`.
    pub addressed: Option<Code>,
    /// The consignment that updates or replaces.
    pub by: Option<ConsignmentId>,
    /// Code of the administrative procedure (mã TTHC).
    pub procedure: Option<String>,
    /// The caller's salted commitment to who the applicant is.
    pub applicant: Option<Sha256>,
    /// Until when.
    pub due: Option<Time>,
    /// What follows if nothing is done until then.
    pub rule: Option<String>,
    /// How satisfied the citizen was.
    pub grade: Option<Grade>,
}

/// The bytes are not an entry as `FORMAT.md` defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an entry of this format: line {line}")]
pub struct NotAnEntry {
    /// The first line, counted from 1, that does not fit.
    pub line: usize,
}

impl Entry {
    /// An entry of `event` with no optional field.
    pub fn new(event: Event, time: Time, actor: Actor) -> Self {
        Self {
            event,
            time,
            actor,
            consignment: None,
            from: None,
            to: None,
            envelope: None,
            document: None,
            number: None,
            dossier: None,
            urgency: None,
            request: None,
            recipients: None,
            verdict: None,
            status: None,
            reason: None,
            note: None,
            previous_epoch: None,
            covers: None,
            content: None,
            service: None,
            since: None,
            offset: None,
            bodies: None,
            addressed: None,
            by: None,
            procedure: None,
            applicant: None,
            due: None,
            rule: None,
            grade: None,
        }
    }

    /// What its request key was used for: two requests under one key must say the same. `None` if it has
    /// none or was not taken.
    pub fn used_for(&self) -> Option<Sha256> {
        match self.event {
            Event::SubmissionAcceptance => self.envelope,
            Event::DossierStep => {
                // A note is salted and the gateway may set the date: neither says what was asked.
                let mut asked = String::new();
                line(&mut asked, "dossier", self.dossier.as_ref());
                line(&mut asked, "reason", self.reason.as_ref());
                line(&mut asked, "to", self.to.as_ref());
                line(&mut asked, "consignment", self.consignment);
                line(&mut asked, "procedure", self.procedure.as_ref());
                line(&mut asked, "applicant", self.applicant);
                line(&mut asked, "rule", self.rule.as_ref());
                line(&mut asked, "grade", self.grade);
                Some(Sha256::of(asked.as_bytes()))
            }
            _ => None,
        }
    }

    /// The leaf bytes.
    ///
    /// # Panics
    /// If they exceed [`ENTRY_SIZE_MAX`]: every field has a limit, so that cannot happen to an
    /// entry made from checked values, and a wrong log must not grow.
    pub fn to_leaf(&self) -> Vec<u8> {
        let mut text = String::with_capacity(768);
        let actor = format!("{} {}", self.actor.system, self.actor.certificate);
        text.push_str(HEADER);
        text.push('\n');
        line(&mut text, "event", Some(self.event.word()));
        line(&mut text, "time", Some(self.time));
        line(&mut text, "actor", Some(actor));
        line(&mut text, "consignment", self.consignment);
        line(&mut text, "from", self.from.as_ref());
        line(&mut text, "to", self.to.as_ref());
        line(&mut text, "envelope", self.envelope);
        line(&mut text, "document", self.document.as_ref());
        line(&mut text, "number", self.number.as_ref());
        line(&mut text, "dossier", self.dossier.as_ref());
        line(&mut text, "urgency", self.urgency.map(Urgency::word));
        line(&mut text, "request", self.request);
        line(&mut text, "recipients", self.recipients.map(|r| format!("{} {}", r.count, r.digest)));
        let verdict = self.verdict.as_ref();
        let verdict = verdict.map(|v| format!("{} {} {}", v.indication, v.legal_value, v.report));
        line(&mut text, "verdict", verdict);
        line(&mut text, "status", self.status.map(Status::code));
        line(&mut text, "reason", self.reason.as_ref());
        line(&mut text, "note", self.note);
        line(&mut text, "previous", self.previous_epoch);
        line(&mut text, "covers", self.covers);
        line(&mut text, "content", self.content);
        line(&mut text, "service", self.service.as_ref());
        line(&mut text, "since", self.since);
        line(&mut text, "offset", self.offset);
        line(&mut text, "bodies", self.bodies.map(|b| format!("{} {}", b.count, b.digest)));
        line(&mut text, "addressed", self.addressed.as_ref());
        line(&mut text, "by", self.by);
        line(&mut text, "procedure", self.procedure.as_ref());
        line(&mut text, "applicant", self.applicant);
        line(&mut text, "due", self.due);
        line(&mut text, "rule", self.rule.as_ref());
        line(&mut text, "grade", self.grade);
        assert!(text.len() <= ENTRY_SIZE_MAX, "an entry of {} bytes", text.len());
        text.into_bytes()
    }

    /// Reads leaf bytes; the inverse of [`Entry::to_leaf`] and as strict: one spelling per entry.
    ///
    /// # Errors
    /// [`NotAnEntry`] with the first line that does not fit.
    pub fn from_leaf(leaf: &[u8]) -> Result<Self, NotAnEntry> {
        let text = std::str::from_utf8(leaf).map_err(|_| NotAnEntry { line: 1 })?;
        let mut lines = Lines::new(text)?;
        let event = lines.required("event", Event::from_word)?;
        let time = lines.required("time", |value| value.parse().ok())?;
        let actor = lines.required("actor", actor)?;
        let entry = Self {
            consignment: lines.optional("consignment", ConsignmentId::parse)?,
            from: lines.optional("from", Code::parse)?,
            to: lines.optional("to", Code::parse)?,
            envelope: lines.optional("envelope", |value| value.parse().ok())?,
            document: lines.optional("document", |value| Some(value.to_owned()))?,
            number: lines.optional("number", |value| Some(value.to_owned()))?,
            dossier: lines.optional("dossier", DossierCode::parse)?,
            urgency: lines.optional("urgency", urgency)?,
            request: lines.optional("request", |value| value.parse().ok())?,
            recipients: lines.optional("recipients", recipients)?,
            verdict: lines.optional("verdict", verdict)?,
            status: lines.optional("status", Status::from_code)?,
            reason: lines.optional("reason", |value| Some(value.to_owned()))?,
            note: lines.optional("note", |value| value.parse().ok())?,
            previous_epoch: lines.optional("previous", head)?,
            covers: lines.optional("covers", head)?,
            content: lines.optional("content", |value| value.parse().ok())?,
            service: lines.optional("service", Service::parse)?,
            since: lines.optional("since", |value| value.parse().ok())?,
            offset: lines.optional("offset", number)?,
            bodies: lines.optional("bodies", bodies)?,
            addressed: lines.optional("addressed", Code::parse)?,
            by: lines.optional("by", ConsignmentId::parse)?,
            procedure: lines.optional("procedure", |value| Some(value.to_owned()))?,
            applicant: lines.optional("applicant", |value| value.parse().ok())?,
            due: lines.optional("due", |value| value.parse().ok())?,
            rule: lines.optional("rule", |value| Some(value.to_owned()))?,
            grade: lines.optional("grade", Grade::parse)?,
            ..Self::new(event, time, actor)
        };
        lines.end()?;
        Ok(entry)
    }
}

fn line(text: &mut String, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        writeln!(text, "{name} {value}").expect("writing to a String cannot fail");
    }
}

struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Result<Self, NotAnEntry> {
        let rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        Ok(Self { rest: rest.ok_or(NotAnEntry { line: 1 })?, number: 2 })
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, NotAnEntry> {
        let Some(rest) = self.rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '))
        else {
            return Ok(None);
        };
        let wrong = NotAnEntry { line: self.number };
        let (value, rest) = rest.split_once('\n').ok_or(wrong)?;
        if value.is_empty() {
            return Err(wrong);
        }
        self.rest = rest;
        self.number += 1;
        read(value).map(Some).ok_or(wrong)
    }

    fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, NotAnEntry> {
        let line = self.number;
        self.optional(name, read)?.ok_or(NotAnEntry { line })
    }

    fn end(&self) -> Result<(), NotAnEntry> {
        if self.rest.is_empty() { Ok(()) } else { Err(NotAnEntry { line: self.number }) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::field::ServiceKind;
    use super::*;
    use crate::directory::SystemId;

    pub(crate) fn sample() -> Entry {
        let actor = Actor {
            system: SystemId::parse("commune").expect("an id"),
            certificate: Sha256::of(b"certificate"),
        };
        let time = "2026-11-22T03:45:18.123Z".parse().expect("a time");
        Entry {
            consignment: ConsignmentId::parse("019ab2c3-0000-7000-8000-000000000001"),
            from: Code::parse("H49.151"),
            envelope: Some(Sha256::of(b"envelope")),
            document: Some("H49.151,2026/11/22,12/UBND-VP".into()),
            number: Some("12/UBND-VP".into()),
            dossier: DossierCode::parse("H49.151-20261122-0001"),
            urgency: Some(Urgency::Urgent),
            request: Some(Sha256::of(b"request")),
            recipients: Some(RecipientSet { count: 2, digest: Sha256::of(b"H49\nH49.11\n") }),
            verdict: Some(VerdictMark {
                indication: "TOTAL-PASSED".into(),
                legal_value: "ORIGINAL".into(),
                report: Sha256::of(b"report"),
            }),
            ..Entry::new(Event::SubmissionAcceptance, time, actor)
        }
    }

    #[test]
    fn an_entry_reads_back_and_has_one_spelling() {
        let mut full = sample();
        full.to = Code::parse("H49");
        full.status = Some(Status::Accepted);
        full.reason = Some("RECIPIENT".into());
        full.note = Some(Sha256::of(b"note"));
        let head = SignedHead { epoch: 1, size: 10, root: Sha256::of(b"root") };
        (full.previous_epoch, full.covers) = (Some(head), Some(head));
        full.content = Some(Sha256::of(b"content"));
        full.service = Service::new(ServiceKind::Tsa, "tsa.example");
        full.since = Some(full.time);
        full.offset = Some(-1);
        full.bodies = Some(BodySet::of(vec![Sha256::of(b"body")]));
        (full.addressed, full.by) = (Code::parse("H49.61"), full.consignment);
        (full.procedure, full.rule) = (Some("1.004227".into()), Some("RULE".into()));
        (full.applicant, full.due) = (Some(Sha256::of(b"applicant")), Some(full.time));
        full.grade = Grade::new(5);
        for entry in [sample(), full] {
            let leaf = entry.to_leaf();
            assert_eq!(Entry::from_leaf(&leaf), Ok(entry));
        }
    }

    #[test]
    fn what_happened_is_told_without_reading_the_rest() {
        for event in Event::ALL {
            let leaf = Entry { event: *event, ..sample() }.to_leaf();
            assert_eq!(Event::of_leaf(&leaf), Some(*event));
        }
        for wrong in [
            "",
            "vanthu.entry.v1\n",
            "vanthu.entry.v1\nevent nothing\n",
            "vanthu.entry.v1event epoch\n",
        ] {
            assert_eq!(Event::of_leaf(wrong.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_not_exactly_an_entry_is_refused_with_its_line() {
        let text = String::from_utf8(sample().to_leaf()).expect("text");
        let cases = [
            (text.replace("v1", "v2"), 1),
            (text.replace("event Sub", "event sub"), 2),
            (text.replace(".123Z", "Z"), 3),
            (text.replace("recipients 2", "recipients 02"), 13),
            (text.replace("urgency urgent", "urgency very"), 11),
            (text.trim_end().to_owned(), 14),
            (format!("{text}\n"), 15),
            (format!("{text}from H49\n"), 15),
            (format!("{text}offset -0\n"), 15),
            (format!("{text}offset +1\n"), 15),
            (format!("{text}service tsa TSA\n"), 15),
            (format!("{text}service time tsa\n"), 15),
            (format!("{text}bodies 0 {}\n", Sha256::of(b"")), 15),
            (format!("{text}grade 0\n"), 15),
            (format!("{text}grade 6\n"), 15),
            (format!("{text}grade 05\n"), 15),
        ];
        for (wrong, line) in cases {
            assert_eq!(Entry::from_leaf(wrong.as_bytes()), Err(NotAnEntry { line }), "{wrong}");
        }
    }
}
