//! One entry of the log and its exact bytes. `FORMAT.md` beside this file is the definition; this
//! is its one implementation on the writer's side (the auditor's stands in `audit`).

use std::fmt::Write as _;

use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
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
}

/// Who acted: the system and the certificate that it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The system's name in the directory; the gateway itself is `gateway`.
    pub system: SystemId,
    /// SHA-256 of the client certificate (DER); of the gateway: of its public log key.
    pub certificate: Sha256,
}

/// The recipients that an acceptance promises to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipientSet {
    /// How many.
    pub count: u32,
    /// SHA-256 of the codes, each followed by a line feed, in ascending byte order.
    pub digest: Sha256,
}

/// What the signature room said of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictMark {
    /// TOTAL-PASSED, INDETERMINATE, TOTAL-FAILED, or UNSIGNED.
    pub indication: String,
    /// Legal value by the rules of `signature::legal`.
    pub legal_value: String,
    /// SHA-256 of the stored report.
    pub report: Sha256,
}

/// Where the log before this epoch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousEpoch {
    /// Its number.
    pub epoch: u32,
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Sha256,
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
    pub previous_epoch: Option<PreviousEpoch>,
}

/// Business status codes of the national axis (`vietnam.md` §3.1) that recipients report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// 01 đã đến.
    Arrived,
    /// 02 từ chối tiếp nhận.
    Refused,
    /// 03 đã tiếp nhận.
    Accepted,
    /// 04 phân công.
    Assigned,
    /// 05 đang xử lý.
    InProgress,
    /// 06 hoàn thành.
    Finished,
}

impl Status {
    /// Every status with its code.
    pub const CODES: &'static [(&'static str, Status)] = &[
        ("01", Status::Arrived),
        ("02", Status::Refused),
        ("03", Status::Accepted),
        ("04", Status::Assigned),
        ("05", Status::InProgress),
        ("06", Status::Finished),
    ];

    /// Its two digits.
    pub fn code(self) -> &'static str {
        Self::CODES.iter().find(|(_, status)| *status == self).map_or("", |(code, _)| code)
    }

    /// The status with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
    }
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
        let previous = self.previous_epoch.as_ref();
        line(&mut text, "previous", previous.map(|p| format!("{} {} {}", p.epoch, p.size, p.root)));
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
            previous_epoch: lines.optional("previous", previous)?,
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

fn actor(value: &str) -> Option<Actor> {
    let (system, certificate) = value.split_once(' ')?;
    Some(Actor { system: SystemId::parse(system)?, certificate: certificate.parse().ok()? })
}

fn urgency(value: &str) -> Option<Urgency> {
    Urgency::WORDS.iter().find(|(word, _)| *word == value).map(|(_, urgency)| *urgency)
}

/// A decimal number in its only spelling.
fn number<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn recipients(value: &str) -> Option<RecipientSet> {
    let (count, digest) = value.split_once(' ')?;
    Some(RecipientSet { count: number(count)?, digest: digest.parse().ok()? })
}

fn verdict(value: &str) -> Option<VerdictMark> {
    let mut words = value.split(' ');
    let (indication, legal_value) = (words.next()?.to_owned(), words.next()?.to_owned());
    let report = words.next()?.parse().ok()?;
    words.next().is_none().then_some(VerdictMark { indication, legal_value, report })
}

fn previous(value: &str) -> Option<PreviousEpoch> {
    let mut words = value.split(' ');
    let (epoch, size) = (number(words.next()?)?, number(words.next()?)?);
    let root = words.next()?.parse().ok()?;
    words.next().is_none().then_some(PreviousEpoch { epoch, size, root })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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
        full.previous_epoch = Some(PreviousEpoch { epoch: 1, size: 10, root: Sha256::of(b"root") });
        for entry in [sample(), full] {
            let leaf = entry.to_leaf();
            assert_eq!(Entry::from_leaf(&leaf), Ok(entry));
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
        ];
        for (wrong, line) in cases {
            assert_eq!(Entry::from_leaf(wrong.as_bytes()), Err(NotAnEntry { line }), "{wrong}");
        }
    }
}
