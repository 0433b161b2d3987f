"""Dossiers that begin at the National Public Service Portal: it calls the courier's door, and they come as
documents."""

import hashlib
import itertools
import json
import random
import subprocess
import threading
import uuid

import pytest
from gateway import CALL_SECONDS, binary
from grpc import StatusCode as Code
from mail import document, fetch, waiting
from papers import Letter
from portal import (
    AGENCY,
    DOSSIER,
    MEDIA_TYPE,
    STATUS,
    STEP,
    Courier,
    Portal,
    ask,
    code_of,
    receiving,
    wait_until,
)
from refusals import refused
from vanthu.v1 import dossier_service_pb2 as ds
from vanthu.v1 import envelope_pb2
from vanthu.v1 import trace_service_pb2 as tr

NEW = DOSSIER | {"TrangThaiHoSo": "1"}
SERVICES = [("DongBoHoSoMC", NEW), ("CapNhatTienDoHoSoMC", STEP), ("DongBoTrangThaiHoSo", STATUS | {"NgayXuLy": "20261124090000"})]


@pytest.fixture
def portal(tmp_path):
    portal = Portal(tmp_path)
    yield portal
    portal.stop()


@pytest.fixture
def courier(gateway, portal):
    courier = Courier(gateway, portal, receiving(portal))
    yield courier
    courier.stop()


def desk(gateway, agency="H49.151", system="commune"):
    """Items in the office's mailbox."""
    return waiting(gateway.system(system), agency)


def content(gateway, item, agency="H49.151", system="commune"):
    """The message in a document, and its envelope."""
    system = gateway.system(system)
    envelope = envelope_pb2.Envelope.FromString(document(system, agency, item.consignment_id).envelope)
    [part] = envelope.parts
    assert part.media_type == MEDIA_TYPE
    return json.loads(fetch(system, agency, item.consignment_id, part.name)), envelope


def dossier(gateway, code, system="commune"):
    return gateway.system(system).dossier.GetDossier(ds.GetDossierRequest(dossier_code=code)).dossier


def test_a_dossier_from_the_portal_comes_to_its_office_and_is_registered_once(gateway, portal):
    courier, code = Courier(gateway, portal, receiving(portal)), code_of(1)
    record = NEW | {"MaHoSo": code, "ChuHoSo": "Nguyễn Văn A"}
    with gateway.writes(3):  # accepted, consigned, registered
        assert courier.tell("DongBoHoSoMC", record) == (0, "")
    [item] = desk(gateway)
    said, envelope = content(gateway, item)
    assert (item.sender, item.dossier_code, said["service"]) == (AGENCY, code, "DongBoHoSoMC")
    assert {name: said["data"][name] for name in record} == record
    assert envelope.subject == f"Cổng gửi hồ sơ {code}, trạng thái 1"
    registered = dossier(gateway, code)
    assert (registered.state, registered.reception, registered.procedure_code) == (1, "H49.151", record["MaTTHC"])
    with gateway.writes(0):
        assert courier.tell("DongBoHoSoMC", record) == (0, "")
        # The same in another spelling, from a courier that remembers nothing.
        courier.kill()
        courier = Courier(gateway, portal, receiving(portal))
        again = record | {"LoaiDoiTuong": 1, "NgayTiepNhan": "2026-11-23T01:00:00Z", "Fax": ""}
        assert courier.tell("DongBoHoSoMC", again) == (0, "")
    [found] = courier.find(code)
    assert (found["ChuHoSo"], found["TrangThaiHoSo"], found["TienDoXuLy"]) == ("Nguyễn Văn A", "1", [])
    assert courier.find(code_of(2)) == []
    wait_until(lambda: courier.metric('vanthu_portal_received_total{outcome="taken"}') == 1)
    for traces in (courier.traces(), gateway.traces()):
        assert "Nguyễn" not in traces and "example.invalid" not in traces and "mat-khau" not in traces
    courier.stop()


def test_an_office_of_the_map_gets_its_dossiers_and_what_follows(gateway, portal):
    courier = Courier(gateway, portal, receiving(portal, '[offices]\n"Sở Xây dựng" = "H49.11"\n'))
    code = code_of(1)
    assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code, "DonViXuLy": "Sở Xây dựng"})[0] == 0
    assert courier.tell("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": code})[0] == 0
    assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code_of(2)})[0] == 0
    courier.stop()
    told = [content(gateway, item, "H49.11", "province")[0] for item in desk(gateway, "H49.11", "province")]
    assert [one["service"] for one in told] == ["DongBoHoSoMC", "CapNhatTienDoHoSoMC"]
    assert [item.dossier_code for item in desk(gateway)] == [code_of(2)]
    assert dossier(gateway, code, "province").reception == "H49.11"


@pytest.mark.parametrize("service, full", SERVICES)
def test_each_compulsory_field_missing_is_named_to_the_portal(gateway, courier, service, full):
    session, full = courier.log_in()["session"], full | {"MaHoSo": code_of(1)}
    with gateway.writes(0):
        for name in full:
            for wrong in ({**full, name: ""}, {key: value for key, value in full.items() if key != name}):
                assert courier.tell(service, wrong, session) == (
                    -1, f"{name}: thiếu trường bắt buộc / {name}: compulsory field missing")
    with gateway.writes(0):
        assert courier.tell(service, full | {"MaHoSo": "H49.151"}, session) == (
            -1, "MaHoSo: không phải mã hồ sơ / MaHoSo: not a dossier code")
        # One wrong record, and none of the call is taken.
        data = [full, full | {"MaHoSo": code_of(2), "TrangThai": "11", "TrangThaiHoSo": "11"}]
        if service != "DongBoTrangThaiHoSo":
            assert courier.call(service, session, isUpdating="False", data=data)["error_code"] == "-1"
    assert courier.tell(service, full, session) == (0, "")


def test_a_call_that_is_none_is_answered_and_changes_nothing(gateway, courier):
    good = {"session": courier.log_in()["session"], "madonvi": "x", "service": "DongBoHoSoMC", "isUpdating": "False",
            "data": [NEW | {"MaHoSo": code_of(1)}]}
    with gateway.writes(0):
        for change, code, words in [
            ({"session": "x"}, "15", "phiên làm việc không hợp lệ"),
            ({"session": None}, "15", "phiên làm việc không hợp lệ"),
            ({"madonvi": ""}, "-1", "madonvi"),
            ({"service": "XoaHoSo"}, "-1", "service"),
            ({"isUpdating": "no"}, "-1", "isUpdating"),
            ({"data": {}}, "-1", "data"),
            ({"data": ["x"]}, "-1", "data"),
            ({"data": good["data"] * 101}, "-1", "data: at most 100 records in a call"),
            ({"service": "TraCuuHoSo"}, "-1", "mahoso"),
            ({"data": [NEW | {"MaHoSo": code_of(1), "Emai": "x"}]}, "-1",
             "Emai: không có trường này / Emai: no such field"),
            ({"data": [NEW | {"MaHoSo": code_of(1), "GhiChu": "x" * 262144}]}, "-1",
             "thông điệp có tối đa 262144 byte / a message has at most 262144 bytes"),
        ]:
            status, answer = courier.ask(good | change)
            assert (status, answer["error_code"], answer["message"]) == (200, code, words), change
        padding = {"username": "cong", "password": "mat-khau-cong", "more": "x" * 4096}
        assert ask(courier.door, "POST", "/login", padding)[0] == 413
        assert courier.ask({"session": ["x"] * 9, "madonvi": "x"})[1]["error_code"] == "15"
        assert courier.ask(b"{")[1] == {"error_code": "-1", "message": "not JSON"}
        assert courier.ask(b" " * (4 * 1024 * 1024 + 1))[0] == 413
        assert ask(courier.door, "GET", "/api")[0] == 405 and ask(courier.door, "POST", "/book")[0] == 404
    for username, password in [("cong", "x"), ("x", "mat-khau-cong"), ("", ""), ("cong", "mat-khau-cong ")]:
        answer = courier.log_in(username, password)
        assert answer == {"error_code": "15", "message": "sai tên đăng nhập hoặc mật khẩu"}
    assert courier.ask(good)[1]["error_code"] == "0"


def test_a_message_has_the_name_of_its_content_for_ever(gateway, courier):
    def name(content):
        """The first 128 bits of its SHA-256 as a UUID of version 8."""
        number = int.from_bytes(hashlib.sha256(content).digest()[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        return str(uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62))

    first, second = code_of(1), code_of(2)
    assert courier.tell("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": first}) == (0, "")
    [item] = desk(gateway)
    content = fetch(gateway.system("commune"), "H49.151", item.consignment_id, "ho-so.dvcqg")
    assert content == json.dumps(json.loads(content), sort_keys=True, ensure_ascii=False,
                                 separators=(",", ":")).encode()
    assert item.document_id == f"{AGENCY},DVCQG,{name(content)}"
    # What had this name on another day, under an envelope that nobody finds by its dossier.
    before = Letter(AGENCY, ("H49.151",), content.replace(first.encode(), second.encode()))
    before.request_id = name(before.parts[0])
    before.send(gateway.system("portal"))
    with gateway.writes(0):
        assert courier.tell("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": second}) == (0, "")
    assert len(desk(gateway)) == 2


def test_where_the_portal_calls_may_be_said_at_the_start(gateway, portal):
    def run(config, address):
        server = f"https://localhost:{gateway.address.rsplit(':', 1)[1]}"
        command = [binary(), "portal", "run", "--config", config, "--server", server, "--ca",
                   gateway.pki.folder / "tls/ca.pem", "--cert", gateway.pki.folder / "systems/portal.pem",
                   "--receive", address]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    for config, address, problem in [
        (portal.config(), "127.0.0.1:0", "the configuration needs receive_credentials"),
        (receiving(portal), "0.0.0.0:0", "--receive: must be a loopback address"),
    ]:
        done = run(config, address)
        _, speech = done.communicate(timeout=CALL_SECONDS)
        assert done.returncode == 3 and problem in speech, speech
    running = run(portal.config(more=f'receive_credentials = "{portal.credentials}"\n'), "127.0.0.1:0")
    port = int(running.stdout.readline().rsplit(":", 1)[1])
    answer = ask(port, "POST", "/login", {"username": "hcm", "password": "mat-khau-1"})[1]
    running.terminate()
    assert answer["error_code"] == "0" and answer["session"]
    assert running.wait(CALL_SECONDS) == 0
    running.stdout.close()
    running.stderr.close()


def test_what_the_gateway_refuses_is_told_and_holds_nothing_else_back(gateway, courier):
    unknown = "H99.1-20261123-0001"
    with gateway.writes(0):  # and writes nothing, however often the portal comes again
        code, words = courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": unknown})
    assert code == -1 and words.startswith(f"{unknown}: ") and "/ RECIPIENT_UNKNOWN: " in words, words
    records = [NEW | {"MaHoSo": unknown}, NEW | {"MaHoSo": code_of(1)}]
    again = courier.call("DongBoHoSoMC", isUpdating="False", data=records)
    assert (again["error_code"], again["message"]) == ("-1", words)
    assert [item.dossier_code for item in desk(gateway)] == [code_of(1)]
    wait_until(lambda: courier.metric('vanthu_portal_received_total{outcome="refused"}') == 2)
    assert courier.find(unknown) == []
    with refused(Code.NOT_FOUND, "DOSSIER_UNKNOWN", "dossier_code"):
        dossier(gateway, unknown)


def test_while_the_gateway_is_out_the_portal_is_asked_to_come_again(gateway, courier):
    port, text = gateway.address.rsplit(":", 1)[1], gateway.config.read_text()
    gateway.config.write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'))
    record, session = NEW | {"MaHoSo": code_of(1)}, courier.log_in()["session"]
    gateway.stop()
    assert courier.tell("DongBoHoSoMC", record, session) == (
        20, f"{code_of(1)}: hệ thống tiếp nhận tạm ngừng / the gateway cannot be reached now")
    gateway.restart()
    wait_until(lambda: courier.tell("DongBoHoSoMC", record, session)[0] == 0)
    assert len(desk(gateway)) == 1 and dossier(gateway, code_of(1)).state == 1


def test_an_office_that_was_faster_keeps_its_dossier(gateway, courier):
    from test_dossier import at, take

    code = code_of(1)
    take(gateway, code, "RECEPTION", procedure_code="1.003003", due_time=at(days=5))
    assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code}) == (0, "")
    assert dossier(gateway, code).state == 2 and len(desk(gateway)) == 1


def test_a_state_that_comes_back_is_a_document_of_its_own(gateway, courier):
    record, session = {"MaHoSo": code_of(1), "TrangThai": "7"}, courier.log_in()["session"]
    moments = ["20261124090000", "20261125090000", "20261126090000"]
    for state, moment in zip(["7", "4", "7"], moments, strict=True):
        record |= {"TrangThai": state, "NgayXuLy": moment}
        assert courier.tell("DongBoTrangThaiHoSo", record, session) == (0, "")
    assert len(desk(gateway)) == 3
    assert courier.find(code_of(1), session)[0]["TrangThaiHoSo"] == "7"


def test_a_dossier_of_a_closed_office_is_registered_with_its_successor(pki, start, portal, tmp_path):
    from test_directory import APPROVED, change, closed_yesterday

    gateway, code = start(pki.copy(tmp_path / "pki")), "H49.152-20261123-0001"
    change(gateway, lambda text: APPROVED + closed_yesterday("H49.152", "H49.151")(text))
    gateway.reload()
    courier = Courier(gateway, portal, receiving(portal))
    assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code}) == (0, "")
    registered = dossier(gateway, code)
    assert (registered.state, registered.reception, registered.origin) == (1, "H49.151", AGENCY)
    assert [item.dossier_code for item in desk(gateway)] == [code]
    with gateway.writes(0):
        assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code}) == (0, "")
    courier.stop()
    gateway.stop()


def test_steps_of_what_began_at_the_door_go_back_to_the_portal(gateway, portal):
    from test_dossier import at, take

    courier = Courier(gateway, portal, receiving(portal, f'state = "{portal.folder / "steps.json"}"\n'))
    code = code_of(1)
    portal.call("DongBoHoSoMC", isUpdating="False", data=[NEW | {"MaHoSo": code}])
    assert courier.tell("DongBoHoSoMC", NEW | {"MaHoSo": code}) == (0, "")
    take(gateway, code, "RECEPTION", procedure_code="1.003003", due_time=at(days=5))
    wait_until(lambda: portal.book()["dossiers"][code]["steps"])
    [step] = portal.book()["dossiers"][code]["steps"]
    assert (step["TrangThai"], step["NoiDungXuLy"]) == ("2", "Tiếp nhận hồ sơ")
    courier.stop()


def story(code):
    """A dossier is filed, mended, and asked back; the portal tells it in four messages."""
    supplement = {"HoSoBoSungId": "1", "NgayTiepNhanBoSung": "20261125100000"}
    return [
        ("DongBoHoSoMC", NEW | {"MaHoSo": code, "GhiChu": "mới"}),
        ("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": code, "NoiDungXuLy": "Đã bổ sung",
                                        "ThoiDiemXuLy": "20261125095500"}),
        ("DongBoHoSoMC", NEW | {"MaHoSo": code, "GhiChu": "đã bổ sung", "TrangThaiHoSo": "4",
                                "DanhSachHoSoBoSung": [supplement]}),
        ("DongBoTrangThaiHoSo", {"MaHoSo": code, "TrangThai": "7", "NgayXuLy": "20261126080000"}),
    ]


def same(value, code):
    """As text, with the dossier's code taken out."""
    return json.dumps(value, sort_keys=True).replace(code, "CODE")


def test_every_order_of_the_portals_messages_ends_the_same(gateway, courier):
    seed = 20261128
    chance, session = random.Random(seed), courier.log_in()["session"]
    print("seed", seed)
    codes = []
    for number, order in enumerate(itertools.permutations(range(4)), 1):
        code = code_of(number)
        codes.append(code)
        messages = story(code)
        for place, one in enumerate(order):
            again = messages[order[chance.randrange(place + 1)]]
            for service, record in [messages[one], again]:
                assert courier.tell(service, record, session) == (0, "")
    found = {code: same(courier.find(code, session), code) for code in codes}
    assert len(set(found.values())) == 1, found
    [shown] = json.loads(found[codes[0]])
    assert (shown["TrangThaiHoSo"], shown["GhiChu"], len(shown["TienDoXuLy"])) == ("7", "đã bổ sung", 1)
    documents, late, subjects = {code: set() for code in codes}, set(), []
    for item in desk(gateway):
        said, envelope = content(gateway, item)
        assert same(said, item.dossier_code) not in documents[item.dossier_code], "a document came twice"
        documents[item.dossier_code].add(same(said, item.dossier_code))
        if "đến muộn" in envelope.subject:
            late.add(item.dossier_code)
            subjects.append(envelope.subject.replace(item.dossier_code, "CODE"))
    assert len(set(map(frozenset, documents.values()))) == 1 and len(documents[codes[0]]) == 4
    assert late == set(codes[1:]), "the office is told what came late, and only that"
    assert "Cổng gửi hồ sơ CODE, trạng thái 1 (đến muộn: đã có tin mới hơn, lúc 26/11/2026 08:00:00)" in subjects
    assert {(dossier(gateway, code).state, dossier(gateway, code).reception) for code in codes} == {(1, "H49.151")}


def test_kills_at_any_moment_lose_nothing_and_double_nothing(gateway, portal):
    seed, codes = 20261129, [code_of(number) for number in range(1, 31)]
    chance = random.Random(seed)
    print("seed", seed)
    couriers, ready = [Courier(gateway, portal, receiving(portal))], threading.Event()
    ready.set()
    left = threading.Semaphore(0)

    def tell(own):
        for code in own:
            for service, record in story(code):
                while True:
                    ready.wait()
                    try:
                        if couriers[-1].tell(service, record)[0] == 0:
                            break
                    except OSError:
                        continue
            left.release()

    tellers = [threading.Thread(target=tell, args=(codes[one::3],)) for one in range(3)]
    for teller in tellers:
        teller.start()
    for _ in range(6):
        threading.Event().wait(chance.uniform(0.2, 0.6))
        ready.clear()
        couriers[-1].kill()
        couriers.append(Courier(gateway, portal, receiving(portal)))
        ready.set()
    for teller in tellers:
        teller.join()
    found = {same(couriers[-1].find(code), code) for code in codes}
    couriers[-1].stop()
    assert len(found) == 1
    items = [content(gateway, item)[0] for item in desk(gateway)]
    assert sorted(same(said, "") for said in items) == sorted(
        same(said, "") for said in {json.dumps(said, sort_keys=True): said for said in items}.values())
    assert len(items) == 4 * len(codes)
    # And nothing was tried twice in vain.
    with refused(Code.NOT_FOUND, "NOTHING_FOUND"):
        gateway.system("portal").trace.Search(tr.SearchRequest(sender=AGENCY, admission=tr.ADMISSION_REJECTED))


def test_a_dossier_that_begins_at_the_stand_in_arrives_here(gateway, portal, tmp_path):
    courier = Courier(gateway, portal, portal.config(
        more=f'receive = "127.0.0.1:0"\nreceive_credentials = "{portal.credentials}"\n'))
    origin = {"to": f"http://127.0.0.1:{courier.door}", "service": "DongBoHoSoMC",
              "record": NEW | {"MaHoSo": code_of(1)}}
    for _ in range(2):
        status, answer = portal.ask("POST", "/originate", origin)
        assert status == 200 and int(answer["error_code"]) == 0, answer
    assert code_of(1) in portal.book()["dossiers"]
    assert [item.dossier_code for item in desk(gateway)] == [code_of(1)]
    courier.stop()
    assert int(portal.ask("POST", "/originate", origin)[1]["error_code"]) == 20
