"""Reads a log as C2SP tlog-tiles says, over HTTPS, with nothing of Vanthu's."""

import gzip
import http.client
import ssl
from typing import NamedTuple

from gateway import CALL_SECONDS
from proofs import leaf_hash, node_hash, root_of

WIDTH = 256


class Page(NamedTuple):
    """An answer."""

    status: int
    headers: dict
    body: bytes


class Reader:
    """One connection, with the certificate of a system or with none."""

    def __init__(self, gateway, system=None):
        context = ssl.create_default_context(cafile=str(gateway.pki.folder / "tls/ca.pem"))
        if system:
            chain, key = (gateway.pki.folder / f"systems/{system}.{end}" for end in ("pem", "key"))
            context.load_cert_chain(chain, key)
        host, port = gateway.readers.rsplit(":", 1)
        self.connection = http.client.HTTPSConnection("localhost", int(port), context=context, timeout=CALL_SECONDS)
        assert host == "127.0.0.1"

    def ask(self, method, path, body=None, **headers):
        body = body.encode() if isinstance(body, str) else body
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return Page(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def must(self, path, **headers):
        page = self.get(path, **headers)
        assert page.status == 200, (path, page)
        return page.body

    def close(self):
        self.connection.close()


def name_of(index, width):
    """`x001/x234/067`, and `.p/<width>` if the tile is not full."""
    digits = f"{index:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
    return path if width == WIDTH else f"{path}.p/{width}"


def tiles_of(size):
    """(level, index, width) of every tile of a tree, and no other."""
    level = 0
    while size >> 8 * level:
        count = size >> 8 * level
        for index in range(-(-count // WIDTH)):
            yield level, index, min(WIDTH, count - index * WIDTH)
        level += 1


def entries_of(bundle):
    """Entries, each after its length."""
    at, entries = 0, []
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2])
        at += 2 + length
        assert at <= len(bundle), "the bundle ends within an entry"
        entries.append(bundle[at - length : at])
    return entries


def read_tree(reader, epoch, size):
    """Every entry and every tile of an epoch; gives the entries and the root, recomputed."""
    tiles = {}
    for level, index, width in tiles_of(size):
        tile = reader.must(f"/log/{epoch}/tile/{level}/{name_of(index, width)}")
        assert len(tile) == 32 * width
        tiles[level, index] = [tile[at : at + 32] for at in range(0, len(tile), 32)]
    entries = []
    for index in range(-(-size // WIDTH)):
        width = min(WIDTH, size - index * WIDTH)
        entries += entries_of(reader.must(f"/log/{epoch}/tile/entries/{name_of(index, width)}"))
    leaves = [leaf_hash(entry) for entry in entries]
    for (level, index), hashes in tiles.items():
        span = WIDTH**level
        first = index * WIDTH * span
        expected = [root_of(leaves[at : at + span]) for at in range(first, first + len(hashes) * span, span)]
        assert hashes == expected, f"tile {level}/{index}"
    return entries, root_of(leaves), root_by_tiles(tiles, size)


def root_by_tiles(tiles, size):
    """The root, from as few hashes as a reader of tiles needs: the complete subtrees from the right."""
    root, done = None, 0
    for height in range(size.bit_length()):
        if size >> height & 1:
            end = size - done
            done += 1 << height
            first = (end - (1 << height)) >> 8 * (height // 8)
            hashes = [
                tiles[height // 8, at // WIDTH][at % WIDTH]
                for at in range(first, first + (1 << height % 8))
            ]
            peak = root_of(hashes)
            root = peak if root is None else node_hash(peak, root)
    return root


def unzipped(page):
    assert page.headers["content-encoding"] == "gzip"
    return gzip.decompress(page.body)
