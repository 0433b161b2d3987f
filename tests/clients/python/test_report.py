"""Registers (NĐ 30/2020 Annex IV) and statistics (QĐ 28/2018 Art. 11), drawn from the log."""

import csv
import datetime
import io
import json
import re
import subprocess

import pytest
from gateway import binary, vanthu
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode as Code
from mail import acknowledge, refuse, report
from papers import Letter, official, today
from refusals import refused
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import report_service_pb2 as rp

FORMULA = '=HYPERLINK("http://example.org";"x"), <b>'
TALLY = ("deliveries", "signed", "handed_over", "refused", "in_time", "late", "overdue", "pending")


@pytest.fixture(scope="module")
def story(pki, start):
    """Two signed documents and two others; answers, a refusal, and two refused submissions."""
    gateway = start(pki)
    commune, province, portal = (gateway.system(name) for name in ("commune", "province", "portal"))
    signed = {"content": official(pki, "H49.151")}
    signer = envelope_pb2.Signer(competence="KT.", position="Chủ tịch", full_name="Nguyễn Văn A")
    letters = [
        Letter("H49.151", ["H49", "G22"], number="05", notation="QĐ-UBND", subject="V/v giao đất",
               type_name="Quyết định", signer=signer, **signed),
        Letter("H49.151", [], recipients_below=["H49.11"], subject=FORMULA),
        Letter("H49.152", ["H49"], number="7", notation="UBND"),
        Letter("H49.151", ["H49"], **signed),
    ]  # fmt: skip
    gateway.sent = [letter.send(commune) for letter in letters]
    for recipient in ("X99", "X98"):
        with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]"):
            Letter("H49.151", [recipient]).send(commune)
    gateway.taken = acknowledge(province, "H49", gateway.sent[0].consignment_id)
    report(province, "H49", gateway.sent[0].consignment_id, delivery_pb2.BUSINESS_STATUS_ASSIGNED, "phòng")
    refuse(portal, "G22", gateway.sent[0].consignment_id, "sai nơi nhận")
    acknowledge(province, "H49", gateway.sent[2].consignment_id)
    yield gateway
    gateway.stop()


def outgoing(system, agency, **period):
    request = rp.ListOutgoingRequest(agency=agency, **period)
    return [row for answer in system.report.ListOutgoing(request) for row in answer.rows]


def incoming(system, agency, **period):
    request = rp.ListIncomingRequest(agency=agency, **period)
    return [row for answer in system.report.ListIncoming(request) for row in answer.rows]


def statistics(system, **request):
    answers = system.report.GetStatistics(rp.GetStatisticsRequest(**request))
    return {row.agency: row for answer in answers for row in answer.agencies}


def tally(counted):
    return {name: getattr(counted, name) for name in TALLY if getattr(counted, name)}


def test_the_outgoing_register_has_what_the_envelope_and_the_log_say(story):
    rows = outgoing(story.system("auditor"), "H49.151")
    assert [row.consignment_id for row in rows] == [story.sent[place].consignment_id for place in (0, 1, 3)]
    first, group, last = rows
    assert first.entry_id == story.sent[0].receipt.entry_id
    assert (first.number, first.type_name, first.subject) == ("05/QĐ-UBND", "Quyết định", "V/v giao đất")
    assert first.signer == "KT. Chủ tịch Nguyễn Văn A"
    day = first.issue_date
    assert datetime.date(day.year, day.month, day.day) == today()
    assert first.recipients == "Ủy ban nhân dân tỉnh Quảng Ninh (H49); Văn phòng Chính phủ (G22)"
    assert (first.recipient_count, first.handed_over_count, first.refused_count) == (2, 1, 1)
    assert first.legal_value == "ORIGINAL" and not first.erased
    assert group.recipients == (
        "các cơ quan trực thuộc Sở Nông nghiệp và Môi trường tỉnh Quảng Ninh (H49.11)"
    )
    assert (group.number, group.recipient_count, group.legal_value) == ("", 1, "INFORMATION_ONLY")
    assert (last.handed_over_count, last.refused_count) == (0, 0)
    assert outgoing(story.system("commune"), "H49.151") == rows


def test_the_incoming_register_counts_arrivals_and_names_who_signed_for_them(story):
    rows = incoming(story.system("province"), "H49")
    assert [row.arrival_number for row in rows] == [1, 2, 3]
    taken, status, waiting = rows[0], rows[1], rows[2]
    assert taken.author == "Ủy ban nhân dân phường Hà Tu (H49.151)"
    assert taken.receiver == "Ủy ban nhân dân tỉnh Quảng Ninh (H49)"
    assert (taken.number, taken.subject, taken.status) == ("05/QĐ-UBND", "V/v giao đất", "04")
    assert taken.answer_entry == story.taken.receipt.entry_id and taken.answer_system == "province"
    assert taken.handover_time == story.taken.receipt.time and not taken.refused
    assert (status.status, status.legal_value) == ("03", "INFORMATION_ONLY")
    assert not waiting.HasField("handover_time") and not waiting.HasField("answer_entry")
    [returned] = incoming(story.system("portal"), "G22")
    assert returned.refused and returned.status == "02" and not returned.HasField("handover_time")


def test_arrival_numbers_do_not_depend_on_the_period(story):
    rows = incoming(story.system("auditor"), "H49")
    later = incoming(story.system("auditor"), "H49", since=rows[1].arrival_time)
    assert later == rows[1:]
    assert incoming(story.system("auditor"), "H49", until=rows[1].arrival_time) == rows[:1]
    past = Timestamp(seconds=1)
    assert incoming(story.system("auditor"), "H49", until=past) == []
    assert outgoing(story.system("auditor"), "H49.151", until=past) == []


def test_statistics_count_what_was_sent_and_received(story):
    everything = statistics(story.system("auditor"))
    assert list(everything) == ["G22", "H49", "H49.11.3", "H49.151", "H49.152"]
    commune = everything["H49.151"]
    assert commune.name == "Ủy ban nhân dân phường Hà Tu"
    assert (commune.accepted, commune.accepted_signed, commune.rejected) == (3, 2, 2)
    assert [(one.reason, one.count) for one in commune.rejected_by_reason] == [("RECIPIENT_UNKNOWN", 2)]
    answered = {"deliveries": 4, "signed": 3, "handed_over": 1, "refused": 1, "in_time": 2, "pending": 2}
    assert tally(commune.sent) == answered and tally(commune.received) == {}
    province = everything["H49"]
    taken = {"deliveries": 3, "signed": 2, "handed_over": 2, "in_time": 2, "pending": 1}
    assert tally(province.received) == taken and tally(province.sent) == {}
    assert list(province.received.by_status) == [1, 0, 1, 1, 0, 0]
    assert tally(everything["G22"].received) == {"deliveries": 1, "signed": 1, "refused": 1, "in_time": 1}
    for agency, expected in everything.items():
        assert statistics(story.system("auditor"), agency=agency) == {agency: expected}


def test_lateness_depends_on_the_rule_that_is_asked_for(story):
    asked = {"agency": "H49", "answer_within": Duration()}
    received = statistics(story.system("auditor"), **asked)["H49"].received
    assert (received.in_time, received.late, received.overdue, received.pending) == (0, 2, 1, 0)
    asked["answer_within"] = Duration(seconds=3600)
    received = statistics(story.system("auditor"), **asked)["H49"].received
    assert (received.in_time, received.late, received.overdue, received.pending) == (2, 0, 0, 1)


def test_an_agency_that_did_nothing_has_zeros(story):
    for agency in ("A49", "X99"):
        [(code, row)] = statistics(story.system("auditor"), agency=agency).items()
        assert code == agency and row.accepted == 0 and tally(row.sent) == tally(row.received) == {}
    empty = statistics(story.system("auditor"), until=Timestamp(seconds=1))
    assert empty == {}


@pytest.mark.parametrize("call", [outgoing, incoming, lambda system, agency: statistics(system, agency=agency)])
def test_an_agency_reads_its_own_reports_only(story, call):
    call(story.system("province"), "H49.11")
    with refused(Code.PERMISSION_DENIED, "AGENCY_NOT_YOURS", "agency", code="H49", system="commune"):
        call(story.system("commune"), "H49")
    with refused(Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", None, system="operator"):
        call(story.system("operator"), "H49")
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "agency"):
        call(story.system("auditor"), "Hà Nội")
    with refused(Code.INVALID_ARGUMENT, "FIELD_MISSING", "agency"):
        call(story.system("commune"), "")


def test_a_wrong_period_or_rule_is_refused(story):
    auditor = story.system("auditor")
    backwards = {"since": Timestamp(seconds=2), "until": Timestamp(seconds=1)}
    for call in (outgoing, incoming):
        with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "until"):
            call(auditor, "H49", **backwards)
        with refused(Code.INVALID_ARGUMENT, "FIELD_MISSING", "agency"):
            call(auditor, "")
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "answer_within"):
        statistics(auditor, answer_within=Duration(seconds=-1))


# ── the command ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def command(story):
    port = story.address.rsplit(":", 1)[1]
    caller = ["--server", f"https://localhost:{port}", "--ca", story.pki.folder / "tls/ca.pem"]
    caller += ["--cert", story.pki.folder / "systems/auditor.pem"]

    def run(*arguments, code=0):
        return vanthu("report", *arguments, *caller, code=code)

    def raw(*arguments):
        line = [binary(), "report", *map(str, (*arguments, *caller))]
        return subprocess.run(line, capture_output=True, check=True, timeout=60).stdout

    run.raw = raw
    return run


def test_a_register_in_csv_is_read_by_any_reader_and_runs_nothing(command):
    text = command("register", "outgoing", "--agency", "H49.151", "--output", "csv")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [len(row) for row in rows] == [10] * 4
    assert rows[0][0] == "Số, ký hiệu văn bản" and rows[0][9] == "Ghi chú"
    assert rows[1][8] == "1/2 nơi đã nhận"
    assert rows[2][2] == f"Công văn {FORMULA}", "a kind before it: no formula"
    assert command.raw("register", "outgoing", "--agency", "H49.151", "--output", "csv").count(b"\r\n") == 4
    marked = command("register", "incoming", "--agency", "H49", "--output", "csv", "--bom")
    assert marked.startswith("\ufeffNgày đến,Số đến,Tác giả,")
    rows = list(csv.reader(io.StringIO(marked, newline=""), strict=True))
    assert [row[1] for row in rows[1:]] == ["1", "2", "3"]


def test_a_register_in_html_is_a_page_to_print_without_foreign_markup(command):
    page = command("register", "outgoing", "--agency", "H49.151", "--output", "html")
    assert page.startswith("<!DOCTYPE html>\n<html lang=\"vi\">") and page.endswith("</html>\n")
    assert page.count("<tr>") == 4 and page.count("<th ") == 10
    assert "&lt;b&gt;" in page and "<b>" not in page and "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "nothing is fetched"


def test_reports_in_json_are_one_object_a_line(command):
    rows = [json.loads(line) for line in command("register", "incoming", "--agency", "H49", "--output", "json").splitlines()]
    assert [row["arrival_number"] for row in rows] == [1, 2, 3]
    assert rows[0]["number"] == "05/QĐ-UBND" and rows[2]["answer_entry"] is None
    [row] = [json.loads(line) for line in command("statistics", "--agency", "H49.151", "--output", "json").splitlines()]
    assert (row["signed_percent"], row["sent"]["on_time_percent"]) == (66.67, 100.0)
    assert row["rejected_by_reason"] == {"RECIPIENT_UNKNOWN": 2}
    assert row["received"]["on_time_percent"] is None


def test_statistics_for_people(command):
    text = command("statistics", "--agency", "H49.151")
    assert "Tỷ lệ ký số: 66,67 %" in text and "Bị từ chối khi gửi: 2" in text
    table = list(csv.reader(io.StringIO(command("statistics", "--output", "csv"), newline="")))
    assert [row[0] for row in table[1:]] == ["G22", "H49", "H49.11.3", "H49.151", "H49.152"]
    assert {len(row) for row in table} == {26}


def test_only_reports_are_printed_as_csv_or_html(story):
    for kind in ("csv", "html"):
        vanthu("trace", "5/UBND", "--output", kind, code=2)
