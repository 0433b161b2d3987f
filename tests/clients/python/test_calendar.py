"""`vanthu calendar`: what an operator asks a gateway's calendar."""

import json
import subprocess

import pytest
from gateway import CALL_SECONDS, binary


def calendar(*words):
    """What a command printed as JSON lines, and what it said."""
    command = [binary(), "calendar", *words, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_period_over_tet_is_due_with_all_that_the_law_asks():
    code, [told], speech = calendar("due", "2026-02-09T08:00", "--days", "15")
    assert (code, speech) == (0, "")
    assert told == {
        "counting": "next-day",
        "due": "2026-03-09T16:59:59.999Z",
        "due_day": "2026-03-09",
        # 7:30 h of the first day, fifteen days of 8 h.
        "office_minutes": 450 + 15 * 480,
        "send_by": "2026-02-10T04:30:00.000Z",
        "confirm_by": "2026-02-09T16:59:59.999Z",
        "register_by": "2026-02-10T16:59:59.999Z",
    }


@pytest.mark.parametrize("counting, day", [
    ("next-day", "2026-03-09"), ("same-day", "2026-03-06"), ("next-day@16:30", "2026-03-10"),
])
def test_the_counting_is_a_parameter(counting, day):
    _, [told], _ = calendar("due", "2026-03-06T16:45", "--days", "1", "--counting", counting)
    assert (told["due_day"], told["counting"]) == (day, counting)


def test_office_time_is_used_and_added_and_taken_away():
    assert calendar("used", "2026-08-21T16:30", "2026-08-22T08:00")[1] == [{"office_minutes": 60}]
    assert calendar("add", "2026-02-13T16:00", "--minutes", "120")[1] == [{"moment": "2026-02-23T01:30:00.000Z"}]
    assert calendar("add", "2026-02-23T08:30", "--minutes", "120", "--back")[1] == [
        {"moment": "2026-02-13T09:00:00.000Z"}]


@pytest.mark.parametrize("year, off, worked", [(2024, 12, 1), (2025, 12, 1), (2026, 14, 2)])
def test_the_years_that_come_along_are_listed(year, off, worked):
    code, days, _ = calendar("year", str(year))
    assert code == 0
    assert [sum(day["working"] is kind for day in days) for kind in (False, True)] == [off, worked]


def test_a_year_without_holidays_is_told_and_never_taken_for_a_fact(tmp_path):
    code, days, speech = calendar("year", "2031")
    assert (code, days) == (6, [])
    assert "the calendar does not know the year 2031" in speech
    assert "does not know the holidays of 2031" in calendar("used", "2031-01-01T08:00", "2031-01-01T09:00")[2]
    file = tmp_path / "calendar.txt"
    file.write_text("hours 08:00-12:00\nweek mon\nyear 2031\noff 2031-01-06 x\n")
    assert calendar("year", "2031", "--calendar", str(file))[1] == [{"day": "2031-01-06", "working": False}]
    file.write_text("hours 08:00\n")
    code, _, speech = calendar("year", "2031", "--calendar", str(file))
    assert code == 3 and "line 1: hours are written as 07:30-11:30" in speech


@pytest.mark.parametrize("words, speech", [
    (["due", "2026-03-06", "--days", "1"], "in Vietnam's time"),
    (["due", "2026-03-06T08:00", "--days", "0"], "--days"),
    (["due", "2026-03-06T08:00", "--days", "1", "--counting", "today"], "not next-day or same-day"),
])
def test_bad_words_are_refused(words, speech):
    code, told, said = calendar(*words)
    assert (code, told) == (2, []) and speech in said, said
