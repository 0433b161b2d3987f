//! The body of `add-checkpoint` (C2SP tlog-witness).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::digest::Sha256;
use crate::limits::{CONSISTENCY_PROOF_MAX, WITNESS_REQUEST_SIZE_MAX};
use crate::log::number;

/// A checkpoint for a witness, with the proof that it extends the one that the witness knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The size that the witness is taken to know.
    pub old: u64,
    /// The proof from that size to the checkpoint's; empty if `old` is 0.
    pub proof: Vec<Sha256>,
    /// The checkpoint.
    pub note: Vec<u8>,
}

impl Request {
    /// Reads a body; `None` if it is none.
    pub fn read(body: &[u8]) -> Option<Self> {
        if body.len() > WITNESS_REQUEST_SIZE_MAX {
            return None;
        }
        let (head, note) = std::str::from_utf8(body).ok()?.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = number(lines.next()?.strip_prefix("old ")?)?;
        let proof: Vec<Sha256> = lines.map(hash).collect::<Option<_>>()?;
        let is_short = proof.len() <= CONSISTENCY_PROOF_MAX;
        is_short.then(|| Self { old, proof, note: note.as_bytes().to_vec() })
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&BASE64.encode(hash.0));
            body.push('\n');
        }
        body.push('\n');
        [body.as_bytes(), &self.note].concat()
    }
}

/// A hash in base64.
pub(super) fn hash(text: &str) -> Option<Sha256> {
    Sha256::from_slice(&BASE64.decode(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for count in [0, 1, CONSISTENCY_PROOF_MAX] {
            let proof = vec![Sha256::of(b"node"); count];
            let request = Request { old: 20_852_014, proof, note: b"a\n1\nb\n\nsig\n".to_vec() };
            assert_eq!(Request::read(&request.to_body()), Some(request));
        }
        let good = "old 8\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nnote\n";
        assert!(Request::read(good.as_bytes()).is_some());
        for wrong in [
            good.replace("old 8", "old 08"),
            good.replace("old 8", "old -8"),
            good.replace("old 8", "old  8"),
            good.replace("old 8", "old 18446744073709551616"),
            good.replace("old 8\n", ""),
            good.replace("Pl", " Pl"),
            good.replace("w=\n", "w=\r\n"),
            good.replace("w=\n", "x=\n"),
            good.replace("w=\n", "\n"),
            good.replace("\n\n", "\n"),
            good.replace("old 8\n", &format!("old 8\n{}", "A".repeat(WITNESS_REQUEST_SIZE_MAX))),
        ] {
            assert_eq!(Request::read(wrong.as_bytes()), None, "{wrong}");
        }
        let long = Request { old: 1, proof: vec![Sha256::of(b""); 64], note: b"n".to_vec() };
        assert_eq!(Request::read(&long.to_body()), None);
    }
}
