//! Names of algorithms, curves and hashes that may be met, whether they are judged or not.
//!
//! A name decides nothing: it only tells the reader of a report what was left undecided.

use super::asn1::dotted;

/// Object identifier in dots and what it is called. One that ends in a dot names a whole family.
const NAMES: &[(&str, &str)] = &[
    ("1.2.156.10197.1.301", "elliptic curve SM2"),
    ("1.2.156.10197.1.401", "SM3"),
    ("1.2.156.10197.1.501", "SM2 with SM3"),
    ("1.2.643.2.2.3", "GOST R 34.10-2001"),
    ("1.2.643.2.2.9", "GOST R 34.11-94"),
    ("1.2.643.2.2.19", "GOST R 34.10-2001"),
    ("1.2.643.7.1.1.1.", "GOST R 34.10-2012"),
    ("1.2.643.7.1.1.2.", "GOST R 34.11-2012"),
    ("1.2.643.7.1.1.3.", "GOST R 34.10-2012"),
    ("1.2.840.10045.4.2", "ECDSA with the recommended hash"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.7", "RSA-OAEP, which is no signature"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.113549.1.1.15", "RSA with SHA-512/224"),
    ("1.2.840.113549.1.1.16", "RSA with SHA-512/256"),
    ("1.2.840.113549.2.2", "MD2"),
    ("1.2.840.113549.2.5", "MD5"),
    ("1.3.36.3.2.1", "RIPEMD-160"),
    ("1.3.36.3.3.1.", "RSA with RIPEMD"),
    ("1.3.36.3.3.2.8.1.1.", "a brainpool elliptic curve"),
    ("1.3.101.110", "X25519, which is no signature"),
    ("1.3.101.111", "X448, which is no signature"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.3.132.0.10", "elliptic curve secp256k1"),
    ("1.3.132.0.33", "elliptic curve P-224"),
    ("1.3.132.0.35", "elliptic curve P-521"),
    ("2.16.840.1.101.3.4.2.4", "SHA-224"),
    ("2.16.840.1.101.3.4.2.5", "SHA-512/224"),
    ("2.16.840.1.101.3.4.2.6", "SHA-512/256"),
    ("2.16.840.1.101.3.4.2.7", "SHA3-224"),
    ("2.16.840.1.101.3.4.2.8", "SHA3-256"),
    ("2.16.840.1.101.3.4.2.9", "SHA3-384"),
    ("2.16.840.1.101.3.4.2.10", "SHA3-512"),
    ("2.16.840.1.101.3.4.2.11", "SHAKE128"),
    ("2.16.840.1.101.3.4.2.12", "SHAKE256"),
    ("2.16.840.1.101.3.4.2.18", "SHAKE256 with a stated length"),
    ("2.16.840.1.101.3.4.3.1", "DSA with SHA-224"),
    ("2.16.840.1.101.3.4.3.3", "DSA with SHA-384"),
    ("2.16.840.1.101.3.4.3.4", "DSA with SHA-512"),
    ("2.16.840.1.101.3.4.3.9", "ECDSA with SHA3-224"),
    ("2.16.840.1.101.3.4.3.10", "ECDSA with SHA3-256"),
    ("2.16.840.1.101.3.4.3.11", "ECDSA with SHA3-384"),
    ("2.16.840.1.101.3.4.3.12", "ECDSA with SHA3-512"),
    ("2.16.840.1.101.3.4.3.13", "RSA with SHA3-224"),
    ("2.16.840.1.101.3.4.3.14", "RSA with SHA3-256"),
    ("2.16.840.1.101.3.4.3.15", "RSA with SHA3-384"),
    ("2.16.840.1.101.3.4.3.16", "RSA with SHA3-512"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("2.16.840.1.101.3.4.3.", "SLH-DSA or a prehashed variant of FIPS 204 and 205"),
    ("0.4.0.127.0.7.1.1.4.1.", "plain ECDSA of BSI TR-03111"),
];

/// What `oid` is called; its number in dots if it is not known here.
pub(super) fn name(oid: &[u8]) -> String {
    let text = dotted(oid);
    let is_named = |known: &str| {
        if known.ends_with('.') { text.starts_with(known) } else { text == known }
    };
    let found = NAMES.iter().find(|(known, _)| is_named(known));
    found.map_or(text.clone(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_named_and_the_rest_is_numbered() {
        for (oid, expected) in [
            (&[0x2b, 0x65, 0x71][..], "Ed448"),
            (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], "a brainpool elliptic curve"),
            (&[0x2a, 0x85, 0x03, 7, 1, 1, 3, 2], "GOST R 34.10-2012"),
            (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18], "ML-DSA-65"),
            (
                &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 20],
                "SLH-DSA or a prehashed variant of FIPS 204 and 205",
            ),
            (&[0x2a, 0x03, 0x04], "1.2.3.4"),
        ] {
            assert_eq!(name(oid), expected);
        }
    }
}
