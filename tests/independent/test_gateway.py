"""What a running gateway gives out holds: its whole log, receipts, growth, evidence files. What is
forged from it does not."""

import base64
import re
import struct
import subprocess
import sys
import uuid
import zlib
from pathlib import Path

import pytest
import verifier
from examples import EVIDENCE_FORMAT, blocks
from gateway import vanthu, wait_until
from google.protobuf import timestamp_pb2
from mail import acknowledge, refuse, report
from papers import Letter, official
from vanthu.v1 import delivery_pb2, dossier_pb2, receipt_pb2
from vanthu.v1 import dossier_service_pb2 as ds
from vanthu.v1 import evidence_service_pb2 as ev
from vanthu.v1 import log_service_pb2 as lg
from verifier import (
    Epoch,
    Invalid,
    Key,
    read_archive,
    read_receipt,
    verify_evidence,
    verify_growth,
    verify_log,
    verify_receipt,
)

EPOCH_ENTRIES = 24


def broken(code, check, *arguments):
    with pytest.raises(Invalid) as caught:
        check(*arguments)
    assert caught.value.code == code, caught.value


@pytest.fixture(scope="module")
def story(pki, start, tmp_path_factory):
    """A gateway with a log of several epochs: a signed document to three agencies, answered in three
    ways, and others."""
    country = pki.copy(tmp_path_factory.mktemp("small-epochs") / "pki")
    config = country.folder / "vanthu.toml"
    text = config.read_text()
    assert text.count("[log]") == 1
    config.write_text(text.replace("[log]", f"[log]\nepoch_entries = {EPOCH_ENTRIES}"))
    gateway = start(country)
    commune, province, portal = (gateway.system(name) for name in ("commune", "province", "portal"))
    letter = Letter("H49.151", ["H49", "H49.11", "G22"], content=official(pki, "H49.151"), annexes=[b"phu luc"],
                    number="12", notation="UBND-VP", dossier_code="H49.151-20261122-0012")  # fmt: skip
    gateway.sent = letter.send(commune)
    gateway.consignment = gateway.sent.consignment_id
    acknowledge(province, "H49", gateway.consignment)
    refuse(portal, "G22", gateway.consignment, "không thuộc thẩm quyền")
    with pytest.raises(Exception, match="RECIPIENT_UNKNOWN|directory"):
        Letter("H49.151", ["X99"]).send(commune)
    for index in range(25):
        Letter("H49.152", ["H49.11.3"], subject=f"văn bản {index}").send(commune)
    report(province, "H49", gateway.consignment, delivery_pb2.BUSINESS_STATUS_IN_PROGRESS, "đang xem")
    file_a_dossier(commune, province)
    gateway.key = Key(country.vkey)
    yield gateway
    gateway.stop()


def file_a_dossier(commune, province):
    """A dossier that passes through two agencies, and whose date the gateway sees passing."""
    due = timestamp_pb2.Timestamp()
    due.GetCurrentTime()
    due.FromMilliseconds(due.ToMilliseconds() + 1_500)
    code = "H49.151-20261126-0009"

    def take(steps):
        for system, agency, step, more in steps:
            request = {"request_id": str(uuid.uuid4()), "agency": agency, "dossier_code": code, "step": step, **more}
            system.dossier.RecordStep(ds.RecordStepRequest(**request))

    take([
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_RECEPTION, {"procedure_code": "1.004227", "due_time": due}),
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_HANDOVER, {"to": "H49.11"}),
        (province, "H49.11", dossier_pb2.DOSSIER_STEP_OPINION_REQUEST, {"to": "G22", "consent_working_days": 15}),
        (province, "H49.11", dossier_pb2.DOSSIER_STEP_SUPPLEMENT_REQUEST, {"note": "thiếu bản đồ"}),
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_SUPPLEMENT, {}),
    ])  # fmt: skip
    wait_until(lambda: len(commune.dossier.GetDossier(ds.GetDossierRequest(dossier_code=code)).steps) == 6)
    take([
        (province, "H49.11", dossier_pb2.DOSSIER_STEP_COMPLETION, {}),
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_RETURN, {}),
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_FEEDBACK, {"note": "chờ lâu"}),
        (commune, "H49.151", dossier_pb2.DOSSIER_STEP_SATISFACTION, {"grade": 3, "note": "tạm được"}),
    ])  # fmt: skip


def copied(gateway):
    """Every entry and checkpoint, by epochs."""
    epochs = {}
    for message in gateway.system("auditor").log.ReadEntries(lg.ReadEntriesRequest()):
        epoch = epochs.setdefault(message.first.epoch, Epoch([], []))
        assert message.first.index == len(epoch.leaves)
        epoch.leaves.extend(message.leaves)
        epoch.notes.extend(message.checkpoints)
    assert sorted(epochs) == list(range(1, len(epochs) + 1))
    return [epochs[number] for number in sorted(epochs)]


def receipt_file(gateway, epoch, index, folder):
    """As `vanthu log prove` writes it."""
    out = folder / f"{epoch}-{index}.tlog-proof"
    port = gateway.address.rsplit(":", 1)[1]
    pki = gateway.pki.folder
    caller = ["--server", f"https://localhost:{port}", "--ca", pki / "tls/ca.pem", "--cert", pki / "systems/auditor.pem"]
    vanthu("log", "prove", *caller, f"{epoch}/{index}", "-o", out)
    return out.read_bytes()


def evidence_file(gateway, **how):
    request = ev.GetEvidenceRequest(consignment_id=gateway.consignment, **how)
    return b"".join(message.chunk for message in gateway.system("auditor").evidence.GetEvidence(request))


# ── what holds ───────────────────────────────────────────────────────────────────────────────────


def test_the_log_of_a_gateway_holds(story, tmp_path):
    log = copied(story)
    assert len(log) > 2, "epochs are small here"
    ends = verify_log(log, story.key, [epoch.notes[0] for epoch in log])
    assert [end.size for end in ends] == [len(epoch.leaves) for epoch in log]
    verifier.save_log(log, tmp_path)
    assert verifier.load_log(tmp_path) == log
    # The program that people run.
    command = [sys.executable, Path(verifier.__file__), "log", tmp_path, story.pki.vkey]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("holds: epoch 1 with "), done
    (tmp_path / "2/entries/0").unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7 and done.stdout.startswith("does not hold: LOG_SHORT"), done


def test_every_entry_of_a_gateway_has_a_receipt_that_holds(story, tmp_path):
    for number, epoch in enumerate(copied(story), 1):
        for index in {0, len(epoch.leaves) // 2, len(epoch.leaves) - 1}:
            file = receipt_file(story, number, index, tmp_path)
            place, _ = verify_receipt(file, story.key)
            assert place == (number, index) and read_receipt(file).leaf == epoch.leaves[index]


def test_every_growth_of_a_gateway_is_proven(story):
    auditor = story.system("auditor")
    for number, epoch in enumerate(copied(story), 1):
        for old_note in epoch.notes:
            old, new = story.key.open(old_note), story.key.open(epoch.notes[-1])
            request = lg.GetConsistencyProofRequest(epoch=number, old_size=old.size, new_size=new.size)
            proof = list(auditor.log.GetConsistencyProof(request).proof)
            verify_growth(old_note, epoch.notes[-1], proof, story.key)
            if 0 < old.size < new.size:
                broken("CONSISTENCY", verify_growth, old_note, epoch.notes[-1], [*proof, proof[0]], story.key)
                broken("CONSISTENCY", verify_growth, old_note, epoch.notes[-1], proof[1:], story.key)


@pytest.mark.parametrize("how", [{}, {"include_parts": True}, {"recipient": "H49"}, {"recipient": "G22", "include_parts": True}], ids=str)
def test_the_evidence_of_a_gateway_holds(story, how):
    proven = verify_evidence(evidence_file(story, **how), story.key)
    events = [entry["event"] for entry in proven.values()]
    assert events[0] == "SubmissionAcceptance"
    assert events.count("ContentConsignment") == (1 if "recipient" in how else 3)


# ── forged receipts ──────────────────────────────────────────────────────────────────────────────


def with_line(start, change):
    """Changes the first line that begins so."""

    def forge(file, _):
        lines = file.split(b"\n")
        at = next(index for index, line in enumerate(lines) if line.startswith(start))
        lines[at : at + 1] = change(lines[at])
        return b"\n".join(lines)

    return forge


def leaf(change):
    def changed(line):
        before = base64.b64decode(line.removeprefix(b"extra "))
        after = change(before)
        assert before != after
        return [b"extra " + base64.b64encode(after)]

    return with_line(b"extra ", changed)


def path(change):
    def forge(file, other):
        head, blank, note = file.partition(b"\n\n")
        lines = head.split(b"\n")
        return b"\n".join([*lines[:3], *change(lines[3:], other.partition(b"\n\n")[0].split(b"\n")[3:])]) + blank + note

    return forge


RECEIPTS = {
    "an entry changed": (leaf(lambda it: it.replace(b"status 02", b"status 03")), "PROOF"),
    "an entry of nothing": (leaf(lambda _: b""), "PROOF"),
    "another index": (with_line(b"index ", lambda _: [b"index 4"]), "PROOF"),
    "an index behind the end": (with_line(b"index ", lambda _: [b"index 999999"]), "PROOF"),
    "an index with a zero before it": (with_line(b"index ", lambda it: [it.replace(b" ", b" 0")]), "RECEIPT_FORM"),
    "no index": (with_line(b"index ", lambda _: []), "RECEIPT_FORM"),
    "a hash too few": (path(lambda own, _: own[:-1]), "PROOF"),
    "a hash too many": (path(lambda own, _: [*own, own[0]]), "PROOF"),
    "hashes in another order": (path(lambda own, _: own[::-1]), "PROOF"),
    "the path of another entry": (path(lambda _, other: other), "PROOF"),
    "a hash of 31 bytes": (path(lambda own, _: [base64.b64encode(bytes(31)), *own[1:]]), "RECEIPT_FORM"),
    "65 hashes": (path(lambda own, _: own[:1] * 65), "RECEIPT_FORM"),
    "base64 in another spelling": (path(lambda own, _: [own[0].rstrip(b"="), *own[1:]]), "RECEIPT_FORM"),
    "another kind of file": (lambda file, _: file.replace(b"@v1", b"@v2"), "RECEIPT_FORM"),
    "no entry": (with_line(b"extra ", lambda _: []), "RECEIPT_FORM"),
    "no checkpoint": (lambda file, _: file.partition(b"\n\n")[0] + b"\n\n", "RECEIPT_FORM"),
    "another checkpoint": (
        lambda file, other: file.partition(b"\n\n")[0] + b"\n\n" + other.partition(b"\n\n")[2], "PROOF"
    ),
    "a larger tree": (lambda file, _: re.sub(rb"(?m)^([0-9]+)$", b"999", file, count=1), "CHECKPOINT_SIGNATURE"),
    "cut off": (lambda file, _: file[:-30], "CHECKPOINT_FORM"),
    "32 KiB and more": (lambda file, _: file + b"x" * 32_768, "RECEIPT_FORM"),
}  # fmt: skip


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_forged_receipt_does_not_hold(story, tmp_path, name):
    forge, code = RECEIPTS[name]
    place = next(
        (number, index)
        for number, epoch in enumerate(copied(story), 1)
        for index, leaf_ in enumerate(epoch.leaves)
        if b"event ConsignmentRejection\n" in leaf_
    )
    file = receipt_file(story, *place, tmp_path)
    other = receipt_file(story, 2, 9, tmp_path)
    verify_receipt(file, story.key)
    broken(code, verify_receipt, forge(file, other), story.key)


def test_a_receipt_of_another_gateway_does_not_hold(story, tmp_path):
    example = Key(blocks((Path(__file__).parents[2] / "src/log/FORMAT.md").read_text(), "vkey")[""].decode())
    broken("CHECKPOINT_ORIGIN", verify_receipt, receipt_file(story, 1, 0, tmp_path), example)
    [file] = blocks(EVIDENCE_FORMAT, "receipt").values()
    broken("CHECKPOINT_ORIGIN", verify_receipt, file, story.key)


# ── forged evidence ──────────────────────────────────────────────────────────────────────────────


def pack(files, order=None, extra=b"", method=0, gap=b"", between=b"", flags=0, tail=b""):
    """A zip archive written by hand."""
    body, directory = bytearray(), bytearray()
    for name in order or sorted(files, key=str.encode):
        content, raw = files[name], name.encode()
        fields = (flags, method, 0, 0x21, zlib.crc32(content), len(content), len(content), len(raw))
        directory += struct.pack("<IHH4HIIIH4HII", 0x02014B50, 20, 20, *fields[:4], *fields[4:], len(extra), 0, 0, 0, 0, len(body))
        directory += raw + extra
        body += struct.pack("<IH4HIIIHH", 0x04034B50, 20, *fields, len(extra)) + raw + extra + content + gap
    body += between
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + end + tail)


def listed(files):
    """With a manifest that lists what is there."""
    head = [line for line in files["manifest.txt"].split(b"\n") if line.startswith((b"vanthu", b"consignment", b"recipient"))]
    names = sorted(set(files) - {"manifest.txt"}, key=str.encode)
    lines = [f"{verifier.sha256(files[name]).hex()}  {name}".encode() for name in names]
    return files | {"manifest.txt": b"\n".join([*head, *lines, b""])}


def named(files, part):
    return sorted(name for name in files if name.startswith(part))


def changed(part, change, nth=0, manifest=True):
    """One file changed, and the manifest with it."""

    def forge(files):
        name = named(files, part)[nth]
        after = change(files[name])
        assert after != files[name]
        files = files | {name: after}
        return pack(listed(files) if manifest else files)

    return forge


def dropped(*parts):
    def forge(files):
        gone = {name for part in parts for name in named(files, part)}
        assert gone
        return pack(listed({name: content for name, content in files.items() if name not in gone}))

    return forge


def entry_dropped(event):
    """An entry and its proof left out."""

    def forge(files):
        name = next(name for name in named(files, "entries/") if f"event {event}\n".encode() in files[name])
        proof = name.replace("entries/", "proofs/").replace(".entry", ".tlog-proof")
        note_ = name.replace("entries/", "notes/").replace(".entry", ".txt")
        return pack(listed({path_: it for path_, it in files.items() if path_ not in (name, proof, note_)}))

    return forge


def exchanged(part):
    """The contents of two files exchanged."""

    def forge(files):
        one, other = named(files, part)[:2]
        return pack(listed(files | {one: files[other], other: files[one]}))

    return forge


def added(name, content=b"x", manifest=True):
    return lambda files: pack(listed(files | {name: content}) if manifest else files | {name: content})


def flip(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def deflated(files):
    return pack(files, method=8)


EVIDENCE = {
    "an entry changed": (changed("entries/", lambda it: it.replace(b"H49", b"H50", 1)), "PROOF"),
    "a file changed behind its manifest": (changed("entries/", flip, manifest=False), "FILE_CHANGED"),
    "the acceptance left out": (entry_dropped("SubmissionAcceptance"), "ACCEPTANCE"),
    "a recipient left out": (entry_dropped("ContentConsignment"), "CONSIGNMENT_UNKNOWN"),
    "an entry without proof": (lambda files: dropped(named(files, "proofs/")[0])(files), "PROOF_MISSING"),
    "a proof without entry": (lambda files: dropped(named(files, "entries/")[-1])(files), "PROOF_MISSING"),
    "proofs exchanged": (exchanged("proofs/"), "PROOF_SWAPPED"),
    "entries exchanged": (exchanged("entries/"), "PROOF"),
    "a proof cut short": (changed("proofs/", lambda it: re.sub(rb"\n[^\n]+\n\n", b"\n\n", it, count=1)), "PROOF"),
    "no checkpoint": (dropped("checkpoint-"), "CHECKPOINT_MISSING"),
    "a checkpoint changed": (changed("checkpoint-", lambda it: re.sub(rb"\n[0-9]+\n", b"\n7\n", it)), "CHECKPOINT_SIGNATURE"),
    "a checkpoint of another epoch": (exchanged("checkpoint-"), "CHECKPOINT_ORIGIN"),
    "a checkpoint too many": (added("checkpoint-77"), "CHECKPOINT_MISSING"),
    "another envelope": (changed("envelope.bin", flip), "ENVELOPE"),
    "no envelope": (dropped("envelope.bin"), "FILE_MISSING"),
    "another report": (changed("reports/", flip), "REPORT"),
    "no report": (dropped("reports/"), "FILE_MISSING"),
    "a part changed": (changed("parts/", flip), "PART"),
    "a part at another place": (exchanged("parts/"), "PART"),
    "a part that is not listed": (added("parts/009-x.pdf"), "PART"),
    "a note changed": (changed("notes/", flip), "NOTE"),
    "a note of another entry": (exchanged("notes/"), "NOTE"),
    "a certificate changed": (changed("certificates/", flip), "DIGEST"),
    "evidence XML of another entry": (exchanged("erds/"), "ERDS"),
    "evidence XML of no entry": (added("erds/9-9.xml"), "ERDS"),
    "evidence XML without its receipt": (changed("erds/", lambda it: it.replace(b"Receipt", b"Recipe")), "ERDS"),
    "a time-stamp without its checkpoint": (added("timestamps/1-1.tst"), "FILE_MISSING"),
    "another key": (changed("log.vkey", lambda it: it.replace(b"gate", b"gait") if b"gate" in it else b"x" + it), "VKEY"),
    "no manifest": (lambda files: pack({name: it for name, it in files.items() if name != "manifest.txt"}), "FILE_MISSING"),
    "a file that the manifest does not list": (added("parts/003-x", manifest=False), "FILE_UNLISTED"),
    "a file that has no place here": (added("more.txt"), "FILE_UNKNOWN"),
    "a file that is listed and missing": (
        lambda files: pack({name: it for name, it in files.items() if name != "README.txt"}), "FILE_MISSING"
    ),
    "the evidence of another consignment": (
        lambda files: pack(listed(files | {"manifest.txt": re.sub(rb"(?m)^consignment .*$", b"consignment 019ab2c3-7d2b-7000-8000-000000000001", files["manifest.txt"])})),
        "CONSIGNMENT_OTHER",
    ),
    "narrowed to one, with all": (
        lambda files: pack(listed(files | {"manifest.txt": re.sub(rb"(?m)^(consignment .*)$", rb"\1\nrecipient H49", files["manifest.txt"])})),
        "RECIPIENT_OTHER",
    ),
    "a manifest in another order": (
        lambda files: pack(files | {"manifest.txt": b"\n".join([*files["manifest.txt"].split(b"\n")[:2], *files["manifest.txt"].split(b"\n")[-2:1:-1], b""])}),
        "MANIFEST",
    ),
    "another version": (changed("manifest.txt", lambda it: it.replace(b".v1", b".v2"), manifest=False), "MANIFEST"),
    "bytes behind the archive": (lambda files: pack(files, tail=b"x"), "ARCHIVE_FORM"),
    "bytes before the directory": (lambda files: pack(files, between=b"x"), "ARCHIVE_FORM"),
    "bytes between files": (lambda files: pack(files, gap=b"x"), "ARCHIVE_FORM"),
    "extra fields": (lambda files: pack(files, extra=b"\x01\x00\x00\x00"), "ARCHIVE_FORM"),
    "files in another order": (lambda files: pack(files, order=sorted(files, reverse=True)), "ARCHIVE_FORM"),
    "another method": (deflated, "ARCHIVE_FORM"),
    "encrypted, as it says": (lambda files: pack(files, flags=1), "ARCHIVE_FORM"),
    "a data descriptor": (lambda files: pack(files, flags=8), "ARCHIVE_FORM"),
    "a checksum of something else": (lambda files: pack(files).replace(files["README.txt"], flip(files["README.txt"]), 1), "ARCHIVE_FORM"),
    "cut off": (lambda files: pack(files)[:-1], "ARCHIVE_FORM"),
    "nothing": (lambda files: b"", "ARCHIVE_FORM"),
}  # fmt: skip


@pytest.fixture(scope="module")
def evidence(story):
    return evidence_file(story, include_parts=True)


def test_packed_again_the_evidence_is_the_same(story, evidence):
    files = read_archive(evidence)
    verify_evidence(pack(listed(files)), story.key)
    assert listed(files) == files


@pytest.mark.parametrize("name", EVIDENCE)
def test_forged_evidence_does_not_hold(story, evidence, name):
    forge, code = EVIDENCE[name]
    broken(code, verify_evidence, forge(read_archive(evidence)), story.key)


def test_evidence_narrowed_to_one_recipient_is_about_no_other(story):
    files = read_archive(evidence_file(story, recipient="H49"))
    other = re.sub(rb"(?m)^recipient .*$", b"recipient G22", files["manifest.txt"])
    broken("RECIPIENT_OTHER", verify_evidence, pack(listed(files | {"manifest.txt": other})), story.key)
    broken("RECIPIENT_MISSING", verify_evidence, entry_dropped_with_answers(files), story.key)


def entry_dropped_with_answers(files):
    """Narrowed evidence with nothing but the acceptance."""
    keep = {name for name in files if not name.startswith(("entries/", "proofs/", "notes/", "checkpoint-"))}
    name = next(name for name in named(files, "entries/") if b"event SubmissionAcceptance\n" in files[name])
    proof = name.replace("entries/", "proofs/").replace(".entry", ".tlog-proof")
    epoch = name.removeprefix("entries/").partition("-")[0]
    return pack(listed({path_: files[path_] for path_ in (*keep, name, proof, f"checkpoint-{epoch}")}))


def test_an_operators_key_of_another_country_opens_nothing(story, evidence, rsa_vkey="gate.example+f36dc2dd+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"):
    broken("VKEY", verify_evidence, evidence, Key(rsa_vkey))


def test_a_receipt_over_the_wire_is_the_one_on_disk(story, tmp_path):
    wire = story.sent.receipt
    assert isinstance(wire, receipt_pb2.Receipt)
    file = read_receipt(receipt_file(story, wire.entry_id.epoch, wire.entry_id.index, tmp_path))
    assert (file.leaf, file.path, file.note) == (wire.leaf, list(wire.inclusion_path), wire.checkpoint)
