//! How long recipients have, as it is configured.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Config, Error};
use crate::calendar::Calendar;
use crate::delivery::{Deadlines, Limits, Span};
use crate::limits::DEADLINE_MAX;

/// How long recipients have, by urgency.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadlineTimes {
    /// Calendar data of office hours and working days; that of Vietnam if none is named.
    pub calendar: Option<PathBuf>,
    /// Hỏa tốc.
    pub flash: UrgencyTimes,
    /// Thượng khẩn.
    pub immediate: UrgencyTimes,
    /// Khẩn.
    pub urgent: UrgencyTimes,
    /// Thường.
    pub normal: UrgencyTimes,
}

/// How long recipients have with one urgency.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UrgencyTimes {
    /// Minutes until a notice must be taken; 24 hours if not given.
    pub notification_minutes: Option<u64>,
    /// Minutes until the document must be taken or refused; 36 hours if not given.
    pub handover_minutes: Option<u64>,
    /// Minutes until a neighbour gateway must have taken or refused the document; 12 hours if not given.
    pub relay_minutes: Option<u64>,
    /// Whether the minutes are those of office hours.
    pub working_time: bool,
    /// Instead of minutes: the day by whose end a notice must be taken.
    pub notification_by: Option<LastDay>,
    /// Instead of minutes: the day by whose end the document must be taken or refused.
    pub handover_by: Option<LastDay>,
}

/// A day that the law names.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastDay {
    /// That on which it came, or the next working day if offices are closed then.
    SameDay,
    /// The working day after it.
    NextWorkingDay,
}

impl LastDay {
    fn span(self) -> Span {
        match self {
            Self::SameDay => Span::SameDay,
            Self::NextWorkingDay => Span::NextDay,
        }
    }
}

impl UrgencyTimes {
    fn limits(self) -> Option<Limits> {
        let usual = Limits::default();
        let span = |minutes: Option<u64>, by: Option<LastDay>, usual: Span| {
            let span = match (minutes, by, usual) {
                (None, Some(by), _) => return Some(by.span()),
                (Some(minutes), None, _) => Duration::from_secs(minutes.checked_mul(60)?),
                (None, None, Span::Clock(usual) | Span::Working(usual)) => usual,
                (None, None, day) => return Some(day),
                (Some(_), Some(_), _) => return None,
            };
            let fits = !span.is_zero() && span <= DEADLINE_MAX;
            fits.then_some(if self.working_time { Span::Working(span) } else { Span::Clock(span) })
        };
        Some(Limits {
            notification: span(
                self.notification_minutes,
                self.notification_by,
                usual.notification,
            )?,
            handover: span(self.handover_minutes, self.handover_by, usual.handover)?,
            relay: span(self.relay_minutes, None, usual.relay)?,
        })
    }
}

/// The deadlines that a configuration sets.
///
/// # Errors
/// The calendar file, or a time that is zero or too long.
pub fn deadlines(config: &Config) -> Result<Deadlines, Error> {
    let times = &config.deadlines;
    let calendar = match &times.calendar {
        None => Calendar::vietnam(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Error::new(path, error))?;
            Calendar::parse(&text).map_err(|error| Error::new(path, error))?
        }
    };
    let lanes = [times.flash, times.immediate, times.urgent, times.normal];
    let mut limits = [Limits::default(); 4];
    for (place, times) in limits.iter_mut().zip(lanes) {
        *place = times.limits().ok_or_else(|| {
            let days = DEADLINE_MAX.as_secs() / (24 * 3600);
            let either = format!("deadlines: from 1 minute to {days} days, or a day, not both");
            Error::new(&config.data, either)
        })?;
    }
    Ok(Deadlines::new(limits, calendar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_urgency_and_have_bounds() {
        let times: DeadlineTimes = toml::from_str(
            "[flash]\nnotification_minutes = 30\nworking_time = true\n[normal]\nhandover_minutes = 1",
        )
        .expect("well-formed");
        let half_an_hour = Span::Working(Duration::from_secs(1800));
        let usual = Span::Working(Duration::from_secs(36 * 3600));
        assert_eq!(
            times.flash.limits(),
            Some(Limits {
                notification: half_an_hour,
                handover: usual,
                relay: Span::Working(Duration::from_secs(12 * 3600)),
            })
        );
        let minute = Span::Clock(Duration::from_secs(60));
        assert_eq!(times.normal.limits().map(|limits| limits.handover), Some(minute));
        assert_eq!(times.urgent.limits(), Some(Limits::default()));
        let by_day = "notification_by = \"same-day\"\nhandover_by = \"next-working-day\"\n";
        let by_day = |more: &str| toml::from_str::<UrgencyTimes>(&format!("{by_day}{more}"));
        let (notification, handover) = (Span::SameDay, Span::NextDay);
        assert_eq!(
            by_day("").expect("well-formed").limits(),
            Some(Limits { notification, handover, ..Limits::default() })
        );
        assert_eq!(by_day("handover_minutes = 5").expect("well-formed").limits(), None);
        for minutes in [0, 60 * 24 * 366, u64::MAX] {
            let times = UrgencyTimes { handover_minutes: Some(minutes), ..UrgencyTimes::default() };
            assert_eq!(times.limits(), None, "{minutes}");
        }
        assert!(toml::from_str::<DeadlineTimes>("[slow]\nhandover_minutes = 1").is_err());
    }
}
