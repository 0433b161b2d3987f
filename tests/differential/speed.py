"""How fast signed PDFs are judged: Vanthu, pyHanko and pdfsig on the same files in the same run.

    python tests/differential/speed.py [--output json]

Needs a release build (VANTHU_BIN) and the corpora; never a part of CI. Each program has one core. What is
compared, and what is not:

* Vanthu and pyHanko judge in one process that has started: path, revocation, later changes; pyHanko
  with the same anchors at the same moment, without network. Its first document warms it up.
* pdfsig has no such mode. It is measured as a process, and once more without the time that it takes
  to start and find no signature. It judges no path (-nocert) and no later changes.
* `vanthu verify` as a process is what a script sees; it reads its trust folder each time.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import corpora
import peers

UNSIGNED = b"""%PDF-1.4
1 0 obj
<</Type/Catalog/Pages 2 0 R>>
endobj
2 0 obj
<</Type/Pages/Kids[]/Count 0>>
endobj
xref
0 3
0000000000 65535 f 
0000000009 00000 n 
0000000054 00000 n 
trailer
<</Size 3/Root 1 0 R>>
startxref
100
%%EOF
"""


def seconds(*command):
    since = time.perf_counter()
    subprocess.run(command, capture_output=True, timeout=peers.SECONDS_MAX)
    return time.perf_counter() - since


def process(command, paths):
    return [statistics.median(seconds(*command(path)) for _ in range(3)) for path in paths]


def pyhanko(trust, documents):
    """Seconds for each document; those that it refuses count with the time it took to say so."""
    refused, took = 0, []
    with peers.PyHanko(trust) as peer:
        peer.ask(documents[0]["path"], documents[0]["moment"], "pdf")
        for document in documents:
            try:
                answer = peer.ask(document["path"], document["moment"], "pdf")
            except peers.Unusable:
                refused += 1
                continue
            refused += "error" in answer
            took.append(answer["seconds"])
    return took, refused


def row(name, took, base):
    took = sorted(took)
    median, p99 = statistics.median(took), took[(len(took) - 1) * 99 // 100]
    return {"name": name, "documents": len(took), "median_ms": median * 1e3, "p99_ms": p99 * 1e3,
            "ratio": median / base if base else None}


def measure(folder):
    paths = corpora.pdfs()
    trust = corpora.trust(folder, paths)
    done = subprocess.run(
        [peers.BIN, "bench", "--verify", *paths, "--trust", trust.folder / "trust",
         "--output", "json"], capture_output=True, check=True)
    ours = json.loads(done.stdout)
    documents = [{"path": one["file"],
                  "moment": corpora.datetime.datetime.fromisoformat(one["at"])}
                 for one in ours["documents"]]
    files = [document["path"] for document in documents]
    warm = [one["warm_us"] / 1e6 for one in ours["documents"]]
    cold = [one["cold_us"] / 1e6 for one in ours["documents"]]
    base = statistics.median(warm)
    rows = [row("vanthu, authorities known", warm, base), row("vanthu, never seen", cold, base)]
    verify = lambda path: [peers.BIN, "verify", path, "--trust", trust.folder / "trust"]  # noqa: E731
    rows.append(row("vanthu verify, process", process(verify, files), base))
    took, refused = pyhanko(trust, documents)
    rows.append(row(f"pyHanko, one process ({refused} refused)", took, base))
    if shutil.which("pdfsig"):
        started = folder / "unsigned.pdf"
        started.write_bytes(UNSIGNED)
        start = statistics.median(process(peers.Pdfsig.command, [started] * 20))
        took = process(peers.Pdfsig.command, files)
        rows.append(row("pdfsig, process", took, base))
        rows.append(row("pdfsig without its start", [max(one - start, 0) for one in took], base))
    return {"rows": rows, "typical": ours["typical"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", choices=["text", "json"], default="text")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        found = measure(pathlib.Path(folder))
    if output == "json":
        print(json.dumps(found, indent=1))
        return
    print(f"{'':<38}{'files':>6}{'median':>10}{'p99':>10}{'ratio':>8}")
    for one in found["rows"]:
        print(f"{one['name']:<38}{one['documents']:>6}{one['median_ms']:>7.2f} ms"
              f"{one['p99_ms']:>7.1f} ms{one['ratio']:>8.1f}")
    typical = found["typical"]
    print(f"one signature, {typical['bytes']} bytes: {typical['warm_us'] / 1e3:.3f} ms, "
          f"{typical['of_limit_warm']:.0%} of SHA-256 and the value; never seen "
          f"{typical['cold_us'] / 1e3:.3f} ms, {typical['of_limit_cold']:.0%}")


if __name__ == "__main__":
    main()
