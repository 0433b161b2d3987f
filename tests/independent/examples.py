"""The log of the examples in log/FORMAT.md, and the dishonest operator who holds its key."""

import base64
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from verifier import ED25519, Epoch, Key, Tree, leaf_hash, sha256

ROOT = Path(__file__).resolve().parents[2]
LOG_FORMAT = (ROOT / "src/log/FORMAT.md").read_text()
WITNESS_FORMAT = (ROOT / "src/witness/FORMAT.md").read_text()
EVIDENCE_FORMAT = (ROOT / "src/evidence/FORMAT.md").read_text()
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)


def blocks(text, kind):
    """Fenced blocks by what stands behind their kind."""
    found = re.findall(rf"^```{kind}(?: ([^\n]*))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {name: body.encode() for name, body in found}


def example_key():
    return Key(blocks(LOG_FORMAT, "vkey")[""].decode())


def example_log():
    """Every entry with the checkpoints of the page."""
    epochs, notes = {}, blocks(LOG_FORMAT, "checkpoint")
    for place, leaf in blocks(LOG_FORMAT, "entry").items():
        epoch, index = map(int, place.split("/"))
        epochs.setdefault(epoch, {})[index] = leaf
    assert all(set(leaves) == set(range(len(leaves))) for leaves in epochs.values())
    in_order = {epoch: [leaves[index] for index in sorted(leaves)] for epoch, leaves in sorted(epochs.items())}
    return [Epoch(leaves, [notes[str(epoch)]]) for epoch, leaves in in_order.items()]


def sign(epoch, size, root, name="gate.example", key=PRIVATE_KEY, origin=None):
    """A checkpoint as the gateway signs it."""
    origin = origin or f"{name}/log/{epoch}"
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    public = key.public_key().public_bytes_raw()
    key_id = sha256(origin.encode(), b"\n", ED25519, public)[:4]
    blob = base64.b64encode(key_id + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {origin} {blob}\n".encode()


def root_of(leaves):
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf_hash(leaf))
    return tree.root()


def resigned(epochs):
    """The same entries as a log that is signed anew and chained anew."""
    signed, previous = [], None
    for number, leaves in enumerate(epochs, 1):
        leaves = list(leaves)
        if previous and leaves[0].startswith(b"vanthu.entry.v1\nevent epoch\n"):
            leaves[0] = re.sub(rb"(?m)^previous .*$", f"previous {previous}".encode(), leaves[0])
        root = root_of(leaves)
        signed.append(Epoch(leaves, [sign(number, len(leaves), root)]))
        previous = f"{number} {len(leaves)} {root.hex()}"
    return signed
