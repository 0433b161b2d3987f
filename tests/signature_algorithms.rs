//! Algorithms judged by date, from outside: what a table allows until a day stays valid with a proof of
//! existence from before it, and with nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

use std::time::Duration;

use vanthu::clock::Time;
use vanthu::signature::{
    CryptoPolicy, Domain, DomainUse, Indication, SubIndication as Sub, Trust, Verdict, judge,
};
use vanthu::workshop::page;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::{Profile, Validity};
use vanthu::workshop::sign::{self, Options, SubFilter};

/// Indication, sub-indication and the code that decides.
type Found = (Indication, Option<Sub>, &'static str);
/// A file, the day on which it is judged, what must be found, and why.
type Case<'a> = (&'a [u8], u64, Found, &'a str);

fn day(days: u64) -> Time {
    let start: Time = "2026-11-22T04:00:00.000Z".parse().unwrap();
    start.after(Duration::from_secs(days * 86_400))
}

/// The last day on which the algorithm of a table below may be used: day 15.
const END: &str = "2026-12-07";

fn country() -> DevPki {
    let mut profile = Profile::built_in().with_p256_keys();
    profile.crl_days = 3_000;
    for authority in &mut profile.authorities {
        authority.valid = Validity(-1_500, 7_300);
    }
    DevPki::generate(&profile, day(0)).unwrap()
}

/// The domain `gov` with a table of these lines; whatever they leave out is accepted.
fn domain(country: &DevPki, lines: &str) -> Domain {
    let table = format!(
        "# Vanthu algorithm table 1: Test\n{lines}\n\
         SHA-256 | - | any | - | - | x\nECDSA | 256 | any | - | - | x\n"
    );
    let trust = country.trust("gov").unwrap();
    Domain {
        name: "gov".to_owned(),
        algorithms: CryptoPolicy::parse(&table).unwrap(),
        anchors: trust.anchors,
        intermediates: trust.intermediates,
        crls: trust.crls,
        ..Domain::default()
    }
}

/// Signed, and stamped if asked, on a day.
fn signed(country: &DevPki, on: u64, is_stamped: bool) -> Vec<u8> {
    let tsa = country.signer("tsa").unwrap();
    let options = Options::new("seal", day(on));
    let options = Options { tsa: is_stamped.then_some(&tsa), ..options };
    sign::pdf(&page::pdf("Quyết định", &["Điều 1"], 0), &country.seal("H49").unwrap(), &options)
        .unwrap()
}

fn stamped(country: &DevPki, pdf: &[u8], on: u64) -> Vec<u8> {
    let options = Options { sub_filter: SubFilter::Timestamp, ..Options::new("stamp", day(on)) };
    sign::pdf(pdf, &country.signer("tsa").unwrap(), &options).unwrap()
}

fn found(verdict: &Verdict) -> Found {
    let code = verdict.reasons().first().map_or("", |reason| reason.code);
    (verdict.indication(), verdict.sub_indication(), code)
}

const PASSED: Found = (Indication::TotalPassed, None, "");

fn doubt(sub: Sub, code: &'static str) -> Found {
    (Indication::Indeterminate, Some(sub), code)
}

fn unproven(code: &'static str) -> Found {
    doubt(Sub::CryptoConstraintsFailureNoPoe, code)
}

fn check(domain: Domain, cases: &[Case<'_>]) {
    let trust = Trust::of(vec![domain]).unwrap();
    for (pdf, at, expected, what) in cases {
        let report = judge(pdf, &trust, day(*at));
        assert_eq!(found(&report.signatures[0].verdict), *expected, "{what}, day {at}: {report:?}");
    }
}

#[test]
fn a_hash_is_judged_when_the_signature_is_proven_to_exist() {
    let country = country();
    let plain = signed(&country, 10, false);
    let early = signed(&country, 10, true);
    let late = signed(&country, 20, true);
    check(
        domain(&country, &format!("SHA-256 | - | signature | {END} | - | x")),
        &[
            (&plain, 11, PASSED, "before the end"),
            (&plain, 15, PASSED, "on the last day"),
            (&plain, 16, unproven("DIGEST_ALGORITHM"), "no proof"),
            (&early, 16, PASSED, "stamped before the end"),
            (&early, 1_000, PASSED, "stamped before the end"),
            (&late, 21, unproven("DIGEST_ALGORITHM"), "stamped after the end"),
            (&stamped(&country, &plain, 12), 100, PASSED, "a stamp over the document"),
        ],
    );
}

#[test]
fn a_key_on_the_path_is_judged_at_that_time_too() {
    let country = country();
    let (plain, early) = (signed(&country, 10, false), signed(&country, 10, true));
    check(
        domain(&country, &format!("ECDSA | 256 | certificate | {END} | - | x")),
        &[
            (&plain, 11, PASSED, "before the end"),
            (&plain, 16, unproven("CERTIFICATE_ALGORITHM"), "no proof"),
            // The authority's own certificate is as weak, and nothing vouches for its time-stamp.
            (&early, 16, unproven("CERTIFICATE_ALGORITHM"), "a stamp of a weak authority"),
        ],
    );
    let table = "ECDSA | 256 | signature | 2020-01-01 | - | x";
    check(
        domain(&country, table),
        &[(&early, 11, unproven("SIGNATURE_ALGORITHM"), "the signer's key")],
    );
    let never = "SHA-384 | - | any | - | - | x\nECDSA | 384 | any | - | - | x";
    let mut none = domain(&country, "");
    none.algorithms =
        CryptoPolicy::parse(&format!("# Vanthu algorithm table 1: Test\n{never}")).unwrap();
    let never = doubt(Sub::CryptoConstraintsFailure, "CERTIFICATE_ALGORITHM");
    let report = judge(&early, &Trust::of(vec![none]).unwrap(), day(11));
    let codes: Vec<_> =
        report.signatures[0].verdict.reasons().iter().map(|reason| reason.code).collect();
    assert_eq!(report.signatures[0].verdict.sub_indication(), never.1);
    for code in ["DIGEST_ALGORITHM", "SIGNATURE_ALGORITHM", "CERTIFICATE_ALGORITHM"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
}

#[test]
fn a_time_stamp_is_believed_about_its_time_as_long_as_the_table_says() {
    let country = country();
    let pdf = signed(&country, 10, true);
    let with = |stated: &str| {
        domain(
            &country,
            &format!(
                "SHA-256 | - | signature | {END} | - | x\n\
                 SHA-256 | - | time-stamp | {END} | {stated} | x"
            ),
        )
    };
    check(with("-"), &[(&pdf, 16, unproven("DIGEST_ALGORITHM"), "the stamp is weak as well")]);
    check(
        with("2027-01-31"),
        &[
            (&pdf, 16, PASSED, "its own time counts"),
            (&pdf, 100, unproven("DIGEST_ALGORITHM"), "not any more"),
            // A newer stamp over the document came too late to help, one in time does.
            (&stamped(&country, &pdf, 20), 100, unproven("DIGEST_ALGORITHM"), "too late"),
            (&stamped(&country, &pdf, 12), 60, PASSED, "in time"),
        ],
    );
}

#[test]
fn a_weakly_signed_list_decides_nothing() {
    let country = country();
    let pdf = signed(&country, 10, true);
    check(
        domain(&country, &format!("SHA-256 | - | revocation | {END} | - | x")),
        &[
            (&pdf, 11, PASSED, "before the end"),
            (&pdf, 16, doubt(Sub::TryLater, "CRL_MISSING"), "the list is not accepted"),
        ],
    );
    let trust =
        Trust::of(vec![domain(&country, &format!("SHA-256 | - | revocation | {END} | - | x"))]);
    let report = judge(&pdf, &trust.unwrap(), day(16));
    let message = &report.signatures[0].verdict.reasons()[0].message;
    assert!(message.contains("SHA-256 is accepted until 07/12/2026 only"), "{message}");
}

#[test]
fn a_domain_vouches_for_what_it_is_for_and_until_its_end() {
    let country = country();
    let (plain, early) = (signed(&country, 10, false), signed(&country, 10, true));
    let stamps_only = || Domain { uses: vec![DomainUse::Timestamps], ..domain(&country, "") };
    let purpose = doubt(Sub::ChainConstraintsFailure, "DOMAIN_PURPOSE");
    check(stamps_only(), &[(&plain, 11, purpose, "not for documents")]);
    // The same anchors in another domain, which is for documents.
    let both = vec![
        stamps_only(),
        Domain { name: "seals".into(), uses: vec![DomainUse::Documents], ..domain(&country, "") },
    ];
    let trust = Trust::of(both).unwrap();
    let report = judge(&early, &trust, day(11));
    assert_eq!(found(&report.signatures[0].verdict), PASSED);
    assert_eq!(report.signatures[0].domain.as_deref(), Some("seals"));
    assert_eq!(report.signatures[0].timestamps[0].domain.as_deref(), Some("gov"));
    let ended = Domain { valid_until: Some(day(15)), ..domain(&country, "") };
    let no_poe = doubt(Sub::NoCertificateChainFoundNoPoe, "DOMAIN_ENDED");
    check(
        ended,
        &[
            (&plain, 11, PASSED, "before the end"),
            (&plain, 16, no_poe, "no proof"),
            // Its time-stamping authority ended with it.
            (&early, 16, no_poe, "no proof either"),
        ],
    );
    let begun = Domain { valid_from: Some(day(15)), ..domain(&country, "") };
    let not_begun = doubt(Sub::NoCertificateChainFound, "DOMAIN_NOT_BEGUN");
    check(begun, &[(&plain, 11, not_begun, "too early"), (&plain, 16, PASSED, "begun")]);
}
