//! The same doors with nothing behind them: what the transport alone can do.

use std::path::Path;

use tonic::{Request, Response, Status, Streaming};

use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::proto::v1;
use crate::proto::v1::submission_service_server::{SubmissionService, SubmissionServiceServer};
use crate::server;

struct Nothing;

#[tonic::async_trait]
impl SubmissionService for Nothing {
    async fn announce(
        &self,
        _request: Request<v1::AnnounceRequest>,
    ) -> Result<Response<v1::AnnounceResponse>, Status> {
        Ok(Response::new(v1::AnnounceResponse::default()))
    }

    async fn upload(
        &self,
        _request: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        Ok(Response::new(v1::UploadResponse::default()))
    }

    async fn submit(
        &self,
        _request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        Ok(Response::new(v1::SubmitResponse::default()))
    }

    async fn submit_document(
        &self,
        _request: Request<v1::SubmitDocumentRequest>,
    ) -> Result<Response<v1::SubmitDocumentResponse>, Status> {
        Ok(Response::new(v1::SubmitDocumentResponse::default()))
    }

    async fn order(
        &self,
        _request: Request<v1::OrderRequest>,
    ) -> Result<Response<v1::OrderResponse>, Status> {
        Ok(Response::new(v1::OrderResponse::default()))
    }
}

/// Serves until the process is ended.
pub(super) async fn serve(config: &Path) -> Result<Exit, Failure> {
    let config = Config::read(config)?;
    let service = SubmissionServiceServer::new(Nothing)
        .max_decoding_message_size(crate::limits::MESSAGE_SIZE_MAX);
    let (address, served) = server::serve_only(&config, service).await?;
    println!("serving {address}");
    served.await.map_err(Failure::other)?.map_err(Failure::other)?;
    Ok(Exit::Ok)
}
