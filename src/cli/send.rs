//! `vanthu send`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::Output;
use super::evidence::Keeping;
use super::exit::{Exit, Failure};
use crate::client;
use crate::clock::{Clock as _, SystemClock};
use crate::digest::{Hasher, Sha256, hex};
use crate::limits::CHUNK_SIZE;
use crate::log::EntryId;
use crate::proto::v1;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;

/// Documents up to this size go in one call.
const ONE_CALL_SIZE_MAX: u64 = 2 * 1024 * 1024;
/// Chunks read ahead of the network.
const CHUNKS_AHEAD: usize = 4;

/// Sends a document: the first file is the main part, the others are annexes.
///
/// Example: vanthu send --from H49.151 --to H49.11 --subject "Báo cáo" --cert certs/dev/systems/commune.pem bao-cao.pdf
#[derive(Debug, clap::Args)]
pub(super) struct SendOptions {
    #[command(flatten)]
    client: client::Options,
    /// Code of the sending agency
    #[arg(long)]
    from: String,
    /// Codes of receiving agencies
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    to: Vec<String>,
    /// Every agency below these codes
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    below: Vec<String>,
    /// Every member of these lists of the directory
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    list: Vec<String>,
    /// Abstract
    #[arg(long)]
    subject: String,
    /// Number
    #[arg(long, default_value = "")]
    number: String,
    /// Notation
    #[arg(long, default_value = "")]
    notation: String,
    /// Name of the kind of document
    #[arg(long, default_value = "Công văn")]
    kind: String,
    /// Identifier of the document; by default sender, date and number
    #[arg(long)]
    document_id: Option<String>,
    /// Dossier code
    #[arg(long, default_value = "")]
    dossier: String,
    /// Urgency
    #[arg(long, default_value = "normal", value_parser = ["normal", "urgent", "immediate", "flash"])]
    urgency: String,
    /// The document is a copy, not an original
    #[arg(long)]
    copy: bool,
    /// UUID of the request; give it again to retry
    #[arg(long)]
    request_id: Option<String>,
    /// Run every check and write nothing
    #[arg(long)]
    validate_only: bool,
    /// Save the receipt here
    #[arg(long)]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    keeping: Keeping,
    /// Files; one ending in .p7s signs the file that has its name without that ending
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) async fn run(options: SendOptions, output: Output) -> Result<Exit, Failure> {
    let envelope = envelope(&options)?;
    let request_id = options.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let bytes = Bytes::from(envelope.encode_to_vec());
    let channel = options.client.connect().await?;
    let size: u64 = envelope.parts.iter().map(|part| part.size).sum();
    let result = if size <= ONE_CALL_SIZE_MAX {
        send_at_once(channel, &options, request_id.clone(), bytes).await?
    } else {
        upload_and_submit(channel, &options, request_id.clone(), bytes, &envelope).await?
    };
    print(&result, &request_id, output);
    options.keeping.keep(result.receipt.as_ref())?;
    if let (Some(path), Some(receipt)) = (&options.receipt, &result.receipt) {
        let file = super::evidence::receipt_file(receipt)?;
        std::fs::write(path, file).map_err(|error| Failure::file(path, error))?;
    }
    Ok(Exit::Ok)
}

fn envelope(options: &SendOptions) -> Result<v1::Envelope, Failure> {
    let today = SystemClock.now().date_in_vietnam();
    let issue_date = v1::Date {
        year: today.year().into(),
        month: today.month().into(),
        day: today.day().into(),
    };
    let document_id = options.document_id.clone().unwrap_or_else(|| {
        let date = today.strftime("%Y/%m/%d");
        format!("{},{date},{}/{}", options.from, options.number, options.notation)
    });
    let urgency = match options.urgency.as_str() {
        "flash" => v1::Urgency::Flash,
        "immediate" => v1::Urgency::Immediate,
        "urgent" => v1::Urgency::Urgent,
        _ => v1::Urgency::Normal,
    };
    let parts: Result<Vec<_>, _> =
        options.files.iter().enumerate().map(|(index, path)| part(index, path)).collect();
    Ok(v1::Envelope {
        document_id,
        number: options.number.clone(),
        notation: options.notation.clone(),
        type_name: options.kind.clone(),
        subject: options.subject.clone(),
        issue_date: Some(issue_date),
        urgency: urgency.into(),
        secrecy: v1::Secrecy::None.into(),
        form: if options.copy { v1::Form::Copy } else { v1::Form::Original }.into(),
        sender: options.from.clone(),
        recipients: options.to.clone(),
        recipients_below: options.below.clone(),
        recipients_lists: options.list.clone(),
        dossier_code: options.dossier.clone(),
        parts: parts?,
        ..v1::Envelope::default()
    })
}

fn part(index: usize, path: &Path) -> Result<v1::Part, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let (size, digest) = digest_of(path)?;
    let signs = name.strip_suffix(".p7s").unwrap_or_default().to_owned();
    let role = match (index, signs.is_empty()) {
        (_, false) => v1::PartRole::Signature,
        (0, true) => v1::PartRole::Main,
        (_, true) => v1::PartRole::Annex,
    };
    let media_type = match path.extension().and_then(|extension| extension.to_str()) {
        Some("pdf") => "application/pdf",
        Some("p7s") => "application/pkcs7-signature",
        Some("zip") => "application/zip",
        Some("dvcqg") => crate::courier::portal::MEDIA_TYPE,
        _ => "application/octet-stream",
    };
    let sha256 = Bytes::copy_from_slice(&digest.0);
    Ok(v1::Part { name, media_type: media_type.into(), size, sha256, role: role.into(), signs })
}

fn digest_of(path: &Path) -> Result<(u64, Sha256), Failure> {
    let failed = |error| Failure::file(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut size) = (Hasher::default(), 0);
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        let count = file.read(&mut chunk).map_err(failed)?;
        if count == 0 {
            return Ok((size, hasher.finish()));
        }
        hasher.update(&chunk[..count]);
        size += count as u64;
    }
}

async fn send_at_once(
    channel: Channel,
    options: &SendOptions,
    request_id: String,
    envelope: Bytes,
) -> Result<v1::SubmissionResult, Failure> {
    let mut parts = Vec::with_capacity(options.files.len());
    for path in &options.files {
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, error))?;
        parts.push(Bytes::from(bytes));
    }
    let validate_only = options.validate_only;
    let request = v1::SubmitDocumentRequest { request_id, envelope, parts, validate_only };
    let response = SubmissionServiceClient::new(channel).submit_document(request).await?;
    Ok(response.into_inner().result.unwrap_or_default())
}

async fn upload_and_submit(
    channel: Channel,
    options: &SendOptions,
    request_id: String,
    envelope: Bytes,
    listed: &v1::Envelope,
) -> Result<v1::SubmissionResult, Failure> {
    let mut client = SubmissionServiceClient::new(channel);
    let announced = client.announce(v1::AnnounceRequest { envelope: envelope.clone() }).await?;
    for missing in announced.into_inner().missing {
        let index = listed.parts.iter().position(|part| part.name == missing.name);
        let path = index.and_then(|index| options.files.get(index));
        let path = path.ok_or_else(|| Failure::other("the gateway asks for an unknown part"))?;
        if missing.offset > 0 {
            eprintln!("resuming {} at {} of {} bytes", missing.name, missing.offset, missing.size);
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
        let reading = tokio::spawn(read_chunks(path.clone(), missing, sender));
        client.upload(ReceiverStream::new(receiver)).await?;
        reading.await.map_err(Failure::other)??;
    }
    let validate_only = options.validate_only;
    let request = v1::SubmitRequest { request_id, envelope, validate_only };
    Ok(client.submit(request).await?.into_inner().result.unwrap_or_default())
}

async fn read_chunks(
    path: PathBuf,
    missing: v1::MissingPart,
    sender: tokio::sync::mpsc::Sender<v1::UploadRequest>,
) -> Result<(), Failure> {
    use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
    let failed = |error| Failure::file(&path, error);
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    file.seek(std::io::SeekFrom::Start(missing.offset)).await.map_err(failed)?;
    let v1::MissingPart { sha256, size, offset, .. } = missing;
    let header = v1::UploadHeader { sha256, size, offset };
    let mut kind = v1::upload_request::Kind::Header(header);
    loop {
        if sender.send(v1::UploadRequest { kind: Some(kind) }).await.is_err() {
            // The call has ended; its status says why.
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK_SIZE];
        let count = file.read(&mut chunk).await.map_err(failed)?;
        if count == 0 {
            return Ok(());
        }
        chunk.truncate(count);
        kind = v1::upload_request::Kind::Chunk(Bytes::from(chunk));
    }
}

fn print(result: &v1::SubmissionResult, request_id: &str, output: Output) {
    let entry = result.receipt.as_ref().and_then(|receipt| receipt.entry_id);
    let entry = entry.map(|id| EntryId { epoch: id.epoch, index: id.index }.to_string());
    let verdict = result.verdict.clone().unwrap_or_default();
    let indication = super::trace::indication_word(verdict.indication());
    if output == Output::Json {
        let signatures: Vec<_> = verdict.signatures.iter().map(signature_json).collect();
        let value = json!({
            "consignment_id": result.consignment_id,
            "request_id": request_id,
            "entry_id": entry,
            "repeated": result.repeated,
            "recipient_count": result.recipient_count,
            "indication": indication,
            "legal_value": verdict.legal_value,
            "signatures": signatures,
            "warnings": result.warnings.iter().map(|warning| &warning.code).collect::<Vec<_>>(),
        });
        println!("{value}");
        return;
    }
    match &entry {
        None => println!("valid: {} recipients, nothing written", result.recipient_count),
        Some(entry) => println!(
            "accepted {} as entry {entry}{}",
            result.consignment_id,
            if result.repeated { " (this request was accepted before)" } else { "" }
        ),
    }
    if !result.repeated {
        println!("signatures {indication}, legal value {}", verdict.legal_value);
    }
    for warning in &result.warnings {
        eprintln!("vanthu: warning: {}: {}", warning.code, warning.message);
    }
}

fn signature_json(signature: &v1::SignatureFinding) -> serde_json::Value {
    json!({
        "part": signature.part,
        "format": signature.format,
        "indication": super::trace::indication_word(signature.indication()),
        "sub_indication": signature.sub_indication,
        "signer": signature.signer,
        "signer_sha256": hex(&signature.signer_sha256),
        "role": signature.signer_role,
    })
}
