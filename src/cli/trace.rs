//! `vanthu trace`.

use serde_json::json;
use tonic::transport::Channel;

use super::Output;
use super::exit::{Exit, Failure};
use super::search::{self, Conditions};
use crate::client;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::document::{ConsignmentId, DossierCode};
use crate::log::{Entry, EntryId, ServiceKind, Status};
use crate::proto::v1;
use crate::proto::v1::trace_request::Term;
use crate::proto::v1::trace_service_client::TraceServiceClient;

/// Shows what happened to a document, or looks for documents.
///
/// A word alone shows every entry about that document. With conditions, or a number in any
/// spelling, each document that fits is a line; --timeline adds its entries.
///
/// Examples:
///   vanthu trace 019ab2c3-7d2b-7000-8000-000000000001
///   vanthu trace 5/qd-ubnd --sender H49 --from 2026-11-01 --to 2026-11-30
///   vanthu trace --recipient H49.11 --status 05 --timeline
#[derive(Debug, clap::Args)]
pub(super) struct TraceOptions {
    #[command(flatten)]
    client: client::Options,
    /// Consignment id, dossier code, document identifier, envelope's SHA-256, or number and notation
    what: Option<String>,
    /// What the words are, if it cannot be seen from them
    #[arg(long, requires = "what", value_parser = ["consignment", "document", "number", "dossier", "digest"])]
    by: Option<String>,
    #[command(flatten)]
    conditions: Conditions,
}

pub(super) async fn run(options: TraceOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = TraceServiceClient::new(options.client.connect().await?);
    let term = options.what.map(|what| term(what, options.by.as_deref())).transpose()?;
    match term {
        Some(term) if options.conditions.are_none() => {
            for traced in timeline_of(&mut client, term).await? {
                print(&traced, output);
            }
            Ok(Exit::Ok)
        }
        term => search::run(&mut client, term, &options.conditions, output).await,
    }
}

fn term(what: String, by: Option<&str>) -> Result<Term, Failure> {
    let by = by.unwrap_or_else(|| kind_of(&what));
    Ok(match by {
        "consignment" => Term::ConsignmentId(what),
        "dossier" => Term::DossierCode(what),
        "number" => Term::Number(what),
        "digest" => {
            let digest: Result<Sha256, _> = what.parse();
            let digest =
                digest.map_err(|_| Failure::other("not a SHA-256 in 64 lower-case digits"))?;
            Term::EnvelopeSha256(digest.0.to_vec().into())
        }
        _ => Term::DocumentId(what),
    })
}

/// Every entry that is found under a term.
pub(super) async fn timeline_of(
    client: &mut TraceServiceClient<Channel>,
    term: Term,
) -> Result<Vec<v1::TracedEntry>, Failure> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::TraceRequest { term: Some(term.clone()), page_size: 0, page_token };
        let page = client.trace(request).await?.into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(entries);
        }
    }
}

fn kind_of(what: &str) -> &'static str {
    if ConsignmentId::parse(what).is_some() {
        "consignment"
    } else if DossierCode::parse(what).is_some() {
        "dossier"
    } else if what.parse::<Sha256>().is_ok() {
        "digest"
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
        "service": entry.service.as_ref().map(ToString::to_string),
        "since": entry.since.map(|time| time.to_string()),
        "addressed": entry.addressed.as_ref().map(|code| code.as_str()),
        "by": entry.by.map(|id| id.to_string()),
        "procedure_code": entry.procedure,
        "applicant": entry.applicant.map(|digest| digest.to_string()),
        "due": entry.due.map(|time| time.to_string()),
        "rule": entry.rule,
        "grade": entry.grade.map(|grade| grade.to_string()),
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
    let to = match &entry.addressed {
        Some(addressed) => format!("{to} (addressed {addressed})"),
        None => to,
    };
    let route = if to.is_empty() { from } else { format!("{from} → {to}") };
    // The hop: to which gateway it goes, or which one brought or told it.
    let hop = entry.service.as_ref().filter(|service| service.kind() == ServiceKind::Gateway);
    let hop = hop.map(|service| format!(" via {}", service.name())).unwrap_or_default();
    let status = entry.status.map(|status| format!(" [{}]", status.code())).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    format!(
        "{}  {:<21} {route}{hop}{status}{reason}{verdict}  by {}",
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
