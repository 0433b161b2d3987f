//! The witness's door: `add-checkpoint`, `add-opening`, and the newest checkpoints
//! (`witness/FORMAT.md` §2). Whoever signs for a log that is watched may call.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};

use super::answer;
use crate::gateway::{Fault, NotCosigned, Witness};
use crate::limits::WITNESS_REQUEST_SIZE_MAX;
use crate::witness::Why;

/// The door of `witness`.
pub fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/witness/add-checkpoint", post(add_checkpoint))
        .route("/witness/add-opening", post(add_opening))
        .route("/witness/{origin}/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(WITNESS_REQUEST_SIZE_MAX))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    answered(tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await)
}

async fn add_opening(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    answered(tokio::task::spawn_blocking(move || witness.add_opening(&body)).await)
}

async fn checkpoint(State(witness): State<Arc<Witness>>, Path(origin): Path<String>) -> Response {
    let note = origin.parse().ok().and_then(|origin| witness.checkpoint(&origin));
    note.map_or_else(answer::nothing, answer::note)
}

fn answered(outcome: Result<Result<String, NotCosigned>, tokio::task::JoinError>) -> Response {
    match outcome {
        Ok(Ok(line)) => answer::plain(StatusCode::OK, line),
        Ok(Err(NotCosigned::Refused(why))) => refused(why),
        Ok(Err(NotCosigned::Fault(fault))) => answer::error(&fault.into()),
        Err(_) => answer::error(&Fault::Stopped.into()),
    }
}

fn refused(why: Why) -> Response {
    let (status, text) = match why {
        Why::Malformed => (StatusCode::BAD_REQUEST, "this is no request"),
        Why::Backwards => (StatusCode::BAD_REQUEST, "the old size is above the new one"),
        Why::NotSigned => (StatusCode::FORBIDDEN, "not signed with the key of this log"),
        Why::UnknownOrigin => (StatusCode::NOT_FOUND, "this log or epoch is not known"),
        Why::Inconsistent => {
            (StatusCode::UNPROCESSABLE_ENTITY, "it does not extend what was cosigned")
        }
        Why::OtherSize(size) => {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response();
        }
    };
    answer::plain(status, format!("{text}\n"))
}
