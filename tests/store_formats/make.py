"""Makes the small store of the present format: python tests/store_formats/make.py

Run it once for each released format, with the binary of that release in VANTHU_BIN, and commit the
archive; it is never made again. The log is signed with the key of the example in src/log/FORMAT.md,
32 bytes of 0x07, which is nobody's.
"""

import json
import pathlib
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "reliability"))

import gateway as outside  # noqa: E402
from gateway import mailbox  # noqa: E402

#: An Ed25519 private key in PKCS #8 (RFC 8410 §7): fixed bytes, then the key.
EXAMPLE_KEY = bytes.fromhex("302e020100300506032b657004220420") + bytes([7] * 32)


def use_example_key(home):
    import base64

    text = base64.b64encode(EXAMPLE_KEY).decode()
    label = "PRIVATE" + " KEY"
    (home / "log.key").write_text(f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")


def known(result, document):
    """What must be true of the store for ever."""
    return {"request_id": document.request_id, "envelope": document.envelope.hex(),
            "part": document.parts[0].hex(), "consignment": result.consignment_id,
            "receipt": result.receipt.SerializeToString().hex()}


def make(folder):
    home = outside.make_home(folder / "home", epoch_entries=9)
    use_example_key(home)
    documents = []
    with outside.Gateway(home).start() as gateway:
        for number in range(6):
            document = outside.make_document(size=200)
            documents.append(known(gateway.submit(document), document))
            consignment = documents[-1]["consignment"]
            stub = gateway.mailboxes()
            if number % 3 == 1:
                stub.Acknowledge(mailbox.AcknowledgeRequest(
                    agency="H49.11", consignment_id=consignment), timeout=20)
            if number % 3 == 2:
                stub.Refuse(mailbox.RefuseRequest(
                    agency="H49.11", consignment_id=consignment, reason="sai"), timeout=20)
        assert gateway.stop() == 0
    (home / "data/known.json").write_text(json.dumps(documents, indent=1))
    return home / "data"


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = make(pathlib.Path(folder))
        checked = outside.run("store", "check", "--data", data, "--output", "json")
        layout = json.loads(checked.stdout)["layout"]
        target = HERE / f"layout-{layout}.tar.xz"
        with tarfile.open(target, "w:xz", preset=9) as archive:
            archive.add(data, arcname="data")
    print(target, target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
