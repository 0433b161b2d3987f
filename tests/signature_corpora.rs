//! Third-party documents: nothing panics or hangs, and what their makers say of them holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vanthu::clock::Time;
use vanthu::signature::{
    Indication, Report, SubIndication as Sub, TimestampKind, Trust, judge, judge_detached,
};

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
        for stamp in &signature.timestamps {
            let code = stamp.verdict.reasons().first().map_or("-", |reason| reason.code);
            let sub = stamp.verdict.sub_indication().map_or("-", |sub| sub.as_str());
            println!("        {} {:?} {sub} {code} {:?}", stamp.kind, stamp.time, stamp.quirks);
        }
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
    for path in [
        "dss/dss-pades/validation/dss-2236/replace.pdf",
        "dss/dss-pades/validation/pdf-signed-added-page.pdf",
        "pyhanko/pdf/form-update-override-appearance-stream.pdf",
        "pyhanko/pdf/form-update-override-appearance-stream-sneaky.pdf",
    ] {
        let Some(report) = report(path) else { continue };
        let codes: Vec<_> =
            report.signatures.iter().flat_map(|s| s.verdict.reasons()).map(|r| r.code).collect();
        assert!(codes.contains(&"CONTENT_CHANGED"), "{path}: {codes:?}");
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

fn pyhanko(certificate: &str) -> Vec<u8> {
    let path = corpora().join("pyhanko/crypto/testing-ca").join(certificate);
    let pem = std::fs::read(path).unwrap();
    x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents
}

/// Archived signatures that bring along lists, responses and time-stamps: nothing but the root is
/// added. The responses speak for ten minutes; the time-stamps carry them on until the list of the
/// stamping authority ran out on 11 December 2020.
#[test]
fn archived_files_of_pyhanko_pass_while_their_last_time_stamp_does() {
    if files("pyhanko").is_none() {
        return;
    }
    let trust = Trust::new(vec![pyhanko("root/root.cert.pem")], vec![], vec![]).unwrap();
    let stamped = "2020-11-01T00:00:00.000Z".parse().unwrap();
    for (name, count) in
        [("pades-lta-dss-indirect-arrs-test.pdf", 2), ("pades-lta-dss-indirect-arrs-test-2.pdf", 3)]
    {
        let bytes = std::fs::read(corpora().join("pyhanko/pdf").join(name)).unwrap();
        for (now, expected) in [
            ("2020-11-01T00:01:00.000Z", None),
            ("2020-12-01T00:00:00.000Z", None),
            ("2020-12-12T00:00:00.000Z", Some(Sub::TryLater)),
            ("2030-06-01T00:00:00.000Z", Some(Sub::OutOfBoundsNoPoe)),
        ] {
            let report = judge(&bytes, &trust, now.parse().unwrap());
            assert_eq!(report.signatures.len(), count, "{name}");
            for signature in &report.signatures {
                assert_eq!(signature.verdict.sub_indication(), expected, "{name} {now}");
                assert_eq!(signature.passed().is_some(), expected.is_none(), "{name} {now}");
            }
            let best_time = report.signatures[0].best_time;
            assert_eq!(best_time, expected.is_none().then_some(stamped), "{name} {now}");
        }
    }
}

/// Whatever is changed in an archived file, nothing proves another time, and no newer signature passes
/// with it.
#[test]
fn no_changed_byte_of_an_archived_file_proves_another_time() {
    if files("pyhanko").is_none() {
        return;
    }
    let trust = Trust::new(vec![pyhanko("root/root.cert.pem")], vec![], vec![]).unwrap();
    let (now, stamped) = ("2020-12-01T00:00:00.000Z", "2020-11-01T00:00:00.000Z");
    let (now, stamped) = (now.parse().unwrap(), stamped.parse().unwrap());
    let path = corpora().join("pyhanko/pdf/pades-lta-dss-indirect-arrs-test.pdf");
    let bytes = std::fs::read(path).unwrap();
    let honest = judge(&bytes, &trust, now);
    assert_eq!(honest.indication(), Some(Indication::TotalPassed));
    for at in (0..bytes.len()).step_by(53) {
        for change in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            for signature in judge(&changed, &trust, now).signatures {
                let time = signature.best_time;
                assert!(time.is_none_or(|time| time == stamped), "byte {at}: {time:?}");
            }
        }
        for signature in judge(&&bytes[..at], &trust, now).signatures {
            let time = signature.best_time;
            assert!(time.is_none_or(|time| time == stamped), "cut at {at}: {time:?}");
        }
    }
}

/// The makers' own roots, at a time when the certificates were valid: only a CRL is missing.
#[test]
fn pyhanko_files_pass_up_to_revocation_with_their_root() {
    if files("pyhanko").is_none() {
        return;
    }
    let (root, middle) = (pyhanko("root/root.cert.pem"), pyhanko("root/interm.cert.pem"));
    let trust = Trust::new(vec![root], vec![middle], vec![]).unwrap();
    let mut found = 0;
    for path in files("pyhanko").unwrap_or_default() {
        let bytes = std::fs::read(&path).unwrap();
        // 2020-12-01: inside the validity of the test authority's certificates.
        let report = judge(&bytes, &trust, Time::from_seconds(1_606_780_800));
        for signature in &report.signatures {
            let brings_its_own = path.to_string_lossy().contains("pades-lta");
            assert!(signature.passed().is_none() || brings_its_own, "{}", path.display());
            if signature.verdict.sub_indication() == Some(Sub::TryLater) {
                assert!(signature.chain.len() >= 2);
                found += 1;
            }
        }
    }
    assert!(found >= 10, "{found} signatures");
}

/// Time-stamps of others, each with its kind and what is first against it. Without their roots an
/// honest one lacks nothing but a chain.
#[test]
fn time_stamps_of_others_are_judged() {
    use TimestampKind::{Content, Document, Signature};
    const ROOT: (Sub, &str) = (Sub::NoCertificateChainFound, "ROOT_NOT_TRUSTED");
    const ISSUER: (Sub, &str) = (Sub::NoCertificateChainFound, "ISSUER_MISSING");
    const IMPRINT: (Sub, &str) = (Sub::HashFailure, "IMPRINT_DIFFERS");
    let cades = "dss/dss-cades/validation";
    let pades = "dss/dss-pades/validation";
    for (path, expected) in [
        (format!("{cades}/Signature-C-CZ_SIX-1.p7m"), &[(Signature, ROOT)][..]),
        (format!("{cades}/Signature-C-DE_CRY-4.p7m"), &[(Signature, ROOT)]),
        (format!("{cades}/cades-b-copied-cnttst.p7m"), &[(Content, ROOT), (Content, ROOT)]),
        (format!("{cades}/cades-t-duplicated-sigtst.p7m"), &[(Signature, ROOT), (Signature, ROOT)]),
        (format!("{cades}/cades-two-sig-copied-tst.p7m"), &[(Content, ROOT), (Content, ROOT)]),
        // OpenSSL agrees: the value in this token does not fit its signer's key.
        (
            format!("{cades}/cms-wrong-sign-cert-ref.p7m"),
            &[(Signature, (Sub::SigCryptoFailure, "SIGNATURE_VALUE"))],
        ),
        (
            format!("{cades}/dss-1220/CAdES-BpT_modified_ts_hash.p7m"),
            &[(Signature, (Sub::HashFailure, "DIGEST_DIFFERS"))],
        ),
        (format!("{pades}/DSS-1983.pdf"), &[(Signature, ISSUER), (Document, ISSUER)]),
        (format!("{pades}/Signature-P-BG_BOR-2.pdf"), &[(Signature, ISSUER), (Document, ISSUER)]),
        (format!("{pades}/Signature-P-HU_POL-3.pdf"), &[(Signature, ROOT), (Document, ISSUER)]),
        (format!("{pades}/pades-lta-copied-doctst.pdf"), &[(Signature, ROOT), (Document, IMPRINT)]),
        (
            format!("{pades}/pades-t-duplicated-doctst.pdf"),
            &[(Document, ROOT), (Document, IMPRINT)],
        ),
        (
            "pyhanko/pdf/pades-lta-dss-indirect-arrs-test.pdf".to_owned(),
            &[(Signature, ROOT), (Document, ROOT)],
        ),
    ] {
        let Some(report) = report(&path) else { continue };
        let stamps = report.signatures.iter().flat_map(|signature| &signature.timestamps);
        let found: Vec<_> = stamps
            .map(|stamp| {
                let first = stamp.verdict.reasons().first().map_or("", |reason| reason.code);
                (stamp.kind, (stamp.verdict.sub_indication().unwrap(), first))
            })
            .collect();
        assert_eq!(found, expected, "{path}");
        assert!(report.signatures.iter().all(|signature| signature.best_time.is_none()));
    }
}

#[test]
fn a_doubled_time_stamp_is_named() {
    for name in ["cades-t-duplicated-sigtst.p7m", "cades-b-copied-cnttst.p7m"] {
        let Some(report) = report(&format!("dss/dss-cades/validation/{name}")) else { continue };
        let stamps = &report.signatures[0].timestamps;
        let codes = stamps.iter().map(|stamp| {
            stamp.verdict.reasons().iter().any(|reason| reason.code == "TIMESTAMP_DOUBLED")
        });
        assert!(codes.eq([false, true]), "{name}");
    }
}

/// Of all tokens on the signatures of DSS and pyHanko, those that fail are named here.
#[test]
fn imprints_and_values_of_others_fit() {
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let mut failed = Vec::new();
    let mut count = 0;
    for corpus in ["pyhanko", "dss"] {
        for path in files(corpus).unwrap_or_default() {
            let report = judge(&std::fs::read(&path).unwrap(), &trust, Time::from_seconds(NOW));
            for stamp in report.signatures.iter().flat_map(|signature| &signature.timestamps) {
                count += 1;
                if stamp.verdict.indication() == Indication::TotalFailed {
                    failed.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
    }
    let expected = [
        "cms-wrong-sign-cert-ref.p7m",
        "CAdES-BpT_modified_ts_hash.p7m",
        "pades-lta-copied-doctst.pdf",
        "pades-t-duplicated-doctst.pdf",
    ];
    println!("{count} tokens, {failed:?} failed");
    assert!(failed.iter().eq(expected.iter().filter(|_| count > 0)), "{failed:?}");
}
