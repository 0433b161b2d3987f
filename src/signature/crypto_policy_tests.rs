//! The table and its dates.

use super::*;
use crate::signature::algorithm::KeyKind;

const RSA: KeyKind = KeyKind { name: "RSA", bits: 2_048 };

fn time(text: &str) -> Time {
    format!("{text}T05:00:00.000Z").parse().unwrap()
}

fn ask(made: Made, now: &str, used: &Used, purpose: Use) -> Option<Sub> {
    let strength = Strength { policy: CryptoPolicy::built_in(), now: time(now), made };
    strength.weakness(used, purpose).map(|weakness| weakness.sub)
}

fn sha1() -> Used {
    Used { hash: Some(Hash::Sha1), key: Some(RSA), flaw: None }
}

const NEVER: Option<Sub> = Some(Sub::CryptoConstraintsFailure);
const UNPROVEN: Option<Sub> = Some(Sub::CryptoConstraintsFailureNoPoe);

#[test]
fn sha_1_is_accepted_by_date() {
    let by = |text| Made { by: Some(time(text)), ..Made::default() };
    let after = |text| Made { after: Some(time(text)), ..Made::default() };
    let open = Made::default();
    for (made, now, expected) in [
        (open, "2018-06-01", None),
        (open, "2019-12-31", None),
        (open, "2020-01-01", UNPROVEN),
        (open, "2026-11-22", UNPROVEN),
        (by("2018-01-15"), "2026-11-22", None),
        (by("2020-01-15"), "2026-11-22", UNPROVEN),
        (after("2018-01-15"), "2026-11-22", UNPROVEN),
        (after("2020-01-15"), "2026-11-22", NEVER),
    ] {
        assert_eq!(ask(made, now, &sha1(), Use::Signature), expected, "{made:?} {now}");
    }
}

#[test]
fn only_a_time_stamping_authority_is_believed_about_its_own_time() {
    let made = Made { stated: Some(time("2018-01-15")), ..Made::default() };
    for (purpose, now, expected) in [
        (Use::Timestamp, "2026-11-22", None),
        (Use::Timestamp, "2031-01-01", UNPROVEN),
        (Use::Signature, "2026-11-22", UNPROVEN),
        (Use::Certificate, "2026-11-22", UNPROVEN),
        (Use::Revocation, "2026-11-22", UNPROVEN),
    ] {
        assert_eq!(ask(made, now, &sha1(), purpose), expected, "{purpose:?} {now}");
    }
    let late = Made { stated: Some(time("2020-06-01")), ..Made::default() };
    assert_eq!(ask(late, "2026-11-22", &sha1(), Use::Timestamp), UNPROVEN);
}

#[test]
fn keys_are_held_against_their_size_and_what_is_not_listed_is_never_accepted() {
    let key = |name, bits| Used { hash: None, key: Some(KeyKind { name, bits }), flaw: None };
    for (used, expected) in [
        (key("RSA", 2_048), None),
        (key("RSA", 8_192), None),
        (key("RSA", 2_047), NEVER),
        (key("DSA", 3_072), NEVER),
        (key("ECDSA", 256), None),
        (key("ECDSA", 224), NEVER),
        (Used::hash(&Hash::Sha256), None),
        (Used::hash(&Hash::Other("MD5".to_owned())), NEVER),
        (Used { key: Some(KeyKind { name: "RSA", bits: 1_024 }), ..sha1() }, NEVER),
        (Used { flaw: Some("it is known to all".to_owned()), ..key("RSA", 2_048) }, NEVER),
    ] {
        assert_eq!(ask(Made::default(), "2026-11-22", &used, Use::Signature), expected, "{used:?}");
    }
}

#[test]
fn the_sentence_names_the_algorithm_the_day_and_the_proof() {
    let policy = CryptoPolicy::built_in();
    let made = Made { by: Some(time("2020-01-15")), ..Made::default() };
    let weakness = Strength { policy, now: time("2026-11-22"), made }
        .weakness(&sha1(), Use::Signature)
        .unwrap();
    assert_eq!(
        weakness.what,
        "SHA-1 is accepted until 31/12/2019 only, and its use is not proven to be older than \
         15/01/2020 12:00:00"
    );
}

#[test]
fn a_table_that_says_something_else_is_refused() {
    let parse = |line: &str| CryptoPolicy::parse(&format!("{HEADING}Test\n{line}\n"));
    let wrong = |what| Err(CryptoPolicyError::Line { line: 2, what });
    assert!(parse("RSA | 3000 | any | 2029-01-01 | - | TS 119 312").is_ok());
    assert_eq!(CryptoPolicy::parse("RSA | 1 | any | - | - | x"), Err(CryptoPolicyError::Heading));
    assert_eq!(parse("RSA | 3000 | any"), wrong("six columns"));
    assert_eq!(parse(" | 3000 | any | - | - | x"), wrong("algorithm"));
    assert_eq!(parse("RSA | many | any | - | - | x"), wrong("bits"));
    assert_eq!(parse("RSA | 3000 | all | - | - | x"), wrong("for"));
    assert_eq!(parse("RSA | 3000 | any | soon | - | x"), wrong("until"));
    assert_eq!(parse("RSA | 3000 | any | - | 2026-13-01 | x"), wrong("stated until"));
    assert_eq!(parse("RSA | 3000 | any | - | - |"), wrong("source"));
    let many = "RSA | 1 | any | - | - | x\n".repeat(ALGORITHM_ROWS_MAX + 1);
    assert_eq!(parse(&many), Err(CryptoPolicyError::TooLong));
}
