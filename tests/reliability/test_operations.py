"""What an operator relies on: pages, health, drain, reload, guard, exit codes, epochs."""

import hashlib
import os
import random
import shutil
import signal
import socket
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import gateway as outside
from gateway import directory, directory_grpc, evidence, log, mailbox, receipt, submission

SERVICES = {f"vanthu.v1.{name}Service"
            for name in ["Directory", "Evidence", "Log", "Mailbox", "Submission", "Trace"]}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def eventually(holds, what, seconds=10):
    """Waits for something that another process is doing."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def refused(call, code, reason=None):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    if reason:
        details = dict(caught.value.trailing_metadata()).get("grpc-status-details-bin", b"")
        assert reason.encode() in details, details
    return caught.value


# ── pages ───────────────────────────────────────────────────────────────────────────────────────


def test_the_pages_tell_a_live_gateway_from_a_ready_one(gateway):
    assert gateway.page("/healthz") == (200, "ok\n")
    assert gateway.page("/readyz") == (200, "ready: log at 1/0\n")
    gateway.submit(outside.make_document())
    assert gateway.page("/readyz") == (200, "ready: log at 1/2\n")
    assert gateway.page("/nothing")[0] == 404


def test_the_metrics_count_calls_codes_and_entries(gateway):
    for _ in range(3):
        gateway.submit(outside.make_document())
    unknown = directory.GetAgencyRequest(code="X99")
    refused(lambda: gateway.agencies().GetAgency(unknown), grpc.StatusCode.NOT_FOUND)
    eventually(lambda: "vanthu_log_entries 6" in gateway.page("/metrics")[1], "6 entries")
    text = gateway.page("/metrics")[1]
    assert text.endswith("# EOF\n"), "OpenMetrics ends with its mark"
    lines = set(text.splitlines())

    def handled(service, method, code):
        return (f'grpc_server_handled_total{{grpc_service="vanthu.v1.{service}",'
                f'grpc_method="{method}",grpc_code="{code}"}}')

    assert f'{handled("SubmissionService", "SubmitDocument", "OK")} 3' in lines
    assert f'{handled("DirectoryService", "GetAgency", "NotFound")} 1' in lines
    assert "vanthu_log_epoch 1" in lines
    assert any(line.startswith("grpc_server_handling_seconds_bucket") for line in lines)


def test_callers_cannot_grow_the_metrics(gateway):
    channel = gateway.channel("commune")
    for number in range(20):
        for path in (f"/vanthu.v1.SubmissionService/M{number}", f"/vanthu.v1.S{number}/Get"):
            call = channel.unary_unary(path)
            refused(lambda call=call: call(b"", timeout=5), grpc.StatusCode.UNIMPLEMENTED)
    text = gateway.page("/metrics")[1]
    assert "M1" not in text and "S1" not in text, "unknown names became labels"


# ── health and reflection ───────────────────────────────────────────────────────────────────────


def test_health_is_checked_and_watched_until_the_end(gateway):
    stub = health_pb2_grpc.HealthStub(gateway.channel("operator"))
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == SERVING
    unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
    refused(lambda: stub.Check(unknown, timeout=5), grpc.StatusCode.NOT_FOUND)
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(watch).status == SERVING
    gateway.signal(signal.SIGTERM)
    assert next(watch).status == NOT_SERVING
    watch.cancel()
    assert gateway.process.wait(timeout=25) == 0


def test_reflection_lists_every_service(gateway):
    stub = reflection_pb2_grpc.ServerReflectionStub(gateway.channel("auditor"))
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
    listed = {service.name for service in answer.list_services_response.service}
    assert SERVICES | {"grpc.health.v1.Health"} <= listed
    for name in SERVICES:
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
        answer = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
        assert answer.file_descriptor_response.file_descriptor_proto, name


def test_reflection_is_for_known_systems(gateway):
    stub = reflection_pb2_grpc.ServerReflectionStub(gateway.open_channel("revoked"))
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    refused(lambda: next(stub.ServerReflectionInfo(iter([request]), timeout=5)),
            grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_REVOKED")


# ── drain ───────────────────────────────────────────────────────────────────────────────────────


def is_refused(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return True
    return False


def test_sigterm_lets_a_call_finish_and_nobody_in(gateway):
    content = os.urandom(4 * outside.MIB)
    part = outside.listed("phu-luc.bin", content)
    first_half, second_half = threading.Event(), threading.Event()

    def messages():
        header = submission.UploadHeader(sha256=part.sha256, size=part.size, offset=0)
        yield submission.UploadRequest(header=header)
        yield submission.UploadRequest(chunk=content[:outside.MIB])
        first_half.set()
        assert second_half.wait(20)
        for start in range(outside.MIB, len(content), outside.MIB):
            yield submission.UploadRequest(chunk=content[start:start + outside.MIB])

    upload = gateway.submissions().Upload.future(messages(), timeout=30)
    watch = gateway.mailboxes().Watch(mailbox.WatchRequest(agency="H49.11"), timeout=30)
    assert first_half.wait(10)
    gateway.signal(signal.SIGTERM)
    # A watcher is told at once to come back; it would hold up the drain for ever.
    refused(lambda: list(watch), grpc.StatusCode.UNAVAILABLE)
    eventually(lambda: is_refused(gateway.address), "the port closes")
    assert gateway.process.poll() is None, "it waits for the call in flight"
    second_half.set()
    assert upload.result().size == len(content)
    assert gateway.process.wait(timeout=25) == 0
    gateway.forget()
    gateway.start()
    again = submission.AnnounceRequest(envelope=outside.make_envelope([part]))
    assert not gateway.submissions().Announce(again, timeout=5).missing


def test_a_call_that_never_ends_is_cut_off(gateway):
    release = threading.Event()

    def messages():
        header = submission.UploadHeader(sha256=bytes(32), size=10, offset=0)
        yield submission.UploadRequest(header=header)
        for _ in range(400):
            if release.wait(0.1):
                return
        yield submission.UploadRequest(chunk=b"x")

    upload = gateway.submissions().Upload.future(messages(), timeout=60)
    time.sleep(0.3)
    since = time.monotonic()
    gateway.signal(signal.SIGTERM)
    code = gateway.process.wait(timeout=40)
    took = time.monotonic() - since
    release.set()
    assert upload.exception() is not None
    assert code in (0, 1) and took < 30, (code, took)
    print(f"\ncut off after {took:.1f} s with exit code {code}")


# ── reload ──────────────────────────────────────────────────────────────────────────────────────


def said(gateway, word):
    return gateway.traces().count(word)


def reload(gateway, word="reloaded"):
    before = said(gateway, f'"{word}')
    gateway.signal(signal.SIGHUP)
    eventually(lambda: said(gateway, f'"{word}') > before, f"the gateway says {word}")


def test_sighup_takes_a_new_directory_without_dropping_a_connection(gateway):
    path = gateway.home / "directory.toml"
    ask = directory.GetAgencyRequest(code="H49.153")
    refused(lambda: gateway.agencies().GetAgency(ask), grpc.StatusCode.NOT_FOUND)
    watch = gateway.mailboxes().Watch(mailbox.WatchRequest(agency="H49.11"), timeout=30)
    text = 'approved_by = "Trần B"\n' + path.read_text()
    row = ('\n[[agency]]\ncode = "H49.153"\nname = "Ủy ban nhân dân phường Mới"\nlevel = 2\n'
           'parent = "H49"\nkind = "state"\nvalid_from = "2025-07-01"\nhost = "commune"\n')
    path.write_text(text + row)
    reload(gateway)
    assert gateway.agencies().GetAgency(ask).agency.reachable
    # A system that is no longer listed is turned away on the connection that it has open.
    gateway.tracing("operator")
    path.write_text((text + row).replace("urn:vanthu:system:province", "urn:vanthu:system:none"))
    gateway.submit(outside.make_document())
    assert next(watch).WhichOneof("event") == "item", "the watch was not dropped"
    reload(gateway)
    refused(lambda: gateway.items("H49.11"), grpc.StatusCode.UNAUTHENTICATED,
            "CERTIFICATE_UNKNOWN")


def test_sighup_takes_a_new_revocation_list(gateway):
    gateway.submit(outside.make_document())
    outside.run("certs", "revoke", "--pki", gateway.home, "commune")
    reload(gateway)
    refused(lambda: gateway.submit(outside.make_document()), grpc.StatusCode.UNAUTHENTICATED,
            "CERTIFICATE_REVOKED")
    assert gateway.items("H49.11"), "the others go on"


@pytest.mark.parametrize("name, broken", [
    ("directory.toml", "[[agency"),
    ("directory.toml", 'as_of = "2026-02-30"\n'),
    ("tls/gateway.pem", "nothing"),
    ("tls/gateway.key", "nothing"),
    ("tls/ca.crl", "nothing"),
    ("tls/ca.pem", ""),
])
def test_sighup_with_a_broken_file_changes_nothing(gateway, name, broken):
    gateway.submit(outside.make_document())
    before = (gateway.home / name).read_bytes()
    (gateway.home / name).write_text(broken)
    reload(gateway, "not reloaded")
    gateway.submit(outside.make_document())
    assert gateway.page("/readyz")[0] == 200
    (gateway.home / name).write_bytes(before)
    newcomer = directory_grpc.DirectoryServiceStub(gateway.open_channel("auditor"))
    assert newcomer.GetAgency(directory.GetAgencyRequest(code="H49"), timeout=5)
    reload(gateway)


def test_sighup_under_load_drops_nothing(gateway):
    stop, failures = threading.Event(), []

    def submit():
        try:
            while not stop.is_set():
                gateway.submit(outside.make_document())
        except grpc.RpcError as error:
            failures.append(error)

    gateway.channel("commune")
    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        reload(gateway)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures


# ── one process, one log ────────────────────────────────────────────────────────────────────────


def test_a_second_process_on_the_same_data_is_refused(gateway):
    gateway.submit(outside.make_document())
    other = outside.Gateway(gateway.home)
    other.start_fails(1)
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    outside.audit(gateway.home)


def test_tools_for_a_stopped_gateway_leave_a_running_one_alone(gateway):
    gateway.submit(outside.make_document())
    data = gateway.home / "data"
    outside.run("store", "check", "--data", data, code=9)
    outside.run("store", "rebuild", "--data", data, code=9)
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    outside.run("store", "check", "--data", data)
    outside.audit(gateway.home)


def save(gateway, tmp_path, name):
    """Stops the gateway and copies its data."""
    assert gateway.stop() == 0
    copy = tmp_path / name
    shutil.copytree(gateway.home / "data", copy)
    return copy


def restore(gateway, copy, guard):
    data = gateway.home / "data"
    signed = data / "head.signed"
    newer = signed.read_bytes() if signed.exists() else b""
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    if guard == "newer":
        signed.write_bytes(newer)
    elif guard == "none":
        signed.unlink()
    elif guard == "garbage":
        signed.write_bytes(b"x" + newer)


@pytest.mark.parametrize("guard", ["newer", "none", "garbage"])
def test_a_restored_older_disk_stops_instead_of_forking(gateway, tmp_path, guard):
    gateway.submit(outside.make_document())
    older = save(gateway, tmp_path, "older")
    gateway.start()
    gateway.submit(outside.make_document())
    newest = save(gateway, tmp_path, "newest")
    restore(gateway, older, guard)
    words = gateway.start_fails(9)
    assert "restore the newest copy" in words, words
    gateway.start_fails(9)
    restore(gateway, newest, "own")
    gateway.start()
    gateway.submit(outside.make_document())


def test_another_log_under_the_same_guard_stops(gateway, tmp_path):
    """Two histories of one length: a copy that went on by itself, and the original."""
    gateway.submit(outside.make_document())
    fork = save(gateway, tmp_path, "fork")
    gateway.start()
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    original_guard = (gateway.home / "data/head.signed").read_bytes()
    shutil.rmtree(gateway.home / "data")
    shutil.copytree(fork, gateway.home / "data")
    gateway.start()
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    (gateway.home / "data/head.signed").write_bytes(original_guard)
    assert "another log was signed" in gateway.start_fails(9)


def test_another_key_does_not_continue_the_log(gateway, tmp_path):
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    other = outside.make_home(tmp_path / "other")
    shutil.copy(other / "log.key", gateway.home / "log.key")
    gateway.start_fails(9)


def test_a_lost_content_folder_is_named_when_the_document_is_fetched(gateway):
    """The log stands without bodies; the gateway says what is lost and stays up."""
    result = gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    shutil.rmtree(gateway.home / "data/content")
    gateway.start()
    request = mailbox.FetchPartRequest(agency="H49.11", consignment_id=result.consignment_id,
                                       part_name="cong-van.txt")
    with pytest.raises(grpc.RpcError) as caught:
        list(gateway.mailboxes().FetchPart(request, timeout=10))
    assert caught.value.code() in (grpc.StatusCode.DATA_LOSS, grpc.StatusCode.INTERNAL,
                                   grpc.StatusCode.UNAVAILABLE), caught.value
    assert gateway.page("/readyz")[0] == 200


# ── configuration ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", [
    ('name = "gateway.dev.invalid"', 'name = "with blank"'),
    ('listen = "127.0.0.1:0"', 'listen = "nowhere"'),
    ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1:0"\nunknown = 1'),
    ('operations = "127.0.0.1:0"', 'operations = "0.0.0.0:0"'),
    ('directory = "directory.toml"', 'directory = "absent.toml"'),
    ('trust = "trust"', 'trust = "tls"'),
    ('certificate = "tls/gateway.pem"', 'certificate = "absent.pem"'),
    ('key = "tls/gateway.key"', 'key = "systems/commune.key"'),
    ('client_crls = ["tls/ca.crl"]', 'client_crls = ["trust/gov/crls/gov-root.crl"]'),
    ('key = "log.key"', 'key = "absent.key"'),
    ('key = "log.key"', 'key = "tls/gateway.key"'),
    ('[log]\n', '[log]\nepoch_entries = 0\n'),
    ('[log]\n', '[log\n'),
])
def test_a_wrong_configuration_ends_with_3_and_leaves_nothing(home, change):
    path = home / "vanthu.toml"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    words = outside.Gateway(home).start_fails(3)
    assert "vanthu: error: " in words, words
    assert ".toml" in words or ".pem" in words or ".key" in words or "tls" in words or ".crl" in words
    assert not list((home / "data").glob("head*")), "nothing was signed"


def test_a_missing_configuration_ends_with_3(tmp_path):
    outside.run("serve", "--config", tmp_path / "absent.toml", code=3)


def test_an_unknown_option_ends_with_2(tmp_path):
    outside.run("serve", "--config", tmp_path, "--bogus", code=2)


def test_a_taken_port_is_named(gateway, tmp_path):
    other = outside.make_home(tmp_path / "other")
    path = other / "vanthu.toml"
    taken = gateway.address
    path.write_text(path.read_text().replace('listen = "127.0.0.1:0"', f'listen = "{taken}"'))
    assert taken in outside.Gateway(other).start_fails(1)


# ── traces ──────────────────────────────────────────────────────────────────────────────────────


def test_secrets_never_reach_the_traces(gateway):
    gateway.submit(outside.make_document(subject="Bí mật của riêng tôi"))
    keys = [path.read_text().splitlines()[1] for path in gateway.home.rglob("*.key")]
    assert gateway.stop() == 0
    traces = gateway.traces()
    assert keys and not any(key in traces for key in keys)
    assert "riêng tôi" not in traces, "a document's words are not for traces"


# ── epochs ──────────────────────────────────────────────────────────────────────────────────────


def whole_evidence(gateway, consignment):
    request = evidence.GetEvidenceRequest(consignment_id=consignment)
    return b"".join(answer.chunk for answer in gateway.evidences().GetEvidence(request, timeout=20))


def test_everything_works_across_epochs(tmp_path):
    home = outside.make_home(tmp_path / "home", epoch_entries=50)
    rng = random.Random(7)
    documents = [outside.make_document(random=rng, dossier_code="H49.151-20251103-0001")
                 for _ in range(150)]
    with outside.Gateway(home).start() as gateway:
        results = [gateway.submit(document) for document in documents]
        # The first is answered epochs after it came, and the last at once.
        for number in (0, 149):
            gateway.mailboxes().Acknowledge(mailbox.AcknowledgeRequest(
                agency="H49.11", consignment_id=results[number].consignment_id))
        entries = list(gateway.entries())
        check_epochs(gateway, entries)
        check_stories(gateway, documents, results)
        assert gateway.stop() == 0
        report = outside.audit(home)
        outside.run("store", "rebuild", "--data", home / "data")
        gateway.start()
        # Traces of the auditor and notices are entries, too; behind all that was audited stands the read.
        now = list(gateway.entries())
        assert now[: len(entries)] == entries and report["epochs"] == now[report["entries"] - 1][0]
        events = [outside.fields(leaf)["event"] for _, _, leaf in now[report["entries"] :]]
        assert events in (["read"], ["epoch", "read"])
        check_stories(gateway, documents, results)
        again = [outside.make_document() for _ in range(60)]
        for document in again:
            gateway.submit(document)
        assert gateway.stop() == 0
        outside.audit(home)


def check_epochs(gateway, entries):
    epochs = sorted({epoch for epoch, _, _ in entries})
    assert epochs == list(range(1, epochs[-1] + 1)) and len(epochs) >= 6
    for epoch in epochs[1:]:
        first = outside.fields(next(leaf for at, index, leaf in entries if (at, index) == (epoch, 0)))
        assert first["event"] == "epoch"
        number, size, _ = first["previous"].split(" ")
        checkpoint = gateway.log().GetCheckpoint(log.GetCheckpointRequest(epoch=epoch - 1))
        assert (int(number), int(size)) == (epoch - 1, checkpoint.size)
    # Every entry has its receipt, in closed epochs, too.
    for epoch, index, leaf in entries[:: len(entries) // 20]:
        answer = gateway.log().GetReceipt(log.GetReceiptRequest(
            entry_id=receipt.EntryId(epoch=epoch, index=index)))
        assert answer.receipt.leaf == leaf


def attended(story):
    """The events of a trace without those that come some time after what caused them."""
    events = [outside.fields(entry.leaf)["event"] for entry in story]
    return [event for event in events if event not in ("ConsignmentNotification", "ContentAccessTracking")]


def check_stories(gateway, documents, results):
    for number in (0, 1, 70, 149):
        document, result = documents[number], results[number]
        again = gateway.submit(document)
        assert again.repeated and again.receipt == result.receipt
        story = gateway.trace(consignment_id=result.consignment_id)
        expected = ["SubmissionAcceptance", "ContentConsignment"]
        expected += ["ContentHandover"] if number in (0, 149) else []
        assert attended(story) == expected
        sent = hashlib.sha256(document.envelope).digest()
        assert gateway.trace(envelope_sha256=sent)[0].leaf == story[0].leaf
        file = gateway.home / f"evidence-{number}.zip"
        file.write_bytes(whole_evidence(gateway, result.consignment_id))
        outside.run("evidence", "verify", file, "--key", gateway.home / "log.vkey")
    dossier = gateway.trace(dossier_code="H49.151-20251103-0001")
    assert len(attended(dossier)) == 2 * 150 + 2
    other = outside.Document("H49.151", documents[0].request_id, documents[1].envelope,
                             documents[1].parts)
    refused(lambda: gateway.submit(other), grpc.StatusCode.ALREADY_EXISTS)
    assert len(gateway.items("H49.11")) == 148


def test_an_epoch_turns_in_the_middle_of_a_large_batch(tmp_path):
    """A document to many recipients is one batch; it may be larger than an epoch."""
    home = outside.make_home(tmp_path / "home", epoch_entries=3)
    with outside.Gateway(home).start() as gateway:
        for _ in range(5):
            result = gateway.submit(outside.make_document(recipients=["H49.11", "H49.152", "G22"]))
            assert result.recipient_count == 3
        gateway.kill()
        assert outside.audit(home)["epochs"] == 5
        gateway.start()
        assert len(gateway.items("G22")) == 5

