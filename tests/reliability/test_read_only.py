"""A file system that turns read-only under load, as ext4 does after an error of its disk: what is new is
refused before a write fails, what is there is served and proven, and a repair brings everything back."""

import os
import pathlib
import subprocess

import grpc
import pytest

import gateway as outside
from gateway import evidence, log, mailbox
from test_full_disk import fetched, reason_of, refusals
from test_operations import eventually


class Ext4:
    """A file system of its own at a folder. Needs root."""

    def __init__(self, image, folder):
        self.image, self.folder = image, folder
        image.write_bytes(b"")
        os.truncate(image, 64 * outside.MIB)
        command("mkfs.ext4", "-q", "-F", image)
        folder.mkdir()
        self.mount()

    def mount(self, how="rw"):
        mount = ["mount", "-o", f"loop,errors=remount-ro,{how}", self.image, self.folder]
        mounted = subprocess.run(mount, capture_output=True, text=True)
        if mounted.returncode != 0:
            assert not os.environ.get("CI"), f"cannot mount: {mounted.stderr}"
            pytest.skip(f"cannot mount: {mounted.stderr}")

    def fail(self):
        """An error is found in it: the kernel lets nobody write any more, open files included."""
        device = os.stat(self.folder).st_dev
        block = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
        trigger = pathlib.Path(f"/sys/fs/ext4/{block.name}/trigger_fs_error")
        trigger.write_text("an error on purpose")
        with pytest.raises(OSError, match="Read-only file system"):
            (self.folder / "probe").write_bytes(b"x")

    def unmount(self):
        command("umount", self.folder)

    def repair(self):
        # 1: errors were found and corrected.
        command("e2fsck", "-f", "-y", self.image, codes=(0, 1))


def command(*words, codes=(0,)):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60)
    assert done.returncode in codes, f"{words} ended with {done.returncode}: {done.stderr}"


@pytest.fixture
def home(tmp_path):
    return outside.make_home(tmp_path / "home", reserve_mib=8)


@pytest.fixture
def disk(tmp_path, home):
    mounted = Ext4(tmp_path / "ext4.img", home / "data")
    yield mounted
    subprocess.run(["umount", "-l", mounted.folder], capture_output=True)


def proven(gateway, result):
    """The receipt, again, and the evidence."""
    entry = result.receipt.entry_id
    again = gateway.log().GetReceipt(log.GetReceiptRequest(entry_id=entry), timeout=20).receipt
    file = gateway.evidences().GetEvidence(evidence.GetEvidenceRequest(
        consignment_id=result.consignment_id), timeout=20)
    return again, b"".join(part.chunk for part in file)


def refused(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    details = reason_of(caught.value)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE, caught.value
    assert b"STORE_READ_ONLY" in details and b"google.rpc.RetryInfo" in details, caught.value


def test_what_is_there_is_served_from_a_read_only_disk(home, disk, tmp_path):
    documents = [outside.make_document(size=size) for size in (300, 5_000, 60_000)]
    late = outside.make_document()
    with outside.Gateway(home).start() as gateway:
        results = [gateway.submit(document) for document in documents]
        assert gateway.page("/readyz")[0] == 200
        disk.fail()
        eventually(lambda: gateway.page("/readyz")[0] == 503, "not ready")
        assert "read-only" in gateway.page("/readyz")[1]
        for _ in range(3):
            refused(lambda: gateway.submit(late))
        for call in refusals(gateway, results[0].consignment_id).values():
            refused(call)
        for document, result in zip(documents, results):
            assert gateway.submit(document).receipt == result.receipt
            assert fetched(gateway, result.consignment_id) == document.parts[0]
            receipt, file = proven(gateway, result)
            assert receipt == result.receipt
            path = tmp_path / "evidence.zip"
            path.write_bytes(file)
            outside.run("evidence", "verify", path, "--key", home / "log.vkey")
        assert len(gateway.items("H49.11")) == len(documents)
        assert gateway.process.poll() is None
        assert gateway.page("/healthz")[0] == 200
        # Nothing can be started on it, and it says why.
        assert gateway.stop() == 0
        said = gateway.start_fails(1)
        assert "Read-only file system" in said, said
        disk.unmount()
        disk.repair()
        disk.mount()
        gateway.start()
        for document, result in zip(documents, results):
            assert gateway.submit(document).receipt == result.receipt
            assert fetched(gateway, result.consignment_id) == document.parts[0]
        assert not gateway.submit(late).repeated, "nothing of it had happened"
        answer = mailbox.AcknowledgeRequest(agency="H49.11", consignment_id=results[0].consignment_id)
        assert not gateway.mailboxes().Acknowledge(answer, timeout=20).repeated
        assert gateway.page("/readyz")[0] == 200
        assert gateway.stop() == 0
    outside.audit(home)
