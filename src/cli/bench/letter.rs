//! Unsigned letters, from H49.151 unless it is said: what is measured with them is the way, not the signatures.

use bytes::Bytes;

use crate::clock::Date;
use crate::digest::Sha256;
use crate::proto::v1;

/// A letter with one part.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Sending agency.
    pub(super) sender: String,
    /// When it was issued.
    pub(super) issued: Date,
    /// Its number; its identifier ends with it.
    pub(super) number: String,
    /// Its lane.
    pub(super) urgency: v1::Urgency,
    /// Receiving agencies.
    pub(super) recipients: Vec<String>,
    /// Every agency below these.
    pub(super) below: Vec<String>,
    /// The bytes of its part.
    pub(super) body: Bytes,
}

impl Letter {
    /// A short letter of no urgency to one agency.
    pub(super) fn to(recipient: &str, number: String) -> Self {
        Self {
            sender: "H49.151".to_owned(),
            issued: Date::constant(2026, 1, 2),
            body: Bytes::from(format!("document {number}")),
            number,
            urgency: v1::Urgency::Normal,
            recipients: vec![recipient.to_owned()],
            below: Vec::new(),
        }
    }

    /// The identifier of the document.
    pub(super) fn document_id(&self) -> String {
        format!("bench,{}", self.number)
    }

    /// The envelope, serialized.
    pub(super) fn envelope_bytes(&self) -> Bytes {
        let envelope = v1::Envelope {
            document_id: self.document_id(),
            number: self.number.clone(),
            type_name: "Công văn".to_owned(),
            subject: "Bench".to_owned(),
            issue_date: Some(crate::service::wire_date(self.issued)),
            urgency: self.urgency.into(),
            secrecy: v1::Secrecy::None.into(),
            form: v1::Form::Original.into(),
            sender: self.sender.clone(),
            recipients: self.recipients.clone(),
            recipients_below: self.below.clone(),
            parts: vec![v1::Part {
                name: "a.txt".to_owned(),
                media_type: "text/plain".to_owned(),
                size: self.body.len() as u64,
                sha256: Bytes::copy_from_slice(&Sha256::of(&self.body).0),
                role: v1::PartRole::Main.into(),
                signs: String::new(),
            }],
            ..v1::Envelope::default()
        };
        crate::service::envelope_bytes(&envelope).into()
    }

    /// The letter as it is sent in one call.
    pub(super) fn request(&self) -> v1::SubmitDocumentRequest {
        v1::SubmitDocumentRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            envelope: self.envelope_bytes(),
            parts: vec![self.body.clone()],
            validate_only: false,
        }
    }
}
