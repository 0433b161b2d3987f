//! A period on the command line: days in Vietnam, or moments.

use super::exit::{Exit, Failure};
use crate::clock::{Date, Time};

/// From when to when.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Period {
    /// From this day in Vietnam on, 2026-11-22, or moment, 2026-11-22T03:45:18.123Z
    #[arg(long)]
    from: Option<String>,
    /// To the end of this day in Vietnam, or to this moment
    #[arg(long)]
    to: Option<String>,
}

impl Period {
    /// Whether it has neither beginning nor end.
    pub(super) fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The period as it was written, for the heading of a report.
    pub(super) fn in_vietnamese(&self) -> String {
        let or_open = |text: &Option<String>, open: &str| {
            let day = text.as_deref().and_then(|text| text.parse::<Date>().ok());
            let day = day.map(crate::statistics::day);
            day.or_else(|| text.clone()).unwrap_or_else(|| open.to_owned())
        };
        format!("từ {} đến {}", or_open(&self.from, "đầu"), or_open(&self.to, "nay"))
    }

    /// The first moment of it; `None` if it has no beginning.
    pub(super) fn since(&self) -> Result<Option<prost_types::Timestamp>, Failure> {
        self.from.as_deref().map(|text| moment(text, Time::begin_in_vietnam)).transpose()
    }

    /// The first moment behind it; `None` if it has no end.
    pub(super) fn until(&self) -> Result<Option<prost_types::Timestamp>, Failure> {
        let next_day = |day: Date| Time::begin_in_vietnam(day.tomorrow().ok()?);
        self.to.as_deref().map(|text| moment(text, next_day)).transpose()
    }
}

fn moment(
    text: &str,
    of_day: impl FnOnce(Date) -> Option<Time>,
) -> Result<prost_types::Timestamp, Failure> {
    let time = match text.parse::<Date>() {
        Ok(day) if text.len() == 10 => of_day(day),
        _ => text.parse().ok(),
    };
    let time = time.ok_or_else(|| {
        Failure::new(Exit::Other, format!("{text}: not a day or moment"))
            .with_hint("write 2026-11-22 or 2026-11-22T03:45:18.123Z")
    })?;
    let nanos = i32::try_from(time.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Ok(prost_types::Timestamp { seconds: time.seconds(), nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_in_vietnam_and_ends_with_it() {
        let period = |from: &str, to: &str| {
            let period = Period { from: Some(from.into()), to: Some(to.into()) };
            let moment = |wire: prost_types::Timestamp| {
                Time::from_millis(wire.seconds * 1000 + i64::from(wire.nanos) / 1_000_000)
                    .to_string()
            };
            let since = period.since().map(|time| time.map(moment)).map_err(|it| it.message);
            (since, period.until().map(|time| time.map(moment)).map_err(|it| it.message))
        };
        assert_eq!(
            period("2026-11-22", "2026-11-22"),
            (
                Ok(Some("2026-11-21T17:00:00.000Z".into())),
                Ok(Some("2026-11-22T17:00:00.000Z".into()))
            )
        );
        let exact = "2026-11-22T03:45:18.123Z";
        assert_eq!(period(exact, exact), (Ok(Some(exact.into())), Ok(Some(exact.into()))));
        for wrong in ["", "2026-13-01", "22/11/2026", "2026-11-22T10:45:18+07:00"] {
            let error = format!("{wrong}: not a day or moment");
            assert_eq!(period(wrong, exact).0, Err(error));
        }
    }
}
