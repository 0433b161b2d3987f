//! `vanthu calendar`: working days and office hours, as a gateway reckons them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use crate::calendar::{Calendar, Counting};
use crate::clock::Time;
use crate::limits::DEADLINE_MAX;

/// What `vanthu calendar` does. Moments are given and shown in Vietnam's time.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows the last day of a period of working days, and what the law asks for on the way
    ///
    /// Examples:
    ///   vanthu calendar due 2026-02-09T08:00 --days 15
    ///   vanthu calendar due 2026-03-06T16:45 --days 3 --counting next-day@16:30
    ///   vanthu calendar due 2026-03-06T16:45 --days 3 --calendar calendar.txt --output json
    Due(DueOptions),
    /// Shows how much office time lies between two moments
    Used {
        /// From then on, 2026-03-06T16:45
        #[arg(value_parser = moment)]
        from: Time,
        /// Until then
        #[arg(value_parser = moment)]
        to: Time,
        #[command(flatten)]
        data: Data,
    },
    /// Shows the moment that lies so many minutes of office time later, or earlier with --back
    Add {
        /// From then on, 2026-03-06T16:45
        #[arg(value_parser = moment)]
        from: Time,
        /// Minutes of office time
        #[arg(long)]
        minutes: u32,
        /// Go back instead
        #[arg(long)]
        back: bool,
        #[command(flatten)]
        data: Data,
    },
    /// Lists the days of a year on which it is otherwise than the week says
    Year {
        /// Which
        year: i16,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct DueOptions {
    /// When it was received, or signed: 2026-03-06T16:45
    #[arg(value_parser = moment)]
    from: Time,
    /// How many working days
    #[arg(long)]
    days: NonZeroU32,
    /// Which day is day 1: next-day or same-day; with @16:30, receipts of a day end then
    #[arg(long, default_value_t)]
    counting: Counting,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// Calendar data of office hours and working days; that of Vietnam if none is named
    #[arg(long)]
    calendar: Option<PathBuf>,
}

impl Data {
    fn read(&self) -> Result<Calendar, Failure> {
        let Some(path) = &self.calendar else { return Ok(Calendar::vietnam()) };
        let wrong = |problem: String| {
            Failure::new(Exit::Configuration, format!("{}: {problem}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Calendar::parse(&text).map_err(|error| wrong(error.to_string()))
    }
}

pub(super) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Due(options) => due(&options, output),
        Command::Used { from, to, data } => {
            let calendar = data.read()?;
            let used = calendar.between(from, to);
            warn_of_unknown_years(&calendar, &[from, to]);
            show(output, &json!({ "office_minutes": used.as_secs() / 60 }), &spoken(used));
            Ok(Exit::Ok)
        }
        Command::Add { from, minutes, back, data } => {
            let span = Duration::from_secs(u64::from(minutes) * 60);
            if span > DEADLINE_MAX {
                let days = DEADLINE_MAX.as_secs() / (24 * 3600);
                return Err(Failure::other(format!("minutes: at most those of {days} days")));
            }
            let calendar = data.read()?;
            let end = if back { calendar.before(from, span) } else { calendar.after(from, span) };
            warn_of_unknown_years(&calendar, &[from, end]);
            show(output, &json!({ "moment": end.to_string() }), &end.in_vietnam());
            Ok(Exit::Ok)
        }
        Command::Year { year, data } => {
            let calendar = data.read()?;
            if !calendar.knows(year) {
                let message = format!("the calendar does not know the year {year}");
                return Err(Failure::new(Exit::NotFound, message)
                    .with_hint("name a file that does with --calendar"));
            }
            for (day, working) in calendar.exceptions(year) {
                let word = if working { "work" } else { "off" };
                let value = json!({ "day": day.to_string(), "working": working });
                show(output, &value, &format!("{word} {day}"));
            }
            Ok(Exit::Ok)
        }
    }
}

fn due(options: &DueOptions, output: Output) -> Result<Exit, Failure> {
    let DueOptions { from, days, counting, data } = options;
    let calendar = data.read()?;
    let beyond = || Failure::other("no such day can be written");
    let due = calendar.due(*from, *days, *counting).ok_or_else(beyond)?;
    let send = calendar.send_by(*from).ok_or_else(beyond)?;
    let confirm = calendar.confirm_by(*from).ok_or_else(beyond)?;
    let register = calendar.register_by(*from).ok_or_else(beyond)?;
    warn_of_unknown_years(&calendar, &[*from, due]);
    let office = calendar.between(*from, due);
    match output {
        Output::Json => println!(
            "{}",
            json!({
                "counting": counting.to_string(),
                "due": due.to_string(),
                "due_day": due.date_in_vietnam().to_string(),
                "office_minutes": office.as_secs() / 60,
                "send_by": send.to_string(),
                "confirm_by": confirm.to_string(),
                "register_by": register.to_string(),
            })
        ),
        Output::Text => {
            println!("due         {}  ({days} working days, {counting})", due.in_vietnam());
            println!("            {} of office time", spoken(office));
            println!("send by     {}  (QĐ 28/2018 Art. 6.2, if signed then)", send.in_vietnam());
            println!("confirm by  {}  (NĐ 30/2020 Art. 21.2c)", confirm.in_vietnam());
            println!("register by {}  (NĐ 30/2020 Art. 4.2c)", register.in_vietnam());
        }
    }
    Ok(Exit::Ok)
}

fn show(output: Output, value: &serde_json::Value, text: &str) {
    match output {
        Output::Json => println!("{value}"),
        Output::Text => println!("{text}"),
    }
}

fn spoken(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

/// In a year that the data does not know, holidays are missing: nobody may take that for a fact.
fn warn_of_unknown_years(calendar: &Calendar, moments: &[Time]) {
    let years: BTreeSet<_> = moments.iter().map(|moment| moment.date_in_vietnam().year()).collect();
    for year in years.into_iter().filter(|year| !calendar.knows(*year)) {
        eprintln!("vanthu: warning: the calendar does not know the holidays of {year}");
    }
}

/// A minute in Vietnam, or a moment with its distance from UTC.
pub(super) fn moment(text: &str) -> Result<Time, String> {
    let local = match text.len() {
        16 => format!("{text}:00+07:00"),
        _ => text.to_owned(),
    };
    let moment: jiff::Timestamp =
        local.parse().map_err(|_| "write 2026-03-06T16:45, in Vietnam's time".to_owned())?;
    Ok(Time::from_millis(moment.as_millisecond()))
}
