//! Third-party documents: nothing panics or hangs, and what their makers say of them holds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vanthu::clock::Time;
use vanthu::signature::{Report, Trust, judge};

fn corpora() -> PathBuf {
    std::env::var_os("VANTHU_CORPORA").map_or_else(|| "../shared/corpora".into(), PathBuf::from)
}

/// Every file of a corpus; `None` if it is absent, which is an error in CI.
fn files(corpus: &str) -> Option<Vec<PathBuf>> {
    let root = corpora().join(corpus);
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "corpus {} is absent", root.display());
        println!("corpus {} is absent; see README.md of the corpora", root.display());
        return None;
    }
    let mut waiting = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Some(files)
}

fn describe(path: &Path, report: &Report, took: Duration) {
    println!("{} [{} us]", path.display(), took.as_micros());
    for signature in &report.signatures {
        let reasons: Vec<_> =
            signature.verdict.reasons().iter().map(|r| (r.code, r.offset)).collect();
        println!(
            "    {} {} {} {:?} {reasons:?} {:?}",
            signature.verdict.indication(),
            signature.verdict.sub_indication().map_or("-", |sub| sub.as_str()),
            signature.format,
            signature.coverage,
            signature.quirks
        );
    }
}

#[test]
fn no_file_of_any_corpus_panics_or_hangs() {
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let now = Time::from_seconds(1_795_320_000);
    for corpus in ["pyhanko", "dss", "digitorus-pdfsign", "endesive", "pyhanko-certvalidator"] {
        for path in files(corpus).unwrap_or_default() {
            let bytes = std::fs::read(&path).unwrap();
            let start = Instant::now();
            let report = judge(&bytes, &trust, now);
            let took = start.elapsed();
            describe(&path, &report, took);
            assert!(took < Duration::from_secs(10), "{} took {took:?}", path.display());
            assert!(report.signatures.iter().all(|s| s.passed().is_none()), "{}", path.display());
        }
    }
}
