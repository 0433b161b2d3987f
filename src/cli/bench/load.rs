//! The clients: each has a connection and one submission under way at any time, no document twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::transport::Channel;

use crate::cli::Failure;
use crate::client;
use crate::clock::{Clock as _, SystemClock};
use crate::digest::{Hasher, Sha256};
use crate::proto::v1;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;
use crate::workshop::pki::DevPki;
use crate::workshop::{page, sign};

/// White space behind the document that makes each copy another one; a signature over the whole
/// file allows it.
const MARK_SIZE: usize = 64;
/// Progress is told this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Connects as a system.
pub(super) async fn connect(
    pki: &DevPki,
    system: &str,
    address: SocketAddr,
) -> Result<Channel, Failure> {
    let identity = pki.system(system).map_err(Failure::other)?;
    let ca = pki.file("tls/ca.pem").map_err(Failure::other)?;
    let server = format!("https://localhost:{}", address.port());
    let (cert, key) = (identity.chain_pem(), identity.key_pem());
    Ok(client::connect(&server, ca, cert.as_bytes(), key.as_bytes()).await?)
}

/// Signed documents and who sends them.
pub(super) struct Load<'a> {
    pki: &'a DevPki,
    clients: usize,
    document: Arc<[u8]>,
    hashed: Hasher,
}

impl<'a> Load<'a> {
    /// Signs a document of at least `size` bytes with an officer's key and a seal.
    pub(super) fn prepare(pki: &'a DevPki, clients: usize, size: usize) -> Result<Self, Failure> {
        let now = SystemClock.now();
        // Two signatures add about 18 KiB.
        let page = page::pdf("Báo cáo", &["Báo cáo"], size.saturating_sub(19_000));
        let officer = pki.officer("H49.151").map_err(Failure::other)?;
        let seal = pki.seal("H49.151").map_err(Failure::other)?;
        let signed = sign::pdf(&page, &officer, &sign::Options::new("Officer", now));
        let signed =
            sign::pdf(&signed.map_err(Failure::other)?, &seal, &sign::Options::new("Seal", now));
        let document: Arc<[u8]> = signed.map_err(Failure::other)?.into();
        let mut hashed = Hasher::default();
        hashed.update(&document);
        Ok(Self { pki, clients, document, hashed })
    }

    /// Bytes of one document as it is sent.
    pub(super) fn document_size(&self) -> usize {
        self.document.len() + MARK_SIZE
    }

    /// The signed document.
    pub(super) fn document(&self) -> &[u8] {
        &self.document
    }

    /// Submits for as long as `duration`.
    pub(super) async fn run(
        &self,
        address: SocketAddr,
        duration: Duration,
    ) -> Result<Figures, Failure> {
        let mut clients = Vec::with_capacity(self.clients);
        for _ in 0..self.clients {
            clients.push(connect(self.pki, "commune", address).await?);
        }
        let start = Instant::now();
        let mut tasks = Vec::with_capacity(clients.len());
        for (number, channel) in clients.into_iter().enumerate() {
            let client = Client {
                stub: SubmissionServiceClient::new(channel),
                document: self.document.clone(),
                hashed: self.hashed.clone(),
                number,
            };
            tasks.push(tokio::spawn(client.run(start, duration)));
        }
        let mut told = start;
        while start.elapsed() < duration {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if told.elapsed() >= PROGRESS_EVERY {
                told = Instant::now();
                eprintln!("{} s", start.elapsed().as_secs());
            }
        }
        let mut calls = Vec::new();
        for task in tasks {
            calls.extend(task.await.map_err(Failure::other)??);
        }
        Ok(Figures { calls, duration })
    }
}

struct Client {
    stub: SubmissionServiceClient<Channel>,
    document: Arc<[u8]>,
    hashed: Hasher,
    number: usize,
}

/// One answered call: when it ended and how long it took.
#[derive(Debug, Clone, Copy)]
struct Call {
    ended: Duration,
    took: Duration,
}

impl Client {
    async fn run(mut self, start: Instant, duration: Duration) -> Result<Vec<Call>, tonic::Status> {
        let mut calls = Vec::new();
        let mut count = 0u32;
        while start.elapsed() < duration {
            let request = self.request(count);
            count += 1;
            let begun = Instant::now();
            self.stub.submit_document(request).await?;
            calls.push(Call { ended: start.elapsed(), took: begun.elapsed() });
        }
        Ok(calls)
    }

    fn request(&self, count: u32) -> v1::SubmitDocumentRequest {
        let mark = mark(u32::try_from(self.number).unwrap_or(0), count);
        let mut hasher = self.hashed.clone();
        hasher.update(&mark);
        let mut bytes = Vec::with_capacity(self.document.len() + MARK_SIZE);
        bytes.extend_from_slice(&self.document);
        bytes.extend_from_slice(&mark);
        let envelope = envelope(self.number, count, bytes.len(), hasher.finish());
        v1::SubmitDocumentRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            envelope: crate::service::envelope_bytes(&envelope).into(),
            parts: vec![Bytes::from(bytes)],
            validate_only: false,
        }
    }
}

/// Two numbers in blanks and line feeds.
fn mark(number: u32, count: u32) -> [u8; MARK_SIZE] {
    let both = u64::from(number) << 32 | u64::from(count);
    std::array::from_fn(|bit| if both >> bit & 1 == 1 { b'\n' } else { b' ' })
}

fn envelope(number: usize, count: u32, size: usize, digest: Sha256) -> v1::Envelope {
    let today = SystemClock.now().date_in_vietnam();
    v1::Envelope {
        document_id: format!("H49.151,{today},{number}-{count}/BC"),
        number: format!("{number}-{count}"),
        notation: "BC-UBND".to_owned(),
        type_name: "Báo cáo".to_owned(),
        subject: "Báo cáo".to_owned(),
        issue_date: Some(v1::Date {
            year: today.year().into(),
            month: today.month().into(),
            day: today.day().into(),
        }),
        urgency: v1::Urgency::Normal.into(),
        secrecy: v1::Secrecy::None.into(),
        form: v1::Form::Original.into(),
        sender: "H49.151".to_owned(),
        recipients: vec!["H49.11".to_owned()],
        parts: vec![v1::Part {
            name: "bao-cao.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: size as u64,
            sha256: Bytes::copy_from_slice(&digest.0),
            role: v1::PartRole::Main.into(),
            signs: String::new(),
        }],
        ..v1::Envelope::default()
    }
}

/// What was measured.
pub(super) struct Figures {
    calls: Vec<Call>,
    duration: Duration,
}

impl Figures {
    /// Calls answered.
    pub(super) fn count(&self) -> usize {
        self.calls.len()
    }

    /// Calls per second.
    pub(super) fn rate(&self) -> f64 {
        self.calls.len() as f64 / self.duration.as_secs_f64()
    }

    /// Calls per second in the first and in the last `edge` of the run, or halves of a short run.
    pub(super) fn edges(&self, edge: Duration) -> (f64, f64) {
        let edge = edge.min(self.duration / 2);
        let rate = |from: Duration, to: Duration| {
            let within = self.calls.iter().filter(|call| from <= call.ended && call.ended < to);
            within.count() as f64 / edge.as_secs_f64()
        };
        (rate(Duration::ZERO, edge), rate(self.duration - edge, self.duration))
    }

    /// Median, 99th percentile and maximum, in milliseconds.
    pub(super) fn latencies(&self) -> [f64; 3] {
        percentiles(self.calls.iter().map(|call| call.took).collect())
    }
}

/// Median, 99th percentile and maximum, in milliseconds.
pub(super) fn percentiles(mut took: Vec<Duration>) -> [f64; 3] {
    took.sort();
    let at = |part: f64| {
        let index = (took.len() as f64 * part) as usize;
        took.get(index.min(took.len().saturating_sub(1))).map_or(0.0, |one| one.as_secs_f64() * 1e3)
    };
    [at(0.5), at(0.99), at(1.0)]
}
