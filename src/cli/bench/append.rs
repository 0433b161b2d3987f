//! Whether an append costs the same in a long log as in a short one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::process::peak_memory;
use bytes::Bytes;

use crate::cli::{Exit, Failure, Output};
use crate::clock::SystemClock;
use crate::config::{Config, Material, log_key};
use crate::digest::Sha256;
use crate::directory::{Role, SystemId};
use crate::document::{ConsignmentId, RequestId};
use crate::gateway::ports::LogStore as _;
use crate::gateway::{Answer, Bodies, Gateway, Peer, Setup, Submission};
use crate::log::{Entry, Status};
use crate::proto::v1;
use crate::store::content::ContentStore;
use crate::store::guard::FileGuard;
use crate::store::sled;
use crate::workshop::profile::Profile;

/// Size of the short log.
const SHORT: u64 = 1_000;
/// Submissions measured at each size.
const MEASURED: u64 = 4_096;
/// Submissions and reports under way at once.
const AT_ONCE: usize = 64;
/// Reports under way at once while the log is filled.
const FILLING_AT_ONCE: usize = 512;

/// Fills a log in this process and measures submissions in it when it is short and when it is long;
/// then audits it.
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
    let store = Arc::new(sled::open(&config.data, config.cache_mib << 20).map_err(Failure::other)?);
    let now = crate::clock::Clock::now(&SystemClock);
    let contents = ContentStore::open(&config.data.join("content"), now).map_err(Failure::other)?;
    let setup = Setup {
        store: store.clone(),
        contents: Arc::new(contents),
        guard: Arc::new(FileGuard::open(&config.data).map_err(Failure::other)?),
        clock: Arc::new(SystemClock),
        key: log_key(&config)?,
        name: config.name.clone(),
        epoch_entries: config.log.epoch_entries,
    };
    let surroundings = Material::read(&config)?.surroundings;
    let gateway = Gateway::start(setup, surroundings);
    let gateway = Arc::new(gateway.map_err(Failure::other)?);

    let consignment = submit(&gateway, 0).await?;
    fill(&gateway, consignment, SHORT).await?;
    let short = measure(&gateway, 1).await?;
    fill(&gateway, consignment, entries).await?;
    let long = measure(&gateway, 1 + MEASURED).await?;
    let size = store.head().map_err(Failure::other)?.size;
    let memory = peak_memory("/proc/self/status");
    drop((gateway, store));

    let audit = audit(&pki.join("log.vkey"), &config.data)?;
    let (audit_rate, audit_memory) = (&audit["entries_per_second"], &audit["peak_memory_bytes"]);
    if output == Output::Json {
        let value = json!({
            "entries": size,
            "append_us_short": short * 1e6,
            "append_us_long": long * 1e6,
            "long_to_short": long / short,
            "audit_entries_per_second": audit_rate,
            "audit_peak_memory_bytes": audit_memory,
            "writer_peak_memory_bytes": memory,
        });
        println!("{value}");
    } else {
        println!("submission at {SHORT:>9} entries   {:>8.1} us", short * 1e6);
        println!("submission at {size:>9} entries   {:>8.1} us", long * 1e6);
        println!("ratio                              {:>8.2}", long / short);
        let (rate, used) = (audit_rate.as_f64(), audit_memory.as_u64());
        println!("audit                              {:>8.0} entries/s", rate.unwrap_or_default());
        println!("audit peak memory                  {:>8} MiB", used.unwrap_or_default() >> 20);
        println!("writer peak memory                 {:>8} MiB", memory >> 20);
    }
    Ok(Exit::Ok)
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

/// Adds status reports until the log has `entries`.
async fn fill(gateway: &Arc<Gateway>, id: ConsignmentId, entries: u64) -> Result<(), Failure> {
    let mut reports = tokio::task::JoinSet::new();
    loop {
        let size = gateway.store().head().map_err(Failure::other)?.size;
        let missing = usize::try_from(entries.saturating_sub(size)).unwrap_or(0);
        if missing == 0 {
            return Ok(());
        }
        for _ in 0..missing.min(FILLING_AT_ONCE) {
            let gateway = gateway.clone();
            reports.spawn(async move {
                let answer = Answer {
                    agency: crate::directory::Code::parse("H49.11").expect("a code"),
                    consignment: id,
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

/// Seconds for one submission, of many under way.
async fn measure(gateway: &Arc<Gateway>, first: u64) -> Result<f64, Failure> {
    let since = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in first..first + MEASURED {
        if tasks.len() >= AT_ONCE
            && let Some(done) = tasks.join_next().await
        {
            done.map_err(Failure::other)??;
        }
        let gateway = gateway.clone();
        tasks.spawn(async move { submit(&gateway, number).await.map(drop) });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(Failure::other)??;
    }
    Ok(since.elapsed().as_secs_f64() / MEASURED as f64)
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
