"""A part of one GiB: interrupted, resumed, killed, signed, submitted, fetched; in little memory.

VANTHU_LARGE_MIB sets its size (1024).
"""

import datetime
import hashlib
import os
import subprocess
import time

import grpc
import pytest

import gateway as outside
from gateway import envelope, mailbox, submission

SIZE = int(os.environ.get("VANTHU_LARGE_MIB", "1024")) * outside.MIB
CHUNK = 256 * 1024
MEMORY_MAX_MIB = 200
NAME = "ban-do.bin"
#: Recipients who take one chunk and then nothing.
SLOW = 50


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that neither compresses nor has holes."""
    path = tmp_path_factory.mktemp("large") / NAME
    key = os.urandom(32)
    print(f"\nkey of the pseudo-random bytes: {key.hex()}")
    with outside.timed(f"making {SIZE // outside.MIB} MiB"):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for _ in range(SIZE // outside.MIB):
                block = stream.update(bytes(outside.MIB))
                digest.update(block)
                file.write(block)
    yield path, digest.digest()
    path.unlink()


def sign(gateway, path, agency="H49.151"):
    """A detached CMS signature (DER) with the agency's seal."""
    seal = gateway.home / f"seals/{agency}"
    signature = path.with_suffix(".p7s")
    command = ["openssl", "cms", "-sign", "-binary", "-in", path, "-signer", f"{seal}.pem",
               "-inkey", f"{seal}.key", "-md", "sha256", "-outform", "DER", "-out", signature,
               "-cades", "-nosmimecap"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return signature.read_bytes()


class Sender:
    """Sends the large part, as often as it takes."""

    def __init__(self, gateway, path, part, envelope_bytes):
        self.gateway, self.path, self.part = gateway, path, part
        self.envelope = envelope_bytes

    def announced(self, name=NAME):
        """Where the upload of a part resumes; its size if nothing is missing."""
        answer = self.gateway.submissions().Announce(
            submission.AnnounceRequest(envelope=self.envelope), timeout=30)
        for missing in answer.missing:
            if missing.name == name:
                return missing.offset
        return self.part.size

    def messages(self, offset, until):
        header = submission.UploadHeader(
            sha256=self.part.sha256, size=self.part.size, offset=offset)
        yield submission.UploadRequest(header=header)
        with self.path.open("rb") as file:
            file.seek(offset)
            while (at := file.tell()) < until:
                yield submission.UploadRequest(chunk=file.read(min(CHUNK, until - at)))
        if until < self.part.size:
            yield from iter(lambda: time.sleep(0.05), object())  # Pauses until it is cancelled.

    def upload(self, offset):
        call = self.gateway.submissions().Upload(self.messages(offset, self.part.size), timeout=600)
        assert call.size == self.part.size

    def begin(self, offset, until):
        """Uploads up to here, and leaves the call open once the gateway has it all."""
        call = self.gateway.submissions().Upload.future(self.messages(offset, until), timeout=600)
        deadline = time.monotonic() + 300
        while self.announced() < until:
            assert time.monotonic() < deadline and not call.done(), call
            time.sleep(0.1)
        return call

    def upload_small(self, part, content):
        header = submission.UploadHeader(sha256=part.sha256, size=part.size, offset=0)
        messages = [submission.UploadRequest(header=header), submission.UploadRequest(chunk=content)]
        self.gateway.submissions().Upload(iter(messages), timeout=30)


def fetched(gateway, consignment, offset=0, length=0):
    """SHA-256 and size of what the recipient gets."""
    request = mailbox.FetchPartRequest(agency="H49.11", consignment_id=consignment,
                                       part_name=NAME, offset=offset, length=length)
    digest, at = hashlib.sha256(), offset
    for answer in gateway.mailboxes().FetchPart(request, timeout=600):
        assert answer.offset == at and len(answer.chunk) <= CHUNK
        digest.update(answer.chunk)
        at += len(answer.chunk)
    return digest.digest(), at - offset


def say(gateway, peaks, when):
    peaks.append(gateway.memory("VmHWM"))
    print(f"peak memory {when}: {peaks[-1]:.0f} MiB", flush=True)


def test_a_large_part_survives_everything_in_little_memory(gateway, large):
    path, digest = large
    peaks = []
    with outside.timed("signing with openssl cms"):
        signature = sign(gateway, path)
    part = outside.listed(NAME, size=SIZE, sha256=digest, media_type="application/octet-stream")
    seal = outside.listed("ban-do.p7s", signature, role=envelope.PART_ROLE_SIGNATURE, signs=NAME,
                          media_type="application/pkcs7-signature")
    sender = Sender(gateway, path, part, outside.make_envelope([part, seal]))
    assert sender.announced() == 0

    with outside.timed("a third, then cancelled"):
        sender.begin(0, SIZE // 3).cancel()
    offset = sender.announced()
    assert SIZE // 3 - CHUNK <= offset <= SIZE // 3

    with outside.timed("a second third, then kill -9"):
        call = sender.begin(offset, 2 * SIZE // 3)
        say(gateway, peaks, "before kill -9")
        gateway.process.kill()
        assert call.exception() is not None
        gateway.kill()
        gateway.start()
    offset = sender.announced()
    assert 2 * SIZE // 3 - CHUNK <= offset <= 2 * SIZE // 3, "kill -9 takes no written byte"

    with outside.timed("the rest"):
        sender.upload(offset)
    assert sender.announced() == SIZE
    with outside.timed("restart"):
        gateway.kill()
        gateway.start()
    assert sender.announced() == SIZE, "a complete upload stays complete"
    sender.upload_small(seal, signature)
    say(gateway, peaks, "after the upload")

    with outside.timed("Submit, which verifies the signature"):
        request = submission.SubmitRequest(request_id=str(outside.uuid.uuid4()),
                                           envelope=sender.envelope)
        result = gateway.submissions().Submit(request, timeout=300).result
    assert result.verdict.signatures[0].signer_role == "SEAL", result.verdict
    assert not result.verdict.signatures[0].sub_indication, result.verdict
    say(gateway, peaks, "after Submit")

    with outside.timed("FetchPart by the recipient"):
        assert fetched(gateway, result.consignment_id) == (digest, SIZE)
    middle = (SIZE // 2 + 12_345, 1_000_001)
    with path.open("rb") as file:
        file.seek(middle[0])
        expected = hashlib.sha256(file.read(middle[1])).digest()
    assert fetched(gateway, result.consignment_id, *middle) == (expected, middle[1])
    say(gateway, peaks, "after FetchPart")

    again = gateway.submissions().Submit(request, timeout=60).result
    assert again.repeated and again.receipt == result.receipt
    gateway.kill()
    outside.audit(gateway.home)
    gateway.start()
    assert fetched(gateway, result.consignment_id) == (digest, SIZE)
    say(gateway, peaks, "after another FetchPart")
    assert max(peaks) < MEMORY_MAX_MIB, peaks


def test_a_changed_byte_is_noticed_at_the_end_of_the_upload(gateway):
    content = os.urandom(8 * outside.MIB)
    part = outside.listed(NAME, content)
    header = submission.UploadHeader(sha256=part.sha256, size=part.size, offset=0)

    def messages():
        yield submission.UploadRequest(header=header)
        for start in range(0, len(content), CHUNK):
            chunk = bytearray(content[start:start + CHUNK])
            chunk[-1] ^= start == 5 * outside.MIB
            yield submission.UploadRequest(chunk=bytes(chunk))

    with pytest.raises(grpc.RpcError) as caught:
        gateway.submissions().Upload(messages(), timeout=60)
    assert caught.value.code() == grpc.StatusCode.DATA_LOSS, caught.value
    announced = gateway.submissions().Announce(
        submission.AnnounceRequest(envelope=outside.make_envelope([part])), timeout=10)
    assert announced.missing[0].offset == 0, "what was damaged is not kept"


def test_slow_recipients_hold_back_only_themselves(gateway):
    """Each costs what its windows hold, about 2 MiB, however large the part is."""
    content = os.urandom(64 * outside.MIB)
    part = outside.listed(NAME, content)
    sender = Sender(gateway, None, part, outside.make_envelope([part]))
    header = submission.UploadHeader(sha256=part.sha256, size=part.size, offset=0)
    chunks = (submission.UploadRequest(chunk=content[at:at + CHUNK])
              for at in range(0, len(content), CHUNK))
    gateway.submissions().Upload(iter([submission.UploadRequest(header=header), *chunks]),
                                 timeout=120)
    result = gateway.submissions().Submit(submission.SubmitRequest(
        request_id=str(outside.uuid.uuid4()), envelope=sender.envelope), timeout=60).result
    request = mailbox.FetchPartRequest(agency="H49.11", consignment_id=result.consignment_id,
                                       part_name=NAME)
    slow = [gateway.mailboxes().FetchPart(request, timeout=120) for _ in range(SLOW)]
    for stream in slow:
        next(stream)
    with outside.timed(f"one fetch beside {SLOW} slow ones"):
        assert fetched(gateway, result.consignment_id)[1] == len(content)
    print(f"peak memory: {gateway.memory('VmHWM'):.0f} MiB")
    assert gateway.memory("VmHWM") < 50 + 4 * SLOW
    for stream in slow:
        stream.cancel()
