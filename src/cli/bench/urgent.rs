//! Whether an urgent document comes as fast when very many others wait as when none does.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::arrival::{Arrivals, watch};
use super::letter::Letter;
use super::load::{connect, percentiles};
use super::process::Gateway;
use super::site::Site;
use crate::cli::{Exit, Failure, Output};
use crate::config::Config;
use crate::proto::v1;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;

/// Urgent documents in each phase.
const TIMED: usize = 500;
/// Those before them, which find everything cold.
const WARMING: usize = 50;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);
/// Bulk documents that the receiving system answers at once, while it works them off.
const ANSWERS_AT_ONCE: usize = 4;
/// What an urgent document may take under a backlog, against an idle gateway (issue 5).
const RATIO_MAX: f64 = 3.0;

/// Measures with an empty mailbox, with `backlog` documents waiting that nobody answers, and while
/// they are being answered.
pub(super) async fn run(folder: &Path, backlog: u64, output: Output) -> Result<Exit, Failure> {
    let folder = folder.join("pki");
    let pki = crate::cli::certs::make(&Profile::built_in().with_p256_keys(), &folder)?;
    let config = Config::read(&folder.join("vanthu.toml"))?;
    let gateway = Gateway::start(&folder, &["serve", "--config"])?;
    let idle = phase(&pki, &gateway, "idle", ANSWERS_AT_ONCE).await;
    gateway.stop()?;
    let idle = idle?;

    let site = Site::open(&config).await?;
    let since = Instant::now();
    site.pile_up(backlog).await?;
    eprintln!("{backlog} documents wait after {:.0} s", since.elapsed().as_secs_f64());
    drop(site);

    let gateway = Gateway::start(&folder, &["serve", "--config"])?;
    let waiting = phase(&pki, &gateway, "waiting", 0).await;
    let working = phase(&pki, &gateway, "working", ANSWERS_AT_ONCE).await;
    let memory = gateway.peak_memory();
    gateway.stop()?;
    let ((idle, _), (waiting, _), (working, answered)) = (idle, waiting?, working?);
    let ratio = |phase: &[f64; 3]| phase[1] / idle[1];
    let figures = |[p50, p99, max]: [f64; 3]| json!({ "p50": p50, "p99": p99, "max": max });
    let value = json!({
        "backlog": backlog,
        "urgent_ms_idle": figures(idle),
        "urgent_ms_backlog_waits": figures(waiting),
        "urgent_ms_backlog_is_answered": figures(working),
        "p99_ratio_waits": ratio(&waiting),
        "p99_ratio_is_answered": ratio(&working),
        "p99_ratio_max": RATIO_MAX,
        "bulk_answers_per_second": answered,
        "peak_memory_bytes": memory,
    });
    if output == Output::Json {
        println!("{value}");
        return Ok(Exit::Ok);
    }
    let line = |name: &str, [p50, p99, max]: [f64; 3], more: String| {
        println!("  {name:<26} p50 {p50:.2}  p99 {p99:.2}  max {max:.2}{more}");
    };
    let against = |phase: &[f64; 3]| format!("  p99 ratio {:.2} of {RATIO_MAX}", ratio(phase));
    println!("urgent documents, from Submit to Watch, ms");
    line("no other documents", idle, String::new());
    line("backlog waits", waiting, against(&waiting));
    line("backlog is being answered", working, against(&working));
    println!("  bulk answers meanwhile     {answered:.0}/s of a backlog of {backlog}");
    println!("  gateway peak memory        {:.0} MiB", memory as f64 / f64::from(1u32 << 20));
    Ok(Exit::Ok)
}

/// The latencies, and how many of the other documents were answered in a second.
async fn phase(
    pki: &DevPki,
    gateway: &Gateway,
    name: &str,
    answers_at_once: usize,
) -> Result<([f64; 3], f64), Failure> {
    let receiver = connect(pki, "province", gateway.address()).await?;
    let sender = connect(pki, "commune", gateway.address()).await?;
    let arrivals = Arrivals::default();
    let watching =
        tokio::spawn(watch(receiver, "H49.11".to_owned(), arrivals.clone(), answers_at_once));
    let letter = |number: usize| Letter {
        urgency: v1::Urgency::Urgent,
        ..Letter::to("H49.11", format!("{name}-{number}"))
    };
    arrivals.time(&sender, (TIMED..TIMED + WARMING).map(letter), PAUSE).await?;
    let (since, before) = (Instant::now(), arrivals.answers());
    let took = arrivals.time(&sender, (0..TIMED).map(letter), PAUSE).await;
    let answered = (arrivals.answers() - before) as f64 / since.elapsed().as_secs_f64();
    watching.abort();
    Ok((percentiles(took?), answered))
}
