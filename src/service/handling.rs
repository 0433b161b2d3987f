//! How agencies handle their dossiers, counted page by page.

use tonic::Status;

use super::Door;
use super::counting::{Walk, portals};
use super::reads::query;
use super::search::moment;
use super::status::to_status;
use super::submission::blocking;
use crate::clock::Time;
use crate::directory::{Code, Role};
use crate::dossier::{Catalogue, Level};
use crate::gateway::{Asked, Error, Peer};
use crate::proto::v1;
use crate::refusal::{Reason, Refusal};
use crate::statistics::{Breakdown, Handling, Period, Stand};

/// Whose dossiers, and when.
struct Asking {
    scope: v1::IndicatorScope,
    /// The agency of the scope; `None` if all are meant.
    agency: Option<Code>,
    walk: Walk,
    portals: Vec<Code>,
    period: Period,
}

impl Door {
    pub(super) async fn indicators(
        &self,
        peer: &Peer,
        request: v1::GetIndicatorsRequest,
    ) -> Result<v1::GetIndicatorsResponse, Status> {
        let mut asking = self.asking(peer, &request).map_err(to_status)?;
        let until = asking.period.until.to_string();
        let since = asking.period.since.map(|since| since.to_string()).unwrap_or_default();
        let agency = asking.agency.as_ref().map_or("", Code::as_str);
        let scope = match asking.scope {
            v1::IndicatorScope::Unspecified | v1::IndicatorScope::Agency => "",
            v1::IndicatorScope::Below => "below",
            v1::IndicatorScope::All => "all",
        };
        let fields = [("agency", agency), ("scope", scope), ("since", &since), ("until", &until)];
        let asked = query(Asked::Statistics, "indicators", &fields);
        self.noted(peer, &mut String::new(), &asked).await?;
        let (mut counts, mut more) = (Breakdown::default(), true);
        while more {
            let door = self.clone();
            let counted = tokio::task::spawn_blocking(move || {
                let more = door.counted(&mut asking, &mut counts)?;
                Ok((asking, counts, more))
            });
            (asking, counts, more) =
                blocking(counted).await?.map_err(|error: Error| to_status(error))?;
        }
        Ok(self.indicators_to_wire(&counts))
    }

    fn asking(&self, peer: &Peer, request: &v1::GetIndicatorsRequest) -> Result<Asking, Error> {
        let scope = request.scope();
        let now = self.gateway.now();
        let since = moment(request.since.as_ref(), "since")?;
        let until = moment(request.until.as_ref(), "until")?.unwrap_or(now).min(now);
        if since.is_some_and(|since| since > until) {
            return Err(Refusal::of_field(Reason::FieldMalformed, "until").into());
        }
        let surroundings = self.gateway.surroundings();
        let agency = match scope {
            v1::IndicatorScope::All => {
                peer.require(&[Role::Auditor])?;
                if !request.agency.is_empty() {
                    return Err(Refusal::of_field(Reason::FieldMalformed, "agency").into());
                }
                None
            }
            _ if peer.role == Role::Auditor => Some(super::convert::agency_code(&request.agency)?),
            _ => Some(self.own(peer, &request.agency)?),
        };
        let walk = match &agency {
            None => Walk::All(None),
            Some(agency) if scope == v1::IndicatorScope::Below => {
                // Who was below it at either end of the period: agencies come and go.
                let days = [since.unwrap_or(until), until].map(Time::date_in_vietnam);
                let below = days.map(|day| surroundings.directory.below(agency, day));
                let below = below.into_iter().flatten().map(|agency| agency.code.clone());
                let mut agencies: Vec<_> = below.chain([agency.clone()]).collect();
                agencies.sort_unstable();
                agencies.dedup();
                Walk::Of(agencies, None)
            }
            Some(agency) => Walk::Of(vec![agency.clone()], None),
        };
        let portals = portals(&surroundings);
        Ok(Asking { scope, agency, walk, portals, period: Period { since, until } })
    }

    /// Counts a page; gives whether more may follow.
    fn counted(&self, asking: &mut Asking, counts: &mut Breakdown) -> Result<bool, Error> {
        let Some(page) = self.next_dossiers(&mut asking.walk)? else { return Ok(false) };
        let surroundings = self.gateway.surroundings();
        let until = asking.period.until;
        for dossier in page.dossiers {
            let Some(then) = self.as_of(dossier, until)? else { continue };
            // Of another agency then, or of one that only had it or was asked.
            if page.of.as_ref().is_some_and(|agency| *agency != then.reception) {
                continue;
            }
            let mut one = Handling::said(&then, &asking.period);
            if let Some(stand) = asking.period.stand(&then) {
                let synchronised = stand == Stand::Received
                    && self.is_synchronised(&then, &asking.portals, until)?;
                one.add(&Handling::of(&then, stand, until, synchronised));
            }
            if one != Handling::default() {
                counts.take(&then, &surroundings.procedures, &one);
            }
        }
        Ok(true)
    }

    fn indicators_to_wire(&self, counts: &Breakdown) -> v1::GetIndicatorsResponse {
        let surroundings = self.gateway.surroundings();
        let (procedures, directory) = (&surroundings.procedures, &surroundings.directory);
        let field = |code: &str| procedures.field(code).unwrap_or_default().to_owned();
        let agency = |code: &str| {
            let agency = Code::parse(code).and_then(|code| directory.agency(&code));
            agency.map(|agency| agency.name.clone()).unwrap_or_default()
        };
        let fields = counts.fields.iter().map(|(code, handling)| v1::Indicators {
            field_code: code.clone(),
            name: field(code),
            ..to_wire(handling)
        });
        let levels = counts.levels.iter().map(|(word, handling)| v1::Indicators {
            level: level(Level::from_word(word)).into(),
            ..to_wire(handling)
        });
        let agencies = counts.agencies.iter().map(|(code, handling)| v1::Indicators {
            agency: code.clone(),
            name: agency(code),
            ..to_wire(handling)
        });
        let of_procedure = |(code, handling): (&String, &Handling)| of(procedures, code, handling);
        v1::GetIndicatorsResponse {
            total: Some(to_wire(&counts.total)),
            procedures: counts.procedures.iter().map(of_procedure).collect(),
            fields: fields.collect(),
            levels: levels.collect(),
            agencies: agencies.collect(),
        }
    }
}

/// The counts of a procedure, with its field and level.
fn of(procedures: &Catalogue, code: &str, handling: &Handling) -> v1::Indicators {
    let known = procedures.procedure(code);
    v1::Indicators {
        procedure_code: code.to_owned(),
        field_code: known.map(|known| known.field.clone()).unwrap_or_default(),
        level: level(known.map(|known| known.level)).into(),
        ..to_wire(handling)
    }
}

fn level(level: Option<Level>) -> v1::ProcedureLevel {
    match level {
        None => v1::ProcedureLevel::Unspecified,
        Some(Level::National) => v1::ProcedureLevel::National,
        Some(Level::Province) => v1::ProcedureLevel::Province,
        Some(Level::District) => v1::ProcedureLevel::District,
        Some(Level::Commune) => v1::ProcedureLevel::Commune,
    }
}

/// The counts by name, as programs that read JSON get them.
pub fn named_counts(of: &v1::Indicators) -> serde_json::Map<String, serde_json::Value> {
    let counts = serde_json::json!({
        "carried": of.carried,
        "received": of.received,
        "done_in_time": of.done_in_time,
        "done_late": of.done_late,
        "open_in_time": of.open_in_time,
        "open_late": of.open_late,
        "withdrawn": of.withdrawn,
        "completed": of.completed,
        "electronic": of.electronic,
        "synchronised": of.synchronised,
        "feedback": of.feedback,
        "grades": of.grades,
        "on_time_basis_points": of.on_time_basis_points,
        "electronic_basis_points": of.electronic_basis_points,
        "synchronised_basis_points": of.synchronised_basis_points,
        "satisfied_basis_points": of.satisfied_basis_points,
    });
    counts.as_object().cloned().unwrap_or_default()
}

/// Counts that are about nothing in particular yet.
pub fn to_wire(handling: &Handling) -> v1::Indicators {
    v1::Indicators {
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
        synchronised: handling.synchronised,
        synchronised_basis_points: handling.synchronised().basis_points(),
        feedback: handling.feedback,
        grades: handling.grades.to_vec(),
        satisfied_basis_points: handling.satisfied().basis_points(),
        ..v1::Indicators::default()
    }
}
