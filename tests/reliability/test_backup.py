"""Backups of a gateway at work, and what is made of them: restored, checked, refused, gone on with."""

import hashlib
import json
import os
import pathlib
import shutil
import threading

import pytest

import gateway as outside
from gateway import log, mailbox


def store(*arguments, code=0):
    """Runs `vanthu store`; returns what it prints as JSON."""
    done = outside.run("store", *arguments, "--output", "json", code=code)
    return json.loads(done.stdout)


class Load:
    """Submits, refuses and hands over until it is told to stop."""

    def __init__(self, gateway, clients=3):
        self.gateway, self.accepted, self.failures = gateway, [], []
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,))
                        for number in range(clients)]
        for agency in ["H49.151", "H49.11"]:
            gateway.channel(outside.HOSTS[agency])

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=60)
        assert not self.failures, self.failures

    def work(self, number):
        try:
            while not self.stopped.is_set():
                document = outside.make_document(size=[300, 5_000, 60_000][number % 3])
                result = self.gateway.submit(document)
                with self.lock:
                    self.accepted.append((document, result))
                answer(self.gateway, result.consignment_id, refuse=number == 1)
        except Exception as error:  # noqa: BLE001
            self.failures.append(error)

    def reach(self, count):
        """Waits until so many documents are accepted; returns them."""
        for _ in range(3_000):
            with self.lock:
                if len(self.accepted) >= count:
                    return list(self.accepted)
            assert not self.failures, self.failures
            self.stopped.wait(0.02)
        raise AssertionError("the load stands still")


def answer(gateway, consignment, refuse=False):
    stub = gateway.mailboxes()
    if refuse:
        stub.Refuse(mailbox.RefuseRequest(agency="H49.11", consignment_id=consignment,
                                          reason="sai địa chỉ"), timeout=20)
    else:
        stub.Acknowledge(mailbox.AcknowledgeRequest(
            agency="H49.11", consignment_id=consignment), timeout=20)


def elsewhere(gateway, tmp_path, name="elsewhere"):
    """The same gateway's configuration and keys on another machine, without data."""
    home = tmp_path / name
    shutil.copytree(gateway.home, home, ignore=shutil.ignore_patterns("data", "stderr.txt"))
    return home


def fetched(gateway, consignment):
    """Envelope and parts as the recipient gets them."""
    stub = gateway.mailboxes()
    document = stub.GetDocument(mailbox.GetDocumentRequest(
        agency="H49.11", consignment_id=consignment), timeout=20)
    chunks = stub.FetchPart(mailbox.FetchPartRequest(
        agency="H49.11", consignment_id=consignment, part_name="cong-van.txt"), timeout=20)
    return document, b"".join(chunk.chunk for chunk in chunks)


def says_the_same(gateway, accepted):
    """Every document accepted is known by its first receipt, and its content is there."""
    for document, result in accepted:
        again = gateway.submit(document)
        assert again.repeated and again.receipt == result.receipt
        found, body = fetched(gateway, result.consignment_id)
        assert (found.envelope, body) == (document.envelope, document.parts[0])


@pytest.mark.parametrize("epoch_entries", [100_000, 70], ids=["one epoch", "many epochs"])
def test_a_backup_under_load_is_restored_elsewhere(tmp_path, epoch_entries):
    home = outside.make_home(tmp_path / "home", epoch_entries=epoch_entries)
    backup = tmp_path / "backup"
    with outside.Gateway(home).start() as gateway:
        large = outside.make_document(size=3 * outside.MIB)
        first = (large, gateway.submit(large))
        sizes = []
        with Load(gateway) as load:
            for round_number in range(1, 6):
                before = load.reach(20 * round_number)
                made = store("backup", backup, "--data", home / "data")
                assert made["valid"] and (made["since"] is None) == (round_number == 1)
                sizes.append((made["epoch"], made["size"], made["copied_bytes"]))
        assert sizes == sorted(sizes, key=lambda size: size[:2]) and len(set(sizes)) == 5
        assert all(size[2] < sizes[0][2] + 3 * outside.MIB for size in sizes[1:]), sizes
        checked = store("check", "--data", backup)
        assert checked["valid"] and (checked["epoch"], checked["size"]) == sizes[-1][:2]
        restored = elsewhere(gateway, tmp_path)
        assert store("restore", backup, "--data", restored / "data") == {
            "epoch": sizes[-1][0], "size": sizes[-1][1], "signed": None}
        report = outside.audit(restored)
        assert report["entries"] == checked["entries"]
        assert store("check", "--data", restored / "data")["valid"]
        leaves = [leaf for _, _, leaf in gateway.entries()]
        # What the lost gateway signed since is unknown here: it may not go on under its numbers.
        with outside.Gateway(restored) as other:
            assert "the head guard is missing" in other.start_fails(9)
            other.start("--accept-loss")
            found = [leaf for _, _, leaf in other.entries()]
            count = report["entries"]
            assert found[:count] == leaves[:count]
            assert outside.fields(found[count])["previous"].startswith("{} {} ".format(*sizes[-1]))
            says_the_same(other, [first, *before])
            other.submit(outside.make_document())
            assert other.stop() == 0
        outside.audit(restored)
        assert gateway.stop() == 0
    # The same of a stopped gateway: nothing runs that could be asked. With its guard, it has moved.
    stopped = store("backup", backup, "--data", home / "data")
    assert stopped["valid"] and stopped["entries"] >= len(leaves), "reading was recorded, too"
    moved = elsewhere(gateway, tmp_path, "moved")
    (moved / "data").mkdir()
    shutil.copy(home / "data/head.signed", moved / "data")
    end = f"{stopped['epoch']}/{stopped['size']}"
    assert store("restore", backup, "--data", moved / "data")["signed"] == end
    with outside.Gateway(moved).start() as other:
        assert [leaf for _, _, leaf in other.entries()][:len(leaves)] == leaves
        says_the_same(other, [first, *before])
    assert store("check", "--data", home / "data")["entries"] == stopped["entries"]


def test_a_backup_without_anything_new_copies_nothing(gateway, tmp_path):
    outside.run("store", "backup", tmp_path / "backup", "--data", gateway.home / "data", code=9)
    gateway.submit(outside.make_document())
    first = store("backup", tmp_path / "backup", "--data", gateway.home / "data")
    again = store("backup", tmp_path / "backup", "--data", gateway.home / "data")
    assert first["copied_bytes"] > 0
    assert again == {**first, "copied_bytes": 0, "since": "1/2"}


def test_a_body_that_an_earlier_backup_erased_is_copied_again_when_it_is_needed(gateway, tmp_path):
    # A backup erases what no entry of its log needs. If it was kept anew meanwhile, for an entry that the
    # backup did not have yet, the next one has the entry and lacks the body.
    document, backup = outside.make_document(), tmp_path / "backup"
    accepted = gateway.submit(document)
    copied = ["backup", backup, "--data", gateway.home / "data"]
    assert store(*copied)["valid"]
    volume = backup / "content/volumes/000001.vol"
    frame = b"vanthuV1" + hashlib.sha256(document.parts[0]).digest()
    start, content = volume.read_bytes().index(frame), volume.read_bytes()
    with open(volume, "r+b") as file:
        file.seek(start)
        file.write(b"vanthuX1")
        file.seek(start + 48)
        file.write(bytes(len(document.parts[0])))
    found = store("check", "--data", backup, code=9)["findings"]
    assert [one["problem"] for one in found] == ["part in 1/0 is missing"]
    again = store(*copied)
    assert again["valid"] and volume.read_bytes() == content
    restored = elsewhere(gateway, tmp_path)
    store("restore", backup, "--data", restored / "data")
    with outside.Gateway(restored) as other:
        other.start("--accept-loss")
        says_the_same(other, [(document, accepted)])


def test_an_older_backup_is_refused_and_gone_on_with_in_a_new_epoch(gateway, tmp_path):
    """D9: what was signed is never signed again, and the loss can be proven."""
    kept = outside.make_document()
    kept_result = gateway.submit(kept)
    data = gateway.home / "data"
    store("backup", tmp_path / "backup", "--data", data)
    lost = outside.make_document()
    lost_receipt = gateway.submit(lost).receipt
    assert gateway.stop() == 0
    # The disk is lost; the head guard, on another one, is not.
    guard = (data / "head.signed").read_bytes()
    shutil.rmtree(data)
    data.mkdir()
    (data / "head.signed").write_bytes(guard)
    assert store("restore", tmp_path / "backup", "--data", data)["signed"] == "1/4"
    words = gateway.start_fails(9)
    assert "signed at 1/4, but the store ends at 1/2" in words and "--accept-loss" in words
    gateway.start("--accept-loss")
    opening = outside.fields(next(gateway.entries(2))[2])
    assert opening["event"] == "epoch" and opening["previous"].startswith("1 2 ")
    assert gateway.submit(kept).receipt == kept_result.receipt
    again = gateway.submit(lost)
    assert not again.repeated and again.receipt.entry_id.epoch == 2
    # Whoever holds the lost receipt can show that the log was signed beyond where it now ends.
    assert lost_receipt.entry_id.index == 2
    closed = gateway.log().GetCheckpoint(log.GetCheckpointRequest(epoch=1), timeout=20)
    assert closed.size == 2
    assert gateway.stop() == 0
    outside.audit(gateway.home)
    gateway.start()
    assert gateway.submit(lost).repeated


def test_a_folder_with_anything_else_is_neither_overwritten_nor_taken(gateway, tmp_path):
    gateway.submit(outside.make_document())
    data = gateway.home / "data"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("a letter")
    refused = outside.run("store", "backup", tmp_path / "other", "--data", data, code=9)
    assert "letter.txt" in refused.stderr
    assert os.listdir(tmp_path / "other") == ["letter.txt"]
    store("backup", tmp_path / "backup", "--data", data)
    assert gateway.stop() == 0
    refused = outside.run("store", "restore", tmp_path / "backup", "--data", data, code=9)
    assert "already holds a store" in refused.stderr
    outside.run("store", "restore", tmp_path / "none", "--data", tmp_path / "new", code=6)
    gateway.start()
    gateway.submit(outside.make_document())


def test_the_backup_of_another_log_is_not_added_to(home, tmp_path):
    with outside.Gateway(home).start() as gateway:
        gateway.submit(outside.make_document())
        store("backup", tmp_path / "backup", "--data", home / "data")
        other_home = outside.make_home(tmp_path / "other")
        with outside.Gateway(other_home).start() as other:
            other.submit(outside.make_document())
            other.submit(outside.make_document())
            refused = outside.run(
                "store", "backup", tmp_path / "backup", "--data", other_home / "data", code=9)
        assert "another log is in the backup" in refused.stderr
        assert store("check", "--data", tmp_path / "backup")["valid"]


def pieces(report):
    return {finding["piece"] for finding in report["findings"]}


def damage(path, offset=-1):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_the_check_names_each_damaged_piece(tmp_path):
    home = outside.make_home(tmp_path / "home", epoch_entries=6)
    with outside.Gateway(home).start() as gateway:
        documents = [outside.make_document() for _ in range(4)]
        results = [gateway.submit(document) for document in documents]
        for result in results:
            answer(gateway, result.consignment_id, refuse=True)
        store("backup", tmp_path / "backup", "--data", home / "data")
        assert gateway.stop() == 0
    body = documents[1].parts[0]
    digest = outside.hashlib.sha256(body).hexdigest()
    for kind, original in [("backup", tmp_path / "backup"), ("store", home / "data")]:
        volume = pathlib.Path("content/volumes/000001.vol")
        whole = (original / volume).read_bytes()
        cases = {
            f"content {digest}": (volume, whole.index(body) + 5),
            "epochs/00001": ("epochs/00001/tile/0/000.p/6", 40),
        }
        for number, (piece, (path, offset)) in enumerate(cases.items()):
            copy = tmp_path / f"{kind}-{number}"
            shutil.copytree(original, copy)
            damage(copy / path, offset)
            report = store("check", "--data", copy, code=9)
            assert not report["valid"] and piece in pieces(report), report
            shutil.rmtree(copy)
        assert store("check", "--data", original)["valid"]
    copy = tmp_path / "lost"
    shutil.copytree(home / "data", copy)
    shutil.rmtree(copy / "content/volumes")
    report = store("check", "--data", copy, code=9)
    problems = " ".join(finding["problem"] for finding in report["findings"])
    for what in ["envelope", "verdict report", "note", "certificate of the actor"]:
        assert f"{what} in " in problems, problems


def test_the_socket_of_the_operator_is_nobody_elses(gateway, tmp_path):
    """Its permissions are the door; other users of the machine stay outside."""
    socket = gateway.home / "data/control"
    assert socket.is_socket() and socket.stat().st_mode & 0o777 == 0o600
    gateway.submit(outside.make_document())
    # A killed gateway leaves its name behind: the next one takes it.
    gateway.kill()
    assert socket.is_socket()
    gateway.start()
    assert store("backup", tmp_path / "backup", "--data", gateway.home / "data")["valid"]
    assert gateway.stop() == 0
    assert not socket.exists()


def test_other_users_are_turned_away(gateway):
    if os.getuid() != 0:
        pytest.fail("only root can become another user to try")
    code = ("import os,socket,sys; os.setuid(65534); s=socket.socket(socket.AF_UNIX);"
            "s.connect(sys.argv[1])")
    for folder in [gateway.home, *gateway.home.parents]:
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    (gateway.home / "data").chmod(0o755)
    socket = gateway.home / "data/control"
    done = outside.subprocess.run([outside.sys.executable, "-c", code, socket],
                                  capture_output=True, text=True)
    assert "PermissionError" in done.stderr, done.stderr
    # Even with the permission, the kernel says who it is.
    socket.chmod(0o666)
    code += "; s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'+bytes([0,0,0,4,0,0,0,0,0]));" \
            " s.settimeout(5); print(len(s.recv(100)))"
    done = outside.subprocess.run([outside.sys.executable, "-c", code, socket],
                                  capture_output=True, text=True)
    assert done.stdout.strip() in ("", "0"), done
