//! How fast documents are judged, on one core of this process: every signed PDF that is given, and
//! one PDF of 500 KB held against what must at least be computed for it.
//!
//! A document is judged *cold*, as if its authorities were never seen before, and *warm*, as a gateway
//! meets the same authorities again and again. Reading files and starting up are not measured.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ring::rand::SystemRandom;
use ring::signature as ring_signature;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::cli::{Exit, Failure, Output};
use crate::clock::{Clock as _, SystemClock, Time};
use crate::config::read_trust;
use crate::digest::Sha256;
use crate::signature::{Der, Indication, Report, Trust, judge};
use crate::workshop::identity::Identity;
use crate::workshop::page;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;
use crate::workshop::sign::{self, Options};

/// Size of the typical document (issue scale).
const TYPICAL_SIZE: usize = 500 * 1000;
/// Times that each document is judged cold and warm; the median counts.
const RUNS: usize = 9;
/// A signed message of the size that signed attributes have.
const MESSAGE_SIZE: usize = 256;
/// How often the typical document and its limit are measured.
const TYPICAL_RUNS: usize = 201;

/// Judges all PDFs in `paths` with the material in `trust`.
///
/// # Errors
/// If a file cannot be read or the typical document does not verify.
pub(super) fn run(paths: &[PathBuf], trust: &Path, output: Output) -> Result<Exit, Failure> {
    let mut documents = Vec::new();
    for path in pdfs(paths)? {
        documents.extend(Document::measure(&path, trust)?);
    }
    if documents.is_empty() {
        return Err(Failure::other("no signed PDF among these files"));
    }
    let typical = Typical::measure()?;
    match output {
        Output::Json => print_json(&documents, &typical),
        _ => print(&documents, &typical),
    }
    Ok(Exit::Ok)
}

/// Files, and the PDFs in folders, in the order of their names.
fn pdfs(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut waiting: Vec<PathBuf> = paths.to_vec();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if !path.is_dir() {
            found.push(path);
            continue;
        }
        let failed = |error| Failure::file(&path, error);
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.is_dir() || entry.extension().is_some_and(|kind| kind == "pdf") {
                waiting.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// One signed PDF.
struct Document {
    path: PathBuf,
    size: usize,
    report: Report,
    at: Time,
    cold: Duration,
    warm: Duration,
}

impl Document {
    /// `None` if it has no signature.
    fn measure(path: &Path, trust: &Path) -> Result<Option<Self>, Failure> {
        let bytes = std::fs::read(path).map_err(|error| Failure::file(path, error))?;
        let warm_trust = read_trust(trust)?;
        let report = judge(&bytes, &warm_trust, SystemClock.now());
        if report.signatures.is_empty() {
            return Ok(None);
        }
        // As on the day on which it was signed: later most certificates have expired, and a path that
        // does not hold costs less.
        let claimed = report.signatures.iter().filter_map(|signature| {
            signature
                .timestamps
                .iter()
                .filter_map(|stamp| stamp.time)
                .chain(signature.signing_time)
                .max()
        });
        let at =
            claimed.max().map_or(SystemClock.now(), |time| time.after(Duration::from_secs(60)));
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let trust = read_trust(trust)?;
            cold.push(timed(|| judge(&bytes, &trust, at)));
            warm.push(timed(|| judge(&bytes, &warm_trust, at)));
        }
        let report = judge(&bytes, &warm_trust, at);
        let (cold, warm) = (median(cold), median(warm));
        Ok(Some(Self { path: path.to_owned(), size: bytes.len(), report, at, cold, warm }))
    }

    fn describe(&self) -> Value {
        json!({
            "file": self.path.display().to_string(),
            "bytes": self.size,
            "signatures": self.report.signatures.len(),
            "indication": self.report.word(),
            "at": self.at.to_string(),
            "cold_us": micros(self.cold),
            "warm_us": micros(self.warm),
        })
    }
}

/// A PDF of 500 KB with one signature, and what must at least be computed for it.
struct Typical {
    size: usize,
    cold: Duration,
    warm: Duration,
    digest: Duration,
    value: Duration,
    links: Duration,
}

impl Typical {
    fn measure() -> Result<Self, Failure> {
        let now = SystemClock.now();
        let pki = DevPki::generate(&Profile::built_in(), now).map_err(Failure::other)?;
        let seal = pki.seal("H49.151").map_err(Failure::other)?;
        let paper = page::pdf("Công văn", &["Kính gửi: các cơ quan"], TYPICAL_SIZE);
        let signed =
            sign::pdf(&paper, &seal, &Options::new("seal", now)).map_err(Failure::other)?;
        let material = pki.trust("gov").map_err(Failure::other)?;
        let trust = || {
            Trust::new(
                material.anchors.clone(),
                material.intermediates.clone(),
                material.crls.clone(),
            )
            .map_err(Failure::other)
        };
        let warm_trust = trust()?;
        let report = judge(&signed, &warm_trust, now);
        let [signature] = &report.signatures[..] else {
            return Err(Failure::other("the document of the benchmark has not one signature"));
        };
        if signature.verdict.indication() != Indication::TotalPassed {
            return Err(Failure::other("the document of the benchmark does not verify"));
        }
        let value = Operation::of_signer(&seal)?;
        let links = Operation::of_chain(&signature.chain)?;
        let mut times: [Vec<Duration>; 5] = Default::default();
        for _ in 0..TYPICAL_RUNS {
            let cold_trust = trust()?;
            let [cold, warm, digest, signer, chain] = &mut times;
            cold.push(timed(|| judge(&signed, &cold_trust, now)));
            warm.push(timed(|| judge(&signed, &warm_trust, now)));
            digest.push(timed(|| Sha256::of(&signed)));
            signer.push(timed(|| value.verify()));
            chain.push(timed(|| links.iter().all(Operation::verify)));
        }
        let [cold, warm, digest, value, links] = times.map(median);
        Ok(Self { size: signed.len(), cold, warm, digest, value, links })
    }

    /// Hashing and the signature value: all that is new in a document of a known signer.
    fn limit_warm(&self) -> Duration {
        self.digest + self.value
    }

    /// And the certificates; each authority's revocation list counts like its certificate.
    fn limit_cold(&self) -> Duration {
        self.digest + self.value + 2 * self.links
    }
}

/// One check of a signature value, with nothing around it.
struct Operation {
    key: ring_signature::UnparsedPublicKey<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Operation {
    /// A check with the signer's key (RSA, SHA-256) over as many bytes as signed attributes have.
    fn of_signer(seal: &Identity) -> Result<Self, Failure> {
        let pair =
            ring_signature::RsaKeyPair::from_pkcs8(&seal.key_pkcs8).map_err(Failure::other)?;
        let message = vec![0x31; MESSAGE_SIZE];
        let mut signature = vec![0; pair.public().modulus_len()];
        let padding = &ring_signature::RSA_PKCS1_SHA256;
        pair.sign(padding, &SystemRandom::new(), &message, &mut signature)
            .map_err(Failure::other)?;
        let key = ring_signature::UnparsedPublicKey::new(
            &ring_signature::RSA_PKCS1_2048_8192_SHA256,
            pair.public().as_ref().to_vec(),
        );
        Ok(Self { key, message, signature })
    }

    /// The checks of each certificate with the key of the next one.
    fn of_chain(chain: &[Der]) -> Result<Vec<Self>, Failure> {
        let parse = |der| X509Certificate::from_der(der).map_err(Failure::other);
        let mut operations = Vec::new();
        for pair in chain.windows(2) {
            let [subject, issuer] = pair else { continue };
            let (_, subject) = parse(subject)?;
            let (_, issuer) = parse(issuer)?;
            let key = issuer.public_key().subject_public_key.data.to_vec();
            operations.push(Self {
                key: ring_signature::UnparsedPublicKey::new(
                    &ring_signature::RSA_PKCS1_2048_8192_SHA256,
                    key,
                ),
                message: subject.tbs_certificate.as_ref().to_vec(),
                signature: subject.signature_value.data.to_vec(),
            });
        }
        if operations.iter().all(Self::verify) {
            Ok(operations)
        } else {
            Err(Failure::other("the limit cannot be measured with these certificates"))
        }
    }

    fn verify(&self) -> bool {
        self.key.verify(&self.message, &self.signature).is_ok()
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn median(times: Vec<Duration>) -> Duration {
    quantile(times, 50)
}

fn quantile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len().saturating_sub(1) * percent).div_ceil(100);
    times.get(at).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

fn print_json(documents: &[Document], typical: &Typical) {
    let times = |pick: fn(&Document) -> Duration| {
        let times: Vec<Duration> = documents.iter().map(pick).collect();
        json!({
            "median_us": micros(quantile(times.clone(), 50)),
            "p99_us": micros(quantile(times.clone(), 99)),
            "sum_us": micros(times.iter().sum()),
        })
    };
    let value = json!({
        "documents": documents.iter().map(Document::describe).collect::<Vec<_>>(),
        "cold": times(|document| document.cold),
        "warm": times(|document| document.warm),
        "typical": {
            "bytes": typical.size,
            "cold_us": micros(typical.cold),
            "warm_us": micros(typical.warm),
            "sha256_us": micros(typical.digest),
            "value_us": micros(typical.value),
            "links_us": micros(typical.links),
            "limit_cold_us": micros(typical.limit_cold()),
            "limit_warm_us": micros(typical.limit_warm()),
            "of_limit_cold": typical.limit_cold().as_secs_f64() / typical.cold.as_secs_f64(),
            "of_limit_warm": typical.limit_warm().as_secs_f64() / typical.warm.as_secs_f64(),
        },
    });
    println!("{value}");
}

fn print(documents: &[Document], typical: &Typical) {
    let bytes: usize = documents.iter().map(|document| document.size).sum();
    let signatures: usize = documents.iter().map(|d| d.report.signatures.len()).sum();
    println!(
        "{} signed PDFs, {signatures} signatures, {:.1} MB; one core, in this process",
        documents.len(),
        bytes as f64 / 1e6
    );
    println!("{:<28} {:>10} {:>10}", "per document, ms", "median", "p99");
    for (name, pick) in [
        ("authorities never seen", (|d| d.cold) as fn(&Document) -> Duration),
        ("authorities known", |d| d.warm),
    ] {
        let times: Vec<Duration> = documents.iter().map(pick).collect();
        let [median, p99] = [50, 99].map(|percent| micros(quantile(times.clone(), percent)) / 1e3);
        println!("{name:<28} {median:>10.3} {p99:>10.3}");
    }
    println!("one PDF of {} bytes with one signature, ms", typical.size);
    for (name, took, limit) in [
        ("authorities never seen", typical.cold, typical.limit_cold()),
        ("authorities known", typical.warm, typical.limit_warm()),
    ] {
        println!(
            "{name:<28} {:>10.3}  limit {:.3} ({:.0} % of it)",
            micros(took) / 1e3,
            micros(limit) / 1e3,
            100.0 * limit.as_secs_f64() / took.as_secs_f64()
        );
    }
    println!(
        "limit: SHA-256 of the file {:.3}, the signature value {:.3}; never seen: the certificates \
         and as many revocation lists, each {:.3}",
        micros(typical.digest) / 1e3,
        micros(typical.value) / 1e3,
        micros(typical.links) / 1e3
    );
}
