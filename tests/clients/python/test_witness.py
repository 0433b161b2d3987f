"""Gateways as each other's witnesses: the protocol to the letter, receipts with cosignatures, forks."""

import base64
import hashlib
import re
import shutil
import socket
import time
import urllib.request

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gateway import CALL_SECONDS, Pki, vanthu, vanthu_json, wait_until
from papers import Letter
from proofs import (
    COSIGNATURE,
    ED25519,
    LogKey,
    WitnessKey,
    check_receipt,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    read_entry,
    root_of,
    vkey,
)
from readers import Reader
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import receipt_pb2

B64 = base64.b64encode


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def renamed(key, name, kind):
    """The vkey of the same key under another name."""
    return vkey(name, kind, base64.b64decode(key.split("+", 2)[2])[1:])


class Side:
    """One of two gateways: its country, its name, its keys and where it is read."""

    def __init__(self, name, folder):
        self.name, self.pki, self.port = name, Pki.make(folder / name), free_port()
        self.log = renamed(self.pki.vkey, name, ED25519)
        self.witness = renamed(self.pki.read("witness.vkey").decode().strip(), f"{name}/witness", COSIGNATURE)

    def config(self, *others, quorum=1, epoch_entries=10_000_000, deadline=5):
        """Witness of all others and witnessed by them."""
        logs = ", ".join(f'"{other.log}"' for other in others)
        text = (
            f"epoch_entries = {epoch_entries}\n"
            f'[readers]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[witness]\nkey = "witness.key"\nlogs = [{logs}]\n'
        )
        if quorum:
            text += f"[witnessed]\nquorum = {quorum}\ninterval_seconds = 1\ndeadline_seconds = {deadline}\n"
        for other in others if quorum else ():
            text += (
                f'[[witnessed.by]]\nkey = "{other.witness}"\nurl = "https://localhost:{other.port}/witness"\n'
                f'ca = "{other.pki.folder / "tls/ca.pem"}"\n'
            )
        return text


def write(gateway, letters=1):
    """Two entries for each letter."""
    for _ in range(letters):
        Letter("H49.152", ["H49.11.3"]).send(gateway.system("commune"))


def cosigned_size(gateway, key):
    answer = gateway.system("auditor").log.GetCheckpoint(lg.GetCheckpointRequest())
    return key.open(answer.cosigned_checkpoint).size if answer.cosigned_checkpoint else 0


def services(gateway):
    """What the log says of services, in order."""
    stream = gateway.system("auditor").log.ReadEntries(lg.ReadEntriesRequest())
    entries = [read_entry(leaf) for message in stream for leaf in message.leaves]
    return [(entry["event"], entry["service"]) for entry in entries if "service" in entry]


def metric(gateway, line):
    with urllib.request.urlopen(f"http://{gateway.operations}/metrics", timeout=CALL_SECONDS) as page:
        found = re.search(rf"^{re.escape(line)} (\S+)$", page.read().decode(), re.M)
        return float(found[1]) if found else None


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("countries")
    return Side("a.example", folder), Side("b.example", folder)


@pytest.fixture(scope="module")
def pair(sides, start):
    """Two gateways that witness each other."""
    a, b = sides
    gateways = [start(one.pki, one.config(other, epoch_entries=20), one.name) for one, other in ((a, b), (b, a))]
    yield gateways
    for gateway in gateways:
        gateway.stop()


def test_two_gateways_witness_each_other(sides, pair):
    since = int(time.time())
    for (side, other), gateway in zip((sides, sides[::-1]), pair, strict=True):
        log, witness = LogKey(side.log), WitnessKey(other.witness)
        write(gateway, 3)
        wait_until(lambda: cosigned_size(gateway, log) == gateway.size())
        answer = gateway.system("auditor").log.GetCheckpoint(lg.GetCheckpointRequest())
        assert since <= witness.cosigned(answer.cosigned_checkpoint) <= time.time()
        assert witness.cosigned(answer.checkpoint) is None
        reader = Reader(gateway)
        public = reader.must("/log/1/checkpoint")
        assert public == answer.cosigned_checkpoint
        reader.close()
        assert metric(gateway, f'vanthu_witness_requests_total{{witness="{other.name}/witness",outcome="cosigned"}}') >= 1
        assert metric(gateway, "vanthu_witnessed_entries") == gateway.size()
        assert metric(gateway, "vanthu_neighbour_forks") == 0


def test_a_receipt_is_had_again_with_cosignatures_and_verifies_offline(sides, pair, tmp_path):
    (a, b), (gateway, _) = sides, pair
    commune = gateway.system("commune")
    sent = Letter("H49.152", ["H49.11.3"]).send(commune).receipt
    log, witness = LogKey(a.log), WitnessKey(b.witness)
    assert witness.cosigned(sent.checkpoint) is None
    request = lg.GetReceiptRequest(entry_id=sent.entry_id, cosigned=True)
    wait_until(lambda: commune.log.GetReceipt(request).cosigned)
    answer = commune.log.GetReceipt(request)
    check_receipt(answer.receipt, log)
    assert answer.receipt.leaf == sent.leaf
    assert witness.cosigned(answer.receipt.checkpoint)
    plain = commune.log.GetReceipt(lg.GetReceiptRequest(entry_id=sent.entry_id))
    assert plain.receipt == sent and not plain.cosigned

    who = ["--server", f"https://localhost:{gateway.address.rsplit(':')[-1]}", "--ca", a.pki.folder / "tls/ca.pem",
           "--cert", a.pki.folder / "systems/commune.pem"]  # fmt: skip
    entry = f"{sent.entry_id.epoch}/{sent.entry_id.index}"
    seen, alone = tmp_path / "seen.receipt", tmp_path / "alone.receipt"
    vanthu("log", "prove", entry, "--cosigned", "--out", seen, *who)
    vanthu("log", "prove", entry, "--out", alone, *who)
    file = tmp_path / "evidence.zip"
    consignment = read_entry(sent.leaf)["consignment"]
    vanthu("evidence", "get", consignment, "--out", file, *who)
    told = vanthu_json("evidence", "verify", file, "--key", a.log, "--witness", b.witness)
    assert told["witnesses"] == [f"{b.name}/witness"]
    vanthu("evidence", "verify", file, "--key", a.log, "--witness", a.witness, code=7)
    check = ["evidence", "verify", seen, "--key", a.log]
    assert "witnessed by b.example/witness at " in vanthu(*check, "--witness", b.witness)
    vanthu(*check, "--witness", b.witness, a.witness, "--quorum", 1)
    vanthu(*check, "--witness", b.witness, a.witness, code=7)
    vanthu(*check, "--witness", b.witness, "--quorum", 2, code=3)
    vanthu("evidence", "verify", alone, "--key", a.log)
    vanthu("evidence", "verify", alone, "--key", a.log, "--witness", b.witness, code=7)
    policy = tmp_path / "policy"
    policy.write_text(f"log {a.log}\nwitness B {b.witness}\nwitness A {a.witness}\ngroup G any A B\nquorum G\n")
    vanthu(*check, "--policy", policy)
    policy.write_text(f"log {b.log}\nwitness B {b.witness}\nquorum B\n")
    vanthu(*check, "--policy", policy, code=7)
    policy.write_text("quorum nobody\n")
    vanthu(*check, "--policy", policy, code=3)


def test_cosigning_goes_on_from_epoch_to_epoch_and_closed_epochs_are_cosigned_to_their_end(sides, pair):
    (a, b), (gateway, neighbour) = sides, pair
    log, witness, auditor = LogKey(a.log), WitnessKey(b.witness), gateway.system("auditor")

    def newest(epoch=0):
        return auditor.log.GetCheckpoint(lg.GetCheckpointRequest(epoch=epoch))

    while newest().epoch < 4:
        write(gateway)
    wait_until(lambda: cosigned_size(gateway, log) == newest().size)
    for epoch in (1, 2, 3):
        wait_until(lambda: newest(epoch).cosigned_checkpoint)
        wait_until(lambda: log.open(newest(epoch).cosigned_checkpoint).size == newest(epoch).size)
        assert witness.cosigned(newest(epoch).cosigned_checkpoint)
    reader = Reader(neighbour)
    origin = hashlib.sha256(f"{a.name}/log/4".encode()).hexdigest()
    kept = reader.must(f"/witness/{origin}/checkpoint")
    assert log.open(kept).size == newest().size and witness.cosigned(kept)
    reader.close()


class Log:
    """A log of our own making, to be shown to a witness."""

    def __init__(self, name="c.example"):
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.name, self.log = name, vkey(name, ED25519, public)
        self.public, self.port, self.witness = public, 1, None

    def note(self, leaves, epoch=1, key=None, size=None):
        origin = f"{self.name}/log/{epoch}"
        root = root_of([leaf_hash(leaf) for leaf in leaves])
        text = f"{origin}\n{len(leaves) if size is None else size}\n{B64(root).decode()}\n"
        key_id = hashlib.sha256(f"{origin}\n".encode() + ED25519 + self.public).digest()[:4]
        line = B64(key_id + (key or self.key).sign(text.encode())).decode()
        return f"{text}\n\u2014 {origin} {line}\n"

    def request(self, old, leaves, **how):
        hashes = [leaf_hash(leaf) for leaf in leaves]
        proof = consistency_proof(hashes, old) if old <= len(leaves) else []
        lines = "".join(f"{B64(step).decode()}\n" for step in proof)
        return f"old {old}\n{lines}\n{self.note(leaves, **how)}"

    def opening(self, leaves, epoch, index=0):
        hashes = [leaf_hash(leaf) for leaf in leaves]
        path = "".join(f"{B64(step).decode()}\n" for step in inclusion_proof(hashes, index))
        extra = B64(leaves[index]).decode()
        return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{path}\n{self.note(leaves, epoch)}"

    def opening_entry(self, epoch, ended):
        root = root_of([leaf_hash(leaf) for leaf in ended]).hex()
        gateway = hashlib.sha256(self.public).hexdigest()
        return (
            f"vanthu.entry.v1\nevent epoch\ntime 2026-11-22T03:45:18.123Z\nactor gateway {gateway}\n"
            f"previous {epoch} {len(ended)} {root}\n"
        ).encode()


def leaves_of(count, kind="a"):
    return [f"{kind} {index}".encode() for index in range(count)]


@pytest.fixture
def watched(sides, start):
    """A witness of a log of ours: the log, a way to call, and the gateway."""
    b, log = sides[1], Log()
    gateway = start(b.pki, b.config(log, quorum=0).replace(f":{b.port}", ":0"), b.name)
    reader = Reader(gateway)
    yield log, lambda body, call="add-checkpoint": reader.ask("POST", f"/witness/{call}", body), gateway
    reader.close()
    gateway.stop()


def says(page, status, body=None):
    assert page.status == status, page
    if body is not None:
        assert page.body.decode() == body, page


def forks_of(gateway):
    return sorted(path for path in (gateway.folder / "data/witness").glob("fork-*") if not path.suffix)


def test_the_witness_answers_as_the_specification_says(sides, watched):
    (log, ask, gateway), witness = watched, WitnessKey(sides[1].witness)
    nine, twenty = leaves_of(9), leaves_of(20)
    says(ask("old 0\n"), 400)
    says(ask(log.request(0, nine).replace("old 0", "old 00")), 400)
    says(ask(log.request(0, nine).replace("\n\n", "\n", 1)), 400)
    says(ask("old 0\n\n" + "x" * 40_000), 413)
    says(ask(Log("d.example").request(0, nine)), 404)
    says(ask(Log("c.example").request(0, nine)), 403)
    says(ask(log.request(0, nine, key=Ed25519PrivateKey.generate())), 403)
    says(ask(log.request(10, nine)), 400)
    conflict = ask(log.request(3, nine))
    says(conflict, 409, "0\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    says(ask(log.request(0, nine).replace("old 0\n", "old 0\n" + B64(bytes(32)).decode() + "\n")), 422)
    says(ask(log.request(0, leaves_of(1), size=0)), 422)

    good = ask(log.request(0, nine))
    says(good, 200)
    line = good.body.decode()
    assert line.startswith("\u2014 b.example/witness ") and line.endswith("\n") and line.count("\n") == 1
    assert abs(witness.cosigned((log.note(nine) + line).encode()) - time.time()) < 60
    says(ask(log.request(0, twenty)), 409, "9\n")
    says(ask(log.request(9, nine)), 200)
    lines = log.request(9, twenty).split("\n")
    says(ask("\n".join(lines[:1] + lines[2:])), 422)
    says(ask(log.request(9, twenty)), 200)
    says(ask(log.request(9, twenty)), 409, "20\n")
    says(ask(log.request(20, nine)), 400)
    gateway_says = Reader(gateway)
    origin = hashlib.sha256(b"c.example/log/1").hexdigest()
    note = gateway_says.must(f"/witness/{origin}/checkpoint")
    assert LogKey(log.log).open(note).size == 20 and witness.cosigned(note)
    for nothing in (hashlib.sha256(b"c.example/log/2").hexdigest(), origin.upper(), "x"):
        says(gateway_says.get(f"/witness/{nothing}/checkpoint"), 404)
    gateway_says.close()


def test_a_witness_remembers_over_a_kill_and_never_goes_back(watched, sides):
    log, ask, gateway = watched
    says(ask(log.request(0, leaves_of(9))), 200)
    says(ask(log.request(9, leaves_of(20))), 200)
    gateway.process.kill()
    gateway.process.wait()
    gateway._launch()
    reader = Reader(gateway)
    says(reader.ask("POST", "/witness/add-checkpoint", log.request(0, leaves_of(9))), 409, "20\n")
    says(reader.ask("POST", "/witness/add-checkpoint", log.request(20, leaves_of(33))), 200)
    reader.close()


def test_a_split_view_is_refused_kept_and_proven(watched, tmp_path):
    log, ask, gateway = watched
    seen = leaves_of(50)
    says(ask(log.request(0, seen)), 200)
    other = leaves_of(30) + leaves_of(40, "b")
    for request, status in ((log.request(50, other[:50]), 422), (log.request(3, other[:50]), 409)):
        says(ask(request), status)
    says(ask(log.request(50, other)), 422)
    assert '"THE LOG OF A NEIGHBOUR IS FORKED"' in gateway.traces()
    same_size, grown = 0, 0
    for proof in forks_of(gateway):
        told = vanthu_json("log", "forked", proof, "--key", log.log)
        assert told["forked"] and told["first"]["size"] == 50
        same_size += told["second"]["size"] == 50
        grown += told["second"]["size"] == 70
        vanthu("log", "forked", proof, "--key", Log().log, code=7)
        bent = tmp_path / "bent"
        bent.write_bytes(proof.read_bytes().replace(b"\n50\n", b"\n51\n"))
        vanthu("log", "forked", bent, "--key", log.log, code=7)
    assert (same_size, grown) == (1, 1)
    wait_until(lambda: metric(gateway, "vanthu_neighbour_forks") == 2)
    one, two, three = (tmp_path / name for name in "123")
    one.write_text(log.note(seen))
    two.write_text(log.note(other[:50]))
    three.write_text(log.note(other))
    vanthu("log", "forked", one, two, "--key", log.log)
    vanthu("log", "forked", one, one, "--key", log.log, code=7)
    vanthu("log", "forked", one, three, "--key", log.log, code=8)
    says(ask(log.request(50, leaves_of(60))), 200)


def test_a_new_epoch_is_tied_to_the_end_of_the_last_one(watched):
    log, ask, gateway = watched
    first = leaves_of(40)
    says(ask(log.request(0, first[:30])), 200)
    second = [log.opening_entry(1, first), *leaves_of(4)]
    says(ask(log.request(0, second, epoch=2)), 404)
    says(ask(log.opening(second, 2), "add-opening"), 409, "30\n")
    says(ask(log.request(30, first)), 200)
    says(ask(log.opening(second, 2, index=1), "add-opening"), 400)
    cut_off = [log.opening_entry(1, first[:39]), *leaves_of(4)]
    assert not forks_of(gateway)
    says(ask(log.opening(cut_off, 2), "add-opening"), 422)
    (proof,) = forks_of(gateway)
    told = vanthu_json("log", "forked", proof, "--key", log.log)
    assert (told["first"]["epoch"], told["second"]["epoch"]) == (1, 2)
    says(ask(log.opening(second, 2), "add-opening"), 200)
    says(ask(log.opening(second, 2), "add-opening"), 409, "5\n")
    says(ask(log.request(5, second + leaves_of(3), epoch=2)), 200)
    says(ask(log.request(0, second, epoch=3)), 404)
    grown = first + leaves_of(5)
    says(ask(log.request(40, grown)), 422)
    assert len(forks_of(gateway)) == 2
    for proof in forks_of(gateway):
        vanthu("log", "forked", proof, "--key", log.log)


def test_a_gateway_forked_on_purpose_is_found_out_by_its_witness(sides, start, tmp_path):
    a, b = Side("forked.example", tmp_path), Side("watcher.example", tmp_path)
    witness = start(b.pki, b.config(a, quorum=0), b.name)
    honest = start(a.pki, a.config(b), a.name)
    log = LogKey(a.log)
    write(honest, 10)
    wait_until(lambda: cosigned_size(honest, log) == 20)
    honest.stop()
    # Head guard and all: nothing on this machine can tell the copy from the original.
    shutil.copytree(honest.folder / "data", tmp_path / "copy")
    honest.restart()
    write(honest, 3)
    wait_until(lambda: cosigned_size(honest, log) == 26)
    honest.stop()
    forked = start(a.pki, a.config(b), a.name, data=tmp_path / "copy")
    write(forked, 2)
    wait_until(lambda: "OUR LOG IS NOT THE ONE IT SAW" in forked.traces())
    assert "it has seen 26 entries of our log, and we have fewer" in forked.traces()
    write(forked, 3)
    wait_until(lambda: forks_of(witness))
    wait_until(lambda: "THE LOG OF A NEIGHBOUR IS FORKED" in witness.traces())
    assert cosigned_size(forked, log) == 20, "nothing of the fork is cosigned"
    for proof in forks_of(witness):
        told = vanthu_json("log", "forked", proof, "--key", a.log)
        assert told["first"]["size"] == 26 and told["second"]["size"] in (26, 28, 30)
    forked.stop()
    witness.stop()


def test_without_witnesses_submissions_flow_and_cosigning_is_made_good(sides, start, tmp_path):
    a, b = Side("outage.example", tmp_path), Side("absent.example", tmp_path)
    gateway = start(a.pki, a.config(b, deadline=1), a.name)
    since = time.monotonic()
    write(gateway, 20)
    assert time.monotonic() - since < 20
    outage = f'vanthu_witness_requests_total{{witness="{b.name}/witness",outcome="unreachable"}}'
    wait_until(lambda: metric(gateway, outage))
    log = LogKey(a.log)
    assert cosigned_size(gateway, log) == 0
    wait_until(lambda: gateway.size() == 41)
    reader = Reader(gateway)
    wait_until(lambda: log.open(reader.must("/log/1/checkpoint")).size == 41)
    reader.close()
    witness = start(b.pki, b.config(a, quorum=0), b.name)
    wait_until(lambda: cosigned_size(gateway, log) == 42)
    repaired = [("outage", "witness absent.example"), ("repair", "witness absent.example")]
    assert services(gateway) == repaired
    key, data = a.log, gateway.folder / "data"
    gateway.stop()
    witness.stop()
    assert vanthu_json("log", "audit", "--key", key, "--data", data)["valid"]
