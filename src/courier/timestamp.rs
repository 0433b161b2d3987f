//! Asking a time-stamping authority over HTTP (RFC 3161 §3.4), with or without TLS: one request, one
//! answer, with a deadline and a limit.
//!
//! The answer must hold the digest and the nonce that were sent. Whether its signature holds and who
//! made it is for the judge to say.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::Tag;

use super::der::{Value, children, content};
use super::https::{Address, NotAnAddress};
use crate::digest::Sha256;
use crate::limits::TIMESTAMP_ANSWER_SIZE_MAX;

/// Bytes of a nonce.
pub const NONCE_SIZE: usize = 16;
/// `TimeStampReq`: version 1, SHA-256 and its digest, a nonce, and the wish for certificates.
const QUERY_BEGIN: [u8; 24] = [
    0x30, 0x4b, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
const NONCE_BEGIN: [u8; 2] = [0x02, 0x10];
const QUERY_END: [u8; 3] = [0x01, 0x01, 0xff];

/// Why there is no token; the text goes on from "the time-stamping authority".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It answered, or was addressed, in a way that gives none.
    #[error("the time-stamping authority {0}")]
    Answer(String),
    /// It cannot be reached.
    #[error("the time-stamping authority cannot be reached: {0}")]
    Connection(String),
    /// Nothing says which server may be asked over TLS.
    #[error("the time-stamping authority is reached by https, and no certificate says who it is")]
    Trust,
    /// A certificate that its server is told by cannot be read.
    #[error("a certificate that the time-stamping authority is told by cannot be read")]
    Anchor,
}

/// A time-stamping authority at an `http` or `https` address.
#[derive(Clone)]
pub struct Authority {
    address: Address,
    wait_max: Duration,
}

impl Authority {
    /// Reads the address; nothing is sent yet. The server of an `https` address must have a certificate
    /// under one of `anchors_der`; tokens are signed and ask for no secrecy, so plain `http` will do.
    ///
    /// # Errors
    /// [`Error::Answer`] if it is no such address, [`Error::Trust`] if its server could not be told
    /// from any other, [`Error::Anchor`].
    pub fn new(address: &str, anchors_der: &[Vec<u8>], wait_max: Duration) -> Result<Self, Error> {
        let cas = anchors_der.iter().cloned().map(CertificateDer::from).collect::<Vec<_>>();
        let made = Address::new(address, &cas).map_err(|error| match error {
            NotAnAddress::Form => Error::Answer(format!("has no http or https address: {address}")),
            NotAnAddress::Trust => Error::Trust,
            NotAnAddress::Anchor | NotAnAddress::Certificate => Error::Anchor,
        });
        Ok(Self { address: made?, wait_max })
    }

    /// Where it is asked.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Asks for a token over this digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask(&self, imprint: Sha256) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_SIZE];
        let no_nonce = |_| Error::Answer("cannot be asked: there is no randomness".into());
        SystemRandom::new().fill(&mut nonce).map_err(no_nonce)?;
        // A positive INTEGER of exactly so many bytes.
        nonce[0] = nonce[0] & 0x7f | 0x40;
        let late = |_| Error::Connection(format!("no answer within {} s", self.wait_max.as_secs()));
        let asked = self.post(query(imprint, nonce));
        let answer = tokio::time::timeout(self.wait_max, asked).await.map_err(late)??;
        token(&answer, imprint, nonce)
    }

    async fn post(&self, query: Vec<u8>) -> Result<Bytes, Error> {
        let mut sender = self.address.connect().await.map_err(Error::Connection)?;
        let request = Request::post(self.address.path())
            .header(header::HOST, self.address.host())
            .header(header::CONTENT_TYPE, "application/timestamp-query")
            .header(header::ACCEPT, "application/timestamp-reply")
            .body(Full::new(Bytes::from(query)))
            .map_err(|cause| Error::Answer(format!("cannot be asked: {cause}")))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|cause| Error::Connection(cause.to_string()))?;
        if !answer.status().is_success() {
            return Err(Error::Answer(format!("answered with HTTP status {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), TIMESTAMP_ANSWER_SIZE_MAX).collect().await;
        let body =
            body.map_err(|_| Error::Answer("broke off, or answered at too great length".into()))?;
        Ok(body.to_bytes())
    }
}

fn query(imprint: Sha256, nonce: [u8; NONCE_SIZE]) -> Vec<u8> {
    [&QUERY_BEGIN[..], &imprint.0, &NONCE_BEGIN, &nonce, &QUERY_END].concat()
}

/// The token of a `TimeStampResp`, if it was granted for this imprint and nonce.
pub(crate) fn token(
    answer: &[u8],
    imprint: Sha256,
    nonce: [u8; NONCE_SIZE],
) -> Result<Vec<u8>, Error> {
    let strange = || Error::Answer("answered with something that is no time-stamp".into());
    let parts = children(content(answer).ok_or_else(strange)?).ok_or_else(strange)?;
    let status = parts.first().and_then(|status| children(status.content)).ok_or_else(strange)?;
    let code = status.first().map(|code| code.content).ok_or_else(strange)?;
    // granted (0) or grantedWithMods (1), RFC 3161 §2.4.2.
    if !matches!(code, [0 | 1]) {
        return Err(Error::Answer(refusal(&status)));
    }
    let token = parts.get(1).ok_or_else(strange)?;
    let info = info(token.content).ok_or_else(strange)?;
    // Version, policy, imprint, serial number, time, and optional fields; the nonce is an INTEGER.
    let fields = children(content(&info).ok_or_else(strange)?).ok_or_else(strange)?;
    let stamped = fields.get(2).map(|field| field.content);
    let stamped = stamped.and_then(children).unwrap_or_default();
    let same_digest = stamped.get(1).is_some_and(|digest| digest.content == imprint.0);
    let same_nonce =
        fields.iter().skip(5).any(|field| field.tag == Tag::Integer && field.content == nonce);
    if !(same_digest && same_nonce) {
        return Err(Error::Answer("stamped something else than it was asked to".into()));
    }
    Ok(token.whole.to_vec())
}

/// What a refusing authority says: status, and its own words if there are any.
fn refusal(status: &[Value<'_>]) -> String {
    let code = status.first().map_or(&[][..], |code| code.content);
    let number = code.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let texts = status.get(1).filter(|texts| texts.tag == Tag::Sequence);
    let text = texts.and_then(|texts| children(texts.content)).unwrap_or_default();
    let text = text.first().map(|text| String::from_utf8_lossy(text.content).into_owned());
    let text: String =
        text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    format!("refused with status {number}{}{text}", if text.is_empty() { "" } else { ": " })
}

/// The `TSTInfo` of a token's content: ContentInfo, SignedData, encapContentInfo, OCTET STRING.
fn info(token: &[u8]) -> Option<Vec<u8>> {
    let explicit = children(token)?.get(1)?.content;
    let data = children(children(explicit)?.first()?.content)?;
    let encapsulated = children(data.get(2)?.content)?;
    let octets = children(encapsulated.get(1)?.content)?;
    let octets = octets.first()?;
    if octets.is_constructed {
        return Some(
            children(octets.content)?.iter().flat_map(|part| part.content).copied().collect(),
        );
    }
    Some(octets.content.to_vec())
}
