"""The tree as tiles (C2SP tlog-tiles): plan what to read, read it once, compute.

A tile (level L, number N) holds up to 256 hashes: entry i is the root of the complete subtree of
256^L leaves that starts at leaf (256·N + i)·256^L. A full tile never changes again; only the tiles at
the right edge grow. Every node of the tree is computed from one tile, and every node of a proof lies
beside the way down to one leaf or at the right edge: one tile each a level, and the top one is both.

    levels of a tree of n leaves        l = ⌈log256 n⌉             3 of a million, 4 of a billion
    tiles that a proof reads            at most 2·l − 1            5 of a million, 7 of a billion
    path of tile (0, 1234067), 8 of 256 hashes wide                tile/0/x001/x234/067.p/8
    path of the entries under it, which are no hashes              tile/entries/x001/x234/067.p/8
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ledger.errors import Invalid
from ledger.proof.merkle import node_hash, split

WIDTH = 256
HEIGHT = 8
LEVEL_MAX = 63
ENTRIES = -1  # the "level" of the entries themselves, below that of their hashes
PATH = re.compile(
    r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?", re.ASCII
)
KEPT, KEPT_ABOVE = 4096, 2


class Tile(NamedTuple):
    """Where a tile stands: its level and its index in that level."""

    level: int
    n: int


class Node(NamedTuple):
    """A complete subtree of 2^height leaves, the `index`-th from the left at that height."""

    height: int
    n: int


Tiles = Mapping[Tile, bytes]


def tile_path(tile: Tile, width: int = WIDTH) -> str:
    """The path C2SP tlog-tiles gives a tile; `width` < 256 names a partial one."""
    rest, last = divmod(tile.n, 1000)
    groups = [f"{last:03d}"]
    while rest:
        rest, group = divmod(rest, 1000)
        groups.insert(0, f"x{group:03d}")
    level = "entries" if tile.level == ENTRIES else tile.level
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile_path(text: str) -> tuple[Tile, int]:
    """The tile and the width that a path names; any spelling but that of `tile_path` raises Invalid."""
    found = PATH.fullmatch(text)
    if found is not None:
        level = ENTRIES if found[1] == "entries" else int(found[1])
        tile = Tile(level, int(found[2].replace("x", "").replace("/", "")))
        width = WIDTH if found[3] is None else int(found[3])
        if level <= LEVEL_MAX and 0 < width <= WIDTH and tile_path(tile, width) == text:
            return tile, width
    raise Invalid("{path} is no path of a tile (C2SP tlog-tiles).", path=text)


def tile_width(tile: Tile, size: int) -> int:
    """How many hashes (or entries) of a tile a tree of `size` leaves fills: 0 to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * max(0, tile.level)) - WIDTH * tile.n))


def unfinished(size: int, count: int) -> list[Tile]:
    """The partial tiles of the first `size` leaves that `count` more will write: one a level."""
    found, level, end = [], 0, size + count
    while size != end:
        if size % WIDTH:
            found.append(Tile(level, size // WIDTH))
        level, size, end = level + 1, size // WIDTH, end // WIDTH
    return found


def grow(tiles: Tiles, size: int, leaf_hashes: list[bytes]) -> dict[Tile, bytes]:
    """The tiles as they stand after `leaf_hashes` follow the first `size` leaves.

    `tiles` holds those that are unfinished; only changed tiles come back.
    """
    changed: dict[Tile, bytes] = {}
    level, start, fresh = 0, size, leaf_hashes
    while fresh:
        above: list[bytes] = []
        tile = Tile(level, start // WIDTH)
        content = bytearray(tiles.get(tile, b""))
        if len(content) != 32 * (start % WIDTH):
            raise Invalid(
                "Tile {path} does not end at leaf {size}.", path=tile_path(tile), size=size
            )
        for value in fresh:
            content += value
            if len(content) == 32 * WIDTH:
                changed[tile] = bytes(content)
                above.append(_fold(bytes(content)))
                tile, content = Tile(level, tile.n + 1), bytearray()
        if content:
            changed[tile] = bytes(content)
        level, start, fresh = level + 1, start // WIDTH, above
    return changed


def tile_of(node: Node) -> Tile:
    """The one tile from which a node is computed."""
    level, inside = divmod(node.height, HEIGHT)
    return Tile(level, (node.n << inside) // WIDTH)


def node_value(node: Node, tiles: Tiles) -> bytes:
    """The hash of a complete subtree, from the one tile that covers it."""
    inside, tile = node.height % HEIGHT, tile_of(node)
    first = (node.n << inside) % WIDTH
    content = tiles[tile][32 * first : 32 * (first + (1 << inside))]
    if len(content) != 32 << inside:
        raise Invalid("Tile {path} is too short.", path=tile_path(tile))
    return _fold_kept(content) if inside > KEPT_ABOVE else _fold(content)


def range_nodes(low: int, high: int) -> list[Node]:
    """The complete subtrees, left to right, that make up leaves low..high of an RFC 9162 subtree."""
    nodes = []
    while low < high:
        height = (high - low).bit_length() - 1
        nodes.append(Node(height, low >> height))
        low += 1 << height
    return nodes


def range_root(low: int, high: int, tiles: Tiles) -> bytes:
    """The root over leaves low..high, where low is a multiple of the subtree's size."""
    values = [node_value(node, tiles) for node in range_nodes(low, high)]
    computed = values.pop()
    while values:
        computed = node_hash(values.pop(), computed)
    return computed


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaf ranges whose roots are the inclusion proof, from the leaf upwards."""
    if not 0 <= index < size:
        raise Invalid("Leaf {index} is not in a tree of {size}.", index=index, size=size)
    ranges = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """The leaf ranges whose roots are the consistency proof."""
    if not 0 < old_size <= new_size:
        raise Invalid(
            "No consistency from {old_size} to {new_size}.", old_size=old_size, new_size=new_size
        )
    ranges = []
    low, high = 0, new_size
    while old_size != high:
        middle = low + split(high - low)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:
        ranges.append((low, high))
    return ranges[::-1]


def tiles_a_proof(size: int) -> int:
    """How many tiles a proof in a tree of `size` leaves reads at most: two a level, and the top one."""
    levels = 1
    while WIDTH**levels < size:
        levels += 1
    return 2 * levels - 1


def tiles_needed(ranges: list[tuple[int, int]]) -> set[Tile]:
    """Which tiles to read before the roots of `ranges` can be computed."""
    return {tile_of(node) for low, high in ranges for node in range_nodes(low, high)}


def _fold(hashes: bytes) -> bytes:
    """The root over 2^k concatenated hashes."""
    while len(hashes) > 32:
        pairs = [hashes[start : start + 64] for start in range(0, len(hashes), 64)]
        hashes = b"".join([hashlib.sha256(b"\x01" + pair).digest() for pair in pairs])
    return hashes


# Most proofs pass through the same few tiles above the leaves: what they come to is kept, by the
# hashes themselves, so that it cannot grow stale.
_fold_kept = lru_cache(KEPT)(_fold)
