"""Checks proofs of the log: written from src/log/FORMAT.md and RFC 9162, with nothing of Vanthu's.

Every function raises AssertionError when a proof does not hold.
"""

import base64
import hashlib
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
FIELDS = (
    "event time actor consignment from to envelope document number dossier urgency request "
    "recipients verdict status reason note previous covers content service since offset bodies "
    "addressed by procedure applicant due rule grade"
).split()


class Checkpoint(NamedTuple):
    """A signed tree head."""

    epoch: int
    size: int
    root: bytes


class LogKey:
    """The public key of a log, from its vkey (FORMAT.md §5)."""

    def __init__(self, vkey):
        self.name, key_id, key = vkey.split("+", 2)
        key = base64.b64decode(key, validate=True)
        assert key[:1] == ED25519 and len(key) == 33
        self.public = key[1:]
        assert key_id == self.key_id(self.name).hex()

    def key_id(self, name):
        return hashlib.sha256(name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def open(self, note):
        """The checkpoint in a signed note, if this key signed it."""
        text, separator, signatures = note.decode().partition("\n\n")
        assert separator, "no blank line"
        text += "\n"
        origin, size, root, rest = text.split("\n")
        assert rest == "", "a checkpoint has three lines"
        prefix = f"{self.name}/log/"
        assert origin.startswith(prefix), origin
        epoch = _number(origin[len(prefix) :])
        self._check_signature(origin, text.encode(), signatures)
        root = base64.b64decode(root, validate=True)
        assert len(root) == 32
        return Checkpoint(epoch, _number(size), root)

    def _check_signature(self, origin, text, signatures):
        for line in signatures.splitlines():
            dash, name, blob = line.split(" ")
            assert dash == "\u2014"
            blob = base64.b64decode(blob, validate=True)
            if name != origin or blob[:4] != self.key_id(origin):
                continue
            try:
                return Ed25519PublicKey.from_public_bytes(self.public).verify(blob[4:], text)
            except InvalidSignature:
                raise AssertionError("the signature does not verify") from None
        raise AssertionError("no signature by this key")


class WitnessKey:
    """The public key of a witness, from its vkey (C2SP tlog-cosignature)."""

    def __init__(self, vkey):
        self.name, key_id, key = vkey.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
        assert key[:1] == COSIGNATURE and len(key) == 33
        self.public = key[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:4]
        assert key_id == self.id.hex()

    def cosigned(self, note):
        """When this witness cosigned the note, in seconds; None if it did not."""
        text, _, signatures = note.decode().partition("\n\n")
        for line in signatures.splitlines():
            dash, name, blob = line.split(" ")
            blob = base64.b64decode(blob, validate=True)
            if dash != "\u2014" or name != self.name or blob[:4] != self.id:
                continue
            seconds = int.from_bytes(blob[4:12])
            message = f"cosignature/v1\ntime {seconds}\n{text}\n".encode()
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(blob[12:], message)
            except InvalidSignature:
                raise AssertionError("the cosignature does not verify") from None
            return seconds
        return None


def vkey(name, kind, public):
    """A public key as C2SP writes it."""
    key_id = hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(kind + public).decode()}"


def _number(text):
    assert re.fullmatch(r"0|[1-9][0-9]*", text), text
    return int(text)


def leaf_hash(leaf):
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves):
    """The root over leaf hashes (RFC 6962 §2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def check_inclusion(leaf, index, path, checkpoint):
    """RFC 9162 §2.1.3.2."""
    assert index < checkpoint.size
    here, last, hash_ = index, checkpoint.size - 1, leaf_hash(leaf)
    for step in path:
        assert last > 0, "the path is too long"
        if here & 1 or here == last:
            hash_ = node_hash(step, hash_)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, step)
        here, last = here >> 1, last >> 1
    assert last == 0, "the path is too short"
    assert hash_ == checkpoint.root, "the path leads to another root"


def check_consistency(old, new, proof):
    """RFC 9162 §2.1.4.2."""
    assert old.epoch == new.epoch and 0 < old.size <= new.size
    if old.size == new.size:
        assert not proof and old.root == new.root
        return
    proof = list(proof)
    if old.size & (old.size - 1) == 0:
        proof.insert(0, old.root)
    here, last = old.size - 1, new.size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = proof[0]
    for step in proof[1:]:
        assert last > 0, "the proof is too long"
        if here & 1 or here == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            after = node_hash(after, step)
        here, last = here >> 1, last >> 1
    assert last == 0, "the proof is too short"
    assert (before, after) == (old.root, new.root), "the trees do not extend each other"


def consistency_proof(leaves, old):
    """RFC 6962 §2.1.2, from all leaf hashes."""
    if old in (0, len(leaves)):
        return []
    return _subproof(old, leaves, True)


def _subproof(old, leaves, whole):
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return _subproof(old, leaves[:split], whole) + [root_of(leaves[split:])]
    return _subproof(old - split, leaves[split:], False) + [root_of(leaves[:split])]


def inclusion_proof(leaves, index):
    """RFC 6962 §2.1.1, from all leaf hashes."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return inclusion_proof(leaves[:split], index) + [root_of(leaves[split:])]
    return inclusion_proof(leaves[split:], index - split) + [root_of(leaves[:split])]


def read_entry(leaf):
    """The fields of an entry (FORMAT.md §1)."""
    assert len(leaf) <= 4096
    first, *lines, end = leaf.decode().split("\n")
    assert first == "vanthu.entry.v1" and end == ""
    entry = dict(line.split(" ", 1) for line in lines)
    order = [FIELDS.index(name) for name in entry]
    assert order == sorted(set(order)) and len(order) == len(lines), "fields out of order"
    assert all(entry.values()), "an empty value"
    return entry


def check_receipt(receipt, key):
    """A receipt holds with the log's public key and nothing else; gives the fields of its entry."""
    checkpoint = key.open(receipt.checkpoint)
    assert checkpoint.epoch == receipt.entry_id.epoch
    path = list(receipt.inclusion_path)
    assert all(len(step) == 32 for step in path)
    check_inclusion(receipt.leaf, receipt.entry_id.index, path, checkpoint)
    entry = read_entry(receipt.leaf)
    millis = receipt.time.ToMilliseconds()
    assert entry["time"] == receipt.time.ToJsonString().replace("Z", ".000Z" if millis % 1000 == 0 else "Z")
    return entry
