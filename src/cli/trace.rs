//! `vanthu trace`.

use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use crate::client;
use crate::clock::Time;
use crate::document::{ConsignmentId, DossierCode};
use crate::log::{Entry, EntryId, Status};
use crate::proto::v1;
use crate::proto::v1::trace_request::Term;
use crate::proto::v1::trace_service_client::TraceServiceClient;

/// Shows what happened to a document: by consignment, identifier, number or dossier code.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    client: client::Options,
    /// Consignment id, dossier code, document identifier, or number and notation
    what: String,
    /// What the words are, if it cannot be seen from them
    #[arg(long, value_parser = ["consignment", "document", "number", "dossier"])]
    by: Option<String>,
}

pub(super) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    let mut client = TraceServiceClient::new(options.client.connect().await?);
    let what = options.what;
    let by = options.by.as_deref().unwrap_or_else(|| kind_of(&what));
    let term = match by {
        "consignment" => Term::ConsignmentId(what),
        "dossier" => Term::DossierCode(what),
        "number" => Term::Number(what),
        _ => Term::DocumentId(what),
    };
    let mut page_token = String::new();
    loop {
        let request = v1::TraceRequest { term: Some(term.clone()), page_size: 0, page_token };
        let page = client.trace(request).await?.into_inner();
        for traced in &page.entries {
            print(traced, output);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

fn kind_of(what: &str) -> &'static str {
    if ConsignmentId::parse(what).is_some() {
        "consignment"
    } else if DossierCode::parse(what).is_some() {
        "dossier"
    } else if what.contains(',') {
        "document"
    } else {
        "number"
    }
}

fn print(traced: &v1::TracedEntry, output: Output) {
    let id = place(traced.entry_id);
    let Ok(entry) = Entry::from_leaf(&traced.leaf) else {
        println!("{id}: not an entry of this version");
        return;
    };
    if output == Output::Json {
        println!("{}", entry_json(&id, &entry));
    } else {
        println!("{id:>8}  {}", timeline(&entry));
    }
}

/// An entry as JSON; a field that the event does not have is null.
pub(super) fn entry_json(id: &str, entry: &Entry) -> serde_json::Value {
    let verdict = entry.verdict.as_ref();
    json!({
        "entry_id": id,
        "event": entry.event.word(),
        "time": entry.time.to_string(),
        "system": entry.actor.system.as_str(),
        "certificate": entry.actor.certificate.to_string(),
        "consignment_id": entry.consignment.map(|id| id.to_string()),
        "from": entry.from.as_ref().map(|code| code.as_str()),
        "to": entry.to.as_ref().map(|code| code.as_str()),
        "envelope": entry.envelope.map(|digest| digest.to_string()),
        "document_id": entry.document,
        "number": entry.number,
        "dossier_code": entry.dossier.as_ref().map(DossierCode::as_str),
        "indication": verdict.map(|verdict| &verdict.indication),
        "legal_value": verdict.map(|verdict| &verdict.legal_value),
        "status": entry.status.map(Status::code),
        "reason": entry.reason,
    })
}

/// An entry as one line for people, in Vietnam's time.
pub(super) fn timeline(entry: &Entry) -> String {
    let code = |code: &Option<crate::directory::Code>| {
        code.as_ref().map(|code| code.to_string()).unwrap_or_default()
    };
    let (from, to) = (code(&entry.from), code(&entry.to));
    let verdict = entry.verdict.as_ref();
    let verdict = verdict.map(|v| format!(", {} {}", v.indication, v.legal_value));
    let verdict = verdict.unwrap_or_default();
    let route = if to.is_empty() { from } else { format!("{from} → {to}") };
    let status = entry.status.map(|status| format!(" [{}]", status.code())).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!(
        "{}  {:<21} {route}{status}{reason}{verdict}  by {}",
        entry.time.in_vietnam(),
        entry.event.word(),
        entry.actor.system
    )
}

/// `epoch/index`; empty if unset.
pub(super) fn place(id: Option<v1::EntryId>) -> String {
    id.map(|id| EntryId { epoch: id.epoch, index: id.index }.to_string()).unwrap_or_default()
}

/// RFC 3339.
pub(super) fn time(wire: prost_types::Timestamp) -> String {
    let millis = wire.seconds.saturating_mul(1000) + i64::from(wire.nanos) / 1_000_000;
    Time::from_millis(millis).to_string()
}

/// The word of EN 319 102-1.
pub(super) fn indication_word(indication: v1::Indication) -> &'static str {
    match indication {
        v1::Indication::Unspecified => "UNSIGNED",
        v1::Indication::TotalPassed => "TOTAL-PASSED",
        v1::Indication::Indeterminate => "INDETERMINATE",
        v1::Indication::TotalFailed => "TOTAL-FAILED",
    }
}
