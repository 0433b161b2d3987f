//! Time. `now` is an argument everywhere else; this is the only file that reads a clock.
//!
//! Inside, time is UTC in milliseconds; at the edges it is RFC 3339, and calendar dates are those of
//! `Asia/Ho_Chi_Minh` (UTC+7, no daylight saving).

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// A calendar date.
pub type Date = jiff::civil::Date;

/// The text is not a moment as `2026-11-22T03:45:18.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UTC time with milliseconds, such as 2026-11-22T03:45:18.123Z")]
pub struct NotATime;

/// Vietnam's distance from UTC in seconds; there has been no daylight saving since 1975.
const VIETNAM_OFFSET_S: i64 = 7 * 3600;
/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
const MILLIS_MAX: i64 = 253_402_300_799_999;

impl Time {
    /// The last moment that can be written.
    pub const LAST: Self = Self(MILLIS_MAX);

    /// The moment `millis` after the Unix epoch; clamped to years 1970–9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, MILLIS_MAX))
    }

    /// The moment `seconds` after the Unix epoch; clamped to years 1970–9999.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `span`.
    pub fn after(self, span: Duration) -> Self {
        Self::from_millis(
            self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment less `span`; not before 1970.
    pub fn before(self, span: Duration) -> Self {
        Self::from_millis(
            self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The calendar date in Vietnam at this moment.
    pub fn date_in_vietnam(self) -> Date {
        jiff::Timestamp::from_second(self.seconds() + VIETNAM_OFFSET_S)
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
    }

    /// The first moment of a day in Vietnam; `None` if it cannot be written.
    pub fn begin_in_vietnam(date: Date) -> Option<Self> {
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(Self::from_seconds(midnight.as_second() - VIETNAM_OFFSET_S))
    }

    /// The last moment of a day in Vietnam; `None` if it cannot be written.
    pub fn end_in_vietnam(date: Date) -> Option<Self> {
        let next = Self::begin_in_vietnam(date.tomorrow().ok()?)?;
        Some(Self::from_millis(next.millis() - 1))
    }

    /// `dd/MM/yyyy HH:mm:ss` in Vietnam, for people.
    pub fn in_vietnam(self) -> String {
        self.written_in_vietnam("%d/%m/%Y %H:%M:%S")
    }

    /// `yyyyMMddHHmmss` in Vietnam, for the National Public Service Portal.
    pub fn compact_in_vietnam(self) -> String {
        self.written_in_vietnam("%Y%m%d%H%M%S")
    }

    fn written_in_vietnam(self, form: &str) -> String {
        let local = jiff::Timestamp::from_second(self.seconds() + VIETNAM_OFFSET_S);
        local.unwrap_or(jiff::Timestamp::MAX).strftime(form).to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.3}")
    }
}

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        let time = Self::from_millis(moment.as_millisecond());
        // One spelling per moment: what is hashed must not have two forms.
        if time.to_string() == text { Ok(time) } else { Err(NotATime) }
    }
}

/// Where `now` comes from at the edges.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(MILLIS_MAX))
    }
}

/// A clock that stands still until it is told to move: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Time) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let now = self.now().after(span);
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// The machine's clock, ahead of it by as much as it was told to leap: for demonstrations.
#[derive(Debug, Default)]
pub struct LeapingClock(AtomicI64);

impl LeapingClock {
    /// Moves the clock to a moment; never back.
    pub fn leap_to(&self, moment: Time) {
        let ahead = moment.0.saturating_sub(SystemClock.now().0);
        self.0.fetch_max(ahead, Ordering::SeqCst);
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Time {
        Time::from_millis(SystemClock.now().0.saturating_add(self.0.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_leaps_forward_only_and_runs_on() {
        let clock = LeapingClock::default();
        let begin = clock.now();
        let later = begin.after(Duration::from_secs(86_400));
        clock.leap_to(later);
        clock.leap_to(begin);
        assert!(clock.now() >= later && clock.now() < later.after(Duration::from_secs(3_600)));
    }

    #[test]
    fn a_moment_has_exactly_one_spelling() {
        let time = Time::from_millis(1_795_319_118_123);
        assert_eq!(time.to_string(), "2026-11-22T03:45:18.123Z");
        assert_eq!("2026-11-22T03:45:18.123Z".parse(), Ok(time));
        for wrong in [
            "2026-11-22T03:45:18Z",
            "2026-11-22T10:45:18.123+07:00",
            "2026-11-22 03:45:18.123Z",
            "",
        ] {
            assert_eq!(wrong.parse::<Time>(), Err(NotATime), "{wrong}");
        }
    }

    #[test]
    fn the_date_turns_at_seventeen_hours_utc() {
        let before: Time = "2026-11-22T16:59:59.999Z".parse().expect("a time");
        assert_eq!(before.date_in_vietnam().to_string(), "2026-11-22");
        assert_eq!(
            before.after(Duration::from_millis(1)).date_in_vietnam().to_string(),
            "2026-11-23"
        );
    }
}
