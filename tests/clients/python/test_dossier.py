"""Dossiers of one-stop systems: steps, states, one clock over all agencies, proofs."""

import contextlib
import csv
import datetime
import hashlib
import itertools
import json
import signal
import time
import urllib.error
import urllib.request
import uuid

import pytest
from gateway import vanthu, vanthu_json, wait_until
from google.protobuf import timestamp_pb2
from grpc import StatusCode as Code
from mail import acknowledge, next_event, watching
from papers import Letter, official
from proofs import LogKey, check_receipt, read_entry
from refusals import refused
from vanthu.v1 import dossier_pb2
from vanthu.v1 import dossier_service_pb2 as ds
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import trace_service_pb2 as tr

STATE, INVALID, MISSING = Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.NOT_FOUND
FORBIDDEN, CONFLICT = Code.PERMISSION_DENIED, Code.ALREADY_EXISTS
SYSTEMS = {"H49.151": "commune", "H49.152": "commune", "H49": "province", "H49.11": "province", "G22": "portal"}
PROCEDURE = "1.004227"
NUMBERS = itertools.count(1)


def new_code():
    return f"H49.151-20261126-{next(NUMBERS):04}"


def at(**later):
    """A moment from now."""
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**later))
    # Never without milliseconds: entries have them always, and moments are compared as texts.
    moment.nanos = max(moment.nanos - moment.nanos % 1_000_000, 1_000_000)
    return moment


def take(gateway, code, step, agency="H49.151", system=None, **fields):
    fields.setdefault("request_id", str(uuid.uuid4()))
    step = step if isinstance(step, int) else dossier_pb2.DossierStep.Value(f"DOSSIER_STEP_{step}")
    request = ds.RecordStepRequest(agency=agency, dossier_code=code, step=step, **fields)
    return gateway.system(system or SYSTEMS[agency]).dossier.RecordStep(request)


def received(gateway, **fields):
    """A dossier that was received by the commune."""
    code = new_code()
    take(gateway, code, "RECEPTION", **{"procedure_code": PROCEDURE, "due_time": at(days=20), **fields})
    return code


def vanthu_rows(*arguments):
    return [json.loads(line) for line in vanthu(*arguments, "--output", "json").splitlines()]


def show(gateway, code, system="commune"):
    return gateway.system(system).dossier.GetDossier(ds.GetDossierRequest(dossier_code=code))


def listed(gateway, agency, system=None, **wanted):
    found, token = [], ""
    while True:
        request = ds.ListDossiersRequest(agency=agency, page_token=token, **wanted)
        page = gateway.system(system or SYSTEMS[agency]).dossier.ListDossiers(request)
        found += [dossier.code for dossier in page.dossiers]
        token = page.next_page_token
        if not token:
            return found


def result(gateway, code, agency="H49.11", **fields):
    """A signed document of the dossier."""
    fields.setdefault("dossier_code", code)
    letter = Letter(agency, ["H49.152"], **fields)
    return letter.send(gateway.system(SYSTEMS[agency])).consignment_id


def test_a_dossier_goes_from_the_door_through_two_offices_and_back(gateway, tmp_path):
    code, key = new_code(), LogKey(gateway.pki.vkey)
    applicant = hashlib.sha256(b"00112233445566778899aabbccddeeff\nNguyen Van A").digest()
    story = [
        ("REGISTRATION", "H49.151", {"procedure_code": PROCEDURE, "applicant_sha256": applicant}, 1),
        ("RECEPTION", "H49.151", {"procedure_code": PROCEDURE, "due_time": at(days=30)}, 2),
        ("HANDOVER", "H49.151", {"to": "H49.11", "note": "chuyển Sở"}, 4),
        ("SUPPLEMENT_REQUEST", "H49.11", {"note": "thiếu bản đồ"}, 5),
        ("SUPPLEMENT", "H49.151", {}, 4),
        ("PAYMENT_REQUEST", "H49.11", {}, 6),
        ("PAYMENT", "H49.151", {}, 4),
        ("OPINION_REQUEST", "H49.11", {"to": "G22", "consent_working_days": 15}, 4),
        ("OPINION", "G22", {"note": "nhất trí"}, 4),
        ("APPRAISAL", "H49.11", {}, 4),
        ("APPROVAL", "H49.11", {}, 4),
        ("SEALING", "H49.11", {}, 4),
        ("APOLOGY", "H49.151", {"note": "mưa bão", "due_time": at(days=40)}, 4),
        ("COMPLETION", "H49.11", {}, 9),
        ("RETURN", "H49.151", {}, 10),
    ]
    with gateway.writes(len(story)):
        for step, agency, fields, state in story:
            recorded = take(gateway, code, step, agency, **fields)
            entry = check_receipt(recorded.receipt, key)
            assert (entry["event"], entry["reason"], entry["from"]) == ("dossier", step, agency)
            assert recorded.dossier.state == state and not recorded.repeated, step
    found = show(gateway, code)
    assert [step.note for step in found.steps if step.note] == [
        fields["note"] for _, _, fields, _ in story if "note" in fields
    ]
    for step, (word, *_) in zip(found.steps, story, strict=True):
        check_receipt(step.receipt, key)
        assert dossier_pb2.DossierStep.Name(step.step) == f"DOSSIER_STEP_{word}"
    assert list(found.dossier.parties) == ["G22", "H49.11", "H49.151"]
    assert {one.agency for one in found.clock.worked} == {"H49.151", "H49.11"}
    assert not found.clock.HasField("remaining") and not found.dossier.late
    assert found.dossier.appointment_time.seconds > found.dossier.due_time.seconds
    # Nobody's name is in the log, and every step is proven without the gateway.
    leaves = [step.receipt.leaf for step in found.steps]
    assert applicant.hex().encode() in leaves[0] and not any(b"Nguyen" in leaf for leaf in leaves)
    gateway.stop()
    vanthu("log", "audit", "--key", gateway.pki.folder / "log.vkey", "--data", gateway.folder / "data")


def test_the_portal_registers_what_an_office_receives(gateway):
    code = new_code()
    registered = take(gateway, code, "REGISTRATION", "G22", to="H49.151", procedure_code=PROCEDURE)
    assert (registered.dossier.reception, list(registered.dossier.parties)) == ("H49.151", ["G22", "H49.151"])
    with gateway.writes(0), refused(FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency", by="reception"):
        take(gateway, code, "RECEPTION", "G22", procedure_code=PROCEDURE, due_time=at(days=3))
    with watching(gateway.system("commune"), "H49.151") as door:
        assert b"\nreason REGISTRATION\n" in next_event(door, "notice")[0].leaf
    received = take(gateway, code, "RECEPTION", procedure_code=PROCEDURE, due_time=at(days=3))
    assert received.dossier.holder == "H49.151"
    assert show(gateway, code, "portal").dossier.state == 2


def test_a_result_is_a_signed_document_of_the_dossier(gateway):
    code = received(gateway)
    take(gateway, code, "HANDOVER", to="H49")
    signed = result(gateway, code, "H49", content=official(gateway.pki, "H49"))
    unsigned, other = result(gateway, code, "H49"), result(gateway, new_code(), "H49", content=official(gateway.pki, "H49"))
    foreign = result(gateway, code, "H49.151")
    with gateway.writes(0):
        with refused(STATE, "DOSSIER_RESULT_UNFIT", "consignment_id", legal_value="INFORMATION_ONLY"):
            take(gateway, code, "COMPLETION", "H49", consignment_id=unsigned)
        with refused(STATE, "DOSSIER_RESULT_UNFIT", "consignment_id", legal_value="ORIGINAL"):
            take(gateway, code, "COMPLETION", "H49", consignment_id=other)
        with refused(MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"):
            take(gateway, code, "COMPLETION", "H49", consignment_id=foreign)
        with refused(MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"):
            take(gateway, code, "COMPLETION", "H49", consignment_id=str(uuid.UUID(int=7)))
    done = take(gateway, code, "COMPLETION", "H49", consignment_id=signed)
    assert done.dossier.result_consignment_id == signed
    # The trace of a dossier tells of its documents and of its steps.
    trace = gateway.system("commune").trace.Trace(tr.TraceRequest(dossier_code=code))
    events = [entry.leaf.split(b"\n")[1] for entry in trace.entries]
    assert events.count(b"event dossier") == 3 and b"event SubmissionAcceptance" in events


def test_a_step_is_recorded_once_however_often_it_is_sent(gateway):
    code, request = new_code(), str(uuid.uuid4())
    due = at(days=3)
    fields = {"procedure_code": PROCEDURE, "due_time": due, "note": "đủ hồ sơ", "request_id": request}
    first = take(gateway, code, "RECEPTION", **fields)
    with gateway.writes(0):
        again = take(gateway, code, "RECEPTION", **fields)
        assert again.repeated and again.receipt.entry_id == first.receipt.entry_id
        for change in ({"note": "khác"}, {"note": ""}, {"procedure_code": "2.000815"}, {"due_time": at(days=4)}):
            with refused(CONFLICT, "REQUEST_ID_REUSED", "request_id"):
                take(gateway, code, "RECEPTION", **{**fields, **change})
        with refused(CONFLICT, "REQUEST_ID_REUSED", "request_id"):
            take(gateway, code, "APPRAISAL", request_id=request)
        with refused(CONFLICT, "REQUEST_ID_REUSED", "request_id"):
            Letter("H49.151", ["H49"]).send(gateway.system("commune"), request_id=request)
    # Another agency's requests have names of their own.
    take(gateway, new_code(), "RECEPTION", "H49.152", **{**fields, "note": ""})


def test_who_is_concerned_is_told(gateway):
    code = new_code()
    with watching(gateway.system("province"), "H49.11") as department, watching(gateway.system("commune"), "H49.151") as door:
        take(gateway, code, "RECEPTION", procedure_code=PROCEDURE, due_time=at(days=3))
        take(gateway, code, "HANDOVER", to="H49.11", note="chuyển")
        notice, _ = next_event(department, "notice")
        assert (notice.event, notice.recipient, notice.note) == ("dossier", "H49.11", "chuyển")
        assert f"dossier {code}\n".encode() in notice.leaf
        take(gateway, code, "APPRAISAL", "H49.11")
        notice, _ = next_event(door, "notice")
        assert b"\nreason APPRAISAL\n" in notice.leaf


def test_a_date_that_passes_is_written_by_the_gateway_itself(gateway):
    code = received(gateway, due_time=at(seconds=2))
    wait_until(lambda: len(show(gateway, code).steps) == 2)
    overdue = show(gateway, code)
    entry = check_receipt(overdue.steps[1].receipt, LogKey(gateway.pki.vkey))
    assert (entry["reason"], entry["actor"].split(" ")[0]) == ("OVERDUE", "gateway")
    assert overdue.dossier.late and listed(gateway, "H49.151", late=True) == [code]
    took = take(gateway, code, "APOLOGY", note="mưa bão", due_time=at(days=2))
    assert took.dossier.late, "a new date makes nothing timely"


def test_dossiers_are_listed_by_agency_state_and_lateness(gateway):
    codes = [received(gateway) for _ in range(5)]
    take(gateway, codes[0], "HANDOVER", to="H49.11")
    take(gateway, codes[1], "WITHDRAWAL")
    assert listed(gateway, "H49.151") == codes
    assert listed(gateway, "H49.151", page_size=2) == codes
    assert listed(gateway, "H49.151", held=True) == codes[2:]
    assert listed(gateway, "H49.151", state=dossier_pb2.DOSSIER_STATE_WITHDRAWN) == [codes[1]]
    assert listed(gateway, "H49.11") == [codes[0]]
    assert listed(gateway, "H49.11", system="auditor") == [codes[0]]
    assert listed(gateway, "H49.151", late=True) == []
    with refused(FORBIDDEN, "AGENCY_NOT_YOURS", "agency"):
        listed(gateway, "H49.11", system="commune")
    with refused(INVALID, "PAGE_TOKEN_MALFORMED", "page_token"):
        gateway.system("commune").dossier.ListDossiers(ds.ListDossiersRequest(agency="H49.151", page_token="x"))


def recount(leaves, since, until, portals=()):
    """The counting rules of QĐ 766 over exported entries, by hand: what each dossier counts as."""
    dossiers, documents = {}, {}
    for leaf in leaves:
        entry = read_entry(leaf)
        if entry["time"] >= until:
            continue
        if entry["event"] == "SubmissionAcceptance" and "dossier" in entry:
            documents[entry["consignment"]] = entry["dossier"]
        elif entry["event"] == "ContentHandover" and entry["to"] in portals and entry["consignment"] in documents:
            dossiers.setdefault(documents[entry["consignment"]], fresh())["synchronised"] = 1
        if entry["event"] != "dossier":
            continue
        step, state = entry["reason"], dossiers.setdefault(entry["dossier"], fresh())
        if state["reception"] is None:
            state["reception"] = entry.get("to", entry["from"]) if step == "REGISTRATION" else entry["from"]
            state["synchronised"] |= entry["from"] in portals
        if step == "RECEPTION":
            state.update(procedure=entry["procedure"], due=entry["due"], began=entry["time"])
        elif step == "SUPPLEMENT":
            state["due"] = entry["due"]
        elif step == "SUPPLEMENT_REQUEST":
            state["more"] += 1
        elif step in ("COMPLETION", "STOP", "WITHDRAWAL"):
            state.update(ended=entry["time"], how=step, electronic="consignment" in entry)
        elif step == "REGISTRATION":
            state["procedure"] = entry["procedure"]
        elif entry["time"] >= since and step == "FEEDBACK":
            state["feedback"] += 1
        elif entry["time"] >= since and step == "SATISFACTION":
            state["grades"][int(entry["grade"]) - 1] += 1
    rows = []
    for state in dossiers.values():
        said = {"feedback": state["feedback"], "grades": state["grades"]}
        if "began" in state and state.get("ended", until) >= since:
            rows.append(judged(state, since, until) | said)
        elif state["feedback"] or any(state["grades"]):
            # What the citizen says counts when it is said, however long the dossier has ended.
            rows.append({"procedure": state["procedure"], "agency": state["reception"], **dict.fromkeys(COUNTS, 0), **said})
    return rows


def fresh():
    return {"more": 0, "feedback": 0, "grades": [0] * 5, "synchronised": 0, "reception": None}


def judged(state, since, until):
    """A dossier as one count of each kind."""
    end, how = state.get("ended", until), state.get("how")
    late, ended = state["more"] > 1 or end > state["due"], how is not None and how != "WITHDRAWAL"
    received = state["began"] >= since
    return {
        "procedure": state["procedure"], "agency": state["reception"],
        "carried": not received, "received": received, "withdrawn": how == "WITHDRAWAL",
        "done_in_time": ended and not late, "done_late": ended and late,
        "open_in_time": how is None and not late, "open_late": how is None and late,
        "completed": how == "COMPLETION", "electronic": how == "COMPLETION" and state["electronic"],
        "synchronised": received and state["synchronised"],
    }  # fmt: skip


COUNTS = (
    "carried", "received", "done_in_time", "done_late", "open_in_time", "open_late", "withdrawn", "completed",
    "electronic", "synchronised", "feedback",
)  # fmt: skip


def summed(rows):
    """The sum of what dossiers count as, with the shares in hundredths of a percent."""
    total = {name: sum(int(row[name]) for row in rows) for name in COUNTS}
    total["grades"] = [sum(grades) for grades in zip(*(row["grades"] for row in rows), strict=True)] or [0] * 5
    in_time, late = (total[f"done_{word}"] + total[f"open_{word}"] for word in ("in_time", "late"))
    shares = {
        "on_time": (in_time, in_time + late), "electronic": (total["electronic"], total["completed"]),
        "synchronised": (total["synchronised"], total["received"]),
        "satisfied": (sum(total["grades"][3:]), sum(total["grades"])),
    }  # fmt: skip
    for name, (part, whole) in shares.items():
        total[f"{name}_basis_points"] = int(10_000 * part / whole + 0.5) if whole else None
    return total


def read_counts(row):
    """The same of an answer."""
    found = {name: getattr(row, name) for name in COUNTS} | {"grades": list(row.grades)}
    for name in ("on_time", "electronic", "synchronised", "satisfied"):
        points = f"{name}_basis_points"
        found[points] = getattr(row, points) if row.HasField(points) else None
    return found


def indicators(gateway, agency="H49.151", system=None, **asked):
    request = ds.GetIndicatorsRequest(agency=agency, **asked)
    return gateway.system(system or SYSTEMS[agency]).dossier.GetIndicators(request)


def exported(gateway):
    stream = gateway.system("auditor").log.ReadEntries(lg.ReadEntriesRequest())
    return [leaf for message in stream for leaf in message.leaves]


def test_indicators_are_those_of_a_recount_of_the_entries(gateway):
    other = {"procedure_code": "2.000815"}
    lives = [
        ({}, ["COMPLETION", "RETURN", "SATISFACTION"]), ({}, []), ({}, ["WITHDRAWAL", "FEEDBACK"]), (other, ["STOP"]),
        (other, ["APPRAISAL", "FEEDBACK", "FEEDBACK"]),
        (other, ["SUPPLEMENT_REQUEST", "SUPPLEMENT", "SUPPLEMENT_REQUEST", "SUPPLEMENT", "COMPLETION"]),
        ({"due_time": at(seconds=1)}, ["APPRAISAL"]), ({"due_time": at(seconds=1)}, []),
        ({"procedure_code": "1.003003"}, ["COMPLETION", "RETURN", "FEEDBACK"]),
    ]  # fmt: skip
    codes = [received(gateway, **fields) for fields, _ in lives]
    for code, (_, steps) in zip(codes, lives, strict=True):
        for step in steps:
            take(gateway, code, step, **needed(step))
    take(gateway, codes[8], "SATISFACTION", grade=2, note="chậm")
    wait_until(lambda: len(listed(gateway, "H49.151", late=True)) == 3)
    take(gateway, codes[7], "COMPLETION")
    take(gateway, new_code(), "REGISTRATION", procedure_code=PROCEDURE)
    # One began at the portal; of one the portal took a document over, of another it has not yet.
    take(gateway, begun := new_code(), "REGISTRATION", "G22", to="H49.151", procedure_code=PROCEDURE)
    take(gateway, begun, "RECEPTION", **needed("RECEPTION"))
    sent = [Letter("H49.151", ["G22"], dossier_code=code).send(gateway.system("commune")) for code in codes[3:5]]
    acknowledge(gateway.system("portal"), "G22", sent[0].consignment_id)
    signed = received(gateway)
    take(gateway, signed, "HANDOVER", to="H49")
    paper = result(gateway, signed, "H49", content=official(gateway.pki, "H49"))
    take(gateway, signed, "COMPLETION", "H49", consignment_id=paper)
    elsewhere = new_code()
    take(gateway, elsewhere, "RECEPTION", "H49.152", **needed("RECEPTION"))
    middle = at(seconds=0)
    take(gateway, codes[1], "STOP", note="lý do")
    take(gateway, codes[0], "FEEDBACK", note="cảm ơn")
    leaves = exported(gateway)
    for period in ({}, {"until": middle}, {"since": middle}):
        text = {name: moment.ToJsonString() for name, moment in period.items()}
        until = text.get("until", at(seconds=1).ToJsonString())
        rows = recount(leaves, text.get("since", ""), until, portals={"G22"})
        scopes = [
            (indicators(gateway, **period), {"H49.151"}),
            (indicators(gateway, "H49", scope=ds.INDICATOR_SCOPE_BELOW, **period), {"H49.151", "H49.152"}),
            (indicators(gateway, "", "auditor", scope=ds.INDICATOR_SCOPE_ALL, **period), {"H49.151", "H49.152"}),
        ]
        for found, agencies in scopes:
            within = [row for row in rows if row["agency"] in agencies]
            assert read_counts(found.total) == summed(within), (period, agencies)
            fields = {"1.003003": ("G15-DD", 2), PROCEDURE: ("G15-DD", 4)}
            kinds = [
                (found.procedures, lambda row: row["procedure"], lambda one: one.procedure_code),
                (found.agencies, lambda row: row["agency"], lambda one: one.agency),
                (found.fields, lambda row: fields.get(row["procedure"], ("", 0))[0], lambda one: one.field_code),
                (found.levels, lambda row: fields.get(row["procedure"], ("", 0))[1], lambda one: one.level),
            ]
            for ours, of_row, of_answer in kinds:
                expected = {name: summed([row for row in within if of_row(row) == name]) for name in map(of_row, within)}
                assert {of_answer(one): read_counts(one) for one in ours} == expected, (period, agencies)
    whole = indicators(gateway).total
    assert (whole.completed, whole.electronic, whole.electronic_basis_points) == (5, 1, 2000)
    assert (list(whole.grades), whole.satisfied_basis_points, whole.feedback) == ([0, 1, 0, 1, 0], 5000, 5)
    assert whole.synchronised == 2
    assert indicators(gateway, "H49").total.received == 0, "it did not receive it"
    assert indicators(gateway, system="auditor").total == whole
    named = {one.field_code: one.name for one in indicators(gateway).fields}
    assert named == {"": "", "G15-DD": "Đất đai"}


def test_indicators_are_for_whom_they_concern(gateway):
    with gateway.writes(0):
        with refused(INVALID, "FIELD_MALFORMED", "until"):
            indicators(gateway, since=at(days=-1), until=at(days=-2))
        with refused(FORBIDDEN, "AGENCY_NOT_YOURS", "agency"):
            indicators(gateway, "H49", system="commune")
        with refused(FORBIDDEN, "AGENCY_NOT_YOURS", "agency"):
            indicators(gateway, "H49", system="commune", scope=ds.INDICATOR_SCOPE_BELOW)
        with refused(FORBIDDEN, "ROLE_NOT_ALLOWED"):
            indicators(gateway, "", system="commune", scope=ds.INDICATOR_SCOPE_ALL)
        with refused(INVALID, "FIELD_MALFORMED", "agency"):
            indicators(gateway, "H49", system="auditor", scope=ds.INDICATOR_SCOPE_ALL)
        with refused(INVALID, "FIELD_MALFORMED", "since"):
            indicators(gateway, since=timestamp_pb2.Timestamp(seconds=-1))
    with gateway.writes(1):
        indicators(gateway, "", "auditor", scope=ds.INDICATOR_SCOPE_ALL)


def test_what_citizens_say_is_a_step_that_changes_nothing(gateway, tmp_path):
    code, key = new_code(), LogKey(gateway.pki.vkey)
    take(gateway, code, "REGISTRATION", "G22", to="H49.151", procedure_code=PROCEDURE)
    take(gateway, code, "RECEPTION", **needed("RECEPTION"))
    take(gateway, code, "HANDOVER", to="H49.11")
    before = show(gateway, code).dossier
    # The portal tells it; the reception and the agency that has it are told.
    with watching(gateway.system("commune"), "H49.151") as door, watching(gateway.system("province"), "H49.11") as office:
        said = take(gateway, code, "FEEDBACK", "G22", note="cán bộ gây khó dễ")
        entry = check_receipt(said.receipt, key)
        assert (entry["reason"], entry["from"]) == ("FEEDBACK", "G22") and "cán bộ".encode() not in said.receipt.leaf
        for stream in (door, office):
            notice, _ = next_event(stream, "notice")
            while b"\nreason FEEDBACK\n" not in notice.leaf:
                notice, _ = next_event(stream, "notice")
            assert notice.note == "cán bộ gây khó dễ"
    after = said.dossier
    assert (after.state, after.due_time, after.late) == (before.state, before.due_time, before.late)
    assert (after.feedback, after.grade, after.origin) == (1, 0, "G22")
    take(gateway, code, "OPINION_REQUEST", "H49.11", to="H49.152", consent_working_days=15)
    words = {system: [step.note for step in show(gateway, code, system).steps if step.note] for system in ("portal", "auditor")}
    assert words == {"portal": ["cán bộ gây khó dễ"], "auditor": ["cán bộ gây khó dễ"]}
    take(gateway, code, "COMPLETION", "H49.11")
    with gateway.writes(0), refused(STATE, "DOSSIER_STEP_NOT_ALLOWED", "step", state=9):
        take(gateway, code, "SATISFACTION", "G22", grade=5)
    take(gateway, code, "RETURN")
    with gateway.writes(0):
        with refused(INVALID, "FIELD_MISSING", "grade"):
            take(gateway, code, "SATISFACTION", "G22")
        with refused(INVALID, "FIELD_MISSING", "note"):
            take(gateway, code, "FEEDBACK", "G22")
        for step, fields in (("SATISFACTION", {"grade": 5}), ("FEEDBACK", {"note": "tốt"})):
            with refused(FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency", by="origin"):
                take(gateway, code, step, "H49.11", **fields)
            with refused(MISSING, "DOSSIER_UNKNOWN", "dossier_code"):
                take(gateway, code, step, "H49", **fields)
    request = str(uuid.uuid4())
    graded = take(gateway, code, "SATISFACTION", "G22", grade=2, note="chậm", request_id=request)
    entry = check_receipt(graded.receipt, key)
    assert (entry["grade"], graded.dossier.grade, graded.dossier.state) == ("2", 2, 10)
    with gateway.writes(0):
        assert take(gateway, code, "SATISFACTION", "G22", grade=2, note="chậm", request_id=request).repeated
        with refused(CONFLICT, "REQUEST_ID_REUSED", "request_id"):
            take(gateway, code, "SATISFACTION", "G22", grade=3, note="chậm", request_id=request)
        with refused(STATE, "DOSSIER_GRADED", "grade", grade=2):
            take(gateway, code, "SATISFACTION", "H49.151", grade=5)
    assert take(gateway, code, "FEEDBACK", note="đã xin lỗi").dossier.feedback == 2
    gateway.stop()
    vanthu("log", "audit", "--key", gateway.pki.folder / "log.vkey", "--data", gateway.folder / "data")
    vanthu("store", "rebuild", "--data", gateway.folder / "data")
    gateway.restart()
    assert show(gateway, code).dossier.grade == 2


def test_what_citizens_say_is_for_those_who_answer_to_them(gateway):
    code = new_code()
    take(gateway, code, "RECEPTION", "H49", **needed("RECEPTION"))
    take(gateway, code, "OPINION_REQUEST", "H49", to="H49.151", consent_working_days=15, note="xin ý kiến")
    take(gateway, code, "FEEDBACK", "H49", note="chờ quá lâu")
    # Who was only asked sees that something was said, and not what.
    asked, receiving = show(gateway, code, "commune"), show(gateway, code, "province")
    assert [step.note for step in asked.steps] == ["", "xin ý kiến", ""]
    assert [step.note for step in receiving.steps] == ["", "xin ý kiến", "chờ quá lâu"]


def test_citizens_take_no_room_from_agencies(shared):
    code = received(shared)
    for _ in range(100):
        take(shared, code, "FEEDBACK", note="nhanh lên")
    with shared.writes(0), refused(Code.RESOURCE_EXHAUSTED, "DOSSIER_FULL", "dossier_code", of="feedback", limit=100):
        take(shared, code, "FEEDBACK", note="nhanh lên")
    for _ in range(499):
        take(shared, code, "APPRAISAL")
    with shared.writes(0), refused(Code.RESOURCE_EXHAUSTED, "DOSSIER_FULL", "dossier_code", of="steps", limit=500):
        take(shared, code, "APPRAISAL")
    take(shared, code, "COMPLETION")
    take(shared, code, "RETURN")
    assert take(shared, code, "SATISFACTION", grade=1).dossier.grade == 1
    assert len(show(shared, code).steps) == 603


# ── the catalogue of procedures ──────────────────────────────────────────────────────────────────

MARRIAGE = "1.004873"


def test_the_gateway_counts_the_time_that_the_law_gives(gateway):
    code = new_code()
    took = take(gateway, code, "RECEPTION", procedure_code=MARRIAGE)
    since = took.dossier.receive_time.ToDatetime() + datetime.timedelta(hours=7)
    counted = vanthu_json("calendar", "due", since.strftime("%Y-%m-%dT%H:%M"), "--days", "3")
    assert took.dossier.due_time.ToJsonString() == counted["due"]
    late = timestamp_pb2.Timestamp(seconds=took.dossier.due_time.seconds + 1)
    with gateway.writes(0):
        with refused(INVALID, "DOSSIER_DATE_OUTSIDE", "due_time", until=counted["due"]):
            take(gateway, new_code(), "RECEPTION", procedure_code=MARRIAGE, due_time=late)
        # The law sets no time, or the procedure is not known: the office names one.
        for procedure in (PROCEDURE, "9.999999"):
            with refused(INVALID, "FIELD_MISSING", "due_time"):
                take(gateway, new_code(), "RECEPTION", procedure_code=procedure)
    assert take(gateway, new_code(), "RECEPTION", procedure_code=MARRIAGE, due_time=at(minutes=5)).dossier.state == 2
    take(gateway, new_code(), "RECEPTION", procedure_code="9.999999", due_time=at(days=900))


def test_a_result_that_must_be_signed_is_not_left_out(gateway):
    code = new_code()
    take(gateway, code, "RECEPTION", "H49", procedure_code=MARRIAGE)
    with gateway.writes(0), refused(STATE, "DOSSIER_RESULT_MISSING", "consignment_id", procedure=MARRIAGE):
        take(gateway, code, "COMPLETION", "H49")
    signed = result(gateway, code, "H49", content=official(gateway.pki, "H49"))
    assert take(gateway, code, "COMPLETION", "H49", consignment_id=signed).dossier.state == 9
    other = new_code()
    take(gateway, other, "RECEPTION", "H49", procedure_code="1.003003")
    take(gateway, other, "COMPLETION", "H49")


def test_a_catalogue_takes_effect_at_a_reload_and_a_wrong_one_does_not(start, pki, tmp_path):
    gateway = start(pki.copy(tmp_path / "pki"))
    path = gateway.pki.folder / "procedures.toml"
    text = path.read_text()
    code = new_code()
    request = {"procedure_code": MARRIAGE, "request_id": str(uuid.uuid4())}
    first = take(gateway, code, "RECEPTION", "H49", **request)
    path.write_text(text.replace('level = "commune"\nworking_days = 3', 'level = "xã"\nworking_days = 3'))
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "procedures.toml: line 31: level: no level" in gateway.traces())
    with refused(STATE, "DOSSIER_RESULT_MISSING", "consignment_id"):
        take(gateway, code, "COMPLETION", "H49")
    path.write_text(text.replace("signed_result = true", "signed_result = false").replace("working_days = 3\n", ""))
    gateway.reload()
    with gateway.writes(0):
        assert take(gateway, code, "RECEPTION", "H49", **request).receipt.entry_id == first.receipt.entry_id
        with refused(INVALID, "FIELD_MISSING", "due_time"):
            take(gateway, new_code(), "RECEPTION", "H49", procedure_code=MARRIAGE)
    assert take(gateway, code, "COMPLETION", "H49").dossier.state == 9


# ── numbers for an operations centre ─────────────────────────────────────────────────────────────


def page(gateway, name):
    with urllib.request.urlopen(f"http://{gateway.operations}/{name}") as answer:
        return answer.read().decode()


def numbers(gateway):
    try:
        return json.loads(page(gateway, "indicators.json"))
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return None


def followed(stream, wanted):
    """The next snapshot that is as wanted."""
    return next(snapshot for snapshot in stream if wanted(snapshot))


def test_the_numbers_follow_the_dossiers(gateway):
    def watched(system, agency=""):
        request = ds.WatchIndicatorsRequest(agency=agency)
        return gateway.system(system).dossier.WatchIndicators(request, timeout=60)

    code = received(gateway)
    with gateway.writes(1):
        auditor = watched("auditor")
        first = followed(auditor, lambda one: one.year.received == 1)
    commune, province = watched("commune", "H49.151"), watched("province", "H49")
    assert first.today.received == 1 and [one.count for one in first.states] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert followed(commune, lambda one: True).year == first.year
    assert followed(province, lambda one: True).year.received == 0
    take(gateway, code, "COMPLETION")
    take(gateway, code, "RETURN")
    take(gateway, code, "SATISFACTION", grade=5)
    take(gateway, new_code(), "RECEPTION", "H49.152", **needed("RECEPTION"))
    last = followed(auditor, lambda one: one.year.received == 2)
    assert (list(last.year.grades), last.year.satisfied_basis_points, last.states[9].count) == ([0, 0, 0, 0, 1], 10_000, 1)
    own = followed(commune, lambda one: one.states[9].count)
    assert own.year.received == 1, "only its own"
    wait_until(lambda: (numbers(gateway) or {}).get("year", {}).get("received") == 2)
    found = numbers(gateway)
    assert found["states"]["returned"] == 1 and found["states"]["received"] == 1 and found["late"] == 0
    assert found["today"] == found["year"] and found["year"]["grades"] == [0, 0, 0, 0, 1]
    assert not {"H49", PROCEDURE} & set(page(gateway, "indicators.json").split('"')), "nobody is named"
    lines = page(gateway, "metrics").splitlines()
    for line in ('vanthu_dossiers{state="returned"} 1', 'vanthu_dossier_grades{grade="5"} 1', "vanthu_dossiers_late 0"):
        assert line in lines, line
    whole = indicators(gateway, "", "auditor", scope=ds.INDICATOR_SCOPE_ALL)
    assert read_counts(whole.total) == read_counts(last.year)


def test_numbers_are_for_whom_they_concern(gateway):
    def first(system, agency):
        return next(gateway.system(system).dossier.WatchIndicators(ds.WatchIndicatorsRequest(agency=agency)))

    with gateway.writes(0):
        with refused(FORBIDDEN, "AGENCY_NOT_YOURS", "agency"):
            first("commune", "H49")
        with refused(INVALID, "FIELD_MALFORMED", "agency"):
            first("commune", "")
        with refused(FORBIDDEN, "ROLE_NOT_ALLOWED"):
            first("operator", "H49")


def test_others_see_nothing_and_what_auditors_see_is_recorded(gateway):
    code = received(gateway)
    with gateway.writes(0):
        with refused(MISSING, "DOSSIER_UNKNOWN", "dossier_code"):
            show(gateway, code, "portal")
        with refused(MISSING, "DOSSIER_UNKNOWN", "dossier_code"):
            show(gateway, new_code())
        with refused(INVALID, "DOSSIER_CODE_MALFORMED", "dossier_code"):
            show(gateway, "H49")
        show(gateway, code)
    with gateway.writes(1):
        assert show(gateway, code, "auditor").dossier.code == code


def test_the_commands_show_a_dossier_and_keep_its_proofs(gateway, tmp_path):
    code = new_code()
    pki, port = gateway.pki.folder, gateway.address.rsplit(":", 1)[1]
    caller = ["--server", f"https://localhost:{port}", "--ca", pki / "tls/ca.pem", "--cert", pki / "systems/commune.pem"]
    desk = [*caller, "--agency", "H49.151"]
    due = at(days=2).ToJsonString()
    vanthu("dossier", "record", *desk, code, "RECEPTION", "--procedure", PROCEDURE, "--due", due)
    vanthu("dossier", "record", *desk, code, "HANDOVER", "--to", "H49.11", "--note", "chuyển Sở")
    assert vanthu("dossier", "list", *desk).startswith(f"{code} in_process at H49.11")
    told = vanthu("dossier", "show", *caller, "--receipts", tmp_path, code)
    assert "RECEPTION" in told and "→ H49.11" in told and "chuyển Sở" in told and "H49.151 worked" in told
    shown = vanthu_json("dossier", "show", *caller, code)
    assert [step["step"] for step in shown["steps"]] == ["RECEPTION", "HANDOVER"]
    assert shown["clock"]["remaining_seconds"] >= 0
    assert "1 received; 0 done in time, 0 late; 1 open in time" in vanthu("dossier", "report", *desk)
    below = ["dossier", "report", *caller, "--below", "H49.151"]
    assert [row["of"] for row in vanthu_rows(*below)] == ["procedure", "field", "level", "agency", "total"]
    heading, *rows = csv.reader(vanthu(*below, "--output", "csv").splitlines())
    assert heading[:3] == ["Theo", "Mã", "Tên"] and {len(row) for row in rows} == {23} and len(rows) == 5
    assert rows[4][:11] == ["total", "total", "", "0", "1", "0", "0", "1", "0", "0", "100,00 %"]
    vanthu("dossier", "report", *caller, "--all", code=5)
    vanthu("dossier", "report", *caller, "--all", "--below", "H49", code=2)
    vanthu("dossier", "record", *desk, code, "FEEDBACK", "--note", "chậm")
    vanthu("dossier", "record", *desk, code, "SATISFACTION", "--grade", "6", code=2)
    proofs = sorted(tmp_path.iterdir())
    assert len(proofs) == 2
    for proof in proofs:
        assert "dossier" in vanthu("evidence", "verify", proof, "--key", pki / "log.vkey")
    vanthu("dossier", "record", *desk, code, "APPRAISED", code=2)
    vanthu("dossier", "show", *caller, new_code(), code=6)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────

FIELDS = {
    "no step": ({"step": 0}, INVALID, "FIELD_MISSING", "step"),
    "a malformed request id": ({"request_id": "1"}, INVALID, "REQUEST_ID_MALFORMED", "request_id"),
    "a malformed agency": ({"agency": "Hà Tu", "system": "commune"}, INVALID, "FIELD_MALFORMED", "agency"),
    "an unknown agency": ({"agency": "H49.999", "system": "commune"}, MISSING, "AGENCY_UNKNOWN", "agency"),
    "another's agency": ({"agency": "H49", "system": "commune"}, FORBIDDEN, "AGENCY_NOT_YOURS", "agency"),
    "an auditor": ({"system": "auditor"}, FORBIDDEN, "ROLE_NOT_ALLOWED", None),
    "a malformed code": ({"code": "H49.151-1"}, INVALID, "DOSSIER_CODE_MALFORMED", "dossier_code"),
    "no procedure": ({"procedure_code": ""}, INVALID, "FIELD_MISSING", "procedure_code"),
    "a long procedure": ({"procedure_code": "1" * 51}, INVALID, "FIELD_TOO_LONG", "procedure_code"),
    "a procedure with a space": ({"procedure_code": "1 2"}, INVALID, "FIELD_MALFORMED", "procedure_code"),
    "a short commitment": ({"applicant_sha256": b"x"}, INVALID, "FIELD_MALFORMED", "applicant_sha256"),
    "no date": ({"due_time": None}, INVALID, "FIELD_MISSING", "due_time"),
    "a date that is past": ({"due_time": at(days=-1)}, INVALID, "DOSSIER_DATE_OUTSIDE", "due_time"),
    "a date in a lifetime": ({"due_time": at(days=4000)}, INVALID, "DOSSIER_DATE_OUTSIDE", "due_time"),
    "no date at all": ({"due_time": timestamp_pb2.Timestamp(seconds=-5)}, INVALID, "FIELD_MALFORMED", "due_time"),
    "an agency where none belongs": ({"to": "H49"}, INVALID, "FIELD_NOT_OF_STEP", "to"),
    "a result where none belongs": ({"consignment_id": str(uuid.UUID(int=1))}, INVALID, "FIELD_NOT_OF_STEP", "consignment_id"),
    "a malformed result": ({"consignment_id": "x"}, INVALID, "FIELD_MALFORMED", "consignment_id"),
    "days where none belong": ({"consent_working_days": 3}, INVALID, "FIELD_NOT_OF_STEP", "consent_working_days"),
    "a long note": ({"note": "x" * 2001}, INVALID, "FIELD_TOO_LONG", "note"),
    "a grade where none belongs": ({"grade": 5}, INVALID, "FIELD_NOT_OF_STEP", "grade"),
    "a grade above the best": ({"grade": 6}, INVALID, "FIELD_MALFORMED", "grade"),
    "the gateway's step": ({"step": "OVERDUE"}, FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency"),
    "no such dossier": ({"step": "SEALING", "procedure_code": "", "due_time": None}, MISSING, "DOSSIER_UNKNOWN", "dossier_code"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_a_first_step_that_is_none(shared, name):
    fields, code, reason, field = FIELDS[name]
    fields = {"procedure_code": PROCEDURE, "due_time": at(days=3), "code": new_code(), "step": "RECEPTION", **fields}
    with shared.writes(0), refused(code, reason, field):
        take(shared, **fields)


def in_state(gateway, state):
    """A dossier of the commune in a state of the portal."""
    way = {
        1: ["REGISTRATION"], 2: ["RECEPTION"], 3: ["REGISTRATION", "NON_RECEPTION"], 4: ["RECEPTION", "APPRAISAL"],
        5: ["RECEPTION", "SUPPLEMENT_REQUEST"], 6: ["RECEPTION", "PAYMENT_REQUEST"], 7: ["RECEPTION", "WITHDRAWAL"],
        8: ["RECEPTION", "STOP"], 9: ["RECEPTION", "COMPLETION"], 10: ["RECEPTION", "COMPLETION", "RETURN"],
    }[state]  # fmt: skip
    code = new_code()
    for step in way:
        dossier = take(gateway, code, step, **needed(step)).dossier
    assert dossier.state == state
    return code


def needed(step):
    """The fields that a step must have."""
    fields = {
        "REGISTRATION": {"procedure_code": PROCEDURE},
        "RECEPTION": {"procedure_code": PROCEDURE, "due_time": at(days=30)},
        "HANDOVER": {"to": "H49.11"},
        "OPINION_REQUEST": {"to": "G22", "consent_working_days": 15},
        "APOLOGY": {"note": "mưa bão", "due_time": at(days=60)},
        "SATISFACTION": {"grade": 4},
    }
    with contextlib.suppress(KeyError):
        return fields[step]
    return {"note": "lý do"} if step in ("NON_RECEPTION", "SUPPLEMENT_REQUEST", "STOP", "FEEDBACK") else {}


# In which states a step may be taken, by the one agency that there is.
ALLOWED = {
    "REGISTRATION": [], "RECEPTION": [1], "NON_RECEPTION": [1], "HANDOVER": [2, 4], "APPRAISAL": [2, 4],
    "APPROVAL": [2, 4], "SEALING": [2, 4], "SUPPLEMENT_REQUEST": [2, 4], "SUPPLEMENT": [5], "PAYMENT_REQUEST": [2, 4],
    "PAYMENT": [6], "WITHDRAWAL": [1, 2, 4, 5, 6], "STOP": [2, 4, 5, 6], "COMPLETION": [2, 4], "RETURN": [9],
    "OPINION_REQUEST": [2, 4], "APOLOGY": [2, 4, 5, 6], "FEEDBACK": list(range(1, 11)), "SATISFACTION": [10],
}  # fmt: skip


@pytest.mark.parametrize("state", range(1, 11))
def test_every_step_in_every_state(shared, state):
    for step, states in ALLOWED.items():
        code = in_state(shared, state)
        if state in states:
            take(shared, code, step, **needed(step))
            continue
        with shared.writes(0), refused(STATE, "DOSSIER_STEP_NOT_ALLOWED", "step", state=state, step=step):
            take(shared, code, step, **needed(step))


def test_nobody_takes_another_agencys_step(shared):
    code = received(shared)
    take(shared, code, "HANDOVER", to="H49.11")
    with shared.writes(0):
        for step in ("HANDOVER", "APPRAISAL", "APPROVAL", "SEALING", "STOP", "COMPLETION", "OPINION_REQUEST"):
            fields = {**needed(step), **({"to": "G22"} if "to" in needed(step) else {})}
            with refused(FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency", by="holder", holder="H49.11"):
                take(shared, code, step, "H49.151", **fields)
        with refused(FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency", by="asked"):
            take(shared, code, "OPINION", "H49.11")
        # To others than its parties it does not exist.
        for step in ("WITHDRAWAL", "APPRAISAL", "OPINION"):
            with refused(MISSING, "DOSSIER_UNKNOWN", "dossier_code"):
                take(shared, code, step, "G22")
        with refused(STATE, "DOSSIER_STEP_NOT_ALLOWED", "step"):
            take(shared, code, "RECEPTION", "G22", procedure_code=PROCEDURE, due_time=at(days=3))
    take(shared, code, "COMPLETION", "H49.11")
    with shared.writes(0), refused(FORBIDDEN, "DOSSIER_STEP_NOT_YOURS", "agency", by="reception"):
        take(shared, code, "RETURN", "H49.11")


AGENCIES = {
    "itself": ("H49.151", INVALID, "RECIPIENT_IS_SENDER"),
    "nobody": ("H49.999", MISSING, "AGENCY_UNKNOWN"),
    "a closed one": ("H49.61", STATE, "AGENCY_CLOSED"),
    "a malformed one": ("Hà Nội", INVALID, "FIELD_MALFORMED"),
    "one without a system": ("A49", STATE, "MAILBOX_MISSING"),
    "none": ("", INVALID, "FIELD_MISSING"),
}


@pytest.mark.parametrize("name", AGENCIES)
@pytest.mark.parametrize("step", ["HANDOVER", "OPINION_REQUEST"])
def test_a_dossier_goes_only_where_somebody_is(shared, step, name):
    to, code, reason = AGENCIES[name]
    dossier = received(shared)
    with shared.writes(0), refused(code, reason, "to"):
        take(shared, dossier, step, **{**needed(step), "to": to})


def test_a_full_dossier_can_be_ended_and_nothing_else(shared):
    code = received(shared)
    for _ in range(499):
        take(shared, code, "APPRAISAL")
    with shared.writes(0), refused(Code.RESOURCE_EXHAUSTED, "DOSSIER_FULL", "dossier_code", of="steps", limit=500):
        take(shared, code, "APPRAISAL")
    take(shared, code, "COMPLETION")
    assert take(shared, code, "RETURN").dossier.state == 10


def test_what_a_passed_date_brought_about_stands_before_what_is_done_after_it(gateway):
    code = received(gateway, due_time=at(milliseconds=400))
    time.sleep(0.45)
    take(gateway, code, "APOLOGY", note="mưa bão", due_time=at(days=2))
    told = [dossier_pb2.DossierStep.Name(step.step).removeprefix("DOSSIER_STEP_") for step in show(gateway, code).steps]
    assert told == ["RECEPTION", "OVERDUE", "APOLOGY"]


def test_questions_have_a_measure(shared):
    code = received(shared)
    with shared.writes(0):
        with refused(INVALID, "FIELD_MISSING", "consent_working_days"):
            take(shared, code, "OPINION_REQUEST", to="G22")
        with refused(INVALID, "OPINION_DAYS_OUTSIDE", "consent_working_days", limit=66):
            take(shared, code, "OPINION_REQUEST", to="G22", consent_working_days=67)
        with refused(INVALID, "FIELD_NOT_OF_STEP", "due_time"):
            take(shared, code, "OPINION_REQUEST", to="G22", consent_working_days=3, due_time=at(days=3))
    asked = take(shared, code, "OPINION_REQUEST", to="G22", consent_working_days=15).dossier
    assert [(one.agency, one.rule) for one in asked.opinions] == [("G22", "CONSENT-AFTER-15-WORKING-DAYS")]
    with shared.writes(0), refused(STATE, "DOSSIER_OPINION_WAITS", "to", code="G22"):
        take(shared, code, "OPINION_REQUEST", to="G22", consent_working_days=15)
    with shared.writes(0), refused(INVALID, "DOSSIER_DATE_OUTSIDE", "due_time"):
        take(shared, code, "APOLOGY", note="mưa bão", due_time=at(days=19))
