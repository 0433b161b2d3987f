"""PDFs of others, sound and broken: each is signed so that the signature holds, or refused in plain words."""

import os
from pathlib import Path

import pytest
from command import ROOT, binary, call, vanthu_json

CORPORA = Path(os.environ.get("VANTHU_CORPORA", ROOT.parent / "shared" / "corpora"))
# Signed of 240 files; the others are encrypted, certified, broken or forged.
SIGNED_MIN = 185
REFUSALS = (
    "the PDF cannot be signed: it is encrypted",
    "the PDF cannot be signed: its structure is damaged",
    "the PDF cannot be signed: it is certified and allows no change, not even a signature",
    "the PDF cannot be signed: it is larger or more complicated than this version reads",
    "the file cannot be signed: signature ",
)


def test_real_files_are_signed_or_refused_in_plain_words(pki, tmp_path):
    if not CORPORA.is_dir():
        assert not os.environ.get("CI"), f"{CORPORA} is absent"
        pytest.skip(f"{CORPORA} is absent")
    seal, out, signed = pki.signer("seals/H49"), tmp_path / "out.pdf", 0
    for path in sorted(CORPORA.rglob("*.pdf")):
        done = call(binary(), "sign", path, *seal.options, "-o", out, code=None)
        if done.returncode:
            said = done.err.splitlines()[0].removeprefix("vanthu: error: ")
            assert done.returncode == 1 and said.startswith(REFUSALS), f"{path}: {done.err}"
            assert not out.exists()
            continue
        signed += 1
        content = path.read_bytes()
        assert out.read_bytes().startswith(content), path
        report = vanthu_json("verify", out, "--trust", pki.trust, code=None)
        ours = [one for one in report["signatures"] if "organizationIdentifier=H49," in str(one["signer"])]
        assert [one["indication"] for one in ours] == ["TOTAL-PASSED"], (path, ours)
        out.unlink()
    assert signed >= SIGNED_MIN, signed
