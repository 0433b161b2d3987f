"""The corpora as every verifier of the comparison gets them: files, trust anchors, moments.

Nothing here asks a verifier: signatures are cut out of PDFs by their /ByteRange alone.
"""

import dataclasses
import datetime
import functools
import os
import pathlib
import re

from asn1crypto import cms, pem, tsp, x509

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPORA = pathlib.Path(os.environ.get("VANTHU_CORPORA", ROOT.parent / "shared/corpora"))
#: Where signed PDFs are, and CMS files of their own.
PDF_FOLDERS = ("dss", "pyhanko", "endesive", "digitorus-pdfsign")
CMS_FOLDERS = ("dss/dss-cades", "pyhanko", "endesive")
CMS_SUFFIXES = (".p7m", ".p7s", ".pkcs7", ".cades")

BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")
CLAIMED = re.compile(rb"/M\s*\(D:(\d{14})")
UTC = datetime.timezone.utc


def name(path):
    """A file as the list of differences names it."""
    return path.relative_to(CORPORA).as_posix()


def pdfs():
    """Every PDF of the corpora that mentions a signature."""
    found = [path for folder in PDF_FOLDERS for path in (CORPORA / folder).rglob("*.pdf")]
    return sorted(path for path in found if b"/ByteRange" in path.read_bytes())


def cms_files():
    found = [path for folder in CMS_FOLDERS for path in (CORPORA / folder).rglob("*")]
    return sorted(path for path in found if path.suffix in CMS_SUFFIXES)


@dataclasses.dataclass
class Cut:
    """A signature as its /ByteRange cuts it out of a PDF."""

    end: int
    der: bytes
    content: bytes


def cuts(pdf):
    """The signatures of a PDF whose /ByteRange encloses one hexadecimal string."""
    found = {}
    for match in BYTE_RANGE.finditer(pdf):
        start, length, second, rest = map(int, match.groups())
        gap = pdf[start + length:second]
        if start == 0 and second + rest <= len(pdf) and gap[:1] == b"<" and gap[-1:] == b">":
            try:
                der = bytes.fromhex(gap[1:-1].decode())
            except ValueError:
                continue
            content = pdf[:length] + pdf[second:second + rest]
            found[second + rest] = Cut(second + rest, der, content)
    return [found[end] for end in sorted(found)]


def der(content):
    """A CMS without its PEM armour."""
    return pem.unarmor(content)[2] if pem.detect(content) else content


def signed_data(content):
    """The SignedData of a CMS in DER, BER or PEM; None if asn1crypto cannot read it."""
    try:
        info = cms.ContentInfo.load(der(content))
        if info["content_type"].native != "signed_data":
            return None
        data = info["content"]
        # It reads lazily: this is where a broken one is found.
        return data if len(data["signer_infos"]) and certificates(data) is not None else None
    except Exception:  # noqa: BLE001 - asn1crypto raises whatever it meets
        return None


def certificates(data):
    chosen = (choice.chosen for choice in data["certificates"] or ())
    return [one for one in chosen if isinstance(one, x509.Certificate)]


def times(data):
    """Every time that a CMS or a time-stamp in it states."""
    if data["encap_content_info"]["content_type"].native == "tst_info":
        yield tsp.TSTInfo.load(data["encap_content_info"]["content"].native)["gen_time"].native
    for info in data["signer_infos"]:
        for attribute in info["signed_attrs"] or ():
            if attribute["type"].native == "signing_time":
                yield attribute["values"][0].native
        for attribute in info["unsigned_attrs"] or ():
            if attribute["type"].native == "signature_time_stamp_token":
                token = attribute["values"][0]["content"]
                yield from times(token)


@functools.cache
def signatures(path):
    """Every readable CMS of a file."""
    content = path.read_bytes()
    ders = [cut.der for cut in cuts(content)] if path.suffix == ".pdf" else [content]
    return list(filter(None, map(signed_data, ders)))


def moment_of(path):
    """A minute after the newest time that a file states: when somebody would first judge it."""
    stated = []
    for data in signatures(path):
        try:
            stated += times(data)
        except Exception:  # noqa: BLE001 - what cannot be read states nothing
            continue
    for match in CLAIMED.finditer(path.read_bytes()):
        try:
            stated.append(datetime.datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S")
                          .replace(tzinfo=UTC))
        except ValueError:
            continue
    now = datetime.datetime(2026, 11, 22, 4, tzinfo=UTC)
    stated = [time for time in stated if time < now]
    return max(stated, default=now) + datetime.timedelta(minutes=1)


@dataclasses.dataclass
class Trust:
    """What every verifier trusts, and where it finds it."""

    folder: pathlib.Path
    anchors: list
    intermediates: list

    @property
    def bundle(self):
        return self.folder / "anchors.pem"


def trust(folder, paths):
    """Trusts the root of everybody: self-issued authorities inside the signatures and the test
    authorities that lie beside them."""
    found = {}
    for path in paths:
        for data in signatures(path):
            found.update((one.sha256, one) for one in certificates(data))
    for path in sorted(CORPORA.joinpath("pyhanko/crypto").rglob("*.cert.pem")):
        for _, _, der in pem.unarmor(path.read_bytes(), multiple=True):
            one = x509.Certificate.load(der)
            found[one.sha256] = one
    anchors, intermediates = [], []
    for _, one in sorted(found.items()):
        if not one.ca:
            continue
        (anchors if one.self_issued else intermediates).append(one)
    for kind, certs in (("anchors", anchors), ("intermediates", intermediates)):
        place = folder / "trust/all" / kind
        place.mkdir(parents=True, exist_ok=True)
        for one in certs:
            place.joinpath(f"{one.sha256.hex()}.der").write_bytes(one.dump())
    armored = b"".join(pem.armor("CERTIFICATE", one.dump()) for one in anchors)
    folder.joinpath("anchors.pem").write_bytes(armored)
    return Trust(folder, anchors, intermediates)
