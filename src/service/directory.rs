//! Who can be reached, and why this way.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::admission::ClientCertificate;
use super::status::to_status;
use super::{Door, convert, following, paging};
use crate::clock::Date;
use crate::directory::Code;
use crate::proto::v1;
use crate::proto::v1::directory_service_server::DirectoryService;
use crate::refusal::{Reason, Refusal};
use crate::routing::{self, Explanation, Hop, Question};

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl DirectoryService for Door {
    type GetSnapshotStream = Messages<v1::GetSnapshotResponse>;
    type WatchStream = Messages<v1::DirectoryServiceWatchResponse>;

    async fn get_agency(
        &self,
        request: Request<v1::GetAgencyRequest>,
    ) -> Result<Response<v1::GetAgencyResponse>, Status> {
        self.peer(&request)?;
        let code = code(&request.get_ref().code, "code").map_err(to_status)?;
        let date = self.day(request.get_ref().date.as_ref()).map_err(to_status)?;
        let surroundings = self.gateway.surroundings();
        let agency = surroundings.directory.at(&code, date);
        let agency = agency.ok_or_else(|| unknown(&code, "code"))?;
        Ok(Response::new(v1::GetAgencyResponse { agency: Some(convert::agency(agency)) }))
    }

    async fn list_agencies(
        &self,
        request: Request<v1::ListAgenciesRequest>,
    ) -> Result<Response<v1::ListAgenciesResponse>, Status> {
        self.peer(&request)?;
        let request = request.into_inner();
        let size = paging::size(request.page_size).map_err(to_status)?;
        let after = paging::code(&request.page_token).map_err(to_status)?;
        let surroundings = self.gateway.surroundings();
        let directory = &surroundings.directory;
        let all = match request.below.as_str() {
            "" => directory.agencies().collect(),
            below => {
                let code = code(below, "below").map_err(to_status)?;
                let top = directory.agency(&code).ok_or_else(|| unknown(&code, "below"))?;
                directory.below(&top.code, self.gateway.now().date_in_vietnam())
            }
        };
        let start = all.partition_point(|agency| Some(&agency.code) <= after.as_ref());
        let page = &all[start..all.len().min(start + size)];
        let more = start + page.len() < all.len();
        let last = page.last().filter(|_| more).map(|agency| agency.code.to_string());
        Ok(Response::new(v1::ListAgenciesResponse {
            agencies: page.iter().map(|agency| convert::agency(agency)).collect(),
            next_page_token: last.unwrap_or_default(),
            as_of: Some(convert::date(directory.as_of())),
        }))
    }

    async fn explain_route(
        &self,
        request: Request<v1::ExplainRouteRequest>,
    ) -> Result<Response<v1::ExplainRouteResponse>, Status> {
        self.peer(&request)?;
        let request = request.into_inner();
        let from = code(&request.from, "from").map_err(to_status)?;
        let to = code(&request.to, "to").map_err(to_status)?;
        let question = Question {
            today: self.day(request.date.as_ref()).map_err(to_status)?,
            type_name: &request.type_name,
            urgency: convert::urgency(request.urgency()),
        };
        let surroundings = self.gateway.surroundings();
        let explained = routing::explain(&surroundings.directory, question, &from, &to);
        Ok(Response::new(explanation(explained)))
    }

    async fn get_snapshot(
        &self,
        request: Request<v1::GetSnapshotRequest>,
    ) -> Result<Response<Self::GetSnapshotStream>, Status> {
        self.peer(&request)?;
        let version = match request.get_ref().version {
            0 => self.gateway.directory_version(),
            version => version,
        };
        let place = self.following.snapshot()?;
        let gateway = self.gateway.clone();
        let read = tokio::task::spawn_blocking(move || gateway.directory_snapshot(version));
        let read = read.await.map_err(|_| to_status(crate::gateway::Fault::Stopped))?;
        let (receipt, bytes) = read.map_err(to_status)?;
        Ok(Response::new(Box::pin(following::chunks(version, receipt, bytes, place))))
    }

    async fn watch(
        &self,
        request: Request<v1::DirectoryServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.peer(&request)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let since = request.get_ref().since;
        let latest = self.gateway.directory_version();
        if since == 0 || since > latest {
            let refusal = Refusal::of_field(Reason::DirectoryVersionUnknown, "since");
            return Err(to_status(refusal.with("version", since).with("latest", latest)));
        }
        let place = self.following.watch()?;
        let messages = following::changes(self.clone(), certificate, since, place);
        Ok(Response::new(Box::pin(messages)))
    }
}

impl Door {
    /// A day that was asked for, or today in Vietnam.
    fn day(&self, date: Option<&v1::Date>) -> Result<Date, Refusal> {
        let Some(date) = date else { return Ok(self.gateway.now().date_in_vietnam()) };
        let part = |value: i32| i8::try_from(value).ok();
        let read = || {
            let year = i16::try_from(date.year).ok().filter(|year| (0..=9999).contains(year))?;
            Date::new(year, part(date.month)?, part(date.day)?).ok()
        };
        read().ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, "date"))
    }
}

/// An explanation as it travels.
pub fn explanation(explained: Explanation) -> v1::ExplainRouteResponse {
    let owned = |values: Vec<(&'static str, String)>| {
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let step = |step: routing::Step| v1::RouteStep {
        text: step.to_string(),
        step: step.word.to_owned(),
        values: owned(step.values),
    };
    let steps = explained.steps.into_iter().map(step).collect();
    let mut answer = v1::ExplainRouteResponse { steps, ..Default::default() };
    match explained.outcome {
        Ok((recipient, destination)) => {
            answer.recipient = recipient.to_string();
            answer.addressed =
                destination.addressed.map(|code| code.to_string()).unwrap_or_default();
            match destination.hop {
                Hop::Mailbox(system) => answer.system = system.to_string(),
                Hop::Neighbour(name) => answer.gateway = name,
            }
        }
        Err(refusal) => {
            answer.reason = refusal.reason.code().to_owned();
            answer.message = refusal.to_string();
            answer.metadata = owned(refusal.metadata);
        }
    }
    answer
}

fn code(text: &str, field: &str) -> Result<Code, Refusal> {
    Code::parse(text).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field))
}

fn unknown(code: &Code, field: &str) -> Status {
    to_status(Refusal::of_field(Reason::AgencyUnknown, field).with("code", code))
}
