"""What auditors ask stands in the log before it is answered; what others ask of their own does not."""

import hashlib

import pytest
from gateway import vanthu
from grpc import StatusCode as Code
from papers import Letter
from proofs import read_entry
from refusals import refused
from vanthu.v1 import evidence_service_pb2 as ev
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import report_service_pb2 as rp
from vanthu.v1 import trace_service_pb2 as tr


@pytest.fixture(scope="module")
def story(pki, start):
    gateway = start(pki)
    commune = gateway.system("commune")
    gateway.sent = [Letter("H49.151", ["H49", "G22"], number=str(n), notation="UBND").send(commune) for n in range(5)]
    gateway.consignment = gateway.sent[0].consignment_id
    yield gateway
    gateway.stop()


def entries(gateway):
    """Every entry; reading them is an entry too, the last."""
    auditor = gateway.system("auditor")
    stream = auditor.log.ReadEntries(lg.ReadEntriesRequest())
    return [read_entry(leaf) for message in stream for leaf in message.leaves]


def drain(stream):
    for _ in stream:
        pass


READS = {
    "trace": ("TRACE", lambda s, g: s.trace.Trace(tr.TraceRequest(consignment_id=g.consignment))),
    "deliveries": (
        "TRACE",
        lambda s, g: s.trace.ListDeliveries(tr.ListDeliveriesRequest(consignment_id=g.consignment)),
    ),
    "search": ("TRACE", lambda s, g: s.trace.Search(tr.SearchRequest(sender="H49.151", recipient="H49"))),
    "evidence": (
        "EVIDENCE",
        lambda s, g: drain(s.evidence.GetEvidence(ev.GetEvidenceRequest(consignment_id=g.consignment))),
    ),
    "outgoing": ("STATISTICS", lambda s, g: drain(s.report.ListOutgoing(rp.ListOutgoingRequest(agency="H49.151")))),
    "incoming": ("STATISTICS", lambda s, g: drain(s.report.ListIncoming(rp.ListIncomingRequest(agency="H49.151")))),
    "statistics": (
        "STATISTICS",
        lambda s, g: drain(s.report.GetStatistics(rp.GetStatisticsRequest(agency="H49.151"))),
    ),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_of_an_auditor_is_an_entry_and_that_of_a_party_is_none(story, name):
    reason, call = READS[name]
    with story.writes(0):
        call(story.system("commune"), story)
    with story.writes(1):
        call(story.system("auditor"), story)
    *_, read = (one for one in entries(story) if one["event"] == "read" and one["reason"] != "ENTRIES")
    assert (read["event"], read["reason"]) == ("read", reason)
    certificate = story.pki.read("systems/auditor.pem")
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    assert read["actor"] == f"auditor {hashlib.sha256(der).hexdigest()}"
    if name in ("trace", "deliveries", "evidence"):
        assert read["consignment"] == story.consignment
    if name == "search":
        assert (read["from"], read["to"]) == ("H49.151", "H49") and "consignment" not in read


def test_reading_entries_is_an_entry_among_those_read(story):
    last = entries(story)[-1]
    assert (last["event"], last["reason"]) == ("read", "ENTRIES")


def test_what_was_asked_is_not_to_be_guessed_from_the_log(story):
    auditor = story.system("auditor")
    for _ in range(2):
        auditor.trace.Search(tr.SearchRequest(number="3/UBND"))
    *_, first, second, _ = entries(story)
    assert first["note"] != second["note"], "the same question with another salt"
    guess = hashlib.sha256(b"auditor TRACE search number=3/UBND").hexdigest()
    assert guess not in (first["note"], second["note"])


def test_the_pages_of_one_query_are_one_entry(story):
    auditor = story.system("auditor")
    query = {"sender": "H49.151", "page_size": 2}
    with story.writes(1):
        page = auditor.trace.Search(tr.SearchRequest(**query))
        found = list(page.documents)
        while page.next_page_token:
            page = auditor.trace.Search(tr.SearchRequest(page_token=page.next_page_token, **query))
            found += page.documents
    assert len(found) == 5
    with story.writes(1):
        page = auditor.trace.Trace(tr.TraceRequest(consignment_id=story.consignment, page_size=1))
        page = auditor.trace.Trace(
            tr.TraceRequest(consignment_id=story.consignment, page_size=1, page_token=page.next_page_token)
        )
        assert page.entries and page.next_page_token


def test_a_token_of_another_query_or_without_one_is_recorded_again(story):
    auditor = story.system("auditor")
    token = auditor.trace.Search(tr.SearchRequest(sender="H49.151", page_size=1)).next_page_token
    place, mark, note = token.partition("~")
    assert mark and len(note) == 64
    for other in (
        {"sender": "H49.151", "page_token": place},
        {"sender": "H49.151", "page_token": f"{place}~{'0' * 64}"},
        {"sender": "H49.151", "recipient": "H49", "page_token": token},
        {"page_token": token},
    ):
        with story.writes(1):
            auditor.trace.Search(tr.SearchRequest(**other))
    with story.writes(0):
        auditor.trace.Search(tr.SearchRequest(sender="H49.151", page_token=token, page_size=3))
    # A party's token has no mark, and an auditor's is as good a place.
    commune = story.system("commune")
    with story.writes(0):
        assert "~" not in commune.trace.Search(tr.SearchRequest(sender="H49.151", page_size=1)).next_page_token
        commune.trace.Search(tr.SearchRequest(sender="H49.151", page_size=1, page_token=token))


def test_a_question_without_an_answer_is_recorded_too(story):
    with story.writes(1), refused(Code.NOT_FOUND, "NOTHING_FOUND", "term"):
        story.system("auditor").trace.Trace(tr.TraceRequest(number="999/KHÔNG"))
    with story.writes(1), refused(Code.NOT_FOUND, "NOTHING_FOUND", "term"):
        story.system("auditor").trace.Trace(tr.TraceRequest(number="x" * 100_000))


def test_the_log_with_its_reads_holds(story):
    port = story.address.rsplit(":", 1)[1]
    pki = story.pki.folder
    vanthu("log", "audit", "--key", pki / "log.vkey", "--server", f"https://localhost:{port}",
           "--ca", pki / "tls/ca.pem", "--cert", pki / "systems/auditor.pem")  # fmt: skip
    assert entries(story)[-2]["reason"] == "ENTRIES", "the audit itself"
