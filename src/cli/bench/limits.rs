//! What this machine can do at most.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::process::own_cpu_time;
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};
use crate::config::read_trust;
use crate::signature::{self, Indication};
use crate::source::Hashed;

/// Documents per second that all cores hash and verify, as a submission does it.
pub(super) fn verify(trust: &Path, document: &[u8], duration: Duration) -> Result<f64, Failure> {
    let trust = read_trust(trust)?;
    let now = SystemClock.now();
    let judged = signature::judge(&document, &trust, now);
    if judged.indication() != Some(Indication::TotalPassed) {
        return Err(Failure::other("the document of the benchmark does not verify"));
    }
    let cores = thread::available_parallelism().map_err(Failure::other)?.get();
    let count = AtomicU64::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while start.elapsed() < duration {
                    let hashed = Hashed::new(document);
                    std::hint::black_box(signature::judge(&hashed, &trust, now));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    Ok(count.into_inner() as f64 / start.elapsed().as_secs_f64())
}

/// Documents per second when `count` of them are appended and synced, `per_batch` at a time, and the
/// processor time of each in milliseconds.
pub(super) fn append(
    path: &Path,
    document: &[u8],
    per_batch: usize,
    count: usize,
) -> Result<(f64, f64), Failure> {
    let failed = |error| Failure::file(path, error);
    let mut file = File::create(path).map_err(failed)?;
    let (start, processor) = (Instant::now(), own_cpu_time());
    let batches = count.div_ceil(per_batch);
    for _ in 0..batches {
        for _ in 0..per_batch {
            file.write_all(document).map_err(failed)?;
        }
        file.sync_data().map_err(failed)?;
    }
    let written = (batches * per_batch) as f64;
    let rate = written / start.elapsed().as_secs_f64();
    let processor = own_cpu_time().saturating_sub(processor);
    std::fs::remove_file(path).map_err(failed)?;
    Ok((rate, processor.as_secs_f64() * 1e3 / written))
}
