//! Who can be reached.

use tonic::{Request, Response, Status};

use super::status::to_status;
use super::{Door, convert, paging};
use crate::directory::Code;
use crate::proto::v1;
use crate::proto::v1::directory_service_server::DirectoryService;
use crate::refusal::{Reason, Refusal};

#[tonic::async_trait]
impl DirectoryService for Door {
    async fn get_agency(
        &self,
        request: Request<v1::GetAgencyRequest>,
    ) -> Result<Response<v1::GetAgencyResponse>, Status> {
        self.peer(&request)?;
        let code = code(&request.get_ref().code, "code").map_err(to_status)?;
        let surroundings = self.gateway.surroundings();
        let agency = surroundings.directory.agency(&code).ok_or_else(|| unknown(&code, "code"))?;
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
}

fn code(text: &str, field: &str) -> Result<Code, Refusal> {
    Code::parse(text).ok_or_else(|| Refusal::of_field(Reason::FieldMalformed, field))
}

fn unknown(code: &Code, field: &str) -> Status {
    to_status(Refusal::of_field(Reason::AgencyUnknown, field).with("code", code))
}
