//! What becomes of a dossier (hồ sơ TTHC): the steps that one-stop systems record for their agencies,
//! the states that follow, and one clock over all agencies that have it.
//!
//! Everything here but the [`Catalogue`] is a fold over log entries. Which step may follow in which state, by whom, and with
//! which fields stands in one table, [`TRANSITIONS`]. Who the applicant is never comes here: an entry has
//! a commitment at most.

mod catalogue;
mod course;
mod state;
mod step;
mod worktime;

pub use catalogue::{Catalogue, Field, Level, NotACatalogue, Procedure, Row, is_procedure_code};
pub use course::{Alarm, Dossier, Opinion};
pub use state::State;
pub use step::{By, Extra, Step, TRANSITIONS, Transition, consent_rule};
pub use worktime::{Worked, Worktime};
