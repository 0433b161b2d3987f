"""What becomes of the dossiers of an agency that is closed: its successor takes its place in them."""

import pytest
from gateway import vanthu, wait_until
from grpc import StatusCode as Code
from proofs import LogKey, check_receipt
from refusals import refused
from test_directory import APPROVED, change, closed_yesterday
from test_dossier import PROCEDURE, at, indicators, listed, new_code, show, take
from vanthu.v1 import dossier_pb2

CLOSED, SUCCESSOR = "H49.152", "H49.151"


@pytest.fixture
def gateway(pki, start, tmp_path):
    """A gateway whose directory one test changes."""
    gateway = start(pki.copy(tmp_path / "pki"))
    yield gateway
    gateway.stop()


def words(found):
    return [dossier_pb2.DossierStep.Name(step.step).removeprefix("DOSSIER_STEP_") for step in found.steps]


def succeeded(gateway, code):
    wait_until(lambda: words(show(gateway, code, "auditor"))[-1] == "SUCCESSION")
    found = show(gateway, code, "auditor")
    entry = check_receipt(found.steps[-1].receipt, LogKey(gateway.pki.vkey))
    assert (entry["from"], entry["to"], entry["actor"].split(" ")[0]) == (CLOSED, SUCCESSOR, "gateway")
    return found.dossier


def test_a_successor_has_received_and_has_and_was_asked_what_the_closed_agency_was(gateway):
    due = at(days=20)
    registered, held, asked, both, ended = (new_code() for _ in range(5))
    take(gateway, registered, "REGISTRATION", "G22", to=CLOSED, procedure_code=PROCEDURE)
    for code in (held, ended):
        take(gateway, code, "RECEPTION", CLOSED, "commune", procedure_code=PROCEDURE, due_time=due)
    for step in ("COMPLETION", "RETURN"):
        take(gateway, ended, step, CLOSED, "commune")
    for code in (asked, both):
        take(gateway, code, "RECEPTION", "H49.11", procedure_code=PROCEDURE, due_time=due)
        take(gateway, code, "OPINION_REQUEST", "H49.11", to=CLOSED, consent_working_days=15)
    take(gateway, both, "OPINION_REQUEST", "H49.11", to=SUCCESSOR, consent_working_days=3)

    change(gateway, lambda text: APPROVED + closed_yesterday(CLOSED, SUCCESSOR)(text))
    gateway.reload()
    dossier = succeeded(gateway, registered)
    assert (dossier.reception, dossier.holder, dossier.origin) == (SUCCESSOR, SUCCESSOR, "G22")
    dossier = succeeded(gateway, held)
    assert (dossier.reception, dossier.holder, dossier.origin) == (SUCCESSOR,) * 3
    assert [one.agency for one in succeeded(gateway, asked).opinions] == [SUCCESSOR]
    assert [(one.agency, one.rule) for one in succeeded(gateway, both).opinions] == [
        (SUCCESSOR, "CONSENT-AFTER-3-WORKING-DAYS")
    ]
    assert words(show(gateway, ended, "auditor"))[-1] == "RETURN"
    assert set(listed(gateway, SUCCESSOR)) == {registered, held, asked, both}

    with gateway.writes(0), refused(Code.PERMISSION_DENIED, "DOSSIER_STEP_NOT_YOURS", "agency", by="holder", holder=SUCCESSOR):
        take(gateway, held, "APPRAISAL", CLOSED, "commune")
    with gateway.writes(0), refused(Code.FAILED_PRECONDITION, "SENDER_CLOSED", "agency", successors=SUCCESSOR):
        take(gateway, new_code(), "RECEPTION", CLOSED, "commune", procedure_code=PROCEDURE, due_time=due)
    take(gateway, registered, "RECEPTION", SUCCESSOR, procedure_code=PROCEDURE, due_time=due)
    take(gateway, held, "APPRAISAL", SUCCESSOR)
    assert not take(gateway, asked, "OPINION", SUCCESSOR).dossier.opinions
    # What is done is not done again: by a later look, or after a restart.
    gateway.restart()
    gateway.reload()
    for code in (registered, held, asked, both):
        assert words(show(gateway, code, "auditor")).count("SUCCESSION") == 1
    gateway.stop()
    vanthu("log", "audit", "--key", gateway.pki.folder / "log.vkey", "--data", gateway.folder / "data")


def test_a_dossier_is_counted_for_the_agency_that_had_received_it_by_then(gateway):
    code = new_code()
    take(gateway, code, "RECEPTION", CLOSED, "commune", procedure_code=PROCEDURE, due_time=at(days=20))
    wait_until(lambda: indicators(gateway, CLOSED, "commune").total.received == 1)
    then = at(seconds=0)
    change(gateway, lambda text: APPROVED + closed_yesterday(CLOSED, SUCCESSOR)(text))
    gateway.reload()
    succeeded(gateway, code)

    def received(agency, **period):
        found = indicators(gateway, agency, "auditor", **period)
        assert [one.agency for one in found.agencies] == [agency] * found.total.received
        return found.total.received

    assert (received(CLOSED, until=then), received(SUCCESSOR, until=then)) == (1, 0)
    wait_until(lambda: (received(CLOSED), received(SUCCESSOR)) == (0, 1))
