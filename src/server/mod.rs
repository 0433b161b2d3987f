//! A running gateway: sockets, TLS, drain. `start` returns once it serves.

mod accept;
mod around_log;
mod control;
mod operations;
mod readers;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::Server;

use around_log::AroundLog;

use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Material};
use crate::courier;
use crate::courier::stamping::Stamping;
use crate::delivery::Deadlines;
use crate::gateway::ports::{HeadGuard, Store};
use crate::gateway::{Cosigned, Gateway, Quotas, Setup, StartError};
use crate::limits::{
    BACKLOG_LOOK, CONNECTIONS_MAX, DRAIN_DEADLINE, QUOTA_NOTED_EVERY, STREAMS_PER_CONNECTION_MAX,
};
use crate::log::LogKey;
use crate::proto::DESCRIPTORS;
use crate::service::{self, Admission, AdmissionLayer, DeadlineLayer, Door, Latest, RetentionRule};
use crate::store;
use crate::store::content::ContentStore;
use crate::store::guard::FileGuard;
use crate::store::notebook::FileNotebook;
use crate::telemetry::{Metrics, MetricsLayer};

/// HTTP/2 windows: one full-size chunk per stream, several streams per connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// A part of 100 KiB comes in two frames instead of seven; a connection holds one at a time.
const FRAME: u32 = 64 * 1024;
/// Dead peers are noticed within half a minute and ten seconds.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// After the drain: how long the writers may take to close their files, and how often to look.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);
const RELEASE_LOOK: Duration = Duration::from_millis(5);
/// How often the metrics look at the head of the log.
const HEAD_NOTED_EVERY: Duration = Duration::from_secs(1);

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The log must not be written to.
    #[error(transparent)]
    Log(#[from] StartError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] crate::gateway::ports::StoreError),
    /// A socket cannot be opened.
    #[error("{address}: {cause}")]
    Socket {
        /// Which.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The operator's socket cannot be opened.
    #[error("{path}: {cause}")]
    Control {
        /// Which.
        path: std::path::PathBuf,
        /// Why; its path may have at most 107 bytes.
        cause: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(String),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(String),
}

/// Replaced at a reload; new connections take what is there.
type ServerTls = Arc<RwLock<Arc<rustls::ServerConfig>>>;

/// A gateway that serves.
pub struct Running {
    /// Where gRPC is served.
    pub address: SocketAddr,
    /// Where the operations pages are served.
    pub operations: SocketAddr,
    /// Where the log is served to readers, if it is.
    pub readers: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    admission: Arc<Admission>,
    tls: ServerTls,
    readers_tls: ServerTls,
    config: Config,
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// One for each neighbour; dropped, they end.
    couriers: Mutex<JoinSet<()>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// Starts a gateway.
///
/// # Errors
/// [`Error`]; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, Error> {
    start_with(config, false).await
}

/// Starts a gateway, also, if `accept_loss`, on a store that was restored from before the last signed
/// head ([`Setup::accept_loss`]).
///
/// # Errors
/// [`Error`]; nothing is left running then.
pub async fn start_with(config: Config, accept_loss: bool) -> Result<Running, Error> {
    start_at(config, Arc::new(SystemClock), accept_loss).await
}

/// The same with another clock for the log and all that follows from it: for tests.
///
/// # Errors
/// As [`start_with`].
pub async fn start_at(
    config: Config,
    clock: Arc<dyn Clock>,
    accept_loss: bool,
) -> Result<Running, Error> {
    let material = Material::read(&config)?;
    let key = config::log_key(&config)?;
    let deadlines = Arc::new(config::deadlines(&config)?);
    let stamping = config::stamping(&config)?;
    let seal = config::seal(&config)?;
    let neighbours = config.neighbours()?;
    let tls = Arc::new(RwLock::new(Arc::new(tls::server(&material.tls)?)));
    let (listener, address) = listen(config.listen).await?;
    let around = AroundLog::open(&config, &material.tls).await?;
    let (pages, operations) = listen(config.operations).await?;
    let setup = setup(&config, key, clock, accept_loss).await?;
    let socket = control::Socket::bind(&config.data).map_err(|cause| Error::Control {
        path: config.data.join(config::CONTROL_SOCKET),
        cause,
    })?;
    let gateway = Gateway::start(setup, material.surroundings)?.with_quotas(quotas(&config)?);
    let gateway = Arc::new(gateway.with_calendar(deadlines.calendar().clone()));
    register(&gateway, &config, material.approved_by.as_deref()).await?;
    let admission = Arc::new(Admission::new(gateway.clone(), material.tls.revocations));
    let (closing, closed) = watch::channel(false);
    let metrics = Arc::new(Metrics::default());
    let mut tasks = JoinSet::new();
    let door = Door::new(gateway.clone(), admission.clone(), closed.clone()).with_seal(seal);
    operate(&mut tasks, pages, &metrics, &gateway, &door, &closed);
    let (readers, readers_tls) = around.start(&mut tasks, &gateway, &admission, &metrics, &closed);
    let rules = retention_rules(&config);
    tasks.spawn(socket.serve(gateway.clone(), rules.clone(), closed.clone()));
    tasks.spawn(retain(gateway.clone(), rules, config.retention.every_hours));
    unattended(&mut tasks, &gateway, deadlines, stamping);
    let couriers = Mutex::new(send_couriers(&gateway, neighbours));
    let (health, health_service) = tonic_health::server::health_reporter();
    tasks.spawn(report_health(health, gateway.clone(), closed.clone()));
    let mut routes = door.routes().add_service(health_service);
    if config.reflection {
        routes = with_reflection(routes)?;
    }
    let incoming = accept::incoming(listener, tls.clone(), CONNECTIONS_MAX);
    let mut end = closed;
    let server = http2()
        .layer(MetricsLayer(metrics))
        .layer(DeadlineLayer)
        .layer(AdmissionLayer(admission.clone()))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async move {
            let _closed = end.wait_for(|closing| *closing).await.map(drop);
        });
    let server = tokio::spawn(server);
    tracing::info!(%address, %operations, ?readers, name = config.name, "serving");
    Ok(Running {
        address,
        operations,
        readers,
        gateway,
        admission,
        tls,
        readers_tls,
        config,
        closing,
        tasks,
        couriers,
        server,
    })
}

fn send_couriers(
    gateway: &Arc<Gateway>,
    neighbours: Vec<courier::relay::Neighbour>,
) -> JoinSet<()> {
    let run = |neighbour| courier::relay::run(gateway.clone(), neighbour);
    neighbours.into_iter().map(run).collect()
}

/// The directory stands in the log before anything is routed by it.
async fn register(
    gateway: &Gateway,
    config: &Config,
    approved_by: Option<&str>,
) -> Result<(), Error> {
    let registered = gateway.register_directory(approved_by).await;
    Ok(registered.map_err(|error| config::Error::new(&config.directory, error))?)
}

/// Serves one service and nothing else behind the same TLS and windows, for comparison.
///
/// # Errors
/// [`Error`].
pub async fn serve_only<S>(
    config: &Config,
    service: S,
) -> Result<(SocketAddr, JoinHandle<Result<(), tonic::transport::Error>>), Error>
where
    S: tower::Service<http::Request<tonic::body::Body>, Error = std::convert::Infallible>
        + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: axum::response::IntoResponse,
    S::Future: Send + 'static,
{
    let material = Material::read(config)?;
    let tls = Arc::new(RwLock::new(Arc::new(tls::server(&material.tls)?)));
    let (listener, address) = listen(config.listen).await?;
    let incoming = accept::incoming(listener, tls, CONNECTIONS_MAX);
    let served = http2().add_service(service).serve_with_incoming(incoming);
    Ok((address, tokio::spawn(served)))
}

/// The transport as every gateway has it.
fn http2() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
}

type Opened = (Arc<dyn Store>, Arc<ContentStore>, Arc<dyn HeadGuard>);

/// Opens what the gateway keeps.
async fn setup(
    config: &Config,
    key: Arc<LogKey>,
    clock: Arc<dyn Clock>,
    accept_loss: bool,
) -> Result<Setup, Error> {
    let opened = config.clone();
    let (store, contents, guard) = tokio::task::spawn_blocking(move || open(&opened))
        .await
        .map_err(|error| Error::Ended(error.to_string()))??;
    let book = FileNotebook::open(&config.data.join("cosigned"))?;
    Ok(Setup {
        store,
        eraser: contents.clone(),
        contents,
        guard,
        cosigned: Arc::new(Cosigned::open(Arc::new(book), &key.public())?),
        space: Arc::new(store::DiskSpace(config.data.clone())),
        reserve: config.reserve_mib.saturating_mul(1024 * 1024),
        clock,
        key,
        name: config.name.clone(),
        epoch_entries: config.log.epoch_entries,
        accept_loss,
    })
}

fn open(config: &Config) -> Result<Opened, Error> {
    let cache = config.cache_mib.saturating_mul(1024 * 1024);
    let store = store::sled::open(&config.data, cache)?;
    let contents = ContentStore::open(&config.data.join("content"), SystemClock.now())?;
    let guard = FileGuard::open(&config.data)?;
    Ok((Arc::new(store), Arc::new(contents), Arc::new(guard)))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |cause| Error::Socket { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn with_reflection(routes: tonic::service::Routes) -> Result<tonic::service::Routes, Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let wrong = |error: tonic_reflection::server::Error| Error::Ended(error.to_string());
    // v1alpha, too: older tools ask for nothing else.
    let (v1, v1alpha) =
        (builder().build_v1().map_err(wrong)?, builder().build_v1alpha().map_err(wrong)?);
    Ok(routes.add_service(v1).add_service(v1alpha))
}

async fn report_health(
    health: tonic_health::server::HealthReporter,
    gateway: Arc<Gateway>,
    mut closing: watch::Receiver<bool>,
) {
    use tonic_health::ServingStatus;
    let mut broken = gateway.broken();
    health.set_service_status("", ServingStatus::Serving).await;
    tokio::select! {
        _ = closing.wait_for(|closing| *closing) => {}
        _ = broken.changed() => {}
    }
    health.set_service_status("", ServingStatus::NotServing).await;
}

/// What the gateway does by itself.
fn unattended(
    tasks: &mut JoinSet<()>,
    gateway: &Arc<Gateway>,
    deadlines: Arc<Deadlines>,
    stamping: Option<Stamping>,
) {
    let recorder = gateway.clone();
    tasks.spawn(async move { recorder.record_what_is_told().await });
    tasks.spawn(keep_deadlines(gateway.clone(), deadlines));
    tasks.spawn(keep_dossiers(gateway.clone()));
    tasks.spawn(note_quotas(gateway.clone()));
    tasks.spawn(keep_redirecting(gateway.clone()));
    if let Some(stamping) = stamping {
        tasks.spawn(have_stamped(gateway.clone(), stamping));
    }
}

async fn note_dossiers(metrics: Arc<Metrics>, mut latest: Latest) {
    while latest.changed().await.is_ok() {
        let snapshot = latest.borrow_and_update().clone();
        if let Some(snapshot) = snapshot {
            metrics.note_dossiers(&snapshot.total);
        }
    }
}

async fn keep_deadlines(gateway: Arc<Gateway>, deadlines: Arc<Deadlines>) {
    if let Err(error) = gateway.keep_deadlines(deadlines).await {
        tracing::error!(%error, "deadlines are looked at no longer");
    }
}

async fn keep_dossiers(gateway: Arc<Gateway>) {
    if let Err(error) = gateway.keep_dossiers().await {
        tracing::error!(%error, "the times of dossiers are looked at no longer");
    }
}

fn quotas(config: &Config) -> Result<Quotas, Error> {
    let book = Arc::new(FileNotebook::open(&config.data.join("quota"))?);
    Ok(Quotas::open(config::allowances(config)?, book)?)
}

async fn note_quotas(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(QUOTA_NOTED_EVERY).await;
        let noting = gateway.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || noting.quotas().note()).await {
            tracing::warn!(%error, "what systems have used today is not written down");
        }
    }
}

async fn keep_redirecting(gateway: Arc<Gateway>) {
    if let Err(error) = gateway.keep_redirecting().await {
        tracing::error!(%error, "what waits for closed agencies is redirected no longer");
    }
}

async fn have_stamped(gateway: Arc<Gateway>, stamping: Stamping) {
    if let Err(error) = stamping.run(gateway).await {
        tracing::error!(%error, "checkpoints are time-stamped no longer");
    }
}

fn retention_rules(config: &Config) -> Arc<[RetentionRule]> {
    let age = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
    let rules = config.retention.rules.iter();
    rules.map(|rule| RetentionRule { kind: rule.kind.clone(), age: age(rule.days) }).collect()
}

/// Finishes the erasures that an earlier process did not, then applies the rules again and again.
async fn retain(gateway: Arc<Gateway>, rules: Arc<[RetentionRule]>, every_hours: NonZeroU32) {
    let unfinished = gateway.clone();
    match tokio::task::spawn_blocking(move || unfinished.erase_bodies()).await {
        Ok(Err(error)) => tracing::error!(%error, "bodies are not erased yet"),
        _ => tracing::debug!("no erasure is unfinished"),
    }
    while !rules.is_empty() {
        tokio::time::sleep(Duration::from_secs(u64::from(every_hours.get()) * 3600)).await;
        match service::retain(&gateway, &rules, false).await {
            Ok(retained) => tracing::info!(?retained, "applied the retention rules"),
            Err(error) => tracing::error!(%error, "the retention rules were not applied"),
        }
    }
}

/// Serves the operator's pages and keeps what they show.
fn operate(
    tasks: &mut JoinSet<()>,
    pages: TcpListener,
    metrics: &Arc<Metrics>,
    gateway: &Arc<Gateway>,
    door: &Door,
    closed: &watch::Receiver<bool>,
) {
    let (latest, closed) = (door.snapshots(), closed.clone());
    tasks.spawn(operations::serve(pages, metrics.clone(), gateway.clone(), latest, closed));
    tasks.spawn(door.clone().keep_counting());
    tasks.spawn(note_dossiers(metrics.clone(), door.snapshots()));
    tasks.spawn(note_head(metrics.clone(), gateway.clone()));
    tasks.spawn(note_backlog(metrics.clone(), gateway.clone()));
}

async fn note_head(metrics: Arc<Metrics>, gateway: Arc<Gateway>) {
    loop {
        if let Ok(head) = gateway.store().head() {
            metrics.note_head(head.epoch, head.size);
        }
        tokio::time::sleep(HEAD_NOTED_EVERY).await;
    }
}

/// Notes what waits, and takes no more than a twentieth of the time for it.
async fn note_backlog(metrics: Arc<Metrics>, gateway: Arc<Gateway>) {
    loop {
        let (looking, since) = (gateway.clone(), Instant::now());
        let overview = tokio::task::spawn_blocking(move || looking.overview()).await;
        if let Ok(Ok(overview)) = overview {
            metrics.note_backlog(&overview, gateway.now());
        }
        tokio::time::sleep(BACKLOG_LOOK.max(since.elapsed() * 20)).await;
    }
}

impl Running {
    /// The gateway behind the sockets.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Reads certificates, revocation lists, trust and directory again. Connections of clients stay; from
    /// the next request on, the new state counts. Those to neighbours are made again, and what was on its
    /// way to them goes on where it was. If anything is wrong, everything stays as it was.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn reload(&self) -> Result<(), Error> {
        let config = self.config.clone();
        let read = move || Ok::<_, config::Error>((Material::read(&config)?, config.neighbours()?));
        let read = tokio::task::spawn_blocking(read).await;
        let (material, neighbours) = read.map_err(|error| Error::Ended(error.to_string()))??;
        let next = Arc::new(tls::server(&material.tls)?);
        let for_readers = Arc::new(tls::readers(&material.tls)?);
        let approved_by = material.approved_by.as_deref();
        let changed = self.gateway.change_surroundings(material.surroundings, approved_by).await;
        changed.map_err(|error| config::Error::new(&self.config.directory, error))?;
        *self.tls.write().expect("no panic while replacing") = next;
        *self.readers_tls.write().expect("no panic while replacing") = for_readers;
        self.admission.replace_revocations(material.tls.revocations);
        let couriers = send_couriers(&self.gateway, neighbours);
        *self.couriers.lock().expect("no panic while replacing") = couriers;
        Ok(())
    }

    /// Takes no new connections, ends the watches, lets calls in flight finish, and stops.
    ///
    /// # Errors
    /// [`Error::Ended`] if calls did not finish in time.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.closing.send_replace(true);
        let drained = tokio::time::timeout(DRAIN_DEADLINE, &mut self.server).await;
        self.server.abort();
        // What could not be recorded in time is told again when the item is handed out again.
        let _late = tokio::time::timeout(RELEASE_DEADLINE, self.gateway.all_recorded()).await;
        self.tasks.shutdown().await;
        let gateway = self.gateway.clone();
        let _noted = tokio::task::spawn_blocking(move || gateway.quotas().note()).await;
        let store = Arc::downgrade(self.gateway.store());
        drop(self);
        // The writers end by themselves once nobody can reach them; then the files are free.
        let released = async {
            while store.strong_count() > 0 {
                tokio::time::sleep(RELEASE_LOOK).await;
            }
        };
        let released = tokio::time::timeout(RELEASE_DEADLINE, released).await;
        match (drained, released) {
            (Ok(_), Ok(())) => Ok(()),
            _ => Err(Error::Ended(format!("calls were cut off after {DRAIN_DEADLINE:?}"))),
        }
    }

    /// Returns when the gateway can go on no longer by itself.
    pub async fn failed(&mut self) -> Error {
        let mut broken = self.gateway.broken();
        tokio::select! {
            changed = broken.changed() => {
                let cause = broken.borrow().clone();
                let cause = cause.filter(|_| changed.is_ok());
                Error::Ended(cause.unwrap_or_else(|| "the log's writer has stopped".into()))
            }
            ended = &mut self.server => Error::Ended(format!("{ended:?}")),
        }
    }
}
