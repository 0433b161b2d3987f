"""PDFs of every structure: what is signed passes here, at pyHanko and at poppler."""

import io

import pytest
from asn1crypto import keys, pem
from command import refused, vanthu_json
from judges import certificates, pdfsig, pyhanko
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore
from sheets import hybrid, page_objects, stream, table

FORM = "/AcroForm << /Fields [6 0 R] /DA (/Helv 0 Tf) >>"
EMPTY_FIELD = {6: b"<< /FT /Sig /T (Chu ky) /Type /Annot /Subtype /Widget /Rect [300 100 400 150] /P 3 0 R >>"}
STRUCTURES = {
    "table": table(page_objects()),
    "stream": stream(page_objects()),
    "packed": stream(page_objects(), packed=(1, 2, 3, 5)),
    "hybrid": hybrid(page_objects(), packed=(5,)),
    "annotations by reference": table(page_objects(page="/Annots 6 0 R", extra={6: b"[]"})),
    "second generation": table(
        page_objects() | {2: b"<< /Type /Pages /Kids [3 2 R] /Count 1 /MediaBox [0 0 595 842] >>"},
        generations={3: 2},
    ),
    "other fields": table(
        page_objects(catalog="/AcroForm 7 0 R", extra={
            6: b"<< /FT /Tx /T (Ten) /V (Nguy\\345n) /Type /Annot /Subtype /Widget /Rect [0 0 9 9] /P 3 0 R >>",
            7: b"<< /Fields [6 0 R] >>",
        })
    ),
    "form in the catalog": table(page_objects(catalog=FORM, extra=EMPTY_FIELD)),
    "no end of line": table(page_objects()).rstrip(),
}  # fmt: skip

# When it is strict, pyHanko reads no hybrid files and no generation whose earlier ones were not freed.
LAX = ("hybrid", "second generation")


@pytest.mark.parametrize("name", STRUCTURES)
def test_an_officer_and_an_agency_sign_a_pdf_of_any_structure(pki, tmp_path, name):
    content = STRUCTURES[name]
    path, once, twice = (tmp_path / f"{step}.pdf" for step in ("plain", "once", "twice"))
    path.write_bytes(content)
    officer, seal = pki.signer("officers/H49.151"), pki.signer("seals/H49.151")
    told = vanthu_json("sign", path, *officer.options, "-o", once)
    assert told["format"] == "ETSI.CAdES.detached" and told["timestamp"] is None
    vanthu_json("sign", once, *seal.options, "-o", twice, "--form", "adobe")
    signed = twice.read_bytes()
    assert signed.startswith(once.read_bytes()) and once.read_bytes().startswith(content)
    found = pki.passes(twice, 2)
    assert [one["format"] for one in found] == ["ETSI.CAdES.detached", "adbe.pkcs7.detached"]
    statuses = pyhanko(pki, signed, strict=name not in LAX)
    assert [status.bottom_line for status in statuses] == [True, True]
    assert pdfsig(twice) == (2, 2)


def test_the_new_cross_reference_has_the_form_of_the_old_one(pki, tmp_path):
    for name, is_stream in (("table", False), ("packed", True), ("hybrid", False)):
        path, out = tmp_path / f"{name}.pdf", tmp_path / f"{name}.out.pdf"
        path.write_bytes(STRUCTURES[name])
        vanthu_json("sign", path, *pki.signer("seals/H49").options, "-o", out)
        added = out.read_bytes()[len(STRUCTURES[name]) :]
        assert (b"/Type /XRef" in added, b"\ntrailer\n" in added) == (is_stream, not is_stream)
        assert b"/XRefStm" not in added


def test_the_empty_field_of_a_document_is_filled_in(pki, images, tmp_path):
    content = table(page_objects(page="/Annots [6 0 R]", catalog=FORM, extra=EMPTY_FIELD))
    path, out = tmp_path / "form.pdf", tmp_path / "out.pdf"
    path.write_bytes(content)
    seal = pki.signer("seals/H49")
    vanthu_json(
        "sign", path, *seal.options, "-o", out, "--field", "Chu ky", "--show", "person", "--image", images["name"]
    )
    pki.passes(out, 1)
    [embedded] = PdfFileReader(io.BytesIO(out.read_bytes())).embedded_regular_signatures
    assert embedded.field_name == "Chu ky"
    assert [float(side) for side in embedded.sig_field["/Rect"]] == [300, 100, 400, 150]
    assert "/N" in embedded.sig_field["/AP"]
    message = "the PDF cannot be signed: it has a signed field of that name already"
    refused(1, message, out, *seal.options, "-o", tmp_path / "again.pdf", "--field", "Chu ky")


def test_field_names_are_found_where_none_is_given(pki, letter, tmp_path):
    path = letter
    for round_ in range(3):
        out = tmp_path / f"{round_}.pdf"
        vanthu_json("sign", path, *pki.signer("seals/H49").options, "-o", out)
        path = out
    reader = PdfFileReader(io.BytesIO(path.read_bytes()))
    names = [embedded.field_name for embedded in reader.embedded_regular_signatures]
    assert names == ["Signature1", "Signature2", "Signature3"]


def test_a_document_signed_by_other_software_is_sealed(pki, letter, tmp_path):
    path, out = tmp_path / "officer.pdf", tmp_path / "sealed.pdf"
    path.write_bytes(_by_pyhanko(pki, letter.read_bytes()))
    vanthu_json("sign", path, *pki.signer("seals/H49.151").options, "-o", out)
    pki.passes(out, 2)
    assert len(pyhanko(pki, out.read_bytes())) == 2


def _by_pyhanko(pki, content, **metadata):
    signer = pki.signer("officers/H49.151")
    certificate, *above = certificates([signer.cert])
    _, _, der = pem.unarmor(signer.key.read_bytes())
    known = SimpleCertificateStore.from_certs(above)
    key = keys.PrivateKeyInfo.load(der)
    hand = signers.SimpleSigner(signing_cert=certificate, signing_key=key, cert_registry=known)
    what = signers.PdfSignatureMetadata(field_name="Officer", md_algorithm="sha256", **metadata)
    spec = fields.SigFieldSpec("Officer")
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    return signers.PdfSigner(what, signer=hand, new_field_spec=spec).sign_pdf(writer).getbuffer().tobytes()


def test_a_certified_document_is_sealed_only_where_it_allows_that(pki, letter, tmp_path):
    path, out = tmp_path / "certified.pdf", tmp_path / "sealed.pdf"
    seal = pki.signer("seals/H49.151")
    for level, allows in (
        (fields.MDPPerm.NO_CHANGES, False),
        (fields.MDPPerm.FILL_FORMS, True),
        (fields.MDPPerm.ANNOTATE, True),
    ):
        path.write_bytes(_by_pyhanko(pki, letter.read_bytes(), certify=True, docmdp_permissions=level))
        if allows:
            vanthu_json("sign", path, *seal.options, "-o", out)
            pki.passes(out, 2)
            pyhanko(pki, out.read_bytes())
            out.unlink()
        else:
            message = "the PDF cannot be signed: it is certified and allows no change, not even a signature"
            refused(1, message, path, *seal.options, "-o", out)
            assert not out.exists()


def test_an_encrypted_document_is_refused_and_nothing_is_written(pki, letter, tmp_path):
    path, out = tmp_path / "secret.pdf", tmp_path / "out.pdf"
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(letter.read_bytes())))
    writer.encrypt(owner_pass="owner", user_pass="")
    with path.open("wb") as file:
        writer.write(file)
    done = refused(
        1, "the PDF cannot be signed: it is encrypted", path, *pki.signer("seals/H49").options, "-o", out
    )
    assert "vanthu: hint: sign the document before it is encrypted" in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "it is no PDF"),
        (b"PK\x03\x04", "it is no PDF"),
        ("một tệp chữ".encode(), "it is no PDF"),
        (b"%PDF-1.7\n", "its structure is damaged"),
        (STRUCTURES["table"][:-30], "its structure is damaged"),
        (STRUCTURES["table"].replace(b"/Type /Catalog /Pages 2 0 R", b"/Type /Catalog /Pages 9 0 R"),
         "its structure is damaged"),
        (STRUCTURES["table"].replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), "its structure is damaged"),
        (STRUCTURES["packed"][:-60], "its structure is damaged"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_sound_pdf_is_refused(pki, tmp_path, content, why):
    path, out = tmp_path / "x.pdf", tmp_path / "out.pdf"
    path.write_bytes(content)
    refused(1, f"the PDF cannot be signed: {why}", path, *pki.signer("seals/H49").options, "-o", out)
    assert not out.exists()


def test_no_file_is_overwritten_by_a_name_that_nobody_gave(pki, letter):
    seal = pki.signer("seals/H49")
    told = vanthu_json("sign", letter, *seal.options)
    assert told["out"] == str(letter.with_name("letter.signed.pdf"))
    done = refused(1, f"{told['out']}: there is such a file already", letter, *seal.options)
    assert "--out" in done.err
    vanthu_json("sign", letter, *seal.options, "-o", told["out"])


def test_a_missing_file_is_named(pki, tmp_path):
    path = tmp_path / "none.pdf"
    refused(1, f"{path}: No such file or directory (os error 2)", path, *pki.signer("seals/H49").options)
