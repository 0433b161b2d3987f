"""Documents signed by pyHanko, as other software signs them: what each is worth, and what is not taken."""

import hashlib
import json

import pytest
from gateway import vanthu_json
from grpc import StatusCode as Code
from mail import document, waiting
from papers import ADOBE, Letter, detached, official, part, pdf, sign
from proofs import LogKey, check_receipt, read_entry
from refusals import refused
from vanthu.v1 import envelope_pb2, verdict_pb2
from vanthu.v1 import trace_service_pb2 as tr

PASSED = verdict_pb2.INDICATION_TOTAL_PASSED
UNDECIDED = verdict_pb2.INDICATION_INDETERMINATE


@pytest.fixture(scope="module", params=["rsa", "p256"])
def shared(request, start):
    """A gateway in a country with RSA keys, and one with P-256 keys."""
    country = request.getfixturevalue({"rsa": "rsa_pki", "p256": "pki"}[request.param])
    gateway = start(country)
    yield gateway
    gateway.stop()


def send(gateway, content, **fields):
    return Letter(content=content, **fields).send(gateway.system("commune"))


def rejections(gateway, letter):
    """The entries that say why a letter was not taken, found by the digest of its envelope."""
    request = tr.TraceRequest(envelope_sha256=letter.digest)
    found = gateway.system("auditor").trace.Trace(request).entries
    return [read_entry(entry.leaf) for entry in found]


@pytest.mark.parametrize("how", [{}, {"chain": False}, {"form": ADOBE}, {"digest": "sha384"}], ids=str)
def test_an_original_signed_by_officer_and_agency_is_an_original(shared, how):
    result = send(shared, official(shared.pki, "H49.151", **how))
    verdict = result.verdict
    assert (verdict.indication, verdict.legal_value) == (PASSED, "ORIGINAL"), verdict
    assert [one.signer_role for one in verdict.signatures] == ["PERSON", "SEAL"]
    form = "adbe.pkcs7.detached" if "form" in how else "ETSI.CAdES.detached"
    for one, name in zip(verdict.signatures, ("officers/H49.151", "seals/H49.151")):
        assert (one.part, one.format, one.indication) == ("cong-van.pdf", form, PASSED)
        assert (one.sub_indication, list(one.reasons)) == ("", [])
        assert one.HasField("signing_time")
        assert one.signer_sha256 == _leaf_sha256(shared.pki, name)
    entry = check_receipt(result.receipt, LogKey(shared.pki.vkey))
    assert entry["verdict"].startswith("TOTAL-PASSED ORIGINAL ")


def _leaf_sha256(pki, name):
    from asn1crypto import pem

    _, _, der = next(iter(pem.unarmor(pki.read(f"{name}.pem"), multiple=True)))
    return hashlib.sha256(der).digest()


def test_the_report_in_the_mailbox_is_the_one_hashed_in_the_log(shared):
    result = send(shared, official(shared.pki, "H49.151"))
    found = document(shared.system("province"), "H49", result.consignment_id)
    entry = read_entry(found.receipt.leaf)
    assert entry["verdict"].split(" ")[2] == hashlib.sha256(found.verdict_report).hexdigest()
    report = json.loads(found.verdict_report)
    assert (report["indication"], report["legal_value"]) == ("TOTAL-PASSED", "ORIGINAL")
    items = {item.consignment_id: item for item in waiting(shared.system("province"), "H49")}
    item = items[result.consignment_id]
    assert (item.indication, item.legal_value) == ("TOTAL-PASSED", "ORIGINAL")


def test_the_command_line_agrees_with_the_gateway(shared, tmp_path):
    content = official(shared.pki, "H49.151")
    path = tmp_path / "signed.pdf"
    path.write_bytes(content)
    trust = shared.pki.folder / "trust"
    told = vanthu_json("verify", path, "--trust", trust)
    assert told["indication"] == "TOTAL-PASSED" and len(told["signatures"]) == 2
    path.write_bytes(_changed(content))
    assert vanthu_json("verify", path, "--trust", trust, code=7)["indication"] == "TOTAL-FAILED"


def _changed(content):
    changed = content.replace(b"Kinh gui", b"Kinh gul", 1)
    assert changed != content and len(changed) == len(content)
    return changed


def test_one_changed_byte_is_refused_and_recorded(shared):
    letter = Letter(content=_changed(official(shared.pki, "H49.151")))
    name = "parts[cong-van.pdf]"
    with shared.writes(1):
        with refused(
            Code.INVALID_ARGUMENT,
            "SIGNATURE_FAILED",
            name,
            part="cong-van.pdf",
            indication="TOTAL-FAILED",
            sub_indication="HASH_FAILURE",
        ) as refusal:
            letter.send(shared.system("commune"))
    assert refusal.metadata["log_entry"] == f"1/{shared.size() - 1}"
    [entry] = rejections(shared, letter)
    assert (entry["event"], entry["reason"]) == ("SubmissionRejection", "SIGNATURE_FAILED")
    assert entry["verdict"].startswith("TOTAL-FAILED INVALID ")
    assert (entry["from"], entry["document"]) == ("H49.151", letter.fields.document_id)
    with shared.writes(0), refused(Code.INVALID_ARGUMENT, "SIGNATURE_FAILED", name):
        letter.send(shared.system("commune"), validate_only=True)


def test_bytes_after_the_last_signature_are_not_called_signed(shared):
    """A comment changes nothing that is shown; the report says how far the signature reaches."""
    content = official(shared.pki, "H49.151")
    result = send(shared, content + b"% and one more thing\n")
    found = document(shared.system("commune"), "H49.151", result.consignment_id)
    last = json.loads(found.verdict_report)["signatures"][-1]
    assert last["coverage"] == f"revision up to byte {len(content)}"


def test_a_page_changed_after_signing_is_refused(shared):
    """An incremental update replaces the text, and no signed byte is touched."""
    content = official(shared.pki, "H49.151")
    stream = b"BT /F1 14 Tf 72 720 Td (Tu choi) Tj ET"
    start = content.rindex(b"startxref\n") + len(b"startxref\n")
    previous = int(content[start:].split(b"\n")[0])
    body = b"4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(stream), stream)
    update = b"\n" + body
    xref = len(content) + len(update)
    size = content[content.rindex(b"/Size") :].split()[1].rstrip(b"/>")
    update += b"xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size %s /Root 1 0 R /Prev %d >>\n" % (
        len(content) + 1, size, previous,
    )  # fmt: skip
    update += b"startxref\n%d\n%%%%EOF\n" % xref
    letter = Letter(content=content + update)
    with shared.writes(1):
        with refused(
            Code.INVALID_ARGUMENT,
            "SIGNATURE_REFUSED",
            "parts[cong-van.pdf]",
            sub_indication="SIG_CONSTRAINTS_FAILURE",
            code="CONTENT_CHANGED",
        ):
            letter.send(shared.system("commune"))


def test_a_revoked_seal_is_refused(shared):
    content = sign(shared.pki, sign(shared.pki, pdf(), "officers/H49.151"), "revoked-seal")
    letter = Letter(content=content)
    with shared.writes(1):
        with refused(
            Code.INVALID_ARGUMENT,
            "SIGNATURE_REFUSED",
            "parts[cong-van.pdf]",
            indication="INDETERMINATE",
            sub_indication="REVOKED_NO_POE",
        ):
            letter.send(shared.system("commune"))
    [entry] = rejections(shared, letter)
    assert entry["reason"] == "SIGNATURE_REFUSED"
    assert entry["verdict"].startswith("INDETERMINATE ")


def test_an_expired_seal_is_taken_and_leaves_the_value_open(shared):
    content = sign(shared.pki, sign(shared.pki, pdf(), "officers/H49.151"), "expired-seal")
    verdict = send(shared, content).verdict
    assert (verdict.indication, verdict.legal_value) == (UNDECIDED, "UNDETERMINED")
    officer, seal = verdict.signatures
    assert (officer.indication, seal.indication) == (PASSED, UNDECIDED)
    assert (seal.signer_role, seal.sub_indication) == ("SEAL", "OUT_OF_BOUNDS_NO_POE")
    assert seal.reasons and seal.reasons[0].message


def test_an_unsigned_document_is_information_only(shared):
    verdict = send(shared, pdf()).verdict
    assert verdict.indication == verdict_pb2.INDICATION_UNSPECIFIED
    assert (verdict.legal_value, list(verdict.signatures)) == ("INFORMATION_ONLY", [])
    assert verdict.legal_reason


@pytest.mark.parametrize("content", [b"x", b"\x00" * 1000, "một tệp chữ".encode(), b"PK\x03\x04"], ids=str)
def test_content_without_any_signature_format_is_information_only(shared, content):
    assert send(shared, content).verdict.legal_value == "INFORMATION_ONLY"


@pytest.mark.parametrize("signer, role", [("officers/H49.151", "PERSON"), ("seals/H49.151", "SEAL")])
def test_one_signature_alone_does_not_make_an_original(shared, signer, role):
    verdict = send(shared, sign(shared.pki, pdf(), signer)).verdict
    assert (verdict.indication, verdict.legal_value) == (PASSED, "INFORMATION_ONLY")
    assert [one.signer_role for one in verdict.signatures] == [role]


def test_a_copy_needs_the_seal_alone(shared):
    copy = envelope_pb2.FORM_COPY
    sealed = send(shared, sign(shared.pki, pdf(), "seals/H49.151"), form=copy).verdict
    assert (sealed.indication, sealed.legal_value) == (PASSED, "COPY")
    signed = send(shared, sign(shared.pki, pdf(), "officers/H49.151"), form=copy).verdict
    assert (signed.indication, signed.legal_value) == (PASSED, "INFORMATION_ONLY")


def test_the_seal_of_another_agency_is_not_the_senders(shared):
    content = sign(shared.pki, sign(shared.pki, pdf(), "officers/H49.151"), "seals/H49.152")
    verdict = send(shared, content).verdict
    assert (verdict.indication, verdict.legal_value) == (PASSED, "INFORMATION_ONLY")
    assert verdict.signatures[1].signer_role == "UNKNOWN"


def test_a_company_does_not_sign_for_an_agency(shared):
    """Its certificate holds, in the public trust domain, but it is no competent person."""
    content = sign(shared.pki, sign(shared.pki, pdf(), "business"), "seals/H49.151")
    verdict = send(shared, content).verdict
    company, seal = verdict.signatures
    assert (company.indication, seal.signer_role) == (PASSED, "SEAL")
    assert company.signer_role == "UNKNOWN"
    assert verdict.legal_value == "INFORMATION_ONLY"


def test_a_company_may_send_its_papers_as_an_annex(shared):
    letter = Letter(content=official(shared.pki, "H49.151"), annexes=[sign(shared.pki, pdf("don"), "business")])
    verdict = letter.send(shared.system("commune")).verdict
    assert (verdict.indication, verdict.legal_value) == (PASSED, "ORIGINAL")
    assert [one.part for one in verdict.signatures] == ["cong-van.pdf"] * 2 + ["phu-luc-1.pdf"]


def test_a_broken_annex_spoils_the_document(shared):
    annex = sign(shared.pki, pdf(), "business")
    letter = Letter(content=official(shared.pki, "H49.151"), annexes=[_changed(annex)])
    with shared.writes(1), refused(Code.INVALID_ARGUMENT, "SIGNATURE_FAILED", "parts[phu-luc-1.pdf]"):
        letter.send(shared.system("commune"))


def _break_byte_range(content):
    """Moves the second signed range of the last signature over its own hole."""
    start = content.rindex(b"/ByteRange")
    end = content.index(b"]", start)
    numbers = content[content.index(b"[", start) + 1 : end].split()
    numbers[1] = numbers[2]
    text = b"/ByteRange [" + b" ".join(numbers)
    return content[:start] + text.ljust(end - start)[: end - start] + content[end:]


def _break_cms(content):
    start = content.rindex(b"/Contents <") + len(b"/Contents <")
    return content[:start] + b"3082FFFF" + content[start + 8 :]


def _empty_cms(content):
    start = content.rindex(b"/Contents <") + len(b"/Contents <")
    end = content.index(b">", start)
    return content[:start] + b"0" * (end - start) + content[end:]


def _flip_signature_value(content):
    """The last non-zero byte of the CMS belongs to the signature value."""
    start = content.rindex(b"/Contents <") + len(b"/Contents <")
    end = content.index(b">", start)
    length = len(content[start:end].rstrip(b"0")) // 2 * 2
    last = start + length - 2
    flipped = b"%02x" % (int(content[last : last + 2], 16) ^ 1)
    return content[:last] + flipped + content[last + 2 :]


@pytest.mark.parametrize("spoil", [_break_byte_range, _break_cms, _empty_cms, _flip_signature_value])
def test_a_spoiled_signature_is_refused_and_recorded(shared, spoil):
    letter = Letter(content=spoil(official(shared.pki, "H49.151")))
    with shared.writes(1):
        with refused(
            Code.INVALID_ARGUMENT, "SIGNATURE_FAILED", "parts[cong-van.pdf]", indication="TOTAL-FAILED"
        ) as refusal:
            letter.send(shared.system("commune"))
    assert refusal.metadata["code"] and refusal.metadata["message"]
    [entry] = rejections(shared, letter)
    assert entry["verdict"].startswith("TOTAL-FAILED INVALID ")


def _with_detached(pki, signed_content, content):
    signatures = [detached(pki, signed_content, f"{kind}/H49.151") for kind in ("officers", "seals")]
    letter = Letter(content=content)
    role = envelope_pb2.PART_ROLE_SIGNATURE
    for name, bytes_ in zip(("chu-ky.p7s", "con-dau.p7s"), signatures):
        media_type = "application/pkcs7-signature"
        letter.fields.parts.append(part(name, bytes_, role, signs="cong-van.pdf", media_type=media_type))
        letter.parts.append(bytes_)
    return letter


def test_detached_signatures_make_an_original_of_any_file(shared):
    content = "số liệu,1,2,3\n".encode() * 1000
    verdict = _with_detached(shared.pki, content, content).send(shared.system("commune")).verdict
    assert (verdict.indication, verdict.legal_value) == (PASSED, "ORIGINAL"), verdict
    assert [one.part for one in verdict.signatures] == ["chu-ky.p7s", "con-dau.p7s"]


def test_a_detached_signature_over_other_bytes_is_refused(shared):
    letter = _with_detached(shared.pki, b"one thing", b"another thing")
    with shared.writes(1), refused(Code.INVALID_ARGUMENT, "SIGNATURE_FAILED", "parts[chu-ky.p7s]"):
        letter.send(shared.system("commune"))


@pytest.mark.parametrize("garbage", [b"\x00", b"not a CMS", b"\x30\x80\x06\x09", b"\x30\x84\xff\xff\xff\xff"], ids=str)
def test_a_detached_signature_that_is_none_is_refused(shared, garbage):
    letter = Letter()
    role = envelope_pb2.PART_ROLE_SIGNATURE
    letter.fields.parts.append(part("chu-ky.p7s", garbage, role, signs="cong-van.pdf"))
    letter.parts.append(garbage)
    with shared.writes(1), refused(Code.INVALID_ARGUMENT, "SIGNATURE_FAILED", "parts[chu-ky.p7s]"):
        letter.send(shared.system("commune"))
