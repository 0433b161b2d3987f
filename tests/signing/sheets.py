"""PDFs written by hand, in every form that a cross-reference may have."""

import math
import struct
import zlib


def page_objects(text="Kinh gui", page="", catalog="", extra=None):
    """Number to body: a catalog, a page tree and one page."""
    content = f"BT /F1 14 Tf 72 720 Td ({text}) Tj ET".encode("ascii")
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] >>",
        3: (
            f"<< /Type /Page /Parent 2 0 R /Contents 4 0 R {page} "
            "/Resources << /Font << /F1 5 0 R >> >> >>"
        ).encode(),
        4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    return objects | (extra or {})


def table(objects, trailer=b"", generations=None):
    """A classic table."""
    out, offsets = _bodies(objects, generations)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number in sorted(objects):
        out += b"%d 1\n%010d %05d n \n" % (number, offsets[number], (generations or {}).get(number, 0))
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (max(objects) + 1, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def stream(objects, packed=()):
    """A cross-reference stream; `packed` objects stand in an object stream."""
    out, rows, number = _with_packed(objects, packed)
    start = len(out)
    rows[number] = (1, start, 0)
    out += _xref_stream(number, rows, b"/Root 1 0 R ")
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def hybrid(objects, packed):
    """A table for old readers that hides the objects of an object stream."""
    out, rows, number = _with_packed(objects, packed)
    hidden = {key: row for key, row in rows.items() if key in packed or row[0] == 1 and key >= max(objects) + 1}
    at = len(out)
    out += _xref_stream(number, hidden, b"")
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for key in sorted(objects):
        line = b"0000000000 00000 f \n" if key in packed else b"%010d 00000 n \n" % rows[key][1]
        out += b"%d 1\n%s" % (key, line)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R /XRefStm %d >>\n" % (number + 1, at)
    return bytes(out + trailer + b"startxref\n%d\n%%%%EOF\n" % start)


def _bodies(objects, generations=None):
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d %d obj\n%s\nendobj\n" % (number, (generations or {}).get(number, 0), body)
    return out, offsets


def _with_packed(objects, packed):
    plain = {number: body for number, body in objects.items() if number not in packed}
    out, offsets = _bodies(plain)
    rows = {number: (1, offset, 0) for number, offset in offsets.items()}
    number = max(objects) + 1
    if packed:
        head, body = b"", b""
        for index, inner in enumerate(packed):
            head += b"%d %d " % (inner, len(body))
            body += objects[inner] + b" "
            rows[inner] = (2, number, index)
        data = zlib.compress(head + body)
        rows[number] = (1, len(out), 0)
        out += (
            b"%d 0 obj\n<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\n"
            b"stream\n%s\nendstream\nendobj\n" % (number, len(packed), len(head), len(data), data)
        )
        number += 1
    return out, rows, number


def _xref_stream(number, rows, trailer):
    index = b" ".join(b"%d 1" % key for key in sorted(rows))
    data = zlib.compress(b"".join(struct.pack(">BIH", *rows[key]) for key in sorted(rows)))
    return (
        b"%d 0 obj\n<< /Type /XRef %s/Size %d /W [1 4 2] /Index [%s] /Filter /FlateDecode /Length %d >>\n"
        b"stream\n%s\nendstream\nendobj\n" % (number, trailer, number + 1, index, len(data), data)
    )


def png(width, height, pixel):
    """An RGBA image; `pixel(x, y)` gives four numbers."""
    rows = b"".join(
        b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


CLEAR = (0, 0, 0, 0)
RED = (200, 0, 0, 255)
BLUE = (0, 0, 200, 255)


def seal(size=200):
    """Two red rings and a star's worth of red in the middle; nothing between them."""

    def pixel(x, y):
        distance = ((x - size / 2) ** 2 + (y - size / 2) ** 2) ** 0.5 / (size / 2)
        return RED if 0.9 < distance < 0.98 or 0.6 < distance < 0.64 or distance < 0.2 else CLEAR

    return png(size, size, pixel)


def handwriting(width=300, height=90):
    """A blue wave on nothing."""

    def pixel(x, y):
        wave = height / 2 + height * 0.4 * math.sin(x / 14) * (1 - x / width / 2)
        return BLUE if abs(y - wave) < 4 else CLEAR

    return png(width, height, pixel)
