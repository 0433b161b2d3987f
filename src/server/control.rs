//! The operator's socket: `<data>/control`, for the user that owns the data folder and for root.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::config::CONTROL_SOCKET;
use crate::gateway::Gateway;
use crate::service::{Control, RetentionRule};

/// A socket that listens. Dropping it removes its name.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
    owner: u32,
}

impl Socket {
    /// Takes the name in `data`, whose store this process has open: what a killed one left there is
    /// nobody's.
    pub(super) fn bind(data: &Path) -> io::Result<Self> {
        let path = data.join(CONTROL_SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let owner = path.metadata()?.uid();
        Ok(Self { path, listener: Some(listener), owner })
    }

    /// Serves until the gateway closes.
    pub(super) async fn serve(
        mut self,
        gateway: Arc<Gateway>,
        rules: Arc<[RetentionRule]>,
        mut closing: watch::Receiver<bool>,
    ) {
        let Some(listener) = self.listener.take() else { return };
        let owner = self.owner;
        let incoming = UnixListenerStream::new(listener).filter(move |stream| {
            stream.as_ref().map_or(true, |stream| is_operator(stream, owner))
        });
        let served = Server::builder()
            .add_service(Control::service(gateway, rules))
            .serve_with_incoming_shutdown(incoming, async move {
                let _closed = closing.wait_for(|closing| *closing).await.map(drop);
            });
        if let Err(error) = served.await {
            tracing::error!(%error, "the operator's socket ended");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Between `bind` and its permissions anybody could have connected.
fn is_operator(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| [0, owner].contains(&peer.uid()))
}
