//! What a log costs while it grows: to write, to keep, to open, to prove from and to audit.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::append::audit;
use super::process::{Gateway, folder_bytes, peak_memory};
use super::site::Site;
use crate::cli::{Exit, Failure, Output};
use crate::config::Config;
use crate::gateway::Reading;
use crate::log::EntryId;
use crate::workshop::profile::Profile;

/// Reports whose way into the log is timed at each size.
const TIMED: usize = 20_000;
/// Entries that come between an audit and the next one, which goes on from there.
const BETWEEN_AUDITS: u64 = 10_000;
/// How long proofs are made at each size, of either kind.
const PROVING: Duration = Duration::from_secs(3);
/// Proofs between two looks at the clock.
const PROOFS_AT_ONCE: u64 = 64;

/// Lets one log grow through `sizes` and measures it at each.
pub(super) async fn run(folder: &Path, sizes: &[u64], output: Output) -> Result<Exit, Failure> {
    let pki = folder.join("pki");
    crate::cli::certs::make(&Profile::built_in().with_p256_keys(), &pki)?;
    let config = Config::read(&pki.join("vanthu.toml"))?;
    let mut all = Vec::new();
    for size in sizes {
        let measured = at(&pki, &config, *size).await?;
        print(&measured, output);
        all.push(measured);
    }
    if let [first, .., last] = &all[..] {
        let each = |measured: &Value| measured["audit_since_us_per_entry"].as_f64();
        let ratio = each(last).unwrap_or(f64::NAN) / each(first).unwrap_or(f64::NAN);
        match output {
            Output::Json => println!("{}", json!({ "audit_since_last_to_first": ratio })),
            Output::Text => {
                println!("audit since the last one, largest log to smallest: {ratio:.2}")
            }
        }
    }
    Ok(Exit::Ok)
}

async fn at(pki: &Path, config: &Config, size: u64) -> Result<Value, Failure> {
    let site = Site::open(config).await?;
    let (before, since) = (site.size()?, Instant::now());
    site.fill(size).await?;
    let written = (site.size()? - before) as f64 / since.elapsed().as_secs_f64();
    let mut integration = site.integration(TIMED).await?;
    integration.sort();
    let entries = site.size()?;
    let reading = site.gateway().reading().clone();
    let proving = tokio::task::spawn_blocking(move || proofs(&reading, entries));
    let (inclusion, consistency) = proving.await.map_err(Failure::other)??;
    drop(site);
    let bytes = folder_bytes(&config.data)? - folder_bytes(&config.data.join("content"))?;

    let since = Instant::now();
    let gateway = Gateway::start(pki, &["serve", "--config"])?;
    let started = since.elapsed();
    let memory = gateway.peak_memory();
    gateway.stop()?;
    let audit = audit(&pki.join("log.vkey"), &["--data".as_ref(), config.data.as_ref()])?;
    let since = audit_since(pki, config).await?;
    let ms = |at: f64| {
        let index = (integration.len() as f64 * at) as usize;
        integration.get(index).map_or(0.0, |one| one.as_secs_f64() * 1e3)
    };
    Ok(json!({
        "entries": entries,
        "entries_per_second": written,
        "integration_ms": { "p50": ms(0.5), "p99": ms(0.99) },
        "inclusion_proofs_per_second": inclusion,
        "consistency_proofs_per_second": consistency,
        "bytes_per_entry": bytes as f64 / entries as f64,
        "start_ms": started.as_secs_f64() * 1e3,
        "start_memory_bytes": memory,
        "writer_peak_memory_bytes": peak_memory("/proc/self/status"),
        "audit_entries_per_second": audit["entries_per_second"],
        "audit_peak_memory_bytes": audit["peak_memory_bytes"],
        "audit_since_us_per_entry": since * 1e6 / BETWEEN_AUDITS as f64,
    }))
}

/// Seconds that an auditor who comes again takes for what has come since, from a running gateway.
async fn audit_since(pki: &Path, config: &Config) -> Result<f64, Failure> {
    let state = pki.join("audit.state");
    let [ca, cert] = [pki.join("tls/ca.pem"), pki.join("systems/auditor.pem")];
    let again = || -> Result<Value, Failure> {
        let gateway = Gateway::start(pki, &["serve", "--config"])?;
        let server = format!("https://localhost:{}", gateway.address().port());
        let from: [&OsStr; 8] = [
            "--server".as_ref(),
            server.as_ref(),
            "--ca".as_ref(),
            ca.as_ref(),
            "--cert".as_ref(),
            cert.as_ref(),
            "--since".as_ref(),
            state.as_ref(),
        ];
        let report = audit(&pki.join("log.vkey"), &from)?;
        gateway.stop()?;
        Ok(report)
    };
    again()?;
    let site = Site::open(config).await?;
    site.fill(site.size()? + BETWEEN_AUDITS).await?;
    drop(site);
    again()?["seconds"].as_f64().ok_or_else(|| Failure::other("an audit without a time"))
}

/// Receipts of entries here and there, and consistency proofs between sizes here and there, that
/// one thread makes in a second.
fn proofs(reading: &Reading, entries: u64) -> Result<(f64, f64), Failure> {
    let epoch = reading.open(&reading.last_of(0).map_err(Failure::other)?);
    let epoch = epoch.map_err(Failure::other)?.origin.epoch;
    let size = entries;
    let inclusion = rate(|number| {
        let id = EntryId { epoch, index: spread(number) % size };
        reading.receipt(id).map(drop).map_err(Failure::other)
    })?;
    let consistency = rate(|number| {
        let old = 1 + spread(number) % size;
        reading.consistency(epoch, old, size).map(drop).map_err(Failure::other)
    })?;
    Ok((inclusion, consistency))
}

fn rate(mut prove: impl FnMut(u64) -> Result<(), Failure>) -> Result<f64, Failure> {
    let since = Instant::now();
    let mut count = 0;
    while since.elapsed() < PROVING {
        for number in count..count + PROOFS_AT_ONCE {
            prove(number)?;
        }
        count += PROOFS_AT_ONCE;
    }
    Ok(count as f64 / since.elapsed().as_secs_f64())
}

/// Numbers that lie all over the range, the same in each run (Knuth, TAOCP 6.4).
fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

fn print(measured: &Value, output: Output) {
    if output == Output::Json {
        println!("{measured}");
        return;
    }
    let figure = |name: &str| measured.pointer(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let mib = |name: &str| figure(name) / f64::from(1u32 << 20);
    println!("log of {} entries", figure("/entries"));
    println!("  written durably           {:>10.0} entries/s", figure("/entries_per_second"));
    println!(
        "  integration, 64 at once   p50 {:.2} ms  p99 {:.2} ms",
        figure("/integration_ms/p50"),
        figure("/integration_ms/p99")
    );
    println!(
        "  proofs, one core          {:>10.0} inclusion/s  {:.0} consistency/s",
        figure("/inclusion_proofs_per_second"),
        figure("/consistency_proofs_per_second")
    );
    println!("  on disk                   {:>10.0} bytes per entry", figure("/bytes_per_entry"));
    println!(
        "  start                     {:>10.0} ms  {:.0} MiB",
        figure("/start_ms"),
        mib("/start_memory_bytes")
    );
    println!("  writer peak memory        {:>10.0} MiB", mib("/writer_peak_memory_bytes"));
    println!(
        "  audit                     {:>10.0} entries/s  {:.0} MiB",
        figure("/audit_entries_per_second"),
        mib("/audit_peak_memory_bytes")
    );
    println!(
        "  audit since the last one  {:>10.2} us for each of {BETWEEN_AUDITS} new entries",
        figure("/audit_since_us_per_entry")
    );
}
