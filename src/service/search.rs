//! Looking for documents.

use bytes::Bytes;

use super::reads::query;
use super::{Door, convert, paging, trace::Eyes};
use crate::clock::Time;
use crate::delivery::fold_spelling;
use crate::digest::{Sha256, hex};
use crate::directory::{Code, Role};
use crate::document::DossierCode;
use crate::gateway::{Asked, Error, Found, Peer, Query, Surroundings, Wanted};
use crate::limits::SEARCH_TEXT_LENGTH_MAX;
use crate::log::EntryId;
use crate::proto::v1;
use crate::refusal::{Reason, Refusal};

impl Door {
    /// A page of what is asked for, as far as the caller may see it. Blocks.
    pub(super) fn found(
        &self,
        peer: &Peer,
        request: &v1::SearchRequest,
    ) -> Result<v1::SearchResponse, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let size = paging::size(request.page_size)?;
        let after = paging::entry(&request.page_token)?;
        let surroundings = self.gateway.surroundings();
        let wanted = wanted(&surroundings, request)?;
        if peer.role != Role::Auditor && wanted.is_open() {
            return Err(Refusal::of_field(Reason::SearchEmpty, "agency").into());
        }
        let mut eyes = Eyes::new(self, peer, &surroundings);
        let may_see = |entry: &_| eyes.may_see(Some(entry));
        let page = self.gateway.search(&wanted, after, size, may_see)?;
        if page.found.is_empty() && page.next.is_none() && after == EntryId::ZERO {
            return Err(Refusal::new(Reason::NothingFound).into());
        }
        let checkpoint = self.gateway.reading().latest()?.unwrap_or_default();
        Ok(v1::SearchResponse {
            documents: page.found.into_iter().map(document).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
            checkpoint: checkpoint.into(),
        })
    }
}

/// What an auditor's search is recorded as.
pub(super) fn query_of(request: &v1::SearchRequest) -> Query {
    let moment = |wire: Option<prost_types::Timestamp>| {
        wire.map(|wire| wire.to_string()).unwrap_or_default()
    };
    let number = |wire: i32| if wire == 0 { String::new() } else { wire.to_string() };
    let (since, until) = (moment(request.since), moment(request.until));
    let digest = hex(&request.envelope_sha256);
    let (transport, status) = (number(request.transport), number(request.business_status));
    let admission = number(request.admission);
    let fields = [
        ("consignment_id", &request.consignment_id),
        ("document_id", &request.document_id),
        ("number", &request.number),
        ("dossier_code", &request.dossier_code),
        ("envelope_sha256", &digest),
        ("sender", &request.sender),
        ("recipient", &request.recipient),
        ("agency", &request.agency),
        ("since", &since),
        ("until", &until),
        ("transport", &transport),
        ("business_status", &status),
        ("admission", &admission),
    ];
    query(Asked::Trace, "search", &fields.map(|(name, value)| (name, value.as_str())))
}

fn document(found: Found) -> v1::FoundDocument {
    v1::FoundDocument {
        entry_id: Some(convert::entry_id(found.id)),
        leaf: Bytes::from(found.leaf),
        delivery: found.delivery.as_ref().map(convert::delivery),
    }
}

fn wanted(surroundings: &Surroundings, request: &v1::SearchRequest) -> Result<Wanted, Refusal> {
    let agency = |code: &str, field| named_agency(surroundings, code, field);
    let wanted = Wanted {
        consignment: set(&request.consignment_id).map(convert::consignment_id).transpose()?,
        document: text(&request.document_id, "document_id")?,
        number: text(&request.number, "number")?.map(|number| fold_spelling(&number)),
        dossier: set(&request.dossier_code)
            .map(|code| DossierCode::parse(code).ok_or_else(|| malformed("dossier_code")))
            .transpose()?,
        envelope: match &request.envelope_sha256 {
            digest if digest.is_empty() => None,
            digest => Some(Sha256::from_slice(digest).ok_or_else(|| malformed("envelope_sha256"))?),
        },
        sender: agency(&request.sender, "sender")?,
        recipient: agency(&request.recipient, "recipient")?,
        agency: agency(&request.agency, "agency")?,
        since: moment(request.since.as_ref(), "since")?,
        until: moment(request.until.as_ref(), "until")?,
        transport: request.transport().state(),
        business: convert::status(request.business_status()),
        accepted: match request.admission() {
            v1::Admission::Unspecified => None,
            v1::Admission::Accepted => Some(true),
            v1::Admission::Rejected => Some(false),
        },
    };
    if wanted.agency.is_some() && (wanted.sender.is_some() || wanted.recipient.is_some()) {
        return Err(malformed("agency"));
    }
    if wanted.since.zip(wanted.until).is_some_and(|(since, until)| since > until) {
        return Err(malformed("until"));
    }
    Ok(wanted)
}

fn malformed(field: &str) -> Refusal {
    Refusal::of_field(Reason::FieldMalformed, field)
}

/// The text, unless it is empty.
fn set(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn text(value: &str, field: &str) -> Result<Option<String>, Refusal> {
    let length = value.chars().count();
    if length > SEARCH_TEXT_LENGTH_MAX {
        let refusal = Refusal::of_field(Reason::FieldTooLong, field);
        return Err(refusal.with("length", length).with("limit", SEARCH_TEXT_LENGTH_MAX));
    }
    Ok(set(value).map(str::to_owned))
}

/// The agency in either notation; also one that the directory no longer has.
pub(super) fn named_agency(
    surroundings: &Surroundings,
    code: &str,
    field: &str,
) -> Result<Option<Code>, Refusal> {
    let Some(code) = set(code) else { return Ok(None) };
    let code = Code::parse(code).ok_or_else(|| malformed(field))?;
    let known = surroundings.directory.agency(&code).map(|agency| agency.code.clone());
    Ok(Some(known.unwrap_or(code)))
}

pub(super) fn moment(
    wire: Option<&prost_types::Timestamp>,
    field: &str,
) -> Result<Option<Time>, Refusal> {
    wire.map(|wire| convert::time(wire).ok_or_else(|| malformed(field))).transpose()
}
