//! `vanthu bench`: a gateway held against what this machine can do, in the same run.
//!
//! The gateway is a process of its own; this process is its clients. The limits are (a) hashing and
//! verifying the same bytes on all cores, (b) appending and syncing the same bytes with the batches
//! that the gateway made, (c) the same calls answered by an empty handler behind the same mTLS. A
//! submission needs all three of the same processors, so their sum is a limit, too.

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

/// How long each limit of the processors is measured, each time. That of the disk is measured over
/// as many bytes as the gateway wrote: disks take the first seconds into a cache and are slower after.
const LIMIT_SECONDS: Duration = Duration::from_secs(3);
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

    // Before and after, because the speed of a shared machine drifts.
    let before = ProcessorLimits::measure(&load, &pki_folder).await?;
    let gateway = Gateway::start(&pki_folder, &["serve", "--config"])?;
    let duration = Duration::from_secs(options.seconds);
    let figures = load.run(gateway.address(), duration).await?;
    let used = Used { memory: gateway.peak_memory(), cpu: gateway.cpu_time() };
    let batches = gateway.batches(&pki).await?;
    gateway.stop()?;
    let data = Config::read(&pki_folder.join("bench.toml"))?.data;
    std::fs::remove_dir_all(&data).map_err(|error| Failure::file(&data, error))?;
    let after = ProcessorLimits::measure(&load, &pki_folder).await?;

    let per_batch = (figures.count() as f64 / batches.max(1) as f64).round().max(1.0) as usize;
    let (path, count) = (folder.join("limit"), figures.count());
    let (disk, disk_ms) = limits::append(&path, load.document(), per_batch, count)?;
    let cores = std::thread::available_parallelism().map_err(Failure::other)?.get();
    // What keeps all processors busy costs each of its documents this much of them.
    let busy = |rate: f64| cores as f64 * 1e3 / rate;
    let verify = f64::midpoint(before.verify, after.verify);
    let transport = f64::midpoint(before.transport, after.transport);
    let limits = [
        Limit { name: "sha256 + verification, all cores", rate: verify, ms: busy(verify) },
        Limit { name: "append + fdatasync, same batches", rate: disk, ms: disk_ms },
        Limit { name: "empty handler, same calls over mTLS", rate: transport, ms: busy(transport) },
    ];
    print(&Outcome { figures, limits, cores, per_batch, used }, output);
    Ok(Exit::Ok)
}

/// Documents per second that the processors can verify, and that they can carry.
struct ProcessorLimits {
    verify: f64,
    transport: f64,
}

impl ProcessorLimits {
    async fn measure(load: &Load<'_>, pki: &std::path::Path) -> Result<Self, Failure> {
        let empty = Gateway::start(pki, &["bench", "--serve-empty"])?;
        let transport = load.run(empty.address(), LIMIT_SECONDS).await?.rate();
        empty.stop()?;
        let verify = limits::verify(&pki.join("trust"), load.document(), LIMIT_SECONDS)?;
        Ok(Self { verify, transport })
    }
}

/// What this machine can do at most in one respect.
struct Limit {
    name: &'static str,
    /// Documents per second, if it did nothing else.
    rate: f64,
    /// Processor time of each of them, in milliseconds; without what the kernel does for the disk.
    ms: f64,
}

/// What the gateway used for all submissions.
struct Used {
    memory: u64,
    cpu: Duration,
}

/// What was measured.
struct Outcome {
    figures: Figures,
    limits: [Limit; 3],
    cores: usize,
    per_batch: usize,
    used: Used,
}

fn print(outcome: &Outcome, output: Output) {
    let Outcome { figures, limits, cores, per_batch, used } = outcome;
    let rate = figures.rate();
    let cpu_ms = used.cpu.as_secs_f64() * 1e3 / figures.count().max(1) as f64;
    let lowest = limits.iter().map(|limit| limit.rate).fold(f64::INFINITY, f64::min);
    // They share the processors: nothing that does all three here is faster than this.
    let together = *cores as f64 * 1e3 / limits.iter().map(|limit| limit.ms).sum::<f64>();
    let (first, last) = figures.edges(EDGE);
    let [p50, p99, max] = figures.latencies();
    if output == Output::Json {
        let each = |of: fn(&Limit) -> f64| -> serde_json::Map<_, _> {
            limits.iter().map(|limit| (limit.name.to_owned(), json!(of(limit)))).collect()
        };
        let value = json!({
            "submissions_per_second": rate,
            "latency_ms": { "p50": p50, "p99": p99, "max": max },
            "first_10_s_per_second": first,
            "last_10_s_per_second": last,
            "last_to_first": last / first,
            "submissions_per_batch": per_batch,
            "peak_memory_bytes": used.memory,
            "cpu_ms_per_submission": cpu_ms,
            "limits_per_second": each(|limit| limit.rate),
            "limits_processor_ms": each(|limit| limit.ms),
            "limits_together_per_second": together,
            "ratio_to_limits_together": rate / together,
            "ratio_of_limits_together_to_lowest": together / lowest,
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
    for Limit { name, rate: limit, ms } in limits {
        println!("limit: {name:<36} {limit:>8.0}/s  ratio {:.2}  ({ms:.3} ms)", rate / limit);
    }
    println!(
        "all three on these {cores} processors              {together:>8.0}/s  ratio {:.2}",
        rate / together
    );
    println!(
        "ratio to the lowest limit {:>9.2}, of {:.2} that doing all three leaves",
        rate / lowest,
        together / lowest
    );
}
