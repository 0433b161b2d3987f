//! A small HTTP/1.1 client: one connection, one request at a time, an answer up to a limit. The
//! caller sets the deadline; a call that was dropped is forgotten together with its connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a neighbour is reached.
#[derive(Clone)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// Not an address that can be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(String);

impl Address {
    /// An `https` address whose server has a certificate under `cas`, or an `http` one.
    ///
    /// # Errors
    /// [`NotAnAddress`].
    pub fn new(address: &str, cas: &[CertificateDer<'static>]) -> Result<Self, NotAnAddress> {
        let wrong = |why: &str| NotAnAddress(format!("{address}: {why}"));
        let uri: Uri = address.parse().map_err(|_| wrong("not an address"))?;
        let host = uri.host().ok_or_else(|| wrong("no host"))?.trim_matches(['[', ']']).to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("https") => (Some(connector(cas).map_err(|why| wrong(&why))?), 443),
            Some("http") => (None, 80),
            _ => return Err(wrong("neither https nor http")),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Self { uri, host, port, tls })
    }
}

fn connector(cas: &[CertificateDer<'static>]) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("https needs the CA of the server".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection that is opened when it is needed, and again when it has broken.
pub struct Client {
    address: Address,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of this address; nothing is sent yet.
    pub fn new(address: Address) -> Self {
        Self { address, sender: None }
    }

    /// Posts `body` to `name` below the address; gives status and body of the answer.
    ///
    /// # Errors
    /// Why there is no answer, for the traces.
    pub async fn post(
        &mut self,
        name: &str,
        body: Vec<u8>,
        answer_size_max: usize,
    ) -> Result<(StatusCode, Bytes), String> {
        let body = Bytes::from(body);
        // The other side may have closed a connection that rested: the first failure is not final.
        let is_open = self.sender.as_ref().is_some_and(|sender| !sender.is_closed());
        if is_open && let Ok(answer) = self.send(name, body.clone(), answer_size_max).await {
            return Ok(answer);
        }
        self.sender = Some(self.connect().await?);
        self.send(name, body, answer_size_max).await
    }

    async fn send(
        &mut self,
        name: &str,
        body: Bytes,
        answer_size_max: usize,
    ) -> Result<(StatusCode, Bytes), String> {
        // Taken out: whoever drops this call in the middle drops the connection, too.
        let mut sender = self.sender.take().ok_or("not connected")?;
        let prefix = self.address.uri.path().trim_end_matches('/');
        let authority = self.address.uri.authority().map_or("", |authority| authority.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{prefix}/{name}"))
            // A user name before the host is not sent.
            .header(header::HOST, authority.rsplit('@').next().unwrap_or_default())
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        sender.ready().await.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), answer_size_max).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        self.sender = Some(sender);
        Ok((status, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let Address { host, port, tls, .. } = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let failed = |error: hyper::Error| error.to_string();
        let Some(tls) = tls else {
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
            tokio::spawn(connection);
            return Ok(sender);
        };
        let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| error.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
