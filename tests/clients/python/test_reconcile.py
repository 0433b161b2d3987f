"""An agency holds its receipts against the log and against another agency's: gaps are proven."""

import json
import shutil

import pytest
from gateway import vanthu
from papers import pdf


@pytest.fixture(scope="module")
def story(pki, start, tmp_path_factory):
    """A commune sends three documents to the province; both keep their receipts with the command."""
    gateway = start(pki)
    folder = tmp_path_factory.mktemp("reconcile")
    paper = folder / "cong-van.pdf"
    paper.write_bytes(pdf())
    gateway.port = gateway.address.rsplit(":", 1)[1]
    gateway.commune, gateway.province = folder / "commune", folder / "province"
    gateway.consignments = []
    for number in range(3):
        sent = command(gateway, "commune", "send", "--from", "H49.151", "--to", "H49", "--kind", "Công văn",
                       "--subject", f"văn bản {number}", "--number", str(number + 1), "--notation", "UBND",
                       paper, "--receipts", gateway.commune)  # fmt: skip
        gateway.consignments.append(sent["consignment_id"])
    for place, status in enumerate(("ack", "refuse")):
        more = ["--reason", "sai nơi nhận"] if status == "refuse" else []
        command(gateway, "province", status, "--agency", "H49", gateway.consignments[place], *more,
                "--receipts", gateway.province)  # fmt: skip
    yield gateway
    gateway.stop()


def command(gateway, system, *arguments, code=0):
    pki = gateway.pki.folder
    caller = ["--server", f"https://localhost:{gateway.port}", "--ca", pki / "tls/ca.pem"]
    caller += ["--cert", pki / f"systems/{system}.pem", "--output", "json"]
    return json.loads(vanthu(*arguments, *caller, code=code))


def reconcile(gateway, system, agency, *arguments, code=0):
    command_ = ["evidence", "reconcile", *arguments, "--key", gateway.pki.folder / "log.vkey", "--agency", agency]
    pki = gateway.pki.folder
    caller = ["--server", f"https://localhost:{gateway.port}", "--ca", pki / "tls/ca.pem"]
    caller += ["--cert", pki / f"systems/{system}.pem", "--output", "json"]
    return json.loads(vanthu(*command_, *caller, code=code))


def test_who_kept_everything_has_no_gap(story):
    assert reconcile(story, "commune", "H49.151", story.commune) == {"proofs": 3, "findings": []}
    assert reconcile(story, "province", "H49", story.province) == {"proofs": 2, "findings": []}


def test_a_receipt_that_was_not_kept_is_named_and_given(story, tmp_path):
    shutil.copytree(story.province, tmp_path / "kept")
    [lost, *_] = sorted((tmp_path / "kept").iterdir())
    content = lost.read_bytes()
    lost.unlink()
    result = reconcile(story, "province", "H49", tmp_path / "kept", "--save", tmp_path / "log", code=7)
    [finding] = result["findings"]
    place = lost.name.removesuffix(".tlog-proof").replace("-", "/")
    assert (finding["code"], finding["entry_id"], finding["lacking"]) == ("OWN_LACKS", place, "own")
    assert finding["consignment_id"] in story.consignments
    [proof] = finding["proofs"]
    # The proof that it names holds, and is what was lost.
    vanthu("evidence", "verify", proof, "--key", story.pki.folder / "log.vkey")
    assert open(proof, "rb").read() == content


def test_a_log_without_what_it_signed_once_is_shown_by_the_receipt(story, start, tmp_path):
    """The operator starts over with an empty log and the same key."""
    other = start(story.pki)
    other.port = other.address.rsplit(":", 1)[1]
    paper = tmp_path / "cong-van.pdf"
    paper.write_bytes(pdf())
    result = reconcile(other, "commune", "H49.151", story.commune, code=7)
    lacking = {(one["code"], one["entry_id"]) for one in result["findings"]}
    kept = {path.name.removesuffix(".tlog-proof").replace("-", "/") for path in story.commune.iterdir()}
    assert lacking == {("OTHER_LACKS", place) for place in kept}
    # And with other documents in it: a fork.
    for number in range(3):
        command(other, "commune", "send", "--from", "H49.151", "--to", "H49", "--kind", "Công văn",
                "--subject", f"khác {number}", paper, "--receipts", tmp_path / "other")  # fmt: skip
    result = reconcile(other, "commune", "H49.151", story.commune, "--save", tmp_path / "log", code=7)
    codes = {(one["code"], one["entry_id"]) for one in result["findings"]}
    assert {("ENTRY_DIFFERS", place) for place in kept} <= codes
    assert any(code == "CHECKPOINT_DIFFERS" for code, _ in codes)
    differing = next(one for one in result["findings"] if one["code"] == "ENTRY_DIFFERS")
    for proof in differing["proofs"]:
        vanthu("evidence", "verify", proof, "--key", story.pki.folder / "log.vkey")
    other.stop()


def test_two_agencies_hold_their_files_against_each_other(story, tmp_path):
    evidence = []
    for place, consignment in enumerate(story.consignments):
        out = tmp_path / f"{place}.zip"
        command(story, "commune", "evidence", "get", consignment, "-o", out)
        evidence.append(out)
    # The commune's evidence shows what the province answered; the province's receipts show that too.
    both = [story.commune, *evidence[:2], "--other", story.province, "--other-agency", "H49"]
    result = reconcile(story, "commune", "H49.151", *both, code=7)
    # The consignments to the province stand in no receipt of it: only its answers do.
    assert {one["code"] for one in result["findings"]} == {"OTHER_LACKS"}
    assert len(result["findings"]) == 2
    # Without the evidence, the commune has no proof of the answers.
    result = reconcile(story, "commune", "H49.151", story.commune, "--other", story.province,
                       "--other-agency", "H49", code=7)  # fmt: skip
    answers = {path.name.removesuffix(".tlog-proof").replace("-", "/") for path in story.province.iterdir()}
    assert {(one["code"], one["entry_id"]) for one in result["findings"]} == {("OWN_LACKS", it) for it in answers}
    for finding in result["findings"]:
        assert finding["proofs"] == [str(story.province / f"{finding['entry_id'].replace('/', '-')}.tlog-proof")]
    # With the evidence on both sides, nothing is missing.
    everything = [*evidence, "--other", *evidence, "--other-agency", "H49"]
    assert reconcile(story, "commune", "H49.151", *everything)["findings"] == []


def test_a_file_that_proves_nothing_is_no_evidence(story, tmp_path):
    shutil.copytree(story.province, tmp_path / "bent")
    bent = next((tmp_path / "bent").iterdir())
    bent.write_bytes(bent.read_bytes().replace(b"index ", b"index 1"))
    vanthu("evidence", "reconcile", tmp_path / "bent", "--key", story.pki.folder / "log.vkey", "--agency", "H49",
           "--other", story.commune, "--other-agency", "H49.151", code=7)  # fmt: skip
