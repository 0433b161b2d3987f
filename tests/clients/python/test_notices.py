"""Notices in pages, for systems that come again and again instead of watching."""

import time

from gateway import CALL_SECONDS
from grpc import StatusCode as Code
from mail import acknowledge, next_event, waiting, watching
from papers import Letter
from refusals import refused
from vanthu.v1 import mailbox_service_pb2 as box


def notices(system, agency="H49.151", **fields):
    return system.mailbox.ListNotices(box.ListNoticesRequest(agency=agency, **fields))


def answered(gateway, count):
    """So many letters of the commune that the province has acknowledged; nothing else was noticed."""
    for _ in range(count):
        consignment = Letter().send(gateway.system("commune")).consignment_id
        acknowledge(gateway.system("province"), "H49", consignment)


def handed_over(page):
    return [notice for notice in page.notices if notice.event == "ContentHandover"]


def test_a_list_and_a_watch_give_the_same_notices(gateway):
    answered(gateway, 3)
    commune = gateway.system("commune")
    found, cursor = [], ""
    while page := notices(commune, page_size=2, cursor=cursor):
        if not page.notices:
            break
        assert len(page.notices) <= 2
        found, cursor = found + list(page.notices), page.cursor
    assert page.cursor == cursor
    assert len([notice for notice in found if notice.event == "ContentHandover"]) == 3
    watched = []
    with watching(commune, "H49.151") as stream:
        for event in stream:
            watched.append(event)
            if len(watched) == len(found):
                break
    assert [event.notice for event in watched] == found
    assert notices(commune, cursor=watched[0].cursor).notices[0] == found[1], "a watch's cursor serves, too"
    with watching(commune, "H49.151", cursor) as stream:
        answered(gateway, 1)
        assert next_event(stream, "notice")[0].event == "ContentHandover", "and the other way round"


def test_a_list_waits_for_a_notice_and_leases_nothing(gateway):
    commune, province = gateway.system("commune"), gateway.system("province")
    Letter("H49", ("H49.151",)).send(province)
    consignment = Letter().send(commune).consignment_id
    [item] = waiting(commune, "H49.151")
    cursor = notices(commune).cursor
    begin = time.monotonic()
    assert not handed_over(notices(commune, wait_seconds=1, cursor=cursor))
    asked = gateway.connect("commune").mailbox.ListNotices.future(
        box.ListNoticesRequest(agency="H49.151", wait_seconds=30, cursor=notices(commune).cursor), timeout=CALL_SECONDS)
    acknowledge(province, "H49", consignment)
    assert handed_over(asked.result()) and time.monotonic() - begin < 20
    acknowledge(commune, "H49.151", item.consignment_id)


def test_wrong_lists_are_refused(shared):
    commune = shared.system("commune")
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED", "cursor"):
        notices(commune, cursor="x")
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "wait_seconds"):
        notices(commune, wait_seconds=-1)
    with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "page_size"):
        notices(commune, page_size=-1)
    with refused(Code.PERMISSION_DENIED, "AGENCY_NOT_YOURS", "agency"):
        notices(commune, "H49")
