"""pyHanko in a process of its own: one JSON request a line in, one answer a line out.

    python pyhanko_worker.py ANCHORS.pem INTERMEDIATES_FOLDER
"""

import asyncio
import datetime
import json
import logging
import pathlib
import sys
import time
import warnings

from asn1crypto import cms, pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature, async_validate_pdf_timestamp
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation.generic_cms import async_validate_cms_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

COVERAGE = {SignatureCoverageLevel.ENTIRE_FILE: "all", SignatureCoverageLevel.ENTIRE_REVISION: "part"}


def failed(error):
    return {"error": f"{type(error).__name__}: {error}"[:200]}


class Verifier:
    def __init__(self, anchors, intermediates):
        armored = pathlib.Path(anchors).read_bytes()
        self.anchors = [x509.Certificate.load(der)
                        for _, _, der in pem.unarmor(armored, multiple=True)]
        self.others = [x509.Certificate.load(path.read_bytes())
                       for path in sorted(pathlib.Path(intermediates).iterdir())]

    def context(self, moment):
        return ValidationContext(
            trust_roots=self.anchors, other_certs=self.others, allow_fetching=False,
            moment=datetime.datetime.fromisoformat(moment), revocation_mode="soft-fail")

    async def signature(self, embedded, moment):
        try:
            if embedded.sig_object_type == "/DocTimeStamp":
                status = await async_validate_pdf_timestamp(embedded, self.context(moment))
            else:
                status = await async_validate_pdf_signature(
                    embedded, self.context(moment), self.context(moment))
        except Exception as error:  # noqa: BLE001 - a peer raises whatever it meets
            return failed(error)
        answer = describe(status)
        answer["coverage"] = COVERAGE.get(status.coverage, "unclear")
        if answer["coverage"] == "all":
            answer["changes"] = "none"
        elif answer["coverage"] == "part":
            # A time-stamp has no policy for changes: whatever may be done to a form may follow it.
            level = status.modification_level
            is_allowed = status.docmdp_ok
            if is_allowed is None:
                is_allowed = level is not None and level < ModificationLevel.OTHER
            answer["changes"] = "allowed" if is_allowed else "refused"
        return answer

    async def pdf(self, path, moment):
        # Not strict: strict mode reads fewer of these files and refuses all hybrid ones.
        with open(path, "rb") as file:
            reader = PdfFileReader(file, strict=False)
            return [{"field": embedded.field_name, **await self.signature(embedded, moment)}
                    for embedded in reader.embedded_signatures]

    async def cms(self, path, moment):
        content = pathlib.Path(path).read_bytes()
        if pem.detect(content):
            content = pem.unarmor(content)[2]
        data = cms.ContentInfo.load(content)["content"]
        status = await async_validate_cms_signature(data, validation_context=self.context(moment))
        return [describe(status)]


def describe(status):
    problem = status.trust_problem_indic
    return {"value": "holds" if status.valid and status.intact else "broken",
            "chain": "trusted" if status.validation_path is not None and problem is None
            else "untrusted",
            "problem": problem.name if problem else None}


def main():
    verifier = Verifier(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        judge = verifier.pdf if request["kind"] == "pdf" else verifier.cms
        since = time.perf_counter()
        try:
            answer = {"signatures": asyncio.run(judge(request["path"], request["moment"]))}
        except Exception as error:  # noqa: BLE001 - a peer raises whatever it meets
            answer = failed(error)
        except RecursionError as error:
            answer = failed(error)
        answer["seconds"] = time.perf_counter() - since
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
