//! Time-stamps on signatures, honest and not, and what they prove.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa};

use crate::clock::Time;
use crate::digest::Sha256;
use crate::signature::cms::{SignedData, oid};
use crate::signature::testing::{Authority, DAY, NOW, time, timestamping, valid, with_unsigned};
use crate::signature::{
    Indication as I, Report, Signature, SubIndication as Sub, Trust, Verdict, judge, judge_detached,
};
use crate::workshop::page;
use crate::workshop::sign::{self, Options, SubFilter};

const CONTENT: &[u8] = b"Van ban";
const PASSED: (I, Option<Sub>, &str) = (I::TotalPassed, None, "");

fn day(days: i64) -> Time {
    time(NOW + days * DAY)
}

fn doubt(sub: Sub, code: &str) -> (I, Option<Sub>, &str) {
    (I::Indeterminate, Some(sub), code)
}

fn fail(sub: Sub, code: &str) -> (I, Option<Sub>, &str) {
    (I::TotalFailed, Some(sub), code)
}

fn found(verdict: &Verdict) -> (I, Option<Sub>, &str) {
    let code = verdict.reasons().first().map_or("", |reason| reason.code);
    (verdict.indication(), verdict.sub_indication(), code)
}

struct Country {
    root: Authority,
    signer: Authority,
    tsa: Authority,
}

impl Country {
    fn new() -> Self {
        let root = Authority::root("Root");
        let signer = root.issue("Signer", |_| {});
        let tsa = root.issue("TSA", |params| timestamping(params, true));
        Self { root, signer, tsa }
    }

    fn trust(&self, crls: Vec<Vec<u8>>) -> Trust {
        Trust::new(vec![self.root.certificate.der().to_vec()], vec![], crls).unwrap()
    }

    /// With a list on which nobody is.
    fn judge(&self, signature: &[u8]) -> Signature {
        self.judge_with(vec![self.root.crl(&[])], signature)
    }

    fn judge_with(&self, crls: Vec<Vec<u8>>, signature: &[u8]) -> Signature {
        let report = judge_detached(signature, &CONTENT, &self.trust(crls), time(NOW));
        report.signatures.into_iter().next().unwrap()
    }

    /// A signature with a time-stamp of `tsa` at `at`.
    fn stamped_by(&self, tsa: &Authority, at: Time) -> Vec<u8> {
        let signature = signature(&self.signer);
        let token = token_over(&signature, tsa, at);
        with_tokens(&signature, &[token])
    }
}

fn signature(signer: &Authority) -> Vec<u8> {
    sign::detached(CONTENT, &signer.identity(), day(-20)).unwrap()
}

fn token_over(signature: &[u8], tsa: &Authority, at: Time) -> Vec<u8> {
    let imprint = Sha256::of(&SignedData::parse(signature).unwrap().signers[0].value);
    sign::timestamp(imprint, &[], &tsa.identity(), at).unwrap()
}

/// The CMS with these tokens as unsigned attributes of its only signer.
fn with_tokens(cms: &[u8], tokens: &[Vec<u8>]) -> Vec<u8> {
    let attributes: Vec<_> =
        tokens.iter().map(|token| (oid::TIMESTAMP_TOKEN, token.clone())).collect();
    with_unsigned(cms, &attributes)
}

#[test]
fn an_honest_time_stamp_proves_when_the_signature_existed() {
    let country = Country::new();
    let signature = country.judge(&country.stamped_by(&country.tsa, day(-10)));
    assert_eq!(found(&signature.verdict), PASSED);
    assert_eq!(signature.best_time, Some(day(-10)));
    let stamp = &signature.timestamps[0];
    assert_eq!(found(&stamp.verdict), PASSED);
    assert_eq!(stamp.authority.as_ref().unwrap().common_name.as_deref(), Some("TSA"));
    assert_eq!((stamp.policy.as_deref(), stamp.chain.len()), (Some("2.999.1"), 2));
}

/// C5: each proves nothing, says why, and leaves the signature itself alone.
#[test]
fn a_time_stamp_that_does_not_hold_proves_nothing() {
    let country = Country::new();
    let Country { root, tsa, .. } = &country;
    let own = signature(&country.signer);
    let stamped = |token: Vec<u8>| with_tokens(&own, &[token]);
    let by = |tsa: &Authority| stamped(token_over(&own, tsa, day(-10)));
    let elsewhere = Authority::root("Elsewhere").issue("TSA", |p| timestamping(p, true));
    let many = root.issue("Many", |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        p.extended_key_usages.push(ExtendedKeyUsagePurpose::EmailProtection);
    });
    let expired = root.issue("Expired", |p| {
        timestamping(p, true);
        valid(p, -300, -5);
    });
    let young = root.issue("Young", |p| {
        timestamping(p, true);
        valid(p, -5, 300);
    });
    let other = sign::detached(CONTENT, &root.issue("B", |_| {}).identity(), day(-20)).unwrap();
    let purpose = doubt(Sub::ChainConstraintsFailure, "TSA_PURPOSE");
    let wrong = sign::timestamp(Sha256::of(b"x"), &[], &tsa.identity(), day(-10)).unwrap();
    let copied = token_over(&other, tsa, day(-10));
    let imprint = fail(Sub::HashFailure, "IMPRINT_DIFFERS");
    let early = doubt(Sub::ChainConstraintsFailure, "TSA_OUT_OF_BOUNDS");
    for (name, signature, expected) in [
        ("wrong imprint", stamped(wrong), imprint),
        ("copied from another signature", stamped(copied), imprint),
        ("a signer as TSA", by(&country.signer), purpose),
        ("a second purpose", by(&many), purpose),
        ("purpose not critical", by(&root.issue("Soft", |p| timestamping(p, false))), purpose),
        ("from elsewhere", by(&elsewhere), doubt(Sub::NoCertificateChainFound, "ISSUER_MISSING")),
        ("expired TSA", by(&expired), doubt(Sub::OutOfBoundsNoPoe, "EXPIRED")),
        ("before its certificate", by(&young), early),
        (
            "from the future",
            stamped(token_over(&own, tsa, day(1))),
            doubt(Sub::TimestampOrderFailure, "TIMESTAMP_IN_FUTURE"),
        ),
        ("a signature", stamped(other.clone()), fail(Sub::FormatFailure, "TOKEN_CONTENT")),
        ("no CMS", stamped(vec![4, 1, 7]), fail(Sub::FormatFailure, "TOKEN_UNREADABLE")),
    ] {
        let signature = country.judge(&signature);
        assert_eq!(found(&signature.timestamps[0].verdict), expected, "{name}");
        assert_eq!(signature.best_time, None, "{name}");
        assert_eq!(found(&signature.verdict), PASSED, "{name}");
        assert!(signature.quirks.iter().any(|q| q.contains("proves nothing")), "{name}");
    }
}

#[test]
fn a_revoked_authority_and_one_of_unknown_status_prove_nothing() {
    let country = Country::new();
    let signature = country.stamped_by(&country.tsa, day(-10));
    let revoked = country.root.crl(&[country.tsa.serial]);
    let judged = country.judge_with(vec![revoked], &signature);
    let stamp = found(&judged.timestamps[0].verdict);
    assert_eq!(stamp, doubt(Sub::RevokedNoPoe, "REVOKED"));
    assert_eq!((judged.best_time, found(&judged.verdict)), (None, PASSED));
    let judged = country.judge_with(vec![], &signature);
    let stamp = found(&judged.timestamps[0].verdict);
    assert_eq!(stamp, doubt(Sub::TryLater, "CRL_MISSING"));
}

#[test]
fn the_same_time_stamp_twice_counts_once() {
    let country = Country::new();
    let own = signature(&country.signer);
    let token = token_over(&own, &country.tsa, day(-10));
    let signature = country.judge(&with_tokens(&own, &[token.clone(), token]));
    let verdicts: Vec<_> = signature.timestamps.iter().map(|s| found(&s.verdict)).collect();
    let doubled = doubt(Sub::SigConstraintsFailure, "TIMESTAMP_DOUBLED");
    assert_eq!(verdicts, [PASSED, doubled]);
    assert_eq!(signature.best_time, Some(day(-10)));
}

#[test]
fn of_several_time_stamps_the_earliest_counts() {
    let country = Country::new();
    let own = signature(&country.signer);
    let tokens = [-5, -9, -7].map(|at| token_over(&own, &country.tsa, day(at)));
    assert_eq!(country.judge(&with_tokens(&own, &tokens)).best_time, Some(day(-9)));
}

#[test]
fn no_changed_byte_of_a_time_stamp_proves_another_time() {
    let country = Country::new();
    let own = signature(&country.signer);
    let token = token_over(&own, &country.tsa, day(-10));
    let trust = country.trust(vec![country.root.crl(&[])]);
    for at in (0..token.len()).step_by(3) {
        let mut changed = token.clone();
        changed[at] ^= 1;
        let cms = with_tokens(&own, &[changed]);
        let report = judge_detached(&cms, &CONTENT, &trust, time(NOW));
        let best_time = report.signatures.first().and_then(|s| s.best_time);
        assert!([None, Some(day(-10))].contains(&best_time), "byte {at}: {best_time:?}");
    }
}

/// EN 319 102-1 §5.5.4 and §5.6.2: revoked after the proven time is harmless, before it is not.
#[test]
fn a_revocation_counts_from_its_day_on() {
    let country = Country::new();
    let revoked_on = |at: i64| {
        let line = (country.signer.serial, NOW + at * DAY);
        vec![country.root.crl_for(NOW - DAY, NOW + DAY, &[line])]
    };
    let stamped = country.stamped_by(&country.tsa, day(-10));
    let bare = signature(&country.signer);
    let revoked = doubt(Sub::RevokedNoPoe, "REVOKED");
    for (signature, at, expected) in
        [(&stamped, -5, PASSED), (&stamped, -15, revoked), (&bare, -5, revoked)]
    {
        let judged = country.judge_with(revoked_on(at), signature);
        assert_eq!(found(&judged.verdict), expected, "revoked {at}");
        assert_eq!(judged.passed().is_some(), expected == PASSED);
    }
}

#[test]
fn an_expired_certificate_counts_while_it_was_valid() {
    let mut country = Country::new();
    country.signer = country.root.issue("Signer", |params| valid(params, -300, -30));
    // A list from before the end, and one from after it, which need not name it any more.
    let before = country.root.crl_for(NOW - 40 * DAY, NOW - 33 * DAY, &[]);
    let after = country.root.crl(&[]);
    let both = || vec![before.clone(), after.clone()];
    let in_time = country.stamped_by(&country.tsa, day(-35));
    let expired = doubt(Sub::OutOfBoundsNoPoe, "EXPIRED");
    let missing = doubt(Sub::OutOfBoundsNoPoe, "CRL_MISSING");
    assert_eq!(found(&country.judge_with(both(), &in_time).verdict), PASSED);
    assert_eq!(found(&country.judge_with(vec![after.clone()], &in_time).verdict), missing);
    let late = country.stamped_by(&country.tsa, day(-20));
    assert_eq!(found(&country.judge_with(both(), &late).verdict), expired);
    let bare = signature(&country.signer);
    assert_eq!(found(&country.judge_with(both(), &bare).verdict), expired);
    let early = country.stamped_by(&country.tsa, day(-299));
    assert_eq!(found(&country.judge_with(both(), &early).verdict), PASSED);
    country.signer = country.root.issue("Signer", |params| valid(params, -100, 30));
    let too_early = country.stamped_by(&country.tsa, day(-200));
    let expected = fail(Sub::NotYetValid, "SIGNED_BEFORE_VALIDITY");
    assert_eq!(found(&country.judge(&too_early).verdict), expected);
}

fn paper() -> Vec<u8> {
    page::pdf("Quyết định", &["Điều 1"], 0)
}

fn stamp_document(pdf: &[u8], tsa: &Authority, field: &str, at: Time) -> Vec<u8> {
    let options = Options { sub_filter: SubFilter::Timestamp, ..Options::new(field, at) };
    sign::pdf(pdf, &tsa.identity(), &options).unwrap()
}

fn sign_pdf(pdf: &[u8], signer: &Authority, at: Time) -> Vec<u8> {
    sign::pdf(pdf, &signer.identity(), &Options::new("seal", at)).unwrap()
}

fn verdicts(report: &Report) -> Vec<(I, Option<Sub>, &str)> {
    report.signatures.iter().map(|signature| found(&signature.verdict)).collect()
}

#[test]
fn a_document_time_stamp_proves_what_it_covers() {
    let country = Country::new();
    let pdf = sign_pdf(&paper(), &country.signer, day(-11));
    let pdf = stamp_document(&pdf, &country.tsa, "stamp", day(-10));
    let revoked_later = (country.signer.serial, NOW - 5 * DAY);
    let crl = country.root.crl_for(NOW - DAY, NOW + DAY, &[revoked_later]);
    let report = judge(&pdf, &country.trust(vec![crl]), time(NOW));
    assert_eq!(verdicts(&report), [PASSED, PASSED]);
    assert_eq!(report.signatures[0].best_time, Some(day(-10)));
    assert_eq!(report.signatures[1].timestamps[0].time, Some(day(-10)));
    // The stamp covers every byte before it.
    for at in (20..pdf.len() / 2).step_by(101) {
        let mut changed = pdf.clone();
        changed[at] ^= 1;
        let report = judge(&changed, &country.trust(vec![country.root.crl(&[])]), time(NOW));
        assert_ne!(report.indication(), Some(I::TotalPassed), "byte {at}");
        assert!(report.signatures.iter().all(|s| s.best_time.is_none()), "byte {at}");
    }
}

#[test]
fn a_signature_over_a_later_time_stamp_is_proven_late() {
    let country = Country::new();
    let pdf = stamp_document(&paper(), &country.tsa, "stamp", day(-10));
    let pdf = sign_pdf(&pdf, &country.signer, day(-30));
    let revoked = (country.signer.serial, NOW - 20 * DAY);
    let crl = country.root.crl_for(NOW - DAY, NOW + DAY, &[revoked]);
    let report = judge(&pdf, &country.trust(vec![crl]), time(NOW));
    assert_eq!(verdicts(&report), [PASSED, fail(Sub::Revoked, "SIGNED_AFTER_REVOCATION")]);
}

#[test]
fn a_signer_that_ran_out_before_what_it_signed_has_failed() {
    let mut country = Country::new();
    country.signer = country.root.issue("Signer", |params| valid(params, -300, -30));
    let pdf = stamp_document(&paper(), &country.tsa, "stamp", day(-10));
    let pdf = sign_pdf(&pdf, &country.signer, day(-40));
    let report = judge(&pdf, &country.trust(vec![country.root.crl(&[])]), time(NOW));
    assert_eq!(verdicts(&report)[1], fail(Sub::Expired, "SIGNED_AFTER_EXPIRY"));
}

#[test]
fn time_stamps_in_the_wrong_order_are_reported() {
    let country = Country::new();
    let options = Options {
        tsa: Some(&country.tsa.identity()),
        stamped_at: Some(day(-5)),
        ..Options::new("seal", day(-5))
    };
    let pdf = sign::pdf(&paper(), &country.signer.identity(), &options).unwrap();
    let pdf = stamp_document(&pdf, &country.tsa, "stamp", day(-10));
    let report = judge(&pdf, &country.trust(vec![country.root.crl(&[])]), time(NOW));
    let expected = doubt(Sub::TimestampOrderFailure, "TIMESTAMP_ORDER");
    assert_eq!(verdicts(&report), [expected, PASSED]);
}

#[test]
fn a_document_stamped_by_a_signer_is_not_stamped() {
    let country = Country::new();
    let pdf = sign_pdf(&paper(), &country.signer, day(-11));
    let pdf = stamp_document(&pdf, &country.signer, "stamp", day(-10));
    let report = judge(&pdf, &country.trust(vec![country.root.crl(&[])]), time(NOW));
    let expected = doubt(Sub::ChainConstraintsFailure, "TSA_PURPOSE");
    assert_eq!(verdicts(&report), [PASSED, expected]);
    assert_eq!(report.signatures[0].best_time, None);
}

/// Everything ran out but the last time-stamp: each newer one vouches for what it covers.
#[test]
fn an_archive_is_judged_from_its_newest_time_stamp_inwards() {
    let root = Authority::root("Root");
    let middle = root.issue("Middle", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        valid(params, -300, -60);
    });
    let signer = middle.issue("Signer", |params| valid(params, -300, -100));
    let tsa = |name: &str, to: i64| {
        root.issue(name, |params| {
            timestamping(params, true);
            valid(params, -300, to);
        })
    };
    let (old, newer, newest) = (tsa("Old", -90), tsa("Newer", -30), tsa("Newest", 300));
    let crl = |authority: &Authority, from: i64, to: i64| {
        authority.crl_for(NOW + from * DAY, NOW + to * DAY, &[])
    };
    let options = Options { tsa: Some(&old.identity()), ..Options::new("seal", day(-120)) };
    let signed = sign::pdf(&paper(), &signer.identity(), &options).unwrap();
    let certificates = [middle.certificate.der().to_vec()];
    let lists = [crl(&root, -121, -70), crl(&middle, -121, -110)];
    let stored = sign::security_store(&signed, &certificates, &lists, &[]).unwrap();
    let once = stamp_document(&stored, &newer, "first", day(-95));
    let twice = stamp_document(&once, &newest, "second", day(-40));
    // For the two authorities that vouch at the end; the store has the rest.
    let fresh = vec![crl(&root, -45, -38), crl(&root, -1, 1)];
    let trust = Trust::new(vec![root.certificate.der().to_vec()], vec![], fresh).unwrap();
    let report = judge(&twice, &trust, time(NOW));
    assert_eq!(verdicts(&report), [PASSED, PASSED, PASSED], "{report:#?}");
    assert_eq!(report.signatures[0].best_time, Some(day(-120)));
    let outer = judge(&once, &trust, time(NOW));
    let expired = doubt(Sub::OutOfBoundsNoPoe, "EXPIRED");
    assert_eq!(verdicts(&outer), [expired, expired]);
    assert_eq!(verdicts(&judge(&stored, &trust, time(NOW))), [expired]);
}

/// Without a time-stamp over it, a list from the document proves nothing about the past.
#[test]
fn an_old_list_must_be_proven_old() {
    let root = Authority::root("Root");
    let middle = root.issue("Middle", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let signer = middle.issue("Signer", |params| valid(params, -300, -30));
    let tsa = Authority::root("Clock");
    let clock = tsa.issue("TSA", |params| timestamping(params, true));
    let (stamp, revoked) = (day(-50), (middle.serial, NOW - 45 * DAY));
    let options = Options { tsa: Some(&clock.identity()), ..Options::new("seal", stamp) };
    let signed = sign::pdf(&paper(), &signer.identity(), &options).unwrap();
    let list = middle.crl_for(NOW - 51 * DAY, NOW - 40 * DAY, &[]);
    let certificates = [middle.certificate.der().to_vec()];
    let stored = sign::security_store(&signed, &certificates, &[list], &[]).unwrap();
    // The authority above was revoked after the signature, but before anything proves that the
    // list of the one below is from before: it could have made it up later.
    let crls = vec![root.crl_for(NOW - DAY, NOW + DAY, &[revoked]), tsa.crl(&[])];
    let anchors = [&root, &tsa].map(|authority| authority.certificate.der().to_vec());
    let trust = Trust::new(anchors.to_vec(), vec![], crls).unwrap();
    let missing = doubt(Sub::OutOfBoundsNoPoe, "CRL_MISSING");
    assert_eq!(verdicts(&judge(&stored, &trust, time(NOW))), [missing]);
    let in_time = stamp_document(&stored, &clock, "stamp", day(-48));
    assert_eq!(verdicts(&judge(&in_time, &trust, time(NOW))), [PASSED, PASSED]);
    let too_late = stamp_document(&stored, &clock, "stamp", day(-44));
    assert_eq!(verdicts(&judge(&too_late, &trust, time(NOW)))[0], missing);
}

#[test]
fn a_clock_seven_hours_ahead_is_odd_and_no_more() {
    let country = Country::new();
    let tsa = country.tsa.identity();
    let stamped = day(-10);
    let hours = |hours: i64| Time::from_seconds(stamped.seconds() + hours * 3600);
    for (claimed, expected) in [
        (hours(7), Some("local time written as UTC")),
        (hours(3), Some("later than the time-stamp")),
        (hours(0), None),
        (hours(-3), None),
    ] {
        for sub_filter in [SubFilter::Cades, SubFilter::Pkcs7] {
            let options = Options {
                sub_filter,
                tsa: Some(&tsa),
                stamped_at: Some(stamped),
                ..Options::new("seal", claimed)
            };
            let pdf = sign::pdf(&paper(), &country.signer.identity(), &options).unwrap();
            let report = judge(&pdf, &country.trust(vec![country.root.crl(&[])]), time(NOW));
            let signature = &report.signatures[0];
            assert_eq!(found(&signature.verdict), PASSED);
            let quirk = signature.quirks.iter().find(|quirk| quirk.contains("claimed"));
            assert_eq!(quirk.is_some(), expected.is_some(), "{claimed} {quirk:?}");
            assert!(quirk.is_none_or(|quirk| quirk.contains(expected.unwrap())), "{quirk:?}");
        }
    }
}
