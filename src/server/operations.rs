//! The operator's pages on loopback. They never report more than was tested.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::telemetry::Metrics;

/// Serves `/metrics`, `/healthz` (the process answers) and `/readyz` (the log can be written to).
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    gateway: Arc<Gateway>,
    closing: watch::Receiver<bool>,
) {
    let ready = move || {
        let answer = readiness(&gateway, *closing.borrow());
        async move { answer }
    };
    let pages = Router::new()
        .route("/metrics", get(move || async move { metrics.text() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!(%error, "the operations pages ended");
    }
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
