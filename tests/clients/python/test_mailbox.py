"""Mailboxes: order, leases, cursors, answers, and what the sender hears of them."""

import contextlib
import json
import queue
import re
import threading
import time
import urllib.request

import grpc
import pytest
from gateway import CALL_SECONDS, vanthu, wait_until
from google.rpc import error_details_pb2
from grpc import StatusCode as Code
from mail import acknowledge, document, fetch, next_event, refuse, report, waiting, watching
from papers import Letter
from proofs import LogKey, check_receipt
from refusals import read, refused
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import mailbox_service_pb2 as box
from vanthu.v1 import trace_service_pb2 as tr


def send(gateway, **fields):
    return Letter(**fields).send(gateway.system("commune")).consignment_id


def with_urgency(gateway, *urgencies):
    values = [envelope_pb2.Urgency.Value(f"URGENCY_{one}") for one in urgencies]
    return [send(gateway, urgency=value) for value in values]


def state(gateway, consignment, recipient="H49"):
    request = tr.ListDeliveriesRequest(consignment_id=consignment)
    found = gateway.system("commune").trace.ListDeliveries(request).deliveries
    return next(one for one in found if one.recipient == recipient)


def test_documents_come_by_urgency_and_then_by_age(gateway):
    sent = with_urgency(gateway, "NORMAL", "URGENT", "FLASH", "NORMAL", "IMMEDIATE", "FLASH")
    expected = [sent[index] for index in (2, 5, 4, 1, 0, 3)]
    province = gateway.system("province")
    assert [item.consignment_id for item in waiting(province, "H49")] == expected
    with watching(province, "H49") as stream:
        assert [next_event(stream, "item")[0].consignment_id for _ in sent] == expected


def test_a_flood_of_urgent_documents_does_not_starve_the_others(gateway):
    [normal] = with_urgency(gateway, "NORMAL")
    flood = with_urgency(gateway, *["FLASH"] * 20)
    with watching(gateway.system("province"), "H49") as stream:
        came = [next_event(stream, "item")[0].consignment_id for _ in range(21)]
    assert [one for one in came if one != normal] == flood, "each lane in order"
    assert came.index(normal) == 8, "after eight of the first lane it is the others' turn"


def test_an_urgent_document_passes_a_backlog_that_nobody_answers(gateway):
    backlog = with_urgency(gateway, *["NORMAL"] * 140)
    with watching(gateway.system("province"), "H49") as stream:
        # So many may be open; the other places are the other lanes'.
        assert [next_event(stream, "item")[0].consignment_id for _ in range(128)] == backlog[:128]
        for urgency in ("URGENT", "FLASH"):
            [sent] = with_urgency(gateway, urgency)
            assert next_event(stream, "item")[0].consignment_id == sent
    acknowledge(gateway.system("province"), "H49", backlog[0])


def test_a_watch_hears_of_a_document_when_it_comes(gateway):
    with watching(gateway.system("province"), "H49") as stream:
        for _ in range(3):
            sent = send(gateway)
            assert next_event(stream, "item")[0].consignment_id == sent


def test_a_cursor_resumes_after_what_was_dealt_with(gateway):
    province = gateway.system("province")
    first, second = send(gateway), send(gateway)
    with watching(province, "H49") as stream:
        item, cursor = next_event(stream, "item")
        assert item.consignment_id == first
        acknowledge(province, "H49", first, item.lease_token)
    with watching(province, "H49", cursor) as stream:
        item, cursor = next_event(stream, "item")
        assert item.consignment_id == second
    third = send(gateway)
    # The second was seen and is still leased: with this cursor only what is new comes.
    with watching(province, "H49", cursor) as stream:
        assert next_event(stream, "item")[0].consignment_id == third


def test_notices_are_not_repeated_after_their_cursor(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    sent = [send(gateway) for _ in range(3)]
    for consignment in sent:
        acknowledge(province, "H49", consignment)
    with watching(commune, "H49.151") as stream:
        notice, cursor = next_event(stream, "notice")
        assert notice.consignment_id == sent[0]
    with watching(commune, "H49.151", cursor) as stream:
        assert [next_event(stream, "notice")[0].consignment_id for _ in range(2)] == sent[1:]


def test_an_item_is_leased_to_one_watcher_at_a_time(gateway):
    heard = queue.Queue()

    def listen(stream):
        with contextlib.suppress(grpc.RpcError):
            for event in stream:
                heard.put(event.item)

    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stream = stack.enter_context(watching(gateway.connect("province"), "H49"))
            threading.Thread(target=listen, args=(stream,), daemon=True).start()
        sent = [send(gateway) for _ in range(12)]
        items = [heard.get(timeout=CALL_SECONDS) for _ in sent]
        assert sorted(item.consignment_id for item in items) == sorted(sent)
        assert {item.attempt for item in items} == {1}
        for item in items:
            acknowledge(gateway.system("province"), "H49", item.consignment_id, item.lease_token)
    assert heard.empty()


def test_a_watcher_that_leaves_frees_what_it_held(gateway):
    province = gateway.system("province")
    sent = send(gateway)
    with watching(province, "H49") as stream:
        left, _ = next_event(stream, "item")
    with watching(province, "H49") as stream:
        again, _ = next_event(stream, "item")
        assert (again.consignment_id, again.attempt) == (sent, 2)
        assert again.lease_token != left.lease_token
        with gateway.writes(0), refused(Code.FAILED_PRECONDITION, "LEASE_LOST", "lease_token"):
            acknowledge(province, "H49", sent, left.lease_token)
        acknowledge(province, "H49", sent, again.lease_token)


def test_a_leased_item_is_answered_with_its_token_only(gateway):
    province = gateway.system("province")
    sent = send(gateway)
    with watching(province, "H49") as stream:
        item, _ = next_event(stream, "item")
        with gateway.writes(0):
            for token in ("", "not-a-token", "6f1c4d0e-4f0e-4d8a-9a3b-000000000000"):
                with refused(Code.FAILED_PRECONDITION, "LEASE_LOST", "lease_token"):
                    acknowledge(province, "H49", sent, token)
                with refused(Code.FAILED_PRECONDITION, "LEASE_LOST", "lease_token"):
                    refuse(province, "H49", sent, "wrong address", token)
        assert not acknowledge(province, "H49", sent, item.lease_token).repeated


def test_an_unanswered_item_comes_again_after_a_restart(gateway):
    sent = send(gateway)
    with watching(gateway.system("province"), "H49") as stream:
        before, _ = next_event(stream, "item")
        gateway.restart()
    province = gateway.system("province")
    with watching(province, "H49") as stream:
        after, _ = next_event(stream, "item")
        assert (after.consignment_id, after.entry_id) == (sent, before.entry_id)
        acknowledge(province, "H49", sent, after.lease_token)
    assert waiting(province, "H49") == []


def test_lists_lease_nothing_and_page_through_every_lane(gateway):
    sent = with_urgency(gateway, "NORMAL", "FLASH", "URGENT", "NORMAL", "FLASH")
    province = gateway.system("province")
    found, token = [], ""
    while True:
        page = province.mailbox.ListItems(box.ListItemsRequest(agency="H49", page_size=2, page_token=token))
        assert 1 <= len(page.items) <= 2
        found += page.items
        token = page.next_page_token
        if not token:
            break
    assert [item.consignment_id for item in found] == [sent[index] for index in (1, 4, 2, 0, 3)]
    for item in found:
        assert (item.lease_token, item.attempt, item.HasField("lease_expire_time")) == ("", 0, False)
        assert (item.indication, item.legal_value) == ("UNSIGNED", "INFORMATION_ONLY")
    assert not acknowledge(province, "H49", sent[0]).repeated, "nobody holds it"


def poll(system, agency, seconds=0, cursor="", **more):
    request = box.ListItemsRequest(agency=agency, wait_seconds=seconds, cursor=cursor, **more)
    return system.mailbox.ListItems(request)


def test_a_list_waits_for_what_comes_and_shows_it_once(gateway):
    province = gateway.system("province")
    old = send(gateway)
    first = poll(province, "H49", 30)
    assert [item.consignment_id for item in first.items] == [old], "what waits is shown at once"
    asked = province.mailbox.ListItems.future(
        box.ListItemsRequest(agency="H49", wait_seconds=30, cursor=first.cursor), timeout=CALL_SECONDS
    )
    [flash] = with_urgency(gateway, "FLASH")
    second = asked.result()
    assert [item.consignment_id for item in second.items] == [flash], "the old one was shown before"
    since = time.monotonic()
    third = poll(province, "H49", 1, second.cursor)
    assert (list(third.items), third.cursor) == ([], second.cursor)
    assert 0.9 < time.monotonic() - since < 15
    assert [item.consignment_id for item in poll(province, "H49").items] == [flash, old]


def test_a_cursor_pages_through_what_has_come_since(gateway):
    province = gateway.system("province")
    cursor = poll(province, "H49").cursor
    sent = with_urgency(gateway, "NORMAL", "FLASH", "NORMAL", "URGENT")
    found = []
    while len(found) < len(sent):
        page = poll(province, "H49", 30, cursor, page_size=2)
        assert 1 <= len(page.items) <= 2 and not page.next_page_token
        found += [item.consignment_id for item in page.items]
        cursor = page.cursor
    assert found == [sent[index] for index in (1, 3, 0, 2)]


def test_a_waiting_list_shows_nothing_to_a_certificate_revoked_meanwhile(pki, start, tmp_path):
    gateway = start(pki.copy(tmp_path / "pki"))
    request = box.ListItemsRequest(agency="H49", wait_seconds=30)
    asked = gateway.connect("province").mailbox.ListItems.future(request, timeout=CALL_SECONDS)
    gateway.pki.revoke("province")
    gateway.reload()
    send(gateway)
    with refused(Code.UNAUTHENTICATED, "CERTIFICATE_REVOKED"):
        asked.result()
    gateway.stop()


@pytest.mark.parametrize("more, reason, field", [
    ({"wait_seconds": -1}, "FIELD_MALFORMED", "wait_seconds"),
    ({"cursor": "0/0"}, "PAGE_TOKEN_MALFORMED", "cursor"),
    ({"cursor": "0/0,0/0,0/0,0/0,0/0", "page_token": "0:1/1"}, "PAGE_TOKEN_MALFORMED", "page_token"),
])
def test_bad_polls_are_refused_by_their_field(shared, more, reason, field):
    with refused(Code.INVALID_ARGUMENT, reason, field):
        shared.system("province").mailbox.ListItems(box.ListItemsRequest(agency="H49", **more))


def test_a_storm_of_polls_is_held_back_for_its_system_alone(gateway):
    province = gateway.connect("province")
    request = box.ListItemsRequest(agency="H49")
    with pytest.raises(grpc.RpcError) as caught:
        for _ in range(20):
            for call in [province.mailbox.ListItems.future(request) for _ in range(200)]:
                call.result()
    status, details = read(caught.value)
    assert caught.value.code() == Code.RESOURCE_EXHAUSTED
    info = details[error_details_pb2.ErrorInfo]
    assert (info.reason, dict(info.metadata)) == ("POLLS_TOO_MANY", {"at_once": "1024", "interval_ms": "20"})
    wait = details[error_details_pb2.RetryInfo].retry_delay
    assert 0 < wait.seconds + wait.nanos / 1e9 <= 10
    assert details[error_details_pb2.LocalizedMessage].locale == "vi"
    poll(gateway.system("portal"), "G22")
    # Who waits as told is let in again; watches count as looks, too.
    threading.Event().wait(wait.seconds + wait.nanos / 1e9 + 0.5)
    poll(province, "H49")


def doctor(gateway):
    """What the operator is told, by agency."""
    lines = vanthu("doctor", "--data", gateway.folder / "data", "--output", "json").splitlines()
    return {told["agency"]: told for told in map(json.loads, lines)}


def metric(gateway, name):
    with urllib.request.urlopen(f"http://{gateway.operations}/metrics", timeout=CALL_SECONDS) as page:
        found = re.search(rf"^{re.escape(name)} (\S+)$", page.read().decode(), re.M)
    return found and float(found[1])


def test_what_nobody_answers_is_set_behind_all_others_and_told(gateway):
    province = gateway.system("province")
    [poison] = with_urgency(gateway, "FLASH")
    before = doctor(gateway)["H49"]
    assert (before["attempts"], before["watchers"], before["last_look"]) == (0, 0, None)
    for attempt in range(1, 6):
        with watching(province, "H49") as stream:
            item, _ = next_event(stream, "item")
            assert (item.consignment_id, item.attempt, item.set_aside) == (poison, attempt, False)
            assert doctor(gateway)["H49"]["watchers"] == 1
        wait_until(lambda: doctor(gateway)["H49"]["watchers"] == 0)
    after = with_urgency(gateway, "NORMAL", "NORMAL")
    with watching(province, "H49") as stream:
        assert [next_event(stream, "item")[0].consignment_id for _ in after] == after, "it blocks nothing"
    told = doctor(gateway)["H49"]
    assert (told["consignment_id"], told["urgency"], told["attempts"], told["set_aside"]) == (poison, "flash", 5, True)
    assert told["last_look"] >= told["since"]
    [first, *others] = waiting(province, "H49")
    assert (first.consignment_id, first.attempt, first.set_aside) == (poison, 5, True), "it is not lost"
    assert [(item.consignment_id, item.attempt, item.set_aside) for item in others] == [(one, 1, False) for one in after]
    wait_until(lambda: metric(gateway, "vanthu_items_set_aside") == 1)
    assert metric(gateway, 'vanthu_oldest_waiting_seconds{lane="flash"}') >= 0
    assert metric(gateway, 'vanthu_oldest_waiting_seconds{lane="urgent"}') == 0
    acknowledge(province, "H49", poison)
    assert doctor(gateway)["H49"]["consignment_id"] == after[0]


def test_acknowledging_again_gives_the_first_receipt(gateway):
    province = gateway.system("province")
    sent = send(gateway)
    first = acknowledge(province, "H49", sent)
    with gateway.writes(0):
        for token in ("", "6f1c4d0e-4f0e-4d8a-9a3b-000000000000"):
            again = acknowledge(province, "H49", sent, token)
            assert again.repeated and not first.repeated
            assert again.receipt.SerializeToString() == first.receipt.SerializeToString()


def test_a_refused_document_goes_back_with_the_clerks_words(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    sent = send(gateway)
    words = "Sai thẩm quyền.\nĐề nghị gửi Sở Nông nghiệp và Môi trường."
    with gateway.writes(1):
        first = refuse(province, "H49", sent, words)
        again = refuse(province, "H49", sent, "other words")
    assert again.repeated and again.receipt == first.receipt
    entry = check_receipt(first.receipt, LogKey(gateway.pki.vkey))
    assert (entry["event"], entry["status"], entry["reason"]) == ("ConsignmentRejection", "02", "RECIPIENT")
    assert "quyền" not in first.receipt.leaf.decode(), "the log keeps a digest only"
    with watching(commune, "H49.151") as stream:
        notice, _ = next_event(stream, "notice")
    assert (notice.status, notice.note) == (delivery_pb2.BUSINESS_STATUS_REFUSED, words)
    found = state(gateway, sent)
    assert found.transport == delivery_pb2.TRANSPORT_REJECTED
    assert found.business_status == delivery_pb2.BUSINESS_STATUS_REFUSED
    assert waiting(province, "H49") == []


def test_a_document_is_answered_once(gateway):
    province = gateway.system("province")
    taken, returned = send(gateway), send(gateway)
    acknowledge(province, "H49", taken)
    refuse(province, "H49", returned, "sai nơi nhận")
    with gateway.writes(0):
        with refused(Code.FAILED_PRECONDITION, "ALREADY_ANSWERED"):
            refuse(province, "H49", taken, "sai nơi nhận")
        with refused(Code.FAILED_PRECONDITION, "ALREADY_ANSWERED"):
            acknowledge(province, "H49", returned)


def test_reports_of_business_status_reach_the_sender_in_order(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    sent = send(gateway)
    acknowledge(province, "H49", sent)
    key = LogKey(gateway.pki.vkey)
    names = ["ASSIGNED", "IN_PROGRESS", "FINISHED"]
    for name, code in zip(names, ("04", "05", "06")):
        value = delivery_pb2.BusinessStatus.Value(f"BUSINESS_STATUS_{name}")
        reported = report(province, "H49", sent, value, f"bước {code}")
        entry = check_receipt(reported.receipt, key)
        assert (entry["event"], entry["status"]) == ("status", code)
        assert reported.delivery.business_status == value
        assert reported.delivery.latest_entry == reported.receipt.entry_id
        assert reported.delivery.transport == delivery_pb2.TRANSPORT_HANDED_OVER
    with watching(commune, "H49.151") as stream:
        notices = [next_event(stream, "notice")[0] for _ in range(4)]
    assert [notice.note for notice in notices] == ["", "bước 04", "bước 05", "bước 06"]
    assert state(gateway, sent).business_status == delivery_pb2.BUSINESS_STATUS_FINISHED


def test_odd_reports_are_recorded_too(gateway):
    province = gateway.system("province")
    sent = send(gateway)
    refuse(province, "H49", sent, "trả lại")
    with gateway.writes(2):
        report(province, "H49", sent, delivery_pb2.BUSINESS_STATUS_FINISHED)
        report(province, "H49", sent, delivery_pb2.BUSINESS_STATUS_ARRIVED)
    assert state(gateway, sent).transport == delivery_pb2.TRANSPORT_REJECTED


def test_each_recipient_answers_for_itself(gateway):
    province, portal = gateway.system("province"), gateway.system("portal")
    sent = send(gateway, to=["H49", "G22", "H49.11"])
    acknowledge(province, "H49", sent)
    refuse(portal, "G22", sent, "không liên quan")
    states = [state(gateway, sent, code).transport for code in ("H49", "G22", "H49.11")]
    names = [delivery_pb2.Transport.Name(one) for one in states]
    assert names == ["TRANSPORT_HANDED_OVER", "TRANSPORT_REJECTED", "TRANSPORT_CONSIGNED"]
    assert [item.consignment_id for item in waiting(province, "H49.11")] == [sent]


@pytest.mark.parametrize("offset, length", [(0, 1), (0, 0), (5, 0), (100, 300_000), (599_999, 1), (600_000, 0)])
def test_any_range_of_a_part_can_be_fetched(shared, offset, length):
    content = bytes(range(240)) * 2500
    sent = send(shared, content=content)
    end = offset + length if length else None
    for system, agency in (("province", "H49"), ("commune", "H49.151")):
        assert fetch(shared.system(system), agency, sent, "cong-van.pdf", offset, length) == content[offset:end]


@pytest.mark.parametrize("offset, length", [(600_001, 0), (0, 600_001), (599_999, 2), (2**64 - 1, 2**64 - 1)])
def test_a_range_outside_a_part_is_refused(shared, offset, length):
    sent = send(shared, content=bytes(600_000 - 1) + b"x")
    with refused(Code.OUT_OF_RANGE, "RANGE_OUTSIDE", "offset", size=600_000):
        fetch(shared.system("province"), "H49", sent, "cong-van.pdf", offset, length)


def test_the_sender_reads_its_own_document_without_a_delivery(gateway):
    sent = send(gateway)
    own = document(gateway.system("commune"), "H49.151", sent)
    assert not own.HasField("delivery")
    assert own.envelope == document(gateway.system("province"), "H49", sent).envelope
