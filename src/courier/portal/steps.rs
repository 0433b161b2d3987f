//! Steps that offices record in the gateway, as the portal is told of them: CapNhatTienDoHoSoMC, without
//! anybody's doing.
//!
//! The gateway gives notice of each step to the agency with which its dossier began, here the portal's.
//! Who of the office acted, and its notes, are not in a notice's entry and are not told.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code as Grpc, Status};

use super::call::within;
use super::journal::Journal;
use super::message::{Draft, Ready, Service, States};
use super::outbox::Observer;
use crate::clock::Time;
use crate::directory::Code;
use crate::document::DossierCode;
use crate::dossier::{Dossier, Step};
use crate::limits::{
    CALL_DEADLINE, MESSAGE_SIZE_MAX, POLL_WAIT_MAX, PORTAL_NAME_AGE_MAX, PORTAL_NAMES_MAX,
    PORTAL_RECEPTIONS_MAX, PORTAL_STEPS_AHEAD_MAX,
};
use crate::log::{Entry, EntryId, Event};
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;

/// A step of a dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Where it stands in the log.
    pub(super) place: EntryId,
    /// The dossier.
    pub(super) dossier: DossierCode,
    step: Step,
    /// The agency that took it, or that has the dossier if the gateway did.
    agency: Code,
    /// The agency whose place it took.
    closed: Option<Code>,
    at: Time,
}

/// An answer of the gateway.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What there is to tell.
    pub(super) told: Vec<Told>,
    /// The last entry of which it gave notice; none if it had no news.
    pub(super) last: Option<EntryId>,
}

/// What the gateway tells, and how far it is dealt with.
pub struct Steps {
    mailbox: MailboxServiceClient<Channel>,
    agency: Code,
    /// From where the gateway is to tell next.
    cursor: String,
    journal: Journal,
    /// Whether the journal says something that its file does not.
    is_news: bool,
    dossiers: DossierServiceClient<Channel>,
    directory: DirectoryServiceClient<Channel>,
    names: HashMap<Code, (String, Instant)>,
    /// Who received which dossier, if it began with our agency.
    receptions: HashMap<DossierCode, Option<Code>>,
    observer: Arc<dyn Observer>,
}

impl Steps {
    /// The steps in the notices of `agency` behind what the file at `path` says to be dealt with; without
    /// the file, all that the mailbox has. The `observer` is told of documents that were not taken.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn follow(
        channel: Channel,
        agency: Code,
        path: PathBuf,
        observer: Arc<dyn Observer>,
    ) -> std::io::Result<Self> {
        let journal = Journal::open(path)?;
        let mailbox = MailboxServiceClient::new(channel.clone());
        Ok(Self {
            mailbox: mailbox.max_decoding_message_size(MESSAGE_SIZE_MAX + 64 * 1024),
            agency,
            cursor: journal.cursor().to_owned(),
            journal,
            is_news: false,
            dossiers: DossierServiceClient::new(channel.clone()),
            directory: DirectoryServiceClient::new(channel),
            names: HashMap::new(),
            receptions: HashMap::new(),
            observer,
        })
    }

    /// Whether no more can be taken for now.
    pub(super) fn is_full(&self) -> bool {
        self.journal.left() >= PORTAL_STEPS_AHEAD_MAX
    }

    /// The next notices, when there are some; pending where no more can be taken for now. Nothing is lost
    /// where this is dropped before it is ready.
    ///
    /// # Errors
    /// The gateway's.
    pub(super) async fn next(&mut self) -> Result<Heard, Status> {
        if self.is_full() {
            std::future::pending::<()>().await;
        }
        self.ask(POLL_WAIT_MAX).await
    }

    /// The next notices, after this wait at most; none if there are none by then.
    ///
    /// # Errors
    /// The gateway's.
    pub(super) async fn ask(&mut self, wait: Duration) -> Result<Heard, Status> {
        let request = v1::ListNoticesRequest {
            agency: self.agency.to_string(),
            wait_seconds: i32::try_from(wait.as_secs()).unwrap_or(0),
            cursor: self.cursor.clone(),
            page_size: 0,
        };
        let asked = self.mailbox.list_notices(request);
        let page = within(CALL_DEADLINE + POLL_WAIT_MAX, asked).await?.into_inner();
        Ok(self.heard(page))
    }

    /// What there is to tell in an answer of the gateway.
    fn heard(&mut self, page: v1::ListNoticesResponse) -> Heard {
        self.cursor.clone_from(&page.cursor);
        let Some(last) = page.notices.last().and_then(|notice| place(notice.entry_id)) else {
            return Heard::default();
        };
        let until = self.journal.until();
        let is_new = |notice: &&v1::Notice| place(notice.entry_id).is_some_and(|id| id > until);
        let agency = self.agency.as_str();
        for notice in page.notices.iter().filter(is_new).filter(|one| is_returned(one, agency)) {
            let v1::Notice { consignment_id: consignment, recipient, event, .. } = notice;
            tracing::error!(
                consignment,
                recipient,
                event,
                "a document from the portal is not taken"
            );
            self.observer.returned();
            self.is_news = true;
        }
        let mut told: Vec<_> = page.notices.iter().filter_map(told).collect();
        let places: BTreeSet<_> = told.iter().map(|told| told.place).collect();
        let left = self.journal.told(places, last, page.cursor);
        told.retain(|told| left.contains(&told.place));
        Heard { told, last: Some(last) }
    }

    /// A step is dealt with, for good.
    pub(super) async fn dealt(&mut self, step: EntryId) {
        self.journal.deal(step);
        self.keep().await;
    }

    /// Writes what is worth it though no step is dealt with.
    pub(super) async fn tidy(&mut self) {
        if self.is_news {
            self.keep().await;
        }
    }

    async fn keep(&mut self) {
        self.is_news = false;
        // A step that is not noted is handed over again.
        if let Err(error) = self.journal.keep().await {
            tracing::error!(%error, "how far the steps are dealt with cannot be written");
        }
    }

    /// Who received the dossier of a step, if it began with our agency. Others may name our agency in a
    /// step of any dossier; the portal is not told of those.
    ///
    /// # Errors
    /// The gateway's.
    pub(super) async fn reception(&mut self, told: &Told) -> Result<Option<Code>, Status> {
        if told.step != Step::Succession
            && let Some(known) = self.receptions.get(&told.dossier)
        {
            return Ok(known.clone());
        }
        let found = self.dossier(&told.dossier).await?.dossier.unwrap_or_default();
        let is_ours = Code::parse(&found.origin).as_ref() == Some(&self.agency);
        let reception = Code::parse(&found.reception).filter(|_| is_ours);
        if self.receptions.len() >= PORTAL_RECEPTIONS_MAX {
            self.receptions.clear();
        }
        self.receptions.insert(told.dossier.clone(), reception.clone());
        Ok(reception)
    }

    /// A step as a message to the portal; none if it is no news for the citizen.
    ///
    /// # Errors
    /// The gateway's.
    pub(super) async fn message(&mut self, told: &Told) -> Result<Option<Ready>, Status> {
        let state = match told.step.transition().to {
            Some(state) => state,
            None => {
                let Some(before) = self.before(told).await? else {
                    return Err(Status::internal("a step before the first of its dossier"));
                };
                let had = |closed: &Code| [&before.reception, &before.holder].contains(&closed);
                if told.closed.as_ref().is_some_and(|closed| !had(closed)) {
                    return Ok(None);
                }
                before.state
            }
        };
        let data = serde_json::json!({
            "MaHoSo": told.dossier.as_str(),
            "NguoiXuLy": self.name(&told.agency).await?,
            "ThoiDiemXuLy": told.at.compact_in_vietnam(),
            "NoiDungXuLy": words(told.step).unwrap_or_default(),
            "TrangThai": state.number(),
        });
        let data = data.as_object().cloned().unwrap_or_default();
        let draft = Draft::of(Service::Step, &data, &States::default());
        let ready = draft.and_then(|draft| draft.ready(None));
        ready.map(Some).map_err(|wrong| Status::internal(wrong.to_string()))
    }

    /// The dossier as it stood before a step.
    async fn before(&mut self, told: &Told) -> Result<Option<Dossier>, Status> {
        let found = self.dossier(&told.dossier).await?;
        let mut before: Option<Dossier> = None;
        for receipt in found.steps.into_iter().filter_map(|step| step.receipt) {
            let Some(id) = place(receipt.entry_id) else { continue };
            let Ok(entry) = Entry::from_leaf(&receipt.leaf) else { continue };
            if id >= told.place {
                break;
            }
            before = match before {
                Some(dossier) => Some(dossier.after(id, &entry)),
                None => Dossier::begin(id, &entry),
            };
        }
        Ok(before)
    }

    async fn dossier(&mut self, dossier: &DossierCode) -> Result<v1::GetDossierResponse, Status> {
        let request = v1::GetDossierRequest { dossier_code: dossier.to_string() };
        Ok(within(CALL_DEADLINE, self.dossiers.get_dossier(request)).await?.into_inner())
    }

    /// The agency's name in the directory; its code if the directory has it no longer.
    async fn name(&mut self, agency: &Code) -> Result<String, Status> {
        let now = Instant::now();
        if let Some((name, until)) = self.names.get(agency)
            && now < *until
        {
            return Ok(name.clone());
        }
        let request = v1::GetAgencyRequest { code: agency.to_string(), date: None };
        let name = match within(CALL_DEADLINE, self.directory.get_agency(request)).await {
            Ok(found) => found.into_inner().agency.map(|agency| agency.name).unwrap_or_default(),
            Err(status) if status.code() == Grpc::NotFound => String::new(),
            Err(status) => return Err(status),
        };
        let name = if name.is_empty() { agency.to_string() } else { name };
        if self.names.len() >= PORTAL_NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(agency.clone(), (name.clone(), now + PORTAL_NAME_AGE_MAX));
        Ok(name)
    }
}

fn place(id: Option<v1::EntryId>) -> Option<EntryId> {
    id.map(|id| EntryId { epoch: id.epoch, index: id.index })
}

/// Whether a notice says that an office has not taken a document that `agency` sent, and will not.
fn is_returned(notice: &v1::Notice, agency: &str) -> bool {
    let event = Event::from_word(&notice.event);
    let is_end = matches!(
        event,
        Some(
            Event::ConsignmentRejection
                | Event::ContentHandoverFailure
                | Event::RelayRejection
                | Event::RelayFailure
        )
    );
    is_end && notice.recipient != agency
}

/// The step that a notice is about, if citizens are told of it.
fn told(notice: &v1::Notice) -> Option<Told> {
    let entry = Entry::from_leaf(&notice.leaf).ok()?;
    let step = Step::from_word(entry.reason.as_deref()?)?;
    let is_told = entry.event == Event::DossierStep && words(step).is_some();
    let (agency, closed) = match step {
        Step::Succession => (entry.to?, entry.from),
        _ => (entry.from?, None),
    };
    let (place, dossier) = (place(notice.entry_id)?, entry.dossier?);
    is_told.then_some(Told { place, dossier, step, agency, closed, at: entry.time })
}

/// A step in the citizen's words; none for what is not told.
fn words(step: Step) -> Option<&'static str> {
    Some(match step {
        Step::Registration => "Đăng ký hồ sơ",
        Step::Reception => "Tiếp nhận hồ sơ",
        Step::NonReception => "Không tiếp nhận hồ sơ",
        Step::Handover => "Chuyển hồ sơ",
        Step::Appraisal => "Thẩm định hồ sơ",
        Step::Approval => "Phê duyệt",
        Step::Sealing => "Đóng dấu kết quả",
        Step::SupplementRequest => "Yêu cầu bổ sung hồ sơ",
        Step::Supplement => "Đã nhận hồ sơ bổ sung",
        Step::PaymentRequest => "Yêu cầu thực hiện nghĩa vụ tài chính",
        Step::Payment => "Đã thực hiện nghĩa vụ tài chính",
        Step::Withdrawal => "Công dân rút hồ sơ",
        Step::Stop => "Dừng xử lý hồ sơ",
        Step::Completion => "Đã xử lý xong",
        Step::Return => "Đã trả kết quả",
        Step::OpinionRequest => "Lấy ý kiến cơ quan liên quan",
        Step::Opinion => "Cơ quan liên quan đã có ý kiến",
        Step::DeemedConsent => "Cơ quan liên quan không trả lời đúng hạn, được coi là đồng ý",
        Step::Apology => "Xin lỗi và hẹn lại ngày trả kết quả",
        Step::Succession => "Cơ quan kế thừa tiếp tục xử lý hồ sơ",
        // For offices only; and what the citizen said.
        Step::Reminder | Step::Overdue | Step::Feedback | Step::Satisfaction => return None,
    })
}
