"""Whole logs: the example of the format and that of a gateway hold, and no forgery does."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from examples import (
    EVIDENCE_FORMAT,
    LOG_FORMAT,
    WITNESS_FORMAT,
    blocks,
    example_key,
    example_log,
    resigned,
    root_of,
    sign,
)
from verifier import (
    Epoch,
    Invalid,
    Key,
    Witness,
    check_consistency,
    check_story,
    leaf_hash,
    node_hash,
    read_entry,
    recipients_digest,
    sha256,
    verify_growth,
    verify_log,
    verify_receipt,
)

KEY = example_key()


def broken(code, check, *arguments, **more):
    with pytest.raises(Invalid) as caught:
        check(*arguments, **more)
    assert caught.value.code == code, caught.value


# ── the examples of the format ───────────────────────────────────────────────────────────────────


def test_the_log_of_the_format_holds():
    ends = verify_log(example_log(), KEY)
    assert [(end.epoch, end.size) for end in ends] == [
        (number, len(epoch.leaves)) for number, epoch in enumerate(example_log(), 1)
    ]


RELAYED = "019abd10-1f6b-7000-8000-000000000003"


def story(recipient=None, changed=lambda entries: None):
    """What the third epoch of the example tells of one consignment, as evidence would."""
    leaves = enumerate(map(read_entry, example_log()[2].leaves))
    entries = {(3, index): entry for index, entry in leaves if entry.get("consignment") == RELAYED}
    if recipient:
        entries = {place: one for place, one in entries.items() if one.get("to", recipient) == recipient}
    changed(entries)
    return RELAYED, recipient, entries


@pytest.mark.parametrize("recipient", [None, "H01.151", "H49.13", "H49.14"])
def test_the_relayed_redirected_and_recalled_document_of_the_format_holds(recipient):
    check_story(*story(recipient))


def changing(index, **fields):
    return lambda entries: entries[3, index].update(fields)


@pytest.mark.parametrize(
    ("recipient", "changed", "code"),
    [
        (None, changing(6, service="gateway nation.example"), "NEIGHBOUR"),
        (None, changing(6, to="H49.13"), "NEIGHBOUR"),
        (None, changing(10, addressed="H01.151"), "REDIRECTION"),
        (None, changing(10, addressed="H49.14"), "CONSIGNMENT_UNKNOWN"),
        ("H49.14", changing(10, addressed="H49.14"), "REDIRECTION"),
        (None, lambda entries: entries.pop((3, 10)), "CONSIGNMENT_UNKNOWN"),
        (None, lambda entries: entries.pop((3, 7)), "ORDER"),
        (None, lambda entries: entries.pop((3, 8)) and entries.update({(3, 9): entries[3, 7]}), "ORDER"),
        (None, changing(8, reason="UPDATE"), "ORDER"),
        (None, lambda entries: entries.pop((3, 2)), "CONSIGNMENT_UNKNOWN"),
        ("H49.13", lambda entries: entries.pop((3, 3)), "RECIPIENT_MISSING"),
    ],
)
def test_a_story_that_was_changed_does_not_hold(recipient, changed, code):
    broken(code, check_story, *story(recipient, changed))


def test_the_hashes_of_the_format_are_ours():
    leaves = {f"{n}/{index}": leaf for n, epoch in enumerate(example_log(), 1) for index, leaf in enumerate(epoch.leaves)}
    for line in blocks(LOG_FORMAT, "hashes")[""].decode().splitlines():
        kind, *name, digest = line.split(" ")
        if kind == "leaf":
            ours = leaf_hash(leaves[name[0]])
        elif kind == "node":
            first, end = map(int, name[0].split(".."))
            ours = root_of([leaves[f"1/{index}"] for index in range(first, end)])
        else:
            assert kind == "root"
            ours = root_of([leaves[f"{name[0]}/{index}"] for index in range(int(name[1]))])
        assert ours.hex() == digest, line


def test_the_digests_of_texts_are_ours():
    def lines(kind):
        return blocks(LOG_FORMAT, kind)[""].decode().splitlines()

    sender, request, key = lines("request")
    assert sha256(f"{sender}\n{request}".encode()).hex() == key
    *codes, digest = lines("recipients")
    assert recipients_digest(codes) == digest
    salt, text, digest = lines("note")
    assert sha256(f"{salt}\n{text}".encode()).hex() == digest
    *bodies, digest = lines("bodies")
    assert sha256(*(f"{body}\n".encode() for body in sorted(bodies))).hex() == digest


def test_the_receipt_of_the_format_holds():
    [(place, file)] = blocks(EVIDENCE_FORMAT, "receipt").items()
    (epoch, index), entry = verify_receipt(file, KEY)
    assert f"{epoch}/{index}" == place and entry["event"] == "ContentHandover"


# ── what an outsider changes in a copy ───────────────────────────────────────────────────────────


def copy():
    return [Epoch(list(epoch.leaves), list(epoch.notes)) for epoch in example_log()]


def remove(log, at):
    del log[0].leaves[at]


def change(log, epoch, at, old, new):
    leaf = log[epoch].leaves[at]
    assert leaf.count(old) == 1, (old, leaf)
    log[epoch].leaves[at] = leaf.replace(old, new)


def swap(log, one, other):
    leaves = log[0].leaves
    leaves[one], leaves[other] = leaves[other], leaves[one]


def append(log):
    log[1].leaves.append(log[0].leaves[5].replace(b"2026-11-22T04", b"2026-11-29T04"))


def note(log, epoch, change):
    before = log[epoch].notes[0]
    log[epoch].notes[0] = change(before)
    assert log[epoch].notes[0] != before


def drop_notes(log):
    log[1].notes.clear()


def drop_epoch(log):
    del log[0]


def empty_epoch(log):
    log[1].leaves.clear()


COPIES = {
    "an entry removed in the middle": (lambda log: remove(log, 4), "LOG_SHORT"),
    "an entry in the place of another": (lambda log: log[0].leaves.__setitem__(4, log[0].leaves[5]), "ROOT"),
    "the last entry removed": (lambda log: log[1].leaves.pop(), "LOG_SHORT"),
    "an entry removed and its consignment promised": (lambda log: remove(log, 1), "RECIPIENT_MISSING"),
    "an entry changed": (lambda log: change(log, 0, 5, b"status 05", b"status 06"), "ROOT"),
    "a time changed by a millisecond": (lambda log: change(log, 0, 5, b"18.123Z", b"18.124Z"), "ROOT"),
    "an entry back-dated": (lambda log: change(log, 0, 5, b"2026-11-22T04", b"2026-11-22T03"), "TIME_BACKWARDS"),
    "entries reordered": (lambda log: swap(log, 3, 4), "TIME_BACKWARDS"),
    "an entry moved": (lambda log: log[0].leaves.insert(5, log[0].leaves.pop(3)), "TIME_BACKWARDS"),
    "an entry repeated": (lambda log: log[0].leaves.append(log[0].leaves[5]), "LOG_UNCOVERED"),
    "an entry added behind the last checkpoint": (append, "LOG_UNCOVERED"),
    "all checkpoints of an epoch removed": (drop_notes, "LOG_UNCOVERED"),
    "the first epoch removed": (drop_epoch, "CHECKPOINT_ORIGIN"),
    "an epoch emptied": (empty_epoch, "LOG_EMPTY"),
    "no log at all": (lambda log: log.clear(), "LOG_EMPTY"),
    "a checkpoint of another size": (lambda log: note(log, 0, lambda it: it.replace(b"\n6\n", b"\n5\n")), "CHECKPOINT_SIGNATURE"),
    "a checkpoint of another root": (
        lambda log: note(log, 0, lambda it: re.sub(rb"\n[^\n]{43}=\n", b"\n" + b"A" * 43 + b"=\n", it)),
        "CHECKPOINT_SIGNATURE",
    ),
    "a checkpoint of another epoch": (lambda log: log[0].notes.append(log[1].notes[0]), "CHECKPOINT_ORIGIN"),
    "a checkpoint of another gateway": (lambda log: note(log, 0, lambda it: it.replace(b"gate.", b"gait.")), "CHECKPOINT_ORIGIN"),
    "a checkpoint without signature": (lambda log: note(log, 0, lambda it: it.split(b"\n\n")[0] + b"\n\n"), "CHECKPOINT_FORM"),
    "a checkpoint with another's signature": (
        lambda log: note(log, 0, lambda it: it.split("— ".encode())[0] + log[1].notes[0].split(b"\n\n")[1]),
        "CHECKPOINT_SIGNATURE",
    ),
    "a checkpoint with four lines": (lambda log: note(log, 0, lambda it: it.replace(b"\n\n", b"\nmore\n\n")), "CHECKPOINT_FORM"),
    "a checkpoint with a spelled size": (lambda log: note(log, 0, lambda it: it.replace(b"\n6\n", b"\n06\n")), "CHECKPOINT_FORM"),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
def test_a_changed_copy_does_not_hold(name):
    forge, code = COPIES[name]
    log = copy()
    forge(log)
    broken(code, verify_log, log, KEY)


def test_another_key_does_not_verify():
    private = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
    public = b"\x01" + private.public_key().public_bytes_raw()
    id_, encoded = sha256(b"gate.example\n", public)[:4].hex(), base64.b64encode(public).decode()
    vkey = f"gate.example+{id_}+{encoded}"
    broken("CHECKPOINT_SIGNATURE", verify_log, example_log(), Key(vkey))
    signed = [
        Epoch(epoch.leaves, [sign(number, len(epoch.leaves), root_of(epoch.leaves), key=private)])
        for number, epoch in enumerate(example_log(), 1)
    ]
    broken("CHECKPOINT_SIGNATURE", verify_log, signed, KEY)
    broken("ACTOR", verify_log, signed, Key(vkey))
    for wrong in (vkey.replace(id_, "00000000"), vkey[:-4], vkey.replace("gate.example", "gate example"), "x"):
        broken("VKEY", Key, wrong)


# ── what an operator signs who holds the key ─────────────────────────────────────────────────────


def edit(epoch, at, *changes):
    """Exchanges text in an entry."""

    def forge(log):
        leaf = log[epoch][at]
        for old, new in changes:
            assert leaf.count(old) >= 1, (old, leaf)
            leaf = leaf.replace(old, new, 1)
        log[epoch][at] = leaf

    return forge


def insert(epoch, at, leaf_of):
    return lambda log: log[epoch].insert(at, leaf_of(log))


def then(*steps):
    def forge(log):
        for step in steps:
            step(log)

    return forge


def place(event, nth=0):
    """Where an event stands in the example: epoch and index."""
    found = [
        (number, index)
        for number, epoch in enumerate(example_log())
        for index, leaf in enumerate(epoch.leaves)
        if read_entry(leaf)["event"] == event
    ]
    return found[nth]


def again(event, *changes, later=True):
    """The entry of an event a second time, at the end of its epoch."""
    number, index = place(event)

    def forge(log):
        leaf = log[number][index]
        last = read_entry(log[number][-1])["time"].encode()
        leaf = re.sub(rb"(?m)^time .*$", b"time " + last, leaf) if later else leaf
        for old, new in changes:
            assert old in leaf, (old, leaf)
            leaf = leaf.replace(old, new, 1)
        log[number].append(leaf)

    return forge


def without(event):
    number, index = place(event)
    return lambda log: log[number].pop(index)


def field(event, line):
    """Replaces the line of a field, or with an empty one removes it."""
    number, index = place(event)
    name = line.split(b" ")[0]

    def forge(log):
        pattern = rb"(?m)^" + name + rb" .*\n"
        assert re.search(pattern, log[number][index])
        kept = b"" if line == name else line + b"\n"
        log[number][index] = re.sub(pattern, kept, log[number][index])

    return forge


OTHER = b"0" * 64
GATEWAY = blocks(LOG_FORMAT, "entry")["1/1"].split(b"\n")[3]
SIGNED = {
    "an entry back-dated": (edit(0, 5, (b"2026-11-22T04", b"2026-11-21T04")), "TIME_BACKWARDS"),
    "an epoch back-dated": (edit(1, 0, (b"2026-11-23", b"2026-11-21")), "TIME_BACKWARDS"),
    "a consignment accepted twice": (
        then(insert(0, 6, lambda log: log[0][0]), edit(0, 6, (b"T03:45", b"T05:45"))),
        "CONSIGNMENT_TWICE",
    ),
    "a request accepted twice": (
        then(insert(0, 6, lambda log: log[0][0]), edit(0, 6, (b"T03:45", b"T05:45"), (b"-8000-000000000001", b"-8000-000000000009"))),
        "REQUEST_TWICE",
    ),
    "a recipient left out": (lambda log: log[0].pop(1), "RECIPIENT_MISSING"),
    "a recipient exchanged": (edit(0, 2, (b"to H49.11\n", b"to H49.12\n")), "RECIPIENT_MISSING"),
    "recipients out of order": (lambda log: log[0].insert(1, log[0].pop(2)), "RECIPIENT_ORDER"),
    "a recipient twice": (edit(0, 2, (b"to H49.11\n", b"to H49\n")), "RECIPIENT_ORDER"),
    "a recipient too many": (insert(0, 3, lambda log: log[0][2].replace(b"H49.11", b"H49.12")), "CONSIGNMENT_STRAY"),
    "a consignment without acceptance": (lambda log: log[0].pop(0), "CONSIGNMENT_STRAY"),
    "a promise that the epoch does not keep": (lambda log: log.__setitem__(slice(0, 2), [log[0][:2]]), "CHECKPOINT_DIVIDES"),
    "another urgency at a recipient": (edit(0, 1, (b"urgency urgent", b"urgency normal")), "FACTS_DIFFER"),
    "another envelope at a recipient": (edit(0, 2, (b"envelope 4c503c", b"envelope 5c503c")), "FACTS_DIFFER"),
    "another envelope in an answer": (edit(0, 3, (b"envelope 4c503c", b"envelope 5c503c")), "FACTS_DIFFER"),
    "another sender in an answer": (edit(0, 3, (b"from H49.151", b"from H49.152")), "FACTS_DIFFER"),
    "an answer of somebody else": (edit(0, 3, (b"to H49\n", b"to H50\n")), "CONSIGNMENT_UNKNOWN"),
    "an answer to nothing": (edit(0, 3, (b"-8000-000000000001", b"-8000-000000000009")), "CONSIGNMENT_UNKNOWN"),
    "a document taken twice": (again("ContentHandover"), "ANSWERED_TWICE"),
    "a document taken and refused": (again("ConsignmentRejection", (b"to H49.11\n", b"to H49\n")), "ANSWERED_TWICE"),
    "the gateway as a recipient": (field("ContentHandover", GATEWAY), "ACTOR"),
    "a recipient as the gateway": (field("ContentConsignment", b"actor province " + OTHER), "ACTOR"),
    "the gateway with another key": (field("ContentConsignment", b"actor gateway " + OTHER), "ACTOR"),
    "fields out of order": (edit(0, 3, (b"from H49.151\nto H49\n", b"to H49\nfrom H49.151\n")), "ENTRY_FORM"),
    "a field twice": (edit(0, 3, (b"to H49\n", b"to H49\nto H49\n")), "ENTRY_FORM"),
    "a digest in capitals": (edit(0, 3, (b"4c503ca", b"4C503CA")), "ENTRY_FORM"),
    "a line end of another system": (edit(0, 3, (b"to H49\n", b"to H49\r\n")), "ENTRY_FORM"),
    "an entry without its last line feed": (lambda log: log[0].__setitem__(3, log[0][3][:-1]), "ENTRY_FORM"),
    "an entry with an empty line": (lambda log: log[0].__setitem__(3, log[0][3] + b"\n"), "ENTRY_FORM"),
    "a field without value": (edit(0, 0, (b"number 12/UBND-VP", b"number ")), "ENTRY_FORM"),
    "a number that turns the reading": (edit(0, 0, (b"12/UBND-VP\ndossier", "12/\u202eUBND\ndossier".encode())), "ENTRY_FORM"),
    "a day that does not exist": (edit(0, 5, (b"2026-11-22T04", b"2026-11-31T04")), "ENTRY_FORM"),
    "an event of another kind": (edit(0, 5, (b"event status", b"event Status")), "ENTRY_FORM"),
    "another version": (edit(0, 5, (b"entry.v1", b"entry.v2")), "ENTRY_FORM"),
    "bytes that are no text": (edit(0, 0, (b"12/UBND-VP\ndossier", b"12/\xff\ndossier")), "ENTRY_FORM"),
    "an entry without what it needs": (field("ContentHandover", b"envelope"), "ENTRY_FIELDS"),
    "an entry with what it must not have": (edit(0, 3, (b"status 03", b"status 03\nreason RECIPIENT")), "ENTRY_FIELDS"),
    "a hand-over with another status": (edit(0, 3, (b"status 03", b"status 06")), "ENTRY_FIELDS"),
    "an epoch without opening": (lambda log: log[1].pop(0), "EPOCH_CHAIN"),
    "an opening in mid-epoch": (insert(0, 6, lambda log: log[1][0]), "EPOCH_CHAIN"),
    "a notice given twice": (again("ConsignmentNotification"), "EVENT_TWICE"),
    "a failure told twice": (again("ContentHandoverFailure"), "EVENT_TWICE"),
    "a notice of nothing": (again("ConsignmentNotification", (b"to H49.12\n", b"to H49\n")), "CONSIGNMENT_UNKNOWN"),
    "a failure before its time": (field("ContentHandoverFailure", b"since 2026-11-24T16:00:00.000Z"), "FAILURE"),
    "a failure that a notice denies": (
        field("ConsignmentNotification", b"time 2026-11-23T03:45:18.123Z"),
        "TIME_BACKWARDS",
    ),
    "a failure that an earlier answer denies": (
        insert(1, 3, lambda log: log[0][3].replace(b"H49\n", b"H49.12\n")
               .replace(b"2026-11-22T03:46:19", b"2026-11-23T03:46:19")
               .replace(b"019ab2c3-7d2b-7000-8000-000000000001", read_entry(log[1][1])["consignment"].encode())
               .replace(read_entry(log[0][3])["envelope"].encode(), read_entry(log[1][1])["envelope"].encode())),
        "FAILURE",
    ),
    "a time-stamp over another tree": (edit(*place("timestamp"), (b"covers 2 9 ", b"covers 2 8 ")), "TIMESTAMP"),
    "a time-stamp over what is yet to come": (edit(*place("timestamp"), (b"covers 2 9 ", b"covers 2 15 ")), "TIMESTAMP"),
    "a time-stamp by a clock": (edit(*place("timestamp"), (b"service tsa", b"service clock")), "SERVICE"),
    "a repair of nothing": (without("outage"), "OUTAGE"),
    "a neighbour's word about a recipient of ours": (edit(2, 6, (b"to H01.151\n", b"to H49.13\n")), "NEIGHBOUR"),
    "another neighbour's word": (edit(2, 6, (b"gateway other", b"gateway nation")), "NEIGHBOUR"),
    "a neighbour's word without its evidence": (field("RelayAcceptance", b"content"), "ENTRY_FIELDS"),
    "a hand-over behind a neighbour that no neighbour tells": (
        edit(2, 6, (b"content " + read_entry(example_log()[2].leaves[6])["content"].encode() + b"\nservice gateway other.example\n", b"")),
        "NEIGHBOUR",
    ),
    "a neighbour that is a time-stamping authority": (field("relay", b"service tsa other.example"), "SERVICE"),
    "a neighbour that has in a mailbox what it did not take": (
        insert(2, 5, lambda log: log[2][4].replace(b"event RelayAcceptance", b"event RelayRejection")
               .replace(b"content", b"reason BUSY\ncontent")),
        "EVENT_TWICE",
    ),
    "a neighbour that takes a document twice": (again("RelayAcceptance"), "EVENT_TWICE"),
    "a neighbour that redirects a recipient of ours": (
        edit(2, 10, (GATEWAY, b"actor at-other " + OTHER),
             (b"addressed", b"content " + OTHER + b"\nservice gateway other.example\naddressed")),
        "REDIRECTION",
    ),
    "a relay that failed in time": (
        then(lambda log: log[2].insert(15, log[2].pop(16)), edit(2, 15, (b"T18:45:18", b"T16:45:18"))),
        "FAILURE",
    ),
    "a recipient redirected to itself": (edit(2, 10, (b"to H49.14\n", b"to H49.13\n")), "REDIRECTION"),
    "a recipient redirected that is behind a neighbour": (field("redirection", b"addressed H01.151"), "REDIRECTION"),
    "a recipient redirected that got nothing": (field("redirection", b"addressed H49.99"), "CONSIGNMENT_UNKNOWN"),
    "a recipient that answers after it was redirected": (
        insert(2, 11, lambda log: log[2][14].replace(b"to H49.14\n", b"to H49.13\n").replace(b"event order-answer", b"event ContentHandover")
               .replace(b"status 15\nreason REPLACE", b"status 03").replace(b"2026-11-24T06:45", b"2026-11-24T04:46")
               .replace(GATEWAY, b"actor province " + OTHER)),
        "ANSWERED_TWICE",
    ),
    "an order within an order": (insert(2, 8, lambda log: log[2][7]), "ORDER"),
    "an answer to no order": (lambda log: log[2].pop(7), "ORDER"),
    "an answer to another order": (edit(2, 8, (b"RECALL", b"UPDATE")), "ORDER"),
    "a recall by another document": (edit(2, 7, (b"reason RECALL\n", b"reason RECALL\nby 019abd10-1f6b-7000-8000-000000000003\n")), "ORDER"),
    "a replacement by nothing": (field("order", b"reason REPLACE"), "ORDER"),
    "a document withdrawn that was taken": (
        edit(2, 14, (b"to H49.14\n", b"to H49.13\n")),
        "ORDER",
    ),
    "an outage in an outage": (again("outage", later=True), None),
    "a repair with another beginning": (field("repair", b"since 2026-11-24T15:46:47.123Z"), "OUTAGE"),
    "an erasure of what never was": (edit(*place("erasure"), (b"-8000-000000000002", b"-8000-000000000009")), "CONSIGNMENT_UNKNOWN"),
    "an erasure for no reason that there is": (field("erasure", b"reason BECAUSE"), "ENTRY_FIELDS"),
    "an offset of minus nothing": (field("clock", b"offset -0"), "ENTRY_FORM"),
    "a step that there is not": (edit(3, 9, (b"APPRAISAL", b"APPRAISED")), "DOSSIER_STEP"),
    "a step out of its state": (edit(3, 9, (b"APPRAISAL", b"RETURN")), "DOSSIER_STEP"),
    "a step of no dossier": (edit(3, 3, (b"-0002", b"-0003")), "DOSSIER_STEP"),
    "a dossier that begins twice": (edit(3, 2, (b"RECEPTION", b"REGISTRATION"), (b"due 2026-12-03T16:59:59.999Z\n", b"")), "DOSSIER_STEP"),
    "a step with another's field": (edit(3, 10, (b"reason APPROVAL\n", b"reason APPROVAL\ndue 2026-12-09T16:59:59.999Z\n")), "DOSSIER_STEP"),
    "a step without its field": (edit(3, 3, (b"to H49.11\n", b"")), "DOSSIER_STEP"),
    "a step without its request": (lambda log: log[3].__setitem__(9, re.sub(rb"(?m)^request .*\n", b"", log[3][9])), "DOSSIER_STEP"),
    "a step by who does not have the dossier": (edit(3, 9, (b"from H49.11", b"from H49.151")), "DOSSIER_PARTY"),
    "a dossier received by another agency": (edit(3, 2, (b"from H49.151", b"from H49.152")), "DOSSIER_PARTY"),
    "an opinion of who was not asked": (edit(3, 9, (b"APPRAISAL", b"OPINION")), "DOSSIER_PARTY"),
    "a system that takes the gateway's step": (edit(3, 7, (GATEWAY, b"actor province " + OTHER)), "DOSSIER_STEP"),
    "a gateway that takes a system's step": (
        edit(3, 9, (b"actor province " + read_entry(example_log()[3].leaves[9])["actor"].split(" ")[1].encode(), GATEWAY)),
        "DOSSIER_STEP",
    ),
    "a step taken twice with one request": (insert(3, 10, lambda log: log[3][9]), "REQUEST_TWICE"),
    "a question asked twice": (
        insert(3, 7, lambda log: re.sub(rb"(?m)^request .*$", b"request " + OTHER, log[3][6])),
        "DOSSIER_STEP",
    ),
    "a consent by another rule": (edit(3, 8, (b"AFTER-3-", b"AFTER-2-")), "DOSSIER_TIME"),
    "a consent by another time": (edit(3, 8, (b"since 2026-12-02", b"since 2026-12-01")), "DOSSIER_TIME"),
    "a consent before its time": (edit(3, 8, (b"time 2026-12-02T17", b"time 2026-12-02T16")), "DOSSIER_TIME"),
    "a consent of who was not asked": (lambda log: log[3].pop(6), "DOSSIER_TIME"),
    "a consent of who answered": (
        insert(3, 8, lambda log: re.sub(rb"(?m)^request .*$", b"request " + OTHER, log[3][9])
               .replace(b"2026-12-03T03", b"2026-12-02T03").replace(b"from H49.11", b"from G22").replace(b"APPRAISAL", b"OPINION")),
        "DOSSIER_TIME",
    ),
    "a reminder of another date": (edit(3, 7, (b"due 2026-12-04", b"due 2026-12-05")), "DOSSIER_TIME"),
    "a date that passed before it had": (edit(3, 11, (b"time 2026-12-04T17", b"time 2026-12-04T16")), "DOSSIER_TIME"),
    "a date that passed twice": (insert(3, 12, lambda log: log[3][11]), "DOSSIER_TIME"),
    "a result of another agency": (edit(3, 16, (b"-000000000005", b"-000000000003")), "DOSSIER_STEP"),
    "a result that was never sent": (edit(3, 16, (b"-000000000005", b"-000000000009")), "DOSSIER_STEP"),
    "feedback by who neither began nor received it": (edit(3, 18, (b"from H49.151", b"from H49.11")), "DOSSIER_PARTY"),
    "feedback without words": (lambda log: log[3].__setitem__(18, re.sub(rb"(?m)^note .*\n", b"", log[3][18])), "DOSSIER_STEP"),
    "feedback with a grade": (lambda log: log[3].__setitem__(18, log[3][18] + b"grade 1\n"), "DOSSIER_STEP"),
    "a grade of another agency": (edit(3, 19, (b"from H49.151", b"from H49.11")), "DOSSIER_PARTY"),
    "a grade given twice": (
        insert(3, 20, lambda log: re.sub(rb"(?m)^request .*$", b"request " + OTHER, log[3][19])),
        "DOSSIER_STEP",
    ),
    "a grade before the result is returned": (lambda log: log[3].pop(17), "DOSSIER_STEP"),
    "satisfaction without a grade": (edit(3, 19, (b"grade 5\n", b"")), "DOSSIER_STEP"),
    "a grade above the best": (edit(3, 19, (b"grade 5\n", b"grade 6\n")), "ENTRY_FORM"),
    "a grade below the worst": (edit(3, 19, (b"grade 5\n", b"grade 0\n")), "ENTRY_FORM"),
    "a grade in another spelling": (edit(3, 19, (b"grade 5\n", b"grade 05\n")), "ENTRY_FORM"),
}  # fmt: skip
# After its repair, the same service may be out again.
ALLOWED = {name for name, (_, code) in SIGNED.items() if code is None}


@pytest.mark.parametrize("name", SIGNED)
def test_what_is_signed_but_must_not_be_does_not_hold(name):
    forge, code = SIGNED[name]
    log = [list(epoch.leaves) for epoch in example_log()]
    forge(log)
    if name in ALLOWED:
        verify_log(resigned(log), KEY)
    else:
        broken(code, verify_log, resigned(log), KEY)


def test_signed_anew_without_a_change_the_log_is_the_same():
    log = resigned([epoch.leaves for epoch in example_log()])
    assert log == example_log()


def test_a_checkpoint_must_not_divide_a_batch():
    log = example_log()
    log[0].notes.append(sign(1, 2, root_of(log[0].leaves[:2])))
    broken("CHECKPOINT_DIVIDES", verify_log, log, KEY)


def test_an_epoch_must_continue_the_one_before():
    log = example_log()
    leaves = list(log[1].leaves)
    leaves[0] = leaves[0].replace(b"previous 1 6 1f03", b"previous 1 6 2f03")
    forged = [log[0], Epoch(leaves, [sign(2, len(leaves), root_of(leaves))])]
    broken("EPOCH_CHAIN", verify_log, forged, KEY)


def test_a_checkpoint_seen_before_must_be_of_the_same_log():
    """A truncated and a forked log hold by themselves; whoever remembers a checkpoint sees it."""
    log = example_log()
    remembered = [log[1].notes[0]]
    verify_log(log, KEY, remembered)
    truncated = [log[0], Epoch(log[1].leaves[:-1], [sign(2, len(log[1].leaves) - 1, root_of(log[1].leaves[:-1]))])]
    verify_log(truncated, KEY)
    broken("LOG_SHORT", verify_log, truncated, KEY, remembered)
    broken("LOG_SHORT", verify_log, log[:1], KEY, remembered)
    forked = [list(epoch.leaves) for epoch in log]
    edit(*place("read"), (b"reason TRACE", b"reason ENTRIES"))(forked)
    verify_log(resigned(forked), KEY)
    broken("FORKED", verify_log, resigned(forked), KEY, remembered)


# ── witnesses ────────────────────────────────────────────────────────────────────────────────────


def cosigned():
    return blocks(WITNESS_FORMAT, "cosigned")[""]


def witness():
    vkeys = re.findall(r"(?m)^gate\.example/witness\+\S+$", WITNESS_FORMAT)
    return Witness(vkeys[0])


def test_the_cosignature_of_the_format_holds():
    KEY.open(cosigned())
    assert witness().check(cosigned()) > 1_700_000_000


def test_a_forged_cosignature_does_not_hold():
    note = cosigned()
    body, lines = note.split(b"\n\n")
    other = sign(1, 69, sha256(b"another"))
    line = next(line for line in lines.split(b"\n") if b"/witness " in line)
    broken("COSIGNATURE", witness().check, other + line + b"\n")
    broken("COSIGNATURE_MISSING", witness().check, other)
    blob = base64.b64decode(line.rsplit(b" ", 1)[1])
    for changed in (blob[:11] + b"\x00" + blob[12:], blob[:-1] + b"\x00", blob[:-1]):
        forged = line.rsplit(b" ", 1)[0] + b" " + base64.b64encode(changed)
        broken("COSIGNATURE", witness().check, note.replace(line, forged))
    renamed = note.replace(b"/witness ", b"/wetness ")
    broken("COSIGNATURE_MISSING", witness().check, renamed)
    broken("VKEY", Witness, KEY.vkey)


# ── consistency ──────────────────────────────────────────────────────────────────────────────────


def consistency(hashes, old, complete=True):
    """RFC 6962 §2.1.2, written down as it stands there."""
    if old == len(hashes):
        return [] if complete else [tree(hashes)]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= middle:
        return [*consistency(hashes[:middle], old, complete), tree(hashes[middle:])]
    return [*consistency(hashes[middle:], old - middle, False), tree(hashes[:middle])]


def tree(hashes):
    if len(hashes) == 1:
        return hashes[0]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(tree(hashes[:middle]), tree(hashes[middle:]))


def test_every_growth_is_consistent_and_nothing_else_is():
    hashes = [leaf_hash(bytes([index])) for index in range(20)]
    others = [leaf_hash(bytes([index + 100])) for index in range(20)]
    for new in range(1, 21):
        for old in range(1, new + 1):
            proof = consistency(hashes[:new], old)
            first, second = tree(hashes[:old]), tree(hashes[:new])
            check_consistency(old, first, new, second, proof)
            broken("CONSISTENCY", check_consistency, old, tree(others[:old]), new, second, proof)
            broken("CONSISTENCY", check_consistency, old, first, new, tree(others[:new]), proof)
            broken("CONSISTENCY", check_consistency, old, first, new, second, [*proof, hashes[0]])
            if proof:
                broken("CONSISTENCY", check_consistency, old, first, new, second, proof[:-1])
                broken("CONSISTENCY", check_consistency, old, first, new, second, [hashes[0], *proof[1:]][::-1])
            if old < new:
                broken("CONSISTENCY", check_consistency, new, second, old, first, proof)


def test_a_fork_cannot_be_proven_to_be_growth():
    log = example_log()
    leaves = log[1].leaves
    hashes = [leaf_hash(leaf) for leaf in leaves]
    old, new = sign(2, 9, root_of(leaves[:9])), log[1].notes[0]
    verify_growth(old, new, consistency(hashes, 9), KEY)
    forked = sign(2, 9, root_of([*leaves[:8], leaves[9]]))
    broken("CONSISTENCY", verify_growth, forked, new, consistency(hashes, 9), KEY)
    broken("CHECKPOINT_ORIGIN", verify_growth, log[0].notes[0], new, [], KEY)
