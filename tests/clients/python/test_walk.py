"""A document walks through the gateway: sent, routed, received, answered, and proven."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from gateway import UNATTENDED
from grpc import StatusCode as Code
from mail import acknowledge, document, fetch, is_uuid, next_event, refuse, report, waiting, watching
from papers import Letter, pdf, upload
from proofs import LogKey, check_receipt
from refusals import refused
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import submission_service_pb2 as sub
from vanthu.v1 import trace_service_pb2 as tr


def announce(system, letter):
    return system.submission.Announce(sub.AnnounceRequest(envelope=letter.envelope))


def submit(system, letter, **changes):
    fields = {"request_id": letter.request_id, "envelope": letter.envelope} | changes
    return system.submission.Submit(sub.SubmitRequest(**fields)).result


def deliveries(system, consignment):
    """Every delivery of a consignment by its recipient."""
    request = tr.ListDeliveriesRequest(consignment_id=consignment)
    return {one.recipient: one for one in system.trace.ListDeliveries(request).deliveries}


def test_a_document_in_parts_walks_from_the_commune_to_the_province(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    key = LogKey(gateway.pki.vkey)
    plan = b"%PDF-1.4 a plan of the land " + bytes(range(256)) * 3000
    letter = Letter("H49.151", ["H49"], annexes=[plan], number="12", notation="UBND-VP")

    announced = announce(commune, letter)
    assert announced.recipient_count == 1
    assert [(one.name, one.size, one.offset) for one in announced.missing] == [
        ("cong-van.pdf", len(letter.parts[0]), 0),
        ("phu-luc-1.pdf", len(plan), 0),
    ]
    for content, missing in zip(letter.parts, announced.missing):
        assert missing.sha256 == Letter(content=content).fields.parts[0].sha256
        assert commune.submission.Upload(upload(content)).size == len(content)
    assert not announce(commune, letter).missing
    assert gateway.size() == 0, "announcing and uploading write nothing"

    with gateway.writes(2):
        result = submit(commune, letter)
    assert is_uuid(result.consignment_id) and not result.repeated and not result.warnings
    assert result.recipient_count == 1
    accepted = check_receipt(result.receipt, key)
    assert accepted["event"] == "SubmissionAcceptance"
    assert accepted["actor"].startswith("commune ")
    assert accepted["consignment"] == result.consignment_id
    assert accepted["envelope"] == letter.digest.hex()
    assert accepted["number"] == "12/UBND-VP"

    with watching(province, "H49") as stream:
        item, _ = next_event(stream, "item")
        assert (item.consignment_id, item.sender) == (result.consignment_id, "H49.151")
        assert (item.number, item.attempt) == ("12/UBND-VP", 1)
        assert item.lease_expire_time.seconds > item.accept_time.seconds
        received = document(province, "H49", item.consignment_id)
        assert received.envelope == letter.envelope, "byte for byte"
        assert received.receipt == result.receipt
        assert received.delivery.transport == delivery_pb2.TRANSPORT_CONSIGNED
        assert received.delivery.consigned_entry == item.entry_id
        for listed, content in zip(letter.fields.parts, letter.parts):
            assert fetch(province, "H49", item.consignment_id, listed.name) == content
        with gateway.writes(1):
            taken = acknowledge(province, "H49", item.consignment_id, item.lease_token)
    handover = check_receipt(taken.receipt, key)
    assert (handover["event"], handover["to"], handover["status"]) == ("ContentHandover", "H49", "03")
    assert waiting(province, "H49") == []

    with watching(commune, "H49.151") as stream:
        notice, _ = next_event(stream, "notice")
    assert notice.leaf == taken.receipt.leaf and notice.entry_id == taken.receipt.entry_id
    assert (notice.recipient, notice.status) == ("H49", delivery_pb2.BUSINESS_STATUS_ACCEPTED)
    state = deliveries(commune, result.consignment_id)["H49"]
    assert state.transport == delivery_pb2.TRANSPORT_HANDED_OVER
    assert state.business_status == delivery_pb2.BUSINESS_STATUS_ACCEPTED


def test_an_interrupted_upload_resumes_where_it_stopped(gateway):
    commune = gateway.system("commune")
    plan = b"a plan " * 40_000
    letter = Letter(annexes=[plan])
    commune.submission.Upload(upload(letter.parts[0]))

    def first_half():
        messages = upload(plan, chunk_size=1000)
        yield from (next(messages) for _ in range(1 + 120))

    with refused(Code.DATA_LOSS, "SIZE_MISMATCH", "chunk", received=120_000):
        commune.submission.Upload(first_half())
    [missing] = announce(commune, letter).missing
    assert (missing.name, missing.offset) == ("phu-luc-1.pdf", 120_000)
    with refused(Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE", "parts[1]", offset=120_000):
        submit(commune, letter)
    assert commune.submission.Upload(upload(plan, offset=120_000)).size == len(plan)
    assert not announce(commune, letter).missing
    result = submit(commune, letter)
    assert fetch(commune, "H49.151", result.consignment_id, "phu-luc-1.pdf") == plan


def test_a_document_uploaded_by_one_system_is_not_complete_for_another(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    letter = Letter("H49.151", ["G22"])
    commune.submission.Upload(upload(letter.parts[0]))
    stolen = Letter("H49", ["G22"], content=letter.parts[0])
    assert len(announce(province, stolen).missing) == 1
    with refused(Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE", "parts[0]"):
        submit(province, stolen)


def test_the_same_request_always_gets_the_first_receipt(gateway):
    commune = gateway.system("commune")
    letter = Letter()
    first = letter.send(commune)
    Letter().send(commune)
    gateway.restart()
    commune = gateway.system("commune")
    with gateway.writes(0):
        again = letter.send(commune)
        by_submit = submit(commune, letter)
    for repeated in (again, by_submit):
        assert repeated.repeated and not repeated.HasField("verdict")
        assert repeated.consignment_id == first.consignment_id
        assert repeated.receipt.SerializeToString() == first.receipt.SerializeToString()
        assert repeated.recipient_count == 1
    assert not first.repeated and first.HasField("verdict")


def test_a_request_id_is_not_taken_by_other_bytes_nor_by_another_sender(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    letter = Letter("H49.151", ["G22"])
    first = letter.send(commune)
    other = Letter("H49.151", ["G22"])
    other.request_id = letter.request_id
    with gateway.writes(0):
        with refused(Code.ALREADY_EXISTS, "REQUEST_ID_REUSED", "request_id") as refusal:
            other.send(commune)
    entry = first.receipt.entry_id
    assert refusal.metadata["first_entry"] == f"{entry.epoch}/{entry.index}"
    assert refusal.metadata["first_envelope"] == letter.digest.hex()
    unrelated = Letter("H49", ["G22"])
    unrelated.request_id = letter.request_id
    assert not unrelated.send(province).repeated, "the id belongs to the sender"


def test_a_validated_document_is_judged_and_leaves_no_trace(gateway):
    commune, auditor = gateway.system("commune"), gateway.system("auditor")
    letter = Letter("H49.151", ["H49", "G22"])
    with gateway.writes(0):
        result = letter.send(commune, validate_only=True)
        with refused(Code.NOT_FOUND, "RECIPIENT_UNKNOWN", "recipients[0]", code="X99"):
            Letter("H49.151", ["X99"]).send(commune, validate_only=True)
    assert (result.consignment_id, result.HasField("receipt")) == ("", False)
    assert result.verdict.legal_value == "INFORMATION_ONLY" and result.recipient_count == 2
    with refused(Code.NOT_FOUND, "NOTHING_FOUND", "term"):
        auditor.trace.Trace(tr.TraceRequest(envelope_sha256=letter.digest))
    assert not letter.send(commune).repeated, "its request id is still free"


def test_the_clerk_is_warned_of_a_document_that_was_sent_before(gateway):
    commune = gateway.system("commune")
    first = Letter(number="7", notation="UBND", document_id="H49.151,7").send(commune)
    second = Letter(number="7", notation="UBND", document_id="H49.151,7").send(commune)
    assert not first.warnings and not second.repeated
    assert {(one.code, one.entry_id.index) for one in second.warnings} == {
        ("DOCUMENT_ID_SEEN", first.receipt.entry_id.index),
        ("NUMBER_SEEN", first.receipt.entry_id.index),
    }


def test_a_group_reaches_every_open_agency_below_and_not_the_sender(gateway):
    province = gateway.system("province")
    letter = Letter("H49", [], recipients_below=["H49"])
    assert announce(province, letter).recipient_count == 4
    with gateway.writes(5):
        result = letter.send(province)
    assert result.recipient_count == 4
    assert list(deliveries(province, result.consignment_id)) == [
        "H49.11", "H49.11.3", "H49.151", "H49.152",
    ]  # fmt: skip
    accepted = check_receipt(result.receipt, LogKey(gateway.pki.vkey))
    assert accepted["recipients"].startswith("4 ")
    from_within = Letter("H49.11", ["H49"], recipients_below=["H49", "H49.11"]).send(province)
    assert list(deliveries(province, from_within.consignment_id)) == [
        "H49", "H49.11.3", "H49.151", "H49.152",
    ]  # fmt: skip


def test_codes_in_the_old_notation_reach_the_same_agency(gateway):
    province, portal = gateway.system("province"), gateway.system("portal")
    result = Letter("000.00.00.H49", ["000.00.00.G22"]).send(province)
    assert check_receipt(result.receipt, LogKey(gateway.pki.vkey))["from"] == "H49"
    [item] = waiting(portal, "000.00.00.G22")
    assert (item.consignment_id, item.sender) == (result.consignment_id, "H49")


def test_a_dossier_walks_from_the_portal_to_the_department_and_back(gateway):
    systems = {name: gateway.system(name) for name in ("portal", "commune", "district", "auditor")}
    dossier = "H49.151-20261122-0001"

    def hand_on(sender, host, recipient, receiving, subject):
        letter = Letter(sender, [recipient], subject=subject, dossier_code=dossier, procedure_code="1.004199")
        sent = letter.send(systems[host])
        with watching(systems[receiving], recipient) as stream:
            item, _ = next_event(stream, "item")
            assert (item.consignment_id, item.dossier_code) == (sent.consignment_id, dossier)
            acknowledge(systems[receiving], recipient, item.consignment_id, item.lease_token)
        return sent.consignment_id

    application = hand_on("G22.DVC", "portal", "H49.151", "commune", "Hồ sơ cấp giấy chứng nhận")
    passed_on = hand_on("H49.151", "commune", "H49.11.3", "district", "Phiếu chuyển hồ sơ")
    for status in ("ASSIGNED", "IN_PROGRESS", "FINISHED"):
        value = delivery_pb2.BusinessStatus.Value(f"BUSINESS_STATUS_{status}")
        report(systems["district"], "H49.11.3", passed_on, value)
    result = hand_on("H49.11.3", "district", "G22.DVC", "portal", "Kết quả giải quyết")
    report(systems["commune"], "H49.151", application, delivery_pb2.BUSINESS_STATUS_FINISHED)

    request = tr.TraceRequest(dossier_code=dossier)
    everything = [entry.leaf for entry in systems["auditor"].trace.Trace(request).entries]
    told = [leaf for leaf in everything if not UNATTENDED.search(leaf)]
    story = [b"SubmissionAcceptance", b"ContentConsignment", b"ContentHandover"]
    expected = story * 2 + [b"status"] * 3 + story + [b"status"]
    assert [leaf.split(b"\n")[1].split(b" ")[1] for leaf in told] == expected
    seen = [entry.leaf for entry in systems["portal"].trace.Trace(request).entries]
    for leaf in everything:
        about_the_portal = any(one.encode() in leaf for one in (application, result))
        assert (leaf in seen) == about_the_portal, leaf


def test_fifty_parts_fit_and_come_back_whole(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    letter = Letter(annexes=[f"annex {index}".encode() for index in range(49)])
    result = letter.send(commune)
    for listed, content in zip(letter.fields.parts, letter.parts):
        assert fetch(province, "H49", result.consignment_id, listed.name) == content


def test_every_field_at_its_limit_is_accepted(gateway):
    link = envelope_pb2.DocumentLink(document_id="đ" * 100, issuer="H49")
    letter = Letter(
        "H49.151",
        ["H49"],
        content=pdf("limits"),
        document_id="đ" * 100,
        number="1" * 11,
        notation="Đ" * 30,
        type_name="ô" * 100,
        type_code=2**32 - 1,
        subject="ữ" * 500,
        place="ạ" * 50,
        signer=envelope_pb2.Signer(competence="K" * 100, position="ủ" * 100, full_name="ễ" * 50),
        procedure_code="ợ" * 50,
        replies_to=[link] * 32,
        replaces=[link] * 32,
    )
    letter.fields.parts[0].name = "ề" * 200
    letter.fields.parts[0].media_type = "x" * 127
    result = letter.send(gateway.system("commune"))
    assert fetch(gateway.system("province"), "H49", result.consignment_id, "ề" * 200) == letter.parts[0]


@pytest.mark.parametrize("urgency", ["NORMAL", "URGENT", "IMMEDIATE", "FLASH"])
def test_the_urgency_stands_in_the_log_and_in_the_mailbox(gateway, urgency):
    value = envelope_pb2.Urgency.Value(f"URGENCY_{urgency}")
    result = Letter(urgency=value).send(gateway.system("commune"))
    assert check_receipt(result.receipt, LogKey(gateway.pki.vkey))["urgency"] == urgency.lower()
    [item] = waiting(gateway.system("province"), "H49")
    assert item.urgency == value


def test_request_ids_are_kept_for_ever_and_apart(gateway):
    commune = gateway.system("commune")
    letters = [Letter() for _ in range(20)]
    firsts = [letter.send(commune) for letter in letters]
    assert len({first.consignment_id for first in firsts}) == 20
    for letter, first in zip(letters, firsts):
        assert letter.send(commune).receipt == first.receipt
    assert all(uuid.UUID(first.consignment_id).version == 7 for first in firsts)


def test_one_request_from_many_connections_at_once_is_accepted_once(gateway):
    letter = Letter()
    desks = [gateway.connect("commune") for _ in range(8)]
    with gateway.writes(2), ThreadPoolExecutor(len(desks)) as pool:
        results = list(pool.map(letter.send, desks))
    assert sum(not result.repeated for result in results) == 1
    assert len({result.receipt.SerializeToString() for result in results}) == 1


def test_of_two_answers_at_once_one_is_recorded(gateway):
    sent = Letter().send(gateway.system("commune")).consignment_id

    def answer(number):
        desk = gateway.connect("province")
        try:
            if number % 2:
                return acknowledge(desk, "H49", sent).receipt.leaf
            return refuse(desk, "H49", sent, "trả lại").receipt.leaf
        except grpc.RpcError as error:
            assert error.code() == Code.FAILED_PRECONDITION
            return None

    with gateway.writes(1), ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(answer, range(8))) - {None}
    assert len(answers) == 1
