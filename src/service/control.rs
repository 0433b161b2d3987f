//! The operator's calls on the machine itself. Whoever reaches the socket is the user that runs the
//! gateway, or root: they own the store, and what they may not change, they cannot change unseen.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::status::to_status;
use crate::gateway::{Fault, Gateway, page};
use crate::limits::SCAN_PAGE;
use crate::log::EntryId;
use crate::proto::control;
use crate::proto::control::control_service_server::{ControlService, ControlServiceServer};

/// The door for the operator.
#[derive(Clone)]
pub struct Control {
    gateway: Arc<Gateway>,
}

impl Control {
    /// The door of `gateway`, to be served where only the operator comes.
    pub fn service(gateway: Arc<Gateway>) -> ControlServiceServer<Self> {
        ControlServiceServer::new(Self { gateway })
    }

    /// Runs what reads the store where it may block.
    async fn blocking<T: Send + 'static, E: Into<crate::gateway::Error> + Send + 'static>(
        &self,
        work: impl FnOnce(&Gateway) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Status> {
        let gateway = Arc::clone(&self.gateway);
        let done = tokio::task::spawn_blocking(move || work(&gateway)).await;
        let stopped = |_| to_status(Fault::Content("the call ended early".into()));
        done.map_err(stopped)?.map_err(|error| to_status(error))
    }
}

#[tonic::async_trait]
impl ControlService for Control {
    async fn read_log(
        &self,
        request: Request<control::ReadLogRequest>,
    ) -> Result<Response<control::ReadLogResponse>, Status> {
        let control::ReadLogRequest { epoch, index } = request.into_inner();
        let from = EntryId { epoch: epoch.max(1), index };
        let page = self.blocking(move |gateway| page(&**gateway.store(), from, SCAN_PAGE)).await?;
        Ok(Response::new(control::ReadLogResponse {
            leaves: page.leaves,
            checkpoints: page.checkpoints,
            head_epoch: page.head.epoch,
            head_size: page.head.index,
        }))
    }
}
