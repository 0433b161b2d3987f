"""What a sender asks afterwards, and what becomes of a closed agency, where the recipient is two gateways
away: the gateway that has the mailbox decides, and all three logs tell the same."""

import collections
import contextlib
import datetime
import signal

import grpc
import pytest

import country as three
import gateway as outside
from country import wait_for
from gateway import directory, evidence, mailbox, submission
from test_relay import (acknowledge, deliveries, entries_of, second_verifier, send, transport,
                        waiting)

from vanthu.v1 import delivery_pb2 as delivery  # isort: skip  # made importable by gateway

RECALL, REPLACE = delivery.ORDER_KIND_RECALL, delivery.ORDER_KIND_REPLACE
AGREED, DECLINED = delivery.BUSINESS_STATUS_AGREED, delivery.BUSINESS_STATUS_DECLINED


@pytest.fixture
def country(tmp_path):
    with three.Country(tmp_path) as made:
        for gateway in made.gateways.values():
            path = gateway.home / "directory.toml"
            path.write_text('approved_by = "Trần B"\n' + path.read_text())
        yield made.start_all()


def order(country, consignment, kind=RECALL, recipients=(), by=""):
    return country.at("H49.151").submissions("commune").Order(submission.OrderRequest(
        sender="H49.151", consignment_id=consignment, kind=kind, recipients=recipients, by=by,
        reason="sai nội dung"), timeout=20)


def reply(country, agency, consignment, answer):
    return country.at(agency).mailboxes(outside.HOSTS[agency]).AnswerOrder(mailbox.AnswerOrderRequest(
        agency=agency, consignment_id=consignment, answer=answer, note="đã hủy"), timeout=20)


def arrived(country, *agencies):
    sent, _ = send(country, "H49.151", agencies)
    for agency in agencies:
        wait_for(lambda: sent in waiting(country, agency), 30, f"it does not reach {agency}")
    return sent


def state(country, consignment, agency):
    return deliveries(country, "H49.151", consignment)[agency]


def becomes(country, consignment, **expected):
    """Waits until the sender knows these states."""
    wanted = {agency.replace("_", "."): name for agency, name in expected.items()}

    def now():
        found = deliveries(country, "H49.151", consignment)
        return {agency: transport(found[agency]) for agency in wanted if agency in found}

    wait_for(lambda: now() == wanted, 30, lambda: f"{now()} instead of {wanted}")


def refused(call, reason):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    assert reason in raised.value.details() or reason in str(raised.value.trailing_metadata())


def events(country, place, consignment, agency):
    told = entries_of(country.gateways[place], consignment)
    return collections.Counter(one["event"] for one in told if one.get("to") == agency)


def test_what_was_not_taken_two_gateways_away_is_withdrawn_there(country):
    sent = arrived(country, "H01", "G22")
    before = order(country, sent)
    becomes(country, sent, H01="WITHDRAWN", G22="WITHDRAWN")
    for agency in ("H01", "G22"):
        assert sent not in waiting(country, agency)
        refused(lambda: acknowledge(country, agency, sent), "DOCUMENT_WITHDRAWN")
        assert state(country, sent, agency).order.agreed
    again = order(country, sent)
    assert again.receipt == before.receipt, "the same order is one order"
    refused(lambda: order(country, sent, recipients=["H01"], kind=REPLACE, by=arrived(country, "H01")),
            "ORDER_POINTLESS")
    for place in ("h49", "nation", "h01"):
        counts = events(country, place, sent, "H01")
        assert (counts["order"], counts["order-answer"]) == (1, 1), (place, counts)
    home = [one for one in entries_of(country.gateways["h01"], sent) if one["event"] == "order"]
    assert [one["service"] for one in home] == ["gateway nation.example"]
    country.stop_and_audit()


def test_what_was_taken_two_gateways_away_only_its_recipient_gives_back(country):
    sent = arrived(country, "H01")
    acknowledge(country, "H01", sent)
    becomes(country, sent, H01="HANDED_OVER")
    order(country, sent)
    refused(lambda: order(country, sent, kind=REPLACE, by=arrived(country, "H01")), "ORDER_WAITS")
    wait_for(lambda: events(country, "h01", sent, "H01")["order"] == 1, 30, "it is not asked")
    reply(country, "H01", sent, DECLINED)
    wait_for(lambda: state(country, sent, "H01").order.HasField("answer_entry"), 30, "no answer")
    assert not state(country, sent, "H01").order.agreed
    order(country, sent)
    wait_for(lambda: events(country, "h01", sent, "H01")["order"] == 2, 30, "it is not asked again")
    reply(country, "H01", sent, AGREED)
    wait_for(lambda: state(country, sent, "H01").order.agreed, 30, "no agreement")
    becomes(country, sent, H01="HANDED_OVER")
    country.stop_and_audit()


def test_another_document_takes_its_place_two_gateways_away(country):
    old, other, new = arrived(country, "H01"), arrived(country, "G22"), arrived(country, "H01")
    becomes(country, old, H01="CONSIGNED")
    becomes(country, new, H01="CONSIGNED")
    refused(lambda: order(country, old, kind=REPLACE, by=other), "REPLACEMENT_NOT_SENT")
    order(country, old, kind=REPLACE, by=new)
    becomes(country, old, H01="WITHDRAWN")
    assert waiting(country, "H01") == {new}
    told = [one for one in entries_of(country.gateways["h01"], old) if one["event"] == "order"]
    assert [(one["reason"], one["by"]) for one in told] == [("REPLACE", new)]
    country.stop_and_audit()


def test_an_order_waits_for_a_gateway_that_is_out_and_goes_after_its_document(country):
    country.kill("nation")
    sent, _ = send(country, "H49.151", ["H01", "H49.11"])
    order(country, sent)
    becomes(country, sent, H01="RELAYING", H49_11="WITHDRAWN")
    country.gateways["h49"].stop()
    country.start("h49")
    country.start("nation")
    becomes(country, sent, H01="WITHDRAWN")
    assert sent not in waiting(country, "H01")
    country.stop_and_audit()


def test_an_order_that_crosses_a_refusal_has_lapsed(country):
    sent = arrived(country, "H01")
    becomes(country, sent, H01="CONSIGNED")
    with severed(country, "nation", "h01"):
        order(country, sent)
        wait_for(lambda: events(country, "nation", sent, "H01")["order"] == 1, 30, "nobody is asked")
        country.at("H01").mailboxes("district").Refuse(mailbox.RefuseRequest(
            agency="H01", consignment_id=sent, reason="Không thuộc thẩm quyền"), timeout=20)
    becomes(country, sent, H01="REJECTED")
    assert events(country, "h01", sent, "H01")["order"] == 0
    refused(lambda: order(country, sent, kind=REPLACE, by=arrived(country, "H01")), "ORDER_POINTLESS")
    country.stop_and_audit()


@contextlib.contextmanager
def severed(country, one, other):
    """Between these gateways nothing goes, either way."""
    targets = {line: country.lines[line].target for line in ((one, other), (other, one))}
    for line in targets:
        country.lines[line].target = None
        country.lines[line].reset()
    yield
    for line, target in targets.items():
        country.lines[line].target = target


def change(country, edit):
    """Gives the far gateway another directory."""
    gateway = country.gateways["h01"]
    path = gateway.home / "directory.toml"
    path.write_text(edit(path.read_text()))
    gateway.signal(signal.SIGHUP)


def closed_yesterday(text, code, successor):
    """The directory in which one agency is closed in favour of another."""
    day = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date()
    head, tail = text.split(f'code = "{code}"\n', 1)
    return (f'{head}code = "{code}"\nvalid_until = "{day - datetime.timedelta(days=1)}"\n'
            f'successors = ["{successor}"]\nsuccession = "forward"\n{tail}')


def test_a_redirection_two_gateways_away_names_both_codes_to_the_sender(country, tmp_path):
    sent = arrived(country, "H01.7")
    change(country, lambda text: closed_yesterday(text, "H01.7", "H01"))
    wait_for(lambda: sent in waiting(country, "H01"), 30, "it does not reach the successor")
    becomes(country, sent, H01_7="REDIRECTED", H01="CONSIGNED")
    acknowledge(country, "H01", sent)
    becomes(country, sent, H01_7="REDIRECTED", H01="HANDED_OVER")
    order(country, sent)
    wait_for(lambda: events(country, "h01", sent, "H01")["order"] == 1, 30, "it is not asked")
    reply(country, "H01", sent, AGREED)
    wait_for(lambda: state(country, sent, "H01").order.agreed, 30, "no agreement")
    for place in ("h49", "nation", "h01"):
        told = [one for one in entries_of(country.gateways[place], sent) if one["event"] == "redirection"]
        assert [(one["addressed"], one["to"]) for one in told] == [("H01.7", "H01")], place
    chunks = country.gateways["h49"].evidences("commune").GetEvidence(
        evidence.GetEvidenceRequest(consignment_id=sent), timeout=20)
    file = tmp_path / "evidence.zip"
    file.write_bytes(b"".join(one.chunk for one in chunks))
    keys = [gateway.home / "log.vkey" for gateway in country.gateways.values()]
    shown = outside.run("evidence", "verify", file, *[it for key in keys for it in ("--key", key)])
    assert "is not verified" not in shown.stdout
    code, said = second_verifier(file, *keys)
    assert (code, said[:6]) == (0, "holds:"), said
    country.stop_and_audit()


def test_what_a_successor_does_while_nobody_hears_it_is_learnt_together(country):
    sent = arrived(country, "H01.7")
    becomes(country, sent, H01_7="CONSIGNED")
    with severed(country, "nation", "h49"):
        change(country, lambda text: closed_yesterday(text, "H01.7", "H01"))
        wait_for(lambda: sent in waiting(country, "H01"), 30, "it does not reach the successor")
        acknowledge(country, "H01", sent)
        wait_for(lambda: events(country, "nation", sent, "H01")["ContentHandover"] == 1, 30, "not told")
    becomes(country, sent, H01_7="REDIRECTED", H01="HANDED_OVER")
    country.stop_and_audit()


def test_what_a_further_gateway_rejects_is_told_to_the_sender(country):
    change(country, lambda text: text.replace('code = "H01.7"', 'code = "H01.8"'))
    wait_for(lambda: "H01.8" in agencies(country.gateways["h01"]), 30, "the directory is not taken")
    sent, _ = send(country, "H49.151", ["H01.7", "H01"])
    becomes(country, sent, H01_7="RELAY_REJECTED", H01="CONSIGNED")
    told = [one for one in entries_of(country.gateways["h49"], sent) if one["event"] == "RelayRejection"]
    assert [(one["to"], one["reason"], one["service"]) for one in told] == [
        ("H01.7", "RECIPIENT_UNKNOWN", "gateway nation.example")]
    refused(lambda: order(country, sent, recipients=["H01.7"]), "ORDER_POINTLESS")
    country.stop_and_audit()


def agencies(gateway):
    found = gateway.agencies().ListAgencies(directory.ListAgenciesRequest(page_size=100), timeout=20)
    return {one.code for one in found.agencies}
