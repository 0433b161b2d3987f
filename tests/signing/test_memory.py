"""What `vanthu verify` takes as a process: a document of 500 MB in 64 MiB more than a small one.

`tests/memory.rs` counts what the engine allocates; here it is the peak that the kernel saw (VmHWM), with
the program itself, its threads and its allocator.
"""

import os
import subprocess
import time
from pathlib import Path

from command import SECONDS, binary, vanthu_json
from sheets import page_objects, table

MIB = 1024 * 1024
SIZE_MIB = 500
MEMORY_MAX_KIB = 64 * 1024
OBJECTS = 20_000


def large(path):
    """Many small objects and big streams that do not compress."""
    noise = bytes((number * 2_654_435_761 >> 13) & 0xFF for number in range(MIB))
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(noise), noise)
    extra = {number: b"<< /Name (a%d) /Next %d 0 R >>" % (number, number + 1) for number in range(6, 6 + OBJECTS)}
    extra |= {number: stream for number in range(6 + OBJECTS, 6 + OBJECTS + SIZE_MIB)}
    path.write_bytes(table(page_objects(catalog="/First 6 0 R", extra=extra)))
    assert path.stat().st_size > SIZE_MIB * MIB


def peak(*arguments):
    """The program's output and its peak resident set in KiB, as it was a moment before it ended."""
    command = [binary(), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status, found, deadline = Path(f"/proc/{process.pid}/status"), 0, time.monotonic() + SECONDS
    while process.poll() is None:
        assert time.monotonic() < deadline, command
        try:
            # Not yet another program than its parent, or gone: nothing to see.
            if os.readlink(f"/proc/{process.pid}/exe") == binary():
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        found = int(line.split()[1])
        except OSError:
            pass
        time.sleep(0.002)
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    return out.decode(), found


def test_a_document_of_500_mb_takes_little_more_than_a_small_one(pki, letter, tmp_path):
    path = tmp_path / "large.pdf"
    large(path)
    found = {}
    for name, file in (("small", letter), ("large", path)):
        signed = tmp_path / f"{name}.signed.pdf"
        vanthu_json("sign", file, *pki.signer("seals/H49").options, "-o", signed)
        out, found[name] = peak("verify", signed, "--trust", pki.trust)
        assert "TOTAL-PASSED" in out, out
        assert found[name] > 0, "never seen"
        file.unlink()
    print(f"\npeak of a small document {found['small']} KiB, of 500 MB {found['large']} KiB")
    assert found["large"] - found["small"] < MEMORY_MAX_KIB, found
