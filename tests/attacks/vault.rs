//! Encrypted PDFs, made here: the standard security handler in all its versions, so that what reads
//! them is held against another reading of ISO 32000.

use aes::cipher::block_padding::{NoPadding, Pkcs7};
use aes::cipher::{BlockEncryptMut, KeyIvInit};
use md5::{Digest, Md5};
use ring::digest;

const PADDING: &[u8; 32] = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\
                             \x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
/// Any owner entry will do: nobody opens the file as its owner.
const OWNER: [u8; 48] = [0x4f; 48];
const ID: &[u8; 16] = b"Vanthu-Vanthu-ID";

/// How the file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RC4 with 40 bits (version 1).
    Rc4Short,
    /// RC4 with 128 bits (version 2).
    Rc4,
    /// RC4 with 128 bits as a crypt filter (version 4).
    Rc4Filter,
    /// AES-128 (version 4), metadata left open.
    Aes128,
    /// AES-128 for streams only.
    Aes128Streams,
    /// AES-256 of Adobe's extension level 3 (revision 5).
    Aes256Old,
    /// AES-256 of ISO 32000-2 (revision 6).
    Aes256,
}

/// A key, and the dictionary that tells how to get it.
pub struct Vault {
    scheme: Scheme,
    key: Vec<u8>,
    pub dictionary: String,
}

fn hex(bytes: &[u8]) -> String {
    format!("<{}>", vanthu::digest::hex(bytes))
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0_u8;
    for i in 0..256 {
        j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
        state.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    let mut next = || {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[usize::from(i)]);
        state.swap(usize::from(i), usize::from(j));
        state[usize::from(state[usize::from(i)].wrapping_add(state[usize::from(j)]))]
    };
    data.iter().map(|byte| byte ^ next()).collect()
}

fn sha(algorithm: &'static digest::Algorithm, data: &[u8]) -> Vec<u8> {
    digest::digest(algorithm, data).as_ref().to_vec()
}

/// Algorithm 2.B of ISO 32000-2 §7.6.4.3.4.
fn hardened(password: &[u8], salt: &[u8]) -> Vec<u8> {
    let mut key = sha(&digest::SHA256, &[password, salt].concat());
    for round in 1_usize.. {
        let text = [password, &key].concat().repeat(64);
        let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(&key[..16], &key[16..32]);
        let text = cipher.unwrap().encrypt_padded_vec_mut::<NoPadding>(&text);
        let rest = text[..16].iter().map(|&byte| usize::from(byte)).sum::<usize>() % 3;
        key = sha([&digest::SHA256, &digest::SHA384, &digest::SHA512][rest], &text);
        if round >= 64 && usize::from(*text.last().unwrap()) <= round - 32 {
            break;
        }
    }
    key[..32].to_vec()
}

impl Vault {
    /// A file that `password` opens.
    pub fn new(scheme: Scheme, password: &[u8]) -> Self {
        match scheme {
            Scheme::Aes256Old | Scheme::Aes256 => Self::strong(scheme, password),
            _ => Self::weak(scheme, password),
        }
    }

    fn weak(scheme: Scheme, password: &[u8]) -> Self {
        let (version, revision, size) = match scheme {
            Scheme::Rc4Short => (1, 2, 5),
            Scheme::Rc4 => (2, 3, 16),
            _ => (4, 4, 16),
        };
        let hides_metadata = scheme != Scheme::Aes128;
        let padded = [password, PADDING].concat()[..32].to_vec();
        let mut hash = Md5::new();
        hash.update(&padded);
        hash.update(&OWNER[..32]);
        hash.update((-4_i32).to_le_bytes());
        hash.update(ID);
        if !hides_metadata {
            hash.update([0xff; 4]);
        }
        let mut key = hash.finalize().to_vec();
        let rounds = if revision >= 3 { 50 } else { 0 };
        for _ in 0..rounds {
            key = Md5::digest(&key[..size]).to_vec();
        }
        key.truncate(size);
        let user = if revision >= 3 {
            let mut proof = Md5::digest([&PADDING[..], ID].concat()).to_vec();
            for step in 0..20_u8 {
                proof = rc4(&key.iter().map(|byte| byte ^ step).collect::<Vec<_>>(), &proof);
            }
            proof.resize(32, 0);
            proof
        } else {
            rc4(&key, PADDING)
        };
        let filters = match scheme {
            Scheme::Rc4Filter => "/CF<</StdCF<</CFM/V2/Length 16>>>>/StmF/StdCF/StrF/StdCF",
            Scheme::Aes128 => {
                "/CF<</StdCF<</CFM/AESV2/Length 16>>>>/StmF/StdCF/StrF/StdCF/EncryptMetadata false"
            }
            Scheme::Aes128Streams => {
                "/CF<</StdCF<</CFM/AESV2/Length 16>>>>/StmF/StdCF/StrF/Identity"
            }
            _ => "",
        };
        let dictionary = format!(
            "<</Filter/Standard/V {version}/R {revision}/Length {}/P -4/O{}/U{}{filters}>>",
            size * 8,
            hex(&OWNER[..32]),
            hex(&user)
        );
        Self { scheme, key, dictionary }
    }

    fn strong(scheme: Scheme, password: &[u8]) -> Self {
        let hash = |salt: &[u8]| match scheme {
            Scheme::Aes256 => hardened(password, salt),
            _ => sha(&digest::SHA256, &[password, salt].concat()),
        };
        let revision = if scheme == Scheme::Aes256 { 6 } else { 5 };
        let key = vec![0x5a; 32];
        let user = [&hash(b"validate")[..], b"validate", b"keeper-8"].concat();
        let cipher =
            cbc::Encryptor::<aes::Aes256>::new_from_slices(&hash(b"keeper-8"), &[0; 16]).unwrap();
        let wrapped = cipher.encrypt_padded_vec_mut::<NoPadding>(&key);
        let dictionary = format!(
            "<</Filter/Standard/V 5/R {revision}/Length 256/P -4/O{}/OE{}/U{}/UE{}/Perms{}\
             /CF<</StdCF<</CFM/AESV3/Length 32>>>>/StmF/StdCF/StrF/StdCF>>",
            hex(&OWNER),
            hex(&OWNER[..32]),
            hex(&user),
            hex(&wrapped),
            hex(&OWNER[..16])
        );
        Self { scheme, key, dictionary }
    }

    /// The bytes of object `number`; another `turn` is another way to encrypt the same.
    pub fn encrypt(&self, (number, generation): (u32, u16), turn: u8, plain: &[u8]) -> Vec<u8> {
        let vector = [turn; 16];
        if matches!(self.scheme, Scheme::Aes256Old | Scheme::Aes256) {
            let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&self.key, &vector);
            let data = cipher.unwrap().encrypt_padded_vec_mut::<Pkcs7>(plain);
            return [&vector[..], &data].concat();
        }
        let is_aes = matches!(self.scheme, Scheme::Aes128 | Scheme::Aes128Streams);
        let mut hash = Md5::new();
        hash.update(&self.key);
        hash.update(&number.to_le_bytes()[..3]);
        hash.update(generation.to_le_bytes());
        if is_aes {
            hash.update(b"sAlT");
        }
        let key = hash.finalize()[..16.min(self.key.len() + 5)].to_vec();
        if !is_aes {
            return rc4(&key, plain);
        }
        let cipher = cbc::Encryptor::<aes::Aes128>::new_from_slices(&key, &vector).unwrap();
        [&vector[..], &cipher.encrypt_padded_vec_mut::<Pkcs7>(plain)].concat()
    }

    /// A string of object `number`.
    pub fn string(&self, number: u32, plain: &str) -> String {
        if self.scheme == Scheme::Aes128Streams {
            return format!("({plain})");
        }
        hex(&self.encrypt((number, 0), 7, plain.as_bytes()))
    }

    /// The metadata stream of object `number`, which some schemes leave open.
    pub fn metadata(&self, number: u32) -> Vec<u8> {
        let text = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>";
        let is_open = self.scheme == Scheme::Aes128;
        let data = if is_open { text.to_vec() } else { self.encrypt((number, 0), 3, text) };
        stream("/Type/Metadata/Subtype/XML", &data)
    }

    /// What every trailer must say.
    pub fn trailer(&self) -> String {
        format!("/Root 1 0 R/Info 7 0 R/Encrypt 9 0 R/ID[{}{}]", hex(ID), hex(ID))
    }
}

/// The data of a stream in its object.
pub fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<<{dictionary}/Length {}>>\nstream\n", data.len());
    [head.as_bytes(), data, b"\nendstream"].concat()
}

/// Appends a revision; objects are named with their generation.
pub fn append(pdf: &[u8], objects: &[((u32, u16), Vec<u8>)], trailer: &str) -> Vec<u8> {
    let mut out = if pdf.is_empty() { b"%PDF-1.7\n".to_vec() } else { pdf.to_vec() };
    let mut table = String::from("xref\n");
    for ((number, generation), body) in objects {
        table += &format!("{number} 1\n{:010} {generation:05} n \n", out.len());
        out.extend(format!("{number} {generation} obj\n").bytes());
        out.extend(body);
        out.extend(b"\nendobj\n");
    }
    let previous =
        if pdf.is_empty() { "".to_owned() } else { format!("/Prev {}", crate::paper::start(pdf)) };
    let begin = out.len();
    let end =
        format!("{table}trailer\n<</Size 99{trailer}{previous}>>\nstartxref\n{begin}\n%%EOF\n");
    out.extend(end.bytes());
    out
}
