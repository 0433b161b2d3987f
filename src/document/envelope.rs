//! The envelope: who sends what to whom.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

use super::DossierCode;
use super::check::Checker;
use crate::clock::Date;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::refusal::Refusal;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }

        impl $name {
            /// The id in `text`: a UUID in lower-case hyphenated form.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Self(Uuid::try_parse(text).ok()?);
                (id.to_string() == text).then_some(id)
            }
        }
    };
}

identifier! {
    /// The gateway's name for one accepted submission: a time-ordered UUID (version 7).
    ConsignmentId
}
identifier! {
    /// The sender's name for one request; the same for every retry of it, for ever.
    RequestId
}

/// Urgency (NĐ 30/2020 Art. 8: khẩn, thượng khẩn, hỏa tốc). The order is the order of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Hỏa tốc.
    Flash,
    /// Thượng khẩn.
    Immediate,
    /// Khẩn.
    Urgent,
    /// Thường.
    Normal,
}

impl Urgency {
    /// Every grade, most urgent first, with its word in the log.
    pub const WORDS: &'static [(&'static str, Urgency)] = &[
        ("flash", Urgency::Flash),
        ("immediate", Urgency::Immediate),
        ("urgent", Urgency::Urgent),
        ("normal", Urgency::Normal),
    ];

    /// Its word in the log.
    pub fn word(self) -> &'static str {
        Self::WORDS[self.lane() as usize].0
    }

    /// 0 for the most urgent lane, 3 for the last.
    pub fn lane(self) -> u8 {
        self as u8
    }

    /// The grade of a lane.
    pub fn of_lane(lane: u8) -> Option<Self> {
        Self::WORDS.get(usize::from(lane)).map(|(_, urgency)| *urgency)
    }
}

/// Original or copy; decides which signatures the law asks for (NĐ 30/2020 Art. 5 and 25–27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An original (bản gốc): the competent person's and the agency's signature.
    Original,
    /// An electronic copy (sao y, sao lục, trích sao): the agency's signature.
    Copy,
}

/// Where one addressee line of the envelope points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// This agency.
    Agency(Code),
    /// Every agency below this one that is open on the day, the agency itself not included.
    Below(Code),
    /// Every member of the list with this name in the directory.
    List(String),
}

/// What a part is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartRole {
    /// The document itself.
    Main,
    /// An annex or attachment.
    Annex,
    /// A detached CMS signature over another part.
    Signature,
}

/// One part as the envelope lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// File name, unique in the document.
    pub name: String,
    /// Media type, as the sender states it.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub digest: Sha256,
    /// What it is for.
    pub role: PartRole,
    /// For a detached signature: the signed part.
    pub signs: Option<PartTarget>,
}

/// Position of a part in the list of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartTarget(pub usize);

/// A document that this one answers or replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its identifier (mã định danh văn bản), opaque.
    pub document_id: String,
    /// The agency that issued it.
    pub issuer: Option<Code>,
}

/// Who signed for the agency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// Competence mark: TM., Q., KT., TL., TUQ.
    pub competence: String,
    /// Position.
    pub position: String,
    /// Full name.
    pub full_name: String,
}

/// What the door read out of the envelope's bytes, before any check.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of Envelope, unchecked")]
pub struct Draft {
    pub document_id: String,
    pub number: String,
    pub notation: String,
    pub type_name: String,
    pub type_code: u32,
    pub subject: String,
    pub place: String,
    pub issue_date: Option<(i32, u32, u32)>,
    pub signer: Signer,
    pub urgency: Option<Urgency>,
    pub due_date: Option<(i32, u32, u32)>,
    pub secret: bool,
    pub form: Option<Form>,
    pub sender: String,
    pub recipients: Vec<String>,
    pub recipients_below: Vec<String>,
    pub recipients_lists: Vec<String>,
    pub replies_to: Vec<(String, String)>,
    pub replaces: Vec<(String, String)>,
    pub dossier_code: String,
    pub procedure_code: String,
    pub parts: Vec<PartDraft>,
}

/// A part before any check.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of Part, unchecked")]
pub struct PartDraft {
    pub name: String,
    pub media_type: String,
    pub size: u64,
    pub digest: Vec<u8>,
    pub role: Option<PartRole>,
    pub signs: String,
}

/// An envelope that was read and whose every field holds what it may hold.
#[derive(Debug, Clone)]
pub struct Envelope {
    bytes: Bytes,
    digest: Sha256,
    /// Identifier of the document (mã định danh văn bản): opaque, not unique in practice.
    pub document_id: String,
    /// Number and notation, `12/UBND-VP`; `None` if the document has no number.
    pub number: Option<String>,
    /// Name of the kind of document.
    pub type_name: String,
    /// Code of the kind of document; the lists in use differ, so it is opaque.
    pub type_code: u32,
    /// Abstract (trích yếu).
    pub subject: String,
    /// Place of issue.
    pub place: String,
    /// Date of issue.
    pub issue_date: Date,
    /// Who signed.
    pub signer: Signer,
    /// Urgency.
    pub urgency: Urgency,
    /// When an answer or result is due.
    pub due_date: Option<Date>,
    /// Original or copy.
    pub form: Form,
    /// The sending agency.
    pub sender: Code,
    /// To whom, as written.
    pub addressees: Vec<Addressee>,
    /// Documents that this one answers.
    pub replies_to: Vec<Link>,
    /// Documents that this one replaces.
    pub replaces: Vec<Link>,
    /// The dossier it belongs to.
    pub dossier: Option<DossierCode>,
    /// The administrative procedure (mã TTHC), opaque.
    pub procedure_code: String,
    /// Its parts; exactly one is the main part.
    pub parts: Vec<Part>,
}

impl Envelope {
    /// Reads an envelope: every field checked against its limits and the law's.
    ///
    /// `today` is the date in Vietnam, for the rule that nothing is issued in the future.
    ///
    /// # Errors
    /// The first rule broken, in the order of the fields, with the field's path.
    pub fn read(bytes: Bytes, draft: Draft, today: Date) -> Result<Self, Refusal> {
        let check = Checker { today };
        check.not_secret(&draft)?;
        check.texts(&draft)?;
        let parts = check.parts(&draft.parts)?;
        let issue_date = check.issue_date(&draft)?;
        Ok(Self {
            digest: Sha256::of(&bytes),
            bytes,
            sender: check.sender(&draft)?,
            addressees: check.addressees(&draft)?,
            number: check.number(&draft)?,
            issue_date,
            due_date: check.due_date(&draft, issue_date)?,
            urgency: check.urgency(&draft)?,
            form: check.form(&draft)?,
            replies_to: check.links("replies_to", &draft.replies_to)?,
            replaces: check.links("replaces", &draft.replaces)?,
            dossier: check.dossier(&draft)?,
            parts,
            document_id: draft.document_id,
            type_name: draft.type_name,
            type_code: draft.type_code,
            subject: draft.subject,
            place: draft.place,
            signer: draft.signer,
            procedure_code: draft.procedure_code,
        })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}
