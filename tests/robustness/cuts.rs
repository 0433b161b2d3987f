//! Files that end too early: each as it is and cut off at random places, read by everything that a
//! file of its kind comes to, on all processors.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::TIME_MAX;
use super::random::Random;
use super::seeds::{self, Kind, Seeds};
use super::target::{Bench, TARGETS, Target};
use vanthu::digest::Sha256;

/// Failures that are kept, and told, of all there are.
const FAILURES_MAX: usize = 20;

/// A file and what it is.
pub struct File {
    /// Its path below the corpora, or what was made.
    pub name: String,
    kind: Kind,
    /// As it is stored, and without the armour of PEM.
    bytes: Vec<u8>,
    der: Vec<u8>,
}

impl File {
    fn new(name: String, kind: Kind, bytes: Vec<u8>) -> Self {
        let der = seeds::unarmoured(&bytes);
        Self { name, kind, bytes, der }
    }

    /// Everything below the corpora, and what the workshop makes of each kind; the largest first.
    pub fn gather(made: &Seeds, corpora: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        for path in seeds::files(corpora) {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.strip_prefix(corpora).unwrap().display().to_string();
            files.push(Self::new(name, Kind::of(&path), bytes));
        }
        for (kind, made) in [
            (Kind::Document, &made.documents),
            (Kind::Message, &made.messages),
            (Kind::Message, &made.tokens),
            (Kind::Certificate, &made.certificates),
            (Kind::Crl, &made.crls),
            (Kind::Record, &made.records),
        ] {
            let named = |(at, bytes): (usize, &Vec<u8>)| {
                Self::new(format!("made/{kind:?}/{at}"), kind, bytes.clone())
            };
            files.extend(made.iter().enumerate().map(named));
        }
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes.len()));
        files
    }

    /// Where it is cut: its end, and so many places before, or all if there are no more.
    fn ends(&self, count: usize, seed: u64) -> Vec<usize> {
        let size = self.bytes.len();
        let mut ends = vec![size];
        if size <= count {
            ends.extend(0..size);
            return ends;
        }
        let [a, b, c, d, e, f, g, h, ..] = Sha256::of(self.name.as_bytes()).0;
        let mut random = Random::new(seed, u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        ends.extend((0..count).map(|_| random.below(size)));
        ends
    }

    /// The readers by which `vanthu verify` comes to such a file: as the document, or as something
    /// that belongs to one.
    fn readers(&self) -> Vec<&'static Target> {
        let names: &[&str] = match self.kind {
            Kind::Document => &["document"],
            Kind::Message => {
                &["document", "detached message", "message in a PDF", "token in a PDF"]
            }
            Kind::Certificate => &["document", "certificate"],
            Kind::Crl => &["document", "CRL"],
            Kind::Response => &["document", "OCSP response"],
            Kind::Record => &["document", "evidence record"],
        };
        let readers: Vec<_> = TARGETS.iter().filter(|one| names.contains(&one.name)).collect();
        assert_eq!(readers.len(), names.len(), "{names:?} are readers");
        readers
    }

    /// Whatever reads the file reads it up to `end`; what is inside of PEM is cut as far on.
    fn read(&self, bench: &Bench, readers: &[&Target], end: usize) {
        let inside = self.der.len() * end / self.bytes.len().max(1);
        for reader in readers {
            let is_whole = reader.name == "document";
            let bytes = if is_whole { &self.bytes[..end] } else { &self.der[..inside] };
            (reader.read)(bench, bytes);
        }
    }
}

/// What was seen of one file, or of all.
#[derive(Default)]
pub struct Tally {
    pub cuts: usize,
    pub took: Duration,
    /// The mean of a file, and its name.
    pub worst_mean: (Duration, String),
    /// The time of one cut, and which it was.
    pub worst: (Duration, String),
    pub failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.took += other.took;
        if other.worst_mean.0 > self.worst_mean.0 {
            self.worst_mean = other.worst_mean;
        }
        if other.worst.0 > self.worst.0 {
            self.worst = other.worst;
        }
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
    }
}

/// What a worker reads, up to which byte, and since when.
type Slot<'a> = Mutex<Option<(&'a str, usize, Instant)>>;

fn held<'a, 'b>(slot: &'b Slot<'a>) -> MutexGuard<'b, Option<(&'a str, usize, Instant)>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process when a file takes too long: a loop without end cannot be asked to stop.
fn watch(slots: &[Slot<'_>], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
        for slot in slots {
            let Some((name, end, since)) = *held(slot) else { continue };
            if since.elapsed() > 3 * TIME_MAX {
                eprintln!("{name} up to byte {end} takes more than {TIME_MAX:?}");
                std::process::exit(101);
            }
        }
    }
}

/// Reads every file whole and cut off at `count` places.
pub fn run(bench: &Bench, files: &[File], count: usize, seed: u64) -> Tally {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let slots: Vec<Slot<'_>> = (0..workers).map(|_| Slot::default()).collect();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |slot| {
        let mut tally = Tally::default();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            tally.add(sweep(bench, file, count, seed, slot));
        }
        tally
    };
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&slots, &is_over));
        let workers: Vec<_> = slots.iter().map(|slot| scope.spawn(move || work(slot))).collect();
        let mut all = Tally::default();
        for worker in workers {
            all.add(worker.join().expect("a worker catches what it meets"));
        }
        is_over.store(true, Ordering::Relaxed);
        all
    })
}

/// All cuts of one file.
fn sweep<'a>(bench: &Bench, file: &'a File, count: usize, seed: u64, slot: &Slot<'a>) -> Tally {
    let readers = file.readers();
    let mut tally = Tally::default();
    for end in file.ends(count, seed) {
        let began = Instant::now();
        *held(slot) = Some((&file.name, end, began));
        let outcome = catch_unwind(AssertUnwindSafe(|| file.read(bench, &readers, end)));
        let took = began.elapsed();
        tally.cuts += 1;
        tally.took += took;
        let name = || format!("{} up to byte {end}", file.name);
        if took >= tally.worst.0 {
            tally.worst = (took, name());
        }
        if outcome.is_err() {
            tally.failures.push(format!("{} panicked", name()));
        } else if took > TIME_MAX {
            tally.failures.push(format!("{} took {took:?}", name()));
        }
    }
    *held(slot) = None;
    let count = u32::try_from(tally.cuts).expect("one file has a bounded number of cuts");
    tally.worst_mean = (tally.took / count, file.name.clone());
    tally
}
