//! The gRPC doors: wire types in, rooms' types out, and back. Nothing is decided here.

mod admission;
mod control;
mod convert;
mod counting;
mod deadline;
mod directory;
mod dossier;
mod evidence;
mod feed;
mod following;
mod handling;
mod log;
mod mailbox;
mod paging;
mod polling;
mod reads;
mod relay;
mod report;
mod retention;
mod search;
mod signature;
mod status;
mod submission;
mod trace;
mod watch;

use std::sync::Arc;

pub use admission::{Admission, AdmissionLayer, ClientCertificate, Revocations};
pub use control::Control;
pub use convert::{
    agency as wire_agency, date as wire_date, envelope as read_envelope, envelope_bytes,
    part_listing, urgency_to_wire as wire_urgency,
};
pub use deadline::DeadlineLayer;
pub use directory::explanation as wire_explanation;
pub use evidence::part_infos;
pub use feed::{Latest, Snapshot};
pub use handling::{named_counts, to_wire as wire_counts};
pub use retention::{Retained, RetentionRule, run as retain};
pub use status::{DOMAIN, to_status};

use crate::evidence::Seal;
use crate::gateway::{Gateway, Pace, Peer};
use crate::limits::{POLL_INTERVAL, POLLS_AT_ONCE};
use crate::proto::v1;

/// Everything behind the doors. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    gateway: Arc<Gateway>,
    admission: Arc<Admission>,
    closing: tokio::sync::watch::Receiver<bool>,
    watches: Arc<watch::Places>,
    polls: Arc<Pace>,
    verifying: Arc<tokio::sync::Semaphore>,
    following: Arc<following::Places>,
    board: Arc<feed::Board>,
    seal: Option<Arc<dyn Seal>>,
}

impl Door {
    /// The doors of `gateway`; streams end once `closing` is true.
    pub fn new(
        gateway: Arc<Gateway>,
        admission: Arc<Admission>,
        closing: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        let verifying = Arc::new(tokio::sync::Semaphore::new(crate::limits::VERIFICATIONS_MAX));
        let polls = Arc::new(Pace::new(POLL_INTERVAL, POLLS_AT_ONCE));
        Self {
            gateway,
            admission,
            closing,
            watches: Arc::default(),
            polls,
            verifying,
            following: Arc::default(),
            board: Arc::default(),
            seal: None,
        }
    }

    /// Seals the evidence that these doors give.
    #[must_use]
    pub fn with_seal(self, seal: Option<Arc<dyn Seal>>) -> Self {
        Self { seal, ..self }
    }

    /// All services, to be served behind [`Admission`].
    pub fn routes(&self) -> tonic::service::Routes {
        let limit = crate::limits::MESSAGE_SIZE_MAX;
        let mut routes = tonic::service::RoutesBuilder::default();
        routes
            .add_service(
                v1::submission_service_server::SubmissionServiceServer::new(self.clone())
                    .max_decoding_message_size(limit),
            )
            .add_service(v1::mailbox_service_server::MailboxServiceServer::new(self.clone()))
            .add_service(
                v1::signature_service_server::SignatureServiceServer::new(self.clone())
                    .max_decoding_message_size(limit),
            )
            .add_service(v1::trace_service_server::TraceServiceServer::new(self.clone()))
            .add_service(v1::report_service_server::ReportServiceServer::new(self.clone()))
            .add_service(v1::log_service_server::LogServiceServer::new(self.clone()))
            .add_service(v1::evidence_service_server::EvidenceServiceServer::new(self.clone()))
            .add_service(
                v1::relay_service_server::RelayServiceServer::new(self.clone())
                    .max_decoding_message_size(limit),
            )
            .add_service(v1::directory_service_server::DirectoryServiceServer::new(self.clone()))
            .add_service(v1::dossier_service_server::DossierServiceServer::new(self.clone()));
        routes.routes()
    }

    /// Who is calling: put there by [`Admission`], which lets nobody else through.
    fn peer<T>(&self, request: &tonic::Request<T>) -> Result<Peer, tonic::Status> {
        request.extensions().get::<Peer>().cloned().ok_or_else(|| {
            to_status(crate::refusal::Refusal::new(crate::refusal::Reason::CertificateMissing))
        })
    }
}
