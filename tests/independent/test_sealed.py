"""The gateway's seal on evidence XML (src/evidence/FORMAT.md §5), as xmlsec1 judges it: it holds under the
state's root and no other, and over every byte that is not about the key."""

import re
import subprocess
from pathlib import Path

import pytest
from mail import acknowledge, refuse
from papers import Letter, official
from vanthu.v1 import evidence_service_pb2 as ev
from verifier import read_archive

SIGNED_PROPERTIES = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"
# A changed byte in so many places of what is sealed.
PLACES = 40


def xmlsec1(trust, path, anchor="gov/anchors/gov-root.pem"):
    """Exit code and what it says."""
    command = [
        "xmlsec1", "--verify", "--id-attr:Id", SIGNED_PROPERTIES, "--enabled-key-data", "x509",
        "--trusted-pem", trust / anchor, "--untrusted-pem", trust / "gov/intermediates/gov-state.pem", path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module", params=["pki", "rsa_pki"], ids=["P-256", "RSA"])
def country(request, start):
    """A PKI, and all sealed XML about one document: accepted, consigned, taken by one and refused by one."""
    pki = request.getfixturevalue(request.param)
    gateway = start(pki)
    content = official(pki, "H49.151")
    sent = Letter("H49.151", ["H49", "G22"], content=content).send(gateway.system("commune"))
    acknowledge(gateway.system("province"), "H49", sent.consignment_id)
    refuse(gateway.system("portal"), "G22", sent.consignment_id, "không thuộc thẩm quyền")
    request = ev.GetEvidenceRequest(consignment_id=sent.consignment_id)
    chunks = gateway.system("auditor").evidence.GetEvidence(request)
    files = read_archive(b"".join(message.chunk for message in chunks))
    gateway.stop()
    return pki.folder / "trust", {name: files[name] for name in sorted(files) if name.startswith("erds/")}


def write(folder, content):
    path = Path(folder) / "evidence.xml"
    path.write_bytes(content)
    return path


def test_every_sealed_evidence_holds(country, tmp_path):
    trust, sealed = country
    events = [re.search(rb"/Event/(\w+)<", xml)[1].decode() for xml in sealed.values()]
    assert sorted(set(events)) == [
        "ConsignmentRejection", "ContentConsignment", "ContentHandover", "SubmissionAcceptance",
    ]  # fmt: skip
    for name, xml in sealed.items():
        code, said = xmlsec1(trust, write(tmp_path, xml))
        assert code == 0 and "OK\nSignedInfo References (ok/all): 2/2" in said, (name, said)


def test_a_changed_byte_is_refused(country, tmp_path):
    trust, sealed = country
    for xml in sealed.values():
        for before, after in [
            (rb"<EventTime>2", b"<EventTime>3"),
            (rb"(<xades:SigningTime>)2", rb"\g<1>3"),
            (rb"(<ds:DigestValue>.)(.)", lambda found: found[1] + (b"A" if found[2] != b"A" else b"B")),
            (rb"(<ds:SignatureValue>.)(.)", lambda found: found[1] + (b"A" if found[2] != b"A" else b"B")),
        ]:
            changed, count = re.subn(before, after, xml, count=1)
            assert count == 1 and changed != xml
            code, said = xmlsec1(trust, write(tmp_path, changed))
            assert code != 0 and "OK\n" not in said, (before, said)
    xml = sealed["erds/1-0.xml"]
    end = xml.index(b"<ds:Signature ")
    for at in range(0, end, end // PLACES):
        changed = bytearray(xml)
        changed[at] ^= 1
        code, said = xmlsec1(trust, write(tmp_path, bytes(changed)))
        assert code != 0 and "OK\n" not in said, (at, said)


def test_another_root_is_refused(country, tmp_path):
    trust, sealed = country
    code, said = xmlsec1(trust, write(tmp_path, sealed["erds/1-0.xml"]), anchor="public/anchors/public-root.pem")
    assert code != 0 and "OK\n" not in said, said
