//! A year of a province: its documents and dossiers through one gateway at full speed, then the year's
//! statistics.
//!
//! The clock of the gateway is that of the year, so that dates, reminders and lateness are those of a
//! calendar; the bytes, the disk and the proofs are real. Letters are unsigned: what judging a signature
//! costs has a benchmark of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::append::audit;
use super::letter::Letter;
use super::load::connect;
use super::nation;
use super::process::{Gateway as Process, folder_bytes, peak_memory};
use super::province::{Deed, Done, Job, Province, Totals};
use super::site::{open_at, peer, send};
use crate::calendar::Calendar;
use crate::cli::{Exit, Failure, Output};
use crate::clock::{Clock as _, Date, ManualClock, Time};
use crate::config::Config;
use crate::directory::{Code, Role};
use crate::document::{DossierCode, RequestId};
use crate::gateway::{Answer, DossierStep, Gateway};
use crate::log::Status;
use crate::proto::v1;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::proto::v1::report_service_client::ReportServiceClient;
use crate::workshop::pki::DevPki;

/// Communes of the province, of which any may hand a dossier to any other.
const COMMUNES: usize = 120;
/// Systems that host them.
const HOSTS: usize = 8;
/// The year: the first of these days to the day before the second. Its holidays are known, and every
/// agency of the benchmark exists.
const YEAR: [Date; 2] = [Date::constant(2025, 7, 1), Date::constant(2026, 7, 1)];
/// When a working day begins, and how long it is.
const MORNING: Duration = Duration::from_secs(7 * 3_600 + 1_800);
const DAY: Duration = Duration::from_secs(9 * 3_600);
/// Between two of these moments of a day the clock stands still.
const MOMENTS: usize = 24;
/// Calls under way at once.
const AT_ONCE: usize = 512;

/// Lets a year pass in which `documents` letters are sent, and as many dossiers opened as come with them.
pub(super) async fn run(
    folder: &Path,
    (documents, seed): (u64, u64),
    output: Output,
) -> Result<Exit, Failure> {
    let folder = folder.join("pki");
    let pki = nation::make(&folder, COMMUNES, HOSTS)?;
    let config = Config::read(&folder.join("vanthu.toml"))?;
    let calendar = Calendar::vietnam();
    let (pushed, expected) = push(&config, &calendar, (documents, seed)).await?;
    let content = folder_bytes(&config.data.join("content"))?;
    let log = folder_bytes(&config.data)?.saturating_sub(content);
    let since = Instant::now();
    let process = Process::start(&folder, &["serve", "--config"])?;
    let started = since.elapsed();
    let counted = statistics(&pki, &process, &expected).await?;
    let memory = process.peak_memory();
    process.stop()?;
    let audit = audit(&folder.join("log.vkey"), &["--data".as_ref(), config.data.as_ref()])?;
    let mut value = json!({
        "seed": seed,
        "documents": expected.documents,
        "deliveries": expected.deliveries,
        "dossiers": expected.dossiers,
        "steps": expected.steps,
        "log_bytes": log,
        "content_bytes": content,
        "start_ms": started.as_secs_f64() * 1e3,
        "gateway_peak_memory_bytes": memory,
        "audit_entries_per_second": audit["entries_per_second"],
        "audit_peak_memory_bytes": audit["peak_memory_bytes"],
        "audit_finds_nothing": audit["valid"],
    });
    for part in [pushed, counted] {
        if let (Value::Object(all), Value::Object(more)) = (&mut value, part) {
            all.extend(more);
        }
    }
    print(&value, output);
    Ok(Exit::Ok)
}

/// The year passes; what it took, and what was done in it.
async fn push(
    config: &Config,
    calendar: &Calendar,
    (documents, seed): (u64, u64),
) -> Result<(Value, Totals), Failure> {
    let [first, last] = YEAR;
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day < last);
    let working: Vec<Date> = days.filter(|day| calendar.is_working_day(*day)).collect();
    let morning = |day| Time::begin_in_vietnam(day).map_or(Time::LAST, |at| at.after(MORNING));
    let clock = Arc::new(ManualClock::new(morning(first)));
    let gateway = open_at(config, clock.clone())?;
    let mut timers = JoinSet::new();
    let timed = gateway.clone();
    timers.spawn(async move { timed.keep_dossiers().await });
    let mut province = Province::new(seed, COMMUNES, documents, working.len());
    let since = Instant::now();
    for (number, day) in working.iter().enumerate() {
        let jobs = province.jobs(number);
        for (moment, jobs) in jobs.chunks(jobs.len().div_ceil(MOMENTS).max(1)).enumerate() {
            let passed = DAY.mul_f64(moment as f64 / MOMENTS as f64);
            let now = morning(*day).after(passed);
            clock.advance(now.since(clock.now()));
            for done in all(&gateway, (calendar, now), jobs).await? {
                province.follow(number, done);
            }
        }
        if number % 10 == 0 {
            eprintln!("{day}: {:.0} s", since.elapsed().as_secs_f64());
        }
    }
    let took = since.elapsed();
    timers.abort_all();
    while timers.join_next().await.is_some() {}
    let entries = entries(&gateway)?;
    let value = json!({
        "seconds": took.as_secs_f64(),
        "entries": entries,
        "entries_per_second": entries as f64 / took.as_secs_f64(),
        "documents_per_second": documents as f64 / took.as_secs_f64(),
        "writer_peak_memory_bytes": peak_memory("/proc/self/status"),
    });
    Ok((value, province.totals()))
}

/// Entries of all epochs.
fn entries(gateway: &Gateway) -> Result<u64, Failure> {
    let head = gateway.store().head().map_err(Failure::other)?;
    let mut sum = head.size;
    for epoch in 1..head.epoch {
        let last = gateway.reading().last_of(epoch).map_err(Failure::other)?;
        sum += gateway.reading().open(&last).map_err(Failure::other)?.size;
    }
    Ok(sum)
}

/// Does the jobs, many at once.
async fn all(
    gateway: &Arc<Gateway>,
    (calendar, now): (&Calendar, Time),
    jobs: &[Job],
) -> Result<Vec<Done>, Failure> {
    let (mut running, mut results) = (JoinSet::new(), BTreeMap::new());
    let mut keep = |done: Result<(usize, Result<Done, Failure>), tokio::task::JoinError>| {
        let (place, done) = done.map_err(Failure::other)?;
        results.insert(place, done?);
        Ok::<_, Failure>(())
    };
    for (place, job) in jobs.iter().enumerate() {
        if running.len() >= AT_ONCE
            && let Some(done) = running.join_next().await
        {
            keep(done)?;
        }
        let (gateway, job) = (gateway.clone(), job.clone());
        let due = |days| calendar.due(now, days, crate::calendar::Counting::default());
        let due = job.legal_days().and_then(due);
        running.spawn(async move { (place, one(&gateway, job, now, due).await) });
    }
    while let Some(done) = running.join_next().await {
        keep(done)?;
    }
    // What follows is drawn in the order of the jobs, however they ended.
    Ok(results.into_values().collect())
}

/// Does one job.
async fn one(gateway: &Gateway, job: Job, now: Time, due: Option<Time>) -> Result<Done, Failure> {
    let code = |commune| Code::parse(&nation::commune(commune)).expect("a code");
    let host = |commune: usize| nation::host(commune % HOSTS);
    match job {
        Job::Letter { number, from, to } => {
            let letter = Letter {
                sender: nation::commune(from),
                issued: now.date_in_vietnam(),
                recipients: to.iter().map(|commune| nation::commune(*commune)).collect(),
                ..Letter::to("", number.to_string())
            };
            let (consignment, _) = send(gateway, &host(from), &letter).await?;
            Ok(Done::Sent { consignment, to })
        }
        Job::Answer { consignment, by, status } => {
            let answer = Answer {
                agency: code(by),
                consignment,
                token: None,
                status,
                note: if status == Status::Refused { "không đúng thẩm quyền" } else { "" }
                    .to_owned(),
            };
            let answered = gateway.answer(&peer(&host(by), Role::Agency), answer).await;
            answered.map_err(Failure::other)?;
            Ok(Done::Answered { consignment, by, status })
        }
        Job::Dossier(mut file) => {
            let deeds = file.today();
            for Deed { step, by, to } in deeds.iter().copied() {
                let recorded = DossierStep {
                    agency: code(by),
                    dossier: DossierCode::parse(&file.code()).expect("a code"),
                    request: RequestId(uuid::Uuid::new_v4()),
                    step,
                    to: to.map(code),
                    consignment: None,
                    note: file.note(step),
                    procedure: file.procedure(step),
                    applicant: None,
                    due: due.filter(|_| step == crate::dossier::Step::Reception),
                    consent_working_days: 0,
                    grade: None,
                };
                let system = peer(&host(by), Role::Agency);
                gateway.record_step(&system, recorded).await.map_err(Failure::other)?;
            }
            Ok(Done::Worked { file, deeds })
        }
    }
}

/// Asks for the statistics of the year as an auditor does; they must be those of the model.
async fn statistics(pki: &DevPki, process: &Process, expected: &Totals) -> Result<Value, Failure> {
    let [since, until] = YEAR.map(|day| Time::begin_in_vietnam(day).map(crate::proto::timestamp));
    let channel = connect(pki, "auditor", process.address()).await?;
    let begun = Instant::now();
    let mut reports = ReportServiceClient::new(channel.clone())
        .max_decoding_message_size(crate::client::message_size_max());
    let request = v1::GetStatisticsRequest { since, until, ..Default::default() };
    let mut messages = reports.get_statistics(request).await?.into_inner();
    let (mut accepted, mut deliveries, mut handed_over) = (0, 0, 0);
    while let Some(message) = messages.message().await? {
        for agency in message.agencies {
            accepted += agency.accepted;
            let received = agency.received.unwrap_or_default();
            (deliveries, handed_over) =
                (deliveries + received.deliveries, handed_over + received.handed_over);
        }
    }
    let statistics = begun.elapsed();
    let begun = Instant::now();
    let mut dossiers = DossierServiceClient::new(channel);
    let scope = v1::IndicatorScope::All.into();
    let request = v1::GetIndicatorsRequest { scope, since, until, ..Default::default() };
    let total = dossiers.get_indicators(request).await?.into_inner().total.unwrap_or_default();
    let ended = total.done_in_time + total.done_late + total.withdrawn;
    let late = total.done_late + total.open_late;
    let indicators = begun.elapsed();
    let counted = (accepted, deliveries, handed_over, total.received, ended);
    let Totals { documents, deliveries, acknowledged, dossiers, ended, .. } = *expected;
    if counted != (documents, deliveries, acknowledged, dossiers, ended) {
        return Err(Failure::other(format!("counted {counted:?}, done {expected:?}")));
    }
    Ok(json!({
        "statistics_seconds": statistics.as_secs_f64(),
        "indicators_seconds": indicators.as_secs_f64(),
        "dossiers_late": late,
    }))
}

fn print(value: &Value, output: Output) {
    if output == Output::Json {
        println!("{value}");
        return;
    }
    let figure = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let mib = |name: &str| figure(name) / f64::from(1u32 << 20);
    let whole = |name: &str| value[name].as_u64().unwrap_or_default();
    println!("a year of a province, seed {}", whole("seed"));
    println!(
        "  pushed         {} documents to {} mailboxes, {} dossiers in {} steps: {} entries",
        whole("documents"),
        whole("deliveries"),
        whole("dossiers"),
        whole("steps"),
        whole("entries")
    );
    println!(
        "  took           {:.0} s: {:.0} entries/s, {:.0} documents/s, all durable and proven",
        figure("seconds"),
        figure("entries_per_second"),
        figure("documents_per_second")
    );
    println!(
        "  disk           log {:.0} MiB, {:.0} bytes an entry; content {:.0} MiB",
        mib("log_bytes"),
        figure("log_bytes") / figure("entries"),
        mib("content_bytes")
    );
    println!("  writer memory  {:.0} MiB", mib("writer_peak_memory_bytes"));
    println!(
        "  gateway        starts in {:.0} ms; {:.0} MiB after the questions",
        figure("start_ms"),
        mib("gateway_peak_memory_bytes")
    );
    println!("  statistics     {:.1} s for every agency", figure("statistics_seconds"));
    println!(
        "  indicators     {:.1} s for every agency; {} dossiers late",
        figure("indicators_seconds"),
        whole("dossiers_late")
    );
    println!(
        "  audit          {:.0} entries/s, {:.0} MiB, {}",
        figure("audit_entries_per_second"),
        mib("audit_peak_memory_bytes"),
        if value["audit_finds_nothing"] == true { "no finding" } else { "FINDINGS" }
    );
}
