"""A disk that fills up under load: clear answers, nothing acknowledged lost, and it goes on later."""

import os
import subprocess
import time

import grpc
import pytest

import gateway as outside


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


@pytest.mark.parametrize("size", [300, 200_000], ids=["the log fills it", "content fills it"])
def test_a_full_disk_loses_nothing_and_is_repaired_by_room(home, small_disk, size):
    accepted, unanswered = [], []
    with outside.Gateway(home).start() as gateway:
        for _ in range(4):
            fill(gateway, size, accepted, unanswered)
            stopped = gateway.process.poll()
            print(f"\n{len(accepted)} accepted, then {unanswered[-1][1].code()}, "
                  f"ready {None if stopped is not None else gateway.page('/readyz')}, "
                  f"exit {stopped}")
            for document, result in accepted[:3]:
                if stopped is None:
                    assert gateway.submit(document).receipt == result.receipt, "reading goes on"
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
