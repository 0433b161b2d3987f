//! Periods in working days: which day is the first, which moment the last, and the periods that the
//! law sets for every document.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::{Calendar, MINUTES_OF_A_DAY, minute, minutes};
use crate::clock::{Date, Time};

/// Morning ends at noon where offices have no break before.
const NOON: u32 = 12 * 60;

/// Which working day is day 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FirstDay {
    /// The one after the day of receipt, which does not count (Civil Code 91/2015/QH13 Art. 147.2).
    #[default]
    AfterReceipt,
    /// The day of receipt itself.
    OfReceipt,
}

/// How working days are counted. Written as `next-day` or `same-day`, with the time of day at which
/// receipts of the day end: `next-day@16:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counting {
    /// Which working day is day 1.
    pub first: FirstDay,
    /// The minute of the day from which on something counts as received on the next working day, as it
    /// does on a day of rest; without one, what comes at any time of any day was received on that day.
    cut_off: Option<u32>,
}

/// The text is not a way of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not next-day or same-day, with or without a time of day, such as next-day@16:30")]
pub struct NotACounting;

impl FromStr for Counting {
    type Err = NotACounting;

    fn from_str(text: &str) -> Result<Self, NotACounting> {
        let (word, time) = text.split_once('@').map_or((text, None), |(word, t)| (word, Some(t)));
        let first = match word {
            "next-day" => FirstDay::AfterReceipt,
            "same-day" => FirstDay::OfReceipt,
            _ => return Err(NotACounting),
        };
        let cut_off = time.map(|time| minute(time).filter(|minute| *minute < MINUTES_OF_A_DAY));
        let cut_off = cut_off.map(|minute| minute.ok_or(NotACounting)).transpose()?;
        Ok(Self { first, cut_off })
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.first {
            FirstDay::AfterReceipt => "next-day",
            FirstDay::OfReceipt => "same-day",
        })?;
        match self.cut_off {
            Some(minute) => write!(f, "@{:02}:{:02}", minute / 60, minute % 60),
            None => Ok(()),
        }
    }
}

impl Calendar {
    /// The last day of a period of working days that begins with a receipt; `None` if it cannot be
    /// written.
    pub fn due_day(&self, received: Time, days: NonZeroU32, counting: Counting) -> Option<Date> {
        let arrived = received.date_in_vietnam();
        let receipt = match counting.cut_off {
            Some(minute) if !self.is_working_day(arrived) || is_past(received, arrived, minute) => {
                self.add_days(arrived, 1)?
            }
            _ => arrived,
        };
        let first = match counting.first {
            FirstDay::AfterReceipt => self.add_days(receipt, 1)?,
            FirstDay::OfReceipt => self.working_day_from(receipt)?,
        };
        self.add_days(first, i32::try_from(days.get() - 1).ok()?)
    }

    /// The last moment of that period: the end of its last day (Civil Code Art. 148.6); `None` if it
    /// cannot be written.
    pub fn due(&self, received: Time, days: NonZeroU32, counting: Counting) -> Option<Time> {
        Time::end_in_vietnam(self.due_day(received, days, counting)?)
    }

    /// Until when a document must be sent that was signed then: in the morning of the next working day
    /// at the latest (QĐ 28/2018/QĐ-TTg Art. 6.2); `None` if it cannot be written.
    pub fn send_by(&self, signed: Time) -> Option<Time> {
        let next = self.add_days(signed.date_in_vietnam(), 1)?;
        let morning = self.hours.first().map_or(NOON, |(_, end)| (*end).min(NOON));
        Some(Time::begin_in_vietnam(next)?.after(minutes(morning)))
    }

    /// Until when a receipt must be confirmed: on the same day (NĐ 30/2020/NĐ-CP Art. 21.2c), or, if
    /// offices are closed then, on the next day on which they are not; `None` if it cannot be written.
    pub fn confirm_by(&self, received: Time) -> Option<Time> {
        Time::end_in_vietnam(self.working_day_from(received.date_in_vietnam())?)
    }

    /// Until when what was received must be registered and presented: on the next working day at the
    /// latest (NĐ 30/2020/NĐ-CP Art. 4.2c, 23.1); `None` if it cannot be written.
    pub fn register_by(&self, received: Time) -> Option<Time> {
        Time::end_in_vietnam(self.add_days(received.date_in_vietnam(), 1)?)
    }
}

/// Whether it is this minute of the day in Vietnam, or later.
fn is_past(moment: Time, date: Date, minute: u32) -> bool {
    Time::begin_in_vietnam(date).is_some_and(|midnight| moment >= midnight.after(minutes(minute)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;

    #[test]
    fn a_period_ends_with_its_last_working_day() {
        let calendar = Calendar::vietnam();
        let cases = [
            // Friday: day 1 is Monday, or the day itself; the cut-off moves both by a day of work.
            ("2026-03-06T10:00", 1, "next-day", "2026-03-09"),
            ("2026-03-06T10:00", 1, "same-day", "2026-03-06"),
            ("2026-03-06T16:30", 1, "next-day@16:30", "2026-03-10"),
            ("2026-03-06T16:29", 1, "next-day@16:30", "2026-03-09"),
            ("2026-03-06T16:30", 1, "same-day@16:30", "2026-03-09"),
            // Saturday: it stands as the day of receipt unless there is a cut-off.
            ("2026-03-07T10:00", 1, "next-day", "2026-03-09"),
            ("2026-03-07T10:00", 1, "next-day@16:30", "2026-03-10"),
            ("2026-03-07T10:00", 1, "same-day", "2026-03-09"),
            ("2026-03-07T10:00", 1, "same-day@16:30", "2026-03-09"),
            // A Saturday that is worked for another day is a working day like any other.
            ("2026-08-21T10:00", 1, "next-day", "2026-08-22"),
            ("2026-08-22T10:00", 1, "same-day@12:00", "2026-08-22"),
            // Fifteen working days: over Tết, over the end of a year, over a swap.
            ("2026-02-09T08:00", 15, "next-day", "2026-03-09"),
            ("2025-12-22T08:00", 15, "next-day", "2026-01-13"),
            ("2024-04-22T08:00", 15, "next-day", "2024-05-15"),
        ];
        for (received, days, counting, expected) in cases {
            let counting: Counting = counting.parse().expect("a counting");
            let days = NonZeroU32::new(days).expect("not 0");
            let due = calendar.due_day(at(received), days, counting).map(|day| day.to_string());
            assert_eq!(due.as_deref(), Some(expected), "{days} from {received}, {counting}");
        }
    }

    #[test]
    fn the_periods_of_the_law_end_when_it_says() {
        let calendar = Calendar::vietnam();
        let cases = [
            // A day of work, Friday evening, Saturday, the eve of Tết, the eve of a worked Saturday.
            ("2026-03-02T09:00", "2026-03-03T11:30", "2026-03-02", "2026-03-03"),
            ("2026-03-06T20:00", "2026-03-09T11:30", "2026-03-06", "2026-03-09"),
            ("2026-03-07T09:00", "2026-03-09T11:30", "2026-03-09", "2026-03-09"),
            ("2026-02-13T16:59", "2026-02-23T11:30", "2026-02-13", "2026-02-23"),
            ("2026-08-21T09:00", "2026-08-22T11:30", "2026-08-21", "2026-08-22"),
        ];
        for (moment, send, confirm, register) in cases {
            let moment = at(moment);
            let end = |day: &str| Time::end_in_vietnam(day.parse().expect("a day"));
            assert_eq!(calendar.send_by(moment), Some(at(send)), "{moment}");
            assert_eq!(calendar.confirm_by(moment), end(confirm), "{moment}");
            assert_eq!(calendar.register_by(moment), end(register), "{moment}");
        }
        let no_break = Calendar::parse("hours 08:00-16:00\nweek mon").expect("a calendar");
        let monday = at("2026-03-02T09:00");
        assert_eq!(no_break.send_by(monday), Some(at("2026-03-09T12:00")));
    }

    #[test]
    fn a_counting_is_written_in_one_way() {
        for text in ["next-day", "same-day", "next-day@16:30", "same-day@00:00"] {
            let counting: Counting = text.parse().expect("a counting");
            assert_eq!(counting.to_string(), text);
        }
        assert_eq!(Counting::default().to_string(), "next-day");
        for text in ["", "day", "next-day@", "next-day@24:00", "next-day@7:30", "NEXT-DAY"] {
            assert_eq!(text.parse::<Counting>(), Err(NotACounting), "{text}");
        }
    }
}
