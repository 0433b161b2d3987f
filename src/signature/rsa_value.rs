//! RSA signatures that ring does not verify: salts of other lengths, SHA-384 with old keys, and a
//! DigestInfo without the NULL of RFC 8017.
//!
//! Nothing is ever parsed out of a decrypted value, which is how padding was forged (Bleichenbacher
//! 2006, BERserk): for PKCS#1 v1.5 the whole expected block is built and compared. Only public keys
//! are handled here, so time need not be constant.

use dsa::BigUint;
use ring::digest;

use super::algorithm::{Hash, Pss};
use super::asn1::{self, tag};
use crate::limits::{RSA_BITS_MAX, RSA_EXPONENT_BITS_MAX};

/// How DigestInfo says that its hash has no parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `NULL`, as RFC 8017 §9.2 asks.
    Null,
    /// Nothing, as some signers write it.
    Absent,
}

/// A public key whose numbers are in bounds.
struct PublicKey {
    modulus: BigUint,
    exponent: BigUint,
    /// Bytes of the modulus.
    size: usize,
}

impl PublicKey {
    /// Reads RSAPublicKey in DER.
    fn read(der: &[u8]) -> Option<Self> {
        let mut fields = asn1::only(der, tag::SEQUENCE).ok()?.children();
        let mut number = || {
            let value = fields.expect(tag::INTEGER).ok()?;
            let is_negative = value.content.first().is_none_or(|&byte| byte >= 0x80);
            (!is_negative).then(|| BigUint::from_bytes_be(value.content))
        };
        let (modulus, exponent) = (number()?, number()?);
        let is_odd =
            |number: &BigUint| number.to_bytes_le().first().is_some_and(|low| low & 1 == 1);
        let fits = modulus.bits() <= RSA_BITS_MAX
            && (2..=RSA_EXPONENT_BITS_MAX).contains(&exponent.bits())
            && is_odd(&modulus)
            && is_odd(&exponent);
        let size = modulus.bits().div_ceil(8);
        fits.then_some(Self { modulus, exponent, size })
    }

    /// The encoded message inside `value` (RFC 8017 §5.2.2), as long as the modulus.
    fn open(&self, value: &[u8]) -> Option<Vec<u8>> {
        let number = BigUint::from_bytes_be(value);
        if value.len() != self.size || number >= self.modulus {
            return None;
        }
        let digits = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        let mut encoded = vec![0; self.size.checked_sub(digits.len())?];
        encoded.extend(digits);
        Some(encoded)
    }
}

/// RSASSA-PKCS1-v1_5 over a message with this digest; `None` for a hash that is not computed here.
pub(super) fn fits_pkcs1(
    key: &[u8],
    hash: &Hash,
    spelling: Spelling,
    digest: &[u8],
    value: &[u8],
) -> Option<bool> {
    let info = digest_info(hash, spelling, digest)?;
    let found = PublicKey::read(key).and_then(|key| Some((key.open(value)?, key.size)));
    let Some((encoded, size)) = found else { return Some(false) };
    // At least eight bytes of filling (RFC 8017 §9.2).
    let Some(filling) = size.checked_sub(3 + info.len()).filter(|&filling| filling >= 8) else {
        return Some(false);
    };
    let expected = [&[0, 1][..], &vec![0xff; filling], &[0], &info].concat();
    Some(encoded == expected)
}

fn digest_info(hash: &Hash, spelling: Spelling, digest: &[u8]) -> Option<Vec<u8>> {
    let oid = asn1::encode(tag::OBJECT_IDENTIFIER, &[&hash.oid()?]);
    let null: &[u8] = if spelling == Spelling::Null { &[tag::NULL, 0] } else { &[] };
    let algorithm = asn1::encode(tag::SEQUENCE, &[&oid, null]);
    let digest = asn1::encode(tag::OCTET_STRING, &[digest]);
    Some(asn1::encode(tag::SEQUENCE, &[&algorithm, &digest]))
}

/// RSASSA-PSS over a message with this digest; `None` for a hash that is not computed here.
pub(super) fn fits_pss(key: &[u8], scheme: &Pss, digest: &[u8], value: &[u8]) -> Option<bool> {
    let (hash, mask) = (scheme.hash.ring()?, scheme.mask.ring()?);
    let encoded = PublicKey::read(key).and_then(|key| {
        let encoded = key.open(value)?;
        Some((encoded, key.modulus.bits().checked_sub(1)?))
    });
    let fits = encoded.and_then(|(encoded, bits)| {
        let (database, inner) = unmask(&encoded, bits, hash, mask)?;
        let filling = database.len().checked_sub(scheme.salt.checked_add(1)?)?;
        let (zeros, rest) = database.split_at_checked(filling)?;
        let (one, salt) = rest.split_first()?;
        if *one != 1 || zeros.iter().any(|&byte| byte != 0) {
            return None;
        }
        let mut context = digest::Context::new(hash);
        context.update(&[0; 8]);
        context.update(digest);
        context.update(salt);
        Some(context.finish().as_ref() == inner)
    });
    Some(fits.unwrap_or(false))
}

/// Steps 4 to 9 of RFC 8017 §9.1.2: the data block without its mask, and the inner hash.
fn unmask<'a>(
    encoded: &'a [u8],
    bits: usize,
    hash: &'static digest::Algorithm,
    mask: &'static digest::Algorithm,
) -> Option<(Vec<u8>, &'a [u8])> {
    let size = bits.div_ceil(8);
    let (above, encoded) = encoded.split_at_checked(encoded.len().checked_sub(size)?)?;
    let (trailer, encoded) = encoded.split_last()?;
    let (masked, inner) =
        encoded.split_at_checked(encoded.len().checked_sub(hash.output_len())?)?;
    let unused = u32::try_from(8 * size - bits).ok()?;
    let kept = 0xff_u8.checked_shr(unused)?;
    let is_clean = above.iter().all(|&byte| byte == 0)
        && *trailer == 0xbc
        && masked.first().is_some_and(|first| first & !kept == 0);
    if !is_clean {
        return None;
    }
    let stream = mgf1(inner, masked.len(), mask);
    let mut database: Vec<u8> = masked.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect();
    *database.first_mut()? &= kept;
    Some((database, inner))
}

/// MGF1 (RFC 8017 §B.2.1).
fn mgf1(seed: &[u8], size: usize, hash: &'static digest::Algorithm) -> Vec<u8> {
    let mut mask = Vec::with_capacity(size + hash.output_len());
    for counter in 0_u32.. {
        if mask.len() >= size {
            break;
        }
        let mut context = digest::Context::new(hash);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        mask.extend_from_slice(context.finish().as_ref());
    }
    mask.truncate(size);
    mask
}
