//! From a listening socket to finished TLS connections, each with its client certificate.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::ServerTls;
use crate::limits::{HANDSHAKE_DEADLINE, READ_AHEAD_SIZE};
use crate::service::ClientCertificate;

/// Finished handshakes that wait to be served.
const CONNECTIONS_AHEAD: usize = 64;

/// Accepts connections for as long as the returned stream is polled; at most `max` at once.
pub(super) fn incoming(
    listener: TcpListener,
    tls: ServerTls,
    max: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(CONNECTIONS_AHEAD);
    tokio::spawn(accept(listener, tls, Arc::new(Semaphore::new(max)), sender));
    ReceiverStream::new(receiver)
}

async fn accept(
    listener: TcpListener,
    tls: ServerTls,
    places: Arc<Semaphore>,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let Ok((socket, _)) = accepted else {
            // Out of file descriptors, mostly: give others time to close theirs.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let config = tls.read().expect("no panic while replacing").clone();
        let sender = sender.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_DEADLINE, handshake(socket, config, place)).await {
                Ok(Ok(connection)) => {
                    let _server_gone = sender.send(Ok(connection)).await;
                }
                Ok(Err(error)) => tracing::info!(%error, "handshake failed"),
                Err(_) => tracing::info!("handshake took too long"),
            }
        });
    }
}

async fn handshake(
    socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
    place: OwnedSemaphorePermit,
) -> io::Result<Connection> {
    socket.set_nodelay(true)?;
    let socket = BufReader::with_capacity(READ_AHEAD_SIZE, socket);
    let stream = TlsAcceptor::from(config).accept(socket).await?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = leaf.and_then(|der| ClientCertificate::read(der)).map(Arc::new);
    Ok(Connection { stream, certificate, _place: place })
}

/// One TLS connection. Its certificate goes along with every request.
pub(super) struct Connection {
    stream: TlsStream<BufReader<TcpStream>>,
    certificate: Option<Arc<ClientCertificate>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Option<Arc<ClientCertificate>>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.certificate.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
