//! Calling a gateway, for the command line: mutual TLS, and errors with their reasons.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_types::StatusExt as _;

use crate::config::CONTROL_SOCKET;
use crate::limits::MESSAGE_SIZE_MAX;

/// How long to wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Receive window; one chunk in flight and one being read.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Where the gateway is and who is calling.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    pub server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    pub ca: PathBuf,
    /// Certificate of this system, PEM
    #[arg(long, env = "VANTHU_CERT")]
    pub cert: PathBuf,
    /// Its private key, PKCS #8 PEM; by default the certificate's name with .key
    #[arg(long, env = "VANTHU_KEY")]
    pub key: Option<PathBuf>,
}

/// Connects to the gateway that runs on the data folder `data`.
///
/// # Errors
/// [`Error::Connection`].
pub async fn connect_to_control(data: &Path) -> Result<Channel, Error> {
    let path = data.join(CONTROL_SOCKET);
    let server = path.display().to_string();
    let connect = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The name is never resolved; HTTP/2 wants one.
    let endpoint = Endpoint::from_static("http://control");
    let connected = endpoint.connect_with_connector(connect).await;
    connected.map_err(|error| Error::Connection { server, cause: causes(&error) })
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the caller's cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// No connection.
    #[error("cannot connect to {server}: {cause}")]
    Connection {
        /// Where to.
        server: String,
        /// Why.
        cause: String,
    },
    /// The gateway's answer.
    #[error("{}", describe(.0))]
    Status(Box<tonic::Status>),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Error {
    /// The stable reason in the gateway's answer.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Status(status) => reason_of(status),
            Self::File { .. } | Self::Connection { .. } => None,
        }
    }
}

/// `ErrorInfo.reason` of a status.
pub fn reason_of(status: &tonic::Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

fn describe(status: &tonic::Status) -> String {
    match reason_of(status) {
        Some(reason) => format!("{reason}: {}", status.message()),
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}

impl Options {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Connection`].
    pub async fn connect(&self) -> Result<Channel, Error> {
        let key = self.key.clone().unwrap_or_else(|| self.cert.with_extension("key"));
        let (ca, cert, key) = (read(&self.ca)?, read(&self.cert)?, read(&key)?);
        connect(&self.server, &ca, &cert, &key).await
    }
}

/// An error with everything behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// Connects with certificates in memory, all PEM.
///
/// # Errors
/// [`Error::Connection`].
pub async fn connect(server: &str, ca: &[u8], cert: &[u8], key: &[u8]) -> Result<Channel, Error> {
    let failed = |error: tonic::transport::Error| Error::Connection {
        server: server.to_owned(),
        cause: causes(&error),
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .identity(Identity::from_pem(cert, key));
    Endpoint::from_shared(server.to_owned())
        .map_err(failed)?
        .tls_config(tls)
        .map_err(failed)?
        .connect_timeout(CONNECT_DEADLINE)
        .initial_stream_window_size(STREAM_WINDOW)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(failed)
}

/// The largest message that this client takes.
pub fn message_size_max() -> usize {
    MESSAGE_SIZE_MAX + 64 * 1024
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|cause| Error::File { path: path.to_owned(), cause })
}
