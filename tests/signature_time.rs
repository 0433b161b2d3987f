//! Signing and judging across the years, from outside: only what the workshop makes and the room says.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

use std::time::Duration;

use vanthu::clock::Time;
use vanthu::gateway::describe;
use vanthu::signature::{Indication, Report, Signature, SubIndication as Sub, Trust, judge};
use vanthu::workshop::page;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::{Profile, Purpose, Signer, Validity};
use vanthu::workshop::sign::{self, Options, SubFilter};

fn start() -> Time {
    "2026-11-22T04:00:00.000Z".parse().unwrap()
}

fn day(days: u64) -> Time {
    start().after(Duration::from_secs(days * 86_400))
}

fn described(signature: &Signature) -> serde_json::Value {
    serde_json::to_value(describe(signature)).unwrap()
}

/// The built-in country with authorities and lists that live long enough for these stories; seals
/// end after 1,460 days, the stamping authority after 3,000.
fn country() -> DevPki {
    let mut profile = Profile::built_in().with_p256_keys();
    profile.crl_days = 3_000;
    for authority in &mut profile.authorities {
        authority.valid = Validity(-1_500, 7_300);
    }
    let tsa = profile.signers.iter_mut().find(|signer| signer.id == "tsa").unwrap();
    tsa.valid = Validity(-365, 3_000);
    let short = Signer { id: "short-tsa".into(), valid: Validity(-365, 30), ..tsa.clone() };
    let fake = Signer { id: "fake-tsa".into(), purpose: Purpose::Sign, ..tsa.clone() };
    profile.signers.extend([short, fake]);
    DevPki::generate(&profile, start()).unwrap()
}

fn trust(country: &DevPki) -> Trust {
    let trust = country.trust("gov").unwrap();
    Trust::new(trust.anchors, trust.intermediates, trust.crls).unwrap()
}

fn paper() -> Vec<u8> {
    page::pdf("Quyết định", &["Điều 1. Phê duyệt"], 0)
}

/// Signed on day 10, stamped by `tsa` if there is one.
fn signed(country: &DevPki, tsa: Option<&str>) -> Vec<u8> {
    let tsa = tsa.map(|id| country.signer(id).unwrap());
    let options = Options { tsa: tsa.as_ref(), ..Options::new("seal", day(10)) };
    sign::pdf(&paper(), &country.seal("H49").unwrap(), &options).unwrap()
}

fn stamped(country: &DevPki, pdf: &[u8], tsa: &str, at: Time) -> Vec<u8> {
    let options = Options { sub_filter: SubFilter::Timestamp, ..Options::new("stamp", at) };
    sign::pdf(pdf, &country.signer(tsa).unwrap(), &options).unwrap()
}

fn found(report: &Report) -> Vec<(Indication, Option<Sub>)> {
    let verdicts = report.signatures.iter().map(|signature| &signature.verdict);
    verdicts.map(|verdict| (verdict.indication(), verdict.sub_indication())).collect()
}

const PASSED: (Indication, Option<Sub>) = (Indication::TotalPassed, None);

fn open(sub: Sub) -> (Indication, Option<Sub>) {
    (Indication::Indeterminate, Some(sub))
}

#[test]
fn a_stamped_signature_outlives_its_certificate() {
    let country = country();
    let trust = trust(&country);
    let (plain, with_stamp) = (signed(&country, None), signed(&country, Some("tsa")));
    for (pdf, at, expected, best_time) in [
        (&plain, 11, PASSED, None),
        (&plain, 2_000, open(Sub::OutOfBoundsNoPoe), None),
        (&with_stamp, 11, PASSED, Some(day(10))),
        (&with_stamp, 2_000, PASSED, Some(day(10))),
        // The stamping authority itself ran out, and nothing vouches for its time-stamp.
        (&with_stamp, 3_100, open(Sub::OutOfBoundsNoPoe), None),
    ] {
        let report = judge(pdf, &trust, day(at));
        assert_eq!(found(&report), [expected], "day {at}");
        assert_eq!(report.signatures[0].best_time, best_time, "day {at}");
    }
}

#[test]
fn a_later_stamp_over_the_document_keeps_an_earlier_one_alive() {
    let country = country();
    let trust = trust(&country);
    let pdf = signed(&country, Some("short-tsa"));
    assert_eq!(found(&judge(&pdf, &trust, day(2_000))), [open(Sub::OutOfBoundsNoPoe)]);
    let archived = stamped(&country, &pdf, "tsa", day(20));
    let report = judge(&archived, &trust, day(2_000));
    assert_eq!(found(&report), [PASSED, PASSED]);
    assert_eq!(report.signatures[0].best_time, Some(day(10)));
    // One that came after the end of the first authority proves only its own day.
    let late = stamped(&country, &pdf, "tsa", day(40));
    let report = judge(&late, &trust, day(2_000));
    assert_eq!(found(&report), [PASSED, PASSED]);
    assert_eq!(report.signatures[0].best_time, Some(day(40)));
    assert_eq!(report.signatures[0].timestamps[0].verdict.indication(), Indication::Indeterminate);
}

#[test]
fn a_stamp_by_someone_else_is_no_stamp() {
    let (country, abroad) = (country(), country());
    let trust = trust(&country);
    for (pdf, expected) in [
        (stamped(&country, &signed(&country, None), "fake-tsa", day(10)), "TSA_PURPOSE"),
        (stamped(&abroad, &signed(&country, None), "tsa", day(10)), "ISSUER_KEY_DIFFERS"),
    ] {
        let report = judge(&pdf, &trust, day(11));
        assert_eq!(found(&report)[0], PASSED);
        assert_eq!(report.signatures[0].best_time, None);
        assert_eq!(report.signatures[1].verdict.reasons()[0].code, expected);
    }
}

#[test]
fn the_report_says_which_stamps_there_are_and_what_they_prove() {
    let country = country();
    let pdf = stamped(&country, &signed(&country, Some("tsa")), "tsa", day(20));
    let report = judge(&pdf, &trust(&country), day(21));
    let signature = described(&report.signatures[0]);
    assert_eq!(signature["best_time"], day(10).to_string());
    let stamp = &signature["timestamps"][0];
    assert_eq!(stamp["kind"], "signature");
    assert_eq!(stamp["indication"], "TOTAL-PASSED");
    assert_eq!(stamp["time"], day(10).to_string());
    assert_eq!(stamp["policy"], "2.999.1");
    let subject = stamp["authority"]["subject"].as_str().unwrap();
    assert!(subject.contains("Vanthu Dev TSA"), "{subject}");
    let document = described(&report.signatures[1]);
    assert_eq!(document["timestamps"][0]["kind"], "document");
    assert_eq!(document["format"], "ETSI.RFC3161");
}
