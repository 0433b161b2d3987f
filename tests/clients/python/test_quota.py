"""Quotas and sizes: refused before a byte travels, with what is used and what is allowed."""

import hashlib

import pytest
from grpc import StatusCode as Code
from papers import Letter, part, upload
from refusals import refused
from vanthu.v1 import envelope_pb2
from vanthu.v1 import submission_service_pb2 as sub

MIB = 1024 * 1024
GIB = 1024 * MIB
ANNEX = envelope_pb2.PART_ROLE_ANNEX
#: The commune has 4 MiB a day, the others have 1.
QUOTA = "[quota]\nmib_per_day = 1\n[quota.systems]\ncommune = 4\n"


def sparse(*sizes):
    """Parts that are only listed: nothing of them exists."""
    main = envelope_pb2.PART_ROLE_MAIN
    digests = [hashlib.sha256(b"%d" % index).digest() for index in range(len(sizes))]
    return [
        part(f"{index}.bin", b"", ANNEX if index else main, size=size, sha256=digest)
        for index, (size, digest) in enumerate(zip(sizes, digests))
    ]


def announce(gateway, letter, system="commune"):
    request = sub.AnnounceRequest(envelope=letter.envelope)
    return gateway.system(system).submission.Announce(request)


@pytest.fixture(scope="module")
def tight(pki, start):
    gateway = start(pki, QUOTA)
    yield gateway
    gateway.stop()


@pytest.fixture
def fresh(pki, start):
    gateway = start(pki, QUOTA)
    yield gateway
    gateway.stop()


def test_fifty_parts_and_ten_gib_are_announced(shared):
    letter = Letter(parts=sparse(*[10 * GIB // 50] * 49, 10 * GIB - 49 * (10 * GIB // 50)))
    missing = announce(shared, letter).missing
    assert len(missing) == 50 and sum(one.size for one in missing) == 10 * GIB
    assert {one.offset for one in missing} == {0}


@pytest.mark.parametrize("sizes, reason, field", [
    ([1] * 51, "PARTS_TOO_MANY", "parts"),
    ([10 * GIB // 50] * 49 + [10 * GIB - 49 * (10 * GIB // 50) + 1], "DOCUMENT_TOO_LARGE", "parts"),
    ([10 * GIB + 1], "PART_TOO_LARGE", "parts[0].size"),
])
def test_what_is_too_large_is_refused_before_it_travels(shared, sizes, reason, field):
    with shared.writes(0), refused(Code.RESOURCE_EXHAUSTED, reason, field):
        announce(shared, Letter(parts=sparse(*sizes)))


def test_what_exceeds_the_quota_is_refused_before_it_travels(tight):
    with tight.writes(0):
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=4 * MIB, used=0, size=4 * MIB + 1):
            announce(tight, Letter(parts=sparse(4 * MIB, 1)))
        assert len(announce(tight, Letter(parts=sparse(4 * MIB - 1, 1))).missing) == 2
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=MIB, used=0, size=MIB + 1):
            announce(tight, Letter(sender="H49", to=["H49.151"], parts=sparse(MIB + 1)), "province")
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=4 * MIB, size=5 * MIB):
            header = sub.UploadHeader(sha256=hashlib.sha256(b"").digest(), size=5 * MIB)
            tight.system("commune").submission.Upload(upload(b"", header))


def test_what_is_staged_and_what_is_kept_count_once_and_outlast_a_restart(fresh):
    content = bytes(range(256)) * (2 * MIB // 256)
    fresh.system("commune").submission.Upload(upload(content))
    with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=4 * MIB, used=2 * MIB, size=2 * MIB + 1):
        announce(fresh, Letter(parts=sparse(2 * MIB + 1)))
    letter = Letter(content=content)
    assert not announce(fresh, letter).missing, "what is staged is not counted twice"
    request = sub.SubmitRequest(request_id=letter.request_id, envelope=letter.envelope)
    assert not fresh.system("commune").submission.Submit(request).result.repeated
    for _ in range(2):
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=4 * MIB, used=2 * MIB, size=2 * MIB + 1):
            announce(fresh, Letter(parts=sparse(2 * MIB + 1)))
        fresh.restart()
    again = fresh.system("commune").submission.Submit(request).result
    assert again.repeated, "a repetition needs no room"


def test_a_document_in_one_call_counts_and_is_refused_without_an_entry(fresh):
    commune = fresh.system("commune")
    for number in range(2):
        Letter(content=b"%d" % number + bytes(2 * MIB - 1)).send(commune)
    with fresh.writes(0):
        with refused(Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "parts", limit=4 * MIB, used=4 * MIB, size=1):
            Letter(content=b"x").send(commune)
    Letter(sender="H49", to=["H49.151"], content=b"x").send(fresh.system("province"))
