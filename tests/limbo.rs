//! C2SP x509-limbo: path validation beside what its makers expect.
//!
//! RFC 5280 §6 is what is claimed; `limbo/exceptions.txt` lists every case that ends otherwise,
//! each with its reason. A case that is listed but ends as expected fails the test too.
//!
//! `cargo test --test limbo -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;

use flate2::read::GzDecoder;
use serde_json::Value;
use vanthu::clock::Time;
use vanthu::signature::{PathInputs, PathOutcome, RevocationRule, Trust, validate_path};
use x509_parser::pem::parse_x509_pem;

/// 2026-11-22T04:00:00Z, for the cases that name no time.
const NOW: i64 = 1_795_320_000;

/// Cases by namespace; a file with more or fewer is not the one that was looked through.
const COUNTS: [(&str, usize); 8] = [
    ("crl", 8),
    ("cve", 3),
    ("invalid", 1),
    ("online", 14),
    ("pathlen", 13),
    ("pathological", 11),
    ("rfc5280", 102),
    ("webpki", 56),
];

/// The cases; `limbo/ORIGIN.md` says where they come from.
fn cases() -> Vec<Value> {
    let packed = &include_bytes!("limbo/cases.json.gz")[..];
    let mut limbo: Value = serde_json::from_reader(GzDecoder::new(packed)).unwrap();
    let Value::Array(cases) = limbo["testcases"].take() else { panic!("a list of cases") };
    cases
}

/// Identifier of a case, or of a group with `*` at its end, and the reason.
fn exceptions() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("limbo/exceptions.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").expect("`case: reason`")).collect()
}

fn is_meant(pattern: &str, id: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == id, |group| id.starts_with(group))
}

fn ders(list: &Value) -> Vec<Vec<u8>> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| parse_x509_pem(text.as_bytes()).unwrap().1.contents).collect()
}

/// `None` if an anchor or a CRL cannot be read: then there is no trust to begin with.
fn run(case: &Value) -> Option<PathOutcome> {
    let crls = ders(&case["crls"]);
    let revocation =
        if crls.is_empty() { RevocationRule::Ignored } else { RevocationRule::Required };
    let trust = Trust::new(ders(&case["trusted_certs"]), vec![], crls).ok()?;
    let now = case["validation_time"].as_str().map(|time| {
        let time = time.strip_suffix("+00:00").unwrap();
        let milliseconds = if time.contains('.') { "" } else { ".000" };
        format!("{time}{milliseconds}Z").parse::<Time>().unwrap()
    });
    let target = case["peer_certificate"].as_str().unwrap();
    let target = parse_x509_pem(target.as_bytes()).unwrap().1.contents;
    let inputs = PathInputs { revocation, ..PathInputs::default() };
    let others = ders(&case["untrusted_intermediates"]);
    let now = now.unwrap_or(Time::from_seconds(NOW));
    Some(validate_path(&trust, now, &target, &others, &inputs))
}

#[test]
fn every_case_ends_as_expected_or_is_listed() {
    let cases = cases();
    let exceptions = exceptions();
    let mut table = BTreeMap::<&str, [usize; 3]>::new();
    let mut wrong = Vec::new();
    let mut used = vec![0_usize; exceptions.len()];
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let outcome = run(case);
        let valid = outcome.as_ref().is_some_and(PathOutcome::is_valid);
        let must_pass = case["expected_result"] == "SUCCESS";
        let fits = valid == must_pass;
        let listed = exceptions.iter().position(|(pattern, _)| is_meant(pattern, id));
        // Nothing excuses refusing what is valid.
        let listed = listed.filter(|_| !must_pass);
        let row = table.entry(id.split("::").next().unwrap()).or_default();
        match (fits, listed) {
            (true, _) => row[0] += 1,
            (false, Some(at)) => {
                used[at] += 1;
                row[1] += 1;
            }
            (false, None) => {
                let reasons = outcome.and_then(|outcome| outcome.objection);
                wrong.push(format!("{id}: {} {reasons:?}", case["expected_result"]));
            }
        }
        row[2] += 1;
    }
    println!("{:<24}{:>12}{:>8}{:>8}", "x509-limbo", "as expected", "listed", "total");
    for (group, [fits, listed, total]) in &table {
        println!("{group:<24}{fits:>12}{listed:>8}{total:>8}");
    }
    let counts: Vec<_> = table.iter().map(|(group, [.., total])| (*group, *total)).collect();
    assert_eq!(counts, COUNTS, "cases by namespace");
    let idle = exceptions.iter().zip(used).filter(|(_, count)| *count == 0);
    wrong.extend(idle.map(|((pattern, _), _)| format!("{pattern}: listed, but as expected")));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
