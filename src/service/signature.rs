//! Checking signatures without sending anything.

use bytes::Bytes;
use serde_json::json;
use tonic::{Request, Response, Status, Streaming};

use super::status::to_status;
use super::submission::{blocking, next_message};
use super::{Door, convert};
use crate::clock::Time;
use crate::digest::{Hasher, Sha256};
use crate::directory::Role;
use crate::gateway::ports::Scratch;
use crate::gateway::{Error, describe};
use crate::limits::{VERIFICATIONS_MAX, VERIFY_SIZE_MAX};
use crate::proto::v1;
use crate::proto::v1::signature_service_server::SignatureService;
use crate::proto::v1::verify_request::Kind;
use crate::refusal::{Reason, Refusal};
use crate::signature::{Report, judge, judge_detached};

#[tonic::async_trait]
impl SignatureService for Door {
    async fn verify(
        &self,
        request: Request<Streaming<v1::VerifyRequest>>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let peer = self.peer(&request)?;
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor]).map_err(to_status)?;
        let _place = self.verifying.try_acquire().map_err(|_| {
            let refusal = Refusal::new(Reason::VerificationsTooMany);
            to_status(refusal.with("limit", VERIFICATIONS_MAX))
        })?;
        self.verified(request.into_inner()).await.map(Response::new)
    }
}

/// A file that arrived.
struct Arrived {
    bytes: Box<dyn Scratch>,
    size: u64,
    digest: Sha256,
}

impl Door {
    async fn verified(
        &self,
        mut stream: Streaming<v1::VerifyRequest>,
    ) -> Result<v1::VerifyResponse, Status> {
        let header = match next_message(&mut stream).await? {
            Some(v1::VerifyRequest { kind: Some(Kind::Header(header)) }) => header,
            _ => return Err(to_status(Refusal::of_field(Reason::ChunkOrder, "header"))),
        };
        let now = self.gateway.now();
        let at = validation_time(&header, now).map_err(to_status)?;
        let Arrived { bytes, size, digest } = self.arrived(&mut stream).await?;
        let surroundings = self.gateway.surroundings();
        let report = tokio::task::spawn_blocking(move || {
            let (source, trust) = (bytes.finish(), &surroundings.trust);
            match &header.detached_signature[..] {
                [] => judge(&*source, trust, at),
                signature => judge_detached(signature, &*source, trust, at),
            }
        });
        Ok(answer(&blocking(report).await?, size, digest, at))
    }

    async fn arrived(&self, stream: &mut Streaming<v1::VerifyRequest>) -> Result<Arrived, Status> {
        let failed = |error| to_status(Error::from(error));
        let mut bytes = self.gateway.contents().scratch().map_err(failed)?;
        let (mut size, mut hasher) = (0, Hasher::default());
        while let Some(message) = next_message(stream).await? {
            let Some(Kind::Chunk(chunk)) = message.kind else {
                return Err(to_status(Refusal::of_field(Reason::ChunkOrder, "chunk")));
            };
            size += chunk.len() as u64;
            if size > VERIFY_SIZE_MAX {
                let refusal = Refusal::of_field(Reason::PartTooLarge, "chunk");
                return Err(to_status(refusal.with("limit", VERIFY_SIZE_MAX)));
            }
            let appended = tokio::task::spawn_blocking(move || {
                hasher.update(&chunk);
                let outcome = bytes.append(&chunk);
                (bytes, hasher, outcome)
            });
            let outcome;
            (bytes, hasher, outcome) = blocking(appended).await?;
            outcome.map_err(failed)?;
        }
        if size == 0 {
            return Err(to_status(Refusal::of_field(Reason::PartEmpty, "chunk")));
        }
        Ok(Arrived { bytes, size, digest: hasher.finish() })
    }
}

fn validation_time(header: &v1::VerifyHeader, now: Time) -> Result<Time, Refusal> {
    let Some(asked) = &header.validation_time else { return Ok(now) };
    let at = convert::time(asked).filter(|at| *at <= now);
    at.ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, "header.validation_time"))
}

fn answer(report: &Report, size: u64, digest: Sha256, at: Time) -> v1::VerifyResponse {
    let whole = json!({
        "format": "vanthu.verification.v1",
        "time": at.to_string(),
        "sha256": digest.to_string(),
        "size": size,
        "indication": report.word(),
        "signatures": report.signatures.iter().map(describe).collect::<Vec<_>>(),
        "quirks": report.quirks,
    });
    v1::VerifyResponse {
        indication: convert::indication(report.indication()).into(),
        signatures: report.signatures.iter().map(convert::signature).collect(),
        quirks: report.quirks.clone(),
        sha256: Bytes::copy_from_slice(&digest.0),
        size,
        validation_time: Some(convert::timestamp(at)),
        report: whole.to_string().into(),
    }
}
