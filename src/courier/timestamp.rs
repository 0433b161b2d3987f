//! Asking a time-stamping authority over HTTP (RFC 3161 §3.4): one request, one answer, with a
//! deadline and a limit.
//!
//! The answer must hold the digest and the nonce that were sent. Whether its signature holds and who
//! made it is for the judge to say.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::TcpStream;
use x509_parser::asn1_rs::{Any, FromBer as _, Tag};

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
}

/// A time-stamping authority at an `http` address.
#[derive(Debug, Clone)]
pub struct Authority {
    address: Uri,
    host: String,
    port: u16,
    wait_max: Duration,
}

impl Authority {
    /// Reads the address; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Answer`] if it is no `http` address.
    pub fn new(address: &str, wait_max: Duration) -> Result<Self, Error> {
        let wrong = || Error::Answer(format!("has no http address: {address}"));
        let address: Uri = address.parse().map_err(|_| wrong())?;
        // Tokens are signed and ask for no secrecy: authorities are reached by plain HTTP.
        if address.scheme_str() != Some("http") {
            return Err(wrong());
        }
        let host = address.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = address.port_u16().unwrap_or(80);
        Ok(Self { address, host, port, wait_max })
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
        let unreachable = |cause: String| Error::Connection(cause);
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|cause| unreachable(cause.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| unreachable(cause.to_string()))?;
        let connection = tokio::spawn(connection);
        let path = self.address.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.address.authority().map_or("", |authority| authority.as_str());
        // A user name before the host is not sent.
        let host = authority.rsplit('@').next().unwrap_or_default();
        let request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/timestamp-query")
            .header(header::ACCEPT, "application/timestamp-reply")
            .body(Full::new(Bytes::from(query)))
            .map_err(|cause| Error::Answer(format!("cannot be asked: {cause}")))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|cause| unreachable(cause.to_string()))?;
        if !answer.status().is_success() {
            return Err(Error::Answer(format!("answered with HTTP status {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), TIMESTAMP_ANSWER_SIZE_MAX).collect().await;
        connection.abort();
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

/// A value inside another.
struct Value<'a> {
    tag: Tag,
    is_constructed: bool,
    content: &'a [u8],
    whole: &'a [u8],
}

fn content(bytes: &[u8]) -> Option<&[u8]> {
    Any::from_ber(bytes).ok().map(|(_, any)| any.data)
}

fn children(bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (after, any) = Any::from_ber(rest).ok()?;
        let whole = rest.get(..rest.len().checked_sub(after.len())?)?;
        let is_constructed = any.header.is_constructed();
        out.push(Value { tag: any.tag(), is_constructed, content: any.data, whole });
        rest = after;
    }
    Some(out)
}
