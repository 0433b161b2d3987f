//! How an agency handles its dossiers, counted page by page, so that a long count holds no thread for
//! long and ends with the call.

use std::collections::BTreeMap;

use tonic::Status;

use super::Door;
use super::reads::query;
use super::search::moment;
use super::status::to_status;
use super::submission::blocking;
use crate::clock::Time;
use crate::directory::{Code, Role};
use crate::document::DossierCode;
use crate::dossier::Dossier;
use crate::gateway::{Asked, Error, Peer};
use crate::limits::{DOSSIER_PROCEDURES_MAX, SCAN_PAGE};
use crate::log::EntryId;
use crate::proto::v1;
use crate::statistics::Handling;

/// By procedure; what is beyond [`DOSSIER_PROCEDURES_MAX`] stands under none.
type Counts = BTreeMap<String, Handling>;

/// Whose dossiers, and when.
#[derive(Clone)]
struct Asking {
    agency: Code,
    since: Option<Time>,
    until: Time,
}

impl Door {
    pub(super) async fn indicators(
        &self,
        peer: &Peer,
        request: v1::GetIndicatorsRequest,
    ) -> Result<v1::GetIndicatorsResponse, Status> {
        let asking = self.asking(peer, &request).map_err(to_status)?;
        let until = asking.until.to_string();
        let since = asking.since.map(|since| since.to_string()).unwrap_or_default();
        let fields = [("agency", asking.agency.as_str()), ("since", &since), ("until", &until)];
        let asked = query(Asked::Statistics, "indicators", &fields);
        self.noted(peer, &mut String::new(), &asked).await?;
        let (mut counts, mut after) = (Counts::new(), None);
        loop {
            let (door, asking) = (self.clone(), asking.clone());
            let counted = tokio::task::spawn_blocking(move || {
                door.counted(&asking, after, &mut counts).map(|next| (counts, next))
            });
            (counts, after) = blocking(counted).await?.map_err(to_status)?;
            if after.is_none() {
                break;
            }
        }
        let mut total = Handling::default();
        counts.values().for_each(|handling| total.add(handling));
        Ok(v1::GetIndicatorsResponse {
            total: Some(to_wire("", &total)),
            procedures: counts.iter().map(|(code, handling)| to_wire(code, handling)).collect(),
        })
    }

    fn asking(&self, peer: &Peer, request: &v1::GetIndicatorsRequest) -> Result<Asking, Error> {
        let agency = match peer.role {
            Role::Auditor => super::convert::agency_code(&request.agency)?,
            _ => self.own(peer, &request.agency)?,
        };
        let since = moment(request.since.as_ref(), "since")?;
        let until = moment(request.until.as_ref(), "until")?;
        let until = until.unwrap_or(Time::from_millis(i64::MAX)).min(self.gateway.now());
        Ok(Asking { agency, since, until })
    }

    /// Counts a page; gives where the next begins.
    fn counted(
        &self,
        asking: &Asking,
        after: Option<DossierCode>,
        counts: &mut Counts,
    ) -> Result<Option<DossierCode>, Error> {
        let store = self.gateway.store();
        let codes = store.dossiers_of(&asking.agency, after.as_ref(), SCAN_PAGE)?;
        for code in &codes {
            let Some(now) = store.dossier(code)?.filter(|one| one.reception == asking.agency)
            else {
                continue;
            };
            let Some(then) = self.as_of(now, asking.until)? else { continue };
            let known =
                counts.contains_key(&then.procedure) || counts.len() < DOSSIER_PROCEDURES_MAX;
            let procedure = if known { then.procedure.clone() } else { String::new() };
            counts.entry(procedure).or_default().take(&then, asking.since, asking.until);
        }
        Ok(codes.into_iter().next_back())
    }

    /// A dossier as it stood then.
    fn as_of(&self, dossier: Dossier, until: Time) -> Result<Option<Dossier>, Error> {
        if dossier.changed_at < until {
            return Ok(Some(dossier));
        }
        let mut then: Option<Dossier> = None;
        for (_, entry) in self.gateway.steps_of(&dossier.code)? {
            if entry.time >= until {
                break;
            }
            then = match then {
                Some(before) => Some(before.after(EntryId::ZERO, &entry)),
                None => Dossier::begin(EntryId::ZERO, &entry),
            };
        }
        Ok(then)
    }
}

fn to_wire(procedure: &str, handling: &Handling) -> v1::Indicators {
    v1::Indicators {
        procedure_code: procedure.to_owned(),
        carried: handling.carried,
        received: handling.received,
        done_in_time: handling.done_in_time,
        done_late: handling.done_late,
        open_in_time: handling.open_in_time,
        open_late: handling.open_late,
        withdrawn: handling.withdrawn,
        completed: handling.completed,
        electronic: handling.electronic,
        on_time_basis_points: handling.on_time().basis_points(),
        electronic_basis_points: handling.electronic().basis_points(),
    }
}
