//! ECDSA that ring does not verify: P-521, and P-256 or P-384 with another hash than usual.
//!
//! Only public keys are handled here; nothing signs.

use super::algorithm::Hash;

/// The curves that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

macro_rules! fits {
    ($curve:ident, $field_size:literal, $point:expr, $digest:expr, $value:expr) => {{
        use $curve::ecdsa::signature::hazmat::PrehashVerifier;
        use $curve::ecdsa::{Signature, VerifyingKey};
        let key = VerifyingKey::from_sec1_bytes($point);
        let value = Signature::from_der($value);
        match (key, value) {
            (Ok(key), Ok(value)) => {
                key.verify_prehash(&padded($digest, $field_size), &value).is_ok()
            }
            _ => false,
        }
    }};
}

/// Whether `value`, ECDSA-Sig-Value in DER, fits; `None` for a hash that is not computed here.
pub(super) fn fits(
    curve: Curve,
    point: &[u8],
    hash: &Hash,
    message: &[u8],
    value: &[u8],
) -> Option<bool> {
    let digest = ring::digest::digest(hash.ring()?, message);
    let digest = digest.as_ref();
    Some(match curve {
        Curve::P256 => fits!(p256, 32, point, digest, value),
        Curve::P384 => fits!(p384, 48, point, digest, value),
        Curve::P521 => fits!(p521, 66, point, digest, value),
    })
}

/// A short digest is a number like any other (FIPS 186-5 §6.4.2), but the curves want all its zeros.
fn padded(digest: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size.saturating_sub(digest.len())];
    bytes.extend_from_slice(digest);
    bytes
}
