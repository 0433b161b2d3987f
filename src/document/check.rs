//! The rules that an envelope must keep, one leaf function per field.
//!
//! Lengths are those of NĐ 30/2020 Annex VI and of the QCVN 102 checkers in use
//! (`vietnam.md` §2.2), counted in characters.

use super::DossierCode;
use super::envelope::{
    Addressee, Draft, Form, Link, Part, PartDraft, PartRole, PartTarget, Urgency,
};
use crate::clock::Date;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::limits;
use crate::refusal::{Reason, Refusal};

const DOCUMENT_ID_LENGTH_MAX: usize = 100;
const NUMBER_LENGTH_MAX: usize = 11;
const NOTATION_LENGTH_MAX: usize = 30;
const TYPE_NAME_LENGTH_MAX: usize = 100;
const SUBJECT_LENGTH_MAX: usize = 500;
const PLACE_LENGTH_MAX: usize = 50;
const COMPETENCE_LENGTH_MAX: usize = 100;
const POSITION_LENGTH_MAX: usize = 100;
const FULL_NAME_LENGTH_MAX: usize = 50;
const PART_NAME_LENGTH_MAX: usize = 200;
const MEDIA_TYPE_LENGTH_MAX: usize = 127;

/// What the rules need to know besides the draft.
pub(super) struct Checker {
    pub(super) today: Date,
}

impl Checker {
    pub(super) fn not_secret(&self, draft: &Draft) -> Result<(), Refusal> {
        if draft.secret {
            return Err(Refusal::of_field(Reason::StateSecret, "secrecy"));
        }
        Ok(())
    }

    pub(super) fn texts(&self, draft: &Draft) -> Result<(), Refusal> {
        required("document_id", &draft.document_id, DOCUMENT_ID_LENGTH_MAX)?;
        text("number", &draft.number, NUMBER_LENGTH_MAX)?;
        text("notation", &draft.notation, NOTATION_LENGTH_MAX)?;
        required("type_name", &draft.type_name, TYPE_NAME_LENGTH_MAX)?;
        required("subject", &draft.subject, SUBJECT_LENGTH_MAX)?;
        text("place", &draft.place, PLACE_LENGTH_MAX)?;
        text("signer.competence", &draft.signer.competence, COMPETENCE_LENGTH_MAX)?;
        text("signer.position", &draft.signer.position, POSITION_LENGTH_MAX)?;
        text("signer.full_name", &draft.signer.full_name, FULL_NAME_LENGTH_MAX)?;
        text("procedure_code", &draft.procedure_code, limits::PROCEDURE_LENGTH_MAX)
    }

    pub(super) fn number(&self, draft: &Draft) -> Result<Option<String>, Refusal> {
        match (draft.number.is_empty(), draft.notation.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(Refusal::of_field(Reason::FieldMissing, "number")),
            (false, true) => Ok(Some(draft.number.clone())),
            (false, false) => Ok(Some(format!("{}/{}", draft.number, draft.notation))),
        }
    }

    pub(super) fn issue_date(&self, draft: &Draft) -> Result<Date, Refusal> {
        let date = date("issue_date", draft.issue_date)?
            .ok_or_else(|| Refusal::of_field(Reason::FieldMissing, "issue_date"))?;
        if date > self.today {
            let refusal = Refusal::of_field(Reason::DateInFuture, "issue_date");
            return Err(refusal.with("date", date).with("today", self.today));
        }
        Ok(date)
    }

    pub(super) fn due_date(&self, draft: &Draft, issued: Date) -> Result<Option<Date>, Refusal> {
        let due = date("due_date", draft.due_date)?;
        if due.is_some_and(|due| due < issued) {
            return Err(Refusal::of_field(Reason::DueDateBeforeIssue, "due_date"));
        }
        Ok(due)
    }

    pub(super) fn urgency(&self, draft: &Draft) -> Result<Urgency, Refusal> {
        draft.urgency.ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, "urgency"))
    }

    pub(super) fn form(&self, draft: &Draft) -> Result<Form, Refusal> {
        draft.form.ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, "form"))
    }

    pub(super) fn sender(&self, draft: &Draft) -> Result<Code, Refusal> {
        if draft.sender.is_empty() {
            return Err(Refusal::of_field(Reason::FieldMissing, "sender"));
        }
        code("sender".to_owned(), &draft.sender)
    }

    pub(super) fn addressees(&self, draft: &Draft) -> Result<Vec<Addressee>, Refusal> {
        let groups = draft.recipients_below.len() + draft.recipients_lists.len();
        let count = draft.recipients.len() + groups;
        if count == 0 {
            return Err(Refusal::of_field(Reason::RecipientsMissing, "recipients"));
        }
        if count > limits::RECIPIENTS_MAX {
            let refusal = Refusal::of_field(Reason::RecipientsTooMany, "recipients");
            return Err(refusal.with("count", count).with("limit", limits::RECIPIENTS_MAX));
        }
        let mut addressees = Vec::with_capacity(count);
        for (index, text) in draft.recipients.iter().enumerate() {
            addressees.push(Addressee::Agency(code(format!("recipients[{index}]"), text)?));
        }
        for (index, text) in draft.recipients_below.iter().enumerate() {
            addressees.push(Addressee::Below(code(format!("recipients_below[{index}]"), text)?));
        }
        for (index, name) in draft.recipients_lists.iter().enumerate() {
            if !crate::directory::is_name(name) {
                let field = format!("recipients_lists[{index}]");
                return Err(Refusal::of_field(Reason::FieldMalformed, field));
            }
            addressees.push(Addressee::List(name.clone()));
        }
        Ok(addressees)
    }

    pub(super) fn links(
        &self,
        field: &str,
        links: &[(String, String)],
    ) -> Result<Vec<Link>, Refusal> {
        if links.len() > limits::LINKS_MAX {
            let refusal = Refusal::of_field(Reason::LinksTooMany, field);
            return Err(refusal.with("count", links.len()).with("limit", limits::LINKS_MAX));
        }
        let read = |(index, (document_id, issuer)): (usize, &(String, String))| {
            let path = format!("{field}[{index}]");
            required(&format!("{path}.document_id"), document_id, DOCUMENT_ID_LENGTH_MAX)?;
            let issuer = match issuer.as_str() {
                "" => None,
                text => Some(code(format!("{path}.issuer"), text)?),
            };
            Ok(Link { document_id: document_id.clone(), issuer })
        };
        links.iter().enumerate().map(read).collect()
    }

    pub(super) fn dossier(&self, draft: &Draft) -> Result<Option<DossierCode>, Refusal> {
        if draft.dossier_code.is_empty() {
            return Ok(None);
        }
        DossierCode::parse(&draft.dossier_code)
            .map(Some)
            .ok_or_else(|| Refusal::of_field(Reason::DossierCodeMalformed, "dossier_code"))
    }

    pub(super) fn parts(&self, drafts: &[PartDraft]) -> Result<Vec<Part>, Refusal> {
        if drafts.is_empty() {
            return Err(Refusal::of_field(Reason::PartsMissing, "parts"));
        }
        if drafts.len() > limits::PARTS_MAX {
            let refusal = Refusal::of_field(Reason::PartsTooMany, "parts");
            return Err(refusal.with("count", drafts.len()).with("limit", limits::PARTS_MAX));
        }
        let mut parts = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.iter().enumerate() {
            parts.push(part(index, draft, drafts)?);
        }
        let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.size));
        if total > limits::DOCUMENT_SIZE_MAX {
            let refusal = Refusal::of_field(Reason::DocumentTooLarge, "parts");
            return Err(refusal.with("size", total).with("limit", limits::DOCUMENT_SIZE_MAX));
        }
        let mains = parts.iter().filter(|part| part.role == PartRole::Main).count();
        if mains != 1 {
            return Err(Refusal::of_field(Reason::MainPartCount, "parts").with("count", mains));
        }
        Ok(parts)
    }
}

fn part(index: usize, draft: &PartDraft, all: &[PartDraft]) -> Result<Part, Refusal> {
    let field = |name: &str| format!("parts[{index}].{name}");
    required(&field("name"), &draft.name, PART_NAME_LENGTH_MAX)?;
    required(&field("media_type"), &draft.media_type, MEDIA_TYPE_LENGTH_MAX)?;
    if draft.name.contains(['/', '\\']) || matches!(draft.name.as_str(), "." | "..") {
        return Err(Refusal::of_field(Reason::FieldMalformed, field("name")));
    }
    if all.iter().take(index).any(|other| other.name == draft.name) {
        let refusal = Refusal::of_field(Reason::PartNameDuplicate, field("name"));
        return Err(refusal.with("name", &draft.name));
    }
    if draft.size == 0 {
        return Err(Refusal::of_field(Reason::PartEmpty, field("size")));
    }
    if draft.size > limits::PART_SIZE_MAX {
        let refusal = Refusal::of_field(Reason::PartTooLarge, field("size"));
        return Err(refusal.with("size", draft.size).with("limit", limits::PART_SIZE_MAX));
    }
    let digest = Sha256::from_slice(&draft.digest)
        .ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field("sha256")))?;
    let role =
        draft.role.ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field("role")))?;
    let target = all.iter().position(|other| other.name == draft.signs);
    let signs = match (role, target) {
        (PartRole::Signature, Some(target)) if target != index => {
            if all[target].role == Some(PartRole::Signature) {
                return Err(Refusal::of_field(Reason::SignatureTargetUnknown, field("signs")));
            }
            Some(PartTarget(target))
        }
        (PartRole::Signature, _) => {
            return Err(Refusal::of_field(Reason::SignatureTargetUnknown, field("signs")));
        }
        _ if !draft.signs.is_empty() => {
            return Err(Refusal::of_field(Reason::FieldMalformed, field("signs")));
        }
        _ => None,
    };
    let (name, media_type) = (draft.name.clone(), draft.media_type.clone());
    Ok(Part { name, media_type, size: draft.size, digest, role, signs })
}

fn required(field: &str, value: &str, length_max: usize) -> Result<(), Refusal> {
    if value.is_empty() {
        return Err(Refusal::of_field(Reason::FieldMissing, field));
    }
    text(field, value, length_max)
}

/// A line of text: what is hashed, logged and printed must not be able to look like something else.
fn text(field: &str, value: &str, length_max: usize) -> Result<(), Refusal> {
    let length = value.chars().count();
    if length > length_max {
        let refusal = Refusal::of_field(Reason::FieldTooLong, field);
        return Err(refusal.with("length", length).with("limit", length_max));
    }
    let forbidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    };
    if value.chars().any(forbidden) || value.trim() != value {
        return Err(Refusal::of_field(Reason::CharacterForbidden, field));
    }
    Ok(())
}

fn code(field: String, text: &str) -> Result<Code, Refusal> {
    Code::parse(text).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field))
}

fn date(field: &str, parts: Option<(i32, u32, u32)>) -> Result<Option<Date>, Refusal> {
    let Some((year, month, day)) = parts else { return Ok(None) };
    let date = || {
        let year = i16::try_from(year).ok().filter(|year| (1945..=9999).contains(year))?;
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    };
    date().map(Some).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field))
}
