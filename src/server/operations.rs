//! The operator's pages on loopback. They never report more than was tested.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::dossier::State;
use crate::gateway::Gateway;
use crate::service::{Latest, Snapshot, named_counts, wire_counts};
use crate::statistics::Handling;
use crate::telemetry::{Metrics, word_of};

/// Serves `/metrics`, `/healthz` (the process answers), `/readyz` (the log can be written to) and
/// `/indicators.json` (how dossiers stand).
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    gateway: Arc<Gateway>,
    latest: Latest,
    closing: watch::Receiver<bool>,
) {
    let numbers = move || {
        let snapshot = latest.borrow().clone();
        async move {
            let text = snapshot.map(|snapshot| format!("{}\n", indicators(&snapshot)));
            text.map(|text| ([(CONTENT_TYPE, "application/json")], text)).ok_or(NOT_COUNTED)
        }
    };
    let ready = move || {
        let answer = readiness(&gateway, *closing.borrow());
        async move { answer }
    };
    let pages = Router::new()
        .route("/metrics", get(move || async move { metrics.text() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/indicators.json", get(numbers));
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!(%error, "the operations pages ended");
    }
}

/// Before the first count has ended.
const NOT_COUNTED: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "dossiers are not counted yet\n");

/// How dossiers stand, for an operations centre. No agency, procedure or person is named.
fn indicators(snapshot: &Snapshot) -> Value {
    let total = &snapshot.total;
    let states = State::NUMBERS.iter().zip(total.states);
    let states = states.map(|((_, state), count)| (word_of(*state), json!(count)));
    json!({
        "counted_at": snapshot.counted_at.to_string(),
        "states": Map::from_iter(states),
        "late": total.late,
        "today": counts(&total.today),
        "year": counts(&total.year),
    })
}

fn counts(of: &Handling) -> Value {
    Value::Object(named_counts(&wire_counts(of)))
}

fn readiness(gateway: &Gateway, closing: bool) -> (StatusCode, String) {
    let not_ready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    if closing {
        return not_ready("closing".into());
    }
    if let Some(cause) = gateway.broken().borrow().clone() {
        return not_ready(format!("the log cannot be written to: {cause}"));
    }
    if let Err(fault) = gateway.room() {
        return not_ready(format!("nothing new is taken: {fault}"));
    }
    // A content writer that has failed says so here; otherwise there is little left to sync.
    if let Err(error) = gateway.contents().settle() {
        return not_ready(error.to_string());
    }
    match gateway.store().head() {
        Ok(head) => (StatusCode::OK, format!("ready: log at {}/{}\n", head.epoch, head.size)),
        Err(error) => not_ready(error.to_string()),
    }
}
