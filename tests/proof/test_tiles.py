"""The tree as tiles gives the same roots and proofs as the tree from scratch."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.proof import merkle, tiles
from ledger.proof.tiles import Node, Tile
from tests.proof import rfc9162

MANY = [rfc9162.leaf(i.to_bytes(4)) for i in range(140_000)]


def grown(count: int, chunks: list[int]) -> dict[Tile, bytes]:
    """The tiles of `count` leaves that came in chunks; only what is unfinished is handed in."""
    store: dict[Tile, bytes] = {}
    size = 0
    for chunk in [*chunks, count]:
        fresh = MANY[size : min(size + chunk, count)]
        known = {tile: store[tile] for tile in tiles.unfinished(size, len(fresh))}
        grown = tiles.grow(known, size, fresh)
        assert all(grown[tile].startswith(store.get(tile, b"")) for tile in grown)
        assert not any(len(store.get(tile, b"")) == 32 * 256 for tile in grown), "written when full"
        store.update(grown)
        size += len(fresh)
    return store


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1500), st.lists(st.integers(0, 600), max_size=8), st.randoms())
def test_tiles_grown_in_chunks_give_the_roots_and_proofs_of_the_tree(
    count: int, chunks: list[int], chance: random.Random
) -> None:
    store = grown(count, chunks)
    size = chance.randint(1, count)  # also of the past: tiles answer for every size up to theirs
    leaves = MANY[:size]
    assert tiles.range_root(0, size, store) == merkle.root(leaves)
    index, old = chance.randrange(size), chance.randint(1, size)
    inclusion = [tiles.range_root(*r, store) for r in tiles.inclusion_ranges(index, size)]
    consistency = [tiles.range_root(*r, store) for r in tiles.consistency_ranges(old, size)]
    assert inclusion == merkle.inclusion_proof(leaves, index, size)
    assert consistency == merkle.consistency_proof(leaves, old, size)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537])
def test_growing_leaf_by_leaf_or_at_once_gives_the_same_tiles(count: int) -> None:
    assert grown(count, []) == grown(count, [1, 1, 254, 1, 255, 256, 300])


def test_three_levels_of_tiles_give_the_roots_of_the_tree() -> None:
    store = grown(len(MANY), [65_536, 1, 70_000])
    assert {tile.level for tile in store} == {0, 1, 2}
    assert tiles.range_root(0, len(MANY), store) == merkle.root(MANY)
    for index, size in [(0, len(MANY)), (70_001, 139_999), (65_535, 65_536), (131_072, 131_073)]:
        path = [tiles.range_root(*r, store) for r in tiles.inclusion_ranges(index, size)]
        root = tiles.range_root(0, size, store)
        merkle.verify_inclusion(MANY[index], index, size, path, root)
    for old in (1, 255, 65_536, 100_000):
        proof = [tiles.range_root(*r, store) for r in tiles.consistency_ranges(old, len(MANY))]
        old_root, new_root = (tiles.range_root(0, n, store) for n in (old, len(MANY)))
        merkle.verify_consistency(old, len(MANY), old_root, new_root, proof)


def test_only_changed_tiles_come_back_and_full_ones_never_change() -> None:
    store = grown(600, [])
    known = {tile: store[tile] for tile in tiles.unfinished(600, 10)}
    changed = tiles.grow(known, 600, MANY[600:610])
    assert set(known) == set(changed) == {Tile(0, 2)}
    assert changed[Tile(0, 2)].startswith(store[Tile(0, 2)])
    assert tiles.grow({}, 0, []) == {}


def test_an_edge_that_does_not_end_where_the_tree_ends_is_refused() -> None:
    store = grown(600, [])
    for edge in ({}, {Tile(0, 2): store[Tile(0, 2)][:-32]}, {Tile(0, 2): b"x"}):
        with pytest.raises(Invalid, match=r"tile/0/002"):
            tiles.grow(edge, 600, MANY[:1])


def test_a_tile_that_is_too_short_is_refused() -> None:
    with pytest.raises(Invalid, match="too short"):
        tiles.node_value(Node(2, 0), {Tile(0, 0): b"".join(MANY[:3])})


SIZES = st.integers(1, 2**30)


@given(SIZES, st.data())
def test_every_range_of_a_plan_is_covered_by_whole_subtrees(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    for low, high in tiles.inclusion_ranges(index, size) + tiles.consistency_ranges(old, size):
        spans = [(n.n << n.height, (n.n + 1) << n.height) for n in tiles.range_nodes(low, high)]
        assert [low, *(end for _, end in spans)] == [*(start for start, _ in spans), high]


MILLION, BILLION = 1_000_003, 1_000_000_000
ZERO = merkle.leaf_hash(b"")
UNIFORM = [ZERO]
for _ in range(40):
    UNIFORM.append(merkle.node_hash(UNIFORM[-1], UNIFORM[-1]))


class Thought(dict[Tile, bytes]):
    """The tiles of a tree of any size whose leaves are all alike but for a few, made when asked for."""

    def __init__(self, size: int, marked: set[int]) -> None:
        self.size, self.marked = size, {index: merkle.leaf_hash(b"%d" % index) for index in marked}

    def __missing__(self, tile: Tile) -> bytes:
        first, height = tile.n * 256, 8 * tile.level
        found = [
            self.subtree(i << height, height)
            for i in range(first, first + tiles.tile_width(tile, self.size))
        ]
        self[tile] = b"".join(found)
        return self[tile]

    def subtree(self, start: int, height: int) -> bytes:
        """The root of a complete subtree, as RFC 9162 says it."""
        if not any(start <= index < start + (1 << height) for index in self.marked):
            return UNIFORM[height]
        if not height:
            return self.marked[start]
        half = 1 << (height - 1)
        left, right = self.subtree(start, height - 1), self.subtree(start + half, height - 1)
        return merkle.node_hash(left, right)

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves, without any tile."""
        roots, start = [], 0
        for height in reversed(range(size.bit_length())):
            if size >> height & 1:
                roots.append(self.subtree(start, height))
                start += 1 << height
        whole = roots.pop()
        while roots:
            whole = merkle.node_hash(roots.pop(), whole)
        return whole


def edges(limit: int, chance: random.Random) -> list[int]:
    """Numbers up to a limit where something turns: beside the powers of 256 and of 2, and any."""
    near = {n for k in (8, 16, 24) for n in ((1 << k) - 1, 1 << k, (1 << k) + 1)}
    near |= {n * m for n in (1 << 8, 1 << 16, 1 << 24) for m in (2, 3, 255)} | {limit - 1, limit}
    near |= {1, 2, 3} | {chance.randint(1, limit) for _ in range(30)}
    return sorted(n for n in near if 0 < n <= limit)


@pytest.mark.parametrize(("limit", "most"), [(256, 1), (65_536, 3), (MILLION, 5), (BILLION, 7)])
def test_no_proof_reads_more_tiles_than_the_tree_has_sides(limit: int, most: int) -> None:
    """Two a level, and the top one once: five of a million leaves, seven of a billion."""
    chance, worst = random.Random(limit), 0
    for size in edges(limit, chance):
        for number in edges(size, chance):
            for ranges in (
                tiles.inclusion_ranges(number - 1, size), tiles.consistency_ranges(number, size),
            ):  # fmt: skip
                worst = max(worst, len(tiles.tiles_needed(ranges)))
    assert tiles.tiles_a_proof(limit) == most
    assert worst == most, "the bound is met, or it would say nothing"


@settings(max_examples=300, deadline=None)
@given(st.integers(1, BILLION), st.data())
def test_a_proof_of_any_tree_up_to_a_billion_leaves_reads_at_most_seven_tiles(
    size: int, data: st.DataObject
) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert tiles.tiles_a_proof(size) <= 7
    for ranges in (tiles.inclusion_ranges(index, size), tiles.consistency_ranges(old, size)):
        assert len(tiles.tiles_needed(ranges)) <= tiles.tiles_a_proof(size)


@pytest.mark.parametrize(("limit", "most"), [(MILLION, 5), (BILLION, 7)])
def test_the_proofs_of_a_tree_that_is_nowhere_whole_hold_and_read_so_few(
    limit: int, most: int
) -> None:
    chance = random.Random(limit + 1)
    marked = {0, limit - 1, *(chance.randrange(limit) for _ in range(20))}
    for size in (limit, limit - 1, chance.randint(limit // 2, limit)):
        tree = Thought(size, marked)
        root = tree.root(size)
        assert tiles.range_root(0, size, tree) == root
        for index in sorted(index for index in marked if index < size):
            tree.clear()
            proof = [tiles.range_root(*r, tree) for r in tiles.inclusion_ranges(index, size)]
            assert len(tree) <= most
            merkle.verify_inclusion(tree.marked[index], index, size, proof, root)
            old = index + 1
            tree.clear()
            proof = [tiles.range_root(*r, tree) for r in tiles.consistency_ranges(old, size)]
            assert len(tree) <= most
            merkle.verify_consistency(old, size, tree.root(old), root, proof)


@pytest.mark.parametrize(
    ("tile", "width", "path"),
    [
        (Tile(0, 1_234_067), 256, "tile/0/x001/x234/067"),  # the example of C2SP tlog-tiles
        (Tile(0, 1_234_067), 8, "tile/0/x001/x234/067.p/8"),
        (Tile(0, 0), 256, "tile/0/000"),
        (Tile(0, 273), 112, "tile/0/273.p/112"),  # the tree of 70,000 of C2SP tlog-tiles
        (Tile(1, 1), 17, "tile/1/001.p/17"),
        (Tile(2, 0), 1, "tile/2/000.p/1"),
        (Tile(3, 999), 256, "tile/3/999"),
        (Tile(0, 1000), 256, "tile/0/x001/000"),
        (Tile(0, 1_000_000), 1, "tile/0/x001/x000/000.p/1"),
        (Tile(63, 0), 255, "tile/63/000.p/255"),
        (Tile(tiles.ENTRIES, 1_234_067), 8, "tile/entries/x001/x234/067.p/8"),
    ],
)
def test_tiles_have_the_paths_of_c2sp(tile: Tile, width: int, path: str) -> None:
    assert tiles.tile_path(tile, width) == path
    assert tiles.parse_tile_path(path) == (tile, width)


def test_a_tree_of_seventy_thousand_has_the_tiles_that_c2sp_counts() -> None:
    """C2SP tlog-tiles: 273 full and one partial tile of 112; 1 full and one of 17; one of 1."""
    store = grown(70_000, [])
    widths = {tile: len(content) // 32 for tile, content in store.items()}
    assert widths.pop(Tile(0, 273)) == 112
    assert widths.pop(Tile(1, 1)) == 17
    assert widths.pop(Tile(2, 0)) == 1
    assert set(widths.values()) == {256}
    assert len(widths) == 273 + 1
    assert tiles.unfinished(70_000, 1) == [Tile(0, 273)]
    assert tiles.unfinished(70_000, 144) == [Tile(0, 273), Tile(1, 1)]  # the first fills up
    assert tiles.unfinished(70_000, 70_000) == [Tile(0, 273), Tile(1, 1), Tile(2, 0)]
    assert all(tiles.tile_width(tile, 70_000) == width for tile, width in widths.items())
    assert tiles.tile_width(Tile(tiles.ENTRIES, 273), 70_000) == 112
    assert tiles.tile_width(Tile(3, 0), 70_000) == tiles.tile_width(Tile(0, 274), 70_000) == 0


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/000",
        "tile/0/x001", "tile/0/001/000", "tile/0/x001/x000", "tile/00/000", "tile/01/000",
        "tile/64/000", "tile/-1/000", "tile/100/000", "tile/+1/000", "tile/0/-01", "tile/0/000.p",
        "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01", "tile/0/000.p/256",
        "tile/0/000.p/999", "tile/0/000.p/-1", "tile/0/000.p/8/", "tile/0/000.p/8\n", "tile/0/000\n",
        "/tile/0/000", "tile/0/000/", "tile//000", "tile/0//000", "tile/0/X001/000", "tile/0/٠٠٠",
        "tile/٣/000", "tile/0/000.p/٣", "tile/entry/000", "tile/entries", "tile/entries/000.p/0",
        "tile/0/" + "x001/" * 7 + "000",
    ],
)  # fmt: skip
def test_a_path_in_any_other_spelling_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="no path of a tile"):
        tiles.parse_tile_path(path)


@given(st.integers(-1, 63), st.integers(0, 2**63), st.integers(1, 256))
def test_every_tile_has_one_path_and_every_path_one_tile(level: int, n: int, width: int) -> None:
    path = tiles.tile_path(Tile(level, n), width)
    assert tiles.parse_tile_path(path) == (Tile(level, n), width)
