"""The directory over the wire: succession, lists, rules, explanations, snapshots, changes, moves."""

import datetime
import hashlib
import json
import signal
import subprocess

import pytest
from gateway import binary, vanthu, vanthu_json, wait_until
from grpc import StatusCode as Code
from mail import acknowledge, document, waiting
from papers import Letter, date, today
from proofs import LogKey, check_receipt
from refusals import refused
from vanthu.v1 import delivery_pb2, envelope_pb2
from vanthu.v1 import directory_service_pb2 as dr
from vanthu.v1 import trace_service_pb2 as tr

APPROVED = 'approved_by = "Trần B, Sở Khoa học và Công nghệ, công văn 12/SKHCN"\n'
DEPARTMENTS = """
[[agency]]
code = "H49.90"
name = "Sở Một (đã hợp nhất)"
level = 2
parent = "H49"
kind = "state"
valid_from = "2020-07-22"
valid_until = "2025-06-30"
successors = ["H49.91"]
succession = "forward"
host = "district"

[[agency]]
code = "H49.91"
code_qcvn = "000.00.91.H49"
name = "Sở Hai (đã hợp nhất)"
level = 2
parent = "H49"
kind = "state"
valid_from = "2020-07-22"
valid_until = "2025-12-31"
successors = ["H49.11"]
succession = "forward"
host = "district"

[[agency]]
code = "H49.92"
name = "Sở Ba (đã chia)"
level = 2
parent = "H49"
kind = "state"
valid_from = "2020-07-22"
valid_until = "2025-06-30"
successors = ["H49.11 function đất đai", "H49.11.3 function môi trường"]
succession = "forward"

[[agency]]
code = "H49.93"
name = "Sở Bốn (đã đóng)"
level = 2
parent = "H49"
kind = "state"
valid_from = "2020-07-22"
valid_until = "2025-06-30"
successors = ["H49.11"]
succession = "refuse"

[[agency]]
code = "H49.94"
name = "Sở Năm (từ năm sau)"
level = 2
parent = "H49"
kind = "state"
valid_from = "2099-01-01"
host = "province"

[[list]]
name = "departments"
members = ["H49.11", "H49.90", "H49.151"]

[[list]]
name = "stale"
members = ["H49.92"]

[[rule]]
name = "reports-may-go-up"
effect = "allow"
from = { codes = ["H49.152"] }
types = ["Báo cáo"]

[[rule]]
name = "through-the-province"
effect = "deny"
from = { codes = ["H49.152"] }
to = { below = ["G22"], codes = ["G22"] }
"""


@pytest.fixture(scope="module")
def country(pki, tmp_path_factory):
    """The development country, with departments that were merged and divided."""
    country = pki.copy(tmp_path_factory.mktemp("merged") / "pki")
    path = country.folder / "directory.toml"
    path.write_text(APPROVED + path.read_text() + DEPARTMENTS)
    return country


@pytest.fixture(scope="module")
def merged(country, start):
    gateway = start(country)
    yield gateway
    gateway.stop()


@pytest.fixture
def changing(country, start, tmp_path):
    """The same, to be changed by one test."""
    gateway = start(country.copy(tmp_path / "pki"))
    yield gateway
    gateway.stop()


def change(gateway, edit):
    """The directory is another after the next reload."""
    path = gateway.pki.folder / "directory.toml"
    path.write_text(edit(path.read_text()))


def access(gateway, system):
    """How a command reaches the gateway as a system."""
    pki, port = gateway.pki.folder, gateway.address.rsplit(":", 1)[1]
    at = ["--server", f"https://localhost:{port}", "--ca", pki / "tls/ca.pem"]
    return [*at, "--cert", pki / f"systems/{system}.pem"]


def deliveries(system, consignment):
    request = tr.ListDeliveriesRequest(consignment_id=consignment)
    return {one.recipient: one for one in system.trace.ListDeliveries(request).deliveries}


def test_a_closed_code_leads_to_its_one_successor_and_both_codes_stand_in_the_log(merged):
    commune, province = merged.system("commune"), merged.system("province")
    for written in ("H49.90", "H49.91", "000.00.91.H49"):
        sent = Letter(to=[written]).send(commune)
        assert sent.recipient_count == 1
        [delivery] = deliveries(commune, sent.consignment_id).values()
        assert (delivery.recipient, delivery.addressed) == ("H49.11", written)
        assert sent.consignment_id in {item.consignment_id for item in waiting(province, "H49.11")}
    evidence = merged.pki.folder / "letter.evidence.zip"
    vanthu("evidence", "get", sent.consignment_id, *access(merged, "commune"), "--out", evidence)
    proven = vanthu("evidence", "verify", evidence, "--key", merged.pki.folder / "log.vkey", "--output", "json")
    assert "mailbox of H49.11, addressed to 000.00.91.H49," in proven


def test_old_and_new_code_together_are_one_delivery(merged):
    commune = merged.system("commune")
    sent = Letter(to=["H49.90", "H49.11", "H49.91"]).send(commune)
    [delivery] = deliveries(commune, sent.consignment_id).values()
    assert (delivery.recipient, delivery.addressed) == ("H49.11", "")
    with merged.writes(1), refused(Code.INVALID_ARGUMENT, "RECIPIENT_DUPLICATE", "recipients[1]"):
        Letter(to=["H49.91", "000.00.91.H49"]).send(commune)


@pytest.mark.parametrize("to, reason, field, metadata", [
    ({"to": ["H49.92"]}, "AGENCY_CLOSED", "recipients[0]", {"successors": "H49.11,H49.11.3", "rule": "several"}),
    ({"to": ["H49.93"]}, "AGENCY_CLOSED", "recipients[0]", {"successors": "H49.11", "rule": "refuse"}),
    ({"to": ["H49.61"]}, "AGENCY_CLOSED", "recipients[0]", {"successors": "H49.151,H49.152", "rule": "ask"}),
    ({"to": ["H49", "H49.94"]}, "AGENCY_NOT_OPEN", "recipients[1]", {"valid_from": "2099-01-01"}),
    ({"to": [], "recipients_lists": ["stale"]}, "AGENCY_CLOSED", "recipients_lists[0]", {"code": "H49.92"}),
])  # fmt: skip
def test_nothing_is_guessed(merged, to, reason, field, metadata):
    with merged.writes(1), refused(Code.FAILED_PRECONDITION, reason, field, **metadata):
        Letter(**to).send(merged.system("commune"))


def test_a_list_reaches_its_members_but_the_sender(merged):
    commune = merged.system("commune")
    sent = Letter(to=[], recipients_lists=["departments"]).send(commune)
    [delivery] = deliveries(commune, sent.consignment_id).values()
    assert delivery.recipient == "H49.11"
    with refused(Code.NOT_FOUND, "LIST_UNKNOWN", "recipients_lists[0]", list="nobody"):
        Letter(to=[], recipients_lists=["nobody"]).send(commune)
    for name in ("", "Nobody", "a" * 65):
        with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "recipients_lists[0]"):
            Letter(to=[], recipients_lists=[name]).send(commune)


def test_a_rule_forbids_and_is_named(merged):
    commune = merged.system("commune")
    with merged.writes(1), refused(
        Code.PERMISSION_DENIED, "ROUTE_FORBIDDEN", "recipients[0]", rule="through-the-province", code="G22"
    ):
        Letter("H49.152", ["G22"]).send(commune)
    assert Letter("H49.152", ["G22"], type_name="Báo cáo").send(commune).recipient_count == 1
    assert Letter("H49.151", ["G22"]).send(commune).recipient_count == 1


def test_a_way_is_explained_as_it_would_be_gone(merged):
    directory = merged.system("auditor").directory
    ask = lambda **fields: directory.ExplainRoute(dr.ExplainRouteRequest(**fields))
    way = ask(**{"from": "H49.151", "to": "H49.90"})
    assert [step.step for step in way.steps] == ["found", "closed", "closed", "forwarded", "mailbox"]
    assert (way.recipient, way.addressed, way.system, way.reason) == ("H49.11", "H49.90", "province", "")
    before = ask(**{"from": "G22", "to": "H49.90", "date": date(datetime.date(2025, 6, 30))})
    assert (before.recipient, before.addressed, before.system) == ("H49.90", "", "district")
    between = ask(**{"from": "H49.151", "to": "H49.90", "date": date(datetime.date(2025, 7, 1))})
    assert (between.recipient, between.system) == ("H49.91", "district")
    forbidden = ask(**{"from": "H49.152", "to": "G22"})
    assert (forbidden.reason, forbidden.metadata["rule"]) == ("ROUTE_FORBIDDEN", "through-the-province")
    allowed = ask(**{"from": "H49.152", "to": "G22", "type_name": "Báo cáo"})
    assert [step.values["rule"] for step in allowed.steps if step.step == "rule"] == ["reports-may-go-up"]
    several = ask(**{"from": "H49.151", "to": "H49.92"})
    assert (several.reason, several.metadata["successors"]) == ("AGENCY_CLOSED", "H49.11,H49.11.3")
    for field in ("from", "to"):
        with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", field):
            ask(**({"from": "H49", "to": "H49.11"} | {field: "Hà Nội"}))
    for day in (envelope_pb2.Date(year=2025, month=2, day=30), envelope_pb2.Date(year=10000, month=1, day=1)):
        with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "date"):
            ask(**{"from": "H49", "to": "H49.11", "date": day})
        with refused(Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "date"):
            directory.GetAgency(dr.GetAgencyRequest(code="H49", date=day))


def test_the_command_explains_offline_what_the_gateway_explains(merged):
    file = merged.pki.folder / "directory.toml"
    way = vanthu_json("directory", "route", "H49.151", "H49.90", "--at", "2026-01-01", "--directory", file)
    request = dr.ExplainRouteRequest(to="H49.90", date=date(datetime.date(2026, 1, 1)), **{"from": "H49.151"})
    answer = merged.system("commune").directory.ExplainRoute(request)
    assert [step["text"] for step in way["steps"]] == [step.text for step in answer.steps]
    assert (way["recipient"], way["addressed"]) == ("H49.11", "H49.90")
    closed = vanthu_json("directory", "route", "H49.151", "H49.92", "--directory", file, code=6)
    assert closed["reason"] == "AGENCY_CLOSED"
    chain = vanthu_json("directory", "succession", "H49.90", "--at", "2025-07-01", "--directory", file)
    assert (chain["ending"], chain["successors"]) == ("forward", ["H49.91"])
    shown = vanthu_json("directory", "show", "000.00.91.H49", "--directory", file)
    assert (shown["code"], shown["succession"], shown["valid_until"]) == ("H49.91", "forward", "2025-12-31")


def snapshot(system, version=0):
    """Version, receipt and bytes."""
    pieces = list(system.directory.GetSnapshot(dr.GetSnapshotRequest(version=version)))
    content = b"".join(piece.chunk for piece in pieces)
    assert pieces[0].size == len(content)
    return pieces[0].version, pieces[0].receipt, content


def test_every_change_stands_in_the_log_before_it_counts_and_can_be_followed(changing):
    auditor, key = changing.system("auditor"), LogKey(changing.pki.vkey)
    version, receipt, content = snapshot(auditor)
    assert version == 1 and content.startswith(b"vanthu.directory.v1\n")
    entry = check_receipt(receipt, key)
    assert (entry["event"], entry["content"]) == ("directory", hashlib.sha256(content).hexdigest())
    changes = auditor.directory.Watch(dr.DirectoryServiceWatchRequest(since=1))
    changing.reload()
    assert snapshot(auditor)[0] == 1, "the same directory is no change"

    added = '[[agency]]\ncode = "H49.95"\nname = "Sở Sáu"\nlevel = 2\nparent = "H49"\nkind = "state"\nvalid_from = "2026-01-01"\n'
    change(changing, lambda text: text.replace("Sở Một", "Sở Mốt") + added)
    changing.reload()
    told = next(changes)
    assert told.version == 2
    assert [(one.WhichOneof("change"), getattr(one, one.WhichOneof("change")).code) for one in told.changes] == [
        ("changed", "H49.90"),
        ("added", "H49.95"),
    ]
    change(changing, lambda text: text.replace(added, ""))
    changing.reload()
    told = next(changes)
    assert (told.version, [one.removed for one in told.changes]) == (3, ["H49.95"])
    changing.restart()
    late = changing.system("auditor").directory.Watch(dr.DirectoryServiceWatchRequest(since=1))
    told = next(late)
    assert told.version == 3 and [one.changed.name for one in told.changes] == ["Sở Mốt (đã hợp nhất)"]
    auditor = changing.system("auditor")
    assert [snapshot(auditor, version)[0] for version in (1, 2, 3)] == [1, 2, 3]
    assert snapshot(auditor, 1)[2] == content
    for version in (4, 2**63):
        with refused(Code.NOT_FOUND, "DIRECTORY_VERSION_UNKNOWN", "version", version=version, latest=3):
            snapshot(auditor, version)
    for version in (0, 4):
        with refused(Code.NOT_FOUND, "DIRECTORY_VERSION_UNKNOWN", "since", latest=3):
            next(auditor.directory.Watch(dr.DirectoryServiceWatchRequest(since=version)))


def test_a_signed_snapshot_verifies_offline_and_a_forged_one_does_not(merged, tmp_path):
    out, key = tmp_path / "directory.snapshot", merged.pki.folder / "log.vkey"
    at = access(merged, "auditor")
    vanthu("directory", "export", "--signed", "--log-key", key, "--out", out, *at)
    proven = vanthu_json("directory", "verify", out, "--log-key", key)
    assert proven["entry"] == "1/0"
    way = vanthu_json("directory", "route", "H49.151", "H49.90", "--directory", out)
    assert way["recipient"] == "H49.11"
    out.write_bytes(out.read_bytes().replace(b"refuse", b"forward"))
    vanthu("directory", "verify", out, "--log-key", key, code=7)
    records = json.loads(vanthu("directory", "export", "--format", "json", *at))
    assert {"H49.90", "G22"} <= {record["code"] for record in records}


def test_a_change_that_nobody_approved_is_refused_and_everything_stays(changing):
    commune = changing.system("commune")
    change(changing, lambda text: text.replace(APPROVED, "").replace('"refuse"', '"forward"'))
    before = changing.traces().count("not reloaded")
    changing.process.send_signal(signal.SIGHUP)
    wait_until(lambda: changing.traces().count("not reloaded") > before)
    assert "approved_by" in changing.traces() and "entry 1/0 names" in changing.traces()
    with refused(Code.FAILED_PRECONDITION, "AGENCY_CLOSED", "recipients[0]", rule="refuse"):
        Letter(to=["H49.93"]).send(commune)
    change(changing, lambda text: APPROVED + text)
    changing.reload()
    assert Letter(to=["H49.93"]).send(commune).recipient_count == 1


def test_without_an_approved_directory_there_is_no_version(shared):
    commune = shared.system("commune")
    with refused(Code.NOT_FOUND, "DIRECTORY_VERSION_UNKNOWN", "version", latest=0):
        snapshot(commune)


def closed_yesterday(code, successor):
    """Closes an agency of the file in favour of another."""
    day = today() - datetime.timedelta(days=1)

    def edit(text):
        head, tail = text.split(f'code = "{code}"\n', 1)
        more = f'valid_until = "{day}"\nsuccessors = ["{successor}"]\nsuccession = "forward"\n'
        return f'{head}code = "{code}"\n{more}{tail}'

    return edit


def test_what_waits_for_an_agency_that_is_closed_goes_to_its_successor(changing):
    province, commune = changing.system("province"), changing.system("commune")
    waiting_one = Letter("H49", ["H49.152"]).send(province)
    answered = Letter("H49", ["H49.152"]).send(province)
    acknowledge(commune, "H49.152", answered.consignment_id)
    both = Letter("H49", ["H49.152", "H49.151"]).send(province)
    change(changing, closed_yesterday("H49.152", "H49.151"))
    changing.reload()
    wait_until(lambda: not waiting(commune, "H49.152"))
    wait_until(lambda: len(waiting(commune, "H49.151")) == 2)
    states = deliveries(province, waiting_one.consignment_id)
    assert states["H49.152"].transport == delivery_pb2.TRANSPORT_REDIRECTED
    assert states["H49.151"].transport == delivery_pb2.TRANSPORT_CONSIGNED
    assert states["H49.151"].addressed == "H49.152"
    assert list(deliveries(province, answered.consignment_id)) == ["H49.152"]
    assert deliveries(province, both.consignment_id)["H49.151"].addressed == ""
    assert document(commune, "H49.151", waiting_one.consignment_id).envelope
    with refused(Code.FAILED_PRECONDITION, "DOCUMENT_REDIRECTED"):
        acknowledge(commune, "H49.152", waiting_one.consignment_id)
    for sent in (waiting_one, both):
        acknowledge(commune, "H49.151", sent.consignment_id)
    changing.stop()
    key = changing.pki.folder / "log.vkey"
    vanthu("log", "audit", "--key", key, "--data", changing.folder / "data")
    changing._launch()
    evidence = changing.pki.folder / "letter.evidence.zip"
    for recipient in ([], ["--recipient", "H49.151"]):
        vanthu("evidence", "get", waiting_one.consignment_id, *access(changing, "province"), *recipient, "--out", evidence)
        proven = vanthu("evidence", "verify", evidence, "--key", key, "--output", "json")
        assert "taken to the mailbox of H49.151, addressed to H49.152," in proven


def test_a_mailbox_that_moves_to_another_system_loses_nothing(changing):
    province, commune, district = (changing.system(name) for name in ("province", "commune", "district"))
    sent = [Letter("H49", ["H49.152"]).send(province).consignment_id for _ in range(3)]
    acknowledge(commune, "H49.152", sent[0])

    def move(text):
        head, tail = text.split('code = "H49.152"\n', 1)
        return f'{head}code = "H49.152"\n{tail.replace(chr(34) + "commune" + chr(34), chr(34) + "district" + chr(34), 1)}'

    change(changing, move)
    changing.reload()
    sent.append(Letter("H49", ["H49.152"]).send(province).consignment_id)
    assert [item.consignment_id for item in waiting(district, "H49.152")] == sent[1:]
    with refused(Code.PERMISSION_DENIED, "AGENCY_NOT_YOURS", "agency"):
        waiting(commune, "H49.152")
    for consignment in sent[1:]:
        acknowledge(district, "H49.152", consignment)
    assert not waiting(district, "H49.152")
    changing.stop()
    vanthu("log", "audit", "--key", changing.pki.folder / "log.vkey", "--data", changing.folder / "data")


HEAD = "code,valid_from,name,level,parent,kind,source\n"
COMMUNE = 'H49.300,2025-07-01,"Ủy ban nhân dân xã ""Mới"", Quảng Ninh",2,,state,QĐ 12/2025\n'


def imported(*arguments, code=0):
    """The output of an import, and what it says of it."""
    command = [binary(), "directory", "import", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_records_are_imported_and_a_known_code_becomes_a_later_revision(changing, tmp_path):
    base, new, all_of_them = tmp_path / "base.csv", tmp_path / "new.csv", changing.pki.folder / "agencies.csv"
    base.write_text(HEAD + "H49.310,2020-07-22,Xã Củ,2,,state,\n")
    new.write_text("\ufeff" + HEAD + COMMUNE + "H49.310,2020-07-22,Xã Cũ,2,,state,đính chính\n")
    published, _ = imported(new)
    assert "\nG22,2020-07-22," in published, "the published codes are there if nothing else is named"
    _, said = imported(new, "--into", base, "--out", all_of_them)
    assert said.startswith("1 records added, 1 corrected, ")
    again, said = imported(new, "--into", all_of_them)
    assert said.startswith("0 records added, 0 corrected, ") and again == all_of_them.read_text()
    whole, said = imported(all_of_them, "--into", all_of_them)
    assert said.startswith("0 records added, 0 corrected, ") and whole == all_of_them.read_text()
    records = tmp_path / "new.json"
    records.write_text(json.dumps([
        {"code": "H49.301", "valid_from": "2025-07-01", "name": "Xã Khác", "level": 2,
         "kind": "state", "uncertain": True},
    ]))
    _, said = imported(records, "--into", all_of_them, "--out", all_of_them)
    assert said.startswith("1 records added, 0 corrected, ")

    def take_in(text):
        return 'agencies = ["agencies.csv"]\n' + text

    change(changing, take_in)
    changing.reload()
    ask = changing.system("commune").directory.GetAgency
    for code, name in [("H49.310", "Xã Cũ"), ("H49.300", 'Ủy ban nhân dân xã "Mới", Quảng Ninh'), ("H49.301", "Xã Khác")]:
        assert ask(dr.GetAgencyRequest(code=code)).agency.name == name


@pytest.mark.parametrize(("text", "problem"), [
    ("code,colour\nH49.1,red\n", 'there is no column "colour", or it stands twice'),
    ("code,code\nH49.1,H49.1\n", 'there is no column "code", or it stands twice'),
    (HEAD + "H49.300,2025-07-01,Xã Mới\n", "row 2: another number of fields than columns"),
    (HEAD + COMMUNE + 'H49.301,2025-07-01,Xã "Mới",2,,state,\n', "row 3: a quote within a field"),
    (HEAD + 'H49.301,2025-07-01,"Xã"Mới,2,H49,state,\n', "row 2: text behind a closing quote"),
    (HEAD + COMMUNE.replace("H49.300", "H49 300"), "row 2: code"),
    (HEAD + COMMUNE.replace("2025-07-01", "2025-02-30"), "row 2: valid_from"),
    (HEAD + COMMUNE.replace(",2,", ",two,"), "row 2: level"),
    (HEAD + COMMUNE.replace(",state,", ",realm,"), "row 2: kind"),
])
def test_records_that_are_none_are_refused_with_their_place(tmp_path, text, problem):
    file, out = tmp_path / "bad.csv", tmp_path / "out.csv"
    file.write_text(text)
    _, said = imported(file, "--out", out, code=3)
    assert said.strip().endswith(f"bad.csv: {problem}") and not out.exists()


@pytest.mark.parametrize(("records", "problem"), [
    ([{"code": "H49.300", "colour": "red"}], 'record 1: there is no field "colour"'),
    ([{"code": "H49.300", "valid_from": "1/7/2025"}], "record 1: valid_from"),
])
def test_json_records_that_are_none_are_refused_too(tmp_path, records, problem):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(records))
    assert imported(file, code=3)[1].strip().endswith(f"bad.json: {problem}")
