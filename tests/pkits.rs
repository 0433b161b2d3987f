//! NIST PKITS: all 246 cases and the user notices, with revocation asked for in each.
//!
//! `cargo test --test pkits -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use vanthu::clock::Time;
use vanthu::signature::{
    AlgorithmRule, InitialPolicies, PathInputs, PathOutcome, Trust, validate_path,
};

/// 2026-11-22T04:00:00Z; the certificates end in 2030.
const NOW: i64 = 1_795_320_000;
const CASES: usize = 246;
const NOTICES: usize = 10;

const SECTIONS: [&str; 16] = [
    "Signature Verification",
    "Validity Periods",
    "Verifying Name Chaining",
    "Basic Certificate Revocation Tests",
    "Verifying Paths with Self-Issued Certificates",
    "Verifying Basic Constraints",
    "Key Usage",
    "Certificate Policies",
    "Require Explicit Policy",
    "Policy Mappings",
    "Inhibit Policy Mapping",
    "Inhibit Any Policy",
    "Name Constraints",
    "Distribution Points",
    "Delta-CRLs",
    "Private Certificate Extensions",
];

/// The corpus; `None` if it is absent, which is an error in CI.
fn corpus() -> Option<PathBuf> {
    let corpora = std::env::var_os("VANTHU_CORPORA");
    let root = corpora.map_or_else(|| "../shared/corpora".into(), PathBuf::from).join("pkits");
    if root.join("pkits.json").is_file() {
        return Some(root);
    }
    assert!(std::env::var_os("CI").is_none(), "corpus {} is absent", root.display());
    println!("corpus {} is absent; see README.md of the corpora", root.display());
    None
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn inputs(case: &Value) -> PathInputs {
    let params = &case["params"];
    let flag = |name: &str| params[name].as_bool().unwrap_or(false);
    let acceptable = &params["user_initial_policy_set"];
    let acceptable = acceptable
        .is_array()
        .then(|| strings(acceptable).map(|policy| policy.parse().unwrap()).collect());
    PathInputs {
        policies: InitialPolicies {
            acceptable,
            explicit_policy: flag("initial_explicit_policy"),
            mapping_inhibited: flag("initial_policy_mapping_inhibit"),
            any_policy_inhibited: flag("initial_any_policy_inhibit"),
        },
        // DSA with SHA-1 is part of PKITS.
        algorithms: AlgorithmRule::Ignored,
        ..PathInputs::default()
    }
}

fn run(root: &std::path::Path, case: &Value) -> PathOutcome {
    let certificate = |name: &str| std::fs::read(root.join("certs").join(name)).unwrap();
    let crl = |name: &str| std::fs::read(root.join("crls").join(name)).unwrap();
    let anchor = certificate("TrustAnchorRootCertificate.crt");
    let crls = std::iter::once("TrustAnchorRootCRL.crl").chain(strings(&case["crls"]));
    let trust = Trust::new(vec![anchor], vec![], crls.map(crl).collect()).unwrap();
    let others: Vec<_> = strings(&case["other_certs"]).map(certificate).collect();
    let target = certificate(case["cert"].as_str().unwrap());
    validate_path(&trust, Time::from_seconds(NOW), &target, &others, &inputs(case))
}

fn cases(root: &std::path::Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

/// The codes that may decide a case that must fail: by its kind, else by its section.
fn codes(class: &str, section: usize) -> &'static [&'static str] {
    match (class, section) {
        ("RevokedError", _) => &["REVOKED", "ON_HOLD"],
        ("InsufficientRevinfoError" | "StaleRevinfoError", _) => &["CRL_MISSING"],
        (_, 1) => &["ISSUER_KEY_DIFFERS"],
        (_, 2) => &["NOT_YET_VALID", "EXPIRED"],
        (_, 3) => &["ISSUER_MISSING"],
        (_, 5) => &["NOT_AN_AUTHORITY"],
        (_, 6) => &["NOT_AN_AUTHORITY", "PATH_LENGTH"],
        (_, 7) => &["KEY_USAGE"],
        // 4.10.7 and 4.10.8 map anyPolicy, which no mapping may.
        (_, 10) => &["POLICY", "EXTENSION_NOT_JUDGED"],
        (_, 8..=12) => &["POLICY"],
        (_, 13) => &["NAME_CONSTRAINTS"],
        (_, 16) => &["UNKNOWN_CRITICAL_EXTENSION"],
        _ => &[],
    }
}

/// Whether the case ends as it must and for the right reason; else what was said.
fn holds(case: &Value, section: usize, outcome: &PathOutcome) -> Result<(), String> {
    let class = case["error"]["class"].as_str();
    let reasons = outcome.objection.as_ref().map_or(&[][..], |verdict| verdict.reasons());
    let decisive = reasons.first().map(|reason| reason.code);
    let length = case["path_len"].as_u64().and_then(|length| usize::try_from(length).ok());
    match (class, decisive) {
        (None, None) if length == Some(outcome.chain.len()) => Ok(()),
        (None, None) => Err(format!("a path of {} certificates", outcome.chain.len())),
        (Some(class), Some(code)) if codes(class, section).contains(&code) => Ok(()),
        (Some(_), None) => Err("valid, but must not be".to_owned()),
        (_, Some(_)) => Err(format!("{reasons:?}")),
    }
}

#[test]
fn every_case_ends_as_nist_says() {
    let Some(root) = corpus() else { return };
    let mut table = BTreeMap::<usize, (usize, usize)>::new();
    let mut wrong = Vec::new();
    let cases = cases(&root, "pkits.json");
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let section: usize = id[1..3].parse().unwrap();
        let (passed, total) = table.entry(section).or_default();
        *total += 1;
        match holds(case, section, &run(&root, case)) {
            Ok(()) => *passed += 1,
            Err(why) => wrong.push(format!("{id} {}: {why}", case["name"].as_str().unwrap())),
        }
    }
    println!("{:<52}{:>8}{:>8}", "PKITS", "passed", "total");
    for (section, (passed, total)) in &table {
        let title = format!("4.{section} {}", SECTIONS[section - 1]);
        println!("{title:<52}{passed:>8}{total:>8}");
    }
    let passed: usize = table.values().map(|(passed, _)| passed).sum();
    println!("{:<52}{passed:>8}{:>8}", "all", cases.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(passed, CASES);
}

#[test]
fn the_user_notices_are_shown() {
    let Some(root) = corpus() else { return };
    let cases = cases(&root, "pkits-user-notice.json");
    for case in &cases {
        let outcome = run(&root, case);
        assert!(outcome.is_valid(), "{}: {:?}", case["name"], outcome.objection);
        let expected = case["notice"].as_str().unwrap();
        let notices: Vec<_> = outcome.policies.iter().flat_map(|policy| &policy.notices).collect();
        assert!(
            !notices.is_empty() && notices.iter().all(|notice| notice.starts_with(expected)),
            "{}: {notices:?}",
            case["name"]
        );
    }
    println!("PKITS user notices: {} of {NOTICES}", cases.len());
    assert_eq!(cases.len(), NOTICES);
}
