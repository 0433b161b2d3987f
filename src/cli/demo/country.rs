//! The people of the demonstration: a gateway and the systems that call it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tonic::transport::Channel;

use crate::cli::Failure;
use crate::client;
use crate::clock::{Clock as _, Date, LeapingClock, Time};
use crate::config::Config;
use crate::log::LogPublicKey;
use crate::proto::v1;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;
use crate::server::{self, Running};
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;

/// A gateway that runs, its PKI, and one connection for each system.
pub(super) struct Country {
    folder: PathBuf,
    data: PathBuf,
    pki: DevPki,
    key: LogPublicKey,
    config: Config,
    clock: Arc<LeapingClock>,
    running: Running,
}

impl Country {
    /// Makes the PKI and starts the gateway in `folder`.
    pub(super) async fn found(folder: &Path, profile: Profile) -> Result<Self, Failure> {
        let pki_folder = folder.join("pki");
        let made = {
            let pki_folder = pki_folder.clone();
            tokio::task::spawn_blocking(move || crate::cli::certs::make(&profile, &pki_folder))
        };
        let pki = made.await.map_err(Failure::other)??;
        let mut config = Config::read(&pki_folder.join("vanthu.toml"))?;
        for address in [&mut config.listen, &mut config.operations] {
            address.set_port(0);
        }
        let key = crate::config::log_key(&config)?.public();
        let data = config.data.clone();
        let clock = Arc::new(LeapingClock::default());
        let running = server::start_at(config.clone(), clock.clone(), false).await?;
        Ok(Self { folder: folder.to_owned(), data, pki, key, config, clock, running })
    }

    /// Stops the gateway, and starts it again on the data folder that `between` names, which is given
    /// the one so far.
    pub(super) async fn restart(
        self,
        between: impl FnOnce(&Path) -> Result<PathBuf, Failure>,
    ) -> Result<Self, Failure> {
        self.running.stop().await?;
        let data = between(&self.data)?;
        let config = Config { data: data.clone(), ..self.config };
        let running = server::start_at(config.clone(), self.clock.clone(), false).await?;
        Ok(Self { data, config, running, ..self })
    }

    /// The gateway itself.
    pub(super) fn gateway(&self) -> &crate::gateway::Gateway {
        self.running.gateway()
    }

    /// What the clock of this country shows.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The clock itself.
    pub(super) fn clock(&self) -> Arc<LeapingClock> {
        self.clock.clone()
    }

    /// Time passes until this moment.
    pub(super) fn leap_to(&self, moment: Time) {
        self.clock.leap_to(moment);
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.running.address
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn pki(&self) -> &DevPki {
        &self.pki
    }

    pub(super) fn pki_folder(&self) -> PathBuf {
        self.folder.join("pki")
    }

    pub(super) fn public_key(&self) -> LogPublicKey {
        self.key.clone()
    }

    /// Stops the gateway; gives its data folder.
    pub(super) async fn close(self) -> Result<PathBuf, Failure> {
        self.running.stop().await?;
        Ok(self.data)
    }

    /// A connection as this system, with its own certificate.
    pub(super) async fn connect(&self, system: &str) -> Result<Channel, Failure> {
        let identity = self.pki.system(system).map_err(Failure::other)?;
        let ca = self.pki.file("tls/ca.pem").map_err(Failure::other)?;
        let server = format!("https://localhost:{}", self.running.address.port());
        let (cert, key) = (identity.chain_pem(), identity.key_pem());
        Ok(client::connect(&server, ca, cert.as_bytes(), key.as_bytes()).await?)
    }

    pub(super) async fn mailbox(
        &self,
        system: &str,
    ) -> Result<MailboxServiceClient<Channel>, Failure> {
        Ok(MailboxServiceClient::new(self.connect(system).await?))
    }

    /// An envelope of today.
    pub(super) fn envelope(
        &self,
        sender: &str,
        recipients: &[&str],
        number: &str,
        subject: &str,
    ) -> v1::Envelope {
        envelope(self.now().date_in_vietnam(), sender, recipients, number, subject)
    }

    /// Submits a document of small parts in one call.
    pub(super) async fn submit(
        &self,
        system: &str,
        mut envelope: v1::Envelope,
        parts: Vec<(String, v1::PartRole, Vec<u8>)>,
    ) -> Result<v1::SubmissionResult, tonic::Status> {
        let failed = |failure: Failure| tonic::Status::internal(failure.to_string());
        let channel = self.connect(system).await.map_err(failed)?;
        envelope.parts =
            parts.iter().map(|(name, role, bytes)| listing(name, *role, bytes)).collect();
        let request = v1::SubmitDocumentRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            envelope: crate::service::envelope_bytes(&envelope).into(),
            parts: parts.into_iter().map(|(_, _, bytes)| Bytes::from(bytes)).collect(),
            validate_only: false,
        };
        let response = SubmissionServiceClient::new(channel).submit_document(request).await?;
        Ok(response.into_inner().result.unwrap_or_default())
    }
}

fn listing(name: &str, role: v1::PartRole, bytes: &[u8]) -> v1::Part {
    let digest = crate::digest::Sha256::of(bytes);
    v1::Part {
        name: name.to_owned(),
        media_type: "application/pdf".to_owned(),
        size: bytes.len() as u64,
        sha256: Bytes::copy_from_slice(&digest.0),
        role: role.into(),
        signs: String::new(),
    }
}

fn envelope(
    today: Date,
    sender: &str,
    recipients: &[&str],
    number: &str,
    subject: &str,
) -> v1::Envelope {
    let (number, notation) = number.split_once('/').unwrap_or((number, ""));
    let date = today.strftime("%Y/%m/%d");
    v1::Envelope {
        document_id: format!("{sender},{date},{number}/{notation}"),
        number: number.to_owned(),
        notation: notation.to_owned(),
        type_name: "Công văn".to_owned(),
        subject: subject.to_owned(),
        issue_date: Some(v1::Date {
            year: today.year().into(),
            month: today.month().into(),
            day: today.day().into(),
        }),
        urgency: v1::Urgency::Normal.into(),
        secrecy: v1::Secrecy::None.into(),
        form: v1::Form::Original.into(),
        sender: sender.to_owned(),
        recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
        ..v1::Envelope::default()
    }
}
