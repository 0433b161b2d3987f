//! The ciphers of encrypted PDFs (ISO 32000-1 §7.6.2, ISO 32000-2 §7.6.3), only to decrypt.
//!
//! Encryption protects nothing here: the signature covers the encrypted bytes. What cannot be
//! decrypted is never guessed.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::generic_array::ArrayLength;
use aes::cipher::{BlockDecryptMut, KeyInit, KeyIvInit, StreamCipher};
use md5::{Digest, Md5};
use rc4::Rc4;
use rc4::consts::{U5, U6, U7, U8, U9, U10, U11, U12, U13, U14, U15, U16};

/// How strings or streams are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// Not at all.
    Identity,
    Rc4,
    /// AES-128 in CBC mode; each object has a key of its own.
    AesV2,
    /// AES-256 in CBC mode with the key of the file.
    AesV3,
}

/// Number and generation of an object.
pub(super) type Id = (u32, u16);

/// Bytes of a block of AES, and of the initialisation vector before the data.
const BLOCK: usize = 16;

impl Cipher {
    /// The plain bytes; `None` if they are not what this cipher makes.
    pub fn decrypt(self, file_key: &[u8], id: Id, bytes: &[u8]) -> Option<Vec<u8>> {
        // Writers leave empty strings as they are.
        if self == Self::Identity || bytes.is_empty() {
            return Some(bytes.to_vec());
        }
        let key = self.object_key(file_key, id);
        if self == Self::Rc4 {
            return rc4(&key, bytes);
        }
        let (vector, data) = bytes.split_at_checked(BLOCK)?;
        let plain = match self {
            Self::AesV2 => cbc::Decryptor::<aes::Aes128>::new_from_slices(&key, vector)
                .ok()?
                .decrypt_padded_vec_mut::<Pkcs7>(data),
            _ => cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, vector)
                .ok()?
                .decrypt_padded_vec_mut::<Pkcs7>(data),
        };
        plain.ok()
    }

    /// Algorithm 1 of ISO 32000-1 §7.6.2; 1.A of ISO 32000-2 takes the key of the file.
    fn object_key(self, file_key: &[u8], (number, generation): Id) -> Vec<u8> {
        if self == Self::AesV3 {
            return file_key.to_vec();
        }
        let mut hash = Md5::new();
        hash.update(file_key);
        hash.update(number.to_le_bytes().get(..3).unwrap_or_default());
        hash.update(generation.to_le_bytes());
        if self == Self::AesV2 {
            hash.update(b"sAlT");
        }
        let mut key = hash.finalize().to_vec();
        key.truncate(file_key.len() + 5);
        key
    }
}

/// RC4, which decrypts what it encrypts; `None` for a key shorter than 40 or longer than 128 bits.
pub(super) fn rc4(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    fn run<Size: ArrayLength<u8>>(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut plain = bytes.to_vec();
        Rc4::<Size>::new_from_slice(key).ok()?.apply_keystream(&mut plain);
        Some(plain)
    }
    let of_size = match key.len() {
        5 => run::<U5>,
        6 => run::<U6>,
        7 => run::<U7>,
        8 => run::<U8>,
        9 => run::<U9>,
        10 => run::<U10>,
        11 => run::<U11>,
        12 => run::<U12>,
        13 => run::<U13>,
        14 => run::<U14>,
        15 => run::<U15>,
        16 => run::<U16>,
        _ => return None,
    };
    of_size(key, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cipher_made_is_not_decrypted() {
        for cipher in [Cipher::AesV2, Cipher::AesV3] {
            let key = vec![7; if cipher == Cipher::AesV2 { 16 } else { 32 }];
            for size in [1, 15, 16, 17, 31, 33] {
                assert_eq!(cipher.decrypt(&key, (1, 0), &vec![1; size]), None, "{size}");
            }
            assert_eq!(cipher.decrypt(&key, (1, 0), &[]), Some(Vec::new()));
        }
        assert_eq!(Cipher::Rc4.decrypt(&[1; 4], (1, 0), b"x").map(|plain| plain.len()), Some(1));
        assert_eq!(rc4(&[1; 4], b"x"), None);
        assert_eq!(rc4(&[1; 17], b"x"), None);
    }

    #[test]
    fn rc4_agrees_with_its_known_answer() {
        // RFC 6229 §2, key 0x0102030405, offset 0.
        let stream = rc4(&[1, 2, 3, 4, 5], &[0; 8]).unwrap();
        assert_eq!(stream, [0xb2, 0x39, 0x63, 0x05, 0xf0, 0x3d, 0xc0, 0x27]);
    }
}
