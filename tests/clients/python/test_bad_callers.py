"""Callers who may not come in, come too slowly, or do not speak the protocol."""

import datetime
import threading

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gateway import CALL_SECONDS, System
from grpc import StatusCode as Code
from mail import next_event, waiting, watching
from papers import Letter, upload
from refusals import read, refused
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import mailbox_service_pb2 as box
from vanthu.v1 import signature_service_pb2 as sig
from vanthu.v1 import submission_service_pb2 as sub

CALLS = {
    "Announce": lambda system: system.submission.Announce(sub.AnnounceRequest(envelope=Letter().envelope)),
    "Upload": lambda system: system.submission.Upload(upload(b"content")),
    "SubmitDocument": lambda system: Letter().send(system),
    "Verify": lambda system: system.signature.Verify(iter([sig.VerifyRequest(header=sig.VerifyHeader())])),
    "Watch": lambda system: list(system.mailbox.Watch(box.WatchRequest(agency="H49.151"))),
    "GetCheckpoint": lambda system: system.log.GetCheckpoint(lg.GetCheckpointRequest()),
    "no such call": lambda system: system.raw.unary_unary("/vanthu.v1.LogService/Drop")(b""),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name, reason", [
    ("expired", "CERTIFICATE_EXPIRED"), ("revoked", "CERTIFICATE_REVOKED"), ("stranger", "CERTIFICATE_UNKNOWN"),
])  # fmt: skip
def test_a_bad_certificate_is_turned_away_at_every_door_with_its_reason(shared, name, reason, call):
    with shared.writes(0), refused(Code.UNAUTHENTICATED, reason) as refusal:
        call(shared.system(name))
    assert set(refusal.metadata) >= {"not_after"} if name == "expired" else {"sha256"}


def self_made(name):
    """A key and a certificate that nobody issued, with the identity of a registered system."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    identity = x509.UniformResourceIdentifier(f"urn:vanthu:system:{name}")
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem)


def test_without_a_certificate_of_our_authority_no_call_gets_through(shared):
    seal = shared.pki.read("seals/H49.151.key"), shared.pki.read("seals/H49.151.pem")
    for system in (shared.connect(), shared.connect_as(*self_made("commune")), shared.connect_as(*seal)):
        for call in CALLS.values():
            with shared.writes(0), pytest.raises(grpc.RpcError) as caught:
                call(system)
            assert caught.value.code() == Code.UNAVAILABLE, "the handshake fails"


def test_without_tls_no_call_gets_through(shared):
    with grpc.insecure_channel(shared.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/vanthu.v1.LogService/GetCheckpoint")(b"", timeout=CALL_SECONDS)
        assert caught.value.code() == Code.UNAVAILABLE


def test_a_gateway_with_another_certificate_is_not_believed(shared, rsa_pki):
    credentials = grpc.ssl_channel_credentials(
        rsa_pki.read("tls/ca.pem"), rsa_pki.read("systems/commune.key"), rsa_pki.read("systems/commune.pem")
    )
    system = System(shared.address, credentials)
    with pytest.raises(grpc.RpcError) as caught:
        system.log.GetCheckpoint(lg.GetCheckpointRequest())
    assert caught.value.code() == Code.UNAVAILABLE
    system.close()


def test_a_certificate_revoked_while_connected_stops_working_at_the_next_reload(pki, start, tmp_path):
    country = pki.copy(tmp_path / "pki")
    gateway = start(country)
    commune, province = gateway.system("commune"), gateway.system("province")
    sent = Letter("H49", ["H49.151"]).send(province)
    with watching(commune, "H49.151") as busy, watching(commune, "H49.152") as quiet:
        item, _ = next_event(busy, "item")
        assert item.consignment_id == sent.consignment_id
        country.revoke("commune")
        assert Letter().send(commune).consignment_id, "nobody was told yet"
        gateway.reload()
        for call in CALLS.values():
            with gateway.writes(0), refused(Code.UNAUTHENTICATED, "CERTIFICATE_REVOKED"):
                call(commune)
        Letter("H49", ["H49.151"]).send(province)
        with refused(Code.UNAUTHENTICATED, "CERTIFICATE_REVOKED"):
            next_event(busy, "item")
        with refused(Code.UNAUTHENTICATED, "CERTIFICATE_REVOKED"):
            next_event(quiet, "item")
    with refused(Code.UNAUTHENTICATED, "CERTIFICATE_REVOKED"):
        waiting(gateway.connect("commune"), "H49.151")
    gateway.stop()


def test_a_system_that_leaves_the_directory_is_turned_away_at_the_next_reload(pki, start, tmp_path):
    country = pki.copy(tmp_path / "pki")
    gateway = start(country)
    commune = gateway.system("commune")
    Letter().send(commune)
    directory = country.folder / "directory.toml"
    text = directory.read_text()
    text = 'approved_by = "Trần B"\n' + text
    directory.write_text(text.replace("urn:vanthu:system:commune", "urn:vanthu:system:gone"))
    gateway.reload()
    with gateway.writes(0), refused(Code.UNAUTHENTICATED, "CERTIFICATE_UNKNOWN"):
        Letter().send(commune)
    directory.write_text(text)
    gateway.reload()
    Letter().send(commune)
    gateway.stop()


def test_the_watches_end_with_a_reason_to_come_again_when_the_gateway_closes(gateway):
    with watching(gateway.system("province"), "H49") as stream:
        sent = Letter().send(gateway.system("commune"))
        assert next_event(stream, "item")[0].consignment_id == sent.consignment_id
        gateway.process.terminate()
        with pytest.raises(grpc.RpcError) as caught:
            next_event(stream, "item")
    assert caught.value.code() == Code.UNAVAILABLE
    _, details = read(caught.value)
    kinds = {kind.DESCRIPTOR.name: value for kind, value in details.items()}
    assert kinds["ErrorInfo"].reason == "CLOSING"
    assert kinds["RetryInfo"].retry_delay.ToMilliseconds() > 0


# ── time ───────────────────────────────────────────────────────────────────────────────────────


def stalling(content, release):
    """An upload that sends half and then nothing."""
    messages = upload(content, chunk_size=len(content) // 2)
    yield next(messages)
    yield next(messages)
    release.wait(2 * CALL_SECONDS)


def test_an_upload_that_stalls_is_ended_and_what_arrived_is_kept(shared):
    content, release = b"slowly " * 1000, threading.Event()
    commune, letter = shared.system("commune"), Letter(content=content)
    with shared.writes(0):
        with refused(Code.DEADLINE_EXCEEDED, "UPLOAD_STALLED", None, limit_s=30):
            commune.submission.Upload(stalling(content, release))
        release.set()
        answer = commune.submission.Announce(sub.AnnounceRequest(envelope=letter.envelope))
    assert answer.missing[0].offset == len(content) // 2
    commune.submission.Upload(upload(content, offset=len(content) // 2))


def test_a_call_ends_at_its_callers_deadline(shared):
    content, release = b"too late " * 1000, threading.Event()
    commune, letter = shared.system("commune"), Letter(content=content)
    with shared.writes(0), pytest.raises(grpc.RpcError) as caught:
        commune.submission.Upload(stalling(content, release), timeout=0.5)
    release.set()
    assert caught.value.code() == Code.DEADLINE_EXCEEDED
    answer = commune.submission.Announce(sub.AnnounceRequest(envelope=letter.envelope))
    assert answer.missing[0].offset == len(content) // 2


# ── protocol ───────────────────────────────────────────────────────────────────────────────────

METHODS = ["SubmissionService/Announce", "MailboxService/ListItems", "TraceService/Trace", "LogService/GetReceipt"]


@pytest.mark.parametrize("method", METHODS)
def test_a_message_that_is_none_is_an_error_and_nothing_more(shared, method):
    call = shared.system("commune").raw.unary_unary(f"/vanthu.v1.{method}")
    for garbage in (b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 300):
        with shared.writes(0), pytest.raises(grpc.RpcError) as caught:
            call(garbage, timeout=CALL_SECONDS)
        assert caught.value.code() == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["/vanthu.v1.LogService/Drop", "/vanthu.v2.LogService/GetCheckpoint", "/x"])
def test_a_call_that_does_not_exist_is_unimplemented(shared, method):
    with pytest.raises(grpc.RpcError) as caught:
        shared.system("commune").raw.unary_unary(method)(b"", timeout=CALL_SECONDS)
    assert caught.value.code() == Code.UNIMPLEMENTED
