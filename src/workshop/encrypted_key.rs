//! Private keys under a password: PKCS#8 with PBES2, PBKDF2 and AES-CBC (RFC 8018), which is what
//! OpenSSL writes. Nothing else is opened.

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut as _, KeyIvInit as _};
use ring::pbkdf2;
use zeroize::Zeroizing;

use super::Error;
use super::der::{self, Value, children};
use crate::limits::KEY_ITERATIONS_MAX;

const PBES2: &[u32] = &[1, 2, 840, 113_549, 1, 5, 13];
const PBKDF2: &[u32] = &[1, 2, 840, 113_549, 1, 5, 12];
/// hmacWithSHA1 and what follows: 7 SHA-1, 9 SHA-256, 10 SHA-384, 11 SHA-512.
const HMAC: &[u32] = &[1, 2, 840, 113_549, 2];
/// aes: 2 AES-128-CBC, 22 AES-192-CBC, 42 AES-256-CBC.
const AES: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 1];

/// The PKCS#8 key in an EncryptedPrivateKeyInfo.
pub fn open(der: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let parts = parts(der).ok_or(Error::KeyEncryption)?;
    let size = match parts.cipher {
        Cipher::Aes128 => 16,
        Cipher::Aes192 => 24,
        Cipher::Aes256 => 32,
    };
    let mut key = Zeroizing::new(vec![0; size]);
    pbkdf2::derive(parts.hmac, parts.iterations, parts.salt, password, &mut key);
    let data = parts.data;
    let plain = match parts.cipher {
        Cipher::Aes128 => Decryptor::<Aes128>::new_from_slices(&key, parts.vector)
            .map(|aes| aes.decrypt_padded_vec_mut::<Pkcs7>(data)),
        Cipher::Aes192 => Decryptor::<Aes192>::new_from_slices(&key, parts.vector)
            .map(|aes| aes.decrypt_padded_vec_mut::<Pkcs7>(data)),
        Cipher::Aes256 => Decryptor::<Aes256>::new_from_slices(&key, parts.vector)
            .map(|aes| aes.decrypt_padded_vec_mut::<Pkcs7>(data)),
    };
    let plain = plain.map_err(|_| Error::KeyEncryption)?.map_err(|_| Error::KeyPassword)?;
    let plain = Zeroizing::new(plain);
    // Another password leaves noise, whose padding fits once in 256 times.
    let is_one = der::children(&plain).is_some_and(|all| all.len() == 1 && is_key(&all));
    if is_one { Ok(plain) } else { Err(Error::KeyPassword) }
}

/// A sequence that begins with its version.
fn is_key(all: &[Value<'_>]) -> bool {
    let inner = all.first().and_then(|key| children(key.content));
    inner.is_some_and(|inner| inner.first().is_some_and(|version| version.content.len() == 1))
}

enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

struct Parts<'a> {
    hmac: pbkdf2::Algorithm,
    iterations: NonZeroU32,
    salt: &'a [u8],
    cipher: Cipher,
    vector: &'a [u8],
    data: &'a [u8],
}

/// What is written in a way that is read here.
fn parts(der: &[u8]) -> Option<Parts<'_>> {
    let all = children(der::content(der)?)?;
    let [algorithm, data] = &all[..] else { return None };
    let schemes = children(parameters(algorithm, PBES2)?.content)?;
    let [derivation, encryption] = &schemes[..] else { return None };
    let fields = children(parameters(derivation, PBKDF2)?.content)?;
    let (salt, rest) = fields.split_first()?;
    let (iterations, rest) = rest.split_first()?;
    // A length may stand before the function; the cipher says the same.
    let hmac = match rest.last() {
        Some(last) if last.content.len() > 4 => hmac(last)?,
        _ => pbkdf2::PBKDF2_HMAC_SHA1,
    };
    let number = iterations
        .content
        .iter()
        .try_fold(0_u32, |sum, byte| sum.checked_mul(256).map(|sum| sum | u32::from(*byte)));
    let iterations = number.filter(|number| *number <= KEY_ITERATIONS_MAX)?;
    let encryption = children(encryption.content)?;
    let [name, vector] = &encryption[..] else { return None };
    let known = [(2, Cipher::Aes128), (22, Cipher::Aes192), (42, Cipher::Aes256)];
    let is_it = |last| name.whole == der::oid(&[AES, &[last]].concat());
    let (_, cipher) = known.into_iter().find(|(last, _)| is_it(*last))?;
    Some(Parts {
        hmac,
        iterations: NonZeroU32::new(iterations)?,
        salt: salt.content,
        cipher,
        vector: vector.content,
        data: data.content,
    })
}

fn hmac(identifier: &Value<'_>) -> Option<pbkdf2::Algorithm> {
    let fields = children(identifier.content)?;
    let name = fields.first()?.whole;
    let known = [
        (7, pbkdf2::PBKDF2_HMAC_SHA1),
        (9, pbkdf2::PBKDF2_HMAC_SHA256),
        (10, pbkdf2::PBKDF2_HMAC_SHA384),
        (11, pbkdf2::PBKDF2_HMAC_SHA512),
    ];
    let is_it = |last| name == der::oid(&[HMAC, &[last]].concat());
    known.into_iter().find(|(last, _)| is_it(*last)).map(|(_, hmac)| hmac)
}

/// The parameters of an AlgorithmIdentifier with this name.
fn parameters<'a>(identifier: &Value<'a>, name: &[u32]) -> Option<Value<'a>> {
    let mut fields = children(identifier.content)?;
    let parameters = fields.pop()?;
    let is_it = fields.pop()?.whole == der::oid(name) && fields.is_empty();
    is_it.then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_encrypted_key_is_refused_at_every_length() {
        let octets = |bytes: &[u8]| der::value(der::OCTET_STRING, &[bytes]);
        let make = |count: &[u8]| {
            let hmac = der::sequence(&[&der::oid(&[HMAC, &[9]].concat()), &der::NULL]);
            let derivation = der::sequence(&[&octets(&[7; 8]), &der::unsigned(count), &hmac]);
            let derivation = der::sequence(&[&der::oid(PBKDF2), &derivation]);
            let aes = der::oid(&[AES, &[42]].concat());
            let encryption = der::sequence(&[&aes, &octets(&[9; 16])]);
            let schemes = der::sequence(&[&derivation, &encryption]);
            let algorithm = der::sequence(&[&der::oid(PBES2), &schemes]);
            der::sequence(&[&algorithm, &octets(&[1; 32])])
        };
        let refused = |der: &[u8]| open(der, b"word").unwrap_err();
        let whole = make(&[8, 0]);
        assert!(matches!(refused(&whole), Error::KeyPassword));
        for size in 0..whole.len() {
            assert!(matches!(refused(&whole[..size]), Error::KeyEncryption), "{size}");
        }
        for count in [&[0x7f, 0xff, 0xff, 0xff][..], &[1, 0, 0, 0, 0], &[]] {
            assert!(matches!(refused(&make(count)), Error::KeyEncryption), "{count:?}");
        }
    }
}
