//! Lists of what waits and of notices, for systems that come again and again instead of watching.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use super::admission::ClientCertificate;
use super::status::to_status;
use super::{Door, paging};
use crate::delivery::Cursor;
use crate::directory::{Code, SystemId};
use crate::document::Urgency;
use crate::gateway::ports::{Item, Which};
use crate::gateway::{Error, Fault};
use crate::limits::{POLL_INTERVAL, POLL_WAIT_MAX, POLLS_AT_ONCE};
use crate::log::EntryId;
use crate::proto::v1;
use crate::refusal::{Reason, Refusal};

/// What a list shows.
enum Listed {
    /// A page of all that waits, from a place on.
    Page(Option<(Urgency, EntryId)>),
    /// What has come since.
    Since(Cursor),
}

impl Door {
    /// A system looks into a mailbox.
    ///
    /// # Errors
    /// [`Reason::PollsTooMany`], with the time after which it may.
    pub(super) fn look(&self, system: &SystemId) -> Result<(), Refusal> {
        let taken = self.polls.take(system, self.gateway.now(), Duration::ZERO);
        taken.map(drop).map_err(|wait| {
            let refusal = Refusal::new(Reason::PollsTooMany).with("at_once", POLLS_AT_ONCE);
            refusal.with("interval_ms", POLL_INTERVAL.as_millis()).retry_after(wait)
        })
    }

    /// Answers `ListItems`.
    pub(super) async fn list(
        &self,
        request: Request<v1::ListItemsRequest>,
    ) -> Result<Response<v1::ListItemsResponse>, Status> {
        let peer = self.peer(&request)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let request = request.into_inner();
        let agency = self.own(&peer, &request.agency).map_err(to_status)?;
        let size = paging::size(request.page_size).map_err(to_status)?;
        let wait = wait(request.wait_seconds).map_err(to_status)?;
        let listed = listed(&request).map_err(to_status)?;
        let find = || self.listed(&agency, &listed, size);
        let found =
            self.looked_for(&peer.system, certificate.as_deref(), &agency, wait, find).await;
        let mut found = found.map_err(to_status)?;
        let more = found.len() > size;
        found.truncate(size);
        let items: Result<_, Error> =
            found.iter().map(|item| self.item(&agency, item, None)).collect();
        let items = items.map_err(to_status)?;
        for item in &found {
            let which = Which::At(&agency);
            let delivery = self.gateway.store().deliveries(item.consignment, which);
            self.noticed(delivery.map_err(to_status)?.first()).await;
        }
        let (cursor, next_page_token) = continued(listed, &found, more);
        Ok(Response::new(v1::ListItemsResponse { items, next_page_token, cursor }))
    }

    /// Answers `ListNotices`.
    pub(super) async fn notices(
        &self,
        request: Request<v1::ListNoticesRequest>,
    ) -> Result<Response<v1::ListNoticesResponse>, Status> {
        let peer = self.peer(&request)?;
        let certificate =
            request.extensions().get::<Option<Arc<ClientCertificate>>>().cloned().flatten();
        let request = request.into_inner();
        let agency = self.own(&peer, &request.agency).map_err(to_status)?;
        let size = paging::size(request.page_size).map_err(to_status)?;
        let wait = wait(request.wait_seconds).map_err(to_status)?;
        let mut cursor = paging::cursor(&request.cursor).map_err(to_status)?;
        let find = || Ok(self.gateway.store().notices(&agency, cursor.notices(), size)?);
        let found =
            self.looked_for(&peer.system, certificate.as_deref(), &agency, wait, find).await;
        let found: Vec<EntryId> = found.map_err(to_status)?;
        let notices = found.iter().map(|id| self.notice(*id)).collect::<Result<_, Error>>();
        found.iter().for_each(|id| cursor.see_notice(*id));
        let notices = notices.map_err(to_status)?;
        Ok(Response::new(v1::ListNoticesResponse { notices, cursor: cursor.to_string() }))
    }

    /// What a look into the mailbox finds, at once or within the time that the caller waits.
    async fn looked_for<T>(
        &self,
        system: &SystemId,
        certificate: Option<&ClientCertificate>,
        agency: &Code,
        wait: Duration,
        find: impl Fn() -> Result<Vec<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        self.look(system)?;
        self.gateway.dispatcher().note_look(agency, self.gateway.now());
        let found = find()?;
        if !found.is_empty() || wait.is_zero() {
            return Ok(found);
        }
        let _place = self.watches.take(system)?;
        let found = self.wait(agency, wait, find).await?;
        self.still_admitted(certificate, agency)?;
        Ok(found)
    }

    /// One more than `size`, if there are.
    fn listed(&self, agency: &Code, listed: &Listed, size: usize) -> Result<Vec<Item>, Error> {
        let store = self.gateway.store();
        let cursor = match listed {
            Listed::Page(after) => return Ok(store.waiting(agency, *after, size + 1)?),
            Listed::Since(cursor) => cursor,
        };
        let mut found = Vec::new();
        for (_, urgency) in Urgency::WORDS {
            let after = Some((*urgency, cursor.items(*urgency)));
            let lane = store.waiting(agency, after, size + 1 - found.len())?;
            found.extend(lane.into_iter().take_while(|item| item.urgency == *urgency));
        }
        Ok(found)
    }

    /// Looks until there is something, or the time is over.
    async fn wait<T>(
        &self,
        agency: &Code,
        wait: Duration,
        look: impl Fn() -> Result<Vec<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut bell = self.gateway.dispatcher().bell(agency);
        let (mut broken, mut closing) = (self.gateway.broken(), self.closing.clone());
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            bell.hear();
            let found = look()?;
            if !found.is_empty() {
                return Ok(found);
            }
            tokio::select! {
                () = bell.rung() => {}
                () = &mut over => return Ok(found),
                _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => return Err(Fault::Closing.into()),
                _ = broken.changed() => return Err(Fault::Stopped.into()),
            }
        }
    }

    /// Whether a certificate that was admitted still is, for this agency.
    ///
    /// # Errors
    /// As at the door.
    pub(super) fn still_admitted(
        &self,
        certificate: Option<&ClientCertificate>,
        agency: &Code,
    ) -> Result<(), Refusal> {
        let certificate = certificate.ok_or(Reason::CertificateMissing)?;
        let peer = self.admission.judge(certificate)?;
        let surroundings = self.gateway.surroundings();
        peer.speak_for(&surroundings.directory, agency, "agency").map(drop)
    }
}

/// Too long is clamped, negative is wrong, as with page sizes.
fn wait(seconds: i32) -> Result<Duration, Refusal> {
    let seconds = u64::try_from(seconds)
        .map_err(|_| Refusal::of_field(Reason::FieldMalformed, "wait_seconds"))?;
    Ok(Duration::from_secs(seconds).min(POLL_WAIT_MAX))
}

fn listed(request: &v1::ListItemsRequest) -> Result<Listed, Refusal> {
    match (request.page_token.is_empty(), request.cursor.is_empty()) {
        (false, false) => Err(Refusal::of_field(Reason::PageTokenMalformed, "page_token")),
        (true, false) => Ok(Listed::Since(paging::cursor(&request.cursor)?)),
        (_, true) => Ok(Listed::Page(paging::place(&request.page_token)?)),
    }
}

/// The cursor and the page token of an answer.
fn continued(listed: Listed, found: &[Item], more: bool) -> (String, String) {
    let last = found.last().filter(|_| more);
    let token = last.map(|item| paging::place_token(item.urgency, item.position));
    let (mut cursor, token) = match listed {
        Listed::Page(Some(_)) => return (String::new(), token.unwrap_or_default()),
        Listed::Page(None) => (Cursor::default(), token.unwrap_or_default()),
        Listed::Since(cursor) => (cursor, String::new()),
    };
    for item in found {
        cursor.see(item.urgency, item.position);
    }
    (cursor.to_string(), token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_waits_no_longer_than_it_may() {
        assert_eq!(wait(0), Ok(Duration::ZERO));
        assert_eq!(wait(7), Ok(Duration::from_secs(7)));
        assert_eq!(wait(i32::MAX), Ok(POLL_WAIT_MAX));
        let refusal = wait(-1).expect_err("negative");
        assert_eq!(
            (refusal.reason, refusal.field.as_str()),
            (Reason::FieldMalformed, "wait_seconds")
        );
    }
}
