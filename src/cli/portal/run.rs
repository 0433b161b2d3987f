//! `vanthu portal run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::{Exit, Failure};
use crate::client;
use crate::config::PortalFile;
use crate::courier::portal::{Observer, Outbox};
use crate::telemetry;

/// Messages to the portal are documents to its agency whose media type is
/// application/vnd.vanthu.dvcqg+json. Each is handed over, in order, and then acknowledged; what the
/// portal refuses is returned with its words. Ends on SIGTERM or SIGINT, and may be killed at any time:
/// what is not acknowledged is handed over again.
///
/// Exit codes: 3 the configuration cannot be used, 4 the gateway cannot be reached, 5 it does not
/// permit it.
///
/// Examples:
///   vanthu portal run --config portal.toml --cert systems/portal.pem
///   vanthu portal run --config portal.toml --cert systems/portal.pem --operations 127.0.0.1:7481
///   vanthu portal run --config portal.toml --cert systems/portal.pem --server https://gw.example:7443
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunOptions {
    /// The way to the portal, TOML
    #[arg(long)]
    config: PathBuf,
    #[command(flatten)]
    client: client::Options,
    /// Where /metrics is served; must be a loopback address
    #[arg(long)]
    operations: Option<SocketAddr>,
}

pub(super) async fn run(options: RunOptions) -> Result<Exit, Failure> {
    telemetry::start_traces();
    let file = PortalFile::read(&options.config)?;
    let portal = file.portal()?;
    let metrics = Arc::new(Metrics::default());
    let pages = match options.operations {
        Some(address) if !address.ip().is_loopback() => {
            let message = "--operations: must be a loopback address";
            return Err(Failure::new(Exit::Configuration, message));
        }
        Some(address) => Some(TcpListener::bind(address).await.map_err(Failure::other)?),
        None => None,
    };
    let channel = options.client.connect().await?;
    let on = |kind| signal(kind).map_err(Failure::other);
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let agency = file.agency.clone();
    let pauses = file.pauses();
    let outbox = Outbox::new(channel, agency, portal, file.state_map(), pauses, metrics.clone());
    let operations = pages.as_ref().map(TcpListener::local_addr).transpose();
    let operations = operations.map_err(Failure::other)?;
    let operations = operations.map(|at| format!(" operations {at}")).unwrap_or_default();
    // Scripts wait for this line and take the port from it; from here on signals are heard.
    println!("handing over {}{operations}", file.agency);
    let served = async {
        match pages {
            Some(pages) => serve(pages, metrics).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => Ok(Exit::Ok),
        _ = interrupt.recv() => Ok(Exit::Ok),
        ended = outbox.run() => Err(Failure::new(Exit::NotPermitted, ended)),
        error = served => Err(Failure::other(error)),
    }
}

async fn serve(pages: TcpListener, metrics: Arc<Metrics>) -> String {
    let router = Router::new().route("/metrics", get(move || async move { metrics.text() }));
    match axum::serve(pages, router).await {
        Ok(()) => "the operations pages ended".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What an operator watches.
struct Metrics {
    registry: Registry,
    messages: Family<Outcome, Counter>,
    waiting: Gauge,
    alarm: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let messages = Family::<Outcome, Counter>::default();
        let help = "Attempts to hand a message over, by how they ended";
        registry.register("vanthu_portal_messages", help, messages.clone());
        let waiting = Gauge::default();
        registry.register("vanthu_portal_waiting", "Messages known to wait", waiting.clone());
        let alarm = Gauge::default();
        let help = "1 while the portal does not take the user name and password";
        registry.register("vanthu_portal_credentials_refused", help, alarm.clone());
        Self { registry, messages, waiting, alarm }
    }
}

impl Metrics {
    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

impl Observer for Metrics {
    fn handed(&self, outcome: &'static str) {
        self.messages.get_or_create(&Outcome { outcome }).inc();
    }

    fn waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn alarmed(&self, is_alarmed: bool) {
        self.alarm.set(i64::from(is_alarmed));
    }
}
