"""Requests of receivers, tracers and auditors that must not succeed, and what others may not see."""

import uuid

import pytest
from grpc import StatusCode as Code
from mail import acknowledge, document, fetch, refuse, report
from papers import Letter
from refusals import refused
from vanthu.v1 import delivery_pb2, receipt_pb2
from vanthu.v1 import directory_service_pb2 as dr
from vanthu.v1 import evidence_service_pb2 as ev
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import mailbox_service_pb2 as box
from vanthu.v1 import submission_service_pb2 as sub
from vanthu.v1 import trace_service_pb2 as tr

INVALID, MISSING, FORBIDDEN = Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.PERMISSION_DENIED
NOBODYS = str(uuid.UUID(int=7))
IDS = ["", "1", "019AB2C3-7D2B-7000-8000-000000000001", "{019ab2c3-7d2b-7000-8000-000000000001}"]
TOKENS = ["x", "1", "1/", "1/-1", "01/1", "1/18446744073709551616", "0:1/1;", "9:1/1", "\0", "Hà Nội" * 10]


@pytest.fixture(scope="module")
def sent(shared):
    """A document from the commune to the province."""
    return Letter("H49.151", ["H49"]).send(shared.system("commune")).consignment_id


def read_all(stream):
    return list(stream)


def watch(system, **fields):
    return read_all(system.mailbox.Watch(box.WatchRequest(**fields)))


def list_items(system, **fields):
    return system.mailbox.ListItems(box.ListItemsRequest(**fields))


def trace(system, **fields):
    return system.trace.Trace(tr.TraceRequest(**fields))


def list_deliveries(system, **fields):
    return system.trace.ListDeliveries(tr.ListDeliveriesRequest(**fields))


def get_evidence(system, **fields):
    return read_all(system.evidence.GetEvidence(ev.GetEvidenceRequest(**fields)))


def get_receipt(system, epoch=1, index=0):
    entry_id = receipt_pb2.EntryId(epoch=epoch, index=index)
    return system.log.GetReceipt(lg.GetReceiptRequest(entry_id=entry_id))


def consistency(system, **fields):
    return system.log.GetConsistencyProof(lg.GetConsistencyProofRequest(**fields))


# ── agencies ───────────────────────────────────────────────────────────────────────────────────

AGENCIES = [
    ("", INVALID, "FIELD_MALFORMED"),
    ("H49 ", INVALID, "FIELD_MALFORMED"),
    ("x" * 36, INVALID, "FIELD_MALFORMED"),
    ("X99", MISSING, "AGENCY_UNKNOWN"),
    ("H49.151", FORBIDDEN, "AGENCY_NOT_YOURS"),
    ("A49", FORBIDDEN, "AGENCY_NOT_YOURS"),
]


@pytest.mark.parametrize("agency, code, reason", AGENCIES)
def test_a_mailbox_opens_for_its_own_system_only(shared, sent, agency, code, reason):
    province = shared.system("province")
    with shared.writes(0):
        for call in (
            lambda: watch(province, agency=agency),
            lambda: list_items(province, agency=agency),
            lambda: document(province, agency, sent),
            lambda: fetch(province, agency, sent, "cong-van.pdf"),
            lambda: acknowledge(province, agency, sent),
            lambda: refuse(province, agency, sent, "sai"),
            lambda: report(province, agency, sent, delivery_pb2.BUSINESS_STATUS_ARRIVED),
        ):
            with refused(code, reason, "agency"):
                call()


@pytest.mark.parametrize("sender, code, reason", [
    ("X99", MISSING, "SENDER_UNKNOWN"),
    ("H49", FORBIDDEN, "AGENCY_NOT_YOURS"),
    ("A49", FORBIDDEN, "AGENCY_NOT_YOURS"),
])  # fmt: skip
def test_a_system_sends_for_its_own_agencies_only(shared, sender, code, reason):
    commune, letter = shared.system("commune"), Letter(sender, ["G22"])
    with shared.writes(0):
        with refused(code, reason, "sender", code=sender):
            commune.submission.Announce(sub.AnnounceRequest(envelope=letter.envelope))
        with refused(code, reason, "sender"):
            letter.send(commune)


def test_a_closed_agency_sends_no_more_and_is_told_its_successors(shared):
    letter = Letter("H49.61", ["H49"])
    with shared.writes(0):
        with refused(Code.FAILED_PRECONDITION, "SENDER_CLOSED", "sender", successors="H49.151,H49.152"):
            letter.send(shared.system("district"))


# ── identifiers, pages, ranges, texts ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("consignment", IDS)
def test_a_consignment_id_that_is_none_is_refused(shared, consignment):
    province = shared.system("province")
    with shared.writes(0):
        for call in (
            lambda: document(province, "H49", consignment),
            lambda: fetch(province, "H49", consignment, "cong-van.pdf"),
            lambda: acknowledge(province, "H49", consignment),
            lambda: refuse(province, "H49", consignment, "sai"),
            lambda: report(province, "H49", consignment, delivery_pb2.BUSINESS_STATUS_ARRIVED),
            lambda: trace(province, consignment_id=consignment),
            lambda: list_deliveries(province, consignment_id=consignment),
            lambda: get_evidence(province, consignment_id=consignment),
        ):
            with refused(INVALID, "FIELD_MALFORMED", "consignment_id"):
                call()


def test_what_is_not_there_and_what_belongs_to_others_look_alike(shared, sent):
    district, portal = shared.system("district"), shared.system("portal")
    with shared.writes(0):
        for system, agency in ((district, "H49.11.3"), (portal, "G22")):
            for consignment in (NOBODYS, sent):
                for call in (
                    lambda: document(system, agency, consignment),
                    lambda: fetch(system, agency, consignment, "cong-van.pdf"),
                    lambda: acknowledge(system, agency, consignment),
                    lambda: refuse(system, agency, consignment, "sai"),
                    lambda: report(system, agency, consignment, delivery_pb2.BUSINESS_STATUS_FINISHED),
                    lambda: list_deliveries(system, consignment_id=consignment),
                    lambda: get_evidence(system, consignment_id=consignment),
                    lambda: get_evidence(system, consignment_id=consignment, recipient=agency),
                ):
                    with refused(MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"):
                        call()
                with refused(MISSING, "NOTHING_FOUND", "term"):
                    trace(system, consignment_id=consignment)


def test_the_sender_does_not_answer_its_own_document(shared, sent):
    commune = shared.system("commune")
    with shared.writes(0), refused(MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"):
        acknowledge(commune, "H49.151", sent)


@pytest.mark.parametrize("name", ["", "khac.pdf", "CONG-VAN.PDF", "../cong-van.pdf", "cong-van.pdf\0"])
def test_a_part_that_the_envelope_does_not_list_is_not_found(shared, sent, name):
    with refused(MISSING, "PART_UNKNOWN", "part_name"):
        fetch(shared.system("province"), "H49", sent, name)


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_or_cursor_that_is_not_ours_is_refused(shared, sent, token):
    province = shared.system("province")
    with refused(INVALID, "PAGE_TOKEN_MALFORMED", "cursor"):
        watch(province, agency="H49", cursor=token)
    with refused(INVALID, "PAGE_TOKEN_MALFORMED", "page_token"):
        list_items(province, agency="H49", page_token=token)
    with refused(INVALID, "PAGE_TOKEN_MALFORMED", "page_token"):
        trace(province, consignment_id=sent, page_token=token)


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_is_refused(shared, sent, size):
    province = shared.system("province")
    for call in (
        lambda: list_items(province, agency="H49", page_size=size),
        lambda: trace(province, consignment_id=sent, page_size=size),
        lambda: list_deliveries(province, consignment_id=sent, page_size=size),
        lambda: province.directory.ListAgencies(dr.ListAgenciesRequest(page_size=size)),
    ):
        with refused(INVALID, "FIELD_MALFORMED", "page_size"):
            call()


def test_a_page_that_is_too_large_is_made_smaller(shared, sent):
    assert list_items(shared.system("province"), agency="H49", page_size=2**31 - 1).items
    assert trace(shared.system("province"), consignment_id=sent, page_size=501).entries


@pytest.mark.parametrize("words, reason", [
    ("", "FIELD_MISSING"), (" \n\t", "FIELD_MISSING"), ("x" * 2001, "FIELD_TOO_LONG"), ("ệ" * 667, "FIELD_TOO_LONG"),
])  # fmt: skip
def test_a_document_is_returned_with_a_reason_of_reasonable_length(shared, sent, words, reason):
    with shared.writes(0), refused(INVALID, reason, "reason"):
        refuse(shared.system("province"), "H49", sent, words)


def test_a_report_with_too_many_words_is_refused(shared, sent):
    status = delivery_pb2.BUSINESS_STATUS_FINISHED
    with shared.writes(0), refused(INVALID, "FIELD_TOO_LONG", "note", size=2001, limit=2000):
        report(shared.system("province"), "H49", sent, status, "x" * 2001)
    with shared.writes(1):
        report(shared.system("province"), "H49", sent, status, "ệ" * 666 + "xx")


@pytest.mark.parametrize("status", [0, 2, 3, 7, 99, -1])
def test_only_reports_are_reported(shared, sent, status):
    with shared.writes(0), refused(INVALID, "STATUS_NOT_REPORTABLE", "status"):
        report(shared.system("province"), "H49", sent, status)


@pytest.mark.parametrize("term, code, reason, field", [
    ({}, INVALID, "SEARCH_EMPTY", "term"),
    ({"envelope_sha256": b""}, INVALID, "FIELD_MALFORMED", "envelope_sha256"),
    ({"envelope_sha256": b"x" * 33}, INVALID, "FIELD_MALFORMED", "envelope_sha256"),
    ({"envelope_sha256": b"x" * 32}, MISSING, "NOTHING_FOUND", "term"),
    ({"dossier_code": "H49.151"}, INVALID, "FIELD_MALFORMED", "dossier_code"),
    ({"dossier_code": "H49.151-19990101-0001"}, MISSING, "NOTHING_FOUND", "term"),
    ({"document_id": "không có"}, MISSING, "NOTHING_FOUND", "term"),
    ({"number": "999/KHÔNG"}, MISSING, "NOTHING_FOUND", "term"),
    ({"number": "x" * 100_000}, MISSING, "NOTHING_FOUND", "term"),
    ({"document_id": "\0" * 5000}, MISSING, "NOTHING_FOUND", "term"),
    ({"consignment_id": NOBODYS}, MISSING, "NOTHING_FOUND", "term"),
], ids=lambda value: None if isinstance(value, (str, Code)) else f"{value}"[:30])  # fmt: skip
def test_a_search_for_nothing_finds_nothing(shared, term, code, reason, field):
    with refused(code, reason, field):
        trace(shared.system("auditor"), **term)


@pytest.mark.parametrize("epoch, index", [(1, 10**6), (2, 0), (0, 0), (2**32 - 1, 2**64 - 1), (1, 2**64 - 1)])
def test_an_entry_that_is_not_there_has_no_receipt(shared, sent, epoch, index):
    with refused(MISSING, "ENTRY_UNKNOWN", "entry_id"):
        get_receipt(shared.system("auditor"), epoch, index)


def test_a_receipt_is_asked_for_by_its_entry(shared, sent):
    with refused(INVALID, "FIELD_MISSING", "entry_id"):
        shared.system("auditor").log.GetReceipt(lg.GetReceiptRequest())


@pytest.mark.parametrize("epoch", [2, 2**32 - 1])
def test_an_epoch_that_is_not_there_has_no_checkpoint(shared, sent, epoch):
    with refused(MISSING, "ENTRY_UNKNOWN", "epoch"):
        shared.system("auditor").log.GetCheckpoint(lg.GetCheckpointRequest(epoch=epoch))
    with refused(MISSING, "ENTRY_UNKNOWN", "epoch"):
        consistency(shared.system("auditor"), epoch=epoch, old_size=1, new_size=1)


@pytest.mark.parametrize("old, new", [(2, 1), (1, 10**6), (10**6, 10**6), (0, 2**64 - 1)])
def test_a_consistency_proof_stays_within_the_tree(shared, sent, old, new):
    with refused(Code.OUT_OF_RANGE, "RANGE_OUTSIDE", "new_size"):
        consistency(shared.system("auditor"), old_size=old, new_size=new)


@pytest.mark.parametrize("code, status, reason", [
    ("", INVALID, "FIELD_MALFORMED"), ("Hà Nội", INVALID, "FIELD_MALFORMED"), ("X99", MISSING, "AGENCY_UNKNOWN"),
])  # fmt: skip
def test_an_agency_that_is_not_there_is_not_found(shared, code, status, reason):
    directory = shared.system("commune").directory
    with refused(status, reason, "code"):
        directory.GetAgency(dr.GetAgencyRequest(code=code))
    if code:
        with refused(status, reason, "below"):
            directory.ListAgencies(dr.ListAgenciesRequest(below=code))


# ── roles ──────────────────────────────────────────────────────────────────────────────────────

SENDING = {
    "Announce": lambda s, id: s.submission.Announce(sub.AnnounceRequest(envelope=Letter().envelope)),
    "Upload": lambda s, id: s.submission.Upload(iter([])),
    "SubmitDocument": lambda s, id: Letter().send(s),
    "Submit": lambda s, id: s.submission.Submit(
        sub.SubmitRequest(request_id=NOBODYS, envelope=Letter().envelope)
    ),
    "Watch": lambda s, id: watch(s, agency="H49"),
    "ListItems": lambda s, id: list_items(s, agency="H49"),
    "GetDocument": lambda s, id: document(s, "H49", id),
    "FetchPart": lambda s, id: fetch(s, "H49", id, "cong-van.pdf"),
    "Acknowledge": lambda s, id: acknowledge(s, "H49", id),
    "Refuse": lambda s, id: refuse(s, "H49", id, "sai"),
    "ReportStatus": lambda s, id: report(s, "H49", id, delivery_pb2.BUSINESS_STATUS_ARRIVED),
}
READING = {
    "Trace": lambda s, id: trace(s, consignment_id=id),
    "ListDeliveries": lambda s, id: list_deliveries(s, consignment_id=id),
    "GetEvidence": lambda s, id: get_evidence(s, consignment_id=id),
}
AUDITING = {"ReadEntries": lambda s, id: read_all(s.log.ReadEntries(lg.ReadEntriesRequest()))}
ROLES = [("auditor", SENDING), ("operator", SENDING | READING | AUDITING)]
ROLES += [(name, AUDITING) for name in ("commune", "portal")]


@pytest.mark.parametrize("name, call", [
    pytest.param(name, call, id=f"{name}-{label}") for name, calls in ROLES for label, call in calls.items()
])  # fmt: skip
def test_a_role_does_only_what_it_may(shared, sent, name, call):
    with shared.writes(0), refused(FORBIDDEN, "ROLE_NOT_ALLOWED", None, system=name):
        call(shared.system(name), sent)


def test_a_receipt_is_for_parties_and_auditors(shared, sent):
    for index in range(2):
        get_receipt(shared.system("auditor"), 1, index)
        get_receipt(shared.system("commune"), 1, index)
        for stranger in ("district", "portal", "operator"):
            with refused(FORBIDDEN, "NOT_A_PARTY", "entry_id"):
                get_receipt(shared.system(stranger), 1, index)


def test_everybody_known_reads_the_directory_and_the_checkpoint(shared, sent):
    for name in ("commune", "portal", "auditor", "operator"):
        system = shared.system(name)
        assert system.log.GetCheckpoint(lg.GetCheckpointRequest()).size == shared.size()
        closed = system.directory.GetAgency(dr.GetAgencyRequest(code="000.00.61.H49")).agency
        assert (closed.code, list(closed.successors)) == ("H49.61", ["H49.151", "H49.152"])
        assert closed.valid_until.year == 2025
        assert not system.directory.GetAgency(dr.GetAgencyRequest(code="A49")).agency.reachable
        below, token = [], ""
        while True:
            request = dr.ListAgenciesRequest(below="H49", page_size=3, page_token=token)
            page = system.directory.ListAgencies(request)
            below += [agency.code for agency in page.agencies]
            token = page.next_page_token
            if not token:
                break
        assert below == ["H49.11", "H49.11.3", "H49.151", "H49.152"]
        assert len(system.directory.ListAgencies(dr.ListAgenciesRequest()).agencies) == 9
