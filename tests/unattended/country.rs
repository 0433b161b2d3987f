//! A gateway of its own in this process, behind mTLS, with a clock that the test moves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tonic::transport::Channel;
use vanthu::clock::{Clock as _, ManualClock, SystemClock, Time};
use vanthu::config::Config;
use vanthu::log::{Entry, Event};
use vanthu::proto::v1;
use vanthu::proto::v1::evidence_service_client::EvidenceServiceClient;
use vanthu::proto::v1::log_service_client::LogServiceClient;
use vanthu::proto::v1::mailbox_service_client::MailboxServiceClient;
use vanthu::proto::v1::submission_service_client::SubmissionServiceClient;
use vanthu::proto::v1::trace_service_client::TraceServiceClient;
use vanthu::proto::v1::watch_response::Event as Message;
use vanthu::server::{self, Running};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for deadlines to be looked at three times.
pub const QUIET: Duration = Duration::from_secs(3);

pub struct Country {
    folder: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    running: Option<Running>,
}

impl Country {
    /// A country whose gateway runs with these lines more in its configuration.
    pub async fn found(more: &str) -> Self {
        let mut country = Self::prepared();
        country.configure(more);
        country.start().await;
        country
    }

    /// A country whose gateway does not run yet.
    pub fn prepared() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new(env!("CARGO_BIN_EXE_vanthu"))
            .args(["certs", "dev", "--p256", "--out"])
            .arg(folder.path())
            .output()
            .expect("runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        Self { folder, clock, running: None }
    }

    /// Adds lines to the configuration.
    pub fn configure(&self, more: &str) {
        let path = self.file("vanthu.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        std::fs::write(&path, format!("{text}\n{more}")).expect("written");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The gateway's name.
    pub fn name(&self) -> String {
        Config::read(&self.file("vanthu.toml")).expect("a configuration").name
    }

    pub async fn start(&mut self) {
        let mut config = Config::read(&self.file("vanthu.toml")).expect("a configuration");
        for address in [&mut config.listen, &mut config.operations] {
            address.set_port(0);
        }
        let running = server::start_at(config, self.clock.clone(), false).await.expect("it serves");
        self.running = Some(running);
    }

    /// Where the log is read, and watched for others.
    pub fn readers(&self) -> SocketAddr {
        self.running.as_ref().and_then(|running| running.readers).expect("it has readers")
    }

    /// Has the gateway read directory and trust anew.
    pub async fn reload(&self) {
        self.running.as_ref().expect("it runs").reload().await.expect("sound material");
    }

    pub async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await.expect("it stops");
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn channel(&self, system: &str) -> Channel {
        let address = self.running.as_ref().expect("it runs").address;
        let pem = |name: &str| std::fs::read(self.file(name)).expect("a PEM file");
        let (cert, key) =
            (pem(&format!("systems/{system}.pem")), pem(&format!("systems/{system}.key")));
        let server = format!("https://localhost:{}", address.port());
        vanthu::client::connect(&server, &pem("tls/ca.pem"), &cert, &key).await.expect("connected")
    }

    pub async fn mailbox(&self, system: &str) -> MailboxServiceClient<Channel> {
        MailboxServiceClient::new(self.channel(system).await)
    }

    /// Sends an unsigned paper from the commune; gives the consignment and when it was accepted.
    pub async fn send(
        &self,
        number: u32,
        recipients: &[&str],
        urgency: v1::Urgency,
    ) -> (String, Time) {
        let body = Bytes::from(format!("paper {number}"));
        let part = ("paper.txt", "text/plain", body);
        let result = self.submit(number, recipients, urgency, part).await;
        (result.consignment_id, self.clock.now())
    }

    /// Sends a PDF as the original of the commune, to the province.
    pub async fn send_pdf(&self, number: u32, pdf: Vec<u8>) -> v1::SubmissionResult {
        let part = ("paper.pdf", "application/pdf", pdf.into());
        self.submit(number, &["H49"], v1::Urgency::Normal, part).await
    }

    async fn submit(
        &self,
        number: u32,
        recipients: &[&str],
        urgency: v1::Urgency,
        (name, media_type, body): (&str, &str, Bytes),
    ) -> v1::SubmissionResult {
        let today = self.clock.now().date_in_vietnam();
        let envelope = v1::Envelope {
            document_id: format!("H49.151,{},{number}/UBND", today.strftime("%Y/%m/%d")),
            number: number.to_string(),
            notation: "UBND".into(),
            type_name: "Công văn".into(),
            subject: "Một văn bản".into(),
            issue_date: Some(v1::Date {
                year: today.year().into(),
                month: today.month().into(),
                day: today.day().into(),
            }),
            urgency: urgency.into(),
            secrecy: v1::Secrecy::None.into(),
            form: v1::Form::Original.into(),
            sender: "H49.151".into(),
            recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
            parts: vec![v1::Part {
                name: name.into(),
                media_type: media_type.into(),
                size: body.len() as u64,
                sha256: Bytes::copy_from_slice(&vanthu::digest::Sha256::of(&body).0),
                role: v1::PartRole::Main.into(),
                signs: String::new(),
            }],
            ..v1::Envelope::default()
        };
        let request = v1::SubmitDocumentRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            envelope: vanthu::service::envelope_bytes(&envelope).into(),
            parts: vec![body],
            validate_only: false,
        };
        let mut desk = SubmissionServiceClient::new(self.channel("commune").await);
        let response = desk.submit_document(request).await.expect("accepted").into_inner();
        response.result.expect("a result")
    }

    /// Watches until an item comes; gives it.
    pub async fn watch(&self, system: &str, agency: &str) -> v1::Item {
        let mut mailbox = self.mailbox(system).await;
        let request = v1::WatchRequest { agency: agency.into(), cursor: String::new() };
        let mut events = mailbox.watch(request).await.expect("watched").into_inner();
        loop {
            let next = tokio::time::timeout(PATIENCE, events.message()).await;
            let next = next.expect("something comes").expect("no error").expect("no end");
            if let Some(Message::Item(item)) = next.event {
                return item;
            }
        }
    }

    /// What the sender was told, in order: event and recipient.
    pub async fn told(&self, count: usize) -> Vec<(String, String)> {
        let mut mailbox = self.mailbox("commune").await;
        let request = v1::WatchRequest { agency: "H49.151".into(), cursor: String::new() };
        let mut events = mailbox.watch(request).await.expect("watched").into_inner();
        let mut told = Vec::new();
        while told.len() < count {
            let next = tokio::time::timeout(PATIENCE, events.message()).await;
            let next = next.expect("something comes").expect("no error").expect("no end");
            if let Some(Message::Notice(notice)) = next.event {
                told.push((notice.event, notice.recipient));
            }
        }
        told
    }

    /// Reads the paper as a recipient.
    pub async fn fetch(&self, system: &str, agency: &str, consignment: &str) {
        let request = v1::FetchPartRequest {
            agency: agency.into(),
            consignment_id: consignment.into(),
            part_name: "paper.txt".into(),
            offset: 0,
            length: 0,
        };
        let mut mailbox = self.mailbox(system).await;
        let mut chunks = mailbox.fetch_part(request).await.expect("fetched").into_inner();
        while chunks.message().await.expect("bytes").is_some() {}
    }

    pub async fn acknowledge(&self, system: &str, agency: &str, consignment: &str) {
        let request = v1::AcknowledgeRequest {
            agency: agency.into(),
            consignment_id: consignment.into(),
            lease_token: String::new(),
        };
        self.mailbox(system).await.acknowledge(request).await.expect("acknowledged");
    }

    /// The state at a recipient.
    pub async fn delivery(&self, consignment: &str, recipient: &str) -> v1::Delivery {
        let request = v1::ListDeliveriesRequest {
            consignment_id: consignment.into(),
            ..v1::ListDeliveriesRequest::default()
        };
        let mut trace = TraceServiceClient::new(self.channel("commune").await);
        let found = trace.list_deliveries(request).await.expect("listed").into_inner().deliveries;
        found.into_iter().find(|one| one.recipient == recipient).expect("a recipient")
    }

    /// The evidence file, as the sender gets it.
    pub async fn evidence(&self, consignment: &str) -> Vec<u8> {
        let request = v1::GetEvidenceRequest {
            consignment_id: consignment.into(),
            recipient: String::new(),
            include_parts: true,
        };
        let mut client = EvidenceServiceClient::new(self.channel("commune").await);
        let mut chunks = client.get_evidence(request).await.expect("evidence").into_inner();
        let mut file = Vec::new();
        while let Some(message) = chunks.message().await.expect("bytes") {
            file.extend_from_slice(&message.chunk);
        }
        file
    }

    /// Every entry of the log, as an auditor reads it.
    pub async fn entries(&self) -> Vec<Entry> {
        let mut log = LogServiceClient::new(self.channel("auditor").await);
        let request = v1::ReadEntriesRequest { from: None, max_entries: 0 };
        let mut pages = log.read_entries(request).await.expect("read").into_inner();
        let mut entries = Vec::new();
        while let Some(page) = pages.message().await.expect("a page") {
            let read = |leaf: &Bytes| Entry::from_leaf(leaf).expect("an entry");
            entries.extend(page.leaves.iter().map(read));
        }
        entries
    }

    /// The entries of an event, of which there are exactly so many once they have come.
    pub async fn wait_for(&self, event: Event, count: usize) -> Vec<Entry> {
        let found = self.wait_for_at_least(event, count).await;
        assert_eq!(found.len(), count, "{event:?}: {found:#?}");
        found
    }

    /// The entries of an event, once there are so many of them.
    pub async fn wait_for_at_least(&self, event: Event, count: usize) -> Vec<Entry> {
        let looking = async {
            loop {
                let mut entries = self.entries().await;
                entries.retain(|entry| entry.event == event);
                if entries.len() >= count {
                    return entries;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{count} {event:?} do not come"))
    }

    /// Makes the projections of the stopped gateway anew.
    pub fn rebuild(&self) {
        let rebuilt = Command::new(env!("CARGO_BIN_EXE_vanthu"))
            .args(["store", "rebuild", "--data"])
            .arg(self.file("data"))
            .output()
            .expect("runs");
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    }

    /// Audits the log of the stopped gateway; nothing is found.
    pub fn audit(&self) {
        let audit = Command::new(env!("CARGO_BIN_EXE_vanthu"))
            .args(["log", "audit", "--output", "json", "--key"])
            .arg(self.file("log.vkey"))
            .arg("--data")
            .arg(self.file("data"))
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&audit.stdout);
        assert!(audit.status.success(), "{said}{}", String::from_utf8_lossy(&audit.stderr));
    }
}
