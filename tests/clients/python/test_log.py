"""The log from outside: receipts, proofs, checkpoints, traces and evidence."""

import pytest
from gateway import vanthu, vanthu_json
from grpc import StatusCode as Code
from mail import acknowledge, refuse, report
from papers import Letter, official
from proofs import LogKey, check_consistency, check_inclusion, check_receipt, leaf_hash, read_entry, root_of
from refusals import refused
from vanthu.v1 import delivery_pb2
from vanthu.v1 import evidence_service_pb2 as ev
from vanthu.v1 import log_service_pb2 as lg
from vanthu.v1 import receipt_pb2
from vanthu.v1 import trace_service_pb2 as tr


def entries_of(system, **term):
    """All entries of a trace, every page."""
    found, token = [], ""
    while True:
        page = system.trace.Trace(tr.TraceRequest(page_token=token, page_size=3, **term))
        found += page.entries
        token = page.next_page_token
        if not token:
            return found


def events(found):
    return [read_entry(entry.leaf)["event"] for entry in found]


def checkpoint(system, key):
    answer = system.log.GetCheckpoint(lg.GetCheckpointRequest())
    opened = key.open(answer.checkpoint)
    assert (opened.epoch, opened.size) == (answer.epoch, answer.size)
    return opened


def evidence(system, consignment, **how):
    request = ev.GetEvidenceRequest(consignment_id=consignment, **how)
    return b"".join(message.chunk for message in system.evidence.GetEvidence(request))


@pytest.fixture(scope="module")
def story(pki, start):
    """A gateway with a history: one document to three agencies, answered in three ways."""
    gateway = start(pki)
    commune, province, portal = (gateway.system(name) for name in ("commune", "province", "portal"))
    letter = Letter(
        "H49.151",
        ["H49", "H49.11", "G22"],
        content=official(pki, "H49.151"),
        number="12",
        notation="UBND-VP",
        document_id="H49.151,2026,12",
        dossier_code="H49.151-20261122-0012",
    )
    gateway.letter = letter
    gateway.sent = letter.send(commune)
    gateway.consignment = gateway.sent.consignment_id
    gateway.taken = acknowledge(province, "H49", gateway.consignment)
    refuse(portal, "G22", gateway.consignment, "không thuộc thẩm quyền")
    report(province, "H49", gateway.consignment, delivery_pb2.BUSINESS_STATUS_IN_PROGRESS, "đang xem")
    for index in range(20):
        Letter("H49.152", ["H49.11.3"], subject=f"văn bản {index}").send(commune)
    yield gateway
    gateway.stop()


def test_an_empty_log_has_no_checkpoint(gateway):
    with refused(Code.NOT_FOUND, "ENTRY_UNKNOWN"):
        gateway.system("auditor").log.GetCheckpoint(lg.GetCheckpointRequest())
    [page] = gateway.system("auditor").log.ReadEntries(lg.ReadEntriesRequest())
    [leaf] = page.leaves
    assert read_entry(leaf)["event"] == "read", "to look into it is its first entry"


def test_an_auditor_rebuilds_the_tree_from_the_entries(story):
    key = LogKey(story.pki.vkey)
    auditor = story.system("auditor")
    leaves, checked = [], 0
    for message in auditor.log.ReadEntries(lg.ReadEntriesRequest()):
        assert (message.first.epoch, message.first.index) == (1, len(leaves))
        leaves += message.leaves
        for note in message.checkpoints:
            signed = key.open(note)
            assert checked < signed.size <= len(leaves)
            assert root_of([leaf_hash(leaf) for leaf in leaves[: signed.size]]) == signed.root
            checked = signed.size
    head = checkpoint(auditor, key)
    assert checked == len(leaves) == head.size == story.size()
    assert root_of([leaf_hash(leaf) for leaf in leaves]) == head.root
    times = [read_entry(leaf)["time"] for leaf in leaves]
    assert times == sorted(times)


@pytest.mark.parametrize("first, count", [(0, 1), (5, 7), (44, 0), (10_000, 0), (2**64 - 1, 0)])
def test_entries_are_read_from_anywhere(story, first, count):
    auditor = story.system("auditor")
    from_ = receipt_pb2.EntryId(epoch=1, index=first)
    request = lg.ReadEntriesRequest(max_entries=count, **{"from": from_})
    leaves = [leaf for message in auditor.log.ReadEntries(request) for leaf in message.leaves]
    left = max(0, story.size() - first)
    assert len(leaves) == (min(count, left) if count else left)


def test_receipts_hold_with_the_public_key_alone(story):
    key = LogKey(story.pki.vkey)
    auditor = story.system("auditor")
    for index in range(story.size()):
        request = lg.GetReceiptRequest(entry_id=receipt_pb2.EntryId(epoch=1, index=index))
        receipt = auditor.log.GetReceipt(request).receipt
        assert receipt.entry_id.index == index
        check_receipt(receipt, key)
    first = lg.GetReceiptRequest(entry_id=story.sent.receipt.entry_id)
    assert story.system("commune").log.GetReceipt(first).receipt == story.sent.receipt


def test_a_forged_receipt_does_not_hold(story):
    key = LogKey(story.pki.vkey)
    good = story.taken.receipt
    check_receipt(good, key)
    for field, change in [
        ("leaf", good.leaf.replace(b"status 03", b"status 02")),
        ("checkpoint", good.checkpoint.replace(b"/log/1", b"/log/2")),
        ("checkpoint", good.checkpoint[:-8] + b"AAAAAA=\n"),
    ]:
        forged = receipt_pb2.Receipt()
        forged.CopyFrom(good)
        setattr(forged, field, change)
        with pytest.raises((AssertionError, ValueError)):
            check_receipt(forged, key)


def test_any_two_checkpoints_are_consistent(story):
    key = LogKey(story.pki.vkey)
    commune, auditor = story.system("commune"), story.system("auditor")
    notes = [note for message in auditor.log.ReadEntries(lg.ReadEntriesRequest()) for note in message.checkpoints]
    known = [key.open(note) for note in notes]
    for newer in known[:: max(1, len(known) // 6)] + known[-1:]:
        for older in (one for one in known if one.size <= newer.size):
            request = lg.GetConsistencyProofRequest(epoch=1, old_size=older.size, new_size=newer.size)
            check_consistency(older, newer, commune.log.GetConsistencyProof(request).proof)
    empty = lg.GetConsistencyProofRequest(old_size=0, new_size=known[-1].size)
    assert not commune.log.GetConsistencyProof(empty).proof
    entry = receipt_pb2.EntryId(epoch=1, index=0)
    receipt = auditor.log.GetReceipt(lg.GetReceiptRequest(entry_id=entry)).receipt
    check_inclusion(receipt.leaf, 0, list(receipt.inclusion_path), key.open(receipt.checkpoint))


WHOLE = ["SubmissionAcceptance"] + ["ContentConsignment"] * 3
WHOLE += ["ContentHandover", "ConsignmentRejection", "status"]


@pytest.mark.parametrize(
    "term, expected",
    [
        ("consignment_id", WHOLE),
        ("dossier_code", WHOLE),
        ("document_id", WHOLE[:1]),
        ("number", WHOLE[:1]),
        ("envelope_sha256", WHOLE[:1]),
    ],
)
def test_a_document_is_found_by_everything_that_is_known_of_it(story, term, expected):
    values = {
        "consignment_id": story.consignment,
        "dossier_code": "H49.151-20261122-0012",
        "document_id": "H49.151,2026,12",
        "number": "12/UBND-VP",
        "envelope_sha256": story.letter.digest,
    }
    for name in ("auditor", "commune"):
        found = entries_of(story.system(name), **{term: values[term]})
        assert events(found) == expected
        assert found == sorted(found, key=lambda entry: entry.entry_id.index)
    page = story.system("auditor").trace.Trace(tr.TraceRequest(**{term: values[term]}))
    assert LogKey(story.pki.vkey).open(page.checkpoint).size == story.size()


def test_a_recipient_traces_its_own_part_of_the_story(story):
    found = entries_of(story.system("portal"), consignment_id=story.consignment)
    assert events(found) == ["SubmissionAcceptance", "ContentConsignment", "ConsignmentRejection"]
    assert {read_entry(entry.leaf).get("to", "G22") for entry in found} == {"G22"}
    for term in ({"consignment_id": story.consignment}, {"number": "12/UBND-VP"}):
        with refused(Code.NOT_FOUND, "NOTHING_FOUND", "term"):
            story.system("district").trace.Trace(tr.TraceRequest(**term))


@pytest.fixture(scope="module")
def crowd(pki, start, tmp_path_factory):
    """A country with 700 more agencies; the last of them is the commune's."""
    country = pki.copy(tmp_path_factory.mktemp("crowd") / "pki")
    with open(country.folder / "directory.toml", "a", encoding="utf-8") as directory:
        for number in range(9000, 9700):
            host = "commune" if number == 9699 else "district"
            directory.write(
                f'\n[[agency]]\ncode = "H49.{number}"\nname = "Đơn vị {number}"\nlevel = 2\n'
                f'parent = "H49"\nkind = "state"\nvalid_from = "2025-07-01"\nhost = "{host}"\n'
            )
    gateway = start(country)
    yield gateway
    gateway.stop()


def test_a_recipient_far_down_a_long_list_finds_itself(crowd):
    dossier = "H49-20261122-0001"
    letter = Letter("H49", [], recipients_below=["H49"], dossier_code=dossier)
    sent = letter.send(crowd.system("province"))
    assert sent.recipient_count == 704
    for term in ({"consignment_id": sent.consignment_id}, {"dossier_code": dossier}):
        found = entries_of(crowd.system("commune"), **term)
        named = [read_entry(entry.leaf).get("to") for entry in found]
        assert named == [None, "H49.151", "H49.152", "H49.9699"], term
    commune, seen, token = crowd.system("commune"), [], ""
    while True:
        request = tr.ListDeliveriesRequest(consignment_id=sent.consignment_id, page_token=token)
        page = commune.trace.ListDeliveries(request)
        seen += [one.recipient for one in page.deliveries]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["H49.151", "H49.152", "H49.9699"]
    with refused(Code.NOT_FOUND, "CONSIGNMENT_UNKNOWN", "consignment_id"):
        request = tr.ListDeliveriesRequest(consignment_id=sent.consignment_id)
        crowd.system("portal").trace.ListDeliveries(request)


def test_a_number_that_many_use_is_found_by_each_of_its_users(crowd):
    for _ in range(510):
        Letter("H49", ["H49.11"], content=b"x", number="1", notation="QĐ").send(crowd.system("province"))
    own = Letter("H49.151", ["H49"], number="1", notation="QĐ").send(crowd.system("commune"))
    [found] = entries_of(crowd.system("commune"), number="1/QĐ")
    assert found.entry_id == own.receipt.entry_id


def test_evidence_verifies_with_nothing_but_the_public_key(story, tmp_path):
    vkey = story.pki.folder / "log.vkey"
    askers = [("auditor", {}), ("commune", {}), ("portal", {"recipient": "G22"}), ("auditor", {"include_parts": True})]
    for index, (name, how) in enumerate(askers):
        path = tmp_path / f"{index}.evidence.zip"
        path.write_bytes(evidence(story.system(name), story.consignment, **how))
        told = vanthu("evidence", "verify", path, "--key", vkey)
        assert story.consignment in told
    changed = bytearray(path.read_bytes())
    at = changed.index(b"event SubmissionAcceptance")
    changed[at + 6 : at + 16] = b"Submissiun"
    path.write_bytes(changed)
    vanthu("evidence", "verify", path, "--key", vkey, code=7)


def test_evidence_under_another_key_does_not_verify(story, rsa_pki, tmp_path):
    path = tmp_path / "some.evidence.zip"
    path.write_bytes(evidence(story.system("auditor"), story.consignment))
    vanthu("evidence", "verify", path, "--key", rsa_pki.folder / "log.vkey", code=7)


def test_evidence_is_given_to_parties_and_auditors_only(story):
    for recipient in ("", "G22", "H49.11.3"):
        with refused(Code.NOT_FOUND, "CONSIGNMENT_UNKNOWN", "consignment_id"):
            evidence(story.system("district"), story.consignment, recipient=recipient)
    with refused(Code.PERMISSION_DENIED, "NOT_A_PARTY", "recipient"):
        evidence(story.system("portal"), story.consignment)
    with refused(Code.PERMISSION_DENIED, "NOT_A_PARTY", "recipient"):
        evidence(story.system("portal"), story.consignment, recipient="H49")
    with refused(Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        evidence(story.system("operator"), story.consignment)
    with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipient"):
        evidence(story.system("auditor"), story.consignment, recipient="H49.152")


def test_the_whole_log_stands_up_to_an_audit(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    sent = Letter("H49.151", [], recipients_below=["H49"]).send(commune)
    acknowledge(province, "H49.11", sent.consignment_id)
    with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]"):
        Letter("H49.151", ["X1"]).send(commune)
    gateway.restart()
    refuse(gateway.system("district"), "H49.11.3", sent.consignment_id, "sai")
    size = gateway.size()
    gateway.stop()
    vkey, data = gateway.pki.folder / "log.vkey", gateway.folder / "data"
    told = vanthu_json("log", "audit", "--key", vkey, "--data", data)
    assert size == 7 and str(size) in str(told), told
