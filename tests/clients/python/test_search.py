"""Looking for documents: by anything that is known of them, together, in pages, within one's rights."""

import datetime

import pytest
from gateway import vanthu
from grpc import StatusCode as Code
from google.protobuf.timestamp_pb2 import Timestamp
from mail import acknowledge, refuse, report
from papers import Letter, official
from proofs import LogKey, read_entry
from refusals import refused
from vanthu.v1 import delivery_pb2
from vanthu.v1 import trace_service_pb2 as tr

TAKEN, REJECTED = tr.ADMISSION_ACCEPTED, tr.ADMISSION_REJECTED


def search(system, size=0, **conditions):
    """Every document that fits, page by page."""
    found, token = [], ""
    while True:
        request = tr.SearchRequest(page_size=size, page_token=token, **conditions)
        page = system.trace.Search(request)
        found += page.documents
        token = page.next_page_token
        if not token:
            return found


def subjects(found):
    """What the documents are about; the tests name them in their identifiers."""
    return [read_entry(one.leaf)["document"] for one in found]


def at(text):
    stamp = Timestamp()
    stamp.FromJsonString(text)
    return stamp


def time_of(gateway, name):
    return at(read_entry(search(gateway.system("auditor"), document_id=name)[0].leaf)["time"])


@pytest.fixture(scope="module")
def story(pki, start):
    """Six documents of two communes, four of them answered, and one that nobody could receive."""
    gateway = start(pki)
    commune, province, portal = (gateway.system(name) for name in ("commune", "province", "portal"))
    dossier = "H49.151-20261122-0012"
    letters = {
        "A": Letter("H49.151", ["H49", "H49.11", "G22"], content=official(pki, "H49.151"), number="05",
                    notation="QĐ-UBND", document_id="A", dossier_code=dossier),
        "B": Letter("H49.151", ["H49"], number="50", notation="QĐ-UBND", document_id="B"),
        "C": Letter("H49.152", ["H49"], number="5", notation="QD-UBND", document_id="C"),
        "D": Letter("H49.152", ["H49.11.3"], document_id="D", dossier_code=dossier),
        "E": Letter("H49.151", ["G22"], number="12", notation="ĐA-UBND", document_id="E"),
    }  # fmt: skip
    sent = {name: letter.send(commune).consignment_id for name, letter in letters.items()}
    with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]"):
        Letter("H49.151", ["X99"], document_id="X").send(commune)
    acknowledge(province, "H49", sent["A"])
    report(province, "H49", sent["A"], delivery_pb2.BUSINESS_STATUS_IN_PROGRESS)
    refuse(portal, "G22", sent["A"], "không thuộc thẩm quyền")
    acknowledge(province, "H49", sent["C"])
    gateway.letters, gateway.consignments = letters, sent
    letters["F"] = Letter("H49.151", ["H49.11"], document_id="F")
    sent["F"] = letters["F"].send(commune).consignment_id
    yield gateway
    gateway.stop()


CONSIGNED, HANDED, RETURNED = (
    delivery_pb2.TRANSPORT_CONSIGNED,
    delivery_pb2.TRANSPORT_HANDED_OVER,
    delivery_pb2.TRANSPORT_REJECTED,
)


@pytest.mark.parametrize("conditions, expected", [
    ({}, "ABCDEXF"),
    ({"sender": "H49.151"}, "ABEXF"),
    ({"sender": "000.51.01.H49"}, ""),
    ({"sender": "H49.151", "admission": REJECTED}, "X"),
    ({"sender": "H49.151", "admission": TAKEN}, "ABEF"),
    ({"recipient": "H49"}, "ABC"),
    ({"sender": "H49.151", "recipient": "H49"}, "AB"),
    ({"agency": "H49.11"}, "AF"),
    ({"agency": "H49.152"}, "CD"),
    ({"number": "05/QĐ-UBND"}, "AC"),
    ({"number": "5/qd-ubnd"}, "AC"),
    ({"number": " 5 / Qđ – Ubnd "}, "AC"),
    ({"number": "5/qd-ubnd", "sender": "H49.152"}, "C"),
    ({"number": "5/qd-ubnd", "agency": "G22"}, "A"),
    ({"number": "12/da-ubnd"}, "E"),
    ({"number": "5"}, ""),
    ({"dossier_code": "H49.151-20261122-0012"}, "AD"),
    ({"dossier_code": "H49.151-20261122-0012", "recipient": "H49.11.3"}, "D"),
    ({"document_id": "B"}, "B"),
    ({"document_id": "B", "sender": "H49.152"}, ""),
    ({"document_id": "X"}, "X"),
    ({"recipient": "H49", "transport": HANDED}, "AC"),
    ({"recipient": "H49", "transport": CONSIGNED}, "B"),
    ({"recipient": "H49", "business_status": delivery_pb2.BUSINESS_STATUS_IN_PROGRESS}, "A"),
    ({"recipient": "H49", "business_status": delivery_pb2.BUSINESS_STATUS_ACCEPTED}, "C"),
    ({"transport": RETURNED}, "A"),
    ({"transport": CONSIGNED}, "ABDEF"),
    ({"recipient": "G22", "transport": RETURNED, "business_status": delivery_pb2.BUSINESS_STATUS_REFUSED}, "A"),
    ({"recipient": "G22", "transport": RETURNED, "number": "12/ĐA-UBND"}, ""),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("size", [0, 1])
def test_every_condition_must_hold(story, conditions, expected, size):
    auditor = story.system("auditor")
    if not expected:
        with refused(Code.NOT_FOUND, "NOTHING_FOUND"):
            search(auditor, size, **conditions)
        return
    found = search(auditor, size, **conditions)
    assert "".join(subjects(found)) == expected
    places = [(one.entry_id.epoch, one.entry_id.index) for one in found]
    assert places == sorted(places)
    asked = conditions.get("recipient")
    if asked:
        assert {one.delivery.recipient for one in found} == {asked}


def test_a_document_is_found_by_its_consignment_and_by_its_envelope(story):
    auditor = story.system("auditor")
    for name in "AF":
        assert subjects(search(auditor, consignment_id=story.consignments[name])) == [name]
        assert subjects(search(auditor, envelope_sha256=story.letters[name].digest)) == [name]
    with refused(Code.NOT_FOUND, "NOTHING_FOUND"):
        search(auditor, consignment_id=story.consignments["A"], sender="H49.152")


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(story):
    auditor = story.system("auditor")
    times = {name: time_of(story, name) for name in "BCD"}
    assert "".join(subjects(search(auditor, since=times["C"]))) == "CDEXF"
    assert "".join(subjects(search(auditor, until=times["C"]))) == "AB"
    assert "".join(subjects(search(auditor, since=times["B"], until=times["D"]))) == "BC"
    assert "".join(subjects(search(auditor, agency="H49.151", since=times["B"], until=times["D"]))) == "B"
    assert "".join(subjects(search(auditor, recipient="H49", since=times["C"]))) == "C"
    for nowhere in ({"since": at("2100-01-01T00:00:00Z")}, {"until": at("2000-01-01T00:00:00Z")}):
        with refused(Code.NOT_FOUND, "NOTHING_FOUND"):
            search(auditor, **nowhere)


def test_an_agency_finds_its_own_and_nothing_else(story):
    commune, portal, district = (story.system(name) for name in ("commune", "portal", "district"))
    assert "".join(subjects(search(commune, sender="H49.151"))) == "ABEXF"
    assert "".join(subjects(search(portal, agency="G22"))) == "AE"
    assert "".join(subjects(search(portal, number="5/QĐ-UBND"))) == "A"
    assert "".join(subjects(search(district, agency="H49.11.3"))) == "D"
    with refused(Code.NOT_FOUND, "NOTHING_FOUND"):
        search(district, number="5/QĐ-UBND")
    for name in ("commune", "portal"):
        with refused(Code.INVALID_ARGUMENT, "SEARCH_EMPTY", "agency"):
            search(story.system(name), transport=CONSIGNED)
    with refused(Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", None, system="operator"):
        search(story.system("operator"), agency="H49")


@pytest.mark.parametrize("conditions, reason, field", [
    ({"consignment_id": "x"}, "FIELD_MALFORMED", "consignment_id"),
    ({"document_id": "x" * 101}, "FIELD_TOO_LONG", "document_id"),
    ({"number": "x" * 101}, "FIELD_TOO_LONG", "number"),
    ({"dossier_code": "H49"}, "FIELD_MALFORMED", "dossier_code"),
    ({"envelope_sha256": b"x"}, "FIELD_MALFORMED", "envelope_sha256"),
    ({"sender": "Hà Nội"}, "FIELD_MALFORMED", "sender"),
    ({"agency": "H49", "sender": "H49"}, "FIELD_MALFORMED", "agency"),
    ({"agency": "H49", "recipient": "H49"}, "FIELD_MALFORMED", "agency"),
    ({"since": at("2026-01-02T00:00:00Z"), "until": at("2026-01-01T00:00:00Z")}, "FIELD_MALFORMED", "until"),
    ({"since": Timestamp(nanos=-1)}, "FIELD_MALFORMED", "since"),
    ({"page_size": -1}, "FIELD_MALFORMED", "page_size"),
    ({"page_token": "x"}, "PAGE_TOKEN_MALFORMED", "page_token"),
], ids=str)  # fmt: skip
def test_a_wrong_condition_is_refused(story, conditions, reason, field):
    with refused(Code.INVALID_ARGUMENT, reason, field):
        story.system("auditor").trace.Search(tr.SearchRequest(**conditions))


@pytest.mark.parametrize("token", ["9/0", "4294967295/18446744073709551615", "1/18446744073709551615"])
def test_a_token_behind_the_end_finds_nothing_more(story, token):
    for conditions in ({}, {"agency": "H49"}, {"number": "5/qd-ubnd"}):
        page = story.system("auditor").trace.Search(tr.SearchRequest(page_token=token, **conditions))
        assert not page.documents and not page.next_page_token


def test_a_page_names_the_log_that_was_searched(story):
    page = story.system("auditor").trace.Search(tr.SearchRequest(page_size=1))
    assert LogKey(story.pki.vkey).open(page.checkpoint).size == story.size()


def test_a_search_goes_on_after_more_than_one_page_of_the_index(pki, start):
    gateway = start(pki)
    commune = gateway.system("commune")
    for index in range(300):
        Letter("H49.152" if index % 3 else "H49.151", ["H49.11.3"], document_id=f"{index}").send(commune)
    auditor = gateway.system("auditor")
    everything = [str(index) for index in range(300)]
    assert subjects(search(auditor, agency="H49.11.3")) == everything
    assert subjects(search(auditor, 7, agency="H49.151")) == everything[::3]
    assert subjects(search(auditor, 500, sender="H49.151", recipient="H49.11.3")) == everything[::3]
    gateway.restart()
    assert subjects(search(gateway.system("auditor"), agency="H49.11.3")) == everything
    gateway.stop()


def test_a_period_and_an_agency_are_found_across_epochs(pki, start, tmp_path):
    country = pki.copy(tmp_path / "pki")
    config = country.folder / "vanthu.toml"
    config.write_text(config.read_text().replace("[log]", "[log]\nepoch_entries = 7"))
    gateway = start(country)
    commune, auditor = gateway.system("commune"), gateway.system("auditor")
    for index in range(24):
        Letter("H49.152" if index % 2 else "H49.151", ["H49.11.3"], document_id=f"{index}").send(commune)
    everything = search(auditor)
    assert subjects(everything) == [str(index) for index in range(24)]
    assert everything[-1].entry_id.epoch > 6
    times = [read_entry(one.leaf)["time"] for one in everything]
    for since in times:
        later = [one for one, time in zip(everything, times) if time >= since]
        assert search(auditor, since=at(since)) == later
        assert subjects(search(auditor, 3, agency="H49.11.3", since=at(since))) == subjects(later)
        mine = [name for name in subjects(later) if int(name) % 2]
        if mine:
            assert subjects(search(auditor, sender="H49.152", since=at(since))) == mine
    gateway.restart()
    assert search(gateway.system("auditor"), since=at(times[9])) == everything[times.index(times[9]) :]
    gateway.stop()


def test_the_command_shows_documents_and_their_timelines(story):
    caller = ["--server", f"https://localhost:{story.address.rsplit(':', 1)[1]}", "--ca", story.pki.folder / "tls/ca.pem"]
    caller += ["--cert", story.pki.folder / "systems/auditor.pem"]
    day = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date().isoformat()

    def lines(*arguments, code=0):
        return vanthu("trace", *caller, *arguments, code=code).splitlines()

    found = lines("5/qd-ubnd", "--sender", "H49.151", "--from", day, "--to", day, "--timeline")
    assert "05/QĐ-UBND" in found[0] and len(found) == 1 + 7
    assert [word for line in found[1:] for word in ("ContentHandover", "ConsignmentRejection") if word in line]
    assert len(lines("--recipient", "H49", "--status", "05")) == 1
    assert len(lines("--limit", "2")) == 2
    assert len(lines(story.letters["A"].digest.hex())) == 1
    assert lines("--from", "2000-01-01", "--to", "2000-01-02", code=6) == []
    assert lines("--from", "nonsense", code=1) == []
