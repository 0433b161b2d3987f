//! RSA keys that anyone can use: public exponents that do nothing, and moduli whose factors were
//! made by the flawed generator of CVE-2017-15361 (ROCA).

use super::asn1::trimmed;

/// The primes whose product that generator worked with (Nemec et al. 2017, §2.1).
const PRIMES: [u32; 39] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
/// The generator made every prime a power of this modulo their product, so the modulus is one, too.
const BASE: u32 = 65_537;

/// Whether `modulus` has the fingerprint of ROCA. Of the moduli of other generators fewer than one
/// in 2^27 has it.
pub(super) fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        is_power(rest, prime)
    })
}

/// Whether `rest` is a power of [`BASE`] modulo `prime`.
fn is_power(rest: u32, prime: u32) -> bool {
    let mut power = 1 % prime;
    for _ in 0..prime {
        if power == rest {
            return true;
        }
        power = power * (BASE % prime) % prime;
    }
    false
}

/// With the exponent 1 the signature value is the padded message itself.
pub(super) fn is_exponent_one(exponent: &[u8]) -> bool {
    trimmed(exponent) == [1]
}

#[cfg(test)]
mod tests {
    use dsa::BigUint;

    use super::*;

    #[test]
    fn moduli_of_the_flawed_generator_are_told_from_others() {
        let product = PRIMES.iter().fold(BigUint::from(1_u8), |product, &prime| product * prime);
        let base = BigUint::from(BASE);
        // p = k·M + 65537^a: whether they are prime does not show in the fingerprint.
        let factor = |k: u32, a: u32| &product * k + base.modpow(&BigUint::from(a), &product);
        let flawed = factor(0x1234_5677, 70_001) * factor(0x7654_3211, 90_001);
        assert!(has_roca_fingerprint(&flawed.to_bytes_be()));
        for step in 1_u32..1_000 {
            assert!(!has_roca_fingerprint(&(&flawed + 2 * step).to_bytes_be()), "{step}");
        }
    }

    #[test]
    fn only_one_is_one() {
        assert!(is_exponent_one(&[1]) && is_exponent_one(&[0, 0, 1]));
        assert!(!is_exponent_one(&[3]) && !is_exponent_one(&[1, 0, 1]) && !is_exponent_one(&[]));
    }
}
