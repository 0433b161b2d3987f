"""A disk that fills up under load: clear answers, nothing acknowledged lost, and it goes on later.

With room kept in reserve, the gateway refuses what is new before anything fails, serves what is
there, and goes on by itself. Without it, a write fails, and a restart is the repair.
"""

import os
import subprocess
import time

import grpc
import pytest

import gateway as outside
from gateway import mailbox


@pytest.fixture
def home(tmp_path, reserve):
    return outside.make_home(tmp_path / "home", reserve_mib=reserve)


@pytest.fixture
def small_disk(home):
    """A file system of 24 MiB at the gateway's data folder. Needs root."""
    data = home / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", data]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        assert not os.environ.get("CI"), f"cannot mount: {mounted.stderr}"
        pytest.skip(f"cannot mount: {mounted.stderr}")

    def grow():
        subprocess.run(["mount", "-o", "remount,size=400m", data], check=True)

    yield grow
    subprocess.run(["umount", "-l", data], check=True)


def reason_of(error):
    return dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")


@pytest.mark.parametrize("reserve", [8])
@pytest.mark.parametrize("size", [300, 200_000], ids=["the log fills it", "content fills it"])
def test_what_is_there_is_served_from_a_full_disk(home, small_disk, size):
    accepted, unanswered = [], []
    with outside.Gateway(home).start() as gateway:
        fill(gateway, size, accepted, unanswered)
        document, error = unanswered[-1]
        assert accepted and b"DISK_FULL" in reason_of(error), error
        assert b"google.rpc.RetryInfo" in reason_of(error)
        status, page = gateway.page("/readyz")
        assert status == 503 and "the disk is full" in page
        first, result = accepted[0]
        for system, call in refusals(gateway, result.consignment_id).items():
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert b"DISK_FULL" in reason_of(caught.value), (system, caught.value)
        for one, accepted_as in accepted[:20]:
            assert gateway.submit(one).receipt == accepted_as.receipt
        assert fetched(gateway, result.consignment_id) == first.parts[0]
        receipt = gateway.log().GetReceipt(outside.log.GetReceiptRequest(
            entry_id=result.receipt.entry_id), timeout=20).receipt
        assert receipt == result.receipt
        assert len(gateway.items("H49.11")) == len(accepted)
        evidence = gateway.evidences().GetEvidence(outside.evidence.GetEvidenceRequest(
            consignment_id=result.consignment_id), timeout=20)
        assert b"".join(part.chunk for part in evidence)
        assert gateway.process.poll() is None
        small_disk()
        assert not gateway.submit(document).repeated, "it goes on without a restart"
        assert gateway.page("/readyz")[0] == 200
        assert gateway.stop() == 0
        outside.audit(home)
        # A start on a full disk serves, too.
        filler = home / "data/filler"
        filler.write_bytes(b"")
        free = os.statvfs(home / "data")
        with filler.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 4 * outside.MIB)
        gateway.start()
        assert fetched(gateway, result.consignment_id) == first.parts[0]
        with pytest.raises(grpc.RpcError) as caught:
            gateway.submit(outside.make_document())
        assert b"DISK_FULL" in reason_of(caught.value)
        filler.unlink()
        gateway.submit(outside.make_document())


def refusals(gateway, consignment):
    """Calls that write."""
    part = outside.listed("phu-luc.bin", os.urandom(1000))
    header = outside.submission.UploadHeader(sha256=part.sha256, size=part.size)
    acknowledge = mailbox.AcknowledgeRequest(agency="H49.11", consignment_id=consignment)
    upload = outside.submission.UploadRequest(header=header)
    return {
        "commune": lambda: gateway.submissions().Upload(iter([upload]), timeout=20),
        "province": lambda: gateway.mailboxes().Acknowledge(acknowledge, timeout=20),
    }


def fetched(gateway, consignment):
    chunks = gateway.mailboxes().FetchPart(mailbox.FetchPartRequest(
        agency="H49.11", consignment_id=consignment, part_name="cong-van.txt"), timeout=20)
    return b"".join(chunk.chunk for chunk in chunks)


@pytest.mark.parametrize("reserve", [0])
@pytest.mark.parametrize("size", [300, 200_000], ids=["the log fills it", "content fills it"])
def test_a_full_disk_loses_nothing_and_is_repaired_by_room(home, small_disk, size):
    accepted, unanswered = [], []
    with outside.Gateway(home).start() as gateway:
        for _ in range(4):
            fill(gateway, size, accepted, unanswered)
            stopped = gateway.process.poll()
            print(f"\n{len(accepted)} accepted, then {unanswered[-1][1].code()}, "
                  f"ready {None if stopped is not None else readiness(gateway)}, "
                  f"exit {stopped}")
            if stopped is None:
                stopped = reads(gateway, accepted[:3])
            # An operator, or systemd, starts it again: in vain or not, it must not harm.
            gateway.kill() if stopped is None else gateway.forget()
            if not starts(gateway):
                break
        if gateway.process:
            gateway.kill()
        small_disk()
        gateway.start()
        for document, result in accepted:
            again = gateway.submit(document)
            assert again.repeated and again.receipt == result.receipt
        for document, _ in unanswered:
            gateway.submit(document)
        for _ in range(20):
            gateway.submit(outside.make_document())
        keys = [outside.fields(leaf).get("request") for _, _, leaf in gateway.entries()
                if b"\nevent SubmissionAcceptance\n" in leaf]
        assert len(keys) == len(set(keys)) == len(accepted) + len(unanswered) + 20
        assert gateway.stop() == 0
        outside.audit(home)


def readiness(gateway):
    """What it says of itself; it may be about to end because a write failed."""
    try:
        return gateway.page("/readyz")
    except OSError:
        return f"ended with {gateway.process.wait(timeout=20)}"


def reads(gateway, accepted):
    """Reading goes on, unless the gateway is about to end because a write failed: then its exit code."""
    try:
        for document, result in accepted:
            assert gateway.submit(document).receipt == result.receipt, "reading goes on"
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        return gateway.process.wait(timeout=20)
    return None


def starts(gateway):
    try:
        gateway.start()
    except AssertionError as error:
        print(f"not started: {str(error)[-300:]}")
        gateway.kill()
        return False
    return True


def fill(gateway, size, accepted, unanswered):
    """Submits until the gateway says that it cannot."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        document = outside.make_document(size=size)
        try:
            accepted.append((document, gateway.submit(document)))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            unanswered.append((document, error))
            time.sleep(0.5)
            return
    raise AssertionError("24 MiB are never full")
