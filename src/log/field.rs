//! Values of the fields of an entry, and their one spelling (`FORMAT.md` §1).

use std::fmt;

use crate::digest::Sha256;
use crate::directory::SystemId;
use crate::document::Urgency;

/// Who acted: the system and the certificate that it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The system's name in the directory; the gateway itself is `gateway`.
    pub system: SystemId,
    /// SHA-256 of the client certificate (DER); of the gateway: of its public log key.
    pub certificate: Sha256,
}

impl Actor {
    /// Whether it is the gateway itself.
    pub fn is_gateway(&self) -> bool {
        self.system.as_str() == "gateway"
    }
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

/// The log as a checkpoint describes it: that an epoch's end, or one that was time-stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHead {
    /// The epoch.
    pub epoch: u32,
    /// Entries in it.
    pub size: u64,
    /// Their root.
    pub root: Sha256,
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.epoch, self.size, self.root)
    }
}

/// What a service does for the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKind {
    /// Time-stamps (RFC 3161).
    Tsa,
    /// Cosigns checkpoints.
    Witness,
    /// Answers about certificates (RFC 6960).
    Ocsp,
    /// Publishes revocation lists.
    Crl,
    /// Tells the time.
    Clock,
    /// A neighbour gateway.
    Gateway,
}

impl ServiceKind {
    /// Every kind with its word.
    pub const WORDS: &'static [(&'static str, ServiceKind)] = &[
        ("tsa", ServiceKind::Tsa),
        ("witness", ServiceKind::Witness),
        ("ocsp", ServiceKind::Ocsp),
        ("crl", ServiceKind::Crl),
        ("clock", ServiceKind::Clock),
        ("gateway", ServiceKind::Gateway),
    ];
}

/// A service on which evidence relies: its kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    kind: ServiceKind,
    name: String,
}

impl Service {
    /// The service of this kind and name; `None` unless the name has 1–64 of `0-9 a-z . -`.
    pub fn new(kind: ServiceKind, name: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-');
        let fits = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
        fits.then(|| Self { kind, name: name.to_owned() })
    }

    /// What it does.
    pub fn kind(&self) -> ServiceKind {
        self.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (word, name) = text.split_once(' ')?;
        let (_, kind) = ServiceKind::WORDS.iter().find(|(known, _)| *known == word)?;
        Self::new(*kind, name)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ServiceKind::WORDS.iter().find(|(_, kind)| *kind == self.kind);
        write!(f, "{} {}", word.map_or("", |(word, _)| word), self.name)
    }
}

/// Bodies that were erased together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodySet {
    /// How many, at least 1.
    pub count: u32,
    /// SHA-256 of their digests, each followed by a line feed, in ascending order.
    pub digest: Sha256,
}

impl BodySet {
    /// The bodies with these digests.
    ///
    /// # Panics
    /// If there are more than 2³²: a consignment has few.
    pub fn of(mut digests: Vec<Sha256>) -> Self {
        digests.sort_unstable();
        digests.dedup();
        let lines: String = digests.iter().map(|digest| format!("{digest}\n")).collect();
        let count = u32::try_from(digests.len()).expect("bodies of a consignment are few");
        Self { count, digest: Sha256::of(lines.as_bytes()) }
    }
}

/// How satisfied a citizen was, from 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grade(u8);

impl Grade {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// The grade with this number.
    pub fn new(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|grade| (1..=5).contains(grade)).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0.into()
    }

    /// Its place among all grades, from 0 on.
    pub fn place(self) -> usize {
        usize::from(self.0) - 1
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        number(text).and_then(Self::new)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Business status codes of the national axis.
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
    /// 13 lấy lại: the sender asks.
    Withdrawal,
    /// 15 đồng ý: the recipient agrees.
    Agreed,
    /// 16 từ chối: the recipient does not.
    Declined,
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
        ("13", Status::Withdrawal),
        ("15", Status::Agreed),
        ("16", Status::Declined),
    ];

    /// How many a recipient reports of a document's course, 01 to 06: the first of [`Self::CODES`].
    pub const REPORTED: usize = 6;

    /// Its two digits.
    pub fn code(self) -> &'static str {
        Self::CODES.iter().find(|(_, status)| *status == self).map_or("", |(code, _)| code)
    }

    /// The status with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
    }
}

pub(super) fn actor(value: &str) -> Option<Actor> {
    let (system, certificate) = value.split_once(' ')?;
    Some(Actor { system: SystemId::parse(system)?, certificate: certificate.parse().ok()? })
}

pub(super) fn urgency(value: &str) -> Option<Urgency> {
    Urgency::WORDS.iter().find(|(word, _)| *word == value).map(|(_, urgency)| *urgency)
}

/// A decimal number in its only spelling.
pub(super) fn number<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

pub(super) fn recipients(value: &str) -> Option<RecipientSet> {
    let (count, digest) = value.split_once(' ')?;
    Some(RecipientSet { count: number(count)?, digest: digest.parse().ok()? })
}

pub(super) fn verdict(value: &str) -> Option<VerdictMark> {
    let mut words = value.split(' ');
    let (indication, legal_value) = (words.next()?.to_owned(), words.next()?.to_owned());
    let report = words.next()?.parse().ok()?;
    words.next().is_none().then_some(VerdictMark { indication, legal_value, report })
}

pub(super) fn bodies(value: &str) -> Option<BodySet> {
    let (count, digest) = value.split_once(' ')?;
    let count = number(count).filter(|count| *count > 0)?;
    Some(BodySet { count, digest: digest.parse().ok()? })
}

pub(super) fn head(value: &str) -> Option<SignedHead> {
    let mut words = value.split(' ');
    let (epoch, size) = (number(words.next()?)?, number(words.next()?)?);
    let root = words.next()?.parse().ok()?;
    words.next().is_none().then_some(SignedHead { epoch, size, root })
}
