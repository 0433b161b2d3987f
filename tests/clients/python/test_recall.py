"""Documents that their sender asks to have back, or exchanges for another."""

import uuid

import pytest
from gateway import vanthu
from grpc import StatusCode as Code
from mail import acknowledge, document, fetch, next_event, refuse, report, waiting, watching
from papers import Letter
from proofs import LogKey, check_receipt
from refusals import refused
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import evidence_service_pb2 as ev
from vanthu.v1 import mailbox_service_pb2 as box
from vanthu.v1 import submission_service_pb2 as sub

RECALL, UPDATE, REPLACE = (
    delivery_pb2.OrderKind.Value(f"ORDER_KIND_{one}") for one in ("RECALL", "UPDATE", "REPLACE")
)
AGREED, DECLINED = delivery_pb2.BUSINESS_STATUS_AGREED, delivery_pb2.BUSINESS_STATUS_DECLINED
STATE, INVALID, MISSING = Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.NOT_FOUND
WHY = "sai nội dung"
NOBODYS = str(uuid.UUID(int=7))


def send(gateway, *to):
    return Letter("H49.151", list(to) or ["H49"]).send(gateway.system("commune")).consignment_id


def order(gateway, consignment, kind=RECALL, system="commune", **fields):
    request = {"sender": "H49.151", "consignment_id": consignment, "kind": kind, "reason": WHY}
    return gateway.system(system).submission.Order(sub.OrderRequest(**{**request, **fields}))


def reply(gateway, consignment, answer=AGREED, note="", agency="H49", system="province"):
    request = box.AnswerOrderRequest(agency=agency, consignment_id=consignment, answer=answer, note=note)
    return gateway.system(system).mailbox.AnswerOrder(request)


def main_part(gateway, consignment):
    got = document(gateway.system("province"), "H49", consignment)
    return envelope_pb2.Envelope.FromString(got.envelope).parts[0].name


def test_what_was_not_taken_is_back_at_once(gateway):
    province = gateway.system("province")
    sent = send(gateway)
    part = main_part(gateway, sent)
    with gateway.writes(2):
        ordered = order(gateway, sent)
    check_receipt(ordered.receipt, LogKey(gateway.pki.vkey))
    (state,) = ordered.deliveries
    assert state.transport == delivery_pb2.TRANSPORT_WITHDRAWN
    assert state.order.kind == RECALL and state.order.agreed
    assert waiting(province, "H49") == []
    with gateway.writes(0):
        with refused(STATE, "DOCUMENT_WITHDRAWN"):
            acknowledge(province, "H49", sent)
        with refused(STATE, "DOCUMENT_WITHDRAWN"):
            refuse(province, "H49", sent, "nhầm")
        with refused(STATE, "DOCUMENT_WITHDRAWN"):
            fetch(province, "H49", sent, part)
        with refused(STATE, "ORDER_UNKNOWN", "consignment_id"):
            reply(gateway, sent)
        assert order(gateway, sent).repeated
    # What is known of the recall stays with both (NĐ 30/2020 Annex VI).
    assert document(province, "H49", sent).delivery.order.agreed


def test_what_was_taken_only_its_recipient_gives_back(gateway):
    province, commune = gateway.system("province"), gateway.system("commune")
    sent, other = send(gateway), send(gateway)
    part = main_part(gateway, sent)
    acknowledge(province, "H49", sent)
    with gateway.writes(1):
        (state,) = order(gateway, sent).deliveries
    assert state.transport == delivery_pb2.TRANSPORT_HANDED_OVER
    assert not state.order.HasField("answer_entry")
    with watching(province, "H49") as stream:
        assert next_event(stream, "item")[0].consignment_id == other
        notice, _ = next_event(stream, "notice")
        assert (notice.event, notice.status, notice.note) == ("order", 13, WHY)
    with gateway.writes(0):
        assert order(gateway, sent).repeated
        with refused(STATE, "ORDER_WAITS"):
            order(gateway, sent, UPDATE, by=other)
    assert fetch(province, "H49", sent, part)
    with gateway.writes(1):
        declined = reply(gateway, sent, DECLINED, "đang xử lý")
    check_receipt(declined.receipt, LogKey(gateway.pki.vkey))
    with watching(commune, "H49.151") as stream:
        heard = [next_event(stream, "notice")[0] for _ in range(2)]
        assert [notice.event for notice in heard] == ["ContentHandover", "order-answer"]
        assert (heard[1].status, heard[1].note) == (16, "đang xử lý")
    report(province, "H49", sent, delivery_pb2.BUSINESS_STATUS_IN_PROGRESS)
    with gateway.writes(0):
        assert reply(gateway, sent, DECLINED, "đang xử lý").repeated
        with refused(STATE, "ORDER_UNKNOWN", "consignment_id"):
            reply(gateway, sent, AGREED)
    with gateway.writes(2):
        order(gateway, sent)
        assert reply(gateway, sent, AGREED, "đã hủy").delivery.order.agreed
    with gateway.writes(0):
        with refused(STATE, "DOCUMENT_WITHDRAWN"):
            fetch(province, "H49", sent, part)
        with refused(STATE, "ORDER_POINTLESS", "recipients", recipient="H49"):
            order(gateway, sent, REPLACE, by=other, recipients=["H49"])


def test_another_document_takes_its_place(gateway):
    province = gateway.system("province")
    sent, taken = send(gateway), send(gateway)
    acknowledge(province, "H49", taken)
    with gateway.writes(0), refused(MISSING, "CONSIGNMENT_UNKNOWN", "by"):
        order(gateway, sent, REPLACE, by=NOBODYS)
    elsewhere = send(gateway, "G22")
    with gateway.writes(0), refused(STATE, "REPLACEMENT_NOT_SENT", "by", recipient="H49"):
        order(gateway, sent, REPLACE, by=elsewhere)
    new = send(gateway)
    with gateway.writes(2):
        order(gateway, sent, REPLACE, by=new)
    assert [item.consignment_id for item in waiting(province, "H49")] == [new]
    with gateway.writes(2):
        order(gateway, taken, UPDATE, by=new)
        state = reply(gateway, taken).delivery
    assert (state.order.kind, state.order.by, state.order.agreed) == (UPDATE, new, True)
    assert fetch(province, "H49", taken, main_part(gateway, taken))


def test_all_recipients_are_asked_or_none(gateway):
    sent = send(gateway, "H49", "G22", "H49.11")
    acknowledge(gateway.system("province"), "H49", sent)
    refuse(gateway.system("province"), "H49.11", sent, "nhầm")
    with gateway.writes(0):
        with refused(STATE, "ORDER_POINTLESS", "recipients", recipient="H49.11"):
            order(gateway, sent, recipients=["H49", "H49.11"])
        with refused(MISSING, "NOT_A_RECIPIENT", "recipients", code="H49.151"):
            order(gateway, sent, recipients=["H49", "H49.151"])
        with refused(INVALID, "RECIPIENT_DUPLICATE", "recipients", code="H49"):
            order(gateway, sent, recipients=["H49", "H49"])
    with gateway.writes(3):
        states = {one.recipient: one.transport for one in order(gateway, sent).deliveries}
    assert states == {
        "H49": delivery_pb2.TRANSPORT_HANDED_OVER,
        "H49.11": delivery_pb2.TRANSPORT_REJECTED,
        "G22": delivery_pb2.TRANSPORT_WITHDRAWN,
    }


def test_evidence_gives_nobody_what_was_taken_back(gateway):
    sent = send(gateway)
    order(gateway, sent)

    def evidence(system, **fields):
        request = ev.GetEvidenceRequest(consignment_id=sent, **fields)
        return b"".join(one.chunk for one in gateway.system(system).evidence.GetEvidence(request))

    with refused(STATE, "DOCUMENT_WITHDRAWN"):
        evidence("province", recipient="H49", include_parts=True)
    assert b"parts/001-" not in evidence("province", recipient="H49")
    assert b"parts/001-" in evidence("commune", include_parts=True)


def test_evidence_tells_of_it(gateway, tmp_path):
    sent = send(gateway)
    acknowledge(gateway.system("province"), "H49", sent)
    order(gateway, sent)
    reply(gateway, sent, AGREED, "đã hủy")
    request = ev.GetEvidenceRequest(consignment_id=sent)
    chunks = gateway.system("commune").evidence.GetEvidence(request)
    file = tmp_path / "evidence.zip"
    file.write_bytes(b"".join(message.chunk for message in chunks))
    key = tmp_path / "log.vkey"
    key.write_text(gateway.pki.vkey + "\n")
    told = vanthu("evidence", "verify", file, "--key", key)
    assert "its sender told H49 that it is to be given back" in told, told
    assert "H49 agreed to that" in told, told


CASES = [
    ({"kind": 0}, INVALID, "FIELD_MISSING", "kind"),
    ({"reason": " "}, INVALID, "FIELD_MISSING", "reason"),
    ({"reason": "x" * 2001}, INVALID, "FIELD_TOO_LONG", "reason"),
    ({"by": NOBODYS}, INVALID, "FIELD_MALFORMED", "by"),
    ({"by": "1"}, INVALID, "FIELD_MALFORMED", "by"),
    ({"kind": UPDATE}, INVALID, "FIELD_MALFORMED", "by"),
    ({"recipients": ["Hà Nội"]}, INVALID, "FIELD_MALFORMED", "recipients"),
    ({"sender": ""}, INVALID, "FIELD_MALFORMED", "sender"),
    ({"sender": "H49"}, Code.PERMISSION_DENIED, "AGENCY_NOT_YOURS", "sender"),
    ({"consignment_id": NOBODYS}, MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"),
    ({"consignment_id": "x"}, INVALID, "FIELD_MALFORMED", "consignment_id"),
    ({"system": "province", "sender": "H49"}, MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"),
    ({"system": "auditor"}, Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", None),
]


@pytest.mark.parametrize("fields, code, reason, field", CASES)
def test_orders_that_are_none(shared, fields, code, reason, field):
    sent = send(shared)
    with shared.writes(0), refused(code, reason, field):
        order(shared, **{"consignment": sent, **_renamed(fields)})


def _renamed(fields):
    fields = dict(fields)
    if "consignment_id" in fields:
        fields["consignment"] = fields.pop("consignment_id")
    return fields


@pytest.mark.parametrize(
    "fields, code, reason, field",
    [
        ({"answer": delivery_pb2.BUSINESS_STATUS_FINISHED}, INVALID, "STATUS_NOT_REPORTABLE", "answer"),
        ({"answer": DECLINED}, INVALID, "FIELD_MISSING", "note"),
        ({"note": "x" * 2001}, INVALID, "FIELD_TOO_LONG", "note"),
        ({"agency": "G22", "system": "province"}, Code.PERMISSION_DENIED, "AGENCY_NOT_YOURS", "agency"),
        ({"agency": "H49.11"}, MISSING, "CONSIGNMENT_UNKNOWN", "consignment_id"),
        ({}, STATE, "ORDER_UNKNOWN", "consignment_id"),
    ],
)
def test_answers_that_are_none(shared, fields, code, reason, field):
    sent = send(shared)
    acknowledge(shared.system("province"), "H49", sent)
    with shared.writes(0), refused(code, reason, field):
        reply(shared, sent, **fields)
