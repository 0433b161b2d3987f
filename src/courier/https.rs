//! A small HTTP/1.1 client, with or without TLS: one connection, one request at a time, an answer up
//! to a limit. The caller sets the deadline; a call that was dropped is forgotten together with its
//! connection.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a neighbour or a service is reached.
#[derive(Clone)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    /// How its server shows who it is; plain HTTP without.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Not an address that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It does not say where, or how.
    #[error("not an http or https address with a host")]
    Form,
    /// Nothing says which server may be called over TLS.
    #[error("https needs the CA of the server")]
    Trust,
    /// A CA certificate cannot be read.
    #[error("a CA certificate of the server cannot be read")]
    Anchor,
    /// The certificate that is shown to the server, or its key, cannot be used.
    #[error("the certificate to show to the server, or its key, cannot be used")]
    Certificate,
}

impl Address {
    /// An `https` address whose server has a certificate under `cas`, or an `http` one.
    ///
    /// # Errors
    /// [`NotAnAddress`].
    pub fn new(address: &str, cas: &[CertificateDer<'static>]) -> Result<Self, NotAnAddress> {
        let uri: Uri = address.parse().map_err(|_| NotAnAddress::Form)?;
        let host = uri.host().ok_or(NotAnAddress::Form)?.trim_matches(['[', ']']).to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| NotAnAddress::Form)?;
                (Some((connector(cas)?, name)), 443)
            }
            _ => return Err(NotAnAddress::Form),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Self { uri, host, port, tls })
    }

    /// The port, also if it goes without saying.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// What `Host` says. A user name before it is not sent.
    pub fn host(&self) -> &str {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        authority.rsplit('@').next().unwrap_or_default()
    }

    /// A new connection.
    ///
    /// # Errors
    /// Why there is none, for the traces.
    pub async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.tls {
            None => speak(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                speak(stream.map_err(|error| error.to_string())?).await
            }
        }
    }
}

/// The connection ends with the last use of what is given.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let spoken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = spoken.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Servers are told apart by certificates under these CAs, and by nothing that the system brings.
fn connector(cas: &[CertificateDer<'static>]) -> Result<TlsConnector, NotAnAddress> {
    if cas.is_empty() {
        return Err(NotAnAddress::Trust);
    }
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|_| NotAnAddress::Anchor)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
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
        self.sender = Some(self.address.connect().await?);
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
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{prefix}/{name}"))
            .header(header::HOST, self.address.host())
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
}
