"""kill -9 at random moments under load, again and again: nothing acknowledged is lost or doubled.

VANTHU_KILL_ROUNDS sets how often (100), VANTHU_KILL_SEED repeats the choices of another run.
"""

import collections
import hashlib
import os
import random
import shutil
import threading
import time

import grpc
import pytest

import gateway as outside
from gateway import envelope, mailbox, submission

ROUNDS = int(os.environ.get("VANTHU_KILL_ROUNDS", "100"))
SEED = int(os.environ.get("VANTHU_KILL_SEED", random.SystemRandom().randrange(2**32)))
SUBMITTERS = 4
#: Who receives; every document goes to one to three of them.
RECIPIENTS = ["H49.11", "H49.152", "G22"]
UPLOAD_SIZE = 24 * outside.MIB
CHUNK = 256 * 1024
#: Old requests that are sent again in every round, besides all of the round itself.
OLD_RETRIES = 10


class Ledger:
    """What the outside world knows: what it sent, and what it was told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.documents = {}  # request id → Document
        self.accepted = {}  # request id → the first SubmissionResult
        self.keys = {}  # request key → request id
        self.answered = {}  # (consignment, agency) → the first AcknowledgeResponse
        self.round_sent, self.round_answered = [], []
        self.refused = []

    def sent(self, document):
        with self.lock:
            self.documents[document.request_id] = document
            self.keys[document.key] = document.request_id
            self.round_sent.append(document.request_id)

    def told(self, document, result):
        with self.lock:
            assert document.request_id not in self.accepted
            self.accepted[document.request_id] = result

    def acknowledged(self, place, answer):
        with self.lock:
            assert place not in self.answered
            self.answered[place] = answer
            self.round_answered.append(place)


class Load:
    """Submitters, ackers and an uploader, until the gateway dies under them."""

    def __init__(self, gateway, ledger, upload, rng):
        self.gateway, self.ledger, self.upload = gateway, ledger, upload
        self.stopped = threading.Event()
        self.surprises = []
        jobs = [(self.submit, rng.getrandbits(64)) for _ in range(SUBMITTERS)]
        jobs += [(self.acknowledge, "H49.11"), (self.acknowledge, "G22")]
        jobs += [(self.send_upload, None)]
        for agency in RECIPIENTS:
            gateway.channel(outside.HOSTS[agency])
        self.threads = [threading.Thread(target=self.work, args=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def work(self, job, argument):
        try:
            job(argument)
        except grpc.RpcError as error:
            # A dying gateway may say little; while it lives, it may not fail.
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                    grpc.StatusCode.UNKNOWN):
                self.surprises.append(error)
        except ValueError as error:
            if "closed channel" not in str(error):
                self.surprises.append(error)
        except Exception as error:  # noqa: BLE001
            self.surprises.append(error)

    def submit(self, seed):
        rng = random.Random(seed)
        while not self.stopped.is_set():
            document = outside.make_document(
                size=rng.choice([100, 2_000, 20_000]), random=rng,
                recipients=rng.sample(RECIPIENTS, rng.randint(1, 3)),
                urgency=rng.choice([envelope.URGENCY_NORMAL, envelope.URGENCY_FLASH]),
            )
            self.ledger.sent(document)
            self.ledger.told(document, self.gateway.submit(document))

    def acknowledge(self, agency):
        stub = self.gateway.mailboxes(outside.HOSTS[agency])
        for message in stub.Watch(mailbox.WatchRequest(agency=agency)):
            if self.stopped.is_set():
                return
            if message.WhichOneof("event") != "item":
                continue
            item = message.item
            place = (item.consignment_id, agency)
            answer = stub.Acknowledge(mailbox.AcknowledgeRequest(
                agency=agency, consignment_id=item.consignment_id,
                lease_token=item.lease_token), timeout=20)
            if place in self.ledger.answered:
                raise AssertionError(f"{place} was acknowledged and came again")
            if answer.repeated:
                # The gateway died between the entry and the answer of an earlier round.
                raise AssertionError(f"{place} was handed over before and came again")
            self.ledger.acknowledged(place, answer)

    def send_upload(self, _):
        while not self.stopped.is_set():
            self.upload.go_on(self.gateway, self.stopped)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a client hangs after its gateway died"
        assert not self.surprises, self.surprises


class Upload:
    """One large part at a time, resumed wherever the last gateway left it."""

    def __init__(self, ledger, rng):
        self.ledger, self.rng = ledger, rng
        self.offset = self.resumed = self.finished = 0
        self.renew()

    def renew(self):
        self.content = self.rng.randbytes(UPLOAD_SIZE)
        self.offset = 0
        self.part = outside.listed("phu-luc.bin", self.content)
        seed = self.rng.randbytes(16)
        identifier = str(outside.uuid.UUID(bytes=seed, version=4))
        self.document = outside.Document(
            "H49.151", identifier, outside.make_envelope([self.part]), None)

    def go_on(self, gateway, stopped):
        stub = gateway.submissions()
        if self.document.request_id not in self.ledger.documents:
            self.send_content(stub, stopped)
        self.ledger.sent(self.document)
        result = stub.Submit(submission.SubmitRequest(
            request_id=self.document.request_id, envelope=self.document.envelope),
            timeout=20).result
        if self.document.request_id not in self.ledger.accepted:
            self.ledger.told(self.document, result)
        self.finished += 1
        self.renew()

    def send_content(self, stub, stopped):
        announced = stub.Announce(
            submission.AnnounceRequest(envelope=self.document.envelope), timeout=20)
        if announced.missing:
            offset = announced.missing[0].offset
            assert offset >= self.offset, f"{self.offset} bytes had arrived, now {offset}"
            self.resumed += 0 < offset < UPLOAD_SIZE
            self.offset = offset
            stub.Upload(self.messages(offset, stopped), timeout=60)
            # From now on the upload is the gateway's: every Submit must find it.
            self.offset = UPLOAD_SIZE

    def messages(self, offset, stopped):
        header = submission.UploadHeader(
            sha256=self.part.sha256, size=self.part.size, offset=offset)
        yield submission.UploadRequest(header=header)
        for start in range(offset, UPLOAD_SIZE, CHUNK):
            if stopped.is_set():
                return
            yield submission.UploadRequest(chunk=self.content[start:start + CHUNK])
            time.sleep(0.002)


class Book:
    """The log as an auditor copies it: it only ever grows."""

    def __init__(self):
        self.next = (1, 0)
        self.last_leaf = None
        self.acceptances = collections.Counter()
        self.handovers = collections.Counter()
        self.consigned = collections.Counter()
        self.entries = 0
        # Events since the reading before.
        self.events = []

    def read_on(self, gateway):
        epoch, index = self.next
        start = max(index - 1, 0)
        self.events = []
        for at_epoch, at, leaf in gateway.entries(epoch, start):
            if (at_epoch, at) == (epoch, index - 1):
                assert leaf == self.last_leaf, f"entry {epoch}/{at} has changed"
                continue
            self.take(outside.fields(leaf))
            self.events.append(outside.fields(leaf)["event"])
            self.next, self.last_leaf = (at_epoch, at + 1), leaf
            self.entries += 1

    def after(self, audited):
        """What came after so many entries."""
        return self.events[len(self.events) - (self.entries - audited):]

    def take(self, entry):
        match entry["event"]:
            case "SubmissionAcceptance":
                self.acceptances[entry["request"]] += 1
            case "ContentConsignment":
                self.consigned[entry["consignment"], entry["to"]] += 1
            case "ContentHandover":
                self.handovers[entry["consignment"], entry["to"]] += 1

    def check(self, ledger):
        assert all(count == 1 for count in self.acceptances.values())
        assert all(count == 1 for count in self.handovers.values())
        assert all(count == 1 for count in self.consigned.values())
        assert self.acceptances.keys() <= ledger.keys.keys(), "accepted what nobody sent"
        for request_id in ledger.accepted:
            assert self.acceptances[ledger.documents[request_id].key] == 1, request_id
        for place in ledger.answered:
            assert self.handovers[place] == 1, place


def send_again(gateway, ledger, request_ids):
    """Every retry gives the first receipt, byte for byte, or, if there was none, exactly one."""
    late = 0
    for request_id in request_ids:
        document = ledger.documents[request_id]
        if document.parts is None:
            stub = gateway.submissions()
            result = stub.Submit(submission.SubmitRequest(
                request_id=request_id, envelope=document.envelope), timeout=20).result
        else:
            result = gateway.submit(document)
        first = ledger.accepted.get(request_id)
        if first is None:
            late += result.repeated
            ledger.told(document, result)
            continue
        assert result.repeated, f"{request_id} was accepted twice"
        assert result.consignment_id == first.consignment_id
        assert result.receipt.SerializeToString() == first.receipt.SerializeToString()
    return late


def acknowledge_again(gateway, ledger, places):
    for consignment, agency in places:
        answer = gateway.mailboxes(outside.HOSTS[agency]).Acknowledge(
            mailbox.AcknowledgeRequest(agency=agency, consignment_id=consignment), timeout=20)
        assert answer.repeated
        first = ledger.answered[consignment, agency]
        assert answer.receipt.SerializeToString() == first.receipt.SerializeToString()


def mailboxes(gateway):
    """What waits in every mailbox, in order, and how it stands with each document."""
    return {agency: [item.SerializeToString(deterministic=True) for item in gateway.items(agency)]
            for agency in RECIPIENTS}


def die(gateway, rng, load):
    """Kills the gateway at some moment; now and then again while it recovers."""
    time.sleep(rng.uniform(0.02, 0.7))
    gateway.process.kill()
    load.end()
    gateway.kill()
    again = rng.random() < 0.2
    if again:
        gateway.launch()
        time.sleep(rng.uniform(0, 0.12))
        gateway.kill()
    return again


@pytest.mark.parametrize("epoch_entries", [1_500])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path, epoch_entries):
    print(f"\nVANTHU_KILL_SEED={SEED} VANTHU_KILL_ROUNDS={ROUNDS}", flush=True)
    rng = random.Random(SEED)
    home = outside.make_home(tmp_path / "home", epoch_entries=epoch_entries)
    ledger, book = Ledger(), Book()
    upload = Upload(ledger, rng)
    late = twice = 0
    since = time.monotonic()
    with outside.Gateway(home).start() as gateway:
        for number in range(1, ROUNDS + 1):
            ledger.round_sent, ledger.round_answered = [], []
            load = Load(gateway, ledger, upload, rng)
            twice += die(gateway, rng, load)
            report = outside.audit(home)
            gateway.start()
            book.read_on(gateway)
            book.check(ledger)
            # The auditor's own reading is an entry, and opens an epoch if that one was full.
            own = book.after(report["entries"])
            assert own in (["read"], ["epoch", "read"]), "the audit and the auditor differ"
            old = rng.sample(sorted(ledger.accepted), min(OLD_RETRIES, len(ledger.accepted)))
            late += send_again(gateway, ledger, dict.fromkeys(ledger.round_sent + old))
            acknowledge_again(gateway, ledger, ledger.round_answered)
            if number % 10 == 0 or number == ROUNDS:
                print(f"round {number}: {len(ledger.accepted)} accepted, {late} of them learnt by "
                      f"retry, {len(ledger.answered)} acknowledged, {book.entries} entries in "
                      f"{report['epochs']} epochs, {twice} second kills, {upload.resumed} uploads "
                      f"resumed, {upload.finished} finished, "
                      f"{time.monotonic() - since:.0f} s", flush=True)
        book.read_on(gateway)
        book.check(ledger)
        assert len(book.acceptances) == len(ledger.accepted)
        rebuilt_store_says_the_same(gateway, ledger, tmp_path, rng)


def rebuilt_store_says_the_same(gateway, ledger, tmp_path, rng):
    """Everything but the entries and the content is a projection of them."""
    before = mailboxes(gateway)
    assert gateway.stop() == 0
    outside.audit(gateway.home)
    copy = outside.copy_data(gateway.home, tmp_path / "copy")
    with outside.timed("store rebuild"):
        outside.run("store", "rebuild", "--data", copy / "data")
    outside.audit(copy)
    with outside.Gateway(copy).start() as rebuilt:
        assert mailboxes(rebuilt) == before
        sample = rng.sample(sorted(ledger.accepted), min(300, len(ledger.accepted)))
        send_again(rebuilt, ledger, sample)
        places = rng.sample(sorted(ledger.answered), min(100, len(ledger.answered)))
        acknowledge_again(rebuilt, ledger, places)
    shutil.rmtree(copy)
    assert hashlib.sha256(b"".join(sum(before.values(), []))).digest()
