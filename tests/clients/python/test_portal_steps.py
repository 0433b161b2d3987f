"""Steps of dossiers that began at the portal: the courier tells the portal of each, without anybody's doing."""

import datetime
import time

import pytest
from gateway import CALL_SECONDS
from mail import acknowledge, refuse, waiting
from portal import AGENCY, DOSSIER, Courier, Portal, code_of, receiving, send_dossier, send_step, wait_until
from proofs import read_entry
from test_directory import APPROVED, change, closed_yesterday
from test_dossier import PROCEDURE, at, show, take
from vanthu.v1 import directory_service_pb2 as dr
from vanthu.v1 import dossier_pb2

VIETNAM = datetime.timezone(datetime.timedelta(hours=7))


@pytest.fixture
def portal(tmp_path):
    portal = Portal(tmp_path)
    yield portal
    portal.stop()


def following(portal):
    return portal.config(more=f'state = "{portal.folder / "steps.json"}"\n')


def registered(gateway, portal, number):
    """A dossier that began at the portal, which knows it."""
    code = code_of(number)
    portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": code, "TrangThaiHoSo": "1"}])
    take(gateway, code, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
    return code


def receive(gateway, code, **due):
    take(gateway, code, "RECEPTION", procedure_code=PROCEDURE, due_time=at(**(due or {"days": 20})))


def told(portal, code):
    return portal.book()["dossiers"][code]["steps"]


def expected(gateway, code):
    """Moments and agencies of the steps as the log has them."""
    facts = []
    for step in show(gateway, code).steps:
        entry, name = read_entry(step.receipt.leaf), dossier_pb2.DossierStep.Name(step.step)
        moment = datetime.datetime.fromisoformat(entry["time"]).astimezone(VIETNAM)
        facts.append((name.removeprefix("DOSSIER_STEP_"), entry["from"], moment.strftime("%Y%m%d%H%M%S")))
    return facts


def name(gateway, code):
    return gateway.system("province").directory.GetAgency(dr.GetAgencyRequest(code=code)).agency.name


def test_every_step_reaches_the_portal_with_its_office_moment_and_state(gateway, portal):
    courier, code = Courier(gateway, portal, following(portal)), registered(gateway, portal, 1)
    receive(gateway, code, seconds=2)
    # Its time ends at once, which is no news for the citizen; the apology is.
    wait_until(lambda: any(step.step == dossier_pb2.DOSSIER_STEP_OVERDUE for step in show(gateway, code).steps))
    for step, agency, fields in [
        ("APOLOGY", "H49.151", {"note": "mưa bão", "due_time": at(days=9)}),
        ("HANDOVER", "H49.151", {"to": "H49.11"}),
        ("SUPPLEMENT_REQUEST", "H49.11", {"note": "thiếu bản đồ"}),
        ("SUPPLEMENT", "H49.151", {}),
        ("OPINION_REQUEST", "H49.11", {"to": "H49", "consent_working_days": 5}),
        ("OPINION", "H49", {}),
        ("COMPLETION", "H49.11", {}),
        ("RETURN", "H49.151", {}),
    ]:
        take(gateway, code, step, agency, **fields)
    wait_until(lambda: len(told(portal, code)) == 9)
    steps, log = told(portal, code), expected(gateway, code)
    assert [fact[0] for fact in log][:3] == ["REGISTRATION", "RECEPTION", "OVERDUE"]
    # The portal itself registered it, and offices alone are told that time is over.
    log = [fact for fact in log if fact[0] not in ("REGISTRATION", "OVERDUE")]
    assert [step["TrangThai"] for step in steps] == ["2", "2", "4", "5", "4", "4", "4", "9", "10"]
    assert [(step["NguoiXuLy"], step["ThoiDiemXuLy"]) for step in steps] == [
        (name(gateway, agency), moment) for _, agency, moment in log]
    assert [step["NoiDungXuLy"] for step in steps] == [
        "Tiếp nhận hồ sơ", "Xin lỗi và hẹn lại ngày trả kết quả", "Chuyển hồ sơ", "Yêu cầu bổ sung hồ sơ",
        "Đã nhận hồ sơ bổ sung", "Lấy ý kiến cơ quan liên quan", "Cơ quan liên quan đã có ý kiến",
        "Đã xử lý xong", "Đã trả kết quả"]
    assert not any("thiếu bản đồ" in str(step) or "mưa bão" in str(step) for step in steps), "notes are not told"
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="taken"}') == 9)
    courier.stop()


def test_kills_and_outages_lose_no_step(gateway, portal):
    codes = [registered(gateway, portal, number) for number in range(1, 9)]
    courier = Courier(gateway, portal, following(portal))
    portal.fail(status=503)
    for code in codes:
        receive(gateway, code)
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="failed"}') == 2)
    courier.kill()
    portal.fail(slow_ms=20)
    kills = 0
    for step in ("APPRAISAL", "APPROVAL", "SEALING"):
        courier = Courier(gateway, portal, following(portal))
        before = sum(len(told(portal, code)) for code in codes)
        for code in codes:
            take(gateway, code, step)
        wait_until(lambda: sum(len(told(portal, code)) for code in codes) > before + 2)
        courier.kill()
        kills += 1
    courier = Courier(gateway, portal, following(portal))
    wait_until(lambda: all(len(told(portal, code)) == 4 for code in codes))
    courier.stop()
    for code in codes:
        moments = [fact[2] for fact in expected(gateway, code)[1:]]
        assert [step["ThoiDiemXuLy"] for step in told(portal, code)] == moments, "in order, each once"
    assert portal.book()["repeated_steps"] <= kills, "only what was under way at a kill came again"


def test_without_its_file_the_courier_tells_again_the_same(gateway, portal):
    codes = [registered(gateway, portal, number) for number in (1, 2)]
    for code in codes:
        receive(gateway, code)
    courier = Courier(gateway, portal, following(portal))
    wait_until(lambda: all(told(portal, code) for code in codes))
    courier.stop()
    again = Courier(gateway, portal, following(portal))
    take(gateway, codes[0], "APPRAISAL")
    wait_until(lambda: len(told(portal, codes[0])) == 2)
    again.stop()
    assert portal.book()["repeated_steps"] == 0, "what the file has is not told again"
    (portal.folder / "steps.json").unlink()
    again = Courier(gateway, portal, following(portal))
    wait_until(lambda: portal.book()["repeated_steps"] == 3)
    again.stop()
    assert [len(told(portal, code)) for code in codes] == [2, 1]
    (portal.folder / "steps.json").write_text("[]")
    with pytest.raises(AssertionError, match="steps.json"):
        Courier(gateway, portal, following(portal))


def test_a_step_comes_after_the_messages_before_it(gateway, portal):
    code = code_of(1)
    # The portal does not know the dossier: its record waits in the mailbox, and steps behind it.
    take(gateway, code, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
    send_dossier(gateway, code)
    receive(gateway, code)
    other = registered(gateway, portal, 2)
    receive(gateway, other)
    portal.fail(service="DongBoHoSoMC", times=1, error_code=20)
    courier = Courier(gateway, portal, following(portal))
    wait_until(lambda: len(told(portal, other)) == 1)
    wait_until(lambda: code in portal.book()["dossiers"] and len(told(portal, code)) == 1)
    assert courier.metric('vanthu_portal_messages_total{outcome="refused"}') is None
    courier.stop()


def test_a_step_that_the_portal_refuses_holds_nothing_back(gateway, portal):
    unknown, courier = code_of(1), Courier(gateway, portal, following(portal))
    take(gateway, unknown, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
    receive(gateway, unknown)
    code = registered(gateway, portal, 2)
    receive(gateway, code)
    wait_until(lambda: len(told(portal, code)) == 1)
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="refused"}') == 1)
    courier.stop()


def test_dossiers_that_began_elsewhere_are_not_told(gateway, portal):
    courier = Courier(gateway, portal, following(portal))
    own, code = code_of(1), registered(gateway, portal, 2)
    portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": own}])
    receive(gateway, own)
    receive(gateway, code)
    wait_until(lambda: len(told(portal, code)) == 1)
    courier.stop()
    assert told(portal, own) == []


def on_one_port(gateway):
    """Its configuration keeps the port that it has now."""
    port, text = gateway.address.rsplit(":", 1)[1], gateway.config.read_text()
    gateway.config.write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'))


def test_no_step_overtakes_its_record_when_the_gateway_comes_back(gateway, portal):
    on_one_port(gateway)
    codes = [code_of(number) for number in range(1, 4)]
    courier = Courier(gateway, portal, following(portal))
    portal.fail(status=503)
    for code in codes:
        take(gateway, code, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
        send_dossier(gateway, code)
        receive(gateway, code)
    wait_until(lambda: courier.metric("vanthu_portal_waiting") == 2 * len(codes))
    gateway.stop()
    wait_until(lambda: "the gateway cannot be asked" in courier.traces())
    # So long that no dossier is held any more.
    time.sleep(8)
    portal.fail()
    gateway.restart()
    wait_until(lambda: all(code in portal.book()["dossiers"] and told(portal, code) for code in codes))
    assert courier.metric('vanthu_portal_messages_total{outcome="refused"}') is None
    courier.stop()


def test_a_cursor_that_is_none_ends_the_courier(gateway, portal):
    (portal.folder / "steps.json").write_text('{"cursor": "x", "until": "", "left": []}')
    courier = Courier(gateway, portal, following(portal))
    assert courier.process.wait(CALL_SECONDS) == 5
    assert "PAGE_TOKEN_MALFORMED" in courier.traces() or "cursor" in courier.traces()
    courier.stop()


def test_nobody_but_the_portal_begins_what_the_portal_is_told_of(gateway, portal):
    courier = Courier(gateway, portal, following(portal))
    codes = [code_of(number) for number in range(1, 5)]
    for code in codes:
        portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": code}])
    given, asked, handed, own = codes
    take(gateway, given, "REGISTRATION", "H49.11", to=AGENCY, procedure_code=PROCEDURE)
    for code in (asked, handed):
        receive(gateway, code)
    take(gateway, asked, "OPINION_REQUEST", to=AGENCY, consent_working_days=5)
    take(gateway, handed, "HANDOVER", to=AGENCY)
    take(gateway, own, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
    receive(gateway, own)
    wait_until(lambda: told(portal, own))
    assert [told(portal, code) for code in (given, asked, handed)] == [[], [], []]
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="taken"}') == 1)
    wait_until(lambda: courier.metric("vanthu_portal_waiting") == 0)
    courier.stop()


def test_a_dossier_of_another_province_is_told_only_of_those_that_may_write_about_it(gateway, portal):
    code, own = "H01.7-20261123-0001", registered(gateway, portal, 1)
    portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": code}])
    take(gateway, code, "REGISTRATION", AGENCY, "portal", to="H49.151", procedure_code=PROCEDURE)
    for each in (code, own):
        receive(gateway, each)
    courier = Courier(gateway, portal, following(portal))
    wait_until(lambda: told(portal, own))
    courier.stop()
    assert told(portal, code) == [] and "a step of another province" in courier.traces()
    (portal.folder / "steps.json").unlink()
    config = portal.config(more=f'state = "{portal.folder / "steps.json"}"\nabroad = ["H49.151"]\n')
    courier = Courier(gateway, portal, config)
    wait_until(lambda: told(portal, code))
    courier.stop()


def test_a_message_comes_after_the_steps_before_it(gateway, portal):
    codes = [registered(gateway, portal, number) for number in range(1, 11)]
    for code in codes:
        receive(gateway, code)
        send_step(gateway, code)
    courier = Courier(gateway, portal, following(portal))
    wait_until(lambda: all(len(told(portal, code)) == 2 for code in codes))
    # And where both come while it waits for news.
    for code in codes:
        take(gateway, code, "APPRAISAL")
        send_step(gateway, code, ThoiDiemXuLy="20261124100000", NoiDungXuLy="Trình ký")
        take(gateway, code, "APPROVAL")
    wait_until(lambda: all(len(told(portal, code)) == 5 for code in codes))
    courier.stop()
    for code in codes:
        assert [step["NoiDungXuLy"] for step in told(portal, code)] == [
            "Tiếp nhận hồ sơ", "Thẩm định", "Thẩm định hồ sơ", "Trình ký", "Phê duyệt"]


def test_a_document_that_an_office_sends_back_is_an_error_for_an_operator(gateway, portal):
    config = receiving(portal, f'state = "{portal.folder / "steps.json"}"\n')
    courier = Courier(gateway, portal, config)
    for number in (1, 2):
        record = DOSSIER | {"MaHoSo": code_of(number), "TrangThaiHoSo": "1"}
        assert courier.tell("DongBoHoSoMC", record) == (0, "")
    commune = gateway.system("commune")
    first, second = waiting(commune, "H49.151")
    acknowledge(commune, "H49.151", first.consignment_id)
    refuse(commune, "H49.151", second.consignment_id, "không thuộc thẩm quyền")
    wait_until(lambda: courier.metric("vanthu_portal_returned_total") == 1)
    [error] = [line for line in courier.traces().splitlines() if "is not taken" in line]
    assert "ERROR" in error and second.consignment_id in error and "thẩm quyền" not in error
    wait_until(lambda: (portal.folder / "steps.json").exists())
    courier.stop()
    courier = Courier(gateway, portal, config)
    assert courier.tell("DongBoHoSoMC", DOSSIER | {"MaHoSo": code_of(3)}) == (0, "")
    third = waiting(commune, "H49.151")[-1]
    refuse(commune, "H49.151", third.consignment_id, "x")
    wait_until(lambda: third.consignment_id in courier.traces())
    assert courier.metric("vanthu_portal_returned_total") == 1, "what was told is not told again"
    courier.stop()


def test_a_succession_is_told_of_the_successor_where_the_citizen_would_ask_the_closed_one(pki, start, portal, tmp_path):
    gateway = start(pki.copy(tmp_path / "pki"))
    closed, successor = "H49.152", "H49.151"
    had, asked = code_of(1), registered(gateway, portal, 2)
    portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": had}])
    take(gateway, had, "REGISTRATION", AGENCY, "portal", to=closed, procedure_code=PROCEDURE)
    take(gateway, had, "RECEPTION", closed, "commune", procedure_code=PROCEDURE, due_time=at(days=20))
    receive(gateway, asked)
    take(gateway, asked, "HANDOVER", to="H49.11")
    take(gateway, asked, "OPINION_REQUEST", "H49.11", to=closed, consent_working_days=15)
    change(gateway, lambda text: APPROVED + closed_yesterday(closed, successor)(text))
    gateway.reload()
    is_over = lambda code: show(gateway, code).steps[-1].step == dossier_pb2.DOSSIER_STEP_SUCCESSION
    wait_until(lambda: is_over(had) and is_over(asked))
    courier = Courier(gateway, portal, following(portal))
    take(gateway, asked, "APPRAISAL", "H49.11")
    wait_until(lambda: len(told(portal, had)) == 2 and len(told(portal, asked)) == 4)
    courier.stop()
    assert [step["NoiDungXuLy"] for step in told(portal, asked)] == [
        "Tiếp nhận hồ sơ", "Chuyển hồ sơ", "Lấy ý kiến cơ quan liên quan", "Thẩm định hồ sơ"]
    step = told(portal, had)[-1]
    assert (step["NoiDungXuLy"], step["NguoiXuLy"], step["TrangThai"]) == (
        "Cơ quan kế thừa tiếp tục xử lý hồ sơ", name(gateway, successor), "2")
    gateway.stop()
