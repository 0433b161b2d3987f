//! Third-party documents: nothing panics or hangs, and what their makers say of them holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vanthu::clock::Time;
use vanthu::signature::{Indication, Report, SubIndication as Sub, Trust, judge, judge_detached};

/// 2026-11-22T04:00:00Z.
const NOW: i64 = 1_795_320_000;

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
        for entry in std::fs::read_dir(folder).expect("the corpus can be read") {
            let path = entry.expect("the corpus can be read").path();
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
    let now = Time::from_seconds(NOW);
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

fn report(path: &str) -> Option<Report> {
    let (corpus, _) = path.split_once('/').unwrap();
    files(corpus)?;
    let bytes = std::fs::read(corpora().join(path)).unwrap();
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    Some(judge(&bytes, &trust, Time::from_seconds(NOW)))
}

/// Files that somebody tampered with on purpose, or that are not a signature at all.
#[test]
fn tampered_files_fail() {
    for (path, code) in [
        ("pyhanko/pdf/coverage-anomalies/one-byterange.pdf", "BYTE_RANGE"),
        ("pyhanko/pdf/coverage-anomalies/signature-gap-too-big.pdf", "BYTE_RANGE_GAP"),
        ("pyhanko/pdf/coverage-anomalies/weird-byterange.pdf", "BYTE_RANGE_GAP"),
        ("pyhanko/pdf/coverage-anomalies/tail-uncovered.pdf", "REVISION_BROKEN"),
        ("pyhanko/pdf/pdf-sig-with-econtent.pdf", "CONTENT_INSIDE"),
        ("dss/dss-pades/validation/pades-enveloping-cms.pdf", "CONTENT_INSIDE"),
        ("dss/dss-pades/validation/pades-enveloping-empty-bytes-cms.pdf", "CONTENT_INSIDE"),
        ("dss/dss-pades/validation/pades-spoofing-replaced-reason.pdf", "BYTE_RANGE_GAP"),
        ("dss/dss-pades/validation/pdf-spoofing-attack.pdf", "BYTE_RANGE_GAP"),
        ("dss/dss-pades/validation/pdf-byterange-overlap.pdf", "BYTE_RANGE_GAP"),
        ("dss/dss-pades/validation/pdf-double-signer-info.pdf", "SIGNER_COUNT"),
        ("dss/dss-pades/validation/pdf-signed-corrupted.pdf", "STRUCTURE_BROKEN"),
        ("dss/dss-pades/validation/pdf-signed-out-of-byteRange.pdf", "BYTE_RANGE"),
        ("dss/dss-pades/validation/pades_infinite_loop.pdf", "STRUCTURE_BROKEN"),
        (
            "dss/dss-pades/validation/signature-referenced-from-multiple-fields.pdf",
            "SIGNATURE_SHARED",
        ),
        ("dss/dss-pades/validation/dss-2236/hide.pdf", "UNPARSED_BYTES"),
    ] {
        let Some(report) = report(path) else { continue };
        assert_eq!(report.indication(), Some(Indication::TotalFailed), "{path}");
        let codes: Vec<_> =
            report.signatures.iter().flat_map(|s| s.verdict.reasons()).map(|r| r.code).collect();
        assert!(codes.contains(&code), "{path}: {codes:?}");
    }
}

/// Content that was exchanged after signing, in a form that any reader accepts.
#[test]
fn changes_after_signing_are_found() {
    for (path, code) in [
        ("dss/dss-pades/validation/dss-2236/replace.pdf", "FIELD_FILLED"),
        ("dss/dss-pades/validation/pdf-signed-added-page.pdf", "PAGE_ADDED"),
        ("pyhanko/pdf/form-update-override-appearance-stream.pdf", "CONTENT_CHANGED"),
        ("pyhanko/pdf/form-update-override-appearance-stream-sneaky.pdf", "CONTENT_CHANGED"),
    ] {
        let Some(report) = report(path) else { continue };
        let codes: Vec<_> =
            report.signatures.iter().flat_map(|s| s.verdict.reasons()).map(|r| r.code).collect();
        assert!(codes.contains(&code), "{path}: {codes:?}");
    }
}

/// Honest files: without their roots the chain is all that is missing.
#[test]
fn honest_files_lack_nothing_but_a_chain() {
    for (path, count) in [
        ("pyhanko/pdf/minimal-two-fields-signed-twice.pdf", 2),
        ("pyhanko/pdf/minimal-signed-twice-both-created.pdf", 2),
        ("pyhanko/pdf/minimal-signed-twice-second-created.pdf", 2),
        ("pyhanko/pdf/minimal-signed-twice-no-sig-type.pdf", 2),
        ("pyhanko/pdf/sig-with-ski-sid.pdf", 1),
        ("pyhanko/pdf/sig-no-signed-attrs.pdf", 1),
        ("pyhanko/pdf/pades-with-old-style-signing-cert-attr.pdf", 1),
        ("dss/dss-pades/validation/pades-bes.pdf", 1),
        ("dss/dss-cades/validation/Signature-C-HU_MIC-1.p7m", 1),
        ("endesive/examples/test-signed-cms-hsm-Google.pdf", 1),
    ] {
        let Some(report) = report(path) else { continue };
        assert_eq!(report.signatures.len(), count, "{path}");
        for signature in &report.signatures {
            let verdict = &signature.verdict;
            assert_eq!(verdict.sub_indication(), Some(Sub::NoCertificateChainFound), "{path}");
            let known = ["ROOT_NOT_TRUSTED", "ISSUER_MISSING"];
            assert!(
                verdict.reasons().iter().all(|reason| known.contains(&reason.code)),
                "{path}: {verdict:?}"
            );
        }
    }
}

#[test]
fn a_detached_signature_holds_over_its_content_only() {
    let folder = "dss/dss-cades/validation/dss-1892";
    if files("dss").is_none() {
        return;
    }
    let read = |name: &str| std::fs::read(corpora().join(folder).join(name)).unwrap();
    let signature = read("detached_with_counter_sig.p7m");
    let content = read("signed_content.bin");
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let now = Time::from_seconds(NOW);
    let sub = |content: &[u8]| {
        let report = judge_detached(&signature, &content, &trust, now);
        report.signatures[0].verdict.sub_indication()
    };
    assert_eq!(sub(&content), Some(Sub::NoCertificateChainFound));
    assert_eq!(sub(&content[1..]), Some(Sub::HashFailure));
}

/// The makers' own roots, at a time when the certificates were valid: only a CRL is missing.
#[test]
fn pyhanko_files_pass_up_to_revocation_with_their_root() {
    if files("pyhanko").is_none() {
        return;
    }
    let certificate = |name: &str| {
        let path = corpora().join("pyhanko/crypto/testing-ca").join(name);
        let pem = std::fs::read(path).unwrap();
        x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents
    };
    let root = certificate("root/root.cert.pem");
    let trust = Trust::new(vec![root], vec![certificate("root/interm.cert.pem")], vec![]).unwrap();
    let mut found = 0;
    for path in files("pyhanko").unwrap_or_default() {
        let bytes = std::fs::read(&path).unwrap();
        // 2020-12-01: inside the validity of the test authority's certificates.
        let report = judge(&bytes, &trust, Time::from_seconds(1_606_780_800));
        for signature in &report.signatures {
            assert!(signature.passed().is_none(), "{}", path.display());
            if signature.verdict.sub_indication() == Some(Sub::TryLater) {
                assert!(signature.chain.len() >= 2);
                found += 1;
            }
        }
    }
    assert!(found >= 10, "{found} signatures");
}
