//! The calendar that comes along against the announcements of three years, and what holds of any
//! calendar.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Holidays as they were announced: whole runs of days, with their weekends.
const ANNOUNCED: &str = include_str!("announced.txt");

/// The days of some lines, each from and to.
#[derive(Default)]
struct Announced {
    closed: Vec<(Date, Date)>,
    worked: Vec<Date>,
}

fn announced() -> Announced {
    let mut announced = Announced::default();
    for line in ANNOUNCED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("a word");
        let kind = word();
        let date: Date = word().parse().expect("a day");
        match kind {
            "worked" => announced.worked.push(date),
            "closed" => {
                let last: Date = word().parse().expect("a day");
                let days = date.until(last).expect("days").get_days() + 1;
                assert_eq!(days.to_string(), word(), "{line}");
                announced.closed.push((date, last));
            }
            _ => panic!("{line}"),
        }
        assert!(words.next().is_some(), "{line}: no source");
    }
    announced
}

#[test]
fn every_day_of_three_years_is_as_it_was_announced() {
    let (calendar, announced) = (Calendar::vietnam(), announced());
    let mut date = jiff::civil::date(2024, 1, 1);
    let mut days = 0;
    while date.year() <= 2026 {
        let closed = announced.closed.iter().any(|(from, to)| (*from..=*to).contains(&date));
        let in_week = date.weekday().to_monday_zero_offset() < 5;
        let working = announced.worked.contains(&date) || in_week && !closed;
        assert_eq!(calendar.is_working_day(date), working, "{date}");
        date = date.tomorrow().expect("a day");
        days += 1;
    }
    assert_eq!(days, 366 + 365 + 365);
}

#[test]
fn offices_work_right_before_and_after_what_was_announced() {
    let calendar = Calendar::vietnam();
    for (first, last) in announced().closed {
        let around = [first.yesterday(), last.tomorrow()].map(|day| day.expect("a day"));
        assert!(around.iter().all(|day| calendar.is_working_day(*day)), "{first} to {last}");
        assert_eq!(calendar.add_days(around[0], 1), Some(around[1]), "{first} to {last}");
        assert_eq!(calendar.add_days(around[1], -1), Some(around[0]), "{first} to {last}");
    }
}

/// That of Vietnam, offices that never close, and such that open a few hours a week.
fn calendars() -> impl Strategy<Value = Calendar> {
    let text = |text: &'static str| Calendar::parse(text).expect("a calendar");
    prop_oneof![
        Just(Calendar::vietnam()),
        Just(text("hours 00:00-24:00\nweek mon tue wed thu fri sat sun")),
        Just(text("hours 08:00-09:30 09:30-10:00 22:00-24:00\nweek sat\noff 2026-02-14 x")),
    ]
}

/// A moment from the year before the known ones to the year after them.
fn moments() -> impl Strategy<Value = Time> {
    let begin = Time::begin_in_vietnam(jiff::civil::date(2023, 1, 1)).expect("a time").millis();
    let end = Time::begin_in_vietnam(jiff::civil::date(2028, 1, 1)).expect("a time").millis();
    prop_oneof![
        (begin..end).prop_map(Time::from_millis),
        // On the minute, where shifts begin and end.
        (begin / 60_000..end / 60_000).prop_map(|minute| Time::from_millis(minute * 60_000)),
    ]
}

fn countings() -> impl Strategy<Value = Counting> {
    let text = prop_oneof![
        Just("next-day"),
        Just("same-day"),
        Just("next-day@11:30"),
        Just("same-day@16:30")
    ];
    text.prop_map(|text| text.parse().expect("a counting"))
}

fn spans() -> impl Strategy<Value = Duration> {
    (0_u64..30 * 8 * 3_600_000).prop_map(Duration::from_millis)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn office_hours_that_are_added_lie_between(
        calendar in calendars(), start in moments(), span in spans(),
    ) {
        let (end, begin) = (calendar.after(start, span), calendar.before(start, span));
        prop_assert_eq!(calendar.between(start, end), span);
        prop_assert_eq!(calendar.between(begin, start), span);
        prop_assert_eq!(calendar.between(end, start), Duration::ZERO);
        let next = Duration::from_millis(1);
        if !span.is_zero() {
            // The first such moment, and the last.
            prop_assert!(calendar.between(start, end.before(next)) < span);
            prop_assert!(calendar.between(begin.after(next), start) < span);
            // Back from there, no office hour is lost or won.
            let back = calendar.before(end, span);
            prop_assert!(back >= start);
            prop_assert_eq!(calendar.between(start, back), Duration::ZERO);
        }
    }

    #[test]
    fn what_comes_later_is_never_due_earlier(
        calendar in calendars(), mut two in [moments(), moments()], span in spans(),
        counting in countings(), days in 1_u32..60,
    ) {
        two.sort();
        let [first, second] = two;
        prop_assert!(calendar.after(first, span) <= calendar.after(second, span));
        prop_assert!(calendar.before(first, span) <= calendar.before(second, span));
        prop_assert!(calendar.send_by(first) <= calendar.send_by(second));
        prop_assert!(calendar.confirm_by(first) <= calendar.confirm_by(second));
        prop_assert!(calendar.register_by(first) <= calendar.register_by(second));
        let days = NonZeroU32::new(days).expect("from 1 on");
        let due = |moment| calendar.due(moment, days, counting).expect("a time");
        prop_assert!(due(first) <= due(second));
        prop_assert!(due(first) >= first);
        let more = calendar.due(first, days.saturating_add(1), counting).expect("a time");
        prop_assert!(due(first) < more);
    }

    #[test]
    fn office_hours_add_up(calendar in calendars(), mut three in [moments(), moments(), moments()]) {
        three.sort();
        let [first, second, third] = three;
        let parts = calendar.between(first, second) + calendar.between(second, third);
        prop_assert_eq!(calendar.between(first, third), parts);
    }

    #[test]
    fn working_days_that_are_added_are_taken_away_again(
        calendar in calendars(), start in moments(), count in 1_i32..80,
    ) {
        let day = calendar.working_day_from(start.date_in_vietnam()).expect("a day");
        let later = calendar.add_days(day, count).expect("a day");
        prop_assert_eq!(calendar.add_days(later, -count), Some(day));
        let between = day.series(jiff::Span::new().days(1)).skip(1).take_while(|day| *day <= later);
        let worked = between.filter(|day| calendar.is_working_day(*day)).count();
        prop_assert_eq!(i32::try_from(worked), Ok(count));
        let cut = "same-day@00:00".parse().expect("a counting");
        let days = NonZeroU32::new(count.unsigned_abs()).expect("from 1 on");
        // With midnight as the cut-off nothing is received on its own day.
        prop_assert_eq!(calendar.due_day(start, days, cut), {
            let arrived = start.date_in_vietnam();
            calendar.add_days(arrived, count)
        });
    }
}
