//! Asking a time-stamping authority over HTTP (RFC 3161 §3.4), with or without TLS: one request, one
//! answer, with a deadline and a limit.
//!
//! The answer must hold the digest and the nonce that were sent. Whether its signature holds and who
//! made it is for the judge to say, who sees it in the signed file.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::asn1_rs::Tag;

use super::Error;
use super::cms::Stamp;
use super::der::{self, Value, children, content};
use super::key::Hash;
use crate::digest::Sha256;
use crate::limits::{TIMESTAMP_ANSWER_SIZE_MAX, TIMESTAMP_TOKEN_ROOM};

/// A time-stamping authority at an `http` or `https` address.
pub struct Authority {
    address: Uri,
    host: String,
    port: u16,
    /// How its server shows who it is; plain HTTP without.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    wait_max: Duration,
    runtime: tokio::runtime::Runtime,
}

impl Authority {
    /// Reads the address; nothing is sent yet. The server of an `https` address must have a certificate
    /// under one of `anchors_der`; tokens are signed and ask for no secrecy, so plain `http` will do.
    ///
    /// # Errors
    /// [`Error::Stamp`] if it is no such address, [`Error::StampTrust`] if its server could not be told
    /// from any other, [`Error::Unreadable`] if an anchor is no certificate.
    pub fn new(address: &str, anchors_der: &[Vec<u8>], wait_max: Duration) -> Result<Self, Error> {
        let wrong = || Error::Stamp(format!("has no http or https address: {address}"));
        let address: Uri = address.parse().map_err(|_| wrong())?;
        let host = address.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let (tls, port) = match address.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                (Some((connector(anchors_der)?, name)), 443)
            }
            _ => return Err(wrong()),
        };
        let port = address.port_u16().unwrap_or(port);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| Error::Stamp(format!("cannot be asked: {cause}")))?;
        Ok(Self { address, host, port, tls, wait_max, runtime })
    }

    async fn post(&self, query: Vec<u8>) -> Result<Bytes, Error> {
        let unreachable = |cause: std::io::Error| Error::StampConnection(cause.to_string());
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(unreachable)?;
        match &self.tls {
            None => self.exchange(stream, query).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(unreachable)?;
                self.exchange(stream, query).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        query: Vec<u8>,
    ) -> Result<Bytes, Error> {
        let unreachable = |cause: String| Error::StampConnection(cause);
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
            .map_err(|cause| Error::Stamp(format!("cannot be asked: {cause}")))?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|cause| unreachable(cause.to_string()))?;
        if !answer.status().is_success() {
            return Err(Error::Stamp(format!("answered with HTTP status {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), TIMESTAMP_ANSWER_SIZE_MAX).collect().await;
        connection.abort();
        let body =
            body.map_err(|_| Error::Stamp("broke off, or answered at too great length".into()))?;
        Ok(body.to_bytes())
    }
}

/// Servers are told apart by certificates under these anchors, and by nothing that the system brings.
fn connector(anchors_der: &[Vec<u8>]) -> Result<TlsConnector, Error> {
    if anchors_der.is_empty() {
        return Err(Error::StampTrust);
    }
    let mut roots = RootCertStore::empty();
    for der in anchors_der {
        let unreadable =
            |_| Error::Unreadable("a certificate that the authority is told by".into());
        roots.add(CertificateDer::from(der.clone())).map_err(unreadable)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::Stamp(format!("cannot be asked: {cause}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Stamp for Authority {
    fn stamp(&self, imprint: Sha256) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Error::Key)?;
        let query = query(imprint, &nonce);
        let late =
            |_| Error::StampConnection(format!("no answer within {} s", self.wait_max.as_secs()));
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(self.wait_max, self.post(query)).await.map_err(late)?
        })?;
        token(&answer, imprint, &nonce)
    }

    fn room(&self) -> usize {
        TIMESTAMP_TOKEN_ROOM
    }
}

/// `MessageImprint`.
fn message_imprint(imprint: Sha256) -> Vec<u8> {
    let algorithm = Hash::Sha256.identifier();
    der::sequence(&[&algorithm, &der::value(der::OCTET_STRING, &[&imprint.0])])
}

/// `TimeStampReq` that asks for the certificates, too.
fn query(imprint: Sha256, nonce: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::small(1), &message_imprint(imprint), &der::unsigned(nonce), &der::TRUE])
}

/// The token of a `TimeStampResp`, if it was granted for this imprint and nonce.
fn token(answer: &[u8], imprint: Sha256, nonce: &[u8]) -> Result<Vec<u8>, Error> {
    let strange = || Error::Stamp("answered with something that is no time-stamp".into());
    let parts = children(content(answer).ok_or_else(strange)?).ok_or_else(strange)?;
    let status = parts.first().and_then(|status| children(status.content)).ok_or_else(strange)?;
    let code = status.first().map(|code| code.content).ok_or_else(strange)?;
    // granted (0) or grantedWithMods (1), RFC 3161 §2.4.2.
    if !matches!(code, [0 | 1]) {
        return Err(Error::Stamp(refusal(&status)));
    }
    let token = parts.get(1).ok_or_else(strange)?;
    let info = info(token.content).ok_or_else(strange)?;
    // Version, policy, imprint, serial number, time, and optional fields; the nonce is an INTEGER.
    let fields = children(content(&info).ok_or_else(strange)?).ok_or_else(strange)?;
    let stamped = fields.get(2).map(|field| field.content);
    let stamped = stamped.and_then(children).unwrap_or_default();
    let same_digest = stamped.get(1).is_some_and(|digest| digest.content == imprint.0);
    let nonce = der::unsigned(nonce);
    let same_nonce = fields.iter().skip(5).any(|field| field.whole == nonce);
    if !(same_digest && same_nonce) {
        return Err(Error::Stamp("stamped something else than it was asked to".into()));
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

#[cfg(test)]
mod tests {
    use super::*;
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
        let (imprint, nonce) = (Sha256::of(b"signature"), [0x11; 16]);
        let good = stamped(imprint, &nonce);
        assert_eq!(token(&answer(0, &good), imprint, &nonce).unwrap(), good);
        assert_eq!(token(&answer(1, &good), imprint, &nonce).unwrap(), good);
        for wrong in [
            stamped(Sha256::of(b"other"), &nonce),
            stamped(imprint, &[0x12; 16]),
            stamped(imprint, &[]),
        ] {
            let refused = token(&answer(0, &wrong), imprint, &nonce).unwrap_err().to_string();
            assert!(refused.ends_with("stamped something else than it was asked to"), "{refused}");
        }
        let refused = token(&answer(2, &[]), imprint, &nonce).unwrap_err().to_string();
        assert_eq!(refused, "the time-stamping authority refused with status 2");
    }

    #[test]
    fn a_cut_or_strange_answer_is_refused_and_nothing_panics() {
        let (imprint, nonce) = (Sha256::of(b"signature"), [0x11; 16]);
        let good = answer(0, &stamped(imprint, &nonce));
        for cut in 0..good.len() {
            assert!(token(&good[..cut], imprint, &nonce).is_err(), "{cut}");
        }
        for at in 0..good.len().min(400) {
            let mut bent = good.clone();
            bent[at] ^= 0x41;
            // The judge sees whether the signature of the token holds; here it only must hold these.
            if let Ok(token) = token(&bent, imprint, &nonce) {
                assert!(token.windows(32).any(|window| window == imprint.0), "{at}");
            }
        }
    }

    #[test]
    fn only_http_addresses_are_taken_and_https_with_anchors() {
        let make = |address: &str, anchors: &[Vec<u8>]| {
            Authority::new(address, anchors, Duration::from_secs(1)).map(|made| made.port)
        };
        let anchor = vec![pki().signer("tsa").unwrap().leaf().to_vec()];
        for wrong in ["", "tsa", "ftp://tsa.example/", "https:///"] {
            assert!(matches!(make(wrong, &anchor), Err(Error::Stamp(_))), "{wrong}");
        }
        assert!(matches!(make("https://tsa.example/", &[]), Err(Error::StampTrust)));
        let broken = [vec![0x30, 0]];
        assert!(matches!(make("https://tsa.example/", &broken), Err(Error::Unreadable(_))));
        assert_eq!(make("https://tsa.example/", &anchor).unwrap(), 443);
        assert_eq!(make("https://[::1]:8443/", &anchor).unwrap(), 8443);
        assert_eq!(make("http://tsa.example/", &[]).unwrap(), 80);
    }
}
