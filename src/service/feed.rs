//! The numbers of all dossiers for an operations centre: counted again and again in the background, so
//! that whoever follows them costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::admission::ClientCertificate;
use super::counting::{Walk, portals};
use super::status::to_status;
use super::{Door, convert, handling};
use crate::clock::Time;
use crate::directory::{Code, Role};
use crate::dossier::State;
use crate::gateway::{Error, Fault, Peer};
use crate::limits::{
    CHUNK_DEADLINE, DOSSIER_ROWS_MAX, INDICATORS_AGE_MAX, INDICATORS_EVERY, INDICATORS_SHARE,
};
use crate::log::EntryId;
use crate::proto::v1;
use crate::statistics::{Calendars, Standing};

/// Without news: another look at the certificate.
const LOOK: Duration = Duration::from_secs(15);
/// Messages that wait for a slow reader; each is whole, so that a later one makes it good.
const MESSAGES_AHEAD: usize = 1;

/// How all dossiers stood at a moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the count began; what happened since is not in it, or only in part.
    pub counted_at: Time,
    /// Of all.
    pub total: Standing,
    /// By the agency that received them; at most [`DOSSIER_ROWS_MAX`] agencies.
    pub agencies: BTreeMap<Code, Standing>,
}

/// The latest snapshot; none before the first count.
pub type Latest = watch::Receiver<Option<Arc<Snapshot>>>;

/// Where the latest snapshot is put.
pub(super) struct Board(watch::Sender<Option<Arc<Snapshot>>>);

impl Default for Board {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Door {
    /// The latest snapshot, and each later one.
    pub fn snapshots(&self) -> Latest {
        self.board.0.subscribe()
    }

    /// Counts all dossiers whenever the log has grown, for as long as the gateway runs.
    pub async fn keep_counting(self) {
        let mut counted: Option<(EntryId, Time)> = None;
        loop {
            let (began, now) = (Instant::now(), self.gateway.now());
            match self.count_anew(counted, now).await {
                Ok(head) => counted = head.or(counted),
                Err(error) => tracing::warn!(%error, "dossiers are not counted"),
            }
            let share = INDICATORS_SHARE.saturating_sub(1);
            let pause = began.elapsed().saturating_mul(share).max(INDICATORS_EVERY);
            tokio::time::sleep(pause).await;
        }
    }

    /// Counts, unless the last count is good still; gives how far the log went before, and when.
    async fn count_anew(
        &self,
        counted: Option<(EntryId, Time)>,
        now: Time,
    ) -> Result<Option<(EntryId, Time)>, Error> {
        let head = self.gateway.store().head()?;
        let head = EntryId { epoch: head.epoch, index: head.size };
        if counted.is_some_and(|(at, when)| at == head && now.since(when) < INDICATORS_AGE_MAX) {
            return Ok(None);
        }
        let portals: Arc<[Code]> = portals(&self.gateway.surroundings()).into();
        let mut snapshot =
            Snapshot { counted_at: now, total: Standing::default(), agencies: BTreeMap::new() };
        let (mut walk, mut more) = (Walk::All(None), true);
        while more {
            let (door, portals) = (self.clone(), portals.clone());
            let counted = tokio::task::spawn_blocking(move || {
                let more = door.stand(&mut walk, &mut snapshot, &portals)?;
                Ok::<_, Error>((walk, snapshot, more))
            });
            (walk, snapshot, more) = counted.await.map_err(|_| Fault::Closing)??;
        }
        self.board.0.send_replace(Some(Arc::new(snapshot)));
        Ok(Some((head, now)))
    }

    /// Counts a page; gives whether more may follow.
    fn stand(
        &self,
        walk: &mut Walk,
        snapshot: &mut Snapshot,
        portals: &[Code],
    ) -> Result<bool, Error> {
        let Some(page) = self.next_dossiers(walk)? else { return Ok(false) };
        let (now, calendars) = (snapshot.counted_at, Calendars::at(snapshot.counted_at));
        for dossier in page.dossiers {
            let one = Standing::of(&dossier, &calendars, || {
                self.is_synchronised(&dossier, portals, now)
            })?;
            snapshot.total.add(&one);
            let agencies = &mut snapshot.agencies;
            if agencies.len() < DOSSIER_ROWS_MAX || agencies.contains_key(&dossier.reception) {
                agencies.entry(dossier.reception).or_default().add(&one);
            }
        }
        Ok(true)
    }

    /// Whose numbers a peer may follow; `None` for those of all.
    pub(super) fn followed(&self, peer: &Peer, agency: &str) -> Result<Option<Code>, Error> {
        match (peer.role, agency) {
            (Role::Auditor, "") => Ok(None),
            (Role::Auditor, agency) => Ok(Some(convert::agency_code(agency)?)),
            _ => Ok(Some(self.own(peer, agency)?)),
        }
    }

    /// The numbers of an agency, or of all, now and whenever they have changed.
    pub(super) fn watch_numbers(
        &self,
        agency: Option<Code>,
        certificate: Option<Arc<ClientCertificate>>,
        place: OwnedSemaphorePermit,
    ) -> ReceiverStream<Result<v1::WatchIndicatorsResponse, Status>> {
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
        let door = self.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = door.tell_numbers(agency, certificate, &sender).await {
                let _gone = sender.send(Err(to_status(error))).await;
            }
        });
        ReceiverStream::new(receiver)
    }

    async fn tell_numbers(
        &self,
        agency: Option<Code>,
        certificate: Option<Arc<ClientCertificate>>,
        sender: &mpsc::Sender<Result<v1::WatchIndicatorsResponse, Status>>,
    ) -> Result<(), Error> {
        let mut latest = self.snapshots();
        let mut broken = self.gateway.broken();
        let mut closing = self.closing.clone();
        let mut told: Option<Standing> = None;
        loop {
            let snapshot = latest.borrow_and_update().clone();
            let Some(certificate) = &certificate else { return Ok(()) };
            let peer = self.admission.judge(certificate)?;
            self.followed(&peer, agency.as_ref().map_or("", Code::as_str))?;
            if let Some(snapshot) = snapshot {
                let standing = match &agency {
                    None => snapshot.total,
                    Some(agency) => snapshot.agencies.get(agency).copied().unwrap_or_default(),
                };
                if told != Some(standing) {
                    let message = to_wire(snapshot.counted_at, &standing);
                    let sent = tokio::time::timeout(CHUNK_DEADLINE, sender.send(Ok(message))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return Ok(());
                    }
                    told = Some(standing);
                }
            }
            tokio::select! {
                _ = latest.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = sender.closed() => return Ok(()),
                _ = async { closing.wait_for(|closing| *closing).await.map(drop) } => return Err(Fault::Closing.into()),
                _ = broken.changed() => return Err(Fault::Stopped.into()),
            }
        }
    }
}

fn to_wire(counted_at: Time, standing: &Standing) -> v1::WatchIndicatorsResponse {
    let states = State::NUMBERS.iter().zip(standing.states);
    let states = states.map(|((number, _), count)| v1::StateCount {
        state: i32::try_from(*number).unwrap_or(0),
        count,
    });
    v1::WatchIndicatorsResponse {
        count_time: Some(convert::timestamp(counted_at)),
        states: states.collect(),
        late: standing.late,
        today: Some(handling::to_wire(&standing.today)),
        year: Some(handling::to_wire(&standing.year)),
    }
}
