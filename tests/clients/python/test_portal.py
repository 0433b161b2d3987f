"""The National Public Service Portal: the stand-in, and the courier that hands dossiers over to it."""

import json
import random
import subprocess
import time

import pytest
from gateway import CALL_SECONDS, binary
from mail import next_event, waiting, watching
from papers import Letter
from portal import (
    AGENCY,
    DOSSIER,
    FROM_CATALOGUE,
    MEDIA_TYPE,
    STATUS,
    STEP,
    Courier,
    Portal,
    code_of,
    message,
    send,
    send_dossier,
    send_step,
    wait_until,
)
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import trace_service_pb2 as tr


SERVICES = [("DongBoHoSoMC", DOSSIER), ("CapNhatTienDoHoSoMC", STEP), ("DongBoTrangThaiHoSo", STATUS)]


def data_of(service, record):
    """As the service wants it: records, or one."""
    return record if service == "DongBoTrangThaiHoSo" else [record]


@pytest.fixture
def portal(tmp_path):
    portal = Portal(tmp_path)
    yield portal
    portal.stop()


@pytest.fixture
def courier(gateway, portal):
    courier = Courier(gateway, portal)
    yield courier
    courier.stop()


def empty(gateway):
    """Whether everything has left the portal's mailbox."""
    return not waiting(gateway.system("portal"), AGENCY)


def delivery(gateway, consignment):
    request = tr.ListDeliveriesRequest(consignment_id=consignment)
    [found] = gateway.system("commune").trace.ListDeliveries(request).deliveries
    return found


def words(gateway, count):
    """Why so many messages of the commune came back, by consignment."""
    found = {}
    with watching(gateway.system("commune"), "H49.151") as stream:
        for event in stream:
            if event.HasField("notice") and event.notice.event == "ConsignmentRejection":
                found[event.notice.consignment_id] = event.notice.note
            if len(found) == count:
                return found
    raise AssertionError("the watch ended")


# ── the stand-in ─────────────────────────────────────────────────────────────────────────────────


def test_the_stand_in_answers_in_every_form_that_was_seen(portal):
    session, codes = portal.session(), []
    for _ in range(6):
        codes.append(portal.call("LayDanhSachTTHC", session)["error_code"])
    assert {repr(code) for code in codes} == {"'0'", "'00'", "0"}
    errors = [portal.call("LayDanhSachTTHC", "x")["error_code"] for _ in range(2)]
    assert sorted(map(repr, errors)) == ["'15'", "15"]


@pytest.mark.parametrize("service, full", SERVICES)
def test_the_stand_in_refuses_each_compulsory_field_missing(portal, service, full):
    session, code = portal.session(), code_of(1)
    full = full | {"MaHoSo": code}
    if service != "DongBoHoSoMC":
        portal.call("DongBoHoSoMC", session, isUpdating="False", data=[DOSSIER | {"MaHoSo": code}])
    for name in full:
        for wrong in ({**full, name: ""}, {key: value for key, value in full.items() if key != name}):
            answer = portal.call(service, session, isUpdating="False", data=data_of(service, wrong))
            assert (int(answer["error_code"]), answer["message"]) == (-1, name)
    assert int(portal.call(service, session, isUpdating="False", data=data_of(service, full))["error_code"]) == 0


def test_the_stand_in_creates_once_and_replaces_what_it_has(portal):
    session, record = portal.session(), DOSSIER | {"MaHoSo": code_of(1)}
    put = lambda updating: int(portal.call("DongBoHoSoMC", session, isUpdating=updating, data=[record])["error_code"])
    assert [put("True"), put("False"), put("False"), put("True"), put("true")] == [-1, 0, -1, 0, -1]
    assert portal.book()["dossiers"][code_of(1)]["replaced"] == 1
    [found] = portal.call("TraCuuHoSo", session, mahoso=code_of(1))["result"]
    assert found["Email"] == record["Email"]
    assert portal.call("TraCuuHoSo", session, mahoso=code_of(2))["result"] == []


# ── the check ────────────────────────────────────────────────────────────────────────────────────


def check(config, *more):
    command = [binary(), "portal", "check", "--config", config, "--output", "json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_an_operator_checks_the_way_to_the_portal(portal):
    assert check(portal.config()) == (0, {"ok": True, "procedures": 4}, "")
    code, _, speech = check(portal.config(), "--dossier", code_of(1))
    assert code == 6 and f"does not know the dossier {code_of(1)}" in speech
    portal.call("DongBoHoSoMC", isUpdating="False", data=[DOSSIER | {"MaHoSo": code_of(1)}])
    code, found, _ = check(portal.config(), "--dossier", code_of(1))
    assert code == 0 and found["MaTTHC"] == "1.003003"
    config = portal.config()
    portal.set_login("hcm", "mat-khau-2")
    assert check(config)[0] == 0, "the file is read when it is needed"
    wrong = portal.folder / "wrong.toml"
    wrong.write_text('username = "hcm"\npassword = "x"\n')
    code, _, speech = check(portal.config(wrong))
    assert code == 5 and "(15)" in speech
    portal.fail(status=503)
    code, _, speech = check(config)
    assert code == 4 and "HTTP status 503" in speech
    portal.fail(slow_ms=3000)
    code, _, speech = check(portal.config(more="wait_seconds = 1\n"))
    assert code == 4 and "did not answer within 1 s" in speech
    portal.stop()
    code, _, speech = check(config)
    assert code == 4 and "cannot be reached" in speech


# ── the courier ──────────────────────────────────────────────────────────────────────────────────


def test_a_dossier_and_its_steps_reach_the_portal_and_are_acknowledged(gateway, portal):
    courier = Courier(gateway, portal, portal.config(more='[states]\ncho-bo-sung = 5\n'))
    code = code_of(1)
    lacking = {name: "" for name in FROM_CATALOGUE}
    consignments = [
        send_dossier(gateway, code, **lacking, NgayTiepNhan="2026-11-23T01:00:00Z", ChuHoSo="Nguyễn Văn A"),
        send_step(gateway, code),
        send_step(gateway, code, ThoiDiemXuLy="20261125090000", TrangThai="cho-bo-sung"),
        send_dossier(gateway, code, TrangThaiHoSo="cho-bo-sung", ChuHoSo="Nguyễn Văn A"),
        send(gateway, message("DongBoTrangThaiHoSo", STATUS | {"MaHoSo": code}), code),
    ]
    wait_until(lambda: empty(gateway))
    kept = portal.book()["dossiers"][code]
    assert kept["replaced"] == 1 and kept["record"]["TrangThaiHoSo"] == "9"
    assert [kept["record"][name] for name in ["TenLinhVuc", "NgayTiepNhan", "Fax", "TaiLieuNop"]] == [
        "Đất đai", "20261123080000", "", []]
    assert [step["TrangThai"] for step in kept["steps"]] == ["4", "5"]
    for consignment in consignments:
        assert delivery(gateway, consignment).transport == delivery_pb2.TRANSPORT_HANDED_OVER
    assert portal.calls("login") == 1, "one session serves all"
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="taken"}') == 5)
    wait_until(lambda: courier.metric("vanthu_portal_waiting") == 0)
    for traces in (courier.traces(), gateway.traces()):
        assert "Nguyễn" not in traces and "example.invalid" not in traces and "mat-khau" not in traces
    courier.stop()


@pytest.mark.parametrize("service, full", SERVICES)
def test_each_compulsory_field_missing_comes_back_with_its_name(gateway, portal, courier, service, full):
    code = code_of(1)
    # The catalogue gives what it has; without the procedure's code nothing is asked of it.
    names = [name for name in full if name not in FROM_CATALOGUE]
    sent = {name: send(gateway, message(service, full | {"MaHoSo": code, name: ""}), code) for name in names}
    wait_until(lambda: empty(gateway))
    heard = words(gateway, len(names))
    assert {name: heard[consignment] for name, consignment in sent.items()} == {
        name: f"{name}: thiếu trường bắt buộc / {name}: compulsory field missing" for name in names}
    assert portal.calls(service) == 0
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="refused"}') == len(names))


@pytest.mark.parametrize("content, why", [
    (b"{", "không phải đối tượng JSON có service và data / not a JSON object with service and data"),
    (message("XoaHoSo", {}), "service: không phải dịch vụ của Cổng được hỗ trợ / "
     "service: none of DongBoHoSoMC, CapNhatTienDoHoSoMC, DongBoTrangThaiHoSo, DongBoHoiDap"),
    (message("DongBoHoSoMC", DOSSIER | {"MaHoSo": "H49.151-20261123-0002"}),
     "MaHoSo: không phải mã hồ sơ ghi trên phong bì / MaHoSo: not the dossier code of the envelope"),
    (message("DongBoHoSoMC", {"MaTTHC": "9.999999"}),
     "MaTTHC: danh mục của Cổng không có thủ tục này / MaTTHC: the portal's catalogue has no such procedure"),
    (message("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": code_of(1)}),
     "Cổng từ chối (-1) / the portal refuses it (-1): MaHoSo: not known"),
    (b" " * 262145, "thông điệp có tối đa 262144 byte / a message has at most 262144 bytes"),
])
def test_what_cannot_be_taken_comes_back_with_the_reason(gateway, portal, courier, content, why):
    consignment = send(gateway, content, code_of(1))
    wait_until(lambda: empty(gateway))
    assert words(gateway, 1) == {consignment: why}


def test_only_agencies_of_its_province_write_about_a_dossier(gateway, portal):
    config = portal.config(more='abroad = ["H49.11"]\n')
    courier = Courier(gateway, portal, config)
    codes = ["H01.7-20261123-0001", "000.00.07.H01-261123-0002", "H49.999-20261123-0003", "000.00.9.H49-261123-0004"]
    sent = [send_dossier(gateway, code) for code in codes]
    wait_until(lambda: empty(gateway))
    assert words(gateway, 2) == {
        consignment: "MaHoSo: hồ sơ của H01; H49.151 không được gửi thông điệp về hồ sơ này / "
        "MaHoSo: a dossier of H01, about which H49.151 may not write" for consignment in sent[:2]}
    assert sorted(portal.book()["dossiers"]) == sorted(codes[2:])
    listed = Letter("H49.11", (AGENCY,), message("DongBoHoSoMC", DOSSIER | {"MaHoSo": codes[0]}),
                    dossier_code=codes[0])
    listed.fields.parts[0].media_type = MEDIA_TYPE
    listed.send(gateway.system("province"))
    wait_until(lambda: empty(gateway))
    assert codes[0] in portal.book()["dossiers"]
    courier.stop()


def test_documents_to_the_portal_that_are_no_messages_stay(gateway, portal, courier):
    letter = Letter(to=(AGENCY,)).send(gateway.system("commune")).consignment_id
    send_dossier(gateway, code_of(1))
    wait_until(lambda: portal.calls("DongBoHoSoMC") == 1)
    wait_until(lambda: [item.consignment_id for item in waiting(gateway.system("portal"), AGENCY)] == [letter])


def test_after_an_outage_everything_comes_once_and_in_order(gateway, portal, courier):
    portal.fail(status=503)
    codes = [code_of(number) for number in range(1, 21)]
    for code in codes:
        send_dossier(gateway, code)
    for step in range(3):
        for code in codes:
            send_step(gateway, code, ThoiDiemXuLy=f"2026112{4 + step}090000", NoiDungXuLy=f"bước {step}")
    time.sleep(5)
    asked = sum(portal.book()["calls"].values())
    assert asked <= 8, f"no storm: {asked} calls in five seconds"
    assert courier.metric('vanthu_portal_messages_total{outcome="taken"}') is None
    courier.kill()
    portal.fail(slow_ms=20)
    again = Courier(gateway, portal)
    wait_until(lambda: len(portal.book()["dossiers"]) >= 5)
    again.kill()
    again = Courier(gateway, portal)
    wait_until(lambda: empty(gateway))
    again.stop()
    book = portal.book()
    assert sorted(book["dossiers"]) == codes
    for code, kept in book["dossiers"].items():
        assert [step["NoiDungXuLy"] for step in kept["steps"]] == ["bước 0", "bước 1", "bước 2"], code
        assert kept["replaced"] <= 1, "at most what was under way at the kill came again"


def test_kills_at_any_moment_lose_nothing_and_double_nothing(gateway, portal):
    seed, kills = 20261128, 8
    chance = random.Random(seed)
    print("seed", seed)
    codes = [code_of(number) for number in range(1, 26)]
    for code in codes:
        send_dossier(gateway, code)
    for step in range(2):
        for code in codes:
            send_step(gateway, code, NoiDungXuLy=f"bước {step}")
    portal.fail(slow_ms=20)

    def count():
        return len(waiting(gateway.system("portal"), AGENCY))

    left = [count()]
    for _ in range(kills):
        courier = Courier(gateway, portal)
        goal = max(left[-1] - chance.randrange(1, 8), 0)
        wait_until(lambda goal=goal: count() <= goal)
        time.sleep(chance.uniform(0, 0.04))
        courier.kill()
        left.append(count())
    assert len({waits for waits in left if waits > 0}) > 4, f"the kills came in the middle: {left}"
    courier = Courier(gateway, portal)
    wait_until(lambda: empty(gateway))
    courier.stop()
    book = portal.book()
    assert sorted(book["dossiers"]) == codes
    steps = [[step["NoiDungXuLy"] for step in kept["steps"]] for kept in book["dossiers"].values()]
    assert steps == [["bước 0", "bước 1"]] * len(codes)
    again = book["repeated_steps"] + sum(kept["replaced"] for kept in book["dossiers"].values())
    assert again <= kills, "only what was under way at a kill came again, with the same words"


def test_an_urgent_step_does_not_overtake_its_dossier(gateway, portal):
    code, flash = code_of(1), envelope_pb2.URGENCY_FLASH
    send_dossier(gateway, code)
    # Its step ends the first page of the mailbox, and it stands on the second, in a lane that comes later.
    for number in range(2, 501):
        send(gateway, b"{", code_of(number), urgency=flash)
    send(gateway, message("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": code}), code, urgency=flash)
    courier = Courier(gateway, portal)
    wait_until(lambda: empty(gateway))
    wait_until(lambda: courier.metric('vanthu_portal_messages_total{outcome="taken"}') == 2)
    courier.stop()
    assert len(portal.book()["dossiers"][code]["steps"]) == 1


def test_what_another_watch_holds_is_acknowledged_when_it_lets_go(gateway, portal):
    send_dossier(gateway, code_of(1))
    with watching(gateway.system("portal"), AGENCY) as stream:
        assert next_event(stream, "item")[0].dossier_code == code_of(1)
        courier = Courier(gateway, portal)
        wait_until(lambda: "somebody else holds it" in courier.traces())
        send_step(gateway, code_of(1))
    wait_until(lambda: empty(gateway))
    courier.stop()
    kept = portal.book()["dossiers"][code_of(1)]
    assert len(kept["steps"]) == 1


def test_an_answer_that_was_lost_makes_no_second_dossier(gateway, portal, courier):
    portal.fail(service="DongBoHoSoMC", times=1, status=504, done=True)
    send_dossier(gateway, code_of(1))
    send_step(gateway, code_of(1))
    wait_until(lambda: empty(gateway))
    kept = portal.book()["dossiers"][code_of(1)]
    assert (kept["replaced"], len(kept["steps"])) == (1, 1)


def test_one_dossier_in_trouble_holds_back_no_other(gateway, portal, courier):
    portal.fail(service="DongBoHoSoMC", times=1, error_code=20)
    send_dossier(gateway, code_of(1))
    send_step(gateway, code_of(1))
    send_dossier(gateway, code_of(2))
    wait_until(lambda: empty(gateway))
    dossiers = portal.book()["dossiers"]
    assert len(dossiers[code_of(1)]["steps"]) == 1 and code_of(2) in dossiers


def test_one_record_that_never_goes_holds_back_only_its_own_dossier(gateway, portal, courier):
    codes = [code_of(number) for number in range(1, 21)]
    portal.fail(service="CapNhatTienDoHoSoMC", error_code=20)
    send_dossier(gateway, codes[0])
    stuck = send_step(gateway, codes[0])
    for code in codes[1:]:
        send_dossier(gateway, code)
    wait_until(lambda: sorted(portal.book()["dossiers"]) == codes)
    assert [item.consignment_id for item in waiting(gateway.system("portal"), AGENCY)] == [stuck]
    assert portal.calls("CapNhatTienDoHoSoMC") <= 6, "it is tried ever less often"


def test_a_message_that_the_gateway_cannot_read_holds_back_only_its_own_dossier(gateway, portal):
    damaged = send_dossier(gateway, code_of(1), GhiChu="dấu vết" * 1000)
    send_step(gateway, code_of(1))
    send_dossier(gateway, code_of(2))
    places = [path for path in (gateway.folder / "data").rglob("*") if path.is_file()]
    bent = [path for path in places if ("dấu vết" * 9).encode() in path.read_bytes()]
    assert bent, "the message stands somewhere"
    for path in bent:
        path.write_bytes(path.read_bytes().replace("dấu vết".encode(), "dấu vẾt".encode()))
    courier = Courier(gateway, portal)
    send_dossier(gateway, code_of(3))
    wait_until(lambda: sorted(portal.book()["dossiers"]) == [code_of(2), code_of(3)])
    wait_until(lambda: "the gateway cannot serve it" in courier.traces())
    assert waiting(gateway.system("portal"), AGENCY)[0].consignment_id == damaged
    assert portal.book()["dossiers"][code_of(2)]["replaced"] == 0
    courier.stop()


def test_look_ups_that_are_refused_decide_nothing_about_others(gateway, portal, courier):
    portal.fail(service="LayThuTuc", times=1, error_code=9)
    unknown = send_dossier(gateway, code_of(1), **{name: "" for name in FROM_CATALOGUE})
    wait_until(lambda: empty(gateway))
    assert words(gateway, 1) == {unknown: "MaTTHC: danh mục của Cổng không có thủ tục này / MaTTHC: the portal's catalogue has no such procedure"}
    portal.fail(service="TraCuuHoSo", times=1, error_code=9)
    send_dossier(gateway, code_of(2))
    wait_until(lambda: empty(gateway))
    assert sorted(portal.book()["dossiers"]) == [code_of(2)]


def test_a_session_that_has_run_out_is_renewed(gateway, tmp_path):
    portal = Portal(tmp_path, session_seconds=1)
    courier = Courier(gateway, portal)
    send_dossier(gateway, code_of(1))
    wait_until(lambda: empty(gateway))
    time.sleep(1.1)
    send_dossier(gateway, code_of(2))
    wait_until(lambda: empty(gateway))
    assert portal.calls("login") == 2 and portal.calls("15") == 0
    courier.stop()
    portal.stop()


def test_credentials_that_do_not_count_raise_one_alarm_and_no_storm_until_they_change(gateway, portal):
    ours = portal.folder / "ours.toml"
    ours.write_text('username = "hcm"\npassword = "mat-khau-1"\n')
    courier = Courier(gateway, portal, portal.config(ours))
    send_dossier(gateway, code_of(1))
    wait_until(lambda: empty(gateway))
    # The portal changes the password and ends all sessions.
    portal.set_login("hcm", "mat-khau-2")
    portal.fail(service="TraCuuHoSo", times=1, error_code=15)
    for number in range(2, 12):
        send_dossier(gateway, code_of(number))
    wait_until(lambda: courier.metric("vanthu_portal_credentials_refused") == 1)
    time.sleep(5)
    assert portal.calls("15") == 1, "asked once, and not again"
    assert courier.traces().count("ALARM") == 1
    assert len(waiting(gateway.system("portal"), AGENCY)) == 10, "nothing is lost"
    ours.write_text('username = "hcm"\npassword = "mat-khau-2"\n')
    wait_until(lambda: empty(gateway))
    assert len(portal.book()["dossiers"]) == 11
    wait_until(lambda: courier.metric("vanthu_portal_credentials_refused") == 0)
    assert courier.traces().count("ALARM") == 1 and "mat-khau" not in courier.traces()
    courier.stop()


def test_the_courier_goes_on_when_its_gateway_comes_back(gateway, portal, courier):
    send_dossier(gateway, code_of(1))
    wait_until(lambda: empty(gateway))
    port = gateway.address.rsplit(":", 1)[1]
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'))
    gateway.restart()
    send_dossier(gateway, code_of(2))
    wait_until(lambda: empty(gateway))
    assert sorted(portal.book()["dossiers"]) == [code_of(1), code_of(2)]


def test_only_the_portals_system_empties_its_mailbox(gateway, portal):
    server = f"https://localhost:{gateway.address.rsplit(':', 1)[1]}"
    command = [binary(), "portal", "run", "--config", portal.config(), "--server", server, "--ca",
               gateway.pki.folder / "tls/ca.pem", "--cert", gateway.pki.folder / "systems/commune.pem"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
    assert done.returncode == 5 and f"the mailbox of {AGENCY}" in done.stderr, done.stderr
