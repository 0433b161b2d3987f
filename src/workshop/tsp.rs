//! A time-stamping authority for the signer, who waits for it.

use std::time::Duration;

use super::Error;
use super::cms::Stamp;
use crate::courier::timestamp::{self, Authority as Asked};
use crate::digest::Sha256;
use crate::limits::TIMESTAMP_TOKEN_ROOM;

/// A time-stamping authority at an `http` address.
pub struct Authority {
    asked: Asked,
    runtime: tokio::runtime::Runtime,
}

impl Authority {
    /// Reads the address; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Stamp`] if it is no `http` address.
    pub fn new(address: &str, wait_max: Duration) -> Result<Self, Error> {
        let asked = Asked::new(address, wait_max)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| Error::Stamp(format!("cannot be asked: {cause}")))?;
        Ok(Self { asked, runtime })
    }
}

impl From<timestamp::Error> for Error {
    fn from(error: timestamp::Error) -> Self {
        match error {
            timestamp::Error::Answer(why) => Self::Stamp(why),
            timestamp::Error::Connection(why) => Self::StampConnection(why),
        }
    }
}

impl Stamp for Authority {
    fn stamp(&self, imprint: Sha256) -> Result<Vec<u8>, Error> {
        Ok(self.runtime.block_on(self.asked.ask(imprint))?)
    }

    fn room(&self) -> usize {
        TIMESTAMP_TOKEN_ROOM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courier::timestamp::token;
    use crate::workshop::der;
    use crate::workshop::shared::{now, pki};
    use crate::workshop::sign;

    fn answer(status: u8, token: &[u8]) -> Vec<u8> {
        let status = der::sequence(&[&der::small(status)]);
        der::sequence(&[&status, token])
    }

    fn stamped(imprint: Sha256, nonce: &[u8]) -> Vec<u8> {
        sign::timestamp(imprint, nonce, &pki().signer("tsa").unwrap(), now()).unwrap()
    }

    #[test]
    fn a_token_is_taken_for_its_digest_and_nonce_only() {
        let (imprint, nonce) = (Sha256::of(b"signature"), [0x51; 16]);
        let good = stamped(imprint, &nonce);
        assert_eq!(token(&answer(0, &good), imprint, nonce).unwrap(), good);
        assert_eq!(token(&answer(1, &good), imprint, nonce).unwrap(), good);
        for wrong in [
            stamped(Sha256::of(b"other"), &nonce),
            stamped(imprint, &[0x52; 16]),
            stamped(imprint, &[]),
        ] {
            let refused = token(&answer(0, &wrong), imprint, nonce).unwrap_err().to_string();
            assert!(refused.ends_with("stamped something else than it was asked to"), "{refused}");
        }
        let refused = token(&answer(2, &[]), imprint, nonce).unwrap_err().to_string();
        assert_eq!(refused, "the time-stamping authority refused with status 2");
    }

    #[test]
    fn a_cut_or_strange_answer_is_refused_and_nothing_panics() {
        let (imprint, nonce) = (Sha256::of(b"signature"), [0x51; 16]);
        let good = answer(0, &stamped(imprint, &nonce));
        for cut in 0..good.len() {
            assert!(token(&good[..cut], imprint, nonce).is_err(), "{cut}");
        }
        for at in 0..good.len().min(400) {
            let mut bent = good.clone();
            bent[at] ^= 0x41;
            // The judge sees whether the signature of the token holds; here it only must hold these.
            if let Ok(token) = token(&bent, imprint, nonce) {
                assert!(token.windows(32).any(|window| window == imprint.0), "{at}");
            }
        }
    }

    #[test]
    fn only_http_addresses_are_taken() {
        for wrong in ["", "tsa", "https://tsa.example/", "ftp://tsa.example/"] {
            assert!(Authority::new(wrong, Duration::from_secs(1)).is_err(), "{wrong}");
        }
    }
}
