"""The tree as tiles (C2SP tlog-tiles): plan what to read, read it once, compute.

A tile (level L, number N) holds up to 256 hashes: entry i is the root of the complete subtree of
256^L leaves that starts at leaf (256·N + i)·256^L. A full tile never changes again; only the tiles at
the right edge grow. So every node of the tree is computed from one tile, and a proof over a million
leaves reads at most five tiles.

    path of tile (0, 1234067), 8 of 256 hashes wide:  tile/0/x001/x234/067.p/8
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ledger.errors import Invalid
from ledger.proof.merkle import node_hash, root, split

WIDTH = 256
HEIGHT = 8


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
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{tile.level}/{'/'.join(groups)}{partial}"


def edge(size: int) -> list[Tile]:
    """The tiles at the right edge that the next leaf may touch, one per level."""
    tiles = []
    level, count = 0, size
    while True:
        tiles.append(Tile(level, count // WIDTH))
        if count < WIDTH:
            return tiles
        count //= WIDTH
        level += 1


def grow(tiles: Tiles, size: int, leaf_hashes: list[bytes]) -> dict[Tile, bytes]:
    """The tiles as they stand after `leaf_hashes` follow the first `size` leaves.

    `tiles` holds the right edge (see `edge`) where it is not empty; only changed tiles come back.
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
                above.append(_root_of(bytes(content)))
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
    inside = node.height % HEIGHT
    first = (node.n << inside) % WIDTH
    content = tiles[tile_of(node)][32 * first : 32 * (first + (1 << inside))]
    if len(content) != 32 << inside:
        raise Invalid("Tile {path} is too short.", path=tile_path(tile_of(node)))
    return _root_of(content)


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


def tiles_needed(ranges: list[tuple[int, int]]) -> set[Tile]:
    """Which tiles to read before the roots of `ranges` can be computed."""
    return {tile_of(node) for low, high in ranges for node in range_nodes(low, high)}


def _root_of(content: bytes) -> bytes:
    return root(list(_hashes(content)))


def _hashes(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 32):
        yield content[start : start + 32]
