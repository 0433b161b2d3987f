"""Documents as agencies send them: PDFs, signatures by pyHanko, envelopes."""

import datetime
import hashlib
import io
import uuid

from asn1crypto import keys as asn1_keys
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore
from vanthu.v1 import envelope_pb2, submission_service_pb2

VIETNAM = datetime.timezone(datetime.timedelta(hours=7))
PADES = SigSeedSubFilter.PADES
ADOBE = SigSeedSubFilter.ADOBE_PKCS7_DETACHED


def today():
    """The date in Vietnam."""
    return datetime.datetime.now(VIETNAM).date()


def date(day):
    return envelope_pb2.Date(year=day.year, month=day.month, day=day.day)


def pdf(text="Kinh gui"):
    """A one-page PDF, written by hand."""
    content = f"BT /F1 14 Tf 72 720 Td ({text}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _identity(pki, name):
    """Certificates, its own first, and the private key."""
    chain = pem.unarmor(pki.read(f"{name}.pem"), multiple=True)
    _, _, key = pem.unarmor(pki.read(f"{name}.key"))
    return [asn1_x509.Certificate.load(der) for _, _, der in chain], asn1_keys.PrivateKeyInfo.load(key)


def _stamper(pki):
    """pyHanko's own time-stamping authority, with the key of the PKI's."""
    certificates, key = _identity(pki, "tsa")
    known = SimpleCertificateStore.from_certs(certificates[1:])
    return DummyTimeStamper(certificates[0], key, certs_to_embed=known)


def sign(pki, content, signer, form=PADES, chain=True, digest="sha256", stamped=False):
    """Adds a signature of `signer` (for example "seals/H49") as an incremental update."""
    certificates, key = _identity(pki, signer)
    known = SimpleCertificateStore.from_certs(certificates[1:] if chain else [])
    hand = signers.SimpleSigner(signing_cert=certificates[0], signing_key=key, cert_registry=known)
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    field = "Sig-" + signer.replace("/", "-").replace(".", "-")
    what = signers.PdfSignatureMetadata(field_name=field, md_algorithm=digest, subfilter=form)
    stamper = _stamper(pki) if stamped else None
    spec = SigFieldSpec(field)
    signer_of_pdf = signers.PdfSigner(what, signer=hand, timestamper=stamper, new_field_spec=spec)
    return signer_of_pdf.sign_pdf(writer).getbuffer().tobytes()


def detached(pki, content, signer):
    """A CMS signature beside its content, made with `cryptography`, not with Vanthu or pyHanko."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    certificate, *chain = x509.load_pem_x509_certificates(pki.read(f"{signer}.pem"))
    key = serialization.load_pem_private_key(pki.read(f"{signer}.key"), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
    for above in chain:
        builder = builder.add_certificate(above)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return builder.sign(serialization.Encoding.DER, options)


def official(pki, agency, content=None, **how):
    """An original: the officer signs, then the agency seals."""
    content = pdf() if content is None else content
    signed = sign(pki, content, f"officers/{agency}", **how)
    return sign(pki, signed, f"seals/{agency}", **how)


def part(name, content, role=envelope_pb2.PART_ROLE_MAIN, /, **changes):
    """A part that lists `content`."""
    fields = {
        "name": name,
        "media_type": "application/pdf",
        "size": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "role": role,
    }
    return envelope_pb2.Part(**(fields | changes))


class Letter:
    """An envelope and the bytes of its parts."""

    def __init__(self, sender="H49.151", to=("H49",), content=None, annexes=(), **fields):
        self.parts = [pdf() if content is None else content, *annexes]
        annex = envelope_pb2.PART_ROLE_ANNEX
        listed = [part("cong-van.pdf", self.parts[0])]
        listed += [part(f"phu-luc-{index}.pdf", bytes_, annex) for index, bytes_ in enumerate(annexes, 1)]
        defaults = {
            "document_id": f"{sender},{uuid.uuid4()}",
            "type_name": "Công văn",
            "subject": "V/v cấp giấy chứng nhận quyền sử dụng đất",
            "issue_date": date(today()),
            "urgency": envelope_pb2.URGENCY_NORMAL,
            "secrecy": envelope_pb2.SECRECY_NONE,
            "form": envelope_pb2.FORM_ORIGINAL,
            "sender": sender,
            "recipients": to,
            "parts": listed,
        }
        self.fields = envelope_pb2.Envelope(**(defaults | fields))
        self.request_id = str(uuid.uuid4())

    @property
    def envelope(self):
        """The bytes; the same for the same fields within a process."""
        return self.fields.SerializeToString(deterministic=True)

    @property
    def digest(self):
        return hashlib.sha256(self.envelope).digest()

    def request(self, **changes):
        """SubmitDocumentRequest for it."""
        fields = {"request_id": self.request_id, "envelope": self.envelope, "parts": self.parts}
        return submission_service_pb2.SubmitDocumentRequest(**(fields | changes))

    def send(self, system, **changes):
        """Submits it in one call; gives the result."""
        return system.submission.SubmitDocument(self.request(**changes)).result


def upload(content, header=None, chunk_size=64 * 1024, offset=0):
    """The messages of an upload."""
    Header, Request = submission_service_pb2.UploadHeader, submission_service_pb2.UploadRequest
    if header is None:
        header = Header(sha256=hashlib.sha256(content).digest(), size=len(content), offset=offset)
    yield Request(header=header)
    for start in range(offset, len(content), chunk_size):
        yield Request(chunk=content[start : start + chunk_size])
