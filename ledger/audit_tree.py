"""The tree grown from a stream of leaf hashes, with no more in memory than its right edge.

    levels[h][i]   within the tile that grows: the root of its 2^h leaves from leaf i·2^h
    peaks[h]       left of that tile: the root of 256·2^h leaves, where the size has that bit, else None
    edges[l - 1]   the unfinished tile of level l

So each tile is seen once, and the root at any size on the way costs one hash a level of the tree.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from ledger.proof.merkle import root
from ledger.proof.tiles import HEIGHT, WIDTH, Tile


class Tree:
    """The tree of the leaves seen so far; `size` is a multiple of 256 until the last leaves came."""

    def __init__(self, kept: dict[str, Any] | None = None) -> None:
        kept = kept or {"edges": [], "peaks": [], "size": 0}
        self.size: int = kept["size"]
        self.peaks = [None if one is None else bytes.fromhex(one) for one in kept["peaks"]]
        self.edges = [[bytes.fromhex(one) for one in edge] for edge in kept["edges"]]
        self.levels: list[list[bytes]] = []

    def kept(self) -> dict[str, Any]:
        """What to begin with to go on from here; only between two tiles."""
        assert self.size % WIDTH == 0
        return {
            "edges": [[one.hex() for one in edge] for edge in self.edges],
            "peaks": [one and one.hex() for one in self.peaks],
            "size": self.size,
        }

    def grow(self, leaf_hashes: list[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """The tiles that at most 256 more leaves bring to their end; fewer only as the last of all."""
        assert self.size % WIDTH == 0
        assert len(leaf_hashes) <= WIDTH
        self.levels = fold(leaf_hashes)
        tile = Tile(0, self.size // WIDTH)
        self.size += len(leaf_hashes)
        if len(leaf_hashes) == WIDTH:
            yield tile, b"".join(leaf_hashes)
            yield from self._carry(self.levels[HEIGHT][0], tile.n)
            self.levels = []

    def unfinished(self) -> Iterator[tuple[Tile, bytes]]:
        """The tiles at the right edge that are not full."""
        if self.levels:
            yield Tile(0, self.size // WIDTH), b"".join(self.levels[0])
        for level, edge in enumerate(self.edges, start=1):
            if edge:
                yield Tile(level, self.size // WIDTH ** (level + 1)), b"".join(edge)

    def root(self, size: int) -> bytes:
        """The root at a size between the tile that grew last and the leaves seen so far."""
        above, inside = divmod(size, WIDTH)
        found: bytes | None = None
        for height in range(HEIGHT):
            if inside >> height & 1:
                node = self.levels[height][(inside >> height) - 1]
                found = node if found is None else _node(node, found)
        for height, peak in enumerate(self.peaks):
            if above >> height & 1:
                assert peak is not None
                found = peak if found is None else _node(peak, found)
        return root([]) if found is None else found

    def _carry(self, value: bytes, n: int) -> Iterator[tuple[Tile, bytes]]:
        """A tile of level 0 is full: its root goes among the peaks and into the tile above."""
        height, peak = 0, value
        while n >> height & 1:
            left = self.peaks[height]
            assert left is not None
            peak, self.peaks[height] = _node(left, peak), None
            height += 1
        self.peaks += [None] * (height + 1 - len(self.peaks))
        self.peaks[height] = peak
        for level in range(1, HEIGHT):
            if len(self.edges) < level:
                self.edges.append([])
            edge = self.edges[level - 1]
            edge.append(value)
            if len(edge) < WIDTH:
                return
            yield Tile(level, n // WIDTH**level), b"".join(edge)
            value = fold(edge)[HEIGHT][0]
            self.edges[level - 1] = []


def fold(hashes: list[bytes]) -> list[list[bytes]]:
    """The complete nodes over the hashes, level by level."""
    levels = [hashes]
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest()
            for i in range(0, len(hashes) - 1, 2)
        ]
        levels.append(hashes)
    return levels


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
