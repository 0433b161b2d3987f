//! The operator's calls on the machine itself. Whoever reaches the socket is the user that runs the
//! gateway, or root: they own the store, and what they may not change, they cannot change unseen.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::retention::{self, RetentionRule};
use super::status::to_status;
use super::{convert, paging};
use crate::gateway::{Erasure, Fault, Gateway, HoldChange, page};
use crate::limits::SCAN_PAGE;
use crate::log::EntryId;
use crate::proto::control;
use crate::proto::control::control_service_server::{ControlService, ControlServiceServer};
use crate::refusal::{Reason, Refusal};

/// The door for the operator.
#[derive(Clone)]
pub struct Control {
    gateway: Arc<Gateway>,
    rules: Arc<[RetentionRule]>,
}

impl Control {
    /// The door of `gateway`, to be served where only the operator comes.
    pub fn service(
        gateway: Arc<Gateway>,
        rules: Arc<[RetentionRule]>,
    ) -> ControlServiceServer<Self> {
        ControlServiceServer::new(Self { gateway, rules })
    }

    async fn change_hold(
        &self,
        consignment: &str,
        change: HoldChange,
        reason: &str,
        note: &str,
    ) -> Result<String, Status> {
        let consignment = convert::consignment_id(consignment).map_err(to_status)?;
        let changed = self.gateway.change_hold(consignment, change, reason, note).await;
        Ok(changed.map_err(to_status)?.id.to_string())
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

    async fn erase(
        &self,
        request: Request<control::EraseRequest>,
    ) -> Result<Response<control::EraseResponse>, Status> {
        let control::EraseRequest { consignment_id, order } = request.into_inner();
        let consignment = convert::consignment_id(&consignment_id).map_err(to_status)?;
        if order.trim().is_empty() {
            return Err(to_status(Refusal::of_field(Reason::FieldMissing, "order")));
        }
        let ordered = self.gateway.order_erasure(consignment, Erasure::Order(order)).await;
        let entry = ordered.map_err(to_status)?.id.to_string();
        let erased = self.blocking(|gateway| gateway.erase_bodies()).await?;
        Ok(Response::new(control::EraseResponse { entry, bytes: erased.bytes }))
    }

    async fn hold(
        &self,
        request: Request<control::HoldRequest>,
    ) -> Result<Response<control::HoldResponse>, Status> {
        let control::HoldRequest { consignment_id, reason, note } = request.into_inner();
        let entry = self.change_hold(&consignment_id, HoldChange::Hold, &reason, &note).await?;
        Ok(Response::new(control::HoldResponse { entry }))
    }

    async fn release(
        &self,
        request: Request<control::ReleaseRequest>,
    ) -> Result<Response<control::ReleaseResponse>, Status> {
        let control::ReleaseRequest { consignment_id, reason, note } = request.into_inner();
        let entry = self.change_hold(&consignment_id, HoldChange::Release, &reason, &note).await?;
        Ok(Response::new(control::ReleaseResponse { entry }))
    }

    async fn list_backlogs(
        &self,
        request: Request<control::ListBacklogsRequest>,
    ) -> Result<Response<control::ListBacklogsResponse>, Status> {
        let after = paging::code(&request.into_inner().after).map_err(to_status)?;
        let stuck = self.blocking(move |gateway| gateway.stuck(after.as_ref(), SCAN_PAGE)).await?;
        let backlogs = stuck.into_iter().map(|one| control::Backlog {
            agency: one.agency.to_string(),
            consignment_id: one.oldest.consignment.to_string(),
            entry: one.oldest.position.to_string(),
            urgency: one.oldest.urgency.word().to_owned(),
            since: Some(convert::timestamp(one.since)),
            attempts: one.attempts,
            watchers: u32::try_from(one.watchers).unwrap_or(u32::MAX),
            last_look: one.last_look.map(convert::timestamp),
        });
        Ok(Response::new(control::ListBacklogsResponse { backlogs: backlogs.collect() }))
    }

    async fn retain(
        &self,
        request: Request<control::RetainRequest>,
    ) -> Result<Response<control::RetainResponse>, Status> {
        let dry_run = request.into_inner().dry_run;
        let retained = retention::run(&self.gateway, &self.rules, dry_run).await;
        let retained = retained.map_err(to_status)?;
        Ok(Response::new(control::RetainResponse {
            consignments: retained.consignments,
            bytes: retained.bytes,
            held: retained.held,
            waiting: retained.waiting,
        }))
    }
}
