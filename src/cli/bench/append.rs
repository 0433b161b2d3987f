//! Whether an append costs the same in a long log as in a short one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::{own_cpu_time, peak_memory};
use bytes::Bytes;

use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::config::{Config, Material, log_key};
use crate::digest::Sha256;
use crate::directory::{Role, SystemId};
use crate::document::{ConsignmentId, RequestId};
use crate::gateway::{Answer, Bodies, Gateway, Peer, Setup, Submission};
use crate::log::{Entry, Status};
use crate::proto::v1;
use crate::store::content::ContentStore;
use crate::store::guard::FileGuard;
use crate::store::sled;
use crate::workshop::profile::Profile;

/// Size of the short log.
const SHORT: u64 = 1_000;
/// Rounds, in each of which a new short log and the long one are measured one after the other: the
/// machine's speed drifts more than the two differ.
const ROUNDS: u64 = 15;
/// Submissions measured in a log in a round.
const MEASURED: u64 = 4_096;
/// Submissions and reports under way at once.
const AT_ONCE: usize = 64;
/// Reports under way at once while the log is filled.
const FILLING_AT_ONCE: usize = 512;

/// Fills a log in this process and measures submissions in it and in short ones beside it; then
/// audits it.
pub(super) async fn run(
    folder: &Path,
    entries: u64,
    cache_mib: Option<u64>,
    output: Output,
) -> Result<Exit, Failure> {
    let pki = folder.join("pki");
    crate::cli::certs::make(&Profile::built_in().with_p256_keys(), &pki)?;
    let mut config = Config::read(&pki.join("vanthu.toml"))?;
    config.cache_mib = cache_mib.unwrap_or(config.cache_mib);
    let long_data = config.data.clone();

    let long = Site::open(&config).await?;
    long.fill(entries).await?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        config.data = folder.join(format!("short-{round}"));
        let short = Site::open(&config).await?;
        short.fill(SHORT).await?;
        // In turn, so that neither is always the second.
        let measured = if round % 2 == 0 {
            let first = short.measure(round).await?;
            (first, long.measure(round).await?)
        } else {
            let first = long.measure(round).await?;
            (short.measure(round).await?, first)
        };
        rounds.push(measured);
        drop(short);
        std::fs::remove_dir_all(&config.data)
            .map_err(|error| Failure::file(&config.data, error))?;
    }
    let size = long.size()?;
    let memory = peak_memory("/proc/self/status");
    drop(long);
    let audit = audit(&pki.join("log.vkey"), &long_data)?;
    print(&Measured { size, rounds, memory, audit }, output);
    Ok(Exit::Ok)
}

/// What one submission took, of many under way.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// By the clock: waits for the disk included, whose speed drifts most.
    us: f64,
    /// Of all processors.
    processor_us: f64,
}

/// What was measured.
struct Measured {
    size: u64,
    /// In the short and in the long log.
    rounds: Vec<(Cost, Cost)>,
    memory: u64,
    audit: Value,
}

impl Measured {
    /// Median of one figure of all rounds, in the short and in the long log.
    fn medians(&self, figure: impl Fn(&Cost) -> f64) -> (f64, f64) {
        let short = self.rounds.iter().map(|(short, _)| figure(short));
        let long = self.rounds.iter().map(|(_, long)| figure(long));
        (quartiles(short)[1], quartiles(long)[1])
    }

    /// Quartiles of the ratio of one figure, long to short, over the rounds.
    fn ratios(&self, figure: impl Fn(&Cost) -> f64) -> [f64; 3] {
        quartiles(self.rounds.iter().map(|(short, long)| figure(long) / figure(short)))
    }
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

fn print(measured: &Measured, output: Output) {
    let Measured { size, memory, audit, .. } = measured;
    let (short, long) = measured.medians(|cost| cost.us);
    let (short_processor, long_processor) = measured.medians(|cost| cost.processor_us);
    let [low, ratio, high] = measured.ratios(|cost| cost.us);
    let [processor_low, processor, processor_high] = measured.ratios(|cost| cost.processor_us);
    let (audit_rate, audit_memory) = (&audit["entries_per_second"], &audit["peak_memory_bytes"]);
    if output == Output::Json {
        let value = json!({
            "entries": size,
            "append_us_short": short,
            "append_us_long": long,
            "append_processor_us_short": short_processor,
            "append_processor_us_long": long_processor,
            "long_to_short": ratio,
            "long_to_short_quartiles": [low, high],
            "long_to_short_processor": processor,
            "long_to_short_processor_quartiles": [processor_low, processor_high],
            "audit_entries_per_second": audit_rate,
            "audit_peak_memory_bytes": audit_memory,
            "writer_peak_memory_bytes": memory,
        });
        println!("{value}");
        return;
    }
    println!(
        "submission at {SHORT:>9} entries   {short:>8.1} us, processors {short_processor:.1} us"
    );
    println!("submission at {size:>9} entries   {long:>8.1} us, processors {long_processor:.1} us");
    println!("ratio of times, quartiles          {low:>8.2} {ratio:.2} {high:.2}");
    println!(
        "ratio of processor times           {processor_low:>8.2} {processor:.2} {processor_high:.2}"
    );
    let (rate, used) = (audit_rate.as_f64(), audit_memory.as_u64());
    println!("audit                              {:>8.0} entries/s", rate.unwrap_or_default());
    println!("audit peak memory                  {:>8} MiB", used.unwrap_or_default() >> 20);
    println!("writer peak memory                 {:>8} MiB", memory >> 20);
}

/// Audits the log as an auditor does: by a process of its own that has the key and the folder.
fn audit(key: &Path, data: &Path) -> Result<Value, Failure> {
    let program = std::env::current_exe().map_err(Failure::other)?;
    let mut command = Command::new(program);
    command.args(["--output", "json", "log", "audit", "--key"]).arg(key).arg("--data").arg(data);
    let done = command.stderr(Stdio::inherit()).output().map_err(Failure::other)?;
    let report = serde_json::from_slice(&done.stdout).map_err(Failure::other)?;
    match done.status.success() {
        true => Ok(report),
        false => Err(Failure::other(format!("the log does not hold: {report}"))),
    }
}

fn peer(system: &str, role: Role) -> Peer {
    Peer {
        system: SystemId::parse(system).expect("a well-formed name"),
        role,
        certificate: Sha256::of(system.as_bytes()),
        der: Arc::from(system.as_bytes()),
    }
}

/// A log with its gateway, and a document in it that can be reported on.
struct Site {
    gateway: Arc<Gateway>,
    consignment: ConsignmentId,
}

impl Site {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let store = sled::open(&config.data, config.cache_mib << 20).map_err(Failure::other)?;
        let now = crate::clock::Clock::now(&SystemClock);
        let contents = ContentStore::open(&config.data.join("content"), now);
        let setup = Setup {
            store: Arc::new(store),
            contents: Arc::new(contents.map_err(Failure::other)?),
            guard: Arc::new(FileGuard::open(&config.data).map_err(Failure::other)?),
            clock: Arc::new(SystemClock),
            key: log_key(config)?,
            name: config.name.clone(),
            epoch_entries: config.log.epoch_entries,
        };
        let surroundings = Material::read(config)?.surroundings;
        let gateway = Gateway::start(setup, surroundings);
        let gateway = Arc::new(gateway.map_err(Failure::other)?);
        let consignment = submit(&gateway, 0).await?;
        Ok(Self { gateway, consignment })
    }

    fn size(&self) -> Result<u64, Failure> {
        Ok(self.gateway.store().head().map_err(Failure::other)?.size)
    }

    /// Adds status reports until the log has `entries`.
    async fn fill(&self, entries: u64) -> Result<(), Failure> {
        let mut reports = tokio::task::JoinSet::new();
        loop {
            let missing = usize::try_from(entries.saturating_sub(self.size()?)).unwrap_or(0);
            if missing == 0 {
                return Ok(());
            }
            for _ in 0..missing.min(FILLING_AT_ONCE) {
                let (gateway, consignment) = (self.gateway.clone(), self.consignment);
                reports.spawn(async move {
                    let answer = Answer {
                        agency: crate::directory::Code::parse("H49.11").expect("a code"),
                        consignment,
                        token: None,
                        status: Status::InProgress,
                        note: String::new(),
                    };
                    gateway.answer(&peer("province", Role::Agency), answer).await.map(drop)
                });
            }
            while let Some(reported) = reports.join_next().await {
                reported.map_err(Failure::other)?.map_err(Failure::other)?;
            }
        }
    }

    /// The cost of one submission, of many under way.
    async fn measure(&self, round: u64) -> Result<Cost, Failure> {
        let processor = own_cpu_time();
        let since = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        let first = 1 + round * MEASURED;
        for number in first..first + MEASURED {
            if tasks.len() >= AT_ONCE
                && let Some(done) = tasks.join_next().await
            {
                done.map_err(Failure::other)??;
            }
            let gateway = self.gateway.clone();
            tasks.spawn(async move { submit(&gateway, number).await.map(drop) });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(Failure::other)??;
        }
        let each = |time: Duration| time.as_secs_f64() * 1e6 / MEASURED as f64;
        let us = each(since.elapsed());
        Ok(Cost { us, processor_us: each(own_cpu_time().saturating_sub(processor)) })
    }
}

async fn submit(gateway: &Gateway, number: u64) -> Result<ConsignmentId, Failure> {
    let body = Bytes::from(format!("document {number}"));
    let wire = v1::Envelope {
        document_id: format!("bench,{number}"),
        number: number.to_string(),
        type_name: "Công văn".to_owned(),
        subject: "Bench".to_owned(),
        issue_date: Some(v1::Date { year: 2026, month: 1, day: 2 }),
        urgency: v1::Urgency::Normal.into(),
        secrecy: v1::Secrecy::None.into(),
        form: v1::Form::Original.into(),
        sender: "H49.151".to_owned(),
        recipients: vec!["H49.11".to_owned()],
        parts: vec![v1::Part {
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size: body.len() as u64,
            sha256: Bytes::copy_from_slice(&Sha256::of(&body).0),
            role: v1::PartRole::Main.into(),
            signs: String::new(),
        }],
        ..v1::Envelope::default()
    };
    let bytes = Bytes::from(crate::service::envelope_bytes(&wire));
    let today = gateway.now().date_in_vietnam();
    let submission = Submission {
        request: RequestId(uuid::Uuid::new_v4()),
        envelope: crate::service::read_envelope(&bytes, today).map_err(Failure::other)?,
        bodies: Bodies::Inline(vec![body]),
    };
    let accepted = gateway.submit(&peer("commune", Role::Agency), submission).await;
    let accepted = accepted.map_err(Failure::other)?;
    let entry = Entry::from_leaf(&accepted.receipt.leaf).map_err(Failure::other)?;
    entry.consignment.ok_or_else(|| Failure::other("an acceptance without consignment"))
}
