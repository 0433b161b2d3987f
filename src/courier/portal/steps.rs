//! Steps that offices record in the gateway, as the portal is told of them: CapNhatTienDoHoSoMC, without
//! anybody's doing.
//!
//! The gateway gives notice of each step to the agency with which its dossier began, here the portal's.
//! Who of the office acted, and its notes, are not in a notice's entry and are not told.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Code as Grpc, Status};

use super::call::within;
use super::journal::Journal;
use super::message::{Draft, Ready, Service, States};
use super::outbox::is_final;
use crate::clock::Time;
use crate::directory::Code;
use crate::document::DossierCode;
use crate::dossier::{State, Step};
use crate::limits::{
    CALL_DEADLINE, MESSAGE_SIZE_MAX, POLL_WAIT_MAX, PORTAL_NAME_AGE_MAX, PORTAL_NAMES_MAX,
    PORTAL_STEPS_AHEAD_MAX,
};
use crate::log::{Entry, EntryId, Event};
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;

/// An answer of the gateway, or why there will be none any more.
type News = Result<v1::ListNoticesResponse, Status>;

/// Answers of the gateway that are read ahead.
const PAGES_AHEAD: usize = 1;

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
    at: Time,
}

/// What the gateway tells, and how far it is dealt with.
pub struct Steps {
    news: mpsc::Receiver<News>,
    journal: Journal,
    dossiers: DossierServiceClient<Channel>,
    directory: DirectoryServiceClient<Channel>,
    names: HashMap<Code, (String, Instant)>,
}

impl Steps {
    /// The steps in the notices of `agency` behind what the file at `path` says to be dealt with; without
    /// the file, all that the mailbox has. After a failure the gateway is left alone for the `pause`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn follow(
        channel: Channel,
        agency: String,
        path: PathBuf,
        pause: Duration,
    ) -> std::io::Result<Self> {
        let journal = Journal::open(path)?;
        let (sender, news) = mpsc::channel(PAGES_AHEAD);
        let mailbox = MailboxServiceClient::new(channel.clone());
        let request = v1::ListNoticesRequest {
            agency,
            wait_seconds: i32::try_from(POLL_WAIT_MAX.as_secs()).unwrap_or(0),
            cursor: journal.cursor().to_owned(),
            page_size: 0,
        };
        tokio::spawn(listen(mailbox, request, pause, sender));
        let dossiers = DossierServiceClient::new(channel.clone());
        let directory = DirectoryServiceClient::new(channel);
        Ok(Self { news, journal, dossiers, directory, names: HashMap::new() })
    }

    /// The next steps, when there are some; pending where no more can be taken for now.
    ///
    /// # Errors
    /// The gateway tells nothing any more.
    pub(super) async fn next(&mut self) -> Result<Vec<Told>, Status> {
        loop {
            if self.journal.left() >= PORTAL_STEPS_AHEAD_MAX {
                std::future::pending::<()>().await;
            }
            let ended = || Err(Status::unauthenticated("the notices have ended"));
            let page = self.news.recv().await.unwrap_or_else(ended)?;
            let told = self.told(page).await;
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }

    /// The next steps, if some are there already.
    ///
    /// # Errors
    /// The gateway tells nothing any more.
    pub(super) async fn ready_now(&mut self) -> Result<Vec<Told>, Status> {
        if self.journal.left() >= PORTAL_STEPS_AHEAD_MAX {
            return Ok(Vec::new());
        }
        match self.news.try_recv() {
            Ok(page) => Ok(self.told(page?).await),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// What there is to tell in an answer of the gateway.
    async fn told(&mut self, page: v1::ListNoticesResponse) -> Vec<Told> {
        let Some(last) = page.notices.last().and_then(|notice| place(notice.entry_id)) else {
            return Vec::new();
        };
        let mut told: Vec<_> = page.notices.iter().filter_map(told).collect();
        let places: BTreeSet<_> = told.iter().map(|told| told.place).collect();
        let left = self.journal.told(places, last, page.cursor);
        told.retain(|told| left.contains(&told.place));
        if told.is_empty() {
            self.keep().await;
        }
        told
    }

    /// A step is dealt with, for good.
    pub(super) async fn dealt(&mut self, step: EntryId) {
        self.journal.deal(step);
        self.keep().await;
    }

    async fn keep(&self) {
        // A step that is not noted is handed over again.
        if let Err(error) = self.journal.keep().await {
            tracing::error!(%error, "how far the steps are dealt with cannot be written");
        }
    }

    /// A step as a message to the portal.
    ///
    /// # Errors
    /// The gateway's.
    pub(super) async fn message(&mut self, told: &Told) -> Result<Ready, Status> {
        let state = match told.step.transition().to {
            Some(state) => state,
            None => self.state_after(told).await?,
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
        ready.map_err(|wrong| Status::internal(wrong.to_string()))
    }

    /// The state after a step that changes none: what the steps before it made of it.
    async fn state_after(&mut self, told: &Told) -> Result<State, Status> {
        let request = v1::GetDossierRequest { dossier_code: told.dossier.to_string() };
        let found = within(CALL_DEADLINE, self.dossiers.get_dossier(request)).await?.into_inner();
        let mut state = State::Registered;
        for receipt in found.steps.into_iter().filter_map(|step| step.receipt) {
            if place(receipt.entry_id).is_some_and(|place| place > told.place) {
                break;
            }
            let entry = Entry::from_leaf(&receipt.leaf).ok();
            let step = entry.and_then(|entry| Step::from_word(entry.reason.as_deref()?));
            state = step.and_then(|step| step.transition().to).unwrap_or(state);
        }
        Ok(state)
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

/// Asks for notices until nobody takes them, or the gateway says that it never will.
async fn listen(
    mailbox: MailboxServiceClient<Channel>,
    mut request: v1::ListNoticesRequest,
    pause: Duration,
    sender: mpsc::Sender<News>,
) {
    let mut mailbox = mailbox.max_decoding_message_size(MESSAGE_SIZE_MAX + 64 * 1024);
    loop {
        let asked = mailbox.list_notices(request.clone());
        match within(CALL_DEADLINE + POLL_WAIT_MAX, asked).await {
            Ok(page) => {
                let page = page.into_inner();
                request.cursor.clone_from(&page.cursor);
                if !page.notices.is_empty() && sender.send(Ok(page)).await.is_err() {
                    return;
                }
            }
            Err(status) if is_final(status.code()) => {
                let _gone = sender.send(Err(status)).await;
                return;
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), "the gateway cannot be asked for notices");
                sleep(pause).await;
            }
        }
    }
}

fn place(id: Option<v1::EntryId>) -> Option<EntryId> {
    id.map(|id| EntryId { epoch: id.epoch, index: id.index })
}

/// The step that a notice is about, if citizens are told of it.
fn told(notice: &v1::Notice) -> Option<Told> {
    let entry = Entry::from_leaf(&notice.leaf).ok()?;
    let step = Step::from_word(entry.reason.as_deref()?)?;
    let is_told = entry.event == Event::DossierStep && words(step).is_some();
    Some(Told {
        place: place(notice.entry_id)?,
        dossier: entry.dossier?,
        step,
        agency: entry.from?,
        at: entry.time,
    })
    .filter(|_| is_told)
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
