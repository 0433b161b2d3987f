"""Documents from gateway to gateway: three processes with proxies between them that cut, delay, stall
and double their lines, and gateways that are killed.

VANTHU_RELAY_ROUNDS sets how often a gateway is killed (20), VANTHU_RELAY_SEED repeats the choices of
another run.
"""

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest

import country as three
import gateway as outside
from country import wait_for
from gateway import envelope, mailbox, submission, trace

from vanthu.v1 import (  # isort: skip  # made importable by gateway
    delivery_pb2 as delivery,
    relay_pb2 as relay,
    relay_service_pb2 as relays,
    relay_service_pb2_grpc as relays_grpc,
)

ROUNDS = int(os.environ.get("VANTHU_RELAY_ROUNDS", "20"))
SEED = int(os.environ.get("VANTHU_RELAY_SEED", random.SystemRandom().randrange(2**32)))


def deliveries(country, sender, consignment):
    """How it stands at each recipient, as the sender's gateway knows."""
    stub = country.at(sender).tracing(outside.HOSTS[sender])
    found = stub.ListDeliveries(trace.ListDeliveriesRequest(
        consignment_id=consignment, page_size=500), timeout=20)
    return {one.recipient: one for one in found.deliveries}


def entries_of(gateway, consignment):
    return [outside.fields(one.leaf) for one in gateway.trace(consignment_id=consignment)]


def send(country, sender, recipients, **more):
    document = outside.make_document(sender=sender, recipients=recipients, **more)
    return country.at(sender).submit(document).consignment_id, document


def waiting(country, agency):
    return {item.consignment_id for item in country.at(agency).items(agency)}


def acknowledge(country, agency, consignment):
    stub = country.at(agency).mailboxes(outside.HOSTS[agency])
    return stub.Acknowledge(mailbox.AcknowledgeRequest(
        agency=agency, consignment_id=consignment), timeout=20)


def transport(one):
    return delivery.Transport.Name(one.transport).removeprefix("TRANSPORT_")


@pytest.fixture
def country(tmp_path):
    with three.Country(tmp_path) as made:
        yield made.start_all()


def test_a_document_goes_from_province_to_nation_to_province_and_its_answers_come_back(country):
    sent, _ = send(country, "H49.151", ["G22", "H01", "H01.7", "H49.11"])
    for agency in ("G22", "H01", "H01.7", "H49.11"):
        wait_for(lambda: sent in waiting(country, agency), 30, f"it does not reach {agency}")
    item = country.at("H01").items("H01")[0]
    assert (item.sender, item.consignment_id) == ("H49.151", sent)
    stub = country.at("H01").mailboxes("district")
    chunks = stub.FetchPart(mailbox.FetchPartRequest(
        agency="H01", consignment_id=sent, part_name="cong-van.txt"), timeout=20)
    assert b"".join(one.chunk for one in chunks).startswith(b"Noi dung ")
    acknowledge(country, "G22", sent)
    acknowledge(country, "H01", sent)
    stub.Refuse(mailbox.RefuseRequest(agency="H01.7", consignment_id=sent,
                                      reason="Không thuộc thẩm quyền"), timeout=20)
    for status in (delivery.BUSINESS_STATUS_IN_PROGRESS, delivery.BUSINESS_STATUS_FINISHED):
        stub.ReportStatus(mailbox.ReportStatusRequest(
            agency="H01", consignment_id=sent, status=status, note="Ghi chú"), timeout=20)
    expected = {"G22": "HANDED_OVER", "H01": "HANDED_OVER", "H01.7": "REJECTED",
                "H49.11": "CONSIGNED"}

    def now():
        return {code: transport(one)
                for code, one in deliveries(country, "H49.151", sent).items()}

    wait_for(lambda: now() == expected, 30, lambda: f"{now()}")

    def reported():
        told = entries_of(country.gateways["h49"], sent)
        return [one["status"] for one in told if one["event"] == "status"]

    wait_for(lambda: reported() == ["05", "06"], 30, lambda: f"{reported()}")
    told = entries_of(country.gateways["h49"], sent)
    events = collections.Counter((one["event"], one.get("to")) for one in told)
    for once in [("relay", "G22"), ("RelayAcceptance", "G22"), ("ContentConsignment", "G22"),
                 ("ContentHandover", "G22"), ("relay", "H01"), ("RelayAcceptance", "H01"),
                 ("ContentConsignment", "H01"), ("ContentHandover", "H01"),
                 ("ContentAccessTracking", "H01"), ("ConsignmentRejection", "H01.7")]:
        assert events[once] == 1, (once, events)
    word = next(one for one in told if (one["event"], one.get("to")) == ("ContentHandover", "H01"))
    assert word["service"] == "gateway nation.example" and word["actor"].startswith("at-nation ")
    middle = entries_of(country.gateways["nation"], sent)
    accepted = next(one for one in middle if one["event"] == "SubmissionAcceptance")
    assert accepted["service"] == "gateway h49.example"
    assert accepted["consignment"] == sent and accepted["actor"].startswith("at-h49 ")
    notices = told_notes(country, "H49.151")
    assert notices["ConsignmentRejection"] == "Không thuộc thẩm quyền"
    country.stop_and_audit()


def told_notes(country, agency):
    """The notices that an agency has had, by event: the text behind the note of the last."""
    stub = country.at(agency).mailboxes(outside.HOSTS[agency])
    notes = {}
    with contextlib.suppress(grpc.RpcError):
        for message in stub.Watch(mailbox.WatchRequest(agency=agency), timeout=3):
            if message.WhichOneof("event") == "notice":
                notes[message.notice.event] = message.notice.note
    return notes


def test_a_large_part_is_resumed_and_an_outage_is_made_good(country):
    line = country.lines["h49", "nation"]
    line.reset("cut")
    content = random.Random(1).randbytes(5 * outside.MIB)
    document = outside.Document(
        "H49.151", str(outside.uuid.uuid4()),
        outside.make_envelope([outside.listed("phu-luc.bin", content)], recipients=["G22"]), None)
    stub = country.at("H49.151").submissions()

    def messages():
        part = outside.listed("phu-luc.bin", content)
        yield submission.UploadRequest(header=submission.UploadHeader(
            sha256=part.sha256, size=part.size))
        for start in range(0, len(content), 256 * 1024):
            yield submission.UploadRequest(chunk=content[start:start + 256 * 1024])

    stub.Upload(messages(), timeout=60)
    sent = stub.Submit(submission.SubmitRequest(
        request_id=document.request_id, envelope=document.envelope), timeout=20).result
    wait_for(lambda: line.cuts > 0, 30, "nothing is cut")
    line.reset()
    wait_for(lambda: sent.consignment_id in waiting(country, "G22"), 90, "it does not reach G22")
    # Nobody answers: what is sent meanwhile waits, and the log says since when.
    country.kill("nation")
    later = [send(country, "H49.151", ["G22"])[0] for _ in range(5)]
    ours = country.gateways["h49"]

    def said(event):
        return [one for *_, leaf in ours.entries() if (one := outside.fields(leaf))["event"] == event]

    wait_for(lambda: said("outage"), 30, "the outage is not recorded")
    assert said("outage")[0]["service"] == "gateway nation.example"
    country.start("nation")
    wait_for(lambda: set(later) <= waiting(country, "G22"), 90, "it is not caught up")
    order = [item.consignment_id for item in country.at("G22").items("G22")]
    assert order == [sent.consignment_id, *later], "in order"
    wait_for(lambda: said("repair"), 30, "the repair is not recorded")
    country.stop_and_audit()


def test_a_new_certificate_for_the_neighbours_counts_from_sighup_on(country):
    gateway = country.gateways["h49"]
    assert gateway.stop() == 0
    own = {end: gateway.home / f"systems/gateway-h49.{end}" for end in ("pem", "key")}
    right = {end: path.read_bytes() for end, path in own.items()}
    for end, path in own.items():
        path.write_bytes(gateway.home.joinpath(f"systems/commune.{end}").read_bytes())
    country.start("h49")
    sent, _ = send(country, "H49.151", ["G22"])
    wait_for(lambda: '"not heard"' in gateway.traces(), 30, "the wrong certificate is taken")
    for end, path in own.items():
        path.write_bytes(right[end])
    assert sent not in waiting(country, "G22")
    gateway.signal(signal.SIGHUP)
    wait_for(lambda: sent in waiting(country, "G22"), 30, "it does not reach G22")
    country.stop_and_audit()


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # request id → (document, recipients)
        self.accepted = {}  # request id → consignment
        self.answered = collections.Counter()


class Load:
    """Submitters and ackers on all gateways for as long as they live."""

    def __init__(self, country, ledger, seed):
        self.country, self.ledger = country, ledger
        self.stopped, self.surprises = threading.Event(), []
        rng = random.Random(seed)
        jobs = [(self.submit, "H49.151", rng.getrandbits(64)),
                (self.submit, "H49.151", rng.getrandbits(64)),
                (self.submit, "H01", rng.getrandbits(64))]
        jobs += [(self.answer, code, None) for code in three.AGENCIES]
        self.sent_out = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=job, daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def work(self, job, agency, seed):
        rng = random.Random(seed)
        while not self.stopped.is_set():
            if job == self.submit and self.sent_out.is_set():
                return
            try:
                job(agency, rng)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                        grpc.StatusCode.UNKNOWN,
                                        grpc.StatusCode.DEADLINE_EXCEEDED):
                    self.surprises.append(error)
                    return
            except (ValueError, AttributeError, TypeError):
                pass  # The channel of a gateway that died.
            except Exception as error:  # noqa: BLE001
                self.surprises.append(error)
                return
            time.sleep(0.05)

    def submit(self, agency, rng):
        if self.country.at(agency).address is None:
            return  # It is dead.
        others = [code for code in three.AGENCIES
                  if three.AGENCIES[code][1] != three.AGENCIES[agency][1]]
        document = outside.make_document(
            sender=agency, random=rng, size=rng.choice([100, 2_000, 20_000]),
            recipients=sorted(rng.sample(others, rng.randint(1, len(others)))),
            urgency=rng.choice([envelope.URGENCY_NORMAL, envelope.URGENCY_FLASH]))
        with self.ledger.lock:
            self.ledger.sent[document.request_id] = document
        result = self.country.at(agency).submit(document, timeout=10)
        with self.ledger.lock:
            self.ledger.accepted[document.request_id] = result.consignment_id

    def answer(self, agency, _):
        stub = self.country.at(agency).mailboxes(outside.HOSTS[agency])
        for message in stub.Watch(mailbox.WatchRequest(agency=agency), timeout=2):
            if self.stopped.is_set():
                return
            if message.WhichOneof("event") != "item":
                continue
            stub.Acknowledge(mailbox.AcknowledgeRequest(
                agency=agency, consignment_id=message.item.consignment_id,
                lease_token=message.item.lease_token), timeout=10)

    def end_sending(self):
        self.sent_out.set()
        for thread in self.threads[:3]:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a sender hangs"

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a client hangs"
        assert not self.surprises, self.surprises


def counted(gateway):
    """How often each thing stands in a log: acceptances by request, the rest by recipient."""
    counts = {event: collections.Counter() for event in
              ("SubmissionAcceptance", "ContentConsignment", "relay", "RelayAcceptance",
               "ContentHandover")}
    for *_, leaf in gateway.entries():
        entry = outside.fields(leaf)
        event = entry["event"]
        if event == "SubmissionAcceptance":
            counts[event][entry["request"]] += 1
        elif event in counts:
            counts[event][entry["consignment"], entry["to"]] += 1
        assert event not in ("RelayRejection", "SubmissionRejection"), entry
    return counts


def test_every_document_arrives_exactly_once_whoever_is_killed(tmp_path):
    print(f"\nVANTHU_RELAY_SEED={SEED} VANTHU_RELAY_ROUNDS={ROUNDS}", flush=True)
    rng = random.Random(SEED)
    ledger, killed = Ledger(), collections.Counter()
    since = time.monotonic()
    with three.Country(tmp_path, rng) as country:
        country.start_all()
        load = Load(country, ledger, rng.getrandbits(64))
        for number in range(1, ROUNDS + 1):
            for line in country.lines.values():
                line.reset(rng.choice(three.Proxy.FAULTS))
            time.sleep(rng.uniform(0.1, 1.0))
            victims = rng.sample(sorted(country.gateways), rng.choice([1, 1, 1, 2, 3]))
            for place in victims:
                killed[place] += 1
                country.kill(place)
            for place in victims:
                country.start(place)
            if number % 10 == 0 or number == ROUNDS:
                print(f"round {number}: {len(ledger.accepted)} of {len(ledger.sent)} accepted, "
                      f"killed {dict(killed)}, {time.monotonic() - since:.0f} s", flush=True)
        for line in country.lines.values():
            line.reset()
        load.end_sending()
        # Whoever was not told asks again: the same request has one acceptance.
        for request_id, document in ledger.sent.items():
            if request_id not in ledger.accepted:
                result = country.at(document.sender).submit(document)
                ledger.accepted[request_id] = result.consignment_id
        assert len(set(ledger.accepted.values())) == len(ledger.accepted)
        settle(country, ledger)
        load.end()
        exactly_once(country, ledger)
        reports = country.stop_and_audit()
        entries = {place: report["entries"] for place, report in reports.items()}
        print(f"{len(ledger.accepted)} documents, entries {entries}, "
              f"cuts {sum(line.cuts for line in country.lines.values())}, "
              f"{time.monotonic() - since:.0f} s", flush=True)


def recipients_of(document):
    return list(envelope.Envelope.FromString(document.envelope).recipients)


def settle(country, ledger):
    """Every recipient of every document has acknowledged it, as the sender's gateway knows."""
    open_ones = dict(ledger.accepted)

    def none_open():
        for request_id in list(open_ones):
            document = ledger.sent[request_id]
            states = deliveries(country, document.sender, open_ones[request_id])
            if any(transport(one) != "HANDED_OVER" for one in states.values()):
                return False
            assert sorted(states) == sorted(recipients_of(document))
            del open_ones[request_id]
        return True

    def stuck():
        request_id = next(iter(open_ones))
        consignment = open_ones[request_id]
        told = {place: entries_of(gateway, consignment)
                for place, gateway in country.gateways.items()}
        return f"{len(open_ones)} documents do not arrive, such as {consignment}: {told}"

    # A debug build on two busy cores carries some ten documents a second.
    wait_for(none_open, 120 + len(open_ones) / 2, stuck)


def exactly_once(country, ledger):
    logs = {place: counted(gateway) for place, gateway in country.gateways.items()}
    for place, counts in logs.items():
        for event, counter in counts.items():
            twice = [key for key, count in counter.items() if count != 1]
            assert not twice, (place, event, twice[:3])
    for request_id, consignment in ledger.accepted.items():
        document = ledger.sent[request_id]
        at = three.AGENCIES[document.sender][1]
        assert logs[at]["SubmissionAcceptance"][document.key] == 1
        for code in recipients_of(document):
            place = consignment, code
            # In its mailbox once, taken once, and told once on every gateway on the way.
            assert logs[three.AGENCIES[code][1]]["ContentConsignment"][place] == 1
            assert logs[three.AGENCIES[code][1]]["relay"][place] == 0
            assert logs[at]["RelayAcceptance"][place] == 1
            assert logs[at]["ContentHandover"][place] == 1
    keys = {document.key for document in ledger.sent.values()}
    for counts in logs.values():
        assert counts["SubmissionAcceptance"].keys() <= keys, "accepted what nobody sent"


@pytest.fixture
def asked(tmp_path):
    """A country in which h49 reaches nobody; the test speaks for it, with its own certificate."""
    stranger = ('[[system]]\nid = "unknown-gateway"\nrole = "gateway"\ngateway = "other.example"\n'
                'identities = ["urn:vanthu:system:stranger"]\n')
    # The nation does not know all that the province believes to be behind it, nor the other way round.
    more = {"nation": stranger + three.agency("H49.13", "portal") + three.agency("H49.99", "at-h49")
            + three.agency("G98", None) + three.agency("G99", "portal", valid_until="2026-01-01"),
            "h49": three.agency("H49.13", "province") + "".join(
                three.agency(code, "at-nation") for code in ("H49.99", "G97", "G98", "G99"))}
    outside.HOSTS["H49.13"] = "province"
    with three.Country(tmp_path, more=more) as country:
        # The proxy does not know where the nation is.
        country.gateways["nation"].start()
        yield country.start("h49")


def brought(country, recipients, promised=None, sender="H49.151", content=b"x" * 50):
    """A document that h49 has accepted, as it would bring it to the nation; and its parts."""
    part = outside.listed("a.txt", content)
    codes = sorted(promised or recipients)
    document = outside.Document(sender, str(outside.uuid.uuid4()), outside.make_envelope(
        [part], sender=sender, recipients=codes), [content])
    stub = country.gateways["h49"].submissions(outside.HOSTS[sender])
    result = stub.SubmitDocument(submission.SubmitDocumentRequest(
        request_id=document.request_id, envelope=document.envelope, parts=[content]),
        timeout=20).result
    return relay.RelayedDocument(
        envelope=document.envelope, receipt=result.receipt, promised=codes,
        recipients=[relay.RelayedRecipient(code=code) for code in sorted(recipients)])


def nation(country, system="gateway-h49"):
    return relays_grpc.RelayServiceStub(country.gateways["nation"].channel(system))


def size(country):
    """Entries of the nation, without those that it writes by itself."""
    events = [outside.fields(leaf)["event"] for *_, leaf in country.gateways["nation"].entries()]
    return sum(event not in ("read", "outage", "repair") for event in events)


@contextlib.contextmanager
def refused(country, code, reason, field=None):
    """The call is refused so, and leaves nothing in the log."""
    before = size(country)
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() == code, caught.value
    info = details(caught.value)
    assert info.reason == reason and info.metadata.get("field", None) == field, info
    assert size(country) == before


def details(error):
    from google.rpc import error_details_pb2, status_pb2
    found = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    for any_ in status_pb2.Status.FromString(found[0]).details:
        info = error_details_pb2.ErrorInfo()
        if any_.Unpack(info):
            return info
    raise AssertionError("no ErrorInfo")


def call(country, document, parts=(b"x" * 50,), system="gateway-h49"):
    request = relays.RelayRequest(document=document, parts=parts)
    return [one for message in nation(country, system).Relay(request, timeout=20)
            for one in message.results]


def changed(document, **fields):
    copy = relay.RelayedDocument()
    copy.CopyFrom(document)
    for name, value in fields.items():
        copy.ClearField(name)
        if isinstance(value, list):
            getattr(copy, name).extend(value)
        elif isinstance(value, bytes):
            setattr(copy, name, value)
        elif value is not None:
            getattr(copy, name).CopyFrom(value)
    return copy


INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED


def test_what_a_neighbour_does_wrong_is_refused_and_leaves_nothing(asked):
    good = brought(asked, ["G22"], ["G22", "H49.11"])
    other = brought(asked, ["G22"])
    to = lambda *codes: [relay.RelayedRecipient(code=code) for code in codes]  # noqa: E731
    for system, reason in [("portal", "ROLE_NOT_ALLOWED"), ("stranger", "NEIGHBOUR_UNKNOWN")]:
        with refused(asked, DENIED, reason):
            call(asked, good, system=system)
        with refused(asked, DENIED, reason):
            nation(asked, system).AnnounceRelay(relays.AnnounceRelayRequest(document=good))
        with refused(asked, DENIED, reason):
            list(nation(asked, system).WatchReports(relays.WatchReportsRequest(), timeout=5))
    entry = good.receipt.entry_id
    about_recipient = next(
        one for one in asked.gateways["h49"].trace(consignment_id=outside.fields(
            good.receipt.leaf)["consignment"]) if outside.fields(one.leaf)["event"] == "relay")
    from gateway import log
    of_relay = asked.gateways["h49"].log().GetReceipt(
        log.GetReceiptRequest(entry_id=about_recipient.entry_id)).receipt
    bent = type(good.receipt)()
    bent.CopyFrom(good.receipt)
    bent.leaf = bent.leaf.replace(b"urgency normal", b"urgency urgent")
    short = type(good.receipt)()
    short.CopyFrom(good.receipt)
    short.inclusion_path.append(b"31 bytes are no digest of a row")
    assert entry.epoch == 1
    cases = [
        (None, "FIELD_MISSING", "document"),
        (changed(good, receipt=None), "FIELD_MISSING", "document.receipt"),
        (changed(good, envelope=b""), "FIELD_MISSING", "envelope"),
        (changed(good, receipt=short), "FIELD_MALFORMED", "document.receipt"),
        (changed(good, receipt=bent), "RELAY_RECEIPT_INVALID", "document.receipt"),
        (changed(good, receipt=of_relay), "RELAY_RECEIPT_INVALID", "document.receipt"),
        (changed(good, envelope=other.envelope), "RELAY_RECEIPT_INVALID", "document.receipt"),
        (changed(good, promised=["G22"]), "RELAY_RECIPIENTS_DIFFER", "document.promised"),
        (changed(good, promised=["H49.11", "G22"]), "RELAY_RECIPIENTS_DIFFER", "document.promised"),
        (changed(good, promised=["G 22", "H49.11"]), "FIELD_MALFORMED", "document.promised[0]"),
        (changed(good, recipients=[]), "RELAY_RECIPIENTS_DIFFER", "document.recipients"),
        (changed(good, recipients=to("H01")), "RELAY_RECIPIENTS_DIFFER", "document.recipients"),
        (changed(good, recipients=to("G22", "G22")), "RELAY_RECIPIENTS_DIFFER",
         "document.recipients"),
        (changed(good, recipients=[relay.RelayedRecipient(code="G22", addressed="G22")]),
         "FIELD_MALFORMED", "document.recipients[0].addressed"),
    ]
    for document, reason, field in cases:
        with refused(asked, INVALID, reason, field):
            call(asked, document)
        with refused(asked, INVALID, reason, field):
            nation(asked).AnnounceRelay(relays.AnnounceRelayRequest(document=document))
    # What another neighbour brings must be its own.
    with refused(asked, INVALID, "RELAY_RECEIPT_INVALID", "document.receipt"):
        call(asked, good, system="gateway-h01")
    with refused(asked, grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE", "parts[0]"):
        call(asked, good, parts=())
    with refused(asked, grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH", "parts[0]"):
        call(asked, good, parts=[b"y" * 50])
    with refused(asked, INVALID, "PARTS_DO_NOT_MATCH", "parts"):
        call(asked, good, parts=[b"x" * 50] * 2)
    missing = nation(asked).AnnounceRelay(relays.AnnounceRelayRequest(document=good)).missing
    assert [(one.name, one.size, one.offset) for one in missing] == [("a.txt", 50, 0)]
    # The good one is taken once, however often it comes, and by whatever words.
    first = call(asked, good)
    assert [one.recipient for one in first] == ["G22"]
    assert outside.fields(first[0].receipt.leaf)["event"] == "ContentConsignment"
    before = size(asked)
    assert call(asked, good) == first and call(asked, good, parts=()) == first
    assert size(asked) == before
    assert not nation(asked).AnnounceRelay(relays.AnnounceRelayRequest(document=good)).missing


def reasons(results):
    entries = {one.recipient: outside.fields(one.receipt.leaf) for one in results}
    return {code: entry.get("reason", entry["event"]) for code, entry in entries.items()}


def test_what_is_wrong_with_a_document_or_recipient_is_rejected_with_proof(asked):
    codes = ["G22", "G97", "G98", "G99", "H49.99"]
    mixed = brought(asked, codes)
    results = call(asked, mixed)
    assert reasons(results) == {
        "G22": "ContentConsignment", "G97": "RECIPIENT_UNKNOWN", "G98": "MAILBOX_MISSING",
        "G99": "AGENCY_CLOSED", "H49.99": "RELAY_LOOP"}
    for one in results[1:]:
        entry = outside.fields(one.receipt.leaf)
        assert (entry["event"], entry["service"]) == ("SubmissionRejection", "gateway h49.example")
    again = call(asked, mixed)
    assert again[0] == results[0]
    assert set(reasons(again[1:]).values()) == {"RELAYED_WITHOUT"}
    foreign = brought(asked, ["G22"], sender="H49.13")
    assert reasons(call(asked, foreign)) == {"G22": "RELAY_SENDER_NOT_YOURS"}
    assert not nation(asked).AnnounceRelay(relays.AnnounceRelayRequest(document=foreign)).missing
    # h49 itself learns the same, and records it once.
    asked.lines["h49", "nation"].target = asked.gateways["nation"].address
    consignment = outside.fields(mixed.receipt.leaf)["consignment"]

    def now():
        found = deliveries(asked, "H49.151", consignment)
        return {code: transport(one) for code, one in found.items()}

    wait_for(lambda: now() == {"G22": "CONSIGNED", "G97": "RELAY_REJECTED",
                               "G98": "RELAY_REJECTED", "G99": "RELAY_REJECTED",
                               "H49.99": "RELAY_REJECTED"}, 60, lambda: f"{now()}")
    told = entries_of(asked.gateways["h49"], consignment)
    assert {one["reason"] for one in told if one["event"] == "RelayRejection"} == {"RELAYED_WITHOUT"}
    for place in ("h49", "nation"):
        assert asked.gateways[place].stop() == 0
        outside.audit(asked.gateways[place].home)


def test_evidence_of_the_sender_spans_the_relay(country, tmp_path):
    sent, _ = send(country, "H49.151", ["G22", "H01"])
    for agency in ("G22", "H01"):
        wait_for(lambda: sent in waiting(country, agency), 30, f"it does not reach {agency}")
        acknowledge(country, agency, sent)
    wait_for(lambda: {transport(one) for one in deliveries(country, "H49.151", sent).values()}
             == {"HANDED_OVER"}, 30, "it is not answered")
    from gateway import evidence
    chunks = country.gateways["h49"].evidences("commune").GetEvidence(
        evidence.GetEvidenceRequest(consignment_id=sent, include_parts=True), timeout=20)
    file = tmp_path / "evidence.zip"
    file.write_bytes(b"".join(one.chunk for one in chunks))
    keys = {place: gateway.home / "log.vkey" for place, gateway in country.gateways.items()}
    own = outside.run("evidence", "verify", file, "--key", keys["h49"])
    assert "what nation.example told is not verified: no key of its log was given" in own.stdout
    assert "as the gateway nation.example told" in own.stdout
    every = [argument for key in keys.values() for argument in ("--key", key)]
    whole = outside.run("evidence", "verify", file, *every)
    assert "is not verified" not in whole.stdout
    assert "receipts of other gateways hold and say the same" in whole.stdout
    wrong = outside.run("evidence", "verify", file, "--key", keys["h49"], "--key",
                        forged(keys["nation"], tmp_path), code=7)
    assert "neighbours/" in wrong.stderr
    assert second_verifier(file, *keys.values()) == (0, "holds: 11 entries\n")
    code, why = second_verifier(file, keys["h49"], tmp_path / "forged.vkey")
    assert code == 7 and why.startswith("does not hold: CHECKPOINT_"), why
    home = country.gateways["h49"].home
    shown = outside.run(
        "trace", "--server", f"https://{country.gateways['h49'].address}", "--ca",
        home / "tls/ca.pem", "--cert", home / "systems/commune.pem", sent)
    assert " via nation.example" in shown.stdout


def second_verifier(file, *keys):
    """What the verifier in another language says of it."""
    program = outside.ROOT / "tests/independent/verifier.py"
    ran = subprocess.run([sys.executable, program, "evidence", file, *keys], capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def forged(key, folder):
    """A key of the same name that signed nothing."""
    name = key.read_text().split("+", 1)[0]
    path = folder / "forged.vkey"
    path.write_text(three.vkey(name, bytes(range(32))) + "\n")
    return path
