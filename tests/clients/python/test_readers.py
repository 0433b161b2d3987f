"""The log as tiles over HTTPS: any C2SP tlog-tiles reader gets all of it, and only auditors do."""

import pytest
from papers import Letter
from proofs import LogKey, read_entry
from readers import Reader, entries_of, name_of, read_tree, tiles_of, unzipped
from vanthu.v1 import log_service_pb2 as lg

EPOCH_ENTRIES = 300
MORE = f'epoch_entries = {EPOCH_ENTRIES}\n[readers]\nlisten = "127.0.0.1:0"\n'


def write(gateway, letters):
    """Six entries for each letter."""
    for number in range(letters):
        to = ["G22", "H49.11", "H49.11.3", "H49.151", "H49.152"]
        Letter("H49", to, subject=f"văn bản {number}").send(gateway.system("province"))


@pytest.fixture(scope="module")
def library(pki, start):
    """A gateway with a closed epoch and an open one."""
    gateway = start(pki, MORE)
    write(gateway, 60)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def auditor(library):
    reader = Reader(library, "auditor")
    yield reader
    reader.close()


def head_of(gateway, reader, epoch):
    return LogKey(gateway.pki.vkey).open(reader.must(f"/log/{epoch}/checkpoint"))


def test_the_names_of_tiles_are_those_of_the_specification():
    assert name_of(1_234_067, 256) == "x001/x234/067"
    assert (name_of(5, 112), name_of(1000, 256)) == ("005.p/112", "x001/000")
    widths = list(tiles_of(70_000))
    assert len(widths) == 273 + 1 + 1 + 1 + 1
    assert widths[-4:] == [(0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]
    assert list(tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_whole_log_is_read_as_tiles_and_leads_to_the_signed_root(library, auditor, epoch):
    head = head_of(library, auditor, epoch)
    assert head.epoch == epoch
    assert head.size >= EPOCH_ENTRIES if epoch == 1 else head.size == library.size()
    entries, root, root_of_tiles = read_tree(auditor, epoch, head.size)
    assert root == root_of_tiles == head.root
    assert len(entries) == head.size
    grpc = library.system("auditor").log.ReadEntries(lg.ReadEntriesRequest())
    same = [leaf for message in grpc if message.first.epoch == epoch for leaf in message.leaves]
    # That an auditor reads is an entry, too.
    assert entries == same[: len(entries)] and len(same) <= len(entries) + 1
    if epoch == 2:
        before = head_of(library, auditor, 1)
        assert read_entry(entries[0])["previous"] == f"1 {before.size} {before.root.hex()}"


def test_tiles_of_every_smaller_tree_stay_readable(library, auditor):
    size = head_of(library, auditor, 1).size
    whole = auditor.must("/log/1/tile/0/000")
    bundle = entries_of(auditor.must("/log/1/tile/entries/000"))
    for width in (1, 2, 127, 128, 129, 200, 255):
        assert auditor.must(f"/log/1/tile/0/000.p/{width}") == whole[: 32 * width]
        assert entries_of(auditor.must(f"/log/1/tile/entries/000.p/{width}")) == bundle[:width]
    assert auditor.must("/log/1/tile/1/000.p/1")
    for beyond in (f"0/001.p/{size - 256 + 1}", "0/001", "0/002.p/1", "1/000.p/2", "1/000", "2/000.p/1", "63/000.p/1"):
        assert auditor.get(f"/log/1/tile/{beyond}").status == 404, beyond
    for beyond in (f"001.p/{size - 256 + 1}", "001", "002.p/1", "x999/x999/x999/x999/x999/999.p/1"):
        assert auditor.get(f"/log/1/tile/entries/{beyond}").status == 404, beyond


@pytest.mark.parametrize("path", [
    "/log/1/tile/0/0", "/log/1/tile/00/000", "/log/1/tile/64/000", "/log/1/tile/0/000.p/0", "/log/1/tile/0/000.p/256",
    "/log/1/tile/0/000.p/01", "/log/1/tile/0/x000/001", "/log/1/tile/entries/", "/log/0/checkpoint", "/log/01/checkpoint",
    "/log/4294967296/checkpoint", "/log/9/tile/0/000.p/1", "/", "/log/1", "/log/1/tile/0/..%2f000",
])  # fmt: skip
def test_what_has_no_such_name_is_not_found(library, auditor, path):
    page = auditor.get(path)
    assert (page.status, page.body) == (404, b"not found\n")


def test_an_epoch_that_has_not_begun_has_no_checkpoint(library, auditor):
    page = auditor.get("/log/3/checkpoint")
    assert (page.status, page.body.decode().split(":")[0]) == (404, "ENTRY_UNKNOWN")


def test_answers_carry_the_headers_of_the_specification(library, auditor):
    note = auditor.get("/log/1/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-cache"
    full = auditor.get("/log/1/tile/0/000")
    assert full.headers["content-type"] == "application/octet-stream"
    assert full.headers["cache-control"] == "private, max-age=31536000, immutable"
    partial = auditor.get("/log/1/tile/0/000.p/5")
    assert partial.headers["cache-control"] == "private, max-age=60, immutable"
    plain = auditor.get("/log/1/tile/entries/000")
    assert "content-encoding" not in plain.headers
    packed = auditor.get("/log/1/tile/entries/000", **{"Accept-Encoding": "identity, gzip"})
    assert unzipped(packed) == plain.body and len(packed.body) < len(plain.body) // 2
    assert auditor.ask("POST", "/log/1/checkpoint", b"").status == 405
    assert auditor.ask("HEAD", "/log/1/checkpoint").body == b""


@pytest.mark.parametrize("name, status, reason", [
    (None, 401, "CERTIFICATE_MISSING"), ("commune", 403, "ROLE_NOT_ALLOWED"), ("operator", 403, "ROLE_NOT_ALLOWED"),
    ("revoked", 401, "CERTIFICATE_REVOKED"), ("expired", 401, "CERTIFICATE_EXPIRED"),
    ("stranger", 401, "CERTIFICATE_UNKNOWN"),
])  # fmt: skip
def test_the_checkpoint_is_public_and_everything_else_is_for_auditors(library, name, status, reason):
    reader = Reader(library, name)
    assert head_of(library, reader, 1).size >= EPOCH_ENTRIES
    for path in ("/log/1/tile/0/000", "/log/1/tile/entries/000", "/log/7/tile/nonsense"):
        page = reader.get(path)
        assert (page.status, page.body.decode().split(":")[0]) == (status, reason)
    reader.close()


def test_an_auditor_whose_certificate_is_revoked_reads_no_more_after_a_reload(pki, start, tmp_path):
    country = pki.copy(tmp_path / "pki")
    gateway = start(country, MORE)
    write(gateway, 1)
    reader = Reader(gateway, "auditor")
    assert reader.get("/log/1/tile/0/000.p/6").status == 200
    country.revoke("auditor")
    gateway.reload()
    page = reader.get("/log/1/tile/0/000.p/6")
    assert (page.status, page.body[:19]) == (401, b"CERTIFICATE_REVOKED")
    assert reader.get("/log/1/checkpoint").status == 200
    reader.close()
    gateway.stop()


def test_an_empty_log_has_no_checkpoint_and_no_tile(pki, start):
    gateway = start(pki, MORE)
    reader = Reader(gateway, "auditor")
    assert reader.get("/log/1/checkpoint").status == 404
    assert reader.get("/log/1/tile/0/000.p/1").status == 404
    assert reader.get("/log/1/tile/entries/000.p/1").status == 404
    reader.close()
    gateway.stop()


def test_without_its_section_the_log_is_not_served(shared):
    assert shared.readers is None
