//! Third-party documents: nothing panics or hangs, and what their makers say of them holds. Damaged
//! ones are read in `robustness.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

#[path = "signature_corpora/cades.rs"]
mod cades;
#[path = "signature_corpora/xades.rs"]
mod xades;

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

const CORPORA: [&str; 11] = [
    "certvalidator",
    "digitorus-pdfsign",
    "dss",
    "edxml",
    "endesive",
    "pkits",
    "pyhanko",
    "pyhanko-certvalidator",
    "santuario",
    "x509-limbo",
    "xmlsec1",
];
/// For one file, unoptimised; the slowest whole one takes a tenth of a second.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Hands the bytes to every parser there is: as a document, as a signature, as a certificate and
/// as a revocation list. Nothing may panic, hang or pass.
fn withstand(path: &Path, bytes: &[u8], trust: &Trust, now: Time) -> Report {
    let start = Instant::now();
    let report = judge(&bytes, trust, now);
    let detached = judge_detached(bytes, &&b"content"[..], trust, now);
    let der = x509_parser::pem::parse_x509_pem(bytes).map(|(_, pem)| pem.contents);
    let der = der.unwrap_or_else(|_| bytes.to_vec());
    let accepted = [
        Trust::new(vec![der.clone()], vec![], vec![]).is_ok(),
        Trust::new(vec![], vec![], vec![der]).is_ok(),
    ];
    let took = start.elapsed();
    let place = format!("{} ({} bytes)", path.display(), bytes.len());
    assert!(took < TIME_MAX, "{place} took {took:?}");
    assert!(accepted != [true, true], "{place} is a certificate and a list");
    for signature in report.signatures.iter().chain(&detached.signatures) {
        assert!(signature.passed().is_none(), "{place} passes without any root");
    }
    report
}

#[test]
fn no_file_of_any_corpus_panics_or_hangs() {
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let now = Time::from_seconds(NOW);
    let (mut count, mut slowest) = (0, Duration::ZERO);
    for path in CORPORA.into_iter().filter_map(files).flatten() {
        let bytes = std::fs::read(&path).unwrap();
        let start = Instant::now();
        let report = withstand(&path, &bytes, &trust, now);
        describe(&path, &report, start.elapsed());
        count += 1;
        slowest = slowest.max(start.elapsed());
    }
    println!("{count} files, the slowest took {slowest:?}");
}

/// Reasons that say only that the maker is not trusted here, or not known.
const CHAIN: [&str; 2] = ["ROOT_NOT_TRUSTED", "ISSUER_MISSING"];
/// Reasons that say that something was changed after signing in a readable way.
const CHANGED: [&str; 24] = [
    "ANNOTATION_ADDED",
    "ANNOTATION_REMOVED",
    "CATALOG_CHANGED",
    "CATALOG_REPLACED",
    "CERTIFIED_WITHOUT_CHANGES",
    "CONTENT_CHANGED",
    "DANGLING_REFERENCE",
    "FIELD_FILLED",
    "FIELD_INLINE",
    "FIELD_LOCKED",
    "FIELD_MALFORMED",
    "FIELD_NOT_ALLOWED",
    "FIELD_REMOVED",
    "FORM_CHANGED",
    "NOT_COMPARABLE",
    "OBJECT_MOVED",
    "OBJECT_REMOVED",
    "PAGES_CHANGED",
    "PAGE_ADDED",
    "PAGE_CHANGED",
    "PAGE_REMOVED",
    "SIGNATURE_COVERS_PAGE",
    "UNSIGNED_FIELD_DRAWS",
    "VIEWS_DIFFER",
];

/// A word for the whole file, and every reason with its place, signature by signature.
fn sum_up(report: &Report) -> (&'static str, String) {
    let reasons = || report.signatures.iter().flat_map(|s| s.verdict.reasons());
    let word = match report.indication() {
        None => "unsigned",
        Some(Indication::TotalFailed) => "fails",
        _ if reasons().any(|reason| CHANGED.contains(&reason.code)) => "changed",
        _ if reasons().all(|reason| CHAIN.contains(&reason.code)) => "holds",
        _ => "undecided",
    };
    let mut signatures = Vec::new();
    for signature in &report.signatures {
        let mut codes: Vec<String> = Vec::new();
        for reason in signature.verdict.reasons() {
            let code = match reason.offset {
                Some(offset) => format!("{}@{offset}", reason.code),
                None => reason.code.to_owned(),
            };
            if !CHAIN.contains(&reason.code) && !codes.contains(&code) {
                codes.push(code);
            }
        }
        signatures.push(if codes.is_empty() { "-".to_owned() } else { codes.join(",") });
    }
    (word, signatures.join(" "))
}

fn report(path: &str) -> Option<Report> {
    let (corpus, _) = path.split_once('/').unwrap();
    files(corpus)?;
    let bytes = std::fs::read(corpora().join(path)).unwrap();
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    Some(judge(&bytes, &trust, Time::from_seconds(NOW)))
}

/// The table beside this file; `VANTHU_BLESS` writes our columns anew.
#[test]
fn every_signed_sample_is_judged_as_its_makers_say() {
    if files("dss").is_none() || files("pyhanko").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signature_corpora/table.txt");
    let table = std::fs::read_to_string(&path).unwrap();
    let (head, rows): (Vec<&str>, Vec<&str>) =
        table.lines().partition(|line| line.starts_with('#'));
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let (mut written, mut wrong, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let columns: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [name, expected, _, _, why] = columns[..] else { panic!("five columns: {row}") };
        let bytes = std::fs::read(corpora().join(name)).unwrap();
        let (ours, codes) = sum_up(&judge(&bytes, &trust, Time::from_seconds(NOW)));
        let line = format!("{name} | {expected} | {ours} | {codes} | {why}");
        if line != row {
            wrong.push(format!("{row}\n    now: {line}"));
        }
        let agrees = expected == "?" || expected == ours;
        if agrees != (why == "-") {
            wrong.push(format!("{name}: {expected} and {ours}, explained by “{why}”"));
        }
        listed.push(corpora().join(name));
        written.push(line);
    }
    if std::env::var_os("VANTHU_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n{}\n", head.join("\n"), written.join("\n"))).unwrap();
    }
    let pdfs = files("dss").into_iter().chain(files("pyhanko")).flatten();
    let pdfs = pdfs.filter(|path| path.extension().is_some_and(|kind| kind == "pdf"));
    wrong.extend(
        pdfs.filter(|path| !listed.contains(path)).map(|p| format!("{} is new", p.display())),
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Signatures made with SHA-1 in its time: nobody objected to it then. A time-stamp of that time is
/// believed about when it was made for longer.
#[test]
fn sha_1_speaks_against_a_signature_only_after_its_end() {
    if files("dss").is_none() {
        return;
    }
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let signatures = [("2019-12-31", false), ("2020-01-01", true), ("2026-11-22", true)];
    let stamp = [("2019-12-31", false), ("2026-11-22", false), ("2031-01-01", true)];
    for (name, times) in [
        ("BadEncodedCMS.pdf", signatures),
        ("pkcs7_sha1.pdf", signatures),
        ("Signature-P-BG_BOR-2.pdf", stamp),
    ] {
        let path = corpora().join("dss/dss-pades/validation").join(name);
        let bytes = std::fs::read(path).unwrap();
        for (at, expected) in times {
            let report = judge(&bytes, &trust, format!("{at}T00:00:00.000Z").parse().unwrap());
            let mut reasons = report.signatures.iter().flat_map(|one| one.verdict.reasons());
            assert_eq!(reasons.any(|reason| reason.code == "SHA1"), expected, "{name} {at}");
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
    use TimestampKind::{Archive, Content, Document, Signature};
    const ROOT: (Sub, &str) = (Sub::NoCertificateChainFound, "ROOT_NOT_TRUSTED");
    const ISSUER: (Sub, &str) = (Sub::NoCertificateChainFound, "ISSUER_MISSING");
    const IMPRINT: (Sub, &str) = (Sub::HashFailure, "IMPRINT_DIFFERS");
    let cades = "dss/dss-cades/validation";
    let pades = "dss/dss-pades/validation";
    for (path, expected) in [
        (format!("{cades}/Signature-C-CZ_SIX-1.p7m"), &[(Signature, ROOT), (Archive, ROOT)][..]),
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
        "cades-ats-v3-rev-val-ocsp.p7s",
        "cades-ats-v3-wrong-cert.p7m",
        "cades-ats-v3-wrong-ocsp.p7s",
        "cades-dss1997.p7m",
        "cms-wrong-sign-cert-ref.p7m",
        "CAdES-BpLTA_removed_ocsp.p7m",
        "CAdES-BpT_modified_ts_hash.p7m",
        "CAdES-XL-T1-Double-AV2.png.p7m",
        "pades-lta-copied-doctst.pdf",
        "pades-t-duplicated-doctst.pdf",
        "Signature-X-CZ_ICZ-1.xml",
        "Signature-X-RO_TRA-4.xml",
        "xades-counter-sig-copied-sigtst.xml",
        "xades-lta-copied-atst.xml",
        "xades-lta-with-additional-cert-in-keyinfo.xml",
        "xades-two-sig-copied-tst.xml",
        "XSW-enveloping-fake-object.xml",
    ];
    println!("{count} tokens, {failed:?} failed");
    assert!(failed.iter().eq(expected.iter().filter(|_| count > 0)), "{failed:?}");
}
