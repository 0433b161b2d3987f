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
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::cli::exit::{Exit, Failure};
use crate::client;
use crate::clock::SystemClock;
use crate::config::PortalFile;
use crate::courier::portal::{Intake, Observer, Outbox, Questions, Receiver, Steps};
use crate::limits::CALL_DEADLINE;
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;
use crate::telemetry;

/// Messages to the portal are documents to its agency whose media type is
/// application/vnd.vanthu.dvcqg+json. Each is handed over, in order, and then acknowledged; what the
/// portal refuses is returned with its words. With `state` in the configuration, steps of dossiers that
/// began at the portal are told to it; with `receive`, the portal hands dossiers over here, and they go
/// on as documents; with `questions_every_seconds`, so do citizens' questions. Ends on SIGTERM or SIGINT, and may be killed at any time: what is not acknowledged
/// or noted is handed over again.
///
/// Exit codes: 3 the configuration cannot be used, 4 the gateway cannot be reached, 5 it does not
/// permit it.
///
/// Examples:
///   vanthu portal run --config portal.toml --cert systems/portal.pem
///   vanthu portal run --config portal.toml --cert systems/portal.pem --operations 127.0.0.1:7481
///   vanthu portal run --config portal.toml --cert systems/portal.pem --receive 127.0.0.1:7482
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
    /// Where the portal calls us, instead of what the configuration says; must be a loopback address, a
    /// proxy with TLS before it
    #[arg(long)]
    receive: Option<SocketAddr>,
}

pub(super) async fn run(options: RunOptions) -> Result<Exit, Failure> {
    telemetry::start_traces();
    let mut file = PortalFile::read(&options.config)?;
    let portal = file.portal()?;
    // A session of its own, so that no message waits for the portal's questions.
    let asking = file.questions().map(|how| Ok::<_, Failure>((file.portal()?, how))).transpose()?;
    let metrics = Arc::new(Metrics::default());
    let pages = listen("operations", options.operations).await?;
    if options.receive.is_some() && file.receive_credentials.is_none() {
        let message = "--receive: the configuration needs receive_credentials";
        return Err(Failure::new(Exit::Configuration, message));
    }
    let door = listen("receive", options.receive.or(file.receive)).await?;
    let channel = options.client.connect().await?;
    file.agency = registered(&channel, &file.agency).await?;
    let on = |kind| signal(kind).map_err(Failure::other);
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let steps = match file.state.as_ref().zip(file.code()) {
        None => None,
        Some((path, agency)) => {
            let steps = Steps::follow(channel.clone(), agency, path.clone(), metrics.clone());
            Some(steps.map_err(|error| Failure::file(path, error))?)
        }
    };
    let (agency, states) = (file.agency.clone(), file.state_map());
    let outbox =
        Outbox::new(channel.clone(), agency, portal, states, file.pauses(), metrics.clone());
    let outbox = outbox.with_steps(steps).hearing(file.heard(), file.asked());
    // Scripts wait for this line and take the ports from it; from here on signals are heard.
    println!(
        "handing over {}{}{}",
        file.agency,
        address("operations", pages.as_ref())?,
        address("receive", door.as_ref())?
    );
    let served = async {
        match pages {
            Some(pages) => serve(pages, metrics.clone()).await,
            None => std::future::pending().await,
        }
    };
    let intake = file.code().map(|agency| {
        Arc::new(Intake::new(channel, agency, file.office_map(), Arc::new(SystemClock)))
    });
    let received = async {
        match door.zip(intake.clone()) {
            Some((door, intake)) => {
                Receiver::new(intake, file.expected(), metrics.clone()).serve(door).await;
            }
            None => std::future::pending().await,
        }
    };
    let asked = async {
        match asking.zip(intake.clone()) {
            Some(((portal, (every, to)), intake)) => {
                Questions::new(portal, intake, to, every, metrics.clone()).run().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => Ok(Exit::Ok),
        _ = interrupt.recv() => Ok(Exit::Ok),
        ended = outbox.run() => Err(Failure::new(Exit::NotPermitted, ended)),
        error = served => Err(Failure::other(error)),
        () = received => Err(Failure::other("the door for the portal was closed")),
        () = asked => Err(Failure::other("nobody asks for questions any longer")),
    }
}

/// The code as the directory writes it, which may know another notation, too: dossiers name it so.
async fn registered(channel: &Channel, agency: &str) -> Result<String, Failure> {
    let mut directory = DirectoryServiceClient::new(channel.clone());
    let request = v1::GetAgencyRequest { code: agency.to_owned(), date: None };
    let found = timeout(CALL_DEADLINE, directory.get_agency(request)).await;
    let found = found.map_err(|_| Failure::new(Exit::Connection, "the gateway is too slow"))?;
    let found = found?.into_inner().agency;
    Ok(found.map_or_else(|| agency.to_owned(), |found| found.code))
}

async fn listen(name: &str, at: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    match at {
        Some(address) if !address.ip().is_loopback() => {
            let message = format!("--{name}: must be a loopback address");
            Err(Failure::new(Exit::Configuration, message))
        }
        Some(address) => Ok(Some(TcpListener::bind(address).await.map_err(Failure::other)?)),
        None => Ok(None),
    }
}

/// A word of the first line.
fn address(name: &str, listener: Option<&TcpListener>) -> Result<String, Failure> {
    let address = listener.map(TcpListener::local_addr).transpose().map_err(Failure::other)?;
    Ok(address.map(|at| format!(" {name} {at}")).unwrap_or_default())
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
    received: Family<Outcome, Counter>,
    returned: Counter,
    waiting: Gauge,
    alarm: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let messages = Family::<Outcome, Counter>::default();
        let help = "Attempts to hand a message or a step over, by how they ended";
        registry.register("vanthu_portal_messages", help, messages.clone());
        let received = Family::<Outcome, Counter>::default();
        let help = "Records that the portal handed over to us, by how that ended";
        registry.register("vanthu_portal_received", help, received.clone());
        let returned = Counter::default();
        let help = "Documents from the portal that an office sent back or did not fetch in time";
        registry.register("vanthu_portal_returned", help, returned.clone());
        let waiting = Gauge::default();
        registry.register(
            "vanthu_portal_waiting",
            "Messages and steps known to wait",
            waiting.clone(),
        );
        let alarm = Gauge::default();
        let help = "1 while the portal does not take the user name and password";
        registry.register("vanthu_portal_credentials_refused", help, alarm.clone());
        Self { registry, messages, received, returned, waiting, alarm }
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

    fn received(&self, outcome: &'static str) {
        self.received.get_or_create(&Outcome { outcome }).inc();
    }

    fn returned(&self) {
        self.returned.inc();
    }
}
