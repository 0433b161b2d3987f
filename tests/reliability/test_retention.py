"""Bodies that are erased: an entry says so first, the bytes are gone, and every proof still holds."""

import io
import json
import os
import threading
import zipfile

import grpc
import pytest

import gateway as outside
from gateway import evidence, mailbox
from test_backup import Load, answer, elsewhere, store

KIND = "Công văn"


def refused(call, code, reason):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    details = dict(caught.value.trailing_metadata()).get("grpc-status-details-bin", b"")
    assert caught.value.code() == code and reason.encode() in details, caught.value
    return details


def fetch(gateway, consignment, agency="H49.11"):
    stub = gateway.mailboxes(outside.HOSTS[agency])
    chunks = stub.FetchPart(mailbox.FetchPartRequest(
        agency=agency, consignment_id=consignment, part_name="cong-van.txt"), timeout=20)
    return b"".join(chunk.chunk for chunk in chunks)


def document(gateway, consignment):
    return gateway.mailboxes().GetDocument(mailbox.GetDocumentRequest(
        agency="H49.11", consignment_id=consignment), timeout=20)


def evidence_of(gateway, consignment, parts=True):
    request = evidence.GetEvidenceRequest(consignment_id=consignment, include_parts=parts)
    return b"".join(part.chunk for part in gateway.evidences().GetEvidence(request, timeout=30))


def verify(home, tmp_path, file, name):
    path = tmp_path / name
    path.write_bytes(file)
    done = outside.run("evidence", "verify", path, "--key", home / "log.vkey", "--output", "json")
    return json.loads(done.stdout)


def ask(command, *arguments, home, code=0):
    done = outside.run("store", command, *arguments, "--data", home / "data",
                       "--output", "json", code=code)
    return json.loads(done.stdout) if code == 0 else done.stderr


def on_disk(folder, needle):
    """Whether these bytes stand in any file below a folder."""
    return any(needle in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def events(gateway, consignment):
    """What was said about keeping it."""
    said = [outside.fields(entry.leaf)["event"]
            for entry in gateway.trace(consignment_id=consignment)]
    return [event for event in said if event in ("hold", "release", "erasure")]


def test_an_order_erases_bodies_and_leaves_every_proof(gateway, tmp_path):
    home = gateway.home
    sent = outside.make_document(size=40_000)
    result = gateway.submit(sent)
    consignment = result.consignment_id
    answer(gateway, consignment, refuse=True)
    before = evidence_of(gateway, consignment)
    body, salted = sent.parts[0], "sai địa chỉ".encode()
    assert on_disk(home / "data/content", body) and on_disk(home / "data/content", salted)
    blocks = sum(path.stat().st_blocks for path in (home / "data/content/volumes").iterdir())
    done = ask("erase", consignment, "--order", "Quyết định 12/QĐ-TTg", home=home)
    assert done["bytes"] >= len(body) + len(salted)
    entry = done["entry"]
    assert not on_disk(home / "data/content", body[:200])
    assert not on_disk(home / "data/content", salted)
    after = sum(path.stat().st_blocks for path in (home / "data/content/volumes").iterdir())
    assert after < blocks, "the file system has the blocks back"
    details = refused(lambda: fetch(gateway, consignment), grpc.StatusCode.FAILED_PRECONDITION,
                      "CONTENT_ERASED")
    assert entry.encode() in details
    # What was sent, to whom, and what was found of its signatures is never erased.
    assert document(gateway, consignment).envelope == sent.envelope
    assert gateway.submit(sent).receipt == result.receipt
    # What was proven is proven; what is made now says what happened.
    kept = verify(home, tmp_path, before, "before.zip")
    now = evidence_of(gateway, consignment)
    shown = verify(home, tmp_path, now, "after.zip")
    assert kept and shown
    names = zipfile.ZipFile(io.BytesIO(now)).namelist()
    assert not [name for name in names if name.startswith("parts/")]
    text = b"".join(zipfile.ZipFile(io.BytesIO(now)).read(name) for name in names
                    if name.startswith("entries/"))
    assert b"event erasure\n" in text and b"reason ORDER\n" in text
    assert events(gateway, consignment) == ["erasure"]
    # Once.
    assert "CONTENT_ERASED" in ask("erase", consignment, "--order", "again", home=home, code=1)
    assert gateway.stop() == 0
    outside.audit(home)
    assert store("check", "--data", home / "data")["valid"]


def test_what_another_document_has_too_stays_until_the_last_is_erased(gateway):
    home = gateway.home
    content = os.urandom(50).hex().encode() * 50
    part = outside.listed("cong-van.txt", content)
    results = []
    for number in range(3):
        seed = outside.uuid.uuid4()
        envelope = outside.make_envelope([part])
        results.append(gateway.submit(outside.Document("H49.151", str(seed), envelope, [content])))
        if number == 1:  # The third one is kept by a process that remembers nothing.
            assert gateway.stop() == 0
            gateway.start()
    for result in results:
        answer(gateway, result.consignment_id)
    for number, result in enumerate(results):
        done = ask("erase", result.consignment_id, "--order", "x", home=home)
        refused(lambda result=result: fetch(gateway, result.consignment_id),
                grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_ERASED")
        for other in results[number + 1:]:
            assert fetch(gateway, other.consignment_id) == content
        assert (done["bytes"] == 0) == (number < 2), done
    assert not on_disk(home / "data/content", content[:300])
    again = outside.Document("H49.151", str(outside.uuid.uuid4()),
                             outside.make_envelope([part]), [content])
    assert fetch(gateway, gateway.submit(again).consignment_id) == content
    assert gateway.stop() == 0
    outside.audit(home)
    assert store("check", "--data", home / "data")["valid"]
    store("rebuild", "--data", home / "data")
    gateway.start()
    for result in results:
        refused(lambda result=result: fetch(gateway, result.consignment_id),
                grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_ERASED")


def test_a_large_body_is_erased_with_its_file(gateway):
    content = os.urandom(1024) * 6_000
    part = outside.listed("cong-van.txt", content)
    sent = outside.Document("H49.151", str(outside.uuid.uuid4()), outside.make_envelope([part]), [])
    stub = gateway.submissions()

    def messages():
        header = outside.submission.UploadHeader(sha256=part.sha256, size=part.size)
        yield outside.submission.UploadRequest(header=header)
        for start in range(0, len(content), 262_144):
            yield outside.submission.UploadRequest(chunk=content[start:start + 262_144])

    stub.Upload(messages(), timeout=60)
    result = stub.Submit(outside.submission.SubmitRequest(
        request_id=sent.request_id, envelope=sent.envelope), timeout=60).result
    file = next((gateway.home / "data/content/files").rglob(part.sha256.hex()))
    done = ask("erase", result.consignment_id, "--order", "x", home=gateway.home)
    assert done["bytes"] == len(content) and not file.exists()


def test_what_is_held_is_not_erased(gateway):
    home = gateway.home
    sent = outside.make_document()
    consignment = gateway.submit(sent).consignment_id
    answer(gateway, consignment)
    first = ask("hold", consignment, "--reason", "INSPECTION", "--note", "TTCP 5/2026", home=home)
    assert ask("hold", consignment, "--reason", "INSPECTION", home=home) == first
    second = ask("hold", consignment, "--reason", "LAWSUIT", home=home)
    said = ask("erase", consignment, "--order", "x", home=home, code=1)
    assert "CONTENT_HELD" in said and "INSPECTION" in said and first["entry"] in said
    ask("release", consignment, "--reason", "INSPECTION", home=home)
    said = ask("erase", consignment, "--order", "x", home=home, code=1)
    assert "LAWSUIT" in said and second["entry"] in said
    assert "HOLD_UNKNOWN" in ask("release", consignment, "--reason", "WISH", home=home, code=1)
    assert "FIELD_MALFORMED" in ask("hold", consignment, "--reason", "no word", home=home, code=1)
    # The hold outlives the process and its projections.
    assert gateway.stop() == 0
    store("rebuild", "--data", home / "data")
    gateway.start()
    assert "LAWSUIT" in ask("erase", consignment, "--order", "x", home=home, code=1)
    assert fetch(gateway, consignment) == sent.parts[0]
    ask("release", consignment, "--reason", "LAWSUIT", home=home)
    ask("erase", consignment, "--order", "x", home=home)
    assert "CONTENT_ERASED" in ask("hold", consignment, "--reason", "LATE", home=home, code=1)
    assert events(gateway, consignment) == ["hold", "hold", "release", "release", "erasure"]
    unknown = "019ab2c3-7d2b-7000-8000-000000000001"
    ask("erase", unknown, "--order", "x", home=home, code=6)
    assert gateway.stop() == 0
    outside.audit(home)
    outside.run("store", "erase", consignment, "--order", "x", "--data", home / "data", code=4)


def retain(home, text):
    path = home / "vanthu.toml"
    path.write_text(path.read_text() + "\n" + text)


def test_rules_erase_by_kind_and_age(home, tmp_path):
    retain(home, '[retention]\nrules = [{ kind = "Thông báo", days = 3650 }, { days = 0 }]\n')
    with outside.Gateway(home).start() as gateway:
        due = outside.make_document()
        due_id = gateway.submit(due).consignment_id
        answer(gateway, due_id)
        waiting_id = gateway.submit(outside.make_document()).consignment_id
        held_id = gateway.submit(outside.make_document()).consignment_id
        answer(gateway, held_id)
        ask("hold", held_id, "--reason", "INSPECTION", home=home)
        kept = outside.make_document()
        envelope = outside.envelope.Envelope.FromString(kept.envelope)
        envelope.type_name = "Thông báo"
        kept.envelope = envelope.SerializeToString(deterministic=True)
        kept_id = gateway.submit(kept).consignment_id
        answer(gateway, kept_id)
        expected = {"consignments": 1, "held": 1, "waiting": 1}
        dry = ask("retain", "--dry-run", home=home)
        assert dry == {**expected, "bytes": 0, "dry_run": True}
        assert fetch(gateway, due_id) == due.parts[0]
        done = ask("retain", home=home)
        assert done == {**expected, "bytes": len(due.parts[0]), "dry_run": False}
        assert "erasure" in events(gateway, due_id)
        refused(lambda: fetch(gateway, due_id), grpc.StatusCode.FAILED_PRECONDITION,
                "CONTENT_ERASED")
        for other in (waiting_id, held_id, kept_id):
            assert fetch(gateway, other)
        assert ask("retain", home=home) == {
            **expected, "consignments": 0, "bytes": 0, "dry_run": False}
        assert gateway.stop() == 0
        outside.audit(home)


def test_backups_forget_what_was_erased(gateway, tmp_path):
    home = gateway.home
    sent = [outside.make_document() for _ in range(3)]
    results = [gateway.submit(one) for one in sent]
    for result in results:
        answer(gateway, result.consignment_id, refuse=True)
    store("backup", tmp_path / "backup", "--data", home / "data")
    assert on_disk(tmp_path / "backup", sent[1].parts[0])
    ask("erase", results[1].consignment_id, "--order", "x", home=home)
    assert store("backup", tmp_path / "backup", "--data", home / "data")["valid"]
    assert not on_disk(tmp_path / "backup", sent[1].parts[0][:200])
    assert on_disk(tmp_path / "backup", sent[2].parts[0])
    restored = elsewhere(gateway, tmp_path)
    store("restore", tmp_path / "backup", "--data", restored / "data")
    with outside.Gateway(restored).start("--accept-loss") as other:
        refused(lambda: fetch(other, results[1].consignment_id),
                grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_ERASED")
        assert fetch(other, results[2].consignment_id) == sent[2].parts[0]
        assert other.stop() == 0
    assert store("check", "--data", restored / "data")["valid"]


def test_an_erasure_that_a_crash_cut_short_is_finished_at_the_next_start(gateway, tmp_path):
    """A backup from before the bytes were gone, with the entry that says they are."""
    home = gateway.home
    sent = outside.make_document()
    result = gateway.submit(sent)
    answer(gateway, result.consignment_id)
    content = home / "data/content"
    whole = {path: path.read_bytes() for path in content.rglob("*.vol")}
    ask("erase", result.consignment_id, "--order", "x", home=home)
    assert gateway.stop() == 0
    # As after a crash between the entry and the bytes: the volumes as they were, the entry recorded.
    for path, text in whole.items():
        with path.open("r+b") as volume:
            volume.write(text)
    report = store("check", "--data", home / "data", code=9)
    assert [finding["piece"] for finding in report["findings"]] == [
        f"content {outside.hashlib.sha256(sent.parts[0]).hexdigest()}"]
    store("rebuild", "--data", home / "data")
    assert store("check", "--data", home / "data")["valid"], "it is to be finished, and known to be"
    assert on_disk(content, sent.parts[0])
    gateway.start()
    for _ in range(200):
        if not on_disk(content, sent.parts[0][:200]):
            break
        threading.Event().wait(0.05)
    assert not on_disk(content, sent.parts[0][:200])
    assert gateway.stop() == 0
    assert store("check", "--data", home / "data")["valid"]


def test_documents_on_their_way_keep_the_bodies_that_they_share(gateway):
    """Erasures race with submissions of the very same part, from the first byte to the entry."""
    home = gateway.home
    content = os.urandom(64).hex().encode() * 20
    part = outside.listed("cong-van.txt", content)
    alive, failures, stop = [], [], threading.Event()

    def submit():
        try:
            while not stop.is_set():
                one = outside.Document("H49.151", str(outside.uuid.uuid4()),
                                       outside.make_envelope([part]), [content])
                alive.append(gateway.submit(one).consignment_id)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    gateway.channel("commune")
    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    erased = 0
    while erased < 25 and not failures:
        if alive:
            ask("erase", alive.pop(0), "--order", "x", home=home)
            erased += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and erased == 25
    for consignment in alive:
        assert fetch(gateway, consignment) == content
    assert gateway.stop() == 0
    outside.audit(home)
    assert store("check", "--data", home / "data")["valid"]


def test_erasures_under_load_hold_nobody_up(home, tmp_path):
    with outside.Gateway(home).start() as gateway, Load(gateway) as load:
        for number in range(10):
            accepted = load.reach(15 * (number + 1))
            consignment = accepted[15 * number][1].consignment_id
            ask("erase", consignment, "--order", "x", home=home)
            refused(lambda consignment=consignment: fetch(gateway, consignment),
                    grpc.StatusCode.FAILED_PRECONDITION, "CONTENT_ERASED")
