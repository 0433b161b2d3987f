"""Vanthu and its peers: each is asked about a file and answers in the same few words.

value     holds | broken | undecided     digest and signature value
coverage  all | part | unclear           how much of a PDF is signed
changes   none | allowed | refused       what follows the signed bytes
chain     trusted | untrusted            a path to an anchor, whatever revocation and the age of
                                         algorithms say

A key is absent where a peer has no opinion.
"""

import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile

from corpora import ROOT

BIN = pathlib.Path(os.environ.get("VANTHU_BIN", ROOT / "target/release/vanthu")).resolve()
#: A peer that takes longer on one file is ended.
SECONDS_MAX = 30

#: Reasons of ours that say that the digest or the value is wrong.
BROKEN = {"DIGEST_DIFFERS", "SIGNATURE_VALUE", "IMPRINT_DIFFERS"}
#: Reasons that say that something that is not allowed follows the signed bytes.
REFUSED = {
    "ANNOTATION_ADDED", "ANNOTATION_REMOVED", "CATALOG_CHANGED", "CATALOG_REPLACED",
    "CERTIFIED_WITHOUT_CHANGES", "CONTENT_CHANGED", "DANGLING_REFERENCE", "FIELD_FILLED",
    "FIELD_INLINE", "FIELD_LOCKED", "FIELD_MALFORMED", "FIELD_NOT_ALLOWED", "FIELD_REMOVED",
    "FORM_CHANGED", "HIDDEN_OBJECT", "NOT_COMPARABLE", "OBJECT_MOVED", "OBJECT_REMOVED",
    "PAGES_CHANGED", "PAGE_ADDED", "PAGE_CHANGED", "PAGE_REMOVED", "SIGNATURE_COVERS_PAGE",
    "UNPARSED_BYTES", "UNSIGNED_FIELD_DRAWS", "UPDATE_INSIDE_SIGNED_BYTES", "VIEWS_DIFFER",
}
#: Reasons that say that no path to an anchor holds.
UNTRUSTED = {
    "EXPIRED", "EXTENDED_KEY_USAGE", "ISSUER_KEY_DIFFERS", "ISSUER_MISSING", "KEY_USAGE",
    "NAME_CONSTRAINTS", "NOT_AN_AUTHORITY", "NOT_YET_VALID", "PATH_LENGTH", "PATH_TOO_LONG",
    "POLICY", "ROOT_NOT_TRUSTED", "TSA_OUT_OF_BOUNDS", "TSA_PURPOSE",
    "UNKNOWN_CRITICAL_EXTENSION",
}
#: Reasons that say that the value was not judged. One that was made with a weak algorithm was.
NOT_JUDGED = {"ALGORITHM_NOT_JUDGED", "CONTENT_MISSING", "CONTENT_TOO_LARGE", "DIGEST_NOT_JUDGED",
              "ENCRYPTED", "FORMAT_NOT_JUDGED", "OVER_BUDGET", "SIGNER_CERTIFICATE_MISSING"}


class Unusable(Exception):
    """A peer gave no answer for a file: it crashed, ran out of time or refused it."""


def ask(*command, **more):
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, **more)
    except subprocess.TimeoutExpired:
        raise Unusable("out of time") from None


# ── Vanthu ─────────────────────────────────────────────────────────────────────────────────────


class Vanthu:
    name = "vanthu"

    def __init__(self, trust):
        self.trust = trust.folder / "trust"

    def judge(self, path, moment, _kind):
        at = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        done = ask(BIN, "verify", path, "--trust", self.trust, "--at", at, "--output", "json")
        if done.returncode not in (0, 7, 8):
            raise AssertionError(f"vanthu verify {path}: {done.returncode} {done.stderr.decode()}")
        return [self.signature(one) for one in json.loads(done.stdout)["signatures"]]

    @staticmethod
    def signature(one):
        codes = {reason["code"] for reason in one["reasons"]}
        failed = one["indication"] == "TOTAL-FAILED"
        if codes & BROKEN:
            value = "broken"
        elif failed and not codes <= REFUSED | UNTRUSTED:
            value = "refused"
        elif codes & NOT_JUDGED:
            value = "undecided"
        else:
            value = "holds"
        coverage = one["coverage"].split()[0]
        coverage = {"whole": "all", "revision": "part"}.get(coverage, "unclear")
        changes = "refused" if codes & REFUSED else "none" if coverage == "all" else "allowed"
        return {"field": one["field"], "format": one["format"], "value": value,
                "coverage": coverage, "changes": changes, "codes": sorted(codes),
                "chain": "untrusted" if codes & UNTRUSTED else "trusted"}


# ── pdfsig ─────────────────────────────────────────────────────────────────────────────────────


class Pdfsig:
    """Value and coverage; its trust store is that of NSS and stays empty."""

    name = "pdfsig"
    VALUES = {"Signature is Valid.": "holds", "Signature is Invalid.": "broken",
              "Digest Mismatch.": "broken"}

    @staticmethod
    def command(path):
        return ["pdfsig", "-nocert", path]

    def judge(self, path, _moment, _kind):
        # Exit code 2 is its word for "no signature".
        done = ask(*self.command(path))
        if done.returncode < 0:
            raise Unusable(f"signal {-done.returncode}")
        text = done.stdout.decode(errors="replace")
        if done.returncode not in (0, 2):
            raise Unusable(f"exit code {done.returncode}")
        signatures = []
        for block in re.split(r"^Signature #\d+:$", text, flags=re.M)[1:]:
            line = lambda key: re.search(rf"^  - {key}: (.*)$", block, re.M)  # noqa: E731
            value = line("Signature Validation")
            field = line("Signature Field Name")
            kind = line("Signature Type")
            signatures.append({
                "field": field[1] if field else None,
                "format": kind[1] if kind else None,
                "value": self.VALUES.get(value[1] if value else None, "undecided"),
                "coverage": "part" if "Not total document" in block else "all",
            })
        return signatures


# ── OpenSSL ────────────────────────────────────────────────────────────────────────────────────


class OpenSsl:
    """One CMS at a time: the value alone, then with the path."""

    name = "openssl"

    def __init__(self, trust):
        self.bundle = trust.bundle

    def cms(self, der, content, moment):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            folder.joinpath("cms").write_bytes(der)
            command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary",
                       "-in", folder / "cms", "-out", "/dev/null"]
            if content is not None:
                folder.joinpath("content").write_bytes(content)
                command += ["-content", folder / "content"]
            done = ask(*command, "-noverify")
            if done.returncode != 0:
                return {"value": self.why(done.stderr.decode(errors="replace"))}
            done = ask(*command, "-CAfile", self.bundle, "-purpose", "any",
                       "-attime", str(int(moment.timestamp())))
        return {"value": "holds", "chain": "trusted" if done.returncode == 0 else "untrusted"}

    @staticmethod
    def why(text):
        wrong = ("digest failure", "verification failure", "bad signature", "messageDigest",
                 "invalid padding", "padding check failed", "data mismatch")
        return "broken" if any(word in text for word in wrong) else "undecided"


# ── pyHanko ────────────────────────────────────────────────────────────────────────────────────


class PyHanko:
    name = "pyhanko"

    def __init__(self, trust):
        self.trust = trust
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        worker = pathlib.Path(__file__).with_name("pyhanko_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, worker, self.trust.bundle, self.trust.folder / "trust/all/intermediates"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.line(60) == "ready\n"

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def line(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else None

    def ask(self, path, moment, kind):
        if self.process is None:
            self.start()
        request = {"path": str(path), "moment": moment.isoformat(), "kind": kind}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.line(SECONDS_MAX)
        if not line:
            self.end()
            raise Unusable("out of time" if line is None else "ended")
        return json.loads(line)

    def judge(self, path, moment, kind):
        answer = self.ask(path, moment, kind)
        if "error" in answer:
            raise Unusable(answer["error"])
        return [{"value": "undecided", **one} if "error" in one else one
                for one in answer["signatures"]]
