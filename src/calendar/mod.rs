//! Working time: office hours and working days from dated data, in Vietnam's time.
//!
//! Holidays and the days that change places are decided year by year, so they are data
//! (`vietnam.txt`), never rules. For a year that the data does not know, only the days of the week
//! count; [`Calendar::knows`] tells.

#[cfg(test)]
mod announced_tests;
mod counting;

pub use counting::{Counting, FirstDay, NotACounting};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::{Date, Time};

/// The calendar that comes with the gateway.
const VIETNAM: &str = include_str!("vietnam.txt");
/// Days of the week as the data writes them.
const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// The data cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct NotACalendar {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// When offices work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Office hours: from and to, in minutes since midnight, in order.
    hours: Vec<(u32, u32)>,
    /// Whether a day of the week is worked, from Monday on.
    week: [bool; 7],
    /// Days on which it is otherwise: true is worked.
    days: BTreeMap<Date, bool>,
    years: BTreeSet<i16>,
}

impl Calendar {
    /// State agencies of Vietnam.
    ///
    /// # Panics
    /// Never: a test reads the data.
    pub fn vietnam() -> Self {
        Self::parse(VIETNAM).expect("the data that comes along is read by a test")
    }

    /// Reads calendar data. Lines: `hours 07:30-11:30 13:00-17:00`, `week mon tue wed thu fri`, `year
    /// 2026` (its days are known), `off DATE why`, `work DATE why`; `#` begins a comment.
    ///
    /// # Errors
    /// [`NotACalendar`] with the first line that is none, or the last if something is missing.
    pub fn parse(text: &str) -> Result<Self, NotACalendar> {
        let mut calendar = Self {
            hours: Vec::new(),
            week: [false; 7],
            days: BTreeMap::new(),
            years: BTreeSet::new(),
        };
        let mut line = 0;
        for text in text.lines() {
            line += 1;
            calendar.read(text.trim()).map_err(|problem| NotACalendar { line, problem })?;
        }
        let missing = |problem| Err(NotACalendar { line, problem });
        match (calendar.hours.is_empty(), calendar.week.contains(&true)) {
            (true, _) => missing("no hours are given"),
            (_, false) => missing("no week is given"),
            _ => Ok(calendar),
        }
    }

    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            comment if comment.starts_with('#') => {}
            "hours" => {
                for hours in rest.split_whitespace() {
                    let hours = shift(hours).ok_or("hours are written as 07:30-11:30")?;
                    if self.hours.last().is_some_and(|before| before.1 > hours.0) {
                        return Err("hours stand in order and do not overlap");
                    }
                    self.hours.push(hours);
                }
            }
            "week" => {
                for day in rest.split_whitespace() {
                    let place = WEEK.iter().position(|known| *known == day);
                    self.week[place.ok_or("days are mon tue wed thu fri sat sun")?] = true;
                }
            }
            "year" => {
                self.years.insert(rest.trim().parse().map_err(|_| "a year is a number")?);
            }
            "off" | "work" => {
                let (date, _why) = rest.split_once(' ').ok_or("a day is given with its reason")?;
                let date: Date = date.parse().map_err(|_| "a day is written as 2026-01-02")?;
                if self.days.insert(date, word == "work").is_some() {
                    return Err("the day stands there already");
                }
            }
            _ => return Err("a line begins with hours, week, year, off, work or #"),
        }
        Ok(())
    }

    /// Whether the days of this year are known.
    pub fn knows(&self, year: i16) -> bool {
        self.years.contains(&year)
    }

    /// The days of a year on which it is otherwise than the week says, in order: true is worked.
    pub fn exceptions(&self, year: i16) -> impl Iterator<Item = (Date, bool)> {
        let of_year = self.days.iter().filter(move |(day, _)| day.year() == year);
        of_year.map(|(day, working)| (*day, *working))
    }

    /// Whether offices work on this day.
    pub fn is_working_day(&self, date: Date) -> bool {
        let of_week = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        self.days.get(&date).copied().unwrap_or(self.week[of_week])
    }

    /// The first working day from this one on; `None` if it cannot be written.
    pub fn working_day_from(&self, date: Date) -> Option<Date> {
        if self.is_working_day(date) { Some(date) } else { self.add_days(date, 1) }
    }

    /// The working day that comes `count` working days after this day, or before it if `count` is
    /// negative; the day itself for 0, `None` if it cannot be written.
    pub fn add_days(&self, date: Date, count: i32) -> Option<Date> {
        let (mut date, mut left) = (date, count.unsigned_abs());
        while left > 0 {
            date = if count > 0 { date.tomorrow() } else { date.yesterday() }.ok()?;
            left -= u32::from(self.is_working_day(date));
        }
        Some(date)
    }

    /// The moment at which `span` of office hours have passed since `start`; the last moment that can
    /// be written if there are not so many.
    pub fn after(&self, start: Time, span: Duration) -> Time {
        let mut left = span;
        let mut date = start.date_in_vietnam();
        while let Some(midnight) = Time::begin_in_vietnam(date) {
            for (from, to) in self.hours_of(date) {
                let from = midnight.after(minutes(*from)).max(start);
                let hours = midnight.after(minutes(*to)).since(from);
                if left <= hours {
                    return from.after(left);
                }
                left -= hours;
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        Time::LAST
    }

    /// The last moment from which `span` of office hours pass until `end`; the first moment that can be
    /// written if there were not so many.
    pub fn before(&self, end: Time, span: Duration) -> Time {
        if span.is_zero() {
            return end;
        }
        let mut left = span;
        let mut date = end.date_in_vietnam();
        while let Some(midnight) = Time::begin_in_vietnam(date) {
            for (from, to) in self.hours_of(date).iter().rev() {
                let (from, to) = (midnight.after(minutes(*from)), midnight.after(minutes(*to)));
                let to = to.min(end);
                let hours = to.since(from);
                if left <= hours && from <= to {
                    return to.before(left);
                }
                left -= hours.min(left);
            }
            // Nothing is written of the time before 1970.
            let Some(yesterday) = date.yesterday().ok().filter(|day| day.year() >= 1970) else {
                break;
            };
            date = yesterday;
        }
        Time::from_millis(0)
    }

    /// The office hours from one moment to another; none if the second is not the later one.
    pub fn between(&self, from: Time, to: Time) -> Duration {
        let mut sum = Duration::ZERO;
        let mut date = from.date_in_vietnam();
        while let Some(midnight) = Time::begin_in_vietnam(date).filter(|midnight| *midnight < to) {
            for (begin, end) in self.hours_of(date) {
                let begin = midnight.after(minutes(*begin)).max(from);
                sum += midnight.after(minutes(*end)).min(to).since(begin);
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        sum
    }

    fn hours_of(&self, date: Date) -> &[(u32, u32)] {
        if self.is_working_day(date) { &self.hours } else { &[] }
    }
}

fn minutes(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 60)
}

/// `07:30-11:30` in minutes since midnight.
fn shift(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < to && to <= MINUTES_OF_A_DAY).then_some((from, to))
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment written in Vietnam's time.
    pub(super) fn at(text: &str) -> Time {
        let local: Time = format!("{text}:00.000Z").parse().expect("a time");
        Time::from_millis(local.millis() - 7 * 3_600_000)
    }

    #[test]
    fn working_hours_pass_only_while_offices_work() {
        let calendar = Calendar::vietnam();
        let cases = [
            // Within a morning, over noon, over night, exactly to the end of a day.
            ("2026-03-02T08:00", 60, "2026-03-02T09:00"),
            ("2026-03-02T11:00", 60, "2026-03-02T13:30"),
            ("2026-03-02T16:00", 120, "2026-03-03T08:30"),
            ("2026-03-02T07:30", 480, "2026-03-02T17:00"),
            ("2026-03-02T00:00", 1, "2026-03-02T07:31"),
            // Friday evening, and a whole weekend.
            ("2026-03-06T18:00", 60, "2026-03-09T08:30"),
            ("2026-03-07T12:00", 480, "2026-03-09T17:00"),
            // Tết: from Friday the 13th to Monday the 23rd.
            ("2026-02-13T16:00", 120, "2026-02-23T08:30"),
            // The Saturday that is worked for the 2nd of January, which is not.
            ("2025-12-31T16:30", 60, "2026-01-05T08:00"),
            ("2026-01-09T16:30", 60, "2026-01-10T08:00"),
            ("2026-08-21T16:30", 60, "2026-08-22T08:00"),
            ("2026-08-28T16:30", 60, "2026-09-03T08:00"),
            // Three working days over a holiday that falls on a Sunday.
            ("2026-04-24T07:30", 3 * 480, "2026-04-29T17:00"),
            ("2026-11-23T17:00", 30, "2026-11-25T08:00"),
        ];
        for (start, span, expected) in cases {
            let end = calendar.after(at(start), minutes(span));
            assert_eq!(end, at(expected), "{span} minutes from {start}");
        }
    }

    #[test]
    fn the_known_years_have_their_days() {
        let calendar = Calendar::vietnam();
        assert!([2024, 2025, 2026].iter().all(|year| calendar.knows(*year)));
        assert!(!calendar.knows(2023) && !calendar.knows(2027));
        for (day, working) in calendar.days.clone() {
            assert!(calendar.knows(day.year()), "{day}");
            let of_week = day.weekday().to_monday_zero_offset() < 5;
            assert_ne!(working, of_week, "{day} is no exception");
        }
        // Labour Code Art. 112: 11 days, of which 10 March of the moon fell on a Monday in 2025 and
        // on a Sunday in 2026; 24 November from 2026 on. A day that changed places is off, and another is worked.
        let off = |year| {
            let of_year = calendar.days.iter().filter(|(day, _)| day.year() == year);
            let count = |working| of_year.clone().filter(|(_, is)| **is == working).count();
            count(false) - count(true)
        };
        assert_eq!((off(2024), off(2025), off(2026)), (11, 11, 12));
    }

    #[test]
    fn what_is_no_calendar_is_refused_with_its_line() {
        let cases = [
            ("", 0, "no hours are given"),
            ("hours 07:30-11:30", 1, "no week is given"),
            ("hours 7:30-11:30", 1, "hours are written as 07:30-11:30"),
            ("hours 11:30-07:30", 1, "hours are written as 07:30-11:30"),
            ("hours 07:30-24:01", 1, "hours are written as 07:30-11:30"),
            ("hours 07:30-11:30 11:00-12:00", 1, "hours stand in order and do not overlap"),
            ("# x\nweek monday", 2, "days are mon tue wed thu fri sat sun"),
            ("off 2026-02-30 why", 1, "a day is written as 2026-01-02"),
            ("off 2026-02-28", 1, "a day is given with its reason"),
            ("off 2026-02-27 a\nwork 2026-02-27 b", 2, "the day stands there already"),
            ("holiday 2026-02-27", 1, "a line begins with hours, week, year, off, work or #"),
        ];
        for (text, line, problem) in cases {
            assert_eq!(Calendar::parse(text), Err(NotACalendar { line, problem }), "{text}");
        }
    }
}
