//! Watching the gateway run: metrics of every call under the names that dashboards know, and the
//! loopback pages `/metrics`, `/healthz`, `/readyz` and `/indicators.json`.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use prost::Message as _;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::clock::Time;
use crate::document::Urgency;
use crate::dossier::State;
use crate::gateway::Overview;
use crate::proto::{DESCRIPTORS, v1};
use crate::statistics::Standing;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    grpc_service: String,
    grpc_method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handled {
    grpc_service: String,
    grpc_method: String,
    grpc_code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    witness: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Graded {
    grade: u32,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    handled: Family<Handled, Counter>,
    seconds: Family<Call, Histogram, fn() -> Histogram>,
    log_entries: Gauge,
    log_epoch: Gauge,
    witness_requests: Family<Asked, Counter>,
    witness_seconds: Histogram,
    witnessed_entries: Gauge,
    witnessed_epoch: Gauge,
    forks: Gauge,
    oldest_waiting: Family<Lane, Gauge>,
    set_aside: Gauge,
    dossiers: Family<InState, Gauge>,
    dossiers_late: Gauge,
    satisfaction: Family<Graded, Gauge>,
}

/// From a quarter of a millisecond to about eight seconds.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let handled = Family::<Handled, Counter>::default();
        let seconds = Family::<Call, Histogram, fn() -> Histogram>::new_with_constructor(buckets);
        registry.register("grpc_server_handled", "Calls answered", handled.clone());
        registry.register("grpc_server_handling_seconds", "Time to the answer", seconds.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let log_entries = gauge("vanthu_log_entries", "Entries in the open epoch");
        let log_epoch = gauge("vanthu_log_epoch", "The open epoch");
        let witnessed_entries =
            gauge("vanthu_witnessed_entries", "Entries that a quorum of witnesses has seen");
        let witnessed_epoch = gauge("vanthu_witnessed_epoch", "The epoch that they belong to");
        let forks = gauge("vanthu_neighbour_forks", "Kept proofs of forks of neighbours' logs");
        let set_aside =
            gauge("vanthu_items_set_aside", "Waiting items that were handed out too often");
        let dossiers_late =
            gauge("vanthu_dossiers_late", "Dossiers that have not ended and are late");
        let oldest_waiting = Family::<Lane, Gauge>::default();
        registry.register(
            "vanthu_oldest_waiting_seconds",
            "Age of what has waited longest in any mailbox",
            oldest_waiting.clone(),
        );
        let dossiers = Family::<InState, Gauge>::default();
        registry.register("vanthu_dossiers", "Dossiers by state", dossiers.clone());
        let satisfaction = Family::<Graded, Gauge>::default();
        registry.register(
            "vanthu_dossier_grades",
            "Grades that citizens gave to the dossiers of this year, 5 is the best",
            satisfaction.clone(),
        );
        let (witness_requests, witness_seconds) = (Family::<Asked, Counter>::default(), buckets());
        registry.register(
            "vanthu_witness_requests",
            "Rounds with each witness, by how they ended",
            witness_requests.clone(),
        );
        registry.register(
            "vanthu_witness_seconds",
            "Time that a witness took in a round",
            witness_seconds.clone(),
        );
        Self {
            registry,
            handled,
            seconds,
            log_entries,
            log_epoch,
            witness_requests,
            witness_seconds,
            witnessed_entries,
            witnessed_epoch,
            forks,
            oldest_waiting,
            set_aside,
            dossiers,
            dossiers_late,
            satisfaction,
        }
    }
}

impl crate::courier::Observer for Metrics {
    fn asked(&self, witness: &str, outcome: &'static str, took: Duration) {
        let asked = Asked { witness: witness.to_owned(), outcome };
        self.witness_requests.get_or_create(&asked).inc();
        self.witness_seconds.observe(took.as_secs_f64());
    }

    fn witnessed(&self, epoch: u32, size: u64) {
        self.witnessed_epoch.set(epoch.into());
        self.witnessed_entries.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
}

impl Metrics {
    /// Notes where the log ends.
    pub fn note_head(&self, epoch: u32, size: u64) {
        self.log_epoch.set(epoch.into());
        self.log_entries.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    /// Notes how many forks of neighbours are known.
    pub fn note_forks(&self, forks: u64) {
        self.forks.set(i64::try_from(forks).unwrap_or(i64::MAX));
    }

    /// Notes what waits in the mailboxes; 0 seconds where nothing does.
    pub fn note_backlog(&self, overview: &Overview, now: Time) {
        for ((lane, _), since) in Urgency::WORDS.iter().zip(overview.oldest) {
            let age = since.map_or(0, |since| now.since(since).as_secs());
            let gauge = self.oldest_waiting.get_or_create(&Lane { lane });
            gauge.set(i64::try_from(age).unwrap_or(i64::MAX));
        }
        self.set_aside.set(i64::try_from(overview.set_aside).unwrap_or(i64::MAX));
    }

    /// Notes how all dossiers stand.
    pub fn note_dossiers(&self, standing: &Standing) {
        let wide = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for ((_, state), count) in State::NUMBERS.iter().zip(standing.states) {
            self.dossiers.get_or_create(&InState { state: word_of(*state) }).set(wide(count));
        }
        self.dossiers_late.set(wide(standing.late));
        for (grade, count) in (1..).zip(standing.year.grades) {
            self.satisfaction.get_or_create(&Graded { grade }).set(wide(count));
        }
    }

    /// The metrics in OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }

    fn count(&self, call: &Call, code: &str, since: Instant) {
        let handled = Handled {
            grpc_service: call.grpc_service.clone(),
            grpc_method: call.grpc_method.clone(),
            grpc_code: code.to_owned(),
        };
        self.handled.get_or_create(&handled).inc();
        self.seconds.get_or_create(call).observe(since.elapsed().as_secs_f64());
    }
}

/// The name of a state, as dashboards write it: `in_process`.
pub fn word_of(state: State) -> String {
    let number = i32::try_from(state.number()).unwrap_or(0);
    let name = v1::DossierState::try_from(number).unwrap_or_default().as_str_name();
    name.trim_start_matches("DOSSIER_STATE_").to_lowercase()
}

/// Counts calls.
#[derive(Debug, Clone)]
pub struct MetricsLayer(pub Arc<Metrics>);

impl<S> Layer<S> for MetricsLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = call_of(request.uri().path());
        let metrics = self.metrics.clone();
        let since = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let Some(call) = call else { return Ok(response) };
            if let Some(code) = code_of(response.headers()) {
                metrics.count(&call, code, since);
                return Ok(response);
            }
            Ok(response
                .map(|body| Body::new(CountedBody { body, call, metrics, since, done: false })))
        })
    }
}

/// Service and method of a path that is one of ours; others would let a caller make labels.
fn call_of(path: &str) -> Option<Call> {
    static METHODS: LazyLock<HashSet<(String, String)>> = LazyLock::new(methods);
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let call = (service.to_owned(), method.to_owned());
    let (grpc_service, grpc_method) = METHODS.get(&call)?.clone();
    Some(Call { grpc_service, grpc_method })
}

/// Every method of every service of ours.
fn methods() -> HashSet<(String, String)> {
    let descriptors = prost_types::FileDescriptorSet::decode(DESCRIPTORS);
    let mut methods = HashSet::new();
    for file in descriptors.expect("the build made them").file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            methods.extend(service.method.iter().map(|it| (name.clone(), it.name().to_owned())));
        }
    }
    methods
}

fn code_of(headers: &HeaderMap) -> Option<&'static str> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse::<i32>().ok()?;
    Some(match tonic::Code::from(code) {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "Canceled",
        tonic::Code::Unknown => "Unknown",
        tonic::Code::InvalidArgument => "InvalidArgument",
        tonic::Code::DeadlineExceeded => "DeadlineExceeded",
        tonic::Code::NotFound => "NotFound",
        tonic::Code::AlreadyExists => "AlreadyExists",
        tonic::Code::PermissionDenied => "PermissionDenied",
        tonic::Code::ResourceExhausted => "ResourceExhausted",
        tonic::Code::FailedPrecondition => "FailedPrecondition",
        tonic::Code::Aborted => "Aborted",
        tonic::Code::OutOfRange => "OutOfRange",
        tonic::Code::Unimplemented => "Unimplemented",
        tonic::Code::Internal => "Internal",
        tonic::Code::Unavailable => "Unavailable",
        tonic::Code::DataLoss => "DataLoss",
        tonic::Code::Unauthenticated => "Unauthenticated",
    })
}

/// A body whose trailers tell how the call ended.
struct CountedBody {
    body: Body,
    call: Call,
    metrics: Arc<Metrics>,
    since: Instant,
    done: bool,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.done = true;
            self.metrics.count(&self.call, code_of(trailers).unwrap_or("Unknown"), self.since);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        if !self.done {
            self.metrics.count(&self.call, "Canceled", self.since);
        }
    }
}

/// Traces to stderr; `RUST_LOG` chooses what, JSON if stderr is no terminal.
pub fn start_traces() {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let traces = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _already = match std::io::stderr().is_terminal() {
        true => traces.try_init(),
        false => traces.json().try_init(),
    };
}
