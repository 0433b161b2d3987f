"""An auditor who comes again: audits that go on where the last one ended, and a verified copy."""

import shutil

import pytest
from gateway import vanthu, vanthu_json
from mail import acknowledge
from papers import Letter
from proofs import LogKey, leaf_hash, root_of
from readers import entries_of, name_of, tiles_of
from vanthu.v1 import log_service_pb2 as lg

EPOCH_ENTRIES = 300


def write(gateway, letters):
    """Six entries for each letter; gives the last consignment."""
    for _ in range(letters):
        to = ["G22", "H49.11", "H49.11.3", "H49.151", "H49.152"]
        sent = Letter("H49", to).send(gateway.system("province"))
    return sent.consignment_id


def who(gateway):
    return ["--key", gateway.pki.vkey, "--server", f"https://localhost:{gateway.address.rsplit(':')[-1]}",
            "--ca", gateway.pki.folder / "tls/ca.pem", "--cert", gateway.pki.folder / "systems/auditor.pem"]  # fmt: skip


def audit(gateway, state, code=0):
    return vanthu_json("log", "audit", "--since", state, *who(gateway), code=code)


@pytest.fixture
def audited(pki, start, tmp_path):
    gateway = start(pki, f"epoch_entries = {EPOCH_ENTRIES}\n")
    write(gateway, 10)
    yield gateway, tmp_path / "audit.state"
    gateway.stop()


def end_of(gateway, state):
    """The checkpoint that an audit remembered."""
    return LogKey(gateway.pki.vkey).open(state.read_bytes().partition(b"\n\n")[2])


def test_an_audit_goes_on_where_the_last_one_ended(audited):
    gateway, state = audited
    first = audit(gateway, state)
    # That the auditor reads is an entry, too: one for each audit.
    assert first["valid"] and first["since"] is None and 60 <= first["entries"] <= 61
    assert end_of(gateway, state).size == first["entries"]
    again = audit(gateway, state)
    assert again["since"] == f"1/{first['entries']}" and again["entries"] <= 2
    since = end_of(gateway, state).size
    consignment = write(gateway, 2)
    acknowledge(gateway.system("portal"), "G22", consignment)
    more = audit(gateway, state)
    assert (more["since"], more["unjudged"]) == (f"1/{since}", 0) and 13 <= more["entries"] <= 15
    acknowledge(gateway.system("commune"), "H49.151", consignment)
    answer = audit(gateway, state)
    assert answer["unjudged"] == 1 and answer["entries"] <= 3
    since = end_of(gateway, state).size
    write(gateway, 100)
    epochs = audit(gateway, state)
    assert (epochs["valid"], epochs["since"]) == (True, f"1/{since}")
    assert end_of(gateway, state).epoch == 3
    assert audit(gateway, state)["entries"] <= 2
    whole = vanthu_json("log", "audit", *who(gateway))
    assert whole["valid"] and 0 <= whole["entries"] - since - epochs["entries"] <= 4


def test_a_stopped_gateway_is_audited_in_steps_too(audited):
    gateway, state = audited
    audit(gateway, state)
    since = end_of(gateway, state).size
    write(gateway, 60)
    gateway.stop()
    data = ["log", "audit", "--key", gateway.pki.vkey, "--data", gateway.folder / "data"]
    more = vanthu_json(*data, "--since", state)
    assert (more["valid"], more["since"]) == (True, f"1/{since}")
    assert vanthu_json(*data)["entries"] == since + more["entries"]
    kept = state.read_bytes()
    assert vanthu_json(*data, "--since", state)["entries"] == 0
    assert state.read_bytes() == kept


def test_a_state_of_another_log_or_a_changed_one_is_refused(audited, rsa_pki):
    gateway, state = audited
    audit(gateway, state)
    kept = state.read_bytes()
    size = end_of(gateway, state).size
    grown = kept.replace(f"\n{size}\n".encode(), f"\n{size + 1}\n".encode())
    for wrong in (kept.replace(b"vanthu.audit.v1", b"vanthu.audit.v2"), kept[:-9], grown):
        assert wrong != kept
        state.write_bytes(wrong)
        vanthu("log", "audit", "--since", state, *who(gateway), code=1)
        assert state.read_bytes() == wrong


def forked_copy(gateway, pki, start, tmp_path, seen, written):
    """The same log twice: after `seen` letters each went its own way, the second `written` letters long."""
    gateway.stop()
    shutil.copytree(gateway.folder / "data", tmp_path / "copy")
    gateway.restart()
    write(gateway, seen)
    fork = start(pki, f"epoch_entries = {EPOCH_ENTRIES}\n", data=tmp_path / "copy")
    if written:
        write(fork, written)
    return fork


@pytest.mark.parametrize("written, found, proven", [
    (0, "entries-missing", False), (1, "entries-missing", False), (5, "checkpoint-fork", True),
    (9, "checkpoint-fork", True),
])  # fmt: skip
def test_a_log_that_was_forked_since_the_last_audit_is_found_out(audited, pki, start, tmp_path, written, found, proven):
    gateway, state = audited
    fork = forked_copy(gateway, pki, start, tmp_path, 3, written)
    audit(gateway, state)
    kept = state.read_bytes()
    report = audit(fork, state, code=9)
    assert found in [finding["rule"] for finding in report["findings"]], report
    assert state.read_bytes() == kept, "an audit with findings is not gone on from"
    proof = state.with_suffix(".fork")
    assert proof.exists() == proven
    if proven:
        told = vanthu_json("log", "forked", proof, "--key", pki.vkey)
        assert told["first"]["size"] == end_of(gateway, state).size
        assert told["second"]["size"] == 60 + 6 * written
    audit(gateway, state)
    fork.stop()


def mirror(gateway, folder, code=0):
    return vanthu_json("log", "mirror", folder, *who(gateway), code=code)


def check_mirror(folder, epoch, key):
    """The files alone lead to the signed root; gives the entries."""
    folder = folder / "log" / str(epoch)
    head = key.open((folder / "checkpoint").read_bytes())
    entries = []
    for index in range(-(-head.size // 256)):
        width = min(256, head.size - index * 256)
        entries += entries_of((folder / "tile/entries" / name_of(index, width)).read_bytes())
    leaves = [leaf_hash(entry) for entry in entries]
    assert len(leaves) == head.size and root_of(leaves) == head.root
    for level, index, width in tiles_of(head.size):
        tile = (folder / "tile" / str(level) / name_of(index, width)).read_bytes()
        span = 256**level
        first = index * 256 * span
        assert tile == b"".join(root_of(leaves[at : at + span]) for at in range(first, first + width * span, span))
    return entries


def test_an_auditor_keeps_a_verified_copy_that_grows(audited, tmp_path):
    gateway, _ = audited
    folder, key = tmp_path / "mirror", LogKey(gateway.pki.vkey)
    assert 60 <= mirror(gateway, folder)["entries"] <= 61
    check_mirror(folder, 1, key)
    assert mirror(gateway, folder)["entries"] <= 2
    for letters in (1, 40, 7, 60):
        write(gateway, letters)
        grown = mirror(gateway, folder)
        assert grown["valid"]
        copied = [entry for epoch in (1, 2, 3) if (folder / f"log/{epoch}").exists()
                  for entry in check_mirror(folder, epoch, key)]  # fmt: skip
        stream = gateway.system("auditor").log.ReadEntries(lg.ReadEntriesRequest())
        same = [leaf for message in stream for leaf in message.leaves]
        assert copied == same[: len(copied)] and len(same) <= len(copied) + 2
    assert (folder / "log/3").exists()


def test_a_copy_that_was_damaged_or_is_of_a_forked_log_does_not_grow(audited, pki, start, tmp_path):
    gateway, state = audited
    fork = forked_copy(gateway, pki, start, tmp_path, 3, 5)
    folder = tmp_path / "mirror"
    mirror(gateway, folder)
    kept = (folder / "state").read_bytes()
    report = mirror(fork, folder, code=9)
    assert "checkpoint-fork" in [finding["rule"] for finding in report["findings"]]
    assert (folder / "state").read_bytes() == kept
    write(gateway, 1)
    assert mirror(gateway, folder)["valid"]
    check_mirror(folder, 1, LogKey(pki.vkey))
    size = end_of(gateway, folder / "state").size
    (folder / f"log/1/tile/0/000.p/{size}").unlink()
    vanthu("log", "mirror", folder, *who(gateway), code=1)
    fork.stop()
