//! HTTP/1.1 over TLS for readers of the log, on a listener of its own.

use std::pin::pin;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected as _;
use tower::ServiceExt as _;

use super::ServerTls;
use super::accept::{self, Connection};
use crate::limits::{READER_CONNECTION_AGE_MAX, READER_CONNECTIONS_MAX, READER_PAUSE_MAX};
use crate::readers::Caller;

/// Serves until `closing`; connections end with the task.
pub(super) async fn serve(
    listener: TcpListener,
    tls: ServerTls,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let ends = closing.clone();
    let mut incoming = pin!(accept::incoming(listener, tls, READER_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = incoming.next() => match accepted {
                Some(Ok(connection)) => {
                    connections.spawn(converse(connection, router.clone(), ends.clone()));
                }
                Some(Err(error)) => tracing::info!(%error, "a reader was not accepted"),
                None => break,
            },
            Some(_) = connections.join_next() => {}
            () = closed(&mut closing) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn converse(connection: Connection, router: Router, mut closing: watch::Receiver<bool>) {
    let caller = Caller(connection.connect_info());
    let service = hyper::service::service_fn(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(caller.clone());
        router.clone().oneshot(request)
    });
    let mut conversation = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READER_PAUSE_MAX)
            .serve_connection(TokioIo::new(connection), service)
    );
    let ended = tokio::select! {
        ended = conversation.as_mut() => Some(ended),
        () = closed(&mut closing) => None,
        () = tokio::time::sleep(READER_CONNECTION_AGE_MAX) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            // What is being answered is finished.
            conversation.as_mut().graceful_shutdown();
            let drained = tokio::time::timeout(READER_PAUSE_MAX, conversation).await;
            drained.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::info!(%error, "a reader's connection broke off");
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    let _gone = closing.wait_for(|closing| *closing).await;
}
