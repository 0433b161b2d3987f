"""kill -9 across sequencing, erasure and backup, again and again; judged by the audit.

VANTHU_KEEPING_ROUNDS sets how often (40), VANTHU_KEEPING_SEED repeats the choices of another run.
"""

import os
import random
import shutil
import subprocess
import threading
import time

import grpc

import gateway as outside
from gateway import mailbox
from test_backup import elsewhere, store
from test_retention import fetch, on_disk

ROUNDS = int(os.environ.get("VANTHU_KEEPING_ROUNDS", "40"))
SEED = int(os.environ.get("VANTHU_KEEPING_SEED", random.SystemRandom().randrange(2**32)))
#: Everything is read and held against the disk after so many rounds.
DEEP_EVERY = 10
SAMPLE = 15
#: What a command may say of a gateway that dies, is dead, or has just come up.
DYING = ["cannot connect", "Unavailable", "transport error", "from connection", "Cancelled",
         "acquire lock", "no entry yet"]


class Ledger:
    """What the outside world was told."""

    def __init__(self):
        self.lock = threading.Lock()
        self.documents = {}  # consignment → Document
        self.answered = []
        self.erased = {}  # consignment → the entry
        self.in_doubt = set()
        self.backups = self.broken_backups = 0


class Load:
    """Submitters, an eraser and a backup, until the gateway dies under them."""

    def __init__(self, gateway, ledger, backup, rng):
        self.gateway, self.ledger, self.backup = gateway, ledger, backup
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
            consignment = self.gateway.submit(document).consignment_id
            with self.ledger.lock:
                self.ledger.documents[consignment] = document
            self.gateway.mailboxes().Refuse(mailbox.RefuseRequest(
                agency="H49.11", consignment_id=consignment, reason="nhầm nơi nhận"), timeout=20)
            with self.ledger.lock:
                self.ledger.answered.append(consignment)

    def erase(self, seed):
        rng = random.Random(seed)
        while not self.stopped.is_set():
            with self.ledger.lock:
                if not self.ledger.answered:
                    continue
                consignment = self.ledger.answered.pop(rng.randrange(len(self.ledger.answered)))
                self.ledger.in_doubt.add(consignment)
            done = run("erase", consignment, "--order", "QĐ", "--data", self.gateway.home / "data")
            if done.returncode == 0:
                with self.ledger.lock:
                    self.ledger.in_doubt.discard(consignment)
                    self.ledger.erased[consignment] = done.stdout
            else:
                assert any(word in done.stderr for word in DYING), done.stderr

    def back_up(self):
        while not self.stopped.is_set():
            done = run("backup", self.backup, "--data", self.gateway.home / "data")
            self.ledger.backups += done.returncode == 0
            if done.returncode != 0:
                self.ledger.broken_backups += 1
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


def settle_doubts(gateway, ledger):
    """An erasure whose answer was lost happened, or not; the log knows."""
    for consignment in sorted(ledger.in_doubt):
        entries = gateway.trace(consignment_id=consignment)
        if any(b"\nevent erasure\n" in entry.leaf for entry in entries):
            ledger.erased[consignment] = ""
        else:
            ledger.answered.append(consignment)
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


def look_deep(gateway, ledger, backup):
    """Stops it, reads everything, and looks for bytes that must be gone."""
    assert gateway.stop() == 0
    data = gateway.home / "data"
    assert store("check", "--data", data)["valid"]
    assert store("backup", backup, "--data", data)["valid"]
    alive = {document.parts[0] for consignment, document in ledger.documents.items()
             if consignment not in ledger.erased}
    gone = {ledger.documents[consignment].parts[0] for consignment in ledger.erased} - alive
    for body in gone:
        for folder in (data / "content", backup):
            assert not on_disk(folder, body[:150]), f"erased and still in {folder}"
    gateway.start()


def test_kills_across_sequencing_erasure_and_backup(tmp_path):
    print(f"\nVANTHU_KEEPING_SEED={SEED} VANTHU_KEEPING_ROUNDS={ROUNDS}", flush=True)
    rng = random.Random(SEED)
    home = outside.make_home(tmp_path / "home", epoch_entries=800)
    backup, ledger, since = tmp_path / "backup", Ledger(), time.monotonic()
    with outside.Gateway(home).start() as gateway:
        for number in range(1, ROUNDS + 1):
            load = Load(gateway, ledger, backup, rng)
            time.sleep(rng.uniform(0.05, 0.9))
            gateway.process.kill()
            load.end()
            gateway.kill()
            report = outside.audit(home)
            gateway.start()
            settle_doubts(gateway, ledger)
            look(gateway, ledger, rng)
            if number % DEEP_EVERY == 0 or number == ROUNDS:
                look_deep(gateway, ledger, backup)
                print(f"round {number}: {len(ledger.documents)} documents, {len(ledger.erased)} "
                      f"erased, {ledger.backups} backups, {ledger.broken_backups} cut short, "
                      f"{report['entries']} entries in {report['epochs']} epochs, "
                      f"{time.monotonic() - since:.0f} s", flush=True)
        assert ledger.erased and ledger.backups
        assert gateway.stop() == 0
        restored = elsewhere(gateway, tmp_path)
        (restored / "data").mkdir()
        shutil.copy(home / "data/head.signed", restored / "data")
        store("backup", backup, "--data", home / "data")
        store("restore", backup, "--data", restored / "data")
        outside.audit(restored)
        with outside.Gateway(restored).start() as other:
            look(other, ledger, rng)
