//! Messages from the portal, on their way into the gateway: each becomes a document of the portal's
//! agency, submitted under a name that follows from its content, so that it is one document however
//! often it comes.
//!
//! What the portal has said of a dossier is read back from the documents that the gateway keeps; what
//! is held here only saves reading them again. So a restart changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tonic::transport::Channel;
use tonic::{Code as Grpc, Status};
use tonic_types::StatusExt as _;

use super::answer::SYSTEM;
use super::call::{fetch, message_part, reason, within};
use super::client::QUESTIONS;
use super::desk::{Denial, REFUSED, denied};
use super::inbound::Said;
use super::message::{Draft, Ready, Service, States};
use crate::clock::Clock;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::DossierCode;
use crate::limits::{
    CALL_DEADLINE, MESSAGE_SIZE_MAX, PAGE_SIZE_MAX, PORTAL_DOSSIER_MESSAGES_MAX,
    PORTAL_DOSSIERS_REMEMBERED_MAX, PORTAL_MESSAGE_SIZE_MAX, PORTAL_REMEMBERED_SIZE_MAX,
};
use crate::log::Entry;
use crate::proto::v1;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;
use crate::proto::v1::trace_service_client::TraceServiceClient;
use crate::refusal::Reason;

/// Dossiers that share one lock; messages of one dossier are taken one after the other.
const SHELVES: usize = 64;
/// Kind of the documents, for the clerk.
const KIND: &str = "Thông điệp của Cổng Dịch vụ công quốc gia";
/// Name of their only part.
const PART_NAME: &str = "ho-so.dvcqg";

/// What is remembered of some dossiers.
type Shelf = HashMap<DossierCode, Said>;

/// The way into the gateway.
pub struct Intake {
    channel: Channel,
    agency: Code,
    offices: BTreeMap<String, Code>,
    clock: Arc<dyn Clock>,
    shelves: Vec<Mutex<Shelf>>,
}

impl Intake {
    /// Documents are those of `agency`, the portal's. They go to the agency whose code the dossier
    /// begins with, or, where `offices` has its DonViXuLy, to that one.
    pub fn new(
        channel: Channel,
        agency: Code,
        offices: BTreeMap<String, Code>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shelves = (0..SHELVES).map(|_| Mutex::default()).collect();
        Self { channel, agency, offices, clock, shelves }
    }

    /// Takes a message: when this returns, the gateway has it for good. Otherwise the portal is told why not
    /// yet, or why never.
    pub(super) async fn take(&self, dossier: &DossierCode, message: &Ready) -> Result<(), Denial> {
        let mut shelf = self.shelf(dossier).lock().await;
        let said = self.said(&mut shelf, dossier).await?;
        let to = self.office(dossier, &said, message);
        let begins = message.service() == Service::Dossier && message.text("TrangThaiHoSo") == "1";
        if said.knows(message) {
            return if begins { self.register(dossier, message, &to).await } else { Ok(()) };
        }
        if said.count() >= PORTAL_DOSSIER_MESSAGES_MAX {
            let words = "MaHoSo: quá nhiều thông điệp / MaHoSo: too many messages about it";
            return Err(denied(words));
        }
        let subject = subject(dossier, message, said.overtook(message));
        let document = self.document(Some(dossier), message.written(), &to, subject);
        self.announce(&document).await?;
        if begins {
            // Before the office has the document and can begin the dossier itself: who began it is told
            // of its steps.
            self.register(dossier, message, &to).await?;
        }
        // Until it is known to be there, nothing of the dossier is.
        shelf.remove(dossier);
        self.submit(document).await?;
        remember(&mut shelf, dossier, said.join(Said::of(message)));
        Ok(())
    }

    /// What TraCuuHoSo answers.
    pub(super) async fn find(&self, dossier: &DossierCode) -> Result<Option<Value>, Denial> {
        let mut shelf = self.shelf(dossier).lock().await;
        Ok(self.said(&mut shelf, dossier).await?.found(dossier.as_str()))
    }

    fn shelf(&self, dossier: &DossierCode) -> &Mutex<Shelf> {
        let digest = Sha256::of(dossier.as_str().as_bytes());
        &self.shelves[usize::from(digest.0[0]) % SHELVES]
    }

    /// What the portal has said of a dossier, if need be from the gateway.
    async fn said(
        &self,
        shelf: &mut MutexGuard<'_, Shelf>,
        dossier: &DossierCode,
    ) -> Result<Said, Denial> {
        if let Some(said) = shelf.get(dossier) {
            return Ok(said.clone());
        }
        let said = self.read_back(dossier).await.map_err(|status| not_yet(&status))?;
        remember(shelf, dossier, said.clone());
        Ok(said)
    }

    async fn read_back(&self, dossier: &DossierCode) -> Result<Said, Status> {
        let (mut said, mut page_token) = (Said::default(), String::new());
        loop {
            let request = v1::SearchRequest {
                dossier_code: dossier.to_string(),
                sender: self.agency.to_string(),
                admission: v1::Admission::Accepted.into(),
                page_size: i32::try_from(PAGE_SIZE_MAX).unwrap_or(0),
                page_token,
                ..v1::SearchRequest::default()
            };
            let mut trace = TraceServiceClient::new(self.channel.clone())
                .max_decoding_message_size(MESSAGE_SIZE_MAX + 64 * 1024);
            let page = match within(CALL_DEADLINE, trace.search(request)).await {
                Err(status) if reason(&status).as_deref() == Some(Reason::NothingFound.code()) => {
                    return Ok(said);
                }
                page => page?.into_inner(),
            };
            for document in &page.documents {
                let entry = Entry::from_leaf(&document.leaf);
                let Some(consignment) = entry.ok().and_then(|entry| entry.consignment) else {
                    continue;
                };
                said = said.join(self.reread(dossier, &consignment.to_string()).await?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(said);
            }
        }
    }

    /// What one document of the portal's agency says.
    async fn reread(&self, dossier: &DossierCode, consignment: &str) -> Result<Said, Status> {
        let mut mailbox = MailboxServiceClient::new(self.channel.clone());
        let agency = self.agency.as_str();
        let Some(part) = message_part(&mut mailbox, agency, consignment).await? else {
            return Ok(Said::default());
        };
        let Some(digest) = Sha256::from_slice(&part.sha256) else { return Ok(Said::default()) };
        if part.size > PORTAL_MESSAGE_SIZE_MAX {
            return Ok(Said::seen(digest));
        }
        let bytes = match fetch(&mut mailbox, agency, consignment, &part).await {
            Err(status) if reason(&status).as_deref() == Some(Reason::ContentErased.code()) => {
                return Ok(Said::seen(digest));
            }
            fetched => fetched?,
        };
        let draft = Draft::parse(&bytes, dossier.as_str(), &States::default());
        let ready = draft.and_then(|draft| draft.ready(None));
        Ok(ready.map_or_else(|_| Said::seen(digest), |ready| Said::of(&ready)))
    }

    /// To which agency a message goes. One that names no office goes where the newest record says.
    fn office(&self, dossier: &DossierCode, said: &Said, message: &Ready) -> Code {
        let named = match message.service() {
            Service::Dossier => Some(message.text("DonViXuLy")),
            Service::Step | Service::Status | Service::Answer => said.office(),
        };
        let office = named.and_then(|office| self.offices.get(office));
        office.cloned().unwrap_or_else(|| dossier.agency())
    }

    /// Takes a citizen's question, as it stands, to an office.
    pub(super) async fn ask(&self, question: &Map<String, Value>, to: &Code) -> Result<(), Denial> {
        let text = |name: &str| question.get(name).and_then(Value::as_str).unwrap_or_default();
        let to = self.offices.get(text("DonViXuLy")).unwrap_or(to);
        let dossier = DossierCode::parse(text("MaHoSo"));
        let content = json!({ "service": QUESTIONS, "data": question }).to_string().into_bytes();
        let subject = "Cổng gửi câu hỏi của công dân".to_owned();
        let document = self.document(dossier.as_ref(), content, to, subject);
        self.announce(&document).await?;
        self.submit(document).await
    }

    /// A message as a document.
    fn document(
        &self,
        dossier: Option<&DossierCode>,
        content: Vec<u8>,
        to: &Code,
        subject: String,
    ) -> v1::SubmitDocumentRequest {
        let digest = Sha256::of(&content);
        let request_id = name_of(&digest);
        let today = self.clock.now().date_in_vietnam();
        let part = v1::Part {
            name: PART_NAME.to_owned(),
            media_type: super::MEDIA_TYPE.to_owned(),
            size: content.len() as u64,
            sha256: Bytes::copy_from_slice(&digest.0),
            role: v1::PartRole::Main.into(),
            signs: String::new(),
        };
        let envelope = v1::Envelope {
            document_id: format!("{},DVCQG,{request_id}", self.agency),
            type_name: KIND.to_owned(),
            subject,
            issue_date: Some(v1::Date {
                year: today.year().into(),
                month: today.month().into(),
                day: today.day().into(),
            }),
            urgency: v1::Urgency::Normal.into(),
            secrecy: v1::Secrecy::None.into(),
            form: v1::Form::Original.into(),
            sender: self.agency.to_string(),
            recipients: vec![to.to_string()],
            dossier_code: dossier.map(DossierCode::to_string).unwrap_or_default(),
            parts: vec![part],
            ..v1::Envelope::default()
        };
        let (envelope, parts) = (envelope.encode_to_vec().into(), vec![content.into()]);
        v1::SubmitDocumentRequest { request_id, envelope, parts, validate_only: false }
    }

    /// Finds out whether a document would be refused for its addressee: it would come again and again, and
    /// each time be an entry of the log.
    async fn announce(&self, document: &v1::SubmitDocumentRequest) -> Result<(), Denial> {
        let request = v1::AnnounceRequest { envelope: document.envelope.clone() };
        let mut submission = SubmissionServiceClient::new(self.channel.clone());
        let announced = within(CALL_DEADLINE, submission.announce(request)).await;
        announced.map(drop).map_err(|status| refused(&status))
    }

    /// Sends a document on, unless its message was sent before.
    async fn submit(&self, document: v1::SubmitDocumentRequest) -> Result<(), Denial> {
        let mut submission = SubmissionServiceClient::new(self.channel.clone());
        match within(CALL_DEADLINE, submission.submit_document(document)).await {
            Ok(_) => {
                tracing::info!("taken from the portal");
                Ok(())
            }
            // The same message under another envelope: it was taken on another day, or when other
            // things were known.
            Err(status) if reason(&status).as_deref() == Some(Reason::RequestIdReused.code()) => {
                Ok(())
            }
            Err(status) => Err(refused(&status)),
        }
    }

    /// Records that the citizen sent the dossier in. Who the citizen is, is not committed to: whoever
    /// commits has to keep the salt, and that is the office's to do when it receives the dossier. Where the
    /// office is closed and one other has taken its place, that one receives it.
    async fn register(
        &self,
        dossier: &DossierCode,
        message: &Ready,
        to: &Code,
    ) -> Result<(), Denial> {
        let mut request = v1::RecordStepRequest {
            request_id: name_of(&Sha256::of(format!("REGISTRATION {dossier}").as_bytes())),
            agency: self.agency.to_string(),
            dossier_code: dossier.to_string(),
            step: v1::DossierStep::Registration.into(),
            to: to.to_string(),
            procedure_code: message.text("MaTTHC").to_owned(),
            ..v1::RecordStepRequest::default()
        };
        let mut dossiers = DossierServiceClient::new(self.channel.clone());
        let mut answered = within(CALL_DEADLINE, dossiers.record_step(request.clone())).await;
        if let Some(successor) = answered.as_ref().err().and_then(successor) {
            request.to = successor;
            answered = within(CALL_DEADLINE, dossiers.record_step(request)).await;
        }
        match answered {
            Ok(_) => Ok(()),
            // Registered already, or the office has begun it, or its code or procedure cannot be
            // recorded; the office has the document and says what comes next.
            Err(status) if is_settled(status.code()) => {
                let reason = reason(&status).unwrap_or_default();
                tracing::info!(reason, "not registered");
                Ok(())
            }
            Err(status) => Err(not_yet(&status)),
        }
    }
}

/// Puts what is known of a dossier on its shelf, unless that alone would be too much for it.
fn remember(shelf: &mut Shelf, dossier: &DossierCode, said: Said) {
    let room = PORTAL_REMEMBERED_SIZE_MAX / SHELVES;
    if said.size() > room {
        return;
    }
    let size: usize = shelf.values().map(Said::size).sum();
    if shelf.len() >= PORTAL_DOSSIERS_REMEMBERED_MAX / SHELVES || size + said.size() > room {
        shelf.clear();
    }
    shelf.insert(dossier.clone(), said);
}

/// A UUID of version 8 that follows from a digest: the request is the same for ever.
fn name_of(digest: &Sha256) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// What the clerk reads in the list: the dossier, the state, and whether something newer was there
/// before. Nothing of the citizen's.
fn subject(dossier: &DossierCode, message: &Ready, newer: Option<&str>) -> String {
    let (what, state) = match message.service() {
        Service::Dossier => ("hồ sơ", message.text("TrangThaiHoSo")),
        Service::Step => ("tiến độ", message.text("TrangThai")),
        Service::Status | Service::Answer => ("trạng thái", message.text("TrangThai")),
    };
    let late = newer.map(|moment| {
        let read = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", moment);
        let shown = read.map(|moment| moment.strftime("%d/%m/%Y %H:%M:%S").to_string());
        format!(" (đến muộn: đã có tin mới hơn, lúc {})", shown.unwrap_or_default())
    });
    format!("Cổng gửi {what} {dossier}, trạng thái {state}{}", late.unwrap_or_default())
}

/// The gateway has decided, and decides the same the next time.
fn is_settled(code: Grpc) -> bool {
    matches!(
        code,
        Grpc::InvalidArgument | Grpc::NotFound | Grpc::FailedPrecondition | Grpc::AlreadyExists
    )
}

/// The one agency that has taken the place of a closed one.
fn successor(status: &Status) -> Option<String> {
    let info = status.get_details_error_info();
    let info = info.filter(|info| info.reason == Reason::AgencyClosed.code())?;
    let successors = info.metadata.get("successors")?;
    (!successors.is_empty() && !successors.contains(',')).then(|| successors.clone())
}

/// Why the gateway does not take a document: as it is, never, or not yet.
fn refused(status: &Status) -> Denial {
    let (code, words) = not_yet(status);
    let Some(reason) = reason(status) else { return (code, words) };
    let is_final =
        matches!(status.code(), Grpc::InvalidArgument | Grpc::NotFound | Grpc::FailedPrecondition);
    // Our clock, or what the directory says of the portal's own agency: nothing in the record mends that.
    let ours = [Reason::DateInFuture, Reason::SenderClosed, Reason::SenderUnknown];
    let is_ours = ours.iter().any(|ours| reason == ours.code());
    (if is_final && !is_ours { REFUSED } else { code }, words)
}

/// In words for the portal's operators: later, the same may succeed.
fn not_yet(status: &Status) -> Denial {
    tracing::warn!(code = ?status.code(), reason = reason(status), "not taken from the portal");
    let vietnamese = status.get_details_localized_message().map(|words| words.message);
    let vietnamese = vietnamese.unwrap_or_else(|| "hệ thống tiếp nhận tạm ngừng".to_owned());
    let english = match reason(status) {
        Some(reason) => format!("{reason}: {}", status.message()),
        None => "the gateway cannot be reached now".to_owned(),
    };
    (SYSTEM, format!("{vietnamese} / {english}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_name_for_ever_and_another_has_another() {
        let named = |moment: &str| {
            let data = json!({
                "MaHoSo": "H49.151-20261128-0001", "NguoiXuLy": "A", "ThoiDiemXuLy": moment,
                "NoiDungXuLy": "x", "TrangThai": 4,
            });
            let data = data.as_object().expect("a record");
            let draft = Draft::of(Service::Step, data, &States::default()).expect("a record");
            name_of(&draft.ready(None).expect("everything is there").digest())
        };
        let name = named("20261128090000");
        // The same moment in another spelling.
        assert_eq!(named("2026-11-28T02:00:00Z"), name);
        assert_ne!(named("20261128090001"), name);
        assert_eq!(name.parse::<uuid::Uuid>().map(|name| name.get_version_num()), Ok(8));
    }
    #[test]
    fn a_shelf_has_room_for_so_many_bytes_and_forgets_rather_than_grows() {
        let said = |number: usize, size: usize| {
            let data = json!({
                "MaHoSo": "H49.151-20261128-0001", "NguoiXuLy": number, "ThoiDiemXuLy": "20261128090000",
                "NoiDungXuLy": "x".repeat(size), "TrangThai": 4,
            });
            let draft =
                Draft::of(Service::Step, data.as_object().expect("a record"), &States::default());
            Said::of(&draft.and_then(|draft| draft.ready(None)).expect("everything is there"))
        };
        let code = |number: usize| DossierCode::parse(&format!("H49.151-20261128-{number:04}"));
        let (room, large) = (PORTAL_REMEMBERED_SIZE_MAX / SHELVES, 200 * 1024);
        let mut shelf = Shelf::default();
        for number in 0..100 {
            let code = code(number).expect("a code");
            remember(&mut shelf, &code, said(number, large));
            assert!(shelf.contains_key(&code));
            assert!(shelf.values().map(Said::size).sum::<usize>() <= room);
            assert!(shelf.len() <= PORTAL_DOSSIERS_REMEMBERED_MAX / SHELVES);
        }
        // What is too large by itself takes no other's place.
        let whole = (0..=room / large).map(|number| said(number, large));
        let whole = whole.fold(Said::default(), Said::join);
        let code = code(100).expect("a code");
        let before = shelf.len();
        remember(&mut shelf, &code, whole);
        assert!(!shelf.contains_key(&code) && shelf.len() == before);
    }
}
