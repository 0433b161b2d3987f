//! `vanthu trace` with conditions.

use serde_json::json;
use tonic::transport::Channel;

use super::Output;
use super::exit::{Exit, Failure};
use super::period::Period;
use super::trace::{entry_json, place, time, timeline, timeline_of};
use crate::delivery::Transport;
use crate::log::{Entry, Status};
use crate::proto::v1;
use crate::proto::v1::trace_request::Term;
use crate::proto::v1::trace_service_client::TraceServiceClient;

/// What documents must be.
#[derive(Debug, clap::Args)]
pub(super) struct Conditions {
    /// Sent by this agency
    #[arg(long, default_value = "")]
    sender: String,
    /// Consigned to this agency
    #[arg(long, default_value = "")]
    recipient: String,
    /// Sent by or consigned to this agency
    #[arg(long, default_value = "", conflicts_with_all = ["sender", "recipient"])]
    agency: String,
    #[command(flatten)]
    period: Period,
    /// With this business status now, at the recipient that is named or at any
    #[arg(long, value_parser = ["01", "02", "03", "04", "05", "06"])]
    status: Option<String>,
    /// With content that came so far
    #[arg(long, value_parser = [
        "consigned", "handed-over", "rejected", "relaying", "relayed", "relay-rejected", "redirected",
        "withdrawn",
    ])]
    transport: Option<String>,
    /// Only documents that the gateway took in charge, or only those that it did not
    #[arg(long, value_parser = ["accepted", "rejected"])]
    admission: Option<String>,
    /// Show the entries of each document, too
    #[arg(long)]
    timeline: bool,
    /// Stop after so many documents
    #[arg(long)]
    limit: Option<usize>,
}

impl Conditions {
    /// Whether nothing is asked for.
    pub(super) fn are_none(&self) -> bool {
        let Self { sender, recipient, agency, status, transport, admission, .. } = self;
        let agencies = sender.is_empty() && recipient.is_empty() && agency.is_empty();
        let states = status.is_none() && transport.is_none() && admission.is_none();
        agencies && states && self.period.is_open() && !self.timeline && self.limit.is_none()
    }

    fn request(&self, term: Option<Term>) -> Result<v1::SearchRequest, Failure> {
        let transport = match self.transport.as_deref() {
            None => v1::Transport::Unspecified,
            Some("consigned") => v1::Transport::Consigned,
            Some("handed-over") => v1::Transport::HandedOver,
            Some("relaying") => v1::Transport::Relaying,
            Some("relayed") => v1::Transport::Relayed,
            Some("relay-rejected") => v1::Transport::RelayRejected,
            Some("redirected") => v1::Transport::Redirected,
            Some("withdrawn") => v1::Transport::Withdrawn,
            Some(_) => v1::Transport::Rejected,
        };
        let status = self.status.as_deref().and_then(|code| code.parse().ok());
        let admission = match self.admission.as_deref() {
            None => v1::Admission::Unspecified,
            Some("accepted") => v1::Admission::Accepted,
            Some(_) => v1::Admission::Rejected,
        };
        let mut request = v1::SearchRequest {
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
            agency: self.agency.clone(),
            since: self.period.since()?,
            until: self.period.until()?,
            transport: transport.into(),
            // The codes are the numbers of the enumeration.
            business_status: status.unwrap_or_default(),
            admission: admission.into(),
            ..v1::SearchRequest::default()
        };
        match term {
            None => {}
            Some(Term::ConsignmentId(id)) => request.consignment_id = id,
            Some(Term::DocumentId(id)) => request.document_id = id,
            Some(Term::Number(number)) => request.number = number,
            Some(Term::DossierCode(code)) => request.dossier_code = code,
            Some(Term::EnvelopeSha256(digest)) => request.envelope_sha256 = digest,
        }
        Ok(request)
    }
}

pub(super) async fn run(
    client: &mut TraceServiceClient<Channel>,
    term: Option<Term>,
    conditions: &Conditions,
    output: Output,
) -> Result<Exit, Failure> {
    let mut request = conditions.request(term)?;
    let mut left = conditions.limit.unwrap_or(usize::MAX);
    loop {
        let page = client.search(request.clone()).await?.into_inner();
        for document in page.documents.iter().take(left) {
            let entries = match entry_of(document).and_then(|entry| entry.consignment) {
                Some(id) if conditions.timeline => {
                    timeline_of(client, Term::ConsignmentId(id.to_string())).await?
                }
                _ => Vec::new(),
            };
            print(document, &entries, conditions.timeline, output);
        }
        left = left.saturating_sub(page.documents.len());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || left == 0 {
            return Ok(Exit::Ok);
        }
    }
}

fn entry_of(document: &v1::FoundDocument) -> Option<Entry> {
    Entry::from_leaf(&document.leaf).ok()
}

fn print(
    document: &v1::FoundDocument,
    entries: &[v1::TracedEntry],
    with_timeline: bool,
    output: Output,
) {
    let id = place(document.entry_id);
    let Some(entry) = entry_of(document) else {
        println!("{id}: not an entry of this version");
        return;
    };
    let read = |traced: &v1::TracedEntry| {
        Some((place(traced.entry_id), Entry::from_leaf(&traced.leaf).ok()?))
    };
    let entries: Vec<_> = entries.iter().filter_map(read).collect();
    if output == Output::Json {
        let mut value = entry_json(&id, &entry);
        value["delivery"] = document.delivery.as_ref().map(delivery_json).into();
        if with_timeline {
            let of = |(id, entry): &(String, Entry)| entry_json(id, entry);
            value["timeline"] = entries.iter().map(of).collect();
        }
        println!("{value}");
        return;
    }
    let delivery = document.delivery.as_ref();
    let delivery = delivery.map(|it| format!("  → {} [{}]", it.recipient, status_code(it)));
    println!(
        "{id:>8}  {}  {}{}",
        timeline(&entry),
        entry.number.as_deref().or(entry.document.as_deref()).unwrap_or_default(),
        delivery.unwrap_or_default()
    );
    for (id, entry) in &entries {
        println!("          {id:>8}  {}", timeline(entry));
    }
}

/// The state at a recipient in one line.
pub(super) fn delivery_line(delivery: &v1::Delivery, output: Output) -> String {
    if output == Output::Json {
        return delivery_json(delivery).to_string();
    }
    let order = delivery.order.as_ref().map(|order| match (order.answer_entry, order.agreed) {
        (None, _) => ", asked (13)",
        (Some(_), true) => ", agreed (15)",
        (Some(_), false) => ", declined (16)",
    });
    let (status, transport) = (status_code(delivery), transport_word(delivery).unwrap_or_default());
    format!("  → {} [{status}] {transport}{}", delivery.recipient, order.unwrap_or_default())
}

fn transport_word(delivery: &v1::Delivery) -> Option<&'static str> {
    let state = delivery.transport().state()?;
    Transport::WORDS.iter().find(|(_, known)| *known == state).map(|(word, _)| *word)
}

fn delivery_json(delivery: &v1::Delivery) -> serde_json::Value {
    let order = delivery.order.as_ref().map(|order| {
        let kind = order.kind().as_str_name().trim_start_matches("ORDER_KIND_");
        json!({
            "kind": kind,
            "by": order.by,
            "entry": place(order.entry),
            "answer_entry": place(order.answer_entry),
            "agreed": order.agreed,
        })
    });
    json!({
        "recipient": delivery.recipient,
        "addressed": delivery.addressed,
        "via": delivery.via,
        "order": order,
        "transport": transport_word(delivery),
        "status": status_code(delivery),
        "consigned_entry": place(delivery.consigned_entry),
        "latest_entry": place(delivery.latest_entry),
        "changed_at": delivery.change_time.map(time),
    })
}

fn status_code(delivery: &v1::Delivery) -> &'static str {
    let number = usize::try_from(delivery.business_status).unwrap_or(0);
    let known = number.checked_sub(1).and_then(|index| Status::CODES.get(index));
    known.map_or("", |(code, _)| code)
}
