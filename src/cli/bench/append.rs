//! Whether an append costs the same in a long log as in a short one.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::process::peak_memory;
use super::site::{Cost, Site};
use crate::cli::{Exit, Failure, Output};
use crate::config::Config;
use crate::workshop::profile::Profile;

/// Size of the short log.
const SHORT: u64 = 1_000;
/// Rounds, in each of which a new short log and the long one are measured one after the other: the
/// machine's speed drifts more than the two differ.
const ROUNDS: u64 = 15;
/// Submissions measured in a log in a round.
const MEASURED: u64 = 4_096;
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
            let first = short.measure(round, MEASURED).await?;
            (first, long.measure(round, MEASURED).await?)
        } else {
            let first = long.measure(round, MEASURED).await?;
            (short.measure(round, MEASURED).await?, first)
        };
        rounds.push(measured);
        drop(short);
        std::fs::remove_dir_all(&config.data)
            .map_err(|error| Failure::file(&config.data, error))?;
    }
    let size = long.size()?;
    let memory = peak_memory("/proc/self/status");
    drop(long);
    let audit = audit(&pki.join("log.vkey"), &["--data".as_ref(), long_data.as_ref()])?;
    print(&Measured { size, rounds, memory, audit }, output);
    Ok(Exit::Ok)
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

/// Audits the log as an auditor does: by a process of its own that has the key and says where from.
pub(super) fn audit(key: &Path, from: &[&OsStr]) -> Result<Value, Failure> {
    let program = std::env::current_exe().map_err(Failure::other)?;
    let mut command = Command::new(program);
    command.args(["--output", "json", "log", "audit", "--key"]).arg(key).args(from);
    let done = command.stderr(Stdio::inherit()).output().map_err(Failure::other)?;
    let report = serde_json::from_slice(&done.stdout).map_err(Failure::other)?;
    match done.status.success() {
        true => Ok(report),
        false => Err(Failure::other(format!("the log does not hold: {report}"))),
    }
}
