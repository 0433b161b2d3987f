//! What stands around the log besides gRPC, where it is configured: readers, the witness of others,
//! and the courier to our own witnesses.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Error, HEAD_NOTED_EVERY, ServerTls, listen, readers, tls};
use crate::clock::SystemClock;
use crate::config::{Config, TlsMaterial};
use crate::courier::{self, Round};
use crate::gateway::{Gateway, Witness};
use crate::service::Admission;
use crate::store::notebook::FileNotebook;
use crate::telemetry::Metrics;

/// All of it, checked and opened, and not yet served.
pub(super) struct AroundLog {
    shelf: Option<(TcpListener, SocketAddr)>,
    tls: ServerTls,
    round: Option<Round>,
    witness: Option<Arc<Witness>>,
}

impl AroundLog {
    pub(super) async fn open(config: &Config, material: &TlsMaterial) -> Result<Self, Error> {
        let round = config.witnessed_by()?;
        let witness = match config.witness_of()? {
            Some((key, logs)) => {
                let book = Arc::new(FileNotebook::open(&config.data.join("witness"))?);
                Some(Arc::new(Witness::open(key, logs, book, Arc::new(SystemClock))?))
            }
            None => None,
        };
        let tls = Arc::new(RwLock::new(Arc::new(tls::readers(material)?)));
        let shelf = match &config.readers {
            Some(section) => Some(listen(section.listen).await?),
            None => None,
        };
        Ok(Self { shelf, tls, round, witness })
    }

    /// Starts it all; gives where readers come in, and the TLS that they meet, to be replaced at a
    /// reload.
    pub(super) fn start(
        self,
        tasks: &mut JoinSet<()>,
        gateway: &Arc<Gateway>,
        admission: &Arc<Admission>,
        metrics: &Arc<Metrics>,
        closed: &watch::Receiver<bool>,
    ) -> (Option<SocketAddr>, ServerTls) {
        if let Some(round) = self.round {
            let observer = metrics.clone();
            tasks.spawn(courier::collect_cosignatures(gateway.clone(), round, observer));
        }
        let Some((listener, address)) = self.shelf else { return (None, self.tls) };
        let mut router = crate::readers::router(gateway.clone(), admission.clone());
        if let Some(witness) = self.witness {
            tasks.spawn(note_forks(metrics.clone(), witness.clone()));
            router = router.merge(crate::readers::witness::router(witness));
        }
        tasks.spawn(readers::serve(listener, self.tls.clone(), router, closed.clone()));
        (Some(address), self.tls)
    }
}

async fn note_forks(metrics: Arc<Metrics>, witness: Arc<Witness>) {
    loop {
        metrics.note_forks(witness.forks());
        tokio::time::sleep(HEAD_NOTED_EVERY).await;
    }
}
