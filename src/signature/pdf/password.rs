//! The key of a file that opens without a password (ISO 32000-1 §7.6.3.3, ISO 32000-2 §7.6.4.3).
//!
//! Only the empty user password is tried: what it opens, every program shows to everyone.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use md5::{Digest, Md5};
use ring::digest;

use super::cipher::rc4;

/// What the empty password is filled up with (ISO 32000-1 §7.6.3.3, algorithm 2, step a).
const PADDING: [u8; 32] = [
    0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
    0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
];

/// What the encryption dictionary says about passwords.
pub(super) struct Lock<'a> {
    /// `/R`.
    pub revision: i64,
    /// Bytes of the key.
    pub key_size: usize,
    /// `/O` and `/U`.
    pub owner: &'a [u8],
    pub user: &'a [u8],
    /// `/UE`, of revisions 5 and 6.
    pub user_key: &'a [u8],
    /// `/P`.
    pub permissions: i64,
    /// The first part of `/ID`.
    pub file_id: &'a [u8],
    pub encrypts_metadata: bool,
}

impl Lock<'_> {
    /// The key of the file; `None` if the empty password does not open it.
    pub fn open(&self) -> Option<Vec<u8>> {
        if self.revision >= 5 { self.open_aes256() } else { self.open_md5() }
    }

    /// Algorithms 2 and 6.
    fn open_md5(&self) -> Option<Vec<u8>> {
        let mut hash = Md5::new();
        hash.update(PADDING);
        hash.update(self.owner.get(..32)?);
        // A 32-bit number, written with or without its sign.
        hash.update(self.permissions.to_le_bytes().get(..4)?);
        hash.update(self.file_id);
        if self.revision >= 4 && !self.encrypts_metadata {
            hash.update([0xff; 4]);
        }
        let mut key = hash.finalize().to_vec();
        if self.revision >= 3 {
            for _ in 0..50 {
                key = Md5::digest(key.get(..self.key_size)?).to_vec();
            }
        }
        key.truncate(self.key_size);
        let opens = if self.revision >= 3 {
            self.user.get(..16)? == self.user_proof(&key)?
        } else {
            self.user.get(..32)? == rc4(&key, &PADDING)?
        };
        opens.then_some(key)
    }

    /// Algorithm 5.
    fn user_proof(&self, key: &[u8]) -> Option<Vec<u8>> {
        let digest = Md5::new().chain_update(PADDING).chain_update(self.file_id).finalize();
        let mut proof = digest.to_vec();
        for step in 0..20_u8 {
            let key: Vec<u8> = key.iter().map(|byte| byte ^ step).collect();
            proof = rc4(&key, &proof)?;
        }
        Some(proof)
    }

    /// Algorithms 2.A and 11.
    fn open_aes256(&self) -> Option<Vec<u8>> {
        let proof = self.user.get(..32)?;
        if self.hash(self.user.get(32..40)?)? != proof {
            return None;
        }
        let key = self.hash(self.user.get(40..48)?)?;
        let wrapped = self.user_key.get(..32)?;
        let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, &[0; 16]).ok()?;
        cipher.decrypt_padded_vec_mut::<NoPadding>(wrapped).ok()
    }

    /// The hash of the empty password: of revision 5 plain, of revision 6 algorithm 2.B.
    fn hash(&self, salt: &[u8]) -> Option<Vec<u8>> {
        let mut key = digest::digest(&digest::SHA256, salt).as_ref().to_vec();
        if self.revision == 5 {
            return Some(key);
        }
        let mut round = 0_u32;
        let mut last = 0;
        // Ends by itself: no byte is above 255, so no round is above 287.
        while round < 64 || u32::from(last) > round - 32 {
            let text = key.repeat(64);
            let (secret, vector) = key.get(..32)?.split_at_checked(16)?;
            let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(secret, vector).ok()?;
            let encrypted = cipher.encrypt_padded_vec_mut::<NoPadding>(&text);
            let sum: u32 = encrypted.iter().take(16).map(|&byte| u32::from(byte)).sum();
            let algorithm = match sum % 3 {
                0 => &digest::SHA256,
                1 => &digest::SHA384,
                _ => &digest::SHA512,
            };
            key = digest::digest(algorithm, &encrypted).as_ref().to_vec();
            last = *encrypted.last()?;
            round += 1;
        }
        key.truncate(32);
        Some(key)
    }
}
