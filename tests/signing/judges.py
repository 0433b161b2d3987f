"""What others say about a signed file: pyHanko, OpenSSL, poppler."""

import io
import re

from asn1crypto import pem, x509
from command import call
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext


def certificates(paths):
    found = []
    for path in paths:
        data = path.read_bytes()
        ders = [der for _, _, der in pem.unarmor(data, multiple=True)] if pem.detect(data) else [data]
        found += [x509.Certificate.load(der) for der in ders]
    return found


def pyhanko(pki, content, strict=True):
    """One status for each signature in the file; each must be intact, valid and trusted."""
    reader = PdfFileReader(io.BytesIO(content), strict=strict)
    statuses = []
    for embedded in reader.embedded_regular_signatures:
        context = ValidationContext(
            trust_roots=certificates(pki.anchors()),
            other_certs=certificates(pki.intermediates()),
            allow_fetching=False,
            revocation_mode="soft-fail",
        )
        status = validate_pdf_signature(embedded, context, context)
        assert status.intact and status.valid and status.trusted, status.pretty_print_details()
        statuses.append(status)
    return statuses


def pdfsig(path):
    """How many signatures poppler calls valid, and how many there are besides empty fields."""
    out = call("pdfsig", "-nocert", path).out
    found = len(re.findall(r"^Signature #", out, re.M)) - out.count("signature form field is not signed")
    return out.count("Signature is Valid."), found


def openssl_cms(pki, signature, content, code=0):
    """OpenSSL on a detached CMS, with the country's anchors."""
    # What is in -CAfile may stand inside a path, too; the path still must end at a root.
    trusted = signature.parent / "trusted.pem"
    trusted.write_bytes(b"".join(path.read_bytes() for path in [*pki.anchors(), *pki.intermediates()]))
    return call(
        "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signature,
        "-content", content, "-CAfile", trusted, "-purpose", "any", "-out", "/dev/null", code=code,
    )  # fmt: skip
