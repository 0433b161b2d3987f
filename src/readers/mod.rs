//! The log over HTTPS for those who read all of it: C2SP tlog-tiles (`log/FORMAT.md` §9).
//!
//! ```text
//! GET /log/<epoch>/checkpoint               everybody
//! GET /log/<epoch>/tile/<level>/<tile>      auditors
//! GET /log/<epoch>/tile/entries/<bundle>    auditors
//! ```
//! And the door of this gateway's witness: [`witness`]. Nothing here is believed for being here: a
//! reader recomputes the signed root.

mod answer;
pub mod witness;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode};

use crate::directory::Role;
use crate::gateway::{Error, Fault, Gateway};
use crate::log::{EntryId, TileKind, TileName, number};
use crate::refusal::{Reason, Refusal};
use crate::service::{Admission, ClientCertificate};

/// Who calls on a connection; part of every request on it.
#[derive(Debug, Clone)]
pub struct Caller(pub Option<Arc<ClientCertificate>>);

/// What the handlers need.
#[derive(Clone)]
struct Shelf {
    gateway: Arc<Gateway>,
    admission: Arc<Admission>,
}

/// The door. Requests must carry a [`Caller`].
pub fn router(gateway: Arc<Gateway>, admission: Arc<Admission>) -> Router {
    Router::new()
        .route("/log/{epoch}/checkpoint", get(checkpoint))
        .route("/log/{epoch}/tile/{*name}", get(tile))
        .fallback(async || answer::nothing())
        .with_state(Shelf { gateway, admission })
}

/// The newest checkpoint of an epoch.
async fn checkpoint(State(shelf): State<Shelf>, Path(epoch): Path<String>) -> Response {
    // The log has no epoch 0, which stands for the open one elsewhere.
    let Some(epoch) = number(&epoch).filter(|epoch| *epoch > 0) else { return answer::nothing() };
    let read = tokio::task::spawn_blocking(move || shelf.newest(epoch));
    match read.await {
        Ok(Ok(note)) => answer::note(note),
        Ok(Err(error)) => answer::error(&error),
        Err(_) => answer::error(&Fault::Stopped.into()),
    }
}

async fn tile(
    State(shelf): State<Shelf>,
    Path((epoch, name)): Path<(String, String)>,
    headers: HeaderMap,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Response {
    if let Err(refusal) = shelf.admit_auditor(&caller) {
        tracing::info!(%refusal, epoch, name, "turned away");
        return answer::error(&refusal.into());
    }
    let (Some(epoch), Some(name)) = (number(&epoch), TileName::parse(&name)) else {
        return answer::nothing();
    };
    let read = tokio::task::spawn_blocking(move || {
        let tile = shelf.gateway.reading().tile(epoch, name)?;
        // Hashes do not get smaller.
        let packed = name.kind == TileKind::Entries && answer::takes_gzip(&headers);
        Ok(tile.map(|bytes| answer::tile(bytes, name.is_full(), packed)))
    });
    match read.await {
        Ok(Ok(Some(response))) => response,
        Ok(Ok(None)) => answer::nothing(),
        Ok(Err(error)) => answer::error(&Fault::Store(error).into()),
        Err(_) => answer::error(&Fault::Stopped.into()),
    }
}

impl Shelf {
    /// The newest checkpoint of an epoch, with the cosignatures that were collected for it. Where
    /// there are witnesses, the newest is what the last round published.
    fn newest(&self, epoch: u32) -> Result<Vec<u8>, Error> {
        let (reading, cosigned) = (self.gateway.reading(), self.gateway.cosigned());
        let newest = reading.last_of(epoch)?;
        if let Some(published) = cosigned.published(epoch).filter(|_| reading.is_open(epoch)) {
            return Ok(published);
        }
        let size = reading.open(&newest)?.size;
        let witnessed = cosigned.covering(EntryId { epoch, index: size.saturating_sub(1) });
        Ok(witnessed.unwrap_or(newest))
    }

    /// The same doorkeeper as that of gRPC: period, revocation, directory, role, on every request.
    fn admit_auditor(&self, caller: &Caller) -> Result<(), Refusal> {
        let certificate =
            caller.0.as_deref().ok_or_else(|| Refusal::new(Reason::CertificateMissing))?;
        self.admission.judge(certificate)?.require(&[Role::Auditor])
    }
}

/// The status of a class of refusals, as HTTP knows it.
fn status_of(class: crate::refusal::Class) -> StatusCode {
    use crate::refusal::Class;
    match class {
        Class::Unknown => StatusCode::UNAUTHORIZED,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::Missing => StatusCode::NOT_FOUND,
        Class::Conflict | Class::State => StatusCode::CONFLICT,
        Class::TooMuch => StatusCode::PAYLOAD_TOO_LARGE,
        Class::Late => StatusCode::REQUEST_TIMEOUT,
        Class::Invalid | Class::Damaged | Class::Range => StatusCode::BAD_REQUEST,
    }
}
