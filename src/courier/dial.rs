//! Reaching a neighbour gateway: gRPC over TLS with our client certificate, and a memory of the
//! certificate that the neighbour showed, because the log names it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::NotAnAddress;
use crate::limits::HANDSHAKE_DEADLINE;

/// A dead connection is noticed within half a minute and ten seconds, as on the other side.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);
/// Receive window: the results of one message and the next.
const STREAM_WINDOW: u32 = 1024 * 1024;

type Shown = Arc<Mutex<Option<Arc<[u8]>>>>;

/// Where a neighbour is and who we are to it.
#[derive(Clone)]
pub struct Dial {
    host: String,
    port: u16,
    tls: TlsConnector,
    shown: Shown,
}

impl Dial {
    /// An `https` address whose server has a certificate under `cas`, reached as the holder of this
    /// certificate.
    ///
    /// # Errors
    /// [`NotAnAddress`].
    pub fn new(
        address: &str,
        cas: &[CertificateDer<'static>],
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, NotAnAddress> {
        let uri: Uri = address.parse().map_err(|_| NotAnAddress::Form)?;
        let host = uri.host().ok_or(NotAnAddress::Form)?.trim_matches(['[', ']']).to_owned();
        if uri.scheme_str() != Some("https") {
            return Err(NotAnAddress::Form);
        }
        let mut roots = RootCertStore::empty();
        for ca in cas {
            roots.add(ca.clone()).map_err(|_| NotAnAddress::Anchor)?;
        }
        if roots.is_empty() {
            return Err(NotAnAddress::Trust);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|_| NotAnAddress::Certificate)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        let port = uri.port_u16().unwrap_or(443);
        Ok(Self { host, port, tls, shown: Arc::default() })
    }

    /// A channel that connects when it is used, and again when it has broken.
    pub fn channel(&self) -> Channel {
        let dial = self.clone();
        let connect = tower::service_fn(move |_: Uri| {
            let dial = dial.clone();
            async move {
                let connected = tokio::time::timeout(HANDSHAKE_DEADLINE, dial.connect()).await;
                connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            }
        });
        // TLS is ours, and the name is resolved by us; HTTP/2 wants one all the same.
        Endpoint::from_static("http://neighbour")
            .initial_stream_window_size(STREAM_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connect)
    }

    /// The certificate (DER) that the neighbour showed on the latest connection.
    pub fn shown(&self) -> Option<Arc<[u8]>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self) -> std::io::Result<TokioIo<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let shown = certificate.map(|certificate| Arc::from(certificate.as_ref()));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(TokioIo::new(stream))
    }
}
