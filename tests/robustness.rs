//! Hostile input: every reader of outside bytes against files that were changed in ways that mean
//! something to it. Nothing may panic, hang, or take more memory than its limit.
//!
//! A run prints its seed; each iteration depends on the seed and its own number alone. The input that
//! was being read is kept in `target/robustness/` until it is done, so that it is there after a panic, a
//! hang or an abort, too.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `VANTHU_FUZZ_SECONDS` | how long to go on | 45 |
//! | `VANTHU_FUZZ_TARGET` | only readers with this in their names | all |
//! | `VANTHU_SEED` | where to begin | 1 |
//! | `VANTHU_ITERATION` | only this one | all |
//! | `VANTHU_CUTS` | at how many places each file of the corpora is cut off | 5 |
//!
//! The whole of the last, in some minutes:
//! `VANTHU_CUTS=1000 cargo test --release --test robustness cut_off -- --nocapture`
//! Packages, of which the corpora have none that is signed, are cut off in `attacks/damage.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

#[path = "robustness/cuts.rs"]
mod cuts;
#[path = "robustness/mutation.rs"]
mod mutation;
#[path = "robustness/random.rs"]
mod random;
#[path = "robustness/seeds.rs"]
mod seeds;
#[path = "robustness/target.rs"]
mod target;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use random::Random;
use seeds::{Country, Seeds};
use target::{Bench, TARGETS, Target};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One input, unoptimised; the slowest honest file takes a tenth of a second.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What one input may cost beside its own bytes (issue 3: 64 MiB beyond the streaming window).
const MEMORY_MAX: usize = 64 * 1024 * 1024;

/// When the current input was begun, in milliseconds after the start; 0 between two of them.
static SINCE: AtomicU64 = AtomicU64::new(0);
/// Held by a test that measures memory or needs all processors.
static ALONE: Mutex<()> = Mutex::new(());

fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Ends the process when an input takes too long: a loop without end cannot be asked to stop.
fn watch(start: Instant, kept: PathBuf) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let since = SINCE.load(Ordering::Relaxed);
            let now = millis(start.elapsed());
            if since > 0 && now.saturating_sub(since) > 3 * millis(TIME_MAX) {
                eprintln!("{} takes more than {TIME_MAX:?}", kept.display());
                std::process::exit(101);
            }
        }
    });
}

/// What a run has seen.
#[derive(Default)]
struct Tally {
    count: u64,
    slowest: Duration,
    largest: usize,
}

/// Reads one input and says what is wrong with it.
fn read(
    bench: &Bench,
    target: &Target,
    input: &[u8],
    start: Instant,
    tally: &mut Tally,
) -> Option<String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    SINCE.store(millis(start.elapsed()).max(1), Ordering::Relaxed);
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.read)(bench, input)));
    let took = begin.elapsed();
    SINCE.store(0, Ordering::Relaxed);
    let memory = MEMORY.peak_usage().saturating_sub(before);
    tally.count += 1;
    tally.slowest = tally.slowest.max(took);
    tally.largest = tally.largest.max(memory);
    if outcome.is_err() {
        return Some("panicked".to_owned());
    }
    if took > TIME_MAX {
        return Some(format!("took {took:?}"));
    }
    (memory > MEMORY_MAX + input.len()).then(|| format!("took {memory} bytes of memory"))
}

/// Iterations of one target until the time is over.
fn run(
    bench: &Bench,
    target: &Target,
    seed: u64,
    until: Instant,
    start: Instant,
    kept: &Path,
) -> Tally {
    let seeds = (target.seeds)(&bench.seeds);
    let mut tally = Tally::default();
    let only: Option<u64> = set("VANTHU_ITERATION");
    for iteration in only.unwrap_or(0).. {
        if Instant::now() > until && only.is_none() || only.is_some_and(|only| only != iteration) {
            break;
        }
        let mut random = Random::new(seed, iteration);
        let (Some(bytes), Some(other)) = (random.pick(seeds), random.pick(seeds)) else { break };
        let mutant = mutation::mutate(bytes, other, &mut random);
        std::fs::write(kept, &mutant).unwrap();
        if let Some(wrong) = read(bench, target, &mutant, start, &mut tally) {
            panic!(
                "{} {wrong}: seed {seed}, iteration {iteration}, {}",
                target.name,
                kept.display()
            );
        }
    }
    tally
}

/// The folder of the corpora, and whether it is there; in CI it must be.
fn corpora() -> (PathBuf, bool) {
    let corpora = std::env::var_os("VANTHU_CORPORA");
    let corpora = corpora.map_or_else(|| "../shared/corpora".into(), PathBuf::from);
    let found = corpora.is_dir();
    assert!(found || std::env::var_os("CI").is_none(), "{} is absent", corpora.display());
    (corpora, found)
}

/// For what a run leaves.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../robustness");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn no_reader_panics_hangs_or_swells() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (corpora, found) = corpora();
    let (seconds, seed) =
        (set("VANTHU_FUZZ_SECONDS").unwrap_or(45), set("VANTHU_SEED").unwrap_or(1));
    let wanted: String = set("VANTHU_FUZZ_TARGET").unwrap_or_default();
    println!("{seconds} s, seed {seed}, corpora {}", if found { "found" } else { "absent" });

    let folder = folder();
    let start = Instant::now();
    let country = Country::new();
    let seeds = Seeds::gather(&country, &corpora);
    let bench = Bench::new(country, seeds, folder.join("directory.toml"));
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|target| target.name.contains(&wanted)).collect();
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap();
    println!("{:<18} {:>6} {:>8} {:>12} {:>10}", "reader", "seeds", "inputs", "slowest", "memory");
    let kept = folder.join("input");
    watch(start, kept.clone());
    for target in targets {
        let tally = run(&bench, target, seed, Instant::now() + share, start, &kept);
        println!(
            "{:<18} {:>6} {:>8} {:>9.1} ms {:>6.1} MiB",
            target.name,
            (target.seeds)(&bench.seeds).len(),
            tally.count,
            tally.slowest.as_secs_f64() * 1e3,
            tally.largest as f64 / (1024.0 * 1024.0)
        );
    }
}

#[test]
fn no_file_cut_off_anywhere_panics_or_hangs() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (corpora, found) = corpora();
    let (count, seed) = (set("VANTHU_CUTS").unwrap_or(5), set("VANTHU_SEED").unwrap_or(1));
    println!("{count} cuts, seed {seed}, corpora {}", if found { "found" } else { "absent" });
    let country = Country::new();
    let made = Seeds::gather(&country, Path::new(""));
    let files = cuts::File::gather(&made, &corpora);
    let bench = Bench::new(country, made, folder().join("directory.toml"));
    let start = Instant::now();
    let tally = cuts::run(&bench, &files, count, seed);
    println!(
        "{} files, read {} times, in {:.0?}: mean {:.0?}, worst mean {:.1?} ({}), worst {:.1?} ({})",
        files.len(),
        tally.cuts,
        start.elapsed(),
        tally.took / u32::try_from(tally.cuts).unwrap(),
        tally.worst_mean.0,
        tally.worst_mean.1,
        tally.worst.0,
        tally.worst.1
    );
    assert!(tally.failures.is_empty(), "seed {seed}: {:#?}", tally.failures);
}
