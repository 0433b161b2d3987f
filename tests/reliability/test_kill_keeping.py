"""kill -9 across sequencing, erasure and backup, again and again; judged by the audit.

After every kill the audit reads what is new since the one before; every ten rounds everything is
read. After so many rounds a log has grown dear to read: it is judged as a whole, restored from its
backup, judged again, and the next one begins.

VANTHU_KEEPING_ROUNDS sets how often (40), VANTHU_KEEPING_SEED repeats the choices of another run.
"""

import os
import random
import re
import shutil
import subprocess
import threading
import time

import grpc

import gateway as outside
from gateway import mailbox
from test_backup import elsewhere, store
from test_retention import fetch

ROUNDS = int(os.environ.get("VANTHU_KEEPING_ROUNDS", "40"))
SEED = int(os.environ.get("VANTHU_KEEPING_SEED", random.SystemRandom().randrange(2**32)))
#: Everything is read and held against the disk after so many rounds.
DEEP_EVERY = 10
#: A log lives so many rounds.
LOG_ROUNDS = 50
SAMPLE = 15
#: Every line of a body names the body.
LINE = re.compile(rb"Noi dung ([0-9a-f]{32})\n")
#: What a command may say of a gateway that dies, is dead, or has just come up.
DYING = ["cannot connect", "Unavailable", "transport error", "from connection", "Cancelled",
         "acquire lock", "no entry yet"]


class Ledger:
    """What the outside world was told about one log."""

    def __init__(self):
        self.lock = threading.Lock()
        self.unanswered = {}  # request id → Document
        self.documents = {}  # consignment → Document
        self.answered = []
        self.erased = set()
        self.in_doubt = set()


class Tally:
    """What all kills together have met."""

    def __init__(self):
        self.since = time.monotonic()
        self.documents = self.learnt = self.erased = self.entries = self.epochs = 0
        self.backups = self.broken_backups = self.cut_and_done = self.cut_and_undone = 0

    def add(self, ledger, report):
        self.documents += len(ledger.documents)
        self.erased += len(ledger.erased)
        self.entries += report["entries"]
        self.epochs += report["epochs"]

    def __str__(self):
        return (f"{self.documents} documents ({self.learnt} learnt by retry), {self.erased} erased "
                f"({self.cut_and_done} by an erasure cut short, {self.cut_and_undone} more undone), "
                f"{self.backups} backups and {self.broken_backups} cut short, {self.entries} "
                f"entries in {self.epochs} epochs, {time.monotonic() - self.since:.0f} s")


class Load:
    """Submitters, an eraser and a backup, until the gateway dies under them."""

    def __init__(self, gateway, ledger, tally, backup, rng):
        self.gateway, self.ledger, self.tally, self.backup = gateway, ledger, tally, backup
        self.stopped, self.surprises = threading.Event(), []
        shared = outside.make_document(random=rng).parts[0]
        jobs = [(self.submit, (rng.getrandbits(64), shared)) for _ in range(2)]
        jobs += [(self.erase, (rng.getrandbits(64),)), (self.back_up, ())]
        gateway.channel("commune"), gateway.channel("province")
        self.threads = [threading.Thread(target=self.work, args=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def work(self, job, arguments):
        try:
            job(*arguments)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                    grpc.StatusCode.UNKNOWN):
                self.surprises.append(error)
        except Exception as error:  # noqa: BLE001
            if "closed channel" not in str(error):
                self.surprises.append(error)

    def submit(self, seed, shared):
        rng = random.Random(seed)
        while not self.stopped.is_set():
            document = outside.make_document(size=rng.choice([200, 9_000]), random=rng)
            if rng.random() < 0.3:
                part = outside.listed("cong-van.txt", shared)
                document.envelope, document.parts = outside.make_envelope([part]), [shared]
            with self.ledger.lock:
                self.ledger.unanswered[document.request_id] = document
            consignment = self.gateway.submit(document).consignment_id
            with self.ledger.lock:
                self.ledger.documents[consignment] = document
                del self.ledger.unanswered[document.request_id]
            self.gateway.mailboxes().Refuse(mailbox.RefuseRequest(
                agency="H49.11", consignment_id=consignment, reason="nhầm nơi nhận"), timeout=20)
            with self.ledger.lock:
                self.ledger.answered.append(consignment)

    def erase(self, seed):
        rng = random.Random(seed)
        while not self.stopped.is_set():
            answered = self.ledger.answered  # Nobody else takes from it.
            if not answered:
                self.stopped.wait(0.005)
                continue
            with self.ledger.lock:
                consignment = answered.pop(rng.randrange(len(answered)))
                self.ledger.in_doubt.add(consignment)
            done = run("erase", consignment, "--order", "QĐ", "--data", self.gateway.home / "data")
            if done.returncode == 0:
                with self.ledger.lock:
                    self.ledger.in_doubt.discard(consignment)
                    self.ledger.erased.add(consignment)
            else:
                assert any(word in done.stderr for word in DYING), done.stderr

    def back_up(self):
        while not self.stopped.is_set():
            done = run("backup", self.backup, "--data", self.gateway.home / "data")
            self.tally.backups += done.returncode == 0
            if done.returncode != 0:
                self.tally.broken_backups += 1
                assert any(word in done.stderr for word in DYING), done.stderr
                time.sleep(0.02)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a client hangs after its gateway died"
        assert not self.surprises, self.surprises


def run(*arguments):
    return subprocess.run([outside.BIN, "store", *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)


def settle_doubts(gateway, ledger, tally):
    """What was asked and not answered happened, or not; the log knows."""
    for document in ledger.unanswered.values():
        result = gateway.submit(document)
        ledger.documents[result.consignment_id] = document
        tally.learnt += result.repeated
    ledger.unanswered.clear()
    for consignment in sorted(ledger.in_doubt):
        entries = gateway.trace(consignment_id=consignment)
        if any(b"\nevent erasure\n" in entry.leaf for entry in entries):
            ledger.erased.add(consignment)
            tally.cut_and_done += 1
        else:
            ledger.answered.append(consignment)
            tally.cut_and_undone += 1
    ledger.in_doubt.clear()


def look(gateway, ledger, rng):
    """Erased is refused; everything else is there, byte for byte."""
    known = sorted(ledger.documents)
    for consignment in rng.sample(known, min(SAMPLE, len(known))):
        document = ledger.documents[consignment]
        assert gateway.submit(document).repeated
        if consignment not in ledger.erased:
            assert fetch(gateway, consignment) == document.parts[0]
            continue
        try:
            fetch(gateway, consignment)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            assert b"CONTENT_ERASED" in details, error
        else:
            raise AssertionError(f"{consignment} was erased and is there")


def bodies_in(folder):
    """The bodies of which a line stands in any file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {body for path in files for body in LINE.findall(path.read_bytes())}


def look_deep(gateway, ledger, backup):
    """Reads everything of the stopped gateway, and looks for bytes that must be gone."""
    data = gateway.home / "data"
    report = outside.audit(gateway.home)
    assert store("check", "--data", data)["valid"]
    assert store("backup", backup, "--data", data)["valid"]
    named = {one: LINE.match(document.parts[0])[1] for one, document in ledger.documents.items()}
    alive = {body for consignment, body in named.items() if consignment not in ledger.erased}
    gone = {named[consignment] for consignment in ledger.erased} - alive
    for folder in (data / "content", backup):
        found = bodies_in(folder)
        assert alive <= found, f"not in {folder}: {alive - found}"
        assert not gone & found, f"erased and still in {folder}: {gone & found}"
    return report


def live_through(rounds, home, tally, rng):
    """So many kills on a log of its own."""
    outside.make_home(home, epoch_entries=800)
    backup, remembered = home.with_suffix(".backup"), home.with_suffix(".audited")
    ledger = Ledger()
    with outside.Gateway(home).start() as gateway:
        for number in range(1, rounds + 1):
            load = Load(gateway, ledger, tally, backup, rng)
            time.sleep(rng.uniform(0.05, 0.5))
            gateway.process.kill()
            load.end()
            gateway.kill()
            outside.audit(home, since=remembered)
            gateway.start()
            settle_doubts(gateway, ledger, tally)
            look(gateway, ledger, rng)
            if number % DEEP_EVERY == 0 or number == rounds:
                assert gateway.stop() == 0
                report = look_deep(gateway, ledger, backup)
                gateway.start()
        assert gateway.stop() == 0
        restored = elsewhere(gateway, home.parent, f"{home.name}-restored")
    # The guard moves to the other machine; what was signed since the backup is not lost with it.
    (restored / "data").mkdir()
    shutil.copy(home / "data/head.signed", restored / "data")
    store("backup", backup, "--data", home / "data")
    store("restore", backup, "--data", restored / "data")
    outside.audit(restored)
    with outside.Gateway(restored).start() as other:
        look(other, ledger, rng)
    tally.add(ledger, report)
    for folder in (home, backup, restored):
        shutil.rmtree(folder)


def test_kills_across_sequencing_erasure_and_backup(tmp_path):
    print(f"\nVANTHU_KEEPING_SEED={SEED} VANTHU_KEEPING_ROUNDS={ROUNDS}", flush=True)
    rng, tally = random.Random(SEED), Tally()
    for begun in range(0, ROUNDS, LOG_ROUNDS):
        rounds = min(LOG_ROUNDS, ROUNDS - begun)
        live_through(rounds, tmp_path / f"log-{begun}", tally, rng)
        print(f"{begun + rounds} kills: {tally}", flush=True)
    assert tally.erased and tally.backups
