//! `vanthu bench`: a gateway held against what this machine can do, in the same run.
//!
//! The gateway is a process of its own; this process is its clients. The limits are (a) hashing and
//! verifying the same bytes on all cores, (b) appending and syncing the same bytes with the batches
//! that the gateway made, (c) the same calls answered by an empty handler behind the same mTLS.

mod append;
mod arrival;
mod directory;
mod empty;
mod fan_out;
mod grow;
mod letter;
mod limits;
mod load;
mod nation;
mod process;
mod province;
mod site;
mod urgent;
mod verify;
mod watches;
mod year;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::cli::{Exit, Failure, Output};
use crate::config::Config;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;
use load::{Figures, Load};
use process::Gateway;
pub(super) use process::peak_memory;

/// Measures submissions against the limits of this machine.
///
/// Examples:
///   vanthu bench --clients 64 --size 102400 --seconds 60
///   vanthu bench --append 1000000
///   vanthu bench --grow 10000 1000000 10000000
///   vanthu bench --fan-out 3321
///   vanthu bench --urgent 100000
///   vanthu bench --watches 10000
///   vanthu bench --directory 120000
///   vanthu bench --province-year 2000000
///   vanthu bench --verify papers/ --trust certs/dev/trust
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Clients, each with a connection of its own and one call at a time
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Size of a signed PDF in bytes
    #[arg(long, default_value_t = 100 * 1024)]
    size: usize,
    /// How long to submit
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Instead, measure the cost of an append at 1,000 and at so many entries, and audit them
    #[arg(long)]
    append: Option<u64>,
    /// Instead, let one log grow through these sizes and measure it at each: writing, proofs, disk,
    /// start, audit
    #[arg(long, num_args = 1.., value_name = "ENTRIES")]
    grow: Vec<u64>,
    /// Instead, send documents to so many mailboxes at once: time and bytes
    #[arg(long, value_name = "MAILBOXES")]
    fan_out: Option<usize>,
    /// Instead, measure urgent documents while so many others wait, against an idle gateway
    #[arg(long, value_name = "BACKLOG")]
    urgent: Option<u64>,
    /// Instead, open so many watches and measure what they cost
    #[arg(long, value_name = "WATCHES")]
    watches: Option<usize>,
    /// Instead, measure a directory of so many agencies: load, memory, look-ups, routes, and reloads
    /// while documents come
    #[arg(long, value_name = "AGENCIES")]
    directory: Option<usize>,
    /// Instead, let a year of a province pass with so many documents and the dossiers that come with
    /// them: time, disk, memory, and the year's statistics
    #[arg(long, value_name = "DOCUMENTS")]
    province_year: Option<u64>,
    /// With --province-year, where its chances come from
    #[arg(long, requires = "province_year", default_value_t = 2026)]
    seed: u64,
    /// With --append, the cache of the store in MiB instead of the default
    #[arg(long, requires = "append")]
    cache_mib: Option<u64>,
    /// Instead, measure how fast signed PDFs are judged: files, or folders with all PDFs below
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "trust")]
    verify: Vec<PathBuf>,
    /// With --verify, a folder of trust domains
    #[arg(long, requires = "verify")]
    trust: Option<PathBuf>,
    /// Folder to work in; on the disk that is to be measured
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Used by the benchmark itself: serve empty answers with this configuration
    #[arg(long, hide = true)]
    serve_empty: Option<PathBuf>,
}

/// How long the limits of the processor are measured. That of the disk is measured over as many
/// bytes as the gateway wrote: disks take the first seconds into a cache and are slower after.
const LIMIT_SECONDS: Duration = Duration::from_secs(5);
/// First and last seconds of a run that are compared.
const EDGE: Duration = Duration::from_secs(10);

/// Runs the benchmark.
///
/// # Errors
/// If anything does not work; slow is no error.
pub(in crate::cli) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    if let Some(config) = &options.serve_empty {
        return empty::serve(config).await;
    }
    if let Some(trust) = &options.trust {
        return verify::run(&options.verify, trust, output);
    }
    let base = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = base.join(format!("vanthu-bench-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, error))?;
    let outcome = if let Some(entries) = options.append {
        append::run(&folder, entries, options.cache_mib, output).await
    } else if let Some(mailboxes) = options.fan_out {
        fan_out::run(&folder, mailboxes, output).await
    } else if let Some(backlog) = options.urgent {
        urgent::run(&folder, backlog, output).await
    } else if let Some(count) = options.watches {
        watches::run(&folder, count, output).await
    } else if let Some(agencies) = options.directory {
        directory::run(&folder, agencies, output).await
    } else if let Some(documents) = options.province_year {
        year::run(&folder, (documents, options.seed), output).await
    } else if !options.grow.is_empty() {
        grow::run(&folder, &options.grow, output).await
    } else {
        submissions(&options, &folder, output).await
    };
    std::fs::remove_dir_all(&folder).map_err(|error| Failure::file(&folder, error))?;
    outcome
}

async fn submissions(
    options: &Options,
    folder: &std::path::Path,
    output: Output,
) -> Result<Exit, Failure> {
    let pki_folder = folder.join("pki");
    let made = tokio::task::spawn_blocking({
        let pki_folder = pki_folder.clone();
        move || crate::cli::certs::make(&Profile::built_in(), &pki_folder)
    });
    let pki: DevPki = made.await.map_err(Failure::other)??;
    let load = Load::prepare(&pki, options.clients, options.size)?;
    eprintln!("{} clients, signed PDFs of {} bytes", options.clients, load.document_size());

    let gateway = Gateway::start(&pki_folder, &["serve", "--config"])?;
    let duration = Duration::from_secs(options.seconds);
    let figures = load.run(gateway.address(), duration).await?;
    let used = Used { memory: gateway.peak_memory(), cpu: gateway.cpu_time() };
    let batches = gateway.batches(&pki).await?;
    gateway.stop()?;
    let data = Config::read(&pki_folder.join("bench.toml"))?.data;
    std::fs::remove_dir_all(&data).map_err(|error| Failure::file(&data, error))?;

    let empty = Gateway::start(&pki_folder, &["bench", "--serve-empty"])?;
    let empty_figures = load.run(empty.address(), LIMIT_SECONDS).await?;
    empty.stop()?;

    let trust = pki_folder.join("trust");
    let document = load.document().to_vec();
    let verify = limits::verify(&trust, document.clone(), LIMIT_SECONDS)?;
    let per_batch = (figures.count() as f64 / batches.max(1) as f64).round().max(1.0) as usize;
    let disk = limits::append(&folder.join("limit"), &document, per_batch, figures.count())?;
    let limits = [
        ("sha256 + verification, all cores", verify),
        ("append + fdatasync, same batches", disk),
        ("empty handler, same calls over mTLS", empty_figures.rate()),
    ];
    print(&figures, &limits, per_batch, used, output);
    Ok(Exit::Ok)
}

/// What the gateway used for all submissions.
struct Used {
    memory: u64,
    cpu: Duration,
}

fn print(
    figures: &Figures,
    limits: &[(&str, f64); 3],
    per_batch: usize,
    used: Used,
    output: Output,
) {
    let rate = figures.rate();
    let cpu_ms = used.cpu.as_secs_f64() * 1e3 / figures.count().max(1) as f64;
    let lowest = limits.iter().map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
    // Verification and transport share the processor: no gateway here does both faster than this.
    let [(_, verify), _, (_, transport)] = limits;
    let together = 1.0 / (1.0 / verify + 1.0 / transport);
    let (first, last) = figures.edges(EDGE);
    let [p50, p99, max] = figures.latencies();
    if output == Output::Json {
        let limits: serde_json::Map<_, _> =
            limits.iter().map(|(name, rate)| ((*name).to_owned(), json!(rate))).collect();
        let value = json!({
            "submissions_per_second": rate,
            "latency_ms": { "p50": p50, "p99": p99, "max": max },
            "first_10_s_per_second": first,
            "last_10_s_per_second": last,
            "last_to_first": last / first,
            "submissions_per_batch": per_batch,
            "peak_memory_bytes": used.memory,
            "cpu_ms_per_submission": cpu_ms,
            "limits_per_second": limits,
            "processor_limits_together_per_second": together,
            "ratio_to_lowest_limit": rate / lowest,
        });
        println!("{value}");
        return;
    }
    println!("submissions/s            {rate:>10.0}");
    println!("durable receipt, ms      p50 {p50:.2}  p99 {p99:.2}  max {max:.2}");
    println!("first and last 10 s      {first:>10.0} {last:.0}  (ratio {:.2})", last / first);
    println!("submissions per batch    {per_batch:>10}");
    println!("gateway peak memory      {:>10.0} MiB", used.memory as f64 / (1024.0 * 1024.0));
    println!("gateway processor time   {cpu_ms:>10.3} ms per submission");
    for (name, limit) in limits {
        println!("limit: {name:<36} {limit:>8.0}/s  ratio {:.2}", rate / limit);
    }
    println!(
        "both processor limits, together              {together:>8.0}/s  ratio {:.2}",
        rate / together
    );
    println!("ratio to the lowest limit {:>9.2}", rate / lowest);
}
