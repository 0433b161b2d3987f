//! `vanthu inbox`, `get`, `ack`, `refuse`, `status`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use prost::Message as _;
use serde_json::{Value, json};

use super::Output;
use super::evidence::Keeping;
use super::exit::{Exit, Failure};
use super::trace::{place, time};
use crate::client;
use crate::digest::{Hasher, Sha256};
use crate::proto::v1;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::proto::v1::watch_response::Event;

/// Who is asking, for which agency.
#[derive(Debug, clap::Args)]
pub(super) struct Desk {
    #[command(flatten)]
    pub(super) client: client::Options,
    /// Code of the agency
    #[arg(long, env = "VANTHU_AGENCY")]
    pub(super) agency: String,
}

impl Desk {
    pub(super) async fn open(
        &self,
    ) -> Result<MailboxServiceClient<tonic::transport::Channel>, Failure> {
        let channel = self.client.connect().await?;
        let client = MailboxServiceClient::new(channel);
        Ok(client.max_decoding_message_size(client::message_size_max()))
    }
}

/// What an agency does with a consignment, and where the receipt is kept.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    #[command(flatten)]
    pub(super) keeping: Keeping,
    #[command(flatten)]
    pub(super) desk: Desk,
    /// The consignment
    pub(super) consignment: String,
}

/// Lists what waits; with --follow, stays and shows what comes, notices included.
#[derive(Debug, clap::Args)]
pub(super) struct InboxOptions {
    #[command(flatten)]
    desk: Desk,
    /// Stay and show what comes
    #[arg(long)]
    follow: bool,
    /// Where to go on, with --follow
    #[arg(long, default_value = "")]
    cursor: String,
}

/// Saves the envelope and every part, each checked against its SHA-256.
#[derive(Debug, clap::Args)]
pub(super) struct GetOptions {
    #[command(flatten)]
    desk: Desk,
    /// The consignment
    consignment: String,
    /// Folder to write to
    #[arg(long, short, default_value = ".")]
    out: PathBuf,
}

/// Takes a document over.
#[derive(Debug, clap::Args)]
pub(super) struct AckOptions {
    #[command(flatten)]
    about: About,
    /// Token of the lease, if it was watched
    #[arg(long, default_value = "")]
    lease: String,
}

/// Returns a document.
#[derive(Debug, clap::Args)]
pub(super) struct RefuseOptions {
    #[command(flatten)]
    about: About,
    /// Why
    #[arg(long)]
    reason: String,
    /// Token of the lease, if it was watched
    #[arg(long, default_value = "")]
    lease: String,
}

/// Reports a business status.
#[derive(Debug, clap::Args)]
pub(super) struct StatusOptions {
    #[command(flatten)]
    about: About,
    /// The status
    #[arg(value_parser = ["01", "04", "05", "06"])]
    status: String,
    /// Words for the sender
    #[arg(long, default_value = "")]
    note: String,
}

pub(super) async fn inbox(options: InboxOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.desk.open().await?;
    let agency = options.desk.agency.clone();
    if options.follow {
        let request = v1::WatchRequest { agency, cursor: options.cursor };
        let mut events = client.watch(request).await?.into_inner();
        while let Some(message) = events.message().await? {
            print_event(&message, output);
        }
        return Ok(Exit::Ok);
    }
    let mut page_token = String::new();
    loop {
        let agency = agency.clone();
        let request =
            v1::ListItemsRequest { agency, page_token, ..v1::ListItemsRequest::default() };
        let page = client.list_items(request).await?.into_inner();
        for item in &page.items {
            print_item(item, None, output);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

fn print_event(message: &v1::WatchResponse, output: Output) {
    match &message.event {
        Some(Event::Item(item)) => print_item(item, Some(&message.cursor), output),
        Some(Event::Notice(notice)) => print_notice(notice, &message.cursor, output),
        Some(Event::Heartbeat(_)) | None => {}
    }
    // A reader behind a pipe wants each event at once.
    let _closed = std::io::stdout().flush();
}

fn print_item(item: &v1::Item, cursor: Option<&str>, output: Output) {
    let urgency = item.urgency().as_str_name().trim_start_matches("URGENCY_").to_lowercase();
    let entry = place(item.entry_id);
    if output == Output::Json {
        let value = json!({
            "event": "item",
            "consignment_id": item.consignment_id,
            "entry_id": entry,
            "urgency": urgency,
            "sender": item.sender,
            "document_id": item.document_id,
            "number": item.number,
            "dossier_code": item.dossier_code,
            "indication": item.indication,
            "legal_value": item.legal_value,
            "accept_time": item.accept_time.map(time),
            "lease_token": item.lease_token,
            "attempt": item.attempt,
            "cursor": cursor,
        });
        println!("{value}");
        return;
    }
    println!(
        "{} {urgency:<9} from {:<10} {} {} {}",
        item.consignment_id, item.sender, item.number, item.indication, item.legal_value
    );
}

fn print_notice(notice: &v1::Notice, cursor: &str, output: Output) {
    let status =
        notice.status().as_str_name().trim_start_matches("BUSINESS_STATUS_").to_lowercase();
    if output == Output::Json {
        let value = json!({
            "event": "notice",
            "consignment_id": notice.consignment_id,
            "entry_id": place(notice.entry_id),
            "recipient": notice.recipient,
            "what": notice.event,
            "status": status,
            "note": notice.note,
            "time": notice.time.map(time),
            "cursor": cursor,
        });
        println!("{value}");
        return;
    }
    let what = if notice.status == 0 { &notice.event } else { &status };
    println!("{} {what} by {} {}", notice.consignment_id, notice.recipient, notice.note);
}

pub(super) async fn get(options: GetOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.desk.open().await?;
    let (agency, consignment_id) = (options.desk.agency.clone(), options.consignment.clone());
    let request =
        v1::GetDocumentRequest { agency: agency.clone(), consignment_id: consignment_id.clone() };
    let document = client.get_document(request).await?.into_inner();
    let envelope = v1::Envelope::decode(&document.envelope[..]).map_err(Failure::other)?;
    std::fs::create_dir_all(&options.out).map_err(|error| Failure::file(&options.out, error))?;
    let mut saved = vec![
        save(&options.out, "envelope.bin", &document.envelope)?,
        save(&options.out, "verdict.json", &document.verdict_report)?,
    ];
    for part in envelope.parts {
        let path = options.out.join(safe_name(&part.name)?);
        let request = v1::FetchPartRequest {
            agency: agency.clone(),
            consignment_id: consignment_id.clone(),
            part_name: part.name.clone(),
            offset: 0,
            length: 0,
        };
        let mut chunks = client.fetch_part(request).await?.into_inner();
        let failed = |error| Failure::file(&path, error);
        let mut file = std::fs::File::create(&path).map_err(failed)?;
        let mut hasher = Hasher::default();
        while let Some(message) = chunks.message().await? {
            hasher.update(&message.chunk);
            file.write_all(&message.chunk).map_err(failed)?;
        }
        if Sha256::from_slice(&part.sha256) != Some(hasher.finish()) {
            let message = format!("{}: the bytes do not have the listed SHA-256", part.name);
            return Err(Failure::new(Exit::VerificationFailed, message));
        }
        saved.push(path);
    }
    for path in saved {
        match output {
            Output::Json => println!("{}", json!({ "file": path.display().to_string() })),
            Output::Text => println!("{}", path.display()),
        }
    }
    Ok(Exit::Ok)
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(|error| Failure::file(&path, error))?;
    Ok(path)
}

/// The gateway lets no path through; a client does not rely on that.
fn safe_name(name: &str) -> Result<&str, Failure> {
    let unsafe_name = name.contains(['/', '\\']) || matches!(name, "" | "." | "..");
    if unsafe_name { Err(Failure::other(format!("unsafe part name {name:?}"))) } else { Ok(name) }
}

pub(super) async fn acknowledge(options: AckOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.about.desk.open().await?;
    let request = v1::AcknowledgeRequest {
        agency: options.about.desk.agency.clone(),
        consignment_id: options.about.consignment,
        lease_token: options.lease,
    };
    let response = client.acknowledge(request).await?.into_inner();
    options.about.keeping.keep(response.receipt.as_ref())?;
    print_answer("acknowledged", response.receipt.as_ref(), response.repeated, output);
    Ok(Exit::Ok)
}

pub(super) async fn refuse(options: RefuseOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.about.desk.open().await?;
    let request = v1::RefuseRequest {
        agency: options.about.desk.agency.clone(),
        consignment_id: options.about.consignment,
        lease_token: options.lease,
        reason: options.reason,
    };
    let response = client.refuse(request).await?.into_inner();
    options.about.keeping.keep(response.receipt.as_ref())?;
    print_answer("refused", response.receipt.as_ref(), response.repeated, output);
    Ok(Exit::Ok)
}

pub(super) async fn status(options: StatusOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.about.desk.open().await?;
    let status = match options.status.as_str() {
        "01" => v1::BusinessStatus::Arrived,
        "04" => v1::BusinessStatus::Assigned,
        "05" => v1::BusinessStatus::InProgress,
        _ => v1::BusinessStatus::Finished,
    };
    let request = v1::ReportStatusRequest {
        agency: options.about.desk.agency.clone(),
        consignment_id: options.about.consignment,
        status: status.into(),
        note: options.note,
    };
    let response = client.report_status(request).await?.into_inner();
    options.about.keeping.keep(response.receipt.as_ref())?;
    print_answer("reported", response.receipt.as_ref(), false, output);
    Ok(Exit::Ok)
}

/// What was done, and where the log says so.
pub(super) fn print_answer(
    what: &str,
    receipt: Option<&v1::Receipt>,
    repeated: bool,
    output: Output,
) {
    let entry = place(receipt.and_then(|receipt| receipt.entry_id));
    if output == Output::Json {
        let value: Value = json!({ "result": what, "entry_id": entry, "repeated": repeated });
        println!("{value}");
        return;
    }
    let before = if repeated { " before" } else { "" };
    println!("{what}{before}, entry {entry}");
}
