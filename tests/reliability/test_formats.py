"""Stores of every format that was released: opened, read, proven, written to, rebuilt."""

import json
import pathlib
import sys
import tarfile

import pytest

import gateway as outside
from test_backup import elsewhere, fetched, store

FORMATS = pathlib.Path(__file__).resolve().parents[1] / "store_formats"
sys.path.insert(0, str(FORMATS))

import make  # noqa: E402

ARCHIVES = sorted(FORMATS.glob("layout-*.tar.xz"))


def test_there_is_a_store_of_the_present_format(gateway):
    gateway.submit(outside.make_document())
    assert gateway.stop() == 0
    layout = store("check", "--data", gateway.home / "data")["layout"]
    assert FORMATS / f"layout-{layout}.tar.xz" in ARCHIVES, "run tests/store_formats/make.py"


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.split(".")[0])
def test_a_store_of_this_format_goes_on(home, tmp_path, archive):
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")
    make.use_example_key(home)
    outside.run("log", "audit", "--key", vkey(home), "--data", home / "data")
    documents = json.loads((home / "data/known.json").read_text())
    with outside.Gateway(home).start() as gateway:
        holds(gateway, documents)
        gateway.submit(outside.make_document())
        store("backup", tmp_path / "backup", "--data", home / "data")
        assert gateway.stop() == 0
        assert store("check", "--data", home / "data")["valid"]
        store("rebuild", "--data", home / "data")
        gateway.start()
        holds(gateway, documents)
        restored = elsewhere(gateway, tmp_path)
    (restored / "data").mkdir()
    (restored / "data/head.signed").write_bytes((home / "data/head.signed").read_bytes())
    store("restore", tmp_path / "backup", "--data", restored / "data")
    with outside.Gateway(restored).start() as gateway:
        holds(gateway, documents)


def vkey(home):
    """The example's key under the gateway's name."""
    import base64
    import hashlib

    public = base64.b64decode("AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs")
    name = next(line.split('"')[1] for line in (home / "vanthu.toml").read_text().splitlines()
                if line.startswith("name ="))
    key_id = hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(public).decode()}"


def holds(gateway, documents):
    for known in documents:
        document = outside.Document("H49.151", known["request_id"],
                                    bytes.fromhex(known["envelope"]), [bytes.fromhex(known["part"])])
        again = gateway.submit(document)
        assert again.repeated and again.consignment_id == known["consignment"]
        assert again.receipt.SerializeToString().hex() == known["receipt"]
        found, part = fetched(gateway, known["consignment"])
        assert (found.envelope, part) == (document.envelope, document.parts[0])
