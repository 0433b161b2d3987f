"""Citizens' questions on the National Public Service Portal come to an office, and its answers go back."""

import json
import time

import pytest
from mail import document, fetch, waiting
from portal import AGENCY, MEDIA_TYPE, Courier, Portal, message, send, wait_until
from test_portal import empty, words
from vanthu.v1 import envelope_pb2

QUESTION = {"MaHoiDap": "7", "NoiDung": "Bao giờ có kết quả?", "HoTen": "Nguyễn Văn A", "TepDinhKem": [{"Ten": "a.pdf"}]}


@pytest.fixture
def portal(tmp_path):
    portal = Portal(tmp_path)
    yield portal
    portal.stop()


def asking(portal):
    return portal.config(more='questions_every_seconds = 1\nquestions_to = "H49.151"\n'
                         '[offices]\n"Sở Xây dựng" = "H49.11"\n')


def ask(portal, question):
    status, answer = portal.ask("POST", "/questions", question)
    assert status == 200 and int(answer["error_code"]) == 0, answer


def questions(gateway, agency="H49.151", system="commune"):
    """Questions in the office's mailbox, and the dossiers of their envelopes."""
    system, found = gateway.system(system), []
    for item in waiting(system, agency):
        envelope = envelope_pb2.Envelope.FromString(document(system, agency, item.consignment_id).envelope)
        [part] = envelope.parts
        assert (item.sender, part.media_type) == (AGENCY, MEDIA_TYPE)
        said = json.loads(fetch(system, agency, item.consignment_id, part.name))
        assert said["service"] == "LayDanhSachHoiDap"
        found.append((said["data"], item.dossier_code))
    return found


def test_a_question_comes_to_its_office_once_and_its_answer_goes_back(gateway, portal):
    courier = Courier(gateway, portal, asking(portal))
    about = {"id": 8, "NoiDung": "?", "DonViXuLy": "Sở Xây dựng", "MaHoSo": "H49.151-20261123-0001"}
    ask(portal, QUESTION)
    ask(portal, about)
    wait_until(lambda: len(questions(gateway)) == 1 and len(questions(gateway, "H49.11", "province")) == 1)
    assert questions(gateway) == [(QUESTION, "")]
    assert questions(gateway, "H49.11", "province") == [(about, about["MaHoSo"])]
    courier.kill()
    courier = Courier(gateway, portal, asking(portal))
    with gateway.writes(0):
        calls = portal.calls("LayDanhSachHoiDap")
        wait_until(lambda: portal.calls("LayDanhSachHoiDap") >= calls + 2)
    send(gateway, message("DongBoHoiDap", {"MaHoiDap": "7", "TraLoi": "Ngày mai."}), "")
    wait_until(lambda: empty(gateway))
    assert portal.book()["answers"] == {"7": {"MaHoiDap": "7", "TraLoi": "Ngày mai."}}
    assert [question["id"] for question in portal.call("LayDanhSachHoiDap")["result"]] == [8]
    assert "Nguyễn" not in courier.traces() and "Nguyễn" not in gateway.traces()
    courier.stop()


def test_an_answer_to_nothing_comes_back(gateway, portal):
    courier = Courier(gateway, portal, portal.config(more='abroad = ["H49.151"]\n'))
    nameless = send(gateway, message("DongBoHoiDap", {"TraLoi": "x"}), "")
    unknown = send(gateway, message("DongBoHoiDap", {"MaHoiDap": "9", "TraLoi": "x"}), "")
    wait_until(lambda: empty(gateway))
    assert words(gateway, 2) == {
        nameless: "id: thiếu trường bắt buộc / id: compulsory field missing",
        unknown: "Cổng từ chối (-1) / the portal refuses it (-1): id",
    }
    time.sleep(1)
    assert portal.calls("LayDanhSachHoiDap") == 0, "nobody asks unless it is configured"
    courier.stop()


def test_an_outage_delays_a_question_and_no_message(gateway, portal):
    courier = Courier(gateway, portal, asking(portal))
    portal.fail(service="LayDanhSachHoiDap", times=2, status=503)
    ask(portal, QUESTION)
    wait_until(lambda: len(questions(gateway)) == 1)
    assert portal.calls("LayDanhSachHoiDap") >= 3
    wait_until(lambda: courier.metric('vanthu_portal_received_total{outcome="taken"}') == 1)
    courier.stop()


def test_only_who_gets_questions_answers_them(gateway, portal):
    courier = Courier(gateway, portal, portal.config(more='questions_every_seconds = 600\nquestions_to = "H49.11"\n'))
    ask(portal, QUESTION)
    consignment = send(gateway, message("DongBoHoiDap", {"MaHoiDap": "7", "TraLoi": "x"}), "")
    wait_until(lambda: empty(gateway))
    assert words(gateway, 1) == {
        consignment: "service: H49.151 không được giao trả lời câu hỏi của công dân / "
        "service: H49.151 gets no questions of citizens, and may not answer them"}
    assert portal.calls("DongBoHoiDap") == 0
    courier.stop()


def test_one_answer_in_trouble_holds_back_no_other(gateway, portal):
    for name in ("7", "8"):
        ask(portal, QUESTION | {"MaHoiDap": name})
        send(gateway, message("DongBoHoiDap", {"MaHoiDap": name, "TraLoi": "x"}), "")
    portal.fail(service="DongBoHoiDap", times=1, error_code=20)
    courier = Courier(gateway, portal, asking(portal))
    wait_until(lambda: portal.book()["answers"])
    assert list(portal.book()["answers"]) == ["8"], "it does not wait until the first has its next turn"
    wait_until(lambda: empty(gateway))
    assert sorted(portal.book()["answers"]) == ["7", "8"]
    courier.stop()
