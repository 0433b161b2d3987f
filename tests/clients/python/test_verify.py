"""Signatures checked without sending anything: what is found, that it is the same each time, what is not taken."""

import datetime
import hashlib
import json

import pytest
from gateway import vanthu_json
from grpc import StatusCode as Code
from papers import detached, official, pdf, sign
from refusals import refused
from vanthu.v1 import signature_service_pb2 as sig
from vanthu.v1 import verdict_pb2

PASSED = verdict_pb2.INDICATION_TOTAL_PASSED
UNDECIDED = verdict_pb2.INDICATION_INDETERMINATE
FAILED = verdict_pb2.INDICATION_TOTAL_FAILED
UNSIGNED = verdict_pb2.INDICATION_UNSPECIFIED


def messages(content, chunk_size=64 * 1024, **header):
    yield sig.VerifyRequest(header=sig.VerifyHeader(**header))
    for start in range(0, len(content), chunk_size):
        yield sig.VerifyRequest(chunk=content[start : start + chunk_size])


def verify(gateway, content, system="commune", **header):
    return gateway.system(system).signature.Verify(messages(content, **header))


@pytest.mark.parametrize("system", ["commune", "portal", "auditor"])
def test_two_signatures_of_another_tool_hold_and_nothing_is_written(shared, system):
    content = official(shared.pki, "H49.151")
    with shared.writes(0):
        answer = verify(shared, content, system)
    assert answer.indication == PASSED
    assert [one.indication for one in answer.signatures] == [PASSED, PASSED]
    assert [(one.part, one.signer_role) for one in answer.signatures] == [("", "")] * 2
    assert (answer.sha256, answer.size) == (hashlib.sha256(content).digest(), len(content))
    report = json.loads(answer.report)
    assert (report["indication"], report["sha256"]) == ("TOTAL-PASSED", answer.sha256.hex())
    assert [one["index"] for one in report["signatures"]] == [0, 1]


def test_one_changed_byte_fails_with_the_reason(shared):
    content = official(shared.pki, "H49.151").replace(b"Kinh gui", b"Kinh gul", 1)
    answer = verify(shared, content)
    assert answer.indication == FAILED
    assert {one.sub_indication for one in answer.signatures} == {"HASH_FAILURE"}
    assert all(one.reasons[0].code == "DIGEST_DIFFERS" for one in answer.signatures)
    for one in answer.signatures:
        assert one.trust_domain == "gov"
        assert one.reasons[0].message.startswith("The content was changed after signing")
        assert one.reasons[0].message_vi.startswith("Nội dung đã bị thay đổi sau khi ký")


def test_a_revoked_seal_is_undecided_without_a_proof_of_time(shared):
    answer = verify(shared, sign(shared.pki, pdf(), "revoked-seal"))
    [one] = answer.signatures
    assert (answer.indication, one.sub_indication) == (UNDECIDED, "REVOKED_NO_POE")
    assert not one.HasField("best_signature_time") and not one.timestamps


def test_a_time_stamp_of_another_tool_proves_when_the_signature_existed(rsa_pki, start):
    """pyHanko stamps with RSA keys only."""
    gateway = start(rsa_pki)
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    answer = verify(gateway, sign(rsa_pki, pdf(), "seals/H49.151", stamped=True))
    gateway.stop()
    [one] = answer.signatures
    [stamp] = one.timestamps
    assert (one.indication, stamp.indication) == (PASSED, PASSED), answer
    assert one.best_signature_time == stamp.time
    assert before <= stamp.time.ToDatetime(datetime.timezone.utc) <= datetime.datetime.now(datetime.timezone.utc)
    assert stamp.authority and len(stamp.authority_sha256) == 32
    assert json.loads(answer.report)["signatures"][0]["timestamps"][0]["indication"] == "TOTAL-PASSED"


def test_a_detached_signature_is_over_this_file_and_no_other(shared):
    content = "số liệu,1,2,3\n".encode() * 1000
    signature = detached(shared.pki, content, "seals/H49.151")
    assert verify(shared, content, detached_signature=signature).indication == PASSED
    other = verify(shared, content + b"x", detached_signature=signature)
    assert (other.indication, other.signatures[0].sub_indication) == (FAILED, "HASH_FAILURE")
    assert verify(shared, content, detached_signature=b"no signature").indication == FAILED


@pytest.mark.parametrize("content", [pdf(), b"x", b"\x00" * 3_000_000], ids=["pdf", "text", "zeros"])
def test_a_file_without_signatures_is_no_error(shared, content):
    answer = verify(shared, content)
    assert (answer.indication, list(answer.signatures), answer.size) == (UNSIGNED, [], len(content))


def test_the_answer_at_a_given_time_is_the_same_byte_for_byte(shared, tmp_path):
    content = official(shared.pki, "H49.151")
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    answers = {verify(shared, content, validation_time=now).SerializeToString() for _ in range(3)}
    assert len(answers) == 1
    answer = sig.VerifyResponse.FromString(answers.pop())
    assert answer.validation_time.ToDatetime(datetime.timezone.utc) == now
    path = tmp_path / "signed.pdf"
    path.write_bytes(content)
    at = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    told = vanthu_json("verify", path, "--trust", shared.pki.folder / "trust", "--at", at)
    assert told["signatures"] == json.loads(answer.report)["signatures"]


def test_before_its_certificates_were_valid_nothing_holds(shared):
    past = datetime.datetime(2001, 2, 3, tzinfo=datetime.timezone.utc)
    answer = verify(shared, official(shared.pki, "H49.151"), validation_time=past)
    assert answer.indication == UNDECIDED
    assert {one.sub_indication for one in answer.signatures} == {"OUT_OF_BOUNDS_NO_POE"}


HEADER = sig.VerifyRequest(header=sig.VerifyHeader())
CHUNK = sig.VerifyRequest(chunk=b"x")


@pytest.mark.parametrize("sent, reason, field", [
    ([], "CHUNK_ORDER", "header"),
    ([CHUNK], "CHUNK_ORDER", "header"),
    ([sig.VerifyRequest()], "CHUNK_ORDER", "header"),
    ([HEADER], "PART_EMPTY", "chunk"),
    ([HEADER, sig.VerifyRequest(chunk=b"")], "PART_EMPTY", "chunk"),
    ([HEADER, CHUNK, HEADER], "CHUNK_ORDER", "chunk"),
    ([HEADER, sig.VerifyRequest()], "CHUNK_ORDER", "chunk"),
])  # fmt: skip
def test_messages_out_of_order_are_refused(shared, sent, reason, field):
    with shared.writes(0), refused(Code.INVALID_ARGUMENT, reason, field):
        shared.system("commune").signature.Verify(iter(sent))


@pytest.mark.parametrize("seconds, nanos", [(1 << 40, 0), (-1, 0), (0, -1), (0, 1_000_000_000)])
def test_a_time_that_cannot_be_is_refused(shared, seconds, nanos):
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "header.validation_time"):
        verify(shared, b"x", validation_time={"seconds": seconds, "nanos": nanos})


def test_tomorrow_is_refused(shared):
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "header.validation_time"):
        verify(shared, b"x", validation_time=tomorrow)
