"""What a refusal must look like: code, ErrorInfo, field, and a sentence in Vietnamese."""

import contextlib

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

DOMAIN = "vanthu"


class Refusal:
    """What was said, for further questions."""

    def __init__(self):
        self.metadata = {}
        self.message = ""


def read(error):
    """The details of an error by their types."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no google.rpc.Status: {error}"
    details = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.TypeName().rsplit(".", 1)[-1])
        details[kind] = kind()
        assert packed.Unpack(details[kind])
    return status, details


@contextlib.contextmanager
def refused(code, reason, field=None, /, **metadata):
    """What runs inside is refused in exactly this way."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    error = caught.value
    assert error.code() == code, f"{error.code()}: {error.details()}"
    status, details = read(error)
    info = details[error_details_pb2.ErrorInfo]
    refusal.metadata, refusal.message = dict(info.metadata), status.message
    assert (info.domain, info.reason) == (DOMAIN, reason), status.message
    vietnamese = details[error_details_pb2.LocalizedMessage]
    assert vietnamese.locale == "vi" and vietnamese.message
    assert refusal.metadata.get("field") == field, refusal.metadata
    if field is not None and code == grpc.StatusCode.INVALID_ARGUMENT:
        [violation] = details[error_details_pb2.BadRequest].field_violations
        assert violation.field == field and violation.description
    for name, value in metadata.items():
        assert refusal.metadata.get(name) == str(value), refusal.metadata
