//! What happens in the demonstration. Every scene checks what it shows.

use std::path::PathBuf;

use prost::Message as _;
use tonic::transport::Channel;

use super::super::trace::timeline;
use super::country::Country;
use super::{paper, say};
use crate::cli::Failure;
use crate::digest::{Hasher, Sha256};
use crate::evidence;
use crate::log::Entry;
use crate::proto::v1;
use crate::proto::v1::evidence_service_client::EvidenceServiceClient;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::proto::v1::trace_request::Term;
use crate::proto::v1::trace_service_client::TraceServiceClient;
use crate::proto::v1::watch_response::Event;
use crate::service::part_infos;

/// How long the demonstration waits for something that must come.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A report from commune to department: sent, watched, fetched, acknowledged, finished.
pub(super) async fn letter(country: &Country) -> Result<String, Failure> {
    let subject = "Báo cáo công tác quản lý đất đai tháng 11";
    let lines = ["Kính gửi: Sở Nông nghiệp và Môi trường tỉnh Quảng Ninh.", subject];
    let pdf = paper::signed(country, "H49.151", subject, &lines)?;
    paper::keep(country, "letter.pdf", &pdf)?;
    let envelope = country.envelope("H49.151", &["H49.11"], "12/UBND-KT", subject);
    let parts = vec![("bao-cao.pdf".into(), v1::PartRole::Main, pdf)];
    let result = country.submit("commune", envelope, parts).await?;
    let verdict = result.verdict.clone().unwrap_or_default();
    say(&format!(
        "commune H49.151 → H49.11: {} signatures, legal value {}",
        verdict.signatures.len(),
        verdict.legal_value
    ));
    must(verdict.legal_value == "ORIGINAL", "the letter is an original")?;
    let entry = prove(country, result.receipt.as_ref())?;
    say(&format!("receipt: entry {entry}, inclusion proven under the signed checkpoint"));

    let mut department = country.mailbox("province").await?;
    let item = next_item(&mut department, "H49.11").await?;
    must(item.consignment_id == result.consignment_id, "the department is handed the letter")?;
    say(&format!("department is handed {} with a lease", item.number));
    let size = fetch(&mut department, "H49.11", &item.consignment_id).await?;
    say(&format!("fetched {size} bytes, SHA-256 as announced"));
    let request = v1::AcknowledgeRequest {
        agency: "H49.11".into(),
        consignment_id: item.consignment_id.clone(),
        lease_token: item.lease_token,
    };
    let receipt = department.acknowledge(request).await?.into_inner().receipt;
    say(&format!("acknowledged (03 đã tiếp nhận), entry {}", prove(country, receipt.as_ref())?));
    for status in [v1::BusinessStatus::InProgress, v1::BusinessStatus::Finished] {
        let request = v1::ReportStatusRequest {
            agency: "H49.11".into(),
            consignment_id: item.consignment_id.clone(),
            status: status.into(),
            note: "đã cập nhật hồ sơ địa chính".into(),
        };
        department.report_status(request).await?;
    }
    let mut commune = country.mailbox("commune").await?;
    let notices = notices(&mut commune, "H49.151", 3).await?;
    say(&format!("the commune is told: {}", notices.join(", ")));
    Ok(result.consignment_id)
}

/// A circular to every agency below the province; the district's office returns it.
pub(super) async fn circular(country: &Country) -> Result<(), Failure> {
    let subject = "Công điện về ứng phó với mưa lũ";
    let pdf = paper::signed(country, "H49", subject, &[subject])?;
    let mut envelope = country.envelope("H49", &[], "07/CĐ-UBND", subject);
    envelope.recipients_below = vec!["H49".into()];
    envelope.urgency = v1::Urgency::Flash.into();
    let parts = vec![("cong-dien.pdf".into(), v1::PartRole::Main, pdf)];
    let result = country.submit("province", envelope, parts).await?;
    say(&format!(
        "H49 → all below it: {} mailboxes, one batch, content stored once",
        result.recipient_count
    ));
    let mut district = country.mailbox("district").await?;
    let item = next_item(&mut district, "H49.11.3").await?;
    let request = v1::RefuseRequest {
        agency: "H49.11.3".into(),
        consignment_id: item.consignment_id.clone(),
        lease_token: item.lease_token,
        reason: "không thuộc phạm vi của chi nhánh".into(),
    };
    district.refuse(request).await?;
    let mut province = country.mailbox("province").await?;
    let told = notices(&mut province, "H49", 1).await?;
    say(&format!("the land office returns it (02), the province is told: {}", told.join(", ")));
    Ok(())
}

/// One byte of a signed letter is changed on the way.
pub(super) async fn tampered(country: &Country) -> Result<(), Failure> {
    let subject = "Quyết định về việc bổ nhiệm";
    let mut pdf = paper::signed(country, "H49.151", subject, &[subject])?;
    let at = pdf.windows(9).position(|window| window == b"endstream").unwrap_or(200);
    if let Some(byte) = at.checked_sub(20).and_then(|at| pdf.get_mut(at)) {
        *byte ^= 1;
    }
    paper::keep(country, "tampered.pdf", &pdf)?;
    let envelope = country.envelope("H49.151", &["H49"], "13/QĐ-UBND", subject);
    let parts = vec![("quyet-dinh.pdf".into(), v1::PartRole::Main, pdf)];
    let Err(status) = country.submit("commune", envelope, parts).await else {
        return Err(Failure::other("the tampered letter was accepted"));
    };
    let info = tonic_types::StatusExt::get_details_error_info(&status);
    let info = info.ok_or_else(|| Failure::other("the refusal has no ErrorInfo"))?;
    let value = |name: &str| info.metadata.get(name).cloned().unwrap_or_default();
    must(info.reason == "SIGNATURE_FAILED", "the tampered letter is refused")?;
    say(&format!("{}: {}/{}", info.reason, value("indication"), value("sub_indication")));
    say(&format!("because {} ({})", value("message"), value("code")));
    say(&format!("recorded as entry {}", value("log_entry")));
    Ok(())
}

/// What the auditor sees of a consignment.
pub(super) async fn consignment(country: &Country, consignment: &str) -> Result<(), Failure> {
    say(&format!("consignment {consignment}"));
    print_trace(country, Term::ConsignmentId(consignment.to_owned())).await
}

/// What the auditor sees of a dossier.
pub(super) async fn dossier(country: &Country, dossier: &str) -> Result<(), Failure> {
    say(&format!("dossier {dossier}"));
    print_trace(country, Term::DossierCode(dossier.to_owned())).await
}

async fn print_trace(country: &Country, term: Term) -> Result<(), Failure> {
    let mut auditor = TraceServiceClient::new(country.connect("auditor").await?);
    let request = v1::TraceRequest { term: Some(term), page_size: 0, page_token: String::new() };
    for traced in auditor.trace(request).await?.into_inner().entries {
        let entry = Entry::from_leaf(&traced.leaf).map_err(Failure::other)?;
        let id = traced.entry_id.unwrap_or_default();
        say(&format!("  {}/{:<3} {}", id.epoch, id.index, timeline(&entry)));
    }
    Ok(())
}

/// Fetches the evidence and verifies it with the public key alone.
pub(super) async fn evidence(country: &Country, consignment: &str) -> Result<PathBuf, Failure> {
    let mut auditor = EvidenceServiceClient::new(country.connect("auditor").await?);
    let request = v1::GetEvidenceRequest {
        consignment_id: consignment.to_owned(),
        recipient: String::new(),
        include_parts: true,
    };
    let mut chunks = auditor.get_evidence(request).await?.into_inner();
    let mut file = Vec::new();
    while let Some(message) = chunks.message().await? {
        file.extend_from_slice(&message.chunk);
    }
    paper::keep(country, "letter.evidence.zip", &file)?;
    let keys = [country.public_key()];
    let verified = evidence::verify(&file, &keys, &part_infos).map_err(Failure::other)?;
    say(&format!("{} bytes; trusted: {}", file.len(), country.public_key()));
    for statement in &verified.statements {
        say(&format!("proven: {}", statement.english));
    }
    let mut bent = file.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    let Err(broken) = evidence::verify(&bent, &keys, &part_infos) else {
        return Err(Failure::other("bent evidence was believed"));
    };
    say(&format!("the same file with one bit flipped: {broken}"));
    Ok(country.folder().join("letter.evidence.zip"))
}

pub(super) fn prove(country: &Country, wire: Option<&v1::Receipt>) -> Result<String, Failure> {
    let file = crate::cli::evidence::receipt_file(wire.unwrap_or(&v1::Receipt::default()))?;
    let receipt = evidence::Receipt::read(file.as_bytes()).map_err(Failure::other)?;
    Ok(receipt.verify(&country.public_key()).map_err(Failure::other)?.id().to_string())
}

pub(super) async fn next_item(
    mailbox: &mut MailboxServiceClient<Channel>,
    agency: &str,
) -> Result<v1::Item, Failure> {
    let request = v1::WatchRequest { agency: agency.into(), cursor: String::new() };
    let mut events = mailbox.watch(request).await?.into_inner();
    loop {
        let next = tokio::time::timeout(PATIENCE, events.message()).await;
        match next.map_err(|_| Failure::other("nothing came into the mailbox"))?? {
            Some(v1::WatchResponse { event: Some(Event::Item(item)), .. }) => return Ok(item),
            Some(_) => {}
            None => return Err(Failure::other("the watch ended early")),
        }
    }
}

async fn notices(
    mailbox: &mut MailboxServiceClient<Channel>,
    agency: &str,
    count: usize,
) -> Result<Vec<String>, Failure> {
    let request = v1::WatchRequest { agency: agency.into(), cursor: String::new() };
    let mut events = mailbox.watch(request).await?.into_inner();
    let mut told = Vec::new();
    while told.len() < count {
        let next = tokio::time::timeout(PATIENCE, events.message()).await;
        let message = next.map_err(|_| Failure::other("no notice came"))??;
        let message = message.ok_or_else(|| Failure::other("the watch ended early"))?;
        // Notices of the way to the recipient come in between.
        if let Some(Event::Notice(notice)) = message.event
            && notice.status != 0
        {
            let status = notice.status().as_str_name().trim_start_matches("BUSINESS_STATUS_");
            let note = if notice.note.is_empty() {
                String::new()
            } else {
                format!(" “{}”", notice.note)
            };
            told.push(format!("{} {}{note}", notice.recipient, status.to_lowercase()));
        }
    }
    Ok(told)
}

async fn fetch(
    mailbox: &mut MailboxServiceClient<Channel>,
    agency: &str,
    consignment: &str,
) -> Result<u64, Failure> {
    let request =
        v1::GetDocumentRequest { agency: agency.into(), consignment_id: consignment.into() };
    let document = mailbox.get_document(request).await?.into_inner();
    let envelope = v1::Envelope::decode(&document.envelope[..]).map_err(Failure::other)?;
    let mut size = 0;
    for part in envelope.parts {
        let request = v1::FetchPartRequest {
            agency: agency.into(),
            consignment_id: consignment.into(),
            part_name: part.name,
            offset: 0,
            length: 0,
        };
        let mut chunks = mailbox.fetch_part(request).await?.into_inner();
        let mut hasher = Hasher::default();
        while let Some(message) = chunks.message().await? {
            hasher.update(&message.chunk);
            size += message.chunk.len() as u64;
        }
        let listed = Sha256::from_slice(&part.sha256);
        must(listed == Some(hasher.finish()), "the part has the announced digest")?;
    }
    Ok(size)
}

pub(super) fn must(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::other(format!("not shown: {what}"))) }
}
