"""Vanthu against pyHanko, pdfsig and OpenSSL on the same files, anchors and moments.

Every disagreement stands in `differences.txt` with its explanation: one that is not listed fails,
one that does not occur any more fails, too. VANTHU_BLESS=1 writes the list anew and keeps the
explanations; new rows get a `?`, which fails.
"""

import collections
import os
import pathlib

import pytest

import corpora
import peers

LIST = pathlib.Path(__file__).with_name("differences.txt")
SUBJECTS = ("value", "coverage", "changes", "chain")
#: Words that say the same: whoever refuses the structure says that nothing holds.
SAME = {("refused", "broken"), ("refused", "undecided"), ("undecided", "refused")}


class Comparison:
    """What was compared, and where two verifiers say different things."""

    def __init__(self):
        self.agreed = collections.Counter()
        self.rows = {}

    def compare(self, file, field, peer, ours, theirs):
        """One signature; the rest is compared if its value holds for both."""
        for subject in SUBJECTS:
            our, their = ours.get(subject), theirs.get(subject)
            if our is None or their is None:
                continue
            if our == their or (our, their) in SAME:
                self.agreed[peer, subject] += 1
            else:
                problem = theirs.get("problem") if subject == "chain" else theirs.get("error")
                their += f" ({problem.split(':')[0]})" if problem else ""
                self.differ(file, field, peer, subject, our, their)
            if subject == "value" and (our, their) != ("holds", "holds"):
                return

    def differ(self, file, field, peer, subject, ours, theirs):
        self.rows[file, field or "-", peer, subject] = f"{ours} | {theirs}"

    def file(self, file, peer, ours, theirs):
        """All signatures of a PDF; the field tells which is which."""
        known = {one["field"]: one for one in theirs}
        fields = {one["field"] for one in ours}
        for one in ours:
            if one["field"] in known:
                self.compare(file, one["field"], peer, one, known[one["field"]])
            else:
                self.differ(file, one["field"], peer, "signature", one["value"], "not seen")
        for field in known.keys() - fields:
            self.differ(file, field, peer, "signature", "not seen", known[field]["value"])


def unusable(error):
    """The kind of an error, without its details."""
    return f"unusable ({str(error).split(':')[0]})"


def compare_pdf(found, path, ours, moment, tools):
    file = corpora.name(path)
    judged = ours.judge(path, moment, "pdf")
    pdfsig, pyhanko, openssl = tools
    for peer in (pdfsig, pyhanko):
        try:
            theirs = peer.judge(path, moment, "pdf")
        except peers.Unusable as error:
            words = ",".join(sorted({one["value"] for one in judged})) or "unsigned"
            found.differ(file, "-", peer.name, "file", words, unusable(error))
            continue
        mine = judged
        if peer is pdfsig:
            # It does not claim to know document time-stamps.
            mine = [one for one in judged if one["format"] != "ETSI.RFC3161"]
            stamps = {one["field"] for one in judged} - {one["field"] for one in mine}
            theirs = [one for one in theirs if one["field"] not in stamps]
        found.file(file, peer.name, mine, theirs)
    # OpenSSL knows no PDF: it gets what the byte ranges cut out, in the order of their ends.
    cuts = corpora.cuts(path.read_bytes())
    covered = [one for one in judged if one["format"] != "ETSI.RFC3161"]
    pairs = zip(covered, cuts) if len(covered) == len(cuts) else ()
    for one, cut in pairs:
        theirs = openssl.cms(cut.der, cut.content, moment)
        found.compare(file, one["field"], openssl.name, one, theirs)


def compare_cms(found, path, ours, moment, tools):
    file = corpora.name(path)
    _, pyhanko, openssl = tools
    judged = ours.judge(path, moment, "cms")
    # A detached signature without its content says nothing to anybody.
    if not judged or any("CONTENT_MISSING" in one["codes"] for one in judged):
        return
    # One word for the file: the peers say only whether all signers hold.
    values = {one["value"] for one in judged}
    value = next((word for word in ("broken", "refused", "undecided") if word in values), "holds")
    chains = {one["chain"] for one in judged}
    one = {"value": value, "chain": "trusted" if chains == {"trusted"} else "untrusted"}
    try:
        data = corpora.der(path.read_bytes())
        found.compare(file, None, openssl.name, one, openssl.cms(data, None, moment))
        theirs = pyhanko.judge(path, moment, "cms")[0]
        found.compare(file, None, pyhanko.name, one, theirs)
    except peers.Unusable as error:
        found.differ(file, "-", pyhanko.name, "file", value, unusable(error))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    missing = [folder for folder in corpora.PDF_FOLDERS if not (corpora.CORPORA / folder).is_dir()]
    if missing:
        message = f"corpora are absent below {corpora.CORPORA}: {', '.join(missing)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    found = Comparison()
    pdfs, cms_files = corpora.pdfs(), corpora.cms_files()
    trust = corpora.trust(tmp_path_factory.mktemp("trust"), pdfs + cms_files)
    print(f"\n{len(pdfs)} PDFs, {len(cms_files)} CMS files, {len(trust.anchors)} anchors")
    ours = peers.Vanthu(trust)
    with peers.PyHanko(trust) as pyhanko:
        tools = peers.Pdfsig(), pyhanko, peers.OpenSsl(trust)
        for path in pdfs:
            compare_pdf(found, path, ours, corpora.moment_of(path), tools)
        for path in cms_files:
            compare_cms(found, path, ours, corpora.moment_of(path), tools)
    say(found)
    return found


def say(found):
    differing = collections.Counter((peer, subject) for _, _, peer, subject in found.rows)
    print(f"{'peer':<9}{'subject':<11}{'agree':>6}{'differ':>8}")
    for peer, subject in sorted(found.agreed.keys() | differing.keys()):
        agree, differ = found.agreed[peer, subject], differing[peer, subject]
        print(f"{peer:<9}{subject:<11}{agree:>6}{differ:>8}")
    print(f"{'all':<20}{found.agreed.total():>6}{differing.total():>8}")


def listed():
    """The head of the list, its explanations by their keys, and its rows."""
    head, keys, rows = [], {}, {}
    for line in LIST.read_text().splitlines():
        if line.startswith("#") or " = " in line and " | " not in line:
            head.append(line)
            if not line.startswith("#"):
                key, why = line.split(" = ", 1)
                keys[key] = why
        elif line:
            file, field, peer, subject, ours, theirs, why = line.split(" | ")
            rows[file, field, peer, subject] = (f"{ours} | {theirs}", why)
    return head, keys, rows


def bless(found):
    head, _, rows = listed()
    lines = [" | ".join((*key, words, rows.get(key, ("", "?"))[1]))
             for key, words in sorted(found.rows.items())]
    LIST.write_text("\n".join(head + lines) + "\n")


def test_every_disagreement_is_listed_with_its_explanation(found):
    if os.environ.get("VANTHU_BLESS"):
        bless(found)
    _, keys, rows = listed()
    wrong = []
    for key, words in sorted(found.rows.items()):
        known, why = rows.get(key, (None, None))
        if known != words:
            wrong.append(f"new: {' | '.join((*key, words))} (listed: {known})")
        elif why not in keys:
            wrong.append(f"not explained: {' | '.join((*key, words))}")
    assert not wrong, f"{len(wrong)} disagreements:\n" + "\n".join(wrong)


def test_every_listed_disagreement_still_occurs(found):
    _, keys, rows = listed()
    gone = [" | ".join(key) for key in sorted(rows) if key not in found.rows]
    assert not gone, f"{len(gone)} disagreements are gone:\n" + "\n".join(gone)
    used = {why for _, why in rows.values()}
    assert keys.keys() <= used, f"explanations of nothing: {sorted(keys.keys() - used)}"


def test_the_comparison_is_not_empty(found):
    for peer, subject, least in [("pyhanko", "value", 100), ("pdfsig", "value", 100),
                                 ("openssl", "value", 100), ("pyhanko", "changes", 80)]:
        assert found.agreed[peer, subject] >= least, (peer, subject)
