//! What clerks and inspectors ask of the log: the two registers of NĐ 30/2020 Annex IV, and the
//! figures that QĐ 28/2018 Art. 11 has drawn automatically.
//!
//! A figure is about documents *accepted in a period* and says how they stand now; so the same
//! question over the same log has the same answer, and every row names the entry that proves it.
//! What the gateway cannot know (who inside an agency keeps the copy) stays empty, never guessed.

mod breakdown;
mod columns;
mod count;
mod csv;
mod handling;
mod page;
mod register;

pub use breakdown::{Breakdown, Calendars, Rows, Standing};
pub use columns::{
    INCOMING_COLUMNS, INDICATORS_COLUMNS, OUTGOING_COLUMNS, STATISTICS_COLUMNS, statistics_row,
};
pub use count::{Counts, OTHER_REASON, Outcome, Promptness, Share, Tally};
pub use csv::csv_line;
pub use handling::{Handling, Period, Stand};
pub use page::{page_begin, page_end, page_row};
pub use register::{Incoming, Outgoing, Paper, day, names};
