//! What a directory for a nation costs: to load, to keep, to ask, to route by, and to replace while
//! documents come.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{self, Figures, Load};
use super::process::{Gateway, resident_memory};
use crate::cli::{Exit, Failure, Output};
use crate::clock::{Clock as _, Date, SystemClock};
use crate::config::read_directory;
use crate::digest::Sha256;
use crate::directory::{Code, Directory};
use crate::document::{Draft, Envelope, Form, PartDraft, PartRole, Urgency};
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;
use crate::routing;
use crate::workshop::profile::Profile;

/// How long look-ups and routes are counted.
const COUNTED: Duration = Duration::from_secs(2);
/// How long documents are submitted without and with reloads.
const SUBMITTED: Duration = Duration::from_secs(10);
/// Clients that submit.
const CLIENTS: usize = 8;
/// Size of a document.
const DOCUMENT: usize = 32 * 1024;
/// Reloads while they submit.
const RELOADS: usize = 4;
/// How long a reload may take before the benchmark gives up.
const RELOAD_DEADLINE: Duration = Duration::from_secs(30);

/// Runs it with so many agencies.
///
/// # Errors
/// If anything does not work; slow is no error.
pub(super) async fn run(folder: &Path, count: usize, output: Output) -> Result<Exit, Failure> {
    let pki_folder = folder.join("pki");
    let made = tokio::task::spawn_blocking({
        let pki_folder = pki_folder.clone();
        move || crate::cli::certs::make(&Profile::built_in().with_p256_keys(), &pki_folder)
    });
    let pki = made.await.map_err(Failure::other)??;
    let file = pki_folder.join("directory.toml");
    let text = std::fs::read_to_string(&file).map_err(|error| Failure::file(&file, error))?;
    let text = format!("approved_by = \"vanthu bench\"\nagencies = [\"nation.csv\"]\n{text}");
    write(&file, &text)?;
    let (records, codes) = nation(count);
    write(&pki_folder.join("nation.csv"), &records)?;

    let before = resident_memory();
    let begun = Instant::now();
    let directory = read_directory(&file)?.directory;
    let load = begun.elapsed();
    let memory = resident_memory().saturating_sub(before);
    let begun = Instant::now();
    let canonical = directory.canonical();
    let digest = Sha256::of(&canonical);
    let canonical_took = begun.elapsed();
    let today = SystemClock.now().date_in_vietnam();
    let lookups = rate(&codes, |code| directory.at(code, today).is_some());
    let routes = routes(&directory, &codes, today)?;

    let documents = Load::prepare(&pki, CLIENTS, DOCUMENT)?;
    let gateway = Gateway::start(&pki_folder, &["serve", "--config"])?;
    let quiet = documents.run(gateway.address(), SUBMITTED).await?;
    let channel = load::connect(&pki, "auditor", gateway.address()).await?;
    let reloads = reload(&pki_folder, &gateway, DirectoryServiceClient::new(channel), &records);
    let (busy, reloads) = tokio::join!(documents.run(gateway.address(), SUBMITTED), reloads);
    let (busy, reloads) = (busy?, reloads?);
    let peak = gateway.peak_memory();
    gateway.stop()?;

    let mib = |bytes: u64| (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0;
    let milliseconds = |took: &Duration| (took.as_secs_f64() * 1e4).round() / 10.0;
    let value = json!({
        "agencies": directory.agencies().len(),
        "load_ms": milliseconds(&load),
        "memory_mib": mib(memory),
        "canonical_ms": milliseconds(&canonical_took),
        "canonical_mib": mib(canonical.len() as u64),
        "digest": digest.to_string(),
        "lookups_per_second": lookups.round(),
        "routes_per_second": routes.round(),
        "reload_ms": reloads.iter().map(milliseconds).collect::<Vec<_>>(),
        "submissions_quiet": figures(&quiet),
        "submissions_during_reloads": figures(&busy),
        "gateway_peak_mib": mib(peak),
    });
    match output {
        Output::Json => println!("{value}"),
        Output::Text => println!("{value:#}"),
    }
    Ok(Exit::Ok)
}

fn figures(figures: &Figures) -> serde_json::Value {
    let [median, p99, max] = figures.latencies().map(|ms| (ms * 10.0).round() / 10.0);
    json!({ "per_second": figures.rate().round(), "p50_ms": median, "p99_ms": p99, "max_ms": max })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::file(path, error))
}

/// Provinces with a hundred communes each, and what is below them; every tenth of these was closed in
/// favour of the one before it.
fn nation(count: usize) -> (String, Vec<Code>) {
    let mut text = String::from(
        "code,name,level,parent,kind,valid_from,valid_until,successors,succession,host\n",
    );
    let mut codes: Vec<Code> = Vec::with_capacity(count);
    let (mut province, mut commune, mut unit) = (0, 0, 0);
    let mut before = String::new();
    for _ in 0..count {
        let (code, level, parent) = match (commune, unit) {
            (0, _) => (format!("N{province:02}"), 1, String::new()),
            (_, 0) => (format!("N{province:02}.{commune:03}"), 2, format!("N{province:02}")),
            _ => {
                let parent = format!("N{province:02}.{commune:03}");
                (format!("{parent}.{unit:02}"), 3, parent)
            }
        };
        let closed = level == 3 && unit % 10 == 9;
        let ending = if closed { format!("2025-06-30,{before},forward") } else { ",,".into() };
        let name = format!("Cơ quan hành chính số {code}");
        writeln!(text, "{code},{name},{level},{parent},state,2020-07-22,{ending},commune")
            .expect("a string takes everything");
        codes.extend(Code::parse(&code));
        before = code;
        match (commune, unit) {
            (0, _) => commune = 1,
            (100, 34) => (province, commune, unit) = (province + 1, 0, 0),
            (_, 34) => (commune, unit) = (commune + 1, 0),
            _ => unit += 1,
        }
    }
    (text, codes)
}

/// How many codes a second, in an order that no cache foresees.
fn rate(codes: &[Code], ask: impl Fn(&Code) -> bool) -> f64 {
    /// A prime larger than any directory: steps through it visit every code.
    const STEP: usize = 1_000_003;
    let (mut at, mut asked, mut found) = (0, 0_u64, 0_u64);
    let begun = Instant::now();
    while begun.elapsed() < COUNTED {
        for _ in 0..1_000 {
            at = (at + STEP) % codes.len();
            found += u64::from(ask(&codes[at]));
        }
        asked += 1_000;
    }
    assert_eq!(asked, found, "every code is in the directory");
    asked as f64 / begun.elapsed().as_secs_f64()
}

fn routes(directory: &Directory, codes: &[Code], today: Date) -> Result<f64, Failure> {
    let envelopes: Result<Vec<_>, _> =
        codes.iter().step_by(7).map(|to| envelope(to, today)).collect();
    let envelopes = envelopes.map_err(Failure::other)?;
    let (mut at, mut routed) = (0, 0_u64);
    let begun = Instant::now();
    while begun.elapsed() < COUNTED {
        for _ in 0..100 {
            at = (at + 7_919) % envelopes.len();
            routing::route(directory, today, &envelopes[at]).map_err(Failure::other)?;
        }
        routed += 100;
    }
    Ok(routed as f64 / begun.elapsed().as_secs_f64())
}

fn envelope(to: &Code, today: Date) -> Result<Envelope, crate::refusal::Refusal> {
    let date = (
        today.year().into(),
        today.month().unsigned_abs().into(),
        today.day().unsigned_abs().into(),
    );
    let part = PartDraft {
        name: "a.pdf".into(),
        media_type: "application/pdf".into(),
        size: 1,
        digest: Sha256::of(b"a").0.to_vec(),
        role: Some(PartRole::Main),
        signs: String::new(),
    };
    let draft = Draft {
        document_id: "1".into(),
        type_name: "Công văn".into(),
        subject: "Về việc".into(),
        issue_date: Some(date),
        urgency: Some(Urgency::Normal),
        form: Some(Form::Original),
        sender: "H49".into(),
        recipients: vec![to.to_string()],
        parts: vec![part],
        ..Draft::default()
    };
    Envelope::read(bytes::Bytes::new(), draft, today)
}

/// Reloads, each with one agency more, and how long until it is there.
async fn reload(
    pki: &Path,
    gateway: &Gateway,
    mut client: DirectoryServiceClient<tonic::transport::Channel>,
    records: &str,
) -> Result<Vec<Duration>, Failure> {
    let mut records = records.to_owned();
    let mut took = Vec::new();
    for number in 0..RELOADS {
        tokio::time::sleep(SUBMITTED / 10).await;
        let code = format!("NEW.{number}");
        writeln!(records, "{code},Mới,1,,state,2020-07-22,,,,").expect("a string takes everything");
        write(&pki.join("nation.csv"), &records)?;
        let begun = Instant::now();
        gateway.hang_up()?;
        loop {
            let request = v1::GetAgencyRequest { code: code.clone(), date: None };
            match client.get_agency(request).await {
                Ok(_) => break,
                Err(status) if begun.elapsed() > RELOAD_DEADLINE => return Err(status.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        took.push(begun.elapsed());
    }
    Ok(took)
}
