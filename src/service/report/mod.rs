//! Registers and statistics: made a page at a time while the caller reads, so that none of them is
//! ever in memory as a whole.

mod figures;
mod register;

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Door;
use super::reads::query;
use super::search::{moment, named_agency};
use super::status::to_status;
use super::submission::blocking;
use crate::calendar::Calendar;
use crate::clock::Time;
use crate::directory::{Code, Role};
use crate::gateway::{Asked, Error, Peer};
use crate::limits::CHUNK_DEADLINE;
use crate::proto::v1;
use crate::proto::v1::report_service_server::ReportService;
use crate::refusal::{Reason, Refusal};
use crate::statistics::Promptness;

/// Messages made ahead of a slow reader.
const MESSAGES_AHEAD: usize = 2;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// From when to when.
#[derive(Debug, Clone, Copy)]
struct Period {
    since: Option<Time>,
    until: Option<Time>,
}

impl Period {
    fn read(
        since: Option<&prost_types::Timestamp>,
        until: Option<&prost_types::Timestamp>,
    ) -> Result<Self, Refusal> {
        let (since, until) = (moment(since, "since")?, moment(until, "until")?);
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            return Err(Refusal::of_field(Reason::FieldMalformed, "until"));
        }
        Ok(Self { since, until })
    }

    fn is_behind(self, time: Time) -> bool {
        self.until.is_some_and(|until| time >= until)
    }
}

/// Makes a report page by page; blocks.
trait Pages: Send + 'static {
    type Message: Send + 'static;

    /// The next message; `None` at the end.
    fn next(&mut self, door: &Door) -> Result<Option<Self::Message>, Error>;
}

#[tonic::async_trait]
impl ReportService for Door {
    type ListOutgoingStream = Answers<v1::ListOutgoingResponse>;
    type ListIncomingStream = Answers<v1::ListIncomingResponse>;
    type GetStatisticsStream = Answers<v1::GetStatisticsResponse>;

    async fn list_outgoing(
        &self,
        request: Request<v1::ListOutgoingRequest>,
    ) -> Result<Response<Self::ListOutgoingStream>, Status> {
        let peer = self.peer(&request)?;
        let asked = request.into_inner();
        let begin = || {
            let (agency, period) =
                self.register_of(&peer, &asked.agency, asked.since, asked.until)?;
            register::OutgoingPages::begin(self, agency, period)
        };
        let pages = begin().map_err(to_status)?;
        self.asked_for(&peer, "outgoing", &asked.agency, asked.since, asked.until).await?;
        Ok(self.stream(pages))
    }

    async fn list_incoming(
        &self,
        request: Request<v1::ListIncomingRequest>,
    ) -> Result<Response<Self::ListIncomingStream>, Status> {
        let peer = self.peer(&request)?;
        let asked = request.into_inner();
        let begin = || {
            let (agency, period) =
                self.register_of(&peer, &asked.agency, asked.since, asked.until)?;
            register::IncomingPages::begin(self, agency, period)
        };
        let pages = begin().map_err(to_status)?;
        self.asked_for(&peer, "incoming", &asked.agency, asked.since, asked.until).await?;
        Ok(self.stream(pages))
    }

    async fn get_statistics(
        &self,
        request: Request<v1::GetStatisticsRequest>,
    ) -> Result<Response<Self::GetStatisticsStream>, Status> {
        let peer = self.peer(&request)?;
        let asked = request.into_inner();
        let begin = || {
            let agency = self.reported(&peer, &asked.agency)?;
            if agency.is_none() && peer.role != Role::Auditor {
                return Err(missing("agency").into());
            }
            let period = Period::read(asked.since.as_ref(), asked.until.as_ref())?;
            let promptness = promptness(asked.answer_within.as_ref())?;
            figures::FigurePages::begin(self, agency, period, promptness)
        };
        let pages = begin().map_err(to_status)?;
        self.asked_for(&peer, "statistics", &asked.agency, asked.since, asked.until).await?;
        Ok(self.stream(pages))
    }
}

fn missing(field: &str) -> Refusal {
    Refusal::of_field(Reason::FieldMissing, field)
}

fn promptness(within: Option<&prost_types::Duration>) -> Result<Promptness, Refusal> {
    let Some(within) = within else { return Ok(Promptness::SameDay(Calendar::vietnam())) };
    let span = Duration::try_from(*within).ok();
    let malformed = || Refusal::of_field(Reason::FieldMalformed, "answer_within");
    span.map(Promptness::Within).ok_or_else(malformed)
}

impl Door {
    /// The agency that a report is about, if one is named and the caller may read of it.
    fn reported(&self, peer: &Peer, code: &str) -> Result<Option<Code>, Error> {
        peer.require(&[Role::Agency, Role::Portal, Role::Auditor])?;
        let surroundings = self.gateway.surroundings();
        let agency = named_agency(&surroundings, code, "agency")?;
        match &agency {
            Some(code) if !peer.may_read(&surroundings.directory, &[code]) => {
                let refusal = Refusal::of_field(Reason::AgencyNotYours, "agency");
                Err(refusal.with("code", code).with("system", &peer.system).into())
            }
            _ => Ok(agency),
        }
    }

    /// Whose register is asked for, and of which period.
    fn register_of(
        &self,
        peer: &Peer,
        agency: &str,
        since: Option<prost_types::Timestamp>,
        until: Option<prost_types::Timestamp>,
    ) -> Result<(Code, Period), Error> {
        let agency = self.reported(peer, agency)?.ok_or_else(|| missing("agency"))?;
        Ok((agency, Period::read(since.as_ref(), until.as_ref())?))
    }

    /// Records what an auditor asks.
    async fn asked_for(
        &self,
        peer: &Peer,
        report: &str,
        agency: &str,
        since: Option<prost_types::Timestamp>,
        until: Option<prost_types::Timestamp>,
    ) -> Result<(), Status> {
        let text = |time: Option<prost_types::Timestamp>| {
            time.map(|time| time.to_string()).unwrap_or_default()
        };
        let (since, until) = (text(since), text(until));
        let fields = [("agency", agency), ("since", since.as_str()), ("until", until.as_str())];
        self.noted(peer, &mut String::new(), &query(Asked::Statistics, report, &fields)).await?;
        Ok(())
    }

    fn stream<P: Pages>(&self, pages: P) -> Response<Answers<P::Message>> {
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
        tokio::spawn(send(self.clone(), pages, sender));
        Response::new(Box::pin(ReceiverStream::new(receiver)))
    }
}

async fn send<P: Pages>(
    door: Door,
    mut pages: P,
    sender: mpsc::Sender<Result<P::Message, Status>>,
) {
    loop {
        let door = door.clone();
        let made = tokio::task::spawn_blocking(move || {
            let next = pages.next(&door);
            (pages, next)
        });
        let message = match blocking(made).await {
            Ok((_, Ok(None))) => return,
            Ok((back, Ok(Some(message)))) => {
                pages = back;
                Ok(message)
            }
            Ok((_, Err(error))) => {
                let _gone = sender.send(Err(to_status(error))).await;
                return;
            }
            // An end without an error would say that the report is whole.
            Err(status) => {
                let _gone = sender.send(Err(status)).await;
                return;
            }
        };
        let sent = tokio::time::timeout(CHUNK_DEADLINE, sender.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
