"""The receiving side: mailboxes, documents and their parts."""

import contextlib
import uuid

from gateway import UNATTENDED
from vanthu.v1 import mailbox_service_pb2 as box


@contextlib.contextmanager
def watching(system, agency, cursor=""):
    """An open watch; closed at the end, which frees what it holds."""
    stream = system.mailbox.Watch(box.WatchRequest(agency=agency, cursor=cursor))
    try:
        yield stream
    finally:
        stream.cancel()


def next_event(stream, kind):
    """The next event of this kind that somebody caused, and its cursor. Heartbeats, and notices that
    the gateway writes by itself whenever it gets to it, are passed over."""
    for event in stream:
        passed_over = event.HasField("notice") and UNATTENDED.search(event.notice.leaf)
        if event.WhichOneof("event") != "heartbeat" and not passed_over:
            assert event.WhichOneof("event") == kind, event
            return getattr(event, kind), event.cursor
    raise AssertionError("the watch ended")


def waiting(system, agency):
    """Everything that waits in a mailbox, all pages."""
    items, token = [], ""
    while True:
        page = system.mailbox.ListItems(box.ListItemsRequest(agency=agency, page_token=token))
        items += page.items
        token = page.next_page_token
        if not token:
            return items


def document(system, agency, consignment):
    request = box.GetDocumentRequest(agency=agency, consignment_id=consignment)
    return system.mailbox.GetDocument(request)


def fetch(system, agency, consignment, name, offset=0, length=0):
    """The bytes of a part or a range of it; the chunks must follow each other."""
    request = box.FetchPartRequest(
        agency=agency, consignment_id=consignment, part_name=name, offset=offset, length=length
    )
    bytes_ = bytearray()
    for message in system.mailbox.FetchPart(request):
        assert message.offset == offset + len(bytes_)
        assert 0 < len(message.chunk) <= 256 * 1024
        bytes_ += message.chunk
    return bytes(bytes_)


def acknowledge(system, agency, consignment, token=""):
    request = box.AcknowledgeRequest(agency=agency, consignment_id=consignment, lease_token=token)
    return system.mailbox.Acknowledge(request)


def refuse(system, agency, consignment, reason, token=""):
    request = box.RefuseRequest(
        agency=agency, consignment_id=consignment, lease_token=token, reason=reason
    )
    return system.mailbox.Refuse(request)


def report(system, agency, consignment, status, note=""):
    request = box.ReportStatusRequest(
        agency=agency, consignment_id=consignment, status=status, note=note
    )
    return system.mailbox.ReportStatus(request)


def is_uuid(text):
    return str(uuid.UUID(text)) == text
