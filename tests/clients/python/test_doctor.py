"""`vanthu doctor reach`: each layer between a machine and a mailbox, broken on its own."""

import contextlib
import datetime
import json
import socket
import subprocess
import threading
from concurrent import futures

import grpc
import pytest
from gateway import CALL_SECONDS, Pki, binary
from vanthu.v1 import log_service_pb2, log_service_pb2_grpc

LAYERS = ["name", "tcp", "tls", "certificate", "clock", "role", "directory", "log head"]


def reach(pki, server, code="H49.11", system="commune", ca=None, key=None):
    """Exit code and what was printed, checked for its form: every layer holds but the last."""
    command = [binary(), "doctor", "reach", code, "--server", server, "--output", "json",
               "--ca", ca or pki.folder / "tls/ca.pem", "--cert", pki.folder / f"systems/{system}.pem",
               "--key-of-log", key or pki.folder / "log.vkey"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    told = json.loads(done.stdout)
    *held, last = told["layers"]
    assert all(layer["ok"] and layer["fix"] is None for layer in held), told
    assert [layer["layer"] for layer in held] == LAYERS[:len(held)], told
    assert told["reachable"] == last["ok"] == (done.returncode == 0), told
    assert last["ok"] or last["fix"], told
    return done.returncode, last


def of(gateway):
    return f"https://localhost:{gateway.address.rsplit(':', 1)[1]}"


@contextlib.contextmanager
def listening(serve):
    """A port of this machine at which `serve` takes one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with contextlib.closing(connection):
                        serve(connection)
        threading.Thread(target=accept, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}"


@pytest.mark.parametrize("code, system", [("H49.11", "commune"), ("000.00.00.H49", "portal"), ("H49.151", "commune")])
def test_an_agency_is_reached_through_all_layers(shared, code, system):
    exit_code, last = reach(shared.pki, of(shared), code, system)
    assert (exit_code, last["layer"]) == (0, "log head")


def test_a_person_is_told_in_words(shared):
    command = [binary(), "doctor", "reach", "H49.11", "--server", of(shared),
               "--ca", shared.pki.folder / "tls/ca.pem", "--cert", shared.pki.folder / "systems/commune.pem",
               "--key-of-log", shared.pki.folder / "log.vkey"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line[8:20].strip() for line in lines[:-1]] == LAYERS
    assert lines[-1] == f"H49.11 can be reached through {of(shared)}"


def test_a_name_that_nobody_knows(pki):
    exit_code, last = reach(pki, "https://gateway.invalid:7443")
    assert (exit_code, last["layer"]) == (4, "name")


def test_a_port_at_which_nobody_listens(pki):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    exit_code, last = reach(pki, f"https://localhost:{port}")
    assert (exit_code, last["layer"]) == (4, "tcp")


def test_a_listener_that_speaks_no_tls(pki):
    with listening(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n")) as server:
        exit_code, last = reach(pki, server)
    assert (exit_code, last["layer"]) == (4, "tls")


def test_a_gateway_under_another_ca(shared, tmp_path):
    other = Pki.make(tmp_path / "pki")
    exit_code, last = reach(shared.pki, of(shared), ca=other.folder / "tls/ca.pem")
    assert (exit_code, last["layer"]) == (7, "certificate")
    # The authorities of both countries have the same name.
    assert "BadSignature" in last["found"] and "--ca" in last["fix"]


def issued(pki, names, first, last):
    """A key and a certificate of the country's TLS authority for these days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    ca = x509.load_pem_x509_certificate(pki.read("tls/ca.pem"))
    ca_key = serialization.load_pem_private_key(pki.read("tls/ca.key"), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(ca.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=first))
        .not_valid_after(now + datetime.timedelta(days=last))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    private = key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(text)


@contextlib.contextmanager
def pretending(pki, names=("localhost",), first=-1, last=1, time=None):
    """Another server in the gateway's place, whose log is empty and whose clock says what it likes."""
    class Log(log_service_pb2_grpc.LogServiceServicer):
        def GetCheckpoint(self, request, context):
            answer = log_service_pb2.GetCheckpointResponse(epoch=1)
            answer.time.FromDatetime(time or datetime.datetime.now(datetime.timezone.utc))
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(2))
    log_service_pb2_grpc.add_LogServiceServicer_to_server(Log(), server)
    private, certificate = issued(pki, names, first, last)
    credentials = grpc.ssl_server_credentials([(private, certificate)], pki.read("tls/ca.pem"), True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"https://localhost:{port}"
    finally:
        server.stop(None)


@pytest.mark.parametrize("changed, found, fix", [
    ({"first": -9, "last": -2}, "expired", "renew"),
    ({"first": 2}, "not valid yet", "clock of this machine is slow"),
    ({"names": ["gateway.example"]}, "not valid for", "by a name in its certificate"),
])
def test_a_gateway_whose_certificate_does_not_count(pki, changed, found, fix):
    with pretending(pki, **{"last": 9, **changed}) as server:
        exit_code, last = reach(pki, server)
    assert (exit_code, last["layer"]) == (7, "certificate")
    assert found in last["found"] and fix in last["fix"], last


@pytest.mark.parametrize("minutes, found", [(-10, "behind"), (10, "ahead")])
def test_a_gateway_whose_clock_is_wrong(pki, minutes, found):
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    with pretending(pki, time=time) as server:
        exit_code, last = reach(pki, server)
    assert (exit_code, last["layer"]) == (1, "clock")
    assert found in last["found"] and "NTP" in last["fix"]


@pytest.mark.parametrize("system, reason", [
    ("revoked", "CERTIFICATE_REVOKED"), ("expired", "CERTIFICATE_EXPIRED"),
    ("stranger", "CERTIFICATE_UNKNOWN"), ("auditor", "ROLE_NOT_ALLOWED"),
])
def test_a_system_that_may_not(shared, system, reason):
    exit_code, last = reach(shared.pki, of(shared), system=system)
    assert (exit_code, last["layer"]) == (5, "role")
    assert last["found"].startswith(reason), last


def test_a_system_under_another_ca(shared, tmp_path):
    other = Pki.make(tmp_path / "pki")
    exit_code, last = reach(other, of(shared), ca=shared.pki.folder / "tls/ca.pem", key=shared.pki.folder / "log.vkey")
    assert (exit_code, last["layer"]) == (5, "role")
    assert "the gateway's CA for clients" in last["fix"]


@pytest.mark.parametrize("code, exit_code, found, fix", [
    ("H49.999", 6, "AGENCY_UNKNOWN", "check the agency code"),
    ("H49.61", 1, "closed since 2025-06-30", "send to H49.151 or H49.152"),
])
def test_an_agency_that_cannot_be_reached(shared, code, exit_code, found, fix):
    ended, last = reach(shared.pki, of(shared), code)
    assert (ended, last["layer"]) == (exit_code, "directory")
    assert found in last["found"] and fix in last["fix"], last


def test_an_agency_without_a_mailbox(pki, start, tmp_path):
    country = pki.copy(tmp_path / "pki")
    directory = country.folder / "directory.toml"
    row = '[[agency]]\ncode = "H50"\nname = "Tỉnh"\nlevel = 1\nkind = "state"\nvalid_from = "2020-07-22"\n'
    directory.write_text(directory.read_text() + "\n" + row)
    gateway = start(country)
    exit_code, last = reach(country, of(gateway), "H50")
    assert (exit_code, last["layer"]) == (1, "directory")
    assert "without a mailbox" in last["found"]
    gateway.stop()


def test_a_log_under_another_key(shared, tmp_path):
    from papers import Letter

    Letter().send(shared.system("commune"))
    other = Pki.make(tmp_path / "pki")
    exit_code, last = reach(shared.pki, of(shared), key=other.folder / "log.vkey")
    assert (exit_code, last["layer"]) == (7, "log head")
    assert "tell its witnesses" in last["fix"]
