"""Envelopes, parts and uploads that must not come in: each named by its reason, and nothing written."""

import contextlib
import hashlib
import itertools
import threading
import uuid
from datetime import timedelta

import grpc
import pytest
from gateway import CALL_SECONDS, wait_until
from grpc import StatusCode as Code
from mail import fetch
from papers import Letter, date, part, today, upload
from proofs import read_entry
from refusals import refused
from vanthu.v1 import envelope_pb2
from vanthu.v1 import submission_service_pb2 as sub
from vanthu.v1 import trace_service_pb2 as tr

INVALID, TOO_MUCH = Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED
Link, Signer = envelope_pb2.DocumentLink, envelope_pb2.Signer
ANNEX, SIGNATURE = envelope_pb2.PART_ROLE_ANNEX, envelope_pb2.PART_ROLE_SIGNATURE
TOMORROW = date(today() + timedelta(days=2))
GIB = 1024**3


def announce(system, envelope):
    return system.submission.Announce(sub.AnnounceRequest(envelope=envelope))


# ── fields of the envelope ─────────────────────────────────────────────────────────────────────

FIELDS = [
    # Every text: missing, too long, with characters that could deceive a reader.
    *[
        ({name: "x" * (limit + 1)}, INVALID, "FIELD_TOO_LONG", name)
        for name, limit in [
            ("document_id", 100), ("number", 11), ("notation", 30), ("type_name", 100),
            ("subject", 500), ("place", 50), ("procedure_code", 50),
        ]
    ],
    *[({name: ""}, INVALID, "FIELD_MISSING", name) for name in ("document_id", "type_name", "subject", "sender")],
    *[
        ({"subject": f"Về việc{bad}hồ sơ"}, INVALID, "CHARACTER_FORBIDDEN", "subject")
        for bad in ("\n", "\r", "\t", "\0", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ufeff")
    ],
    ({"subject": " Về việc"}, INVALID, "CHARACTER_FORBIDDEN", "subject"),
    ({"subject": "Về việc\u00a0"}, INVALID, "CHARACTER_FORBIDDEN", "subject"),
    ({"document_id": "a\nb"}, INVALID, "CHARACTER_FORBIDDEN", "document_id"),
    ({"number": "1\u202e2"}, INVALID, "CHARACTER_FORBIDDEN", "number"),
    ({"notation": "UBND"}, INVALID, "FIELD_MISSING", "number"),
    ({"signer": Signer(competence="x" * 101)}, INVALID, "FIELD_TOO_LONG", "signer.competence"),
    ({"signer": Signer(position="x" * 101)}, INVALID, "FIELD_TOO_LONG", "signer.position"),
    ({"signer": Signer(full_name="x" * 51)}, INVALID, "FIELD_TOO_LONG", "signer.full_name"),
    ({"signer": Signer(full_name="a\nb")}, INVALID, "CHARACTER_FORBIDDEN", "signer.full_name"),
    # Dates.
    ({"issue_date": None}, INVALID, "FIELD_MISSING", "issue_date"),
    ({"issue_date": TOMORROW}, INVALID, "DATE_IN_FUTURE", "issue_date"),
    *[
        ({"issue_date": envelope_pb2.Date(year=year, month=month, day=day)}, INVALID, "FIELD_MALFORMED", "issue_date")
        for year, month, day in [
            (2026, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0), (2026, -1, 1), (1944, 12, 31),
            (10000, 1, 1), (-1, 1, 1), (2**31 - 1, 1, 1), (2026, 257, 1),
        ]
    ],
    ({"due_date": date(today() - timedelta(days=2))}, INVALID, "DUE_DATE_BEFORE_ISSUE", "due_date"),
    ({"due_date": envelope_pb2.Date(year=2027, month=4, day=31)}, INVALID, "FIELD_MALFORMED", "due_date"),
    # Choices. An unknown value is none of ours.
    *[({"urgency": value}, INVALID, "FIELD_MALFORMED", "urgency") for value in (0, 5, -1)],
    *[({"form": value}, INVALID, "FIELD_MALFORMED", "form") for value in (0, 3)],
    *[({"secrecy": value}, INVALID, "STATE_SECRET", "secrecy") for value in (0, 2, 3, 4, 99)],
    # Codes.
    ({"sender": "H49 151"}, INVALID, "FIELD_MALFORMED", "sender"),
    ({"sender": "x" * 36}, INVALID, "FIELD_MALFORMED", "sender"),
    ({"recipients": [""]}, INVALID, "FIELD_MALFORMED", "recipients[0]"),
    ({"recipients": ["H49", "H4\n9"]}, INVALID, "FIELD_MALFORMED", "recipients[1]"),
    ({"recipients_below": ["Hà Nội"]}, INVALID, "FIELD_MALFORMED", "recipients_below[0]"),
    ({"recipients": []}, INVALID, "RECIPIENTS_MISSING", "recipients"),
    ({"recipients": [f"X{index}" for index in range(5001)]}, TOO_MUCH, "RECIPIENTS_TOO_MANY", "recipients"),
    *[
        ({"dossier_code": code}, INVALID, "DOSSIER_CODE_MALFORMED", "dossier_code")
        for code in ("H49.151", "H49.151-2026-0001", "H49.151-20261122-1", "-20261122-0001", "H49-20261122-0001\n")
    ],
    # Links.
    ({"replies_to": [Link(document_id="a")] * 33}, TOO_MUCH, "LINKS_TOO_MANY", "replies_to"),
    ({"replaces": [Link(document_id="a")] * 33}, TOO_MUCH, "LINKS_TOO_MANY", "replaces"),
    ({"replies_to": [Link()]}, INVALID, "FIELD_MISSING", "replies_to[0].document_id"),
    ({"replaces": [Link(document_id="a"), Link(document_id="x" * 101)]}, INVALID, "FIELD_TOO_LONG",
     "replaces[1].document_id"),
    ({"replaces": [Link(document_id="a", issuer="?")]}, INVALID, "FIELD_MALFORMED", "replaces[0].issuer"),
]  # fmt: skip


def name_of(value):
    return f"{value}"[:40] if not isinstance(value, (str, Code)) else None


@pytest.mark.parametrize("fields, code, reason, field", FIELDS, ids=name_of)
def test_a_wrong_field_is_refused_before_any_byte_travels(shared, fields, code, reason, field):
    commune = shared.system("commune")
    letter = Letter(**fields)
    with shared.writes(0):
        with refused(code, reason, field):
            announce(commune, letter.envelope)
        with refused(code, reason, field):
            letter.send(commune)


# ── parts ──────────────────────────────────────────────────────────────────────────────────────

MAIN = part("cong-van.pdf", b"x")


def annex(**changes):
    return part("phu-luc.pdf", b"y", ANNEX, **changes)


def signature(**changes):
    return part("chu-ky.p7s", b"z", SIGNATURE, **changes)


PARTS = [
    ([], INVALID, "PARTS_MISSING", "parts"),
    ([annex()], INVALID, "MAIN_PART_COUNT", "parts"),
    ([MAIN, part("hai.pdf", b"y")], INVALID, "MAIN_PART_COUNT", "parts"),
    ([MAIN, *[part(f"{index}", b"y", ANNEX) for index in range(50)]], TOO_MUCH, "PARTS_TOO_MANY", "parts"),
    ([MAIN, annex(name="cong-van.pdf")], INVALID, "PART_NAME_DUPLICATE", "parts[1].name"),
    ([MAIN, annex(name="")], INVALID, "FIELD_MISSING", "parts[1].name"),
    ([MAIN, annex(name="x" * 201)], INVALID, "FIELD_TOO_LONG", "parts[1].name"),
    ([MAIN, annex(name="a\0.pdf")], INVALID, "CHARACTER_FORBIDDEN", "parts[1].name"),
    *[
        ([MAIN, annex(name=name)], INVALID, "FIELD_MALFORMED", "parts[1].name")
        for name in ("../bi-mat.pdf", "/etc/passwd", "a\\b.pdf", "..", ".")
    ],
    ([MAIN, annex(media_type="")], INVALID, "FIELD_MISSING", "parts[1].media_type"),
    ([MAIN, annex(media_type="x" * 128)], INVALID, "FIELD_TOO_LONG", "parts[1].media_type"),
    ([MAIN, annex(size=0)], INVALID, "PART_EMPTY", "parts[1].size"),
    ([MAIN, annex(size=10 * GIB + 1)], TOO_MUCH, "PART_TOO_LARGE", "parts[1].size"),
    ([MAIN, annex(size=2**64 - 1)], TOO_MUCH, "PART_TOO_LARGE", "parts[1].size"),
    ([MAIN, annex(size=10 * GIB)], TOO_MUCH, "DOCUMENT_TOO_LARGE", "parts"),
    ([MAIN, annex(sha256=b"\0" * 31)], INVALID, "FIELD_MALFORMED", "parts[1].sha256"),
    ([MAIN, annex(sha256=b"")], INVALID, "FIELD_MALFORMED", "parts[1].sha256"),
    ([MAIN, annex(role=0)], INVALID, "FIELD_MALFORMED", "parts[1].role"),
    ([MAIN, annex(role=9)], INVALID, "FIELD_MALFORMED", "parts[1].role"),
    ([MAIN, annex(signs="cong-van.pdf")], INVALID, "FIELD_MALFORMED", "parts[1].signs"),
    *[
        ([MAIN, signature(signs=signs)], INVALID, "SIGNATURE_TARGET_UNKNOWN", "parts[1].signs")
        for signs in ("", "khac.pdf", "chu-ky.p7s")
    ],
    ([MAIN, signature(signs="cong-van.pdf"), signature(name="2.p7s", signs="chu-ky.p7s")],
     INVALID, "SIGNATURE_TARGET_UNKNOWN", "parts[2].signs"),
]  # fmt: skip


@pytest.mark.parametrize("parts, code, reason, field", PARTS, ids=lambda value: f"{len(value)}" if isinstance(value, list) else None)
def test_a_wrong_part_is_refused_before_any_byte_travels(shared, parts, code, reason, field):
    commune = shared.system("commune")
    letter = Letter(parts=parts)
    with shared.writes(0):
        with refused(code, reason, field):
            announce(commune, letter.envelope)
        with refused(code, reason, field):
            letter.send(commune)


@pytest.mark.parametrize(
    "sent, reason, field",
    [
        ([], "PARTS_DO_NOT_MATCH", "parts"),
        ([b"main"], "PARTS_DO_NOT_MATCH", "parts"),
        ([b"main", b"annex", b"more"], "PARTS_DO_NOT_MATCH", "parts"),
        ([b"main", b"annexe"], "SIZE_MISMATCH", "parts[1]"),
        ([b"main", b""], "SIZE_MISMATCH", "parts[1]"),
        ([b"main", b"annux"], "DIGEST_MISMATCH", "parts[1]"),
        ([b"annex", b"main"], "SIZE_MISMATCH", "parts[0]"),
    ],
    ids=str,
)
def test_other_bytes_than_the_envelope_lists_are_refused(shared, sent, reason, field):
    code = INVALID if reason == "PARTS_DO_NOT_MATCH" else Code.DATA_LOSS
    letter = Letter(content=b"main", annexes=[b"annex"])
    with shared.writes(0), refused(code, reason, field):
        letter.send(shared.system("commune"), parts=sent)


# ── the envelope as a whole ────────────────────────────────────────────────────────────────────

GOOD = Letter().envelope
MALFORMED = {
    "garbage": b"\xff\xff\xff\xff",
    "cut off": GOOD[:-1],
    "text": b"<?xml version='1.0'?><edXML/>",
    "a group": b"\x0b" * 40,
    "an endless length": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "latin letters in another encoding": b"\x0a\x02\xc0\xaf" + GOOD,
    "a field of another type": b"\x08\x01" + GOOD,
}


@pytest.mark.parametrize("envelope", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_no_envelope_are_refused(shared, envelope):
    commune, letter = shared.system("commune"), Letter()
    with shared.writes(0):
        with refused(INVALID, "ENVELOPE_MALFORMED", "envelope"):
            announce(commune, envelope)
        with refused(INVALID, "ENVELOPE_MALFORMED", "envelope"):
            letter.send(commune, envelope=envelope)
        with refused(INVALID, "FIELD_MISSING", "envelope"):
            letter.send(commune, envelope=b"")


def padded(letter, size):
    """The envelope with a field from the future, so that it has exactly `size` bytes."""
    room = size - len(letter.envelope) - 5
    length = bytes([room & 0x7F | 0x80, room >> 7 & 0x7F | 0x80, room >> 14])
    return letter.envelope + b"\xfa\x7f" + length + b"x" * room


def test_an_envelope_may_be_half_a_mebibyte_and_no_more(shared):
    commune, letter = shared.system("commune"), Letter()
    limit = 512 * 1024
    with shared.writes(2):
        with refused(TOO_MUCH, "ENVELOPE_TOO_LARGE", "envelope", size=limit + 1, limit=limit):
            announce(commune, padded(letter, limit + 1))
        with refused(TOO_MUCH, "ENVELOPE_TOO_LARGE", "envelope"):
            letter.send(commune, envelope=padded(letter, limit + 1))
        letter.send(commune, envelope=padded(letter, limit))


def test_a_message_above_four_mebibytes_is_refused_and_large_parts_go_by_upload(shared):
    commune = shared.system("commune")
    content = b"x" * (5 * 1024 * 1024)
    letter = Letter(content=content)
    with shared.writes(0):
        with refused(TOO_MUCH, "MESSAGE_TOO_LARGE", None, limit=4 * 1024 * 1024):
            letter.send(commune)
        with refused(TOO_MUCH, "MESSAGE_TOO_LARGE", "chunk"):
            commune.submission.Upload(upload(content, chunk_size=len(content)))
    with shared.writes(2):
        commune.submission.Upload(upload(content, chunk_size=256 * 1024))
        commune.submission.Submit(sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope))


@pytest.mark.parametrize("request_id", ["", "1", "0d9a3a4e-52b5-4f61-8f0a-3c1c2f6f2a1", "không phải UUID", "x" * 100_000])
def test_a_request_id_that_is_no_uuid_is_refused(shared, request_id):
    letter = Letter()
    letter.request_id = request_id
    with shared.writes(0), refused(INVALID, "REQUEST_ID_MALFORMED", "request_id"):
        letter.send(shared.system("commune"))


def test_a_request_id_is_the_same_in_any_spelling(shared):
    letter = Letter()
    with shared.writes(2):
        first = letter.send(shared.system("commune"))
        for spelling in (letter.request_id.upper(), uuid.UUID(letter.request_id).hex):
            assert letter.send(shared.system("commune"), request_id=spelling).receipt == first.receipt


# ── routing ────────────────────────────────────────────────────────────────────────────────────

ROUTES = [
    ({"to": ["X99"]}, Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]", {"code": "X99"}),
    ({"to": ["H49", "H49.1511"]}, Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[1]", {"code": "H49.1511"}),
    ({"to": ["H49.61"]}, Code.FAILED_PRECONDITION, "AGENCY_CLOSED", "recipients[0]",
     {"code": "H49.61", "successors": "H49.151,H49.152"}),
    ({"to": ["000.00.61.H49"]}, Code.FAILED_PRECONDITION, "AGENCY_CLOSED", "recipients[0]",
     {"successors": "H49.151,H49.152"}),
    ({"to": ["A49"]}, Code.FAILED_PRECONDITION, "MAILBOX_MISSING", "recipients[0]", {"code": "A49"}),
    ({"to": ["H49.151"]}, INVALID, "RECIPIENT_IS_SENDER", "recipients[0]", {}),
    ({"to": ["H49", "G22", "H49"]}, INVALID, "RECIPIENT_DUPLICATE", "recipients[2]", {"code": "H49"}),
    ({"to": ["G22", "000.00.00.G22"]}, INVALID, "RECIPIENT_DUPLICATE", "recipients[1]", {}),
    ({"to": [], "recipients_below": ["H49.152"]}, INVALID, "GROUP_EMPTY", "recipients_below[0]", {"code": "H49.152"}),
    ({"to": [], "recipients_below": ["H49", "X99"]}, Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients_below[1]", {}),
]  # fmt: skip


@pytest.mark.parametrize("fields, code, reason, field, metadata", ROUTES, ids=name_of)
def test_a_document_that_reaches_nobody_is_refused_and_the_refusal_recorded(
    shared, fields, code, reason, field, metadata
):
    commune, letter = shared.system("commune"), Letter(**fields)
    with shared.writes(0), refused(code, reason, field, **metadata):
        announce(commune, letter.envelope)
    with shared.writes(1), refused(code, reason, field, **metadata) as refusal:
        letter.send(commune)
    request = tr.TraceRequest(envelope_sha256=letter.digest)
    [found] = shared.system("commune").trace.Trace(request).entries
    entry = read_entry(found.leaf)
    assert (entry["event"], entry["reason"], entry["from"]) == ("SubmissionRejection", reason, "H49.151")
    assert refusal.metadata["log_entry"] == f"{found.entry_id.epoch}/{found.entry_id.index}"


def test_a_refused_request_may_be_sent_again_corrected(shared):
    commune, letter = shared.system("commune"), Letter(to=["X99"])
    with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]"):
        letter.send(commune)
    letter.fields.recipients[0] = "H49"
    assert not letter.send(commune).repeated


# ── uploads ────────────────────────────────────────────────────────────────────────────────────

Header, Request = sub.UploadHeader, sub.UploadRequest
SHA = hashlib.sha256(b"content").digest()
counter = itertools.count()


def fresh():
    """Content that nobody has uploaded."""
    return f"content {next(counter)}".encode()


def header(**changes):
    return Request(header=Header(**({"sha256": SHA, "size": 7} | changes)))


CHUNK = Request(chunk=b"content")
UPLOADS = [
    ([], INVALID, "CHUNK_ORDER", "header"),
    ([CHUNK], INVALID, "CHUNK_ORDER", "header"),
    ([Request()], INVALID, "CHUNK_ORDER", "kind"),
    ([header(), header()], INVALID, "CHUNK_ORDER", "chunk"),
    ([header(), Request()], INVALID, "CHUNK_ORDER", "kind"),
    ([header(sha256=b""), CHUNK], INVALID, "FIELD_MALFORMED", "header.sha256"),
    ([header(sha256=SHA + b"x"), CHUNK], INVALID, "FIELD_MALFORMED", "header.sha256"),
    ([header(size=0), CHUNK], INVALID, "PART_EMPTY", "header.size"),
    ([header(size=10 * GIB + 1), CHUNK], TOO_MUCH, "PART_TOO_LARGE", "header.size"),
    ([header(size=2**64 - 1), CHUNK], TOO_MUCH, "PART_TOO_LARGE", "header.size"),
    ([header(offset=3), CHUNK], INVALID, "CHUNK_ORDER", "header.offset"),
    ([header(offset=2**64 - 1), CHUNK], INVALID, "CHUNK_ORDER", "header.offset"),
    ([header()], Code.DATA_LOSS, "SIZE_MISMATCH", "chunk"),
    ([header(sha256=b"\1" * 32, size=6), CHUNK], Code.DATA_LOSS, "SIZE_MISMATCH", "chunk"),
    ([header(sha256=b"\2" * 32), CHUNK], Code.DATA_LOSS, "DIGEST_MISMATCH", "header.sha256"),
]


@pytest.mark.parametrize("messages, code, reason, field", UPLOADS, ids=lambda value: f"{len(value)}" if isinstance(value, list) else None)
def test_a_wrong_upload_is_refused(shared, messages, code, reason, field):
    with shared.writes(0), refused(code, reason, field):
        shared.system("commune").submission.Upload(iter(messages))


def test_an_upload_of_other_bytes_begins_again(shared):
    commune, content = shared.system("commune"), fresh()
    wrong = Header(sha256=hashlib.sha256(content).digest(), size=len(content))
    with refused(Code.DATA_LOSS, "DIGEST_MISMATCH", "header.sha256"):
        commune.submission.Upload(upload(b"?" * len(content), wrong))
    assert announce(commune, Letter(content=content).envelope).missing[0].offset == 0
    assert commune.submission.Upload(upload(content)).size == len(content)


def test_an_upload_resumed_at_the_wrong_place_is_told_the_right_one(shared):
    commune, content = shared.system("commune"), fresh() * 100
    half = len(content) // 2
    start = itertools.islice(upload(content, chunk_size=half), 2)
    with refused(Code.DATA_LOSS, "SIZE_MISMATCH", "chunk", received=half):
        commune.submission.Upload(start)
    for offset in (0, half - 1, half + 1, len(content)):
        with refused(INVALID, "CHUNK_ORDER", "header.offset", offset=half):
            commune.submission.Upload(upload(content, offset=offset))
    assert commune.submission.Upload(upload(content, offset=half)).size == len(content)


def test_a_size_that_contradicts_what_was_uploaded_is_the_senders_fault(shared):
    commune, content = shared.system("commune"), fresh()
    commune.submission.Upload(upload(content))
    letter = Letter(content=content)
    letter.fields.parts[0].size -= 1
    request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
    with shared.writes(0):
        with refused(Code.DATA_LOSS, "SIZE_MISMATCH", "parts[0].size"):
            announce(commune, letter.envelope)
        with refused(Code.DATA_LOSS, "SIZE_MISMATCH", "parts[0].size"):
            commune.submission.Submit(request)


def test_a_system_may_not_leave_more_than_two_hundred_uploads_open(gateway):
    commune = gateway.system("commune")
    for index in range(200):
        with refused(Code.DATA_LOSS, "SIZE_MISMATCH", "chunk"):
            digest = hashlib.sha256(b"%d" % index).digest()
            commune.submission.Upload(iter([header(sha256=digest), Request(chunk=b"x")]))
    with refused(TOO_MUCH, "UPLOADS_TOO_MANY", None, unfinished=200):
        commune.submission.Upload(upload(fresh()))
    assert gateway.system("province").submission.Upload(upload(fresh())).size


def test_what_was_not_uploaded_is_not_submitted(shared):
    letter = Letter(content=fresh())
    request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
    with shared.writes(0), refused(Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE", "parts[0]", offset=0):
        shared.system("commune").submission.Submit(request)


def test_a_connection_that_breaks_in_mid_upload_keeps_what_arrived(shared):
    content = fresh() * 50_000
    letter = Letter(content=content)
    connection = shared.connect("commune")

    def half():
        messages = upload(content)
        yield from itertools.islice(messages, 6)
        connection.close()
        yield from messages

    with pytest.raises((grpc.RpcError, ValueError)):
        connection.submission.Upload(half())
    commune = shared.system("commune")
    while missing := announce(commune, letter.envelope).missing:
        # What was on its way when the connection broke may still be arriving.
        with contextlib.suppress(grpc.RpcError):
            commune.submission.Upload(upload(content, offset=missing[0].offset))
    with shared.writes(2):
        request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
        result = commune.submission.Submit(request).result
    assert fetch(commune, "H49.151", result.consignment_id, "cong-van.pdf") == content


def cut_off_before_the_end(commune, content, letter, sent):
    """Uploads `sent` as `content`; the call is given up between its last byte and its end."""
    lie = Header(sha256=hashlib.sha256(content).digest(), size=len(content))
    cut = threading.Event()

    def everything_but_the_end():
        yield from upload(sent, lie)
        cut.wait(CALL_SECONDS)

    def all_arrived():
        missing = announce(commune, letter.envelope).missing
        return not missing or missing[0].offset == len(content)

    call = commune.submission.Upload.future(everything_but_the_end())
    wait_until(all_arrived)
    call.cancel()
    cut.set()


def test_an_upload_cut_off_after_its_last_byte_is_completed_by_resuming_at_its_end(shared):
    commune, content = shared.system("commune"), fresh() * 1000
    letter = Letter(content=content)
    cut_off_before_the_end(commune, content, letter, content)
    for missing in announce(commune, letter.envelope).missing:
        commune.submission.Upload(upload(content, offset=missing.offset))
    assert not announce(commune, letter.envelope).missing
    with shared.writes(2):
        request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
        result = commune.submission.Submit(request).result
    assert fetch(commune, "H49.151", result.consignment_id, "cong-van.pdf") == content


def test_other_bytes_of_the_right_size_are_not_submitted(shared):
    commune, content = shared.system("commune"), fresh() * 1000
    letter = Letter(content=content)
    cut_off_before_the_end(commune, content, letter, b"?" * len(content))
    request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
    with shared.writes(0), refused(Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE", "parts[0]"):
        commune.submission.Submit(request)
    while missing := announce(commune, letter.envelope).missing:
        # The wrong bytes are thrown away when the call ends or when the upload is resumed.
        with contextlib.suppress(grpc.RpcError):
            commune.submission.Upload(upload(content, offset=missing[0].offset))
    assert not commune.submission.Submit(request).result.repeated
