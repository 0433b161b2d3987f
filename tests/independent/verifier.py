"""A second verifier of a Vanthu log, in another language than the first.

Written from src/log/FORMAT.md and src/evidence/FORMAT.md alone, with the standard library and
`cryptography` for Ed25519. It verifies receipts, consistency proofs, evidence files and whole logs,
needs no gateway, and shares nothing with the program that it checks. Whatever does not hold raises
`Invalid`, whose `code` says which rule is broken.

    verifier.py receipt FILE VKEY
    verifier.py evidence FILE VKEY [VKEY of another gateway…]
    verifier.py log FOLDER VKEY      # as `save_log` writes it

Section numbers (§) are those of log/FORMAT.md; those of evidence/FORMAT.md are marked E.
"""

import base64
import binascii
import datetime
import hashlib
import re
import struct
import sys
import unicodedata
import zlib
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Invalid(Exception):
    """What was to be verified does not hold."""

    def __init__(self, code, detail=""):
        super().__init__(f"{code}: {detail}")
        self.code = code


def require(holds, code, detail=""):
    if not holds:
        raise Invalid(code, detail)


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


# ── conventions ──────────────────────────────────────────────────────────────────────────────────

NUMBER = re.compile(r"0|[1-9][0-9]*", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
CODE = re.compile(r"[0-9A-Za-z._-]{1,35}", re.ASCII)
PROCEDURE = re.compile(r"[0-9A-Za-z._-]{1,50}", re.ASCII)
WORD = re.compile(r"[A-Z][A-Z0-9_-]{0,62}", re.ASCII)
SYSTEM = re.compile(r"[0-9a-z-]{1,64}", re.ASCII)
SERVICE = re.compile(r"(tsa|witness|ocsp|crl|clock|gateway) ([0-9a-z.-]{1,64})", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
DOSSIER = re.compile(r"[0-9A-Za-z._-]{1,35}-([0-9]{6}|[0-9]{8})-[0-9]{4,7}", re.ASCII)
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z", re.ASCII)
WHITE_SPACE = {*map(chr, range(0x9, 0xE)), *map(chr, range(0x2000, 0x200B))}
WHITE_SPACE |= {"\x20", "\x85", "\xa0", "\u1680", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}
FORBIDDEN = {"\u2028", "\u2029", "\ufeff", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def is_number(text, least=0, most=2**64 - 1):
    return bool(NUMBER.fullmatch(text)) and least <= int(text) <= most


def is_time(text):
    match = TIME.fullmatch(text)
    if not match:
        return False
    year, month, day, hour, minute, second, _ = map(int, match.groups())
    try:
        datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return False
    return year >= 1970


def is_line(text, most):
    plain = all(unicodedata.category(c) != "Cc" and c not in FORBIDDEN for c in text)
    return 1 <= len(text) <= most and plain and text[0] not in WHITE_SPACE and text[-1] not in WHITE_SPACE


def parts(text, *checks):
    """Whether `text` is as many words, each as its check wants, with single spaces between them."""
    words = text.split(" ")
    return len(words) == len(checks) and all(check(word) for check, word in zip(checks, words))


def matches(pattern):
    return lambda text: bool(pattern.fullmatch(text))


def one_of(*words):
    return lambda text: text in words


def unbase64(text, code):
    """Standard base64 with padding, in its one spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(code, str(error)) from None
    require(base64.b64encode(raw).decode() == text, code, "another spelling of the same bytes")
    return raw


# ── §1 entries ───────────────────────────────────────────────────────────────────────────────────

HEADER = "vanthu.entry.v1"
ENTRY_SIZE_MAX = 4_096
RECIPIENTS_MAX = 5_000


def is_head(text):
    return parts(
        text,
        lambda epoch: is_number(epoch, 1, 2**32 - 1),
        lambda size: is_number(size, 1),
        matches(DIGEST),
    )


FIELDS = {
    "event": lambda text: text in EVENTS,
    "time": is_time,
    "actor": lambda text: parts(text, matches(SYSTEM), matches(DIGEST)),
    "consignment": matches(UUID),
    "from": matches(CODE),
    "to": matches(CODE),
    "envelope": matches(DIGEST),
    "document": lambda text: is_line(text, 100),
    "number": lambda text: is_line(text, 42),
    "dossier": matches(DOSSIER),
    "urgency": one_of("flash", "immediate", "urgent", "normal"),
    "request": matches(DIGEST),
    "recipients": lambda text: parts(text, lambda n: is_number(n, 1, RECIPIENTS_MAX), matches(DIGEST)),
    "verdict": lambda text: parts(
        text,
        one_of("TOTAL-PASSED", "INDETERMINATE", "TOTAL-FAILED", "UNSIGNED"),
        matches(WORD),
        matches(DIGEST),
    ),
    "status": one_of("01", "02", "03", "04", "05", "06", "13", "15", "16"),
    "reason": matches(WORD),
    "note": matches(DIGEST),
    "previous": is_head,
    "covers": is_head,
    "content": matches(DIGEST),
    "service": matches(SERVICE),
    "since": is_time,
    "offset": lambda text: is_number(text.removeprefix("-")) and text != "-0",
    "bodies": lambda text: parts(text, lambda n: is_number(n, 1), matches(DIGEST)),
    "addressed": matches(CODE),
    "by": matches(UUID),
    "procedure": matches(PROCEDURE),
    "applicant": matches(DIGEST),
    "due": is_time,
    "rule": matches(WORD),
    "grade": one_of("1", "2", "3", "4", "5"),
}

# ── §2 events ────────────────────────────────────────────────────────────────────────────────────


class Shape(NamedTuple):
    """Which fields an event has; values that are named are the only ones."""

    must: frozenset
    may: frozenset
    values: dict
    gateway: bool
    # Whether a neighbour may bring or tell it.
    told: bool


def shape(must, may="", gateway=False, told=False, **values):
    return Shape(frozenset(must.split()), frozenset(may.split()), values, gateway, told)


ABOUT = "consignment from to envelope"
ORDERS = {"RECALL", "UPDATE", "REPLACE"}
EVENTS = {
    "SubmissionAcceptance": shape(
        "consignment from envelope document urgency request recipients verdict", "number dossier", told=True
    ),
    "SubmissionRejection": shape("from envelope document request reason", "dossier verdict", told=True),
    "ContentConsignment": shape(f"{ABOUT} urgency", "addressed", gateway=True, told=True),
    "ContentHandover": shape(f"{ABOUT} status", told=True, status={"03"}),
    "ConsignmentRejection": shape(
        f"{ABOUT} status reason note", told=True, status={"02"}, reason={"RECIPIENT"}
    ),
    "status": shape(f"{ABOUT} status", "note", told=True, status={"01", "04", "05", "06"}),
    "ConsignmentNotification": shape(ABOUT, gateway=True, told=True),
    "ConsignmentNotificationFailure": shape(
        f"{ABOUT} reason since", gateway=True, told=True, reason={"EXPIRED"}
    ),
    "ContentAccessTracking": shape(ABOUT, told=True),
    "ContentHandoverFailure": shape(f"{ABOUT} reason since", gateway=True, told=True, reason={"EXPIRED"}),
    "epoch": shape("previous", gateway=True),
    "timestamp": shape("covers content service", gateway=True),
    "outage": shape("service since", gateway=True),
    "repair": shape("service since", gateway=True),
    "clock": shape("service offset", gateway=True),
    "erasure": shape(
        "consignment from envelope reason bodies", "note", gateway=True, reason={"RETENTION", "ORDER"}
    ),
    "hold": shape("consignment from envelope reason", "note", gateway=True),
    "release": shape("consignment from envelope reason", "note", gateway=True),
    "read": shape(
        "reason note",
        "consignment from to",
        reason={"TRACE", "ENTRIES", "EVIDENCE", "STATISTICS"},
    ),
    "relay": shape(f"{ABOUT} urgency service", "addressed", gateway=True),
    "RelayAcceptance": shape(f"{ABOUT} content service"),
    "RelayRejection": shape(f"{ABOUT} reason content service"),
    "RelayFailure": shape(f"{ABOUT} reason service since", gateway=True, told=True, reason={"EXPIRED"}),
    "redirection": shape(f"{ABOUT} urgency addressed", gateway=True, told=True),
    "order": shape(f"{ABOUT} status reason", "note by", told=True, status={"13"}, reason=ORDERS),
    "order-answer": shape(f"{ABOUT} status reason", "note", told=True, status={"15", "16"}, reason=ORDERS),
    "directory": shape("note content", gateway=True),
    "dossier": shape(
        "from dossier reason", "to request consignment note since procedure applicant due rule grade"
    ),
}
# States in which a step is taken (0: none), the state after it, who takes it, its fields.
STEPS = {
    "REGISTRATION": ({0}, 1, "reception", "procedure", "to note applicant"),
    "RECEPTION": ({0, 1}, 2, "reception", "procedure due", "note applicant"),
    "NON_RECEPTION": ({1}, 3, "reception", "note", ""),
    "HANDOVER": ({2, 4}, 4, "holder", "to", "note"),
    "APPRAISAL": ({2, 4}, 4, "holder", "", "note"),
    "APPROVAL": ({2, 4}, 4, "holder", "", "note"),
    "SEALING": ({2, 4}, 4, "holder", "", "note"),
    "SUPPLEMENT_REQUEST": ({2, 4}, 5, "holder", "note", ""),
    "SUPPLEMENT": ({5}, 4, "either", "due", "note"),
    "PAYMENT_REQUEST": ({2, 4}, 6, "holder", "", "note"),
    "PAYMENT": ({6}, 4, "either", "due", "note"),
    "WITHDRAWAL": ({1, 2, 4, 5, 6}, 7, "either", "", "note"),
    "STOP": ({2, 4, 5, 6}, 8, "holder", "note", ""),
    "COMPLETION": ({2, 4}, 9, "holder", "", "consignment note"),
    "RETURN": ({9}, 10, "reception", "", "note"),
    "OPINION_REQUEST": ({2, 4}, 4, "holder", "to due rule", "note"),
    "OPINION": ({2, 4, 5, 6}, None, "asked", "", "note"),
    "DEEMED_CONSENT": ({2, 4, 5, 6}, None, "gateway", "to since rule", ""),
    "APOLOGY": ({2, 4, 5, 6}, None, "either", "note due", ""),
    "REMINDER": ({2, 4}, None, "gateway", "due", ""),
    "OVERDUE": ({2, 4}, None, "gateway", "since", ""),
    "FEEDBACK": (set(range(1, 11)), None, "origin", "note", ""),
    "SATISFACTION": ({10}, None, "origin", "grade", "note"),
    "SUCCESSION": ({1, 2, 4, 5, 6, 9}, None, "gateway", "to", ""),
}
PROMISED = {"ContentConsignment", "relay"}
RELAYED = {"RelayAcceptance", "RelayRejection"}
ANSWERS = {"ContentHandover", "ConsignmentRejection"}
# What must not stand before an event.
ONCE = {
    event: {event}
    for event in (
        "ConsignmentNotification",
        "ConsignmentNotificationFailure",
        "ContentAccessTracking",
        "ContentHandoverFailure",
        "RelayFailure",
    )
} | {
    "RelayAcceptance": RELAYED,
    "RelayRejection": {"RelayRejection", "ContentConsignment"},
    "ContentConsignment": {"RelayRejection", "ContentConsignment"},
}
FAILURES = {"ConsignmentNotificationFailure", "ContentHandoverFailure", "RelayFailure"}
KEEPING = {"erasure", "hold", "release"}


def read_entry(leaf, key=None):
    """The fields of an entry, checked against §1 and §2; with a key also who `gateway` is."""
    require(len(leaf) <= ENTRY_SIZE_MAX, "ENTRY_FORM", f"{len(leaf)} bytes")
    try:
        text = leaf.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("ENTRY_FORM", str(error)) from None
    require(text.endswith("\n"), "ENTRY_FORM", "no line feed at the end")
    header, *lines = text[:-1].split("\n")
    require(header == HEADER, "ENTRY_FORM", f"begins with {header!r}")
    order, entry = iter(FIELDS), {}
    for line in lines:
        name, space, value = line.partition(" ")
        require(space and value, "ENTRY_FORM", f"{line!r} is no field")
        require(name in order, "ENTRY_FORM", f"{name!r} is unknown, repeated or out of order")
        require(FIELDS[name](value), "ENTRY_FORM", f"{name} {value!r}")
        entry[name] = value
    _check_shape(entry)
    if key is not None and entry["actor"].split(" ")[0] == "gateway":
        require(entry["actor"].split(" ")[1] == sha256(key.public).hex(), "ACTOR", "another gateway's key")
    return entry


def _check_shape(entry):
    for name in ("event", "time", "actor"):
        require(name in entry, "ENTRY_FORM", f"no {name}")
    wanted = EVENTS[entry["event"]]
    there = set(entry) - {"event", "time", "actor"}
    told = is_told(entry)
    must = wanted.must | {"service", "content"} if told else wanted.must
    require(must <= there, "ENTRY_FIELDS", f"without {sorted(must - there)}")
    surplus = there - must - wanted.may
    require(not surplus, "ENTRY_FIELDS", f"with {sorted(surplus)}")
    for name, values in wanted.values.items():
        require(entry[name] in values, "ENTRY_FIELDS", f"{name} {entry[name]}")
    if told or "relay" in entry["event"].lower():
        require(entry["service"].startswith("gateway "), "SERVICE", entry["service"])
    if entry["event"] in ("SubmissionRejection", "RelayRejection"):
        require(entry["reason"] != "RECIPIENT", "ENTRY_FIELDS", "the gateway is no recipient")
    may_be_either = entry["event"] in ("order-answer", "dossier") and not told
    fits = may_be_either or by_gateway(entry) == (wanted.gateway and not told)
    require(fits, "ACTOR", f"{entry['actor']} in {entry['event']}")


def by_gateway(entry):
    return entry["actor"].split(" ")[0] == "gateway"


def is_told(entry):
    """Whether a neighbour brought or told it."""
    wanted = EVENTS[entry["event"]]
    return wanted.told and bool({"service", "content"} & set(entry) - wanted.must)


def recipients_digest(codes):
    return sha256(*(code.encode() + b"\n" for code in sorted(codes, key=str.encode))).hex()


# ── §4 the tree ──────────────────────────────────────────────────────────────────────────────────


def leaf_hash(leaf):
    return sha256(b"\x00", leaf)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


class Tree:
    """Roots of complete subtrees, the largest first: as many as the size has bits set."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def add(self, hash_):
        height = 0
        while self.size >> height & 1:
            hash_ = node_hash(self.peaks.pop(), hash_)
            height += 1
        self.peaks.append(hash_)
        self.size += 1

    def root(self):
        *rest, root = self.peaks or [sha256()]
        for peak in reversed(rest):
            root = node_hash(peak, root)
        return root


def check_inclusion(leaf, index, size, path, root):
    """RFC 9162 §2.1.3.2."""
    require(index < size, "PROOF", f"entry {index} of {size}")
    position, last, hash_ = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        require(last > 0, "PROOF", "the path is too long")
        if position & 1 or position == last:
            hash_ = node_hash(sibling, hash_)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, sibling)
        position, last = position >> 1, last >> 1
    require(last == 0, "PROOF", "the path is too short")
    require(hash_ == root, "PROOF", "the path leads to another root")


def check_consistency(old, old_root, new, new_root, proof):
    """RFC 9162 §2.1.4.2: the tree of `old` entries is the beginning of that of `new`."""
    require(old <= new, "CONSISTENCY", "the older tree is larger")
    if old in (0, new):
        require(not proof, "CONSISTENCY", "a proof where none is needed")
        require(old == 0 or old_root == new_root, "CONSISTENCY", "two roots of one size")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    require(path, "CONSISTENCY", "no proof")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for hash_ in path[1:]:
        require(last > 0, "CONSISTENCY", "the proof is too long")
        if position & 1 or position == last:
            first, second = node_hash(hash_, first), node_hash(hash_, second)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, hash_)
        position, last = position >> 1, last >> 1
    require(last == 0, "CONSISTENCY", "the proof is too short")
    require(first == old_root, "CONSISTENCY", "it does not begin with the older tree")
    require(second == new_root, "CONSISTENCY", "it does not lead to the newer tree")


# ── §5 checkpoints and keys ──────────────────────────────────────────────────────────────────────

NOTE_SIZE_MAX = 16 * 1024
ED25519 = b"\x01"


class Checkpoint(NamedTuple):
    """A signed tree head."""

    epoch: int
    size: int
    root: bytes


class Key:
    """The gateway's public key, from its vkey."""

    def __init__(self, vkey):
        name, _, rest = vkey.strip().partition("+")
        key_id, _, key = rest.partition("+")
        raw = unbase64(key, "VKEY")
        require(raw[:1] == ED25519 and len(raw) == 33, "VKEY", "no Ed25519 key")
        self.vkey, self.name, self.public = vkey.strip(), name, raw[1:]
        bad = any(c == "+" or c in WHITE_SPACE or unicodedata.category(c) == "Cc" for c in name)
        require(name and not bad, "VKEY", f"name {name!r}")
        require(key_id == self.key_id(name).hex(), "VKEY", "the key id is another's")

    def key_id(self, name):
        return sha256(name.encode(), b"\n", ED25519, self.public)[:4]

    def open(self, note):
        """The checkpoint in a note that this key signed."""
        require(len(note) <= NOTE_SIZE_MAX, "CHECKPOINT_FORM", f"{len(note)} bytes")
        try:
            whole = note.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Invalid("CHECKPOINT_FORM", str(error)) from None
        text, blank, signatures = whole.rpartition("\n\n")
        require(blank, "CHECKPOINT_FORM", "no empty line")
        lines = text.split("\n")
        require(len(lines) == 3, "CHECKPOINT_FORM", f"{len(lines)} lines of text")
        origin, size, root = lines
        name, slash, epoch = origin.rpartition("/log/")
        require(slash and is_number(epoch, 1, 2**32 - 1), "CHECKPOINT_FORM", f"origin {origin!r}")
        require(is_number(size, 1), "CHECKPOINT_FORM", f"size {size!r}")
        root = unbase64(root, "CHECKPOINT_FORM")
        require(len(root) == 32, "CHECKPOINT_FORM", "no SHA-256")
        require(name == self.name, "CHECKPOINT_ORIGIN", origin)
        self._check_signature(origin, f"{text}\n".encode(), signatures)
        return Checkpoint(int(epoch), int(size), root)

    def _check_signature(self, origin, text, signatures):
        require(signatures.endswith("\n"), "CHECKPOINT_FORM", "no line feed at the end")
        found = False
        for line in signatures[:-1].split("\n"):
            words = line.split(" ")
            require(len(words) == 3 and words[0] == "\u2014", "CHECKPOINT_FORM", f"{line!r} is no signature")
            blob = unbase64(words[2], "CHECKPOINT_FORM")
            require(len(blob) > 4, "CHECKPOINT_FORM", "a signature of nothing")
            if words[1] != origin or blob[:4] != self.key_id(origin):
                continue
            require(not found, "CHECKPOINT_FORM", "two signatures of one key")
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(blob[4:], text)
            except InvalidSignature:
                raise Invalid("CHECKPOINT_SIGNATURE", "the key did not make it") from None
            found = True
        require(found, "CHECKPOINT_SIGNATURE", "not signed with this key")


COSIGNATURE = b"\x04"


class Witness:
    """A witness's public key, from its vkey (witness/FORMAT.md §1, C2SP tlog-cosignature)."""

    def __init__(self, vkey):
        self.name, _, rest = vkey.strip().partition("+")
        key_id, _, key = rest.partition("+")
        raw = unbase64(key, "VKEY")
        require(raw[:1] == COSIGNATURE and len(raw) == 33, "VKEY", "no key of a witness")
        self.public = raw[1:]
        self.key_id = sha256(self.name.encode(), b"\n", raw)[:4]
        require(key_id == self.key_id.hex(), "VKEY", "the key id is another's")

    def check(self, note):
        """When the witness cosigned, in seconds since 1970; the log's signature is checked elsewhere."""
        text, _, signatures = note.decode("utf-8").rpartition("\n\n")
        for line in signatures[:-1].split("\n"):
            words = line.split(" ")
            require(len(words) == 3 and words[0] == "\u2014", "CHECKPOINT_FORM", f"{line!r} is no signature")
            blob = unbase64(words[2], "CHECKPOINT_FORM")
            if words[1] != self.name or blob[:4] != self.key_id:
                continue
            require(len(blob) == 4 + 8 + 64, "COSIGNATURE", "its length")
            time = int.from_bytes(blob[4:12], "big")
            try:
                signed = f"cosignature/v1\ntime {time}\n{text}\n".encode()
                Ed25519PublicKey.from_public_bytes(self.public).verify(blob[12:], signed)
            except InvalidSignature:
                raise Invalid("COSIGNATURE", "not of this checkpoint") from None
            return time
        raise Invalid("COSIGNATURE_MISSING", self.name)


# ── E§1 receipts ─────────────────────────────────────────────────────────────────────────────────

RECEIPT_SIZE_MAX = 32 * 1024
PROOF_LENGTH_MAX = 64


class Receipt(NamedTuple):
    """A receipt, or a bare proof, which has no leaf."""

    leaf: bytes | None
    index: int
    path: list
    note: bytes


def read_receipt(file):
    require(len(file) <= RECEIPT_SIZE_MAX, "RECEIPT_FORM", f"{len(file)} bytes")
    head, blank, note = file.partition(b"\n\n")
    require(blank and note, "RECEIPT_FORM", "no checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Invalid("RECEIPT_FORM", str(error)) from None
    require(lines.pop(0) == "c2sp.org/tlog-proof@v1", "RECEIPT_FORM", "another kind of file")
    leaf = None
    if lines and lines[0].startswith("extra "):
        leaf = unbase64(lines.pop(0).removeprefix("extra "), "RECEIPT_FORM")
    require(lines and lines[0].startswith("index "), "RECEIPT_FORM", "no index")
    index = lines.pop(0).removeprefix("index ")
    require(is_number(index), "RECEIPT_FORM", f"index {index!r}")
    path = [unbase64(line, "RECEIPT_FORM") for line in lines]
    require(len(path) <= PROOF_LENGTH_MAX, "RECEIPT_FORM", f"{len(path)} digests")
    require(all(len(hash_) == 32 for hash_ in path), "RECEIPT_FORM", "no SHA-256")
    return Receipt(leaf, int(index), path, note)


def verify_receipt(file, key):
    """What is proven: the place of the entry and its fields."""
    receipt = read_receipt(file)
    require(receipt.leaf is not None, "RECEIPT_FORM", "a bare proof")
    checkpoint = key.open(receipt.note)
    check_inclusion(receipt.leaf, receipt.index, checkpoint.size, receipt.path, checkpoint.root)
    return (checkpoint.epoch, receipt.index), read_entry(receipt.leaf, key)


# ── §7 a whole log ───────────────────────────────────────────────────────────────────────────────


class Story:
    """What the entries said so far, and what may follow."""

    def __init__(self, key):
        self.key = key
        self.time = ""
        self.consignments, self.requests = {}, set()
        # (consignment, recipient) → events and times.
        self.deliveries = {}
        # The same → the neighbour of its relay, and the order that waits for an answer.
        self.neighbours, self.orders = {}, {}
        self.promised = None
        self.outages = {}
        self.dossiers = {}

    def tell(self, entry):
        """Rules 2 to 6, 9, 11 and 13 to 17."""
        require(entry["time"] >= self.time, "TIME_BACKWARDS", f"{entry['time']} after {self.time}")
        self.time = entry["time"]
        event = entry["event"]
        promised = event in PROMISED and not is_told(entry)
        if self.promised is not None and not promised:
            raise Invalid("RECIPIENT_MISSING", f"{event} where a consignment was promised")
        if event == "SubmissionAcceptance":
            self._accept(entry)
        elif promised:
            self._consign(entry)
        elif event == "redirection":
            self._redirect(entry)
        elif "to" in entry and "envelope" in entry:
            self._deliver(entry)
        elif event in KEEPING:
            self._same_facts(entry)
        elif event == "dossier":
            self._request(entry)
            step_of_dossier(entry, self.dossiers, self.consignments)
        elif event in ("outage", "repair"):
            self._serve(entry)
        elif event == "clock":
            require(entry["service"].startswith("clock "), "SERVICE", entry["service"])

    def _accept(self, entry):
        require(entry["consignment"] not in self.consignments, "CONSIGNMENT_TWICE", entry["consignment"])
        self._request(entry)
        self.consignments[entry["consignment"]] = entry
        count, digest = entry["recipients"].split(" ")
        self.promised = (entry, int(count), digest, [])

    def _request(self, entry):
        if "request" in entry:
            require(entry["request"] not in self.requests, "REQUEST_TWICE", entry["request"])
            self.requests.add(entry["request"])

    def _consign(self, entry):
        require(self.promised is not None, "CONSIGNMENT_STRAY", "no acceptance before it")
        accepted, count, digest, codes = self.promised
        require(entry["consignment"] == accepted["consignment"], "CONSIGNMENT_STRAY", "of another acceptance")
        for name in ("from", "envelope", "urgency"):
            require(entry[name] == accepted[name], "FACTS_DIFFER", name)
        in_order = not codes or codes[-1].encode() < entry["to"].encode()
        require(in_order, "RECIPIENT_ORDER", f"{entry['to']} after {codes[-1:]}")
        codes.append(entry["to"])
        self._begin(entry)
        if len(codes) == count:
            require(recipients_digest(codes) == digest, "RECIPIENT_MISSING", "others were promised")
            self.promised = None

    def _begin(self, entry):
        key = entry["consignment"], entry["to"]
        self.deliveries.setdefault(key, {})
        self.neighbours.setdefault(key, entry.get("service"))

    def _redirect(self, entry):
        """Rule 14."""
        self._same_facts(entry)
        key = entry["consignment"], entry["addressed"]
        told = self.deliveries.get(key)
        require(told is not None, "CONSIGNMENT_UNKNOWN", f"nothing was consigned to {entry['addressed']}")
        waited = not ENDS & set(told) and entry["to"] != entry["addressed"]
        require(waited, "REDIRECTION", f"{entry['addressed']} had nothing that waited")
        require(self.neighbours[key] == entry.get("service"), "REDIRECTION", "told by another gateway")
        told["redirection"] = entry["time"]
        self._begin(entry)

    def _same_facts(self, entry):
        accepted = self.consignments.get(entry["consignment"])
        require(accepted, "CONSIGNMENT_UNKNOWN", entry["consignment"])
        for name in ("from", "envelope", "urgency"):
            require(entry.get(name, accepted[name]) == accepted[name], "FACTS_DIFFER", name)
        return accepted

    def _deliver(self, entry):
        accepted = self._same_facts(entry)
        told = self.deliveries.get((entry["consignment"], entry["to"]))
        require(told is not None, "CONSIGNMENT_UNKNOWN", f"nothing was consigned to {entry['to']}")
        self._check_teller(entry, accepted)
        self._order(entry)
        check_once(entry, told)
        if entry["event"] in FAILURES:
            check_failure(entry, accepted, told)
        told.setdefault(name_of(entry), entry["time"])

    def _check_teller(self, entry, accepted):
        """Rule 13."""
        expected = self.neighbours[entry["consignment"], entry["to"]]
        if entry["event"] == "order":
            expected = accepted.get("service")
        if entry["event"] == "order-answer" and by_gateway(entry):
            expected = None
        require(entry.get("service") == expected, "NEIGHBOUR", f"{entry.get('service')} instead of {expected}")

    def _order(self, entry):
        """Rule 15."""
        key = entry["consignment"], entry["to"]
        waiting = self.orders.get(key)
        if entry["event"] == "order":
            require(waiting is None, "ORDER", "another one waits")
            require((entry["reason"] == "RECALL") == ("by" not in entry), "ORDER", "its by")
            require(entry.get("by", entry["consignment"]) in self.consignments, "ORDER", "its by is unknown")
            self.orders[key] = entry["reason"]
        elif entry["event"] == "order-answer":
            require(waiting == entry["reason"], "ORDER", "answers what was not asked")
            self.orders[key] = None

    def _serve(self, entry):
        require(entry["since"] <= entry["time"], "OUTAGE", "since a time that is yet to come")
        before = self.outages.get(entry["service"])
        if entry["event"] == "outage":
            require(before is None, "OUTAGE", "out already")
            self.outages[entry["service"]] = entry["since"]
        else:
            require(before == entry["since"], "OUTAGE", "repairs what was not out")
            self.outages[entry["service"]] = None


class File:
    """A dossier as its entries tell it."""

    def __init__(self, origin, reception):
        self.origin = origin
        self.state, self.reception, self.holder = 0, reception, reception
        # Who was asked and has not answered → until when, by which rule.
        self.asked = {}
        self.appointment = self.reminded = self.overdue = ""
        self.graded = False

    def succeed(self, closed, successor):
        """Another agency stands wherever the closed one stood."""
        self.origin, self.reception, self.holder = (
            successor if place == closed else place for place in (self.origin, self.reception, self.holder)
        )
        if closed in self.asked:
            self.asked.setdefault(successor, self.asked.pop(closed))


def step_of_dossier(entry, dossiers, consignments):
    """Rules 16 and 17."""
    step, from_ = entry["reason"], entry["from"]
    require(step in STEPS, "DOSSIER_STEP", step)
    states, after, by, must, may = STEPS[step]
    gateway = by_gateway(entry)
    require(gateway == (by == "gateway"), "DOSSIER_STEP", f"{entry['actor']} takes {step}")
    extra = set(entry) - {"event", "time", "actor", "from", "dossier", "reason"}
    wanted = set(must.split()) | (set() if gateway else {"request"})
    require(wanted <= extra <= wanted | set(may.split()), "DOSSIER_STEP", f"{step} with {sorted(extra)}")
    new = entry["dossier"] not in dossiers
    reception = entry.get("to", from_) if step == "REGISTRATION" else from_
    file = dossiers.setdefault(entry["dossier"], File(from_, reception))
    require(file.state in states, "DOSSIER_STEP", f"{step} in state {file.state}")
    who = {
        "reception": {file.reception},
        "either": {file.reception, file.holder},
        "asked": set(file.asked),
        "origin": {file.origin, file.reception},
    }
    parts = {file.origin, file.reception, file.holder, *file.asked} if step == "SUCCESSION" else {file.holder}
    require(new or from_ in who.get(by, parts), "DOSSIER_PARTY", f"{step} by {from_}")
    if "consignment" in entry:
        result = consignments.get(entry["consignment"])
        require(result and result["from"] == from_, "DOSSIER_STEP", f"{entry['consignment']} is not its result")
    check_times(entry, file)
    if step == "HANDOVER":
        file.holder = entry["to"]
    elif step == "OPINION_REQUEST":
        file.asked[entry["to"]] = entry["due"], entry["rule"]
    elif step == "OPINION":
        del file.asked[from_]
    elif step in ("RECEPTION", "SUPPLEMENT", "PAYMENT", "APOLOGY"):
        file.appointment = max(file.appointment, entry["due"])
    elif step == "SUCCESSION":
        file.succeed(from_, entry["to"])
    elif step == "SATISFACTION":
        require(not file.graded, "DOSSIER_STEP", "graded before")
        file.graded = True
    file.state = after or file.state


def check_times(entry, file):
    """Rule 17, and what of rule 16 is about questions."""
    step, now = entry["reason"], entry["time"]
    if step == "OPINION_REQUEST":
        require(entry["to"] not in file.asked, "DOSSIER_STEP", f"{entry['to']} was asked before")
    elif step == "DEEMED_CONSENT":
        agreed = file.asked.pop(entry["to"], None)
        require(agreed == (entry["since"], entry["rule"]), "DOSSIER_TIME", f"{agreed} was agreed")
        require(entry["since"] < now, "DOSSIER_TIME", "who was asked still has time")
    elif step == "REMINDER":
        fits = file.reminded < entry["due"] == file.appointment >= now
        require(fits, "DOSSIER_TIME", f"the appointment is {file.appointment}")
        file.reminded = entry["due"]
    elif step == "OVERDUE":
        fits = file.overdue < entry["since"] == file.appointment < now
        require(fits, "DOSSIER_TIME", f"the appointment is {file.appointment}")
        file.overdue = entry["since"]


ENDS = ANSWERS | {"redirection", "withdrawal"}


def name_of(entry):
    """An event, or `withdrawal` if the gateway took it out of the mailbox."""
    withdrawn = entry["event"] == "order-answer" and by_gateway(entry)
    return "withdrawal" if withdrawn else entry["event"]


def check_once(entry, told):
    """Rule 6."""
    event = name_of(entry)
    if event in ENDS:
        require(not ENDS & set(told), "ANSWERED_TWICE", entry["to"])
    require(not ONCE.get(event, set()) & set(told), "EVENT_TWICE", event)


def check_failure(entry, accepted, told):
    """Rule 9."""
    if is_told(entry):
        return
    since = entry["since"]
    require(accepted["time"] <= since < entry["time"], "FAILURE", "its time was not over")
    against = RELAYED if entry["event"] == "RelayFailure" else set(ANSWERS)
    if entry["event"] == "ConsignmentNotificationFailure":
        against |= {"ConsignmentNotification", "ContentAccessTracking"}
    denied = sorted(event for event in against & set(told) if told[event] <= since)
    require(not denied, "FAILURE", f"denied by {denied}")


class Epoch(NamedTuple):
    """A copy of an epoch: its entries, and its checkpoints in any order."""

    leaves: list
    notes: list


def verify_log(epochs, key, remembered=()):
    """Verifies a whole copied log (§8), and that checkpoints which somebody remembers are of this
    log; gives the last checkpoint of each epoch."""
    story, ends, roots = Story(key), [], {}
    require(epochs, "LOG_EMPTY", "no epoch")
    for number, epoch in enumerate(epochs, 1):
        require(epoch.leaves, "LOG_EMPTY", f"epoch {number} has no entry")
        signed = _checkpoints(epoch, number, key)
        tree = Tree()
        for index, leaf in enumerate(epoch.leaves):
            entry = read_entry(leaf, key)
            opens = entry["event"] == "epoch"
            require(opens == (index == 0 and number > 1), "EPOCH_CHAIN", f"entry {number}/{index}")
            if opens:
                last = ends[-1]
                previous = f"{last.epoch} {last.size} {last.root.hex()}"
                require(entry["previous"] == previous, "EPOCH_CHAIN", "not the epoch before")
            if entry["event"] == "timestamp":
                check_covers(entry, roots, (number, index))
            story.tell(entry)
            tree.add(leaf_hash(leaf))
            root = roots[number, tree.size] = tree.root()
            for checkpoint in signed.pop(tree.size, ()):
                require(checkpoint.root == root, "ROOT", f"checkpoint {number}/{tree.size}")
                require(story.promised is None, "CHECKPOINT_DIVIDES", f"{number}/{tree.size}")
                end = checkpoint
        require(story.promised is None, "RECIPIENT_MISSING", "the epoch ends before the recipients")
        require(not signed, "LOG_SHORT", f"checkpoints of {sorted(signed)} entries, but {tree.size} are there")
        require(end.epoch == number and end.size == tree.size, "LOG_UNCOVERED", f"entry {tree.size - 1}")
        ends.append(end)
    for checkpoint in map(key.open, remembered):
        root = roots.get((checkpoint.epoch, checkpoint.size))
        require(root is not None, "LOG_SHORT", f"{checkpoint.epoch}/{checkpoint.size} was signed once")
        require(root == checkpoint.root, "FORKED", f"{checkpoint.epoch}/{checkpoint.size} had another root")
    return ends


def _checkpoints(epoch, number, key):
    """The epoch's signed checkpoints by size."""
    require(epoch.notes, "LOG_UNCOVERED", f"epoch {number} has no checkpoint")
    signed = {}
    for note in epoch.notes:
        checkpoint = key.open(note)
        require(checkpoint.epoch == number, "CHECKPOINT_ORIGIN", f"epoch {checkpoint.epoch} in {number}")
        signed.setdefault(checkpoint.size, []).append(checkpoint)
    return signed


def check_covers(entry, roots, place):
    """Rule 10."""
    require(entry["service"].startswith("tsa "), "SERVICE", entry["service"])
    epoch, size, root = entry["covers"].split(" ")
    epoch, size = int(epoch), int(size)
    require((epoch, size) <= place, "TIMESTAMP", "over what is yet to come")
    require(roots.get((epoch, size), b"").hex() == root, "TIMESTAMP", "over another tree")


def verify_growth(old_note, new_note, proof, key):
    """That the log of the newer checkpoint begins with that of the older, in one epoch."""
    old, new = key.open(old_note), key.open(new_note)
    require(old.epoch == new.epoch, "CHECKPOINT_ORIGIN", "two epochs")
    check_consistency(old.size, old.root, new.size, new.root, proof)
    return old, new


# ── E§2 the evidence file ────────────────────────────────────────────────────────────────────────

FILES_MAX = 60_000
EVIDENCE_SIZE_MAX = 256 * 1024 * 1024
PATH_SIZE_MAX = 1_024
LOCAL = struct.Struct("<IHHHHHIIIHH")
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
END = struct.Struct("<IHHHHIIH")
ENCRYPTED, DESCRIPTOR = 1, 8


def read_archive(file):
    """The files of a zip archive in its plainest form, by path."""
    form = "ARCHIVE_FORM"
    require(len(file) <= EVIDENCE_SIZE_MAX, form, "too large")
    require(len(file) >= END.size, form, "too short")
    magic, disk, first_disk, here, count, size, start, comment = END.unpack_from(file, len(file) - END.size)
    require(magic == 0x06054B50 and (disk, first_disk, comment) == (0, 0, 0), form, "no plain end record")
    require(here == count <= FILES_MAX and start + size == len(file) - END.size, form, "end record")
    files, at, next_ = {}, start, 0
    for _ in range(count):
        require(at + CENTRAL.size <= start + size, form, "directory")
        (magic, _, _, flags, method, _, _, crc, packed, plain, name_size, extra, comment, disk, _, _, offset) = (
            CENTRAL.unpack_from(file, at)
        )
        require(magic == 0x02014B50 and (extra, comment, disk) == (0, 0, 0), form, "directory")
        require(not flags & (ENCRYPTED | DESCRIPTOR) and method == 0 and packed == plain, form, "not stored")
        name = file[at + CENTRAL.size : at + CENTRAL.size + name_size]
        at += CENTRAL.size + name_size
        require(offset == next_, form, f"a gap before {name!r}")
        require(offset + LOCAL.size + name_size + plain <= start, form, f"{name!r} is cut off")
        local = LOCAL.unpack_from(file, offset)
        agreed = (local[0], *local[2:4], *local[6:]) == (0x04034B50, flags, method, crc, packed, plain, name_size, 0)
        body = offset + LOCAL.size
        require(agreed and file[body : body + name_size] == name, form, f"two headers of {name!r}")
        next_ = body + name_size + plain
        content = file[body + name_size : next_]
        require(zlib.crc32(content) == crc, form, f"checksum of {name!r}")
        require(0 < name_size <= PATH_SIZE_MAX and not name.endswith(b"/"), form, f"path {name!r}")
        require(not files or next(reversed(files)) < name, form, f"{name!r} is out of order")
        files[name] = content
    require(at == start + size and next_ == start, form, "bytes that belong to nothing")
    try:
        return {name.decode("utf-8"): content for name, content in files.items()}
    except UnicodeDecodeError as error:
        raise Invalid(form, str(error)) from None


ID = r"([1-9][0-9]*)-(0|[1-9][0-9]*)"
PATHS = {
    "single": re.compile(r"README\.txt|manifest\.txt|log\.vkey|envelope\.bin|page\.html"),
    "stamp": re.compile(r"timestamps/([1-9][0-9]*)-([1-9][0-9]*)\.(checkpoint|consistency|tst)"),
    "erds": re.compile(rf"erds/{ID}\.xml"),
    "checkpoint": re.compile(r"checkpoint-([1-9][0-9]*)"),
    "entry": re.compile(rf"entries/{ID}\.entry"),
    "proof": re.compile(rf"proofs/{ID}\.tlog-proof"),
    "report": re.compile(r"reports/([0-9a-f]{64})\.json"),
    "named": re.compile(r"(?:certificates|crls)/([0-9a-f]{64})\.der"),
    "part": re.compile(r"parts/([0-9]{3,})-(.+)", re.DOTALL),
    "note": re.compile(rf"notes/{ID}\.txt"),
    "word": re.compile(r"neighbours/([0-9a-f]{64})\.tlog-proof"),
}
SINGLE = ("README.txt", "manifest.txt", "log.vkey", "envelope.bin")


class Sorted(NamedTuple):
    """The files of an archive by what they are."""

    consignment: str
    recipient: str | None
    checkpoints: dict
    entries: dict
    proofs: dict
    report: tuple
    parts: dict
    notes: dict
    stamps: dict
    erds: dict
    words: dict


def _read_manifest(files):
    """E§3; the consignment and the recipient."""
    form = "MANIFEST"
    text = files.get("manifest.txt")
    require(text is not None, "FILE_MISSING", "manifest.txt")
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Invalid(form, str(error)) from None
    require(lines.pop() == "" and lines and lines.pop(0) == "vanthu.evidence.v1", form, "first or last line")
    require(lines and lines[0].startswith("consignment "), form, "no consignment")
    consignment = lines.pop(0).removeprefix("consignment ")
    require(UUID.fullmatch(consignment), form, consignment)
    recipient = None
    if lines and lines[0].startswith("recipient "):
        recipient = lines.pop(0).removeprefix("recipient ")
        require(CODE.fullmatch(recipient), form, recipient)
    listed = {}
    for line in lines:
        digest, path = line[:64], line[66:]
        require(DIGEST.fullmatch(digest) and line[64:66] == "  " and path, form, f"{line!r}")
        require(not listed or next(reversed(listed)).encode() < path.encode(), form, f"{path!r} is out of order")
        listed[path] = digest
    for path, digest in listed.items():
        require(path in files and path != "manifest.txt", "FILE_MISSING", path)
        require(sha256(files[path]).hex() == digest, "FILE_CHANGED", path)
    surplus = sorted(set(files) - set(listed) - {"manifest.txt"})
    require(not surplus, "FILE_UNLISTED", surplus)
    return consignment, recipient


def _sort(files):
    consignment, recipient = _read_manifest(files)
    found = {kind: {} for kind in PATHS}
    for path, content in files.items():
        kinds = [(kind, match) for kind, pattern in PATHS.items() if (match := pattern.fullmatch(path))]
        require(kinds, "FILE_UNKNOWN", path)
        kind, match = kinds[0]
        found[kind][path if kind == "single" else match.groups()] = content
    for name in SINGLE:
        require(name in found["single"], "FILE_MISSING", name)
    for (digest,), content in (*found["named"].items(), *found["word"].items()):
        require(sha256(content).hex() == digest, "DIGEST", f"file named {digest}")
    require(len(found["report"]) == 1, "FILE_MISSING", "one report")
    ids = {kind: {tuple(map(int, id_)): it for id_, it in found[kind].items()} for kind in ("entry", "proof", "note", "erds")}
    checkpoints = {int(epoch): note for (epoch,), note in found["checkpoint"].items()}
    (((digest,), report),) = found["report"].items()
    return Sorted(
        consignment,
        recipient,
        checkpoints,
        ids["entry"],
        ids["proof"],
        (digest, report),
        found["part"],
        ids["note"],
        found["stamp"],
        ids["erds"],
        {digest: receipt for (digest,), receipt in found["word"].items()},
    )


def verify_evidence(file, key, witnesses=(), neighbours=()):
    """E§4; the proven entries by id. `neighbours` are keys of other gateways; what one tells whose key is
    not among them is only what our gateway has committed to. Signatures of time-stamping authorities (step 11) and of the seal
    on XML (step 12) are not judged here: what they are about is."""
    files = read_archive(file)
    it = _sort(files)
    require(set(it.entries) == set(it.proofs), "PROOF_MISSING", sorted(set(it.entries) ^ set(it.proofs)))
    require(it.entries, "ACCEPTANCE", "no entry")
    require({epoch for epoch, _ in it.entries} == set(it.checkpoints), "CHECKPOINT_MISSING", "epochs")
    require(files["log.vkey"] == f"{key.vkey}\n".encode(), "VKEY", "the file names another key")
    heads = {}
    for epoch, note in it.checkpoints.items():
        heads[epoch] = key.open(note)
        require(heads[epoch].epoch == epoch, "CHECKPOINT_ORIGIN", f"checkpoint-{epoch}")
        for witness in witnesses:
            witness.check(note)
    proven = {}
    for (epoch, index), leaf in sorted(it.entries.items()):
        proof = read_receipt(it.proofs[epoch, index])
        require(proof.leaf is None, "RECEIPT_FORM", "no bare proof")
        require(proof.index == index and proof.note == it.checkpoints[epoch], "PROOF_SWAPPED", f"{epoch}/{index}")
        check_inclusion(leaf, index, heads[epoch].size, proof.path, heads[epoch].root)
        proven[epoch, index] = read_entry(leaf, key)
    accepted = check_story(it.consignment, it.recipient, proven)
    _check_words(it.words, proven, {f"gateway {one.name}": one for one in neighbours})
    require(sha256(files["envelope.bin"]).hex() == accepted["envelope"], "ENVELOPE", "another envelope")
    digest, report = it.report
    matching = sha256(report).hex() == digest == accepted["verdict"].split(" ")[2]
    require(matching, "REPORT", "another report")
    _check_parts(it.parts, read_parts(files["envelope.bin"]))
    for id_, text in it.notes.items():
        require(id_ in proven and proven[id_].get("note") == sha256(text).hex(), "NOTE", id_)
        require(is_note(text), "NOTE", "its form")
    _check_stamps(it.stamps, heads, key)
    for id_, xml in it.erds.items():
        require(id_ in proven, "ERDS", f"of an entry that is not here: {id_}")
        found = re.findall(rb"<(?:[A-Za-z0-9]+:)?Receipt[ >][^<]*?>?([A-Za-z0-9+/=\s]+)</", xml)
        require(len(found) == 1, "ERDS", "not one receipt")
        receipt = base64.b64decode(b"".join(found[0].split()))
        require(verify_receipt(receipt, key) == (id_, proven[id_]), "ERDS", f"of another entry than {id_}")
    return proven


def _check_stamps(stamps, heads, key):
    """E§4 step 11, without the authority's signature: whose checkpoint it is, and that it grew into ours."""
    for epoch, size in sorted({(epoch, size) for epoch, size, _ in stamps}):
        pieces = [stamps.get((epoch, size, kind)) for kind in ("checkpoint", "consistency", "tst")]
        require(None not in pieces, "FILE_MISSING", f"timestamps/{epoch}-{size}")
        note, consistency, token = pieces
        old = key.open(note)
        require((old.epoch, old.size) == (int(epoch), int(size)), "STAMP", "another checkpoint than its name says")
        require(old.epoch in heads, "STAMP", "of an epoch without an entry here")
        proof = [unbase64(line, "STAMP") for line in consistency.decode("ascii").splitlines()]
        head = heads[old.epoch]
        check_consistency(old.size, old.root, head.size, head.root, proof)
        text = note.rpartition(b"\n\n")[0] + b"\n"
        require(sha256(text) in token, "STAMP", "over another text")


def _check_words(words, proven, keys):
    """E§6: each receipt of another gateway proves what an entry of ours says, or another's before it."""
    used = set()
    for told in proven.values():
        while told.get("content") in words and told.get("service", "").startswith("gateway "):
            digest, key = told["content"], keys.get(told["service"])
            receipt = words[digest]
            theirs = verify_receipt(receipt, key)[1] if key else read_entry(read_receipt(receipt).leaf or b"")
            require(_proves(theirs, told), "NEIGHBOUR_WORD", f"{told['event']}: {theirs['event']}")
            used.add(digest)
            told = theirs
    require(used == set(words), "FILE_UNKNOWN", sorted(set(words) - used))


def _proves(theirs, told):
    def same(*names):
        return all(theirs.get(name) == told.get(name) for name in names)

    event, place = told["event"], ("consignment", "to")
    if not same("from", "envelope"):
        return False
    if event in ("SubmissionAcceptance", "SubmissionRejection"):
        return theirs["event"] == "SubmissionAcceptance" and same("request")
    if event == "RelayAcceptance":
        return theirs["event"] in PROMISED and same(*place)
    if event == "RelayRejection":
        further = theirs["event"] == event and same(*place)
        return (further or theirs["event"] == "SubmissionRejection") and same("reason")
    if event == "redirection":
        return same("event", *place, "addressed")
    return same("event", *place, "status", "note", "since", "reason", "by")


def check_story(consignment, recipient, proven):
    """E§4 step 6."""
    (first, accepted), *rest = proven.items()
    require(accepted["event"] == "SubmissionAcceptance", "ACCEPTANCE", "not the first entry")
    count, digest = accepted["recipients"].split(" ")
    deliveries, neighbours, orders, codes = {}, {}, {}, []
    redirected = set()
    for entry in proven.values():
        require(entry.get("consignment") == consignment, "CONSIGNMENT_OTHER", entry.get("consignment"))
    for (epoch, index), entry in rest:
        event = entry["event"]
        belongs = "envelope" in entry and event != "SubmissionAcceptance"
        require(belongs, "ENTRY_STRAY", f"{event} {epoch}/{index}")
        for name in ("from", "envelope"):
            require(entry[name] == accepted[name], "FACTS_DIFFER", name)
        if "to" not in entry:
            continue
        to = entry["to"]
        require(recipient in (None, to), "RECIPIENT_OTHER", to)
        if event in PROMISED and not is_told(entry):
            require(to not in deliveries, "RECIPIENT_TWICE", to)
            near = epoch == first[0] and 0 < index - first[1] <= int(count)
            require(near, "CONSIGNMENT_STRAY", f"{epoch}/{index}")
            deliveries[to], neighbours[to] = {}, entry.get("service")
            codes.append(to)
            continue
        if event == "redirection":
            closed = deliveries.get(entry["addressed"])
            require(closed is not None or recipient, "CONSIGNMENT_UNKNOWN", f"nothing was consigned to {entry['addressed']}")
            waited = not ENDS & set(closed or ()) and to != entry["addressed"]
            same_way = closed is None or neighbours[entry["addressed"]] == entry.get("service")
            require(waited and same_way, "REDIRECTION", entry["addressed"])
            (closed if closed is not None else {})["redirection"] = entry["time"]
            if to not in deliveries:
                deliveries[to], neighbours[to] = {}, entry.get("service")
                redirected.add(to)
            continue
        told = deliveries.get(to)
        require(told is not None, "CONSIGNMENT_UNKNOWN", f"nothing was consigned to {to}")
        if event == "order":
            require(to not in orders, "ORDER", "another one waits")
            orders[to] = entry["reason"]
        elif event == "order-answer":
            require(orders.pop(to, None) == entry["reason"], "ORDER", "answers what was not asked")
        if event != "order" and name_of(entry) != "withdrawal":
            require(entry.get("service") == neighbours.get(to), "NEIGHBOUR", f"{entry.get('service')} tells of {to}")
        check_once(entry, told)
        if event in FAILURES:
            check_failure(entry, accepted, told)
        told.setdefault(name_of(entry), entry["time"])
    if recipient is None:
        whole = len(codes) == int(count) and recipients_digest(codes) == digest
        require(whole, "RECIPIENT_MISSING", f"{len(codes)} of {count}")
    else:
        require(codes == [recipient] or recipient in redirected, "RECIPIENT_MISSING", recipient)
    return accepted


def is_note(text):
    """§3: a salt, a line feed, a text."""
    salt, line_feed, words = text.partition(b"\n")
    try:
        words.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(re.fullmatch(rb"[0-9a-f]{32}", salt)) and bool(line_feed) and len(words) <= 2_000


def _check_parts(enclosed, listed):
    """E§4 step 8."""
    for (place, name), content in enclosed.items():
        index = int(place) - 1
        require(0 <= index < len(listed) and f"{index + 1:03}" == place, "PART", f"place {place}")
        expected = (name, len(content), sha256(content))
        require(listed[index] == expected, "PART", name)


def read_parts(envelope):
    """Name, size and digest of the parts that an envelope lists: protobuf, field 21 of the envelope,
    fields 1, 3 and 4 of a part (proto/vanthu/v1/envelope.proto)."""
    found = []
    for number, part in _fields(envelope):
        if number == 21:
            fields = dict(_fields(part))
            found.append((fields.get(1, b"").decode("utf-8"), fields.get(3, 0), fields.get(4, b"")))
    return found


def _fields(message):
    """Fields of a protobuf message; a later one of the same number counts more."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            require(at + size <= len(message), "ENVELOPE", "it is cut off")
            value, at = message[at : at + size], at + size
        else:
            size = {1: 8, 5: 4}.get(kind, 0)
            require(size and at + size <= len(message), "ENVELOPE", f"wire type {kind}")
            value, at = message[at : at + size], at + size
        yield tag >> 3, value


def _varint(message, at):
    value = shift = 0
    while True:
        require(at < len(message) and shift < 64, "ENVELOPE", "a number without end")
        byte = message[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if not byte & 0x80:
            return value, at


# ── copies of logs ───────────────────────────────────────────────────────────────────────────────


def save_log(epochs, folder):
    """Writes a copy: `<epoch>/entries/<index>` and `<epoch>/checkpoints/<number>`."""
    for number, epoch in enumerate(epochs, 1):
        for kind, all_ in (("entries", epoch.leaves), ("checkpoints", epoch.notes)):
            below = Path(folder) / str(number) / kind
            below.mkdir(parents=True, exist_ok=True)
            for index, content in enumerate(all_):
                (below / str(index)).write_bytes(content)


def load_log(folder):
    """Reads what `save_log` wrote."""
    epochs = []
    while (below := Path(folder) / str(len(epochs) + 1)).is_dir():
        kinds = []
        for kind in ("entries", "checkpoints"):
            names = sorted((path.name for path in (below / kind).iterdir()), key=int)
            require(names == [str(index) for index in range(len(names))], "LOG_SHORT", f"a gap in {below / kind}")
            kinds.append([(below / kind / name).read_bytes() for name in names])
        epochs.append(Epoch(*kinds))
    return epochs


def main(arguments):
    kinds = ("receipt", "evidence", "log")
    if len(arguments) < 3 or arguments[0] not in kinds or len(arguments) > 3 and arguments[0] != "evidence":
        print(__doc__, file=sys.stderr)
        return 2
    kind, path, *vkeys = arguments
    key, *neighbours = [Key(Path(one).read_text() if Path(one).is_file() else one) for one in vkeys]
    try:
        if kind == "receipt":
            id_, entry = verify_receipt(Path(path).read_bytes(), key)
            print(f"holds: entry {id_[0]}/{id_[1]}: {entry['event']} at {entry['time']}")
        elif kind == "evidence":
            proven = verify_evidence(Path(path).read_bytes(), key, neighbours=neighbours)
            print(f"holds: {len(proven)} entries")
        else:
            ends = verify_log(load_log(path), key)
            print("holds: " + ", ".join(f"epoch {end.epoch} with {end.size} entries" for end in ends))
    except Invalid as broken:
        print(f"does not hold: {broken}")
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
