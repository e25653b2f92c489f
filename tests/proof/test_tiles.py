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
    """The tiles of `count` leaves that came in chunks; only the right edge is handed in."""
    store: dict[Tile, bytes] = {}
    size = 0
    for chunk in [*chunks, count]:
        fresh = MANY[size : min(size + chunk, count)]
        edge = {tile: store[tile] for tile in tiles.edge(size) if tile in store}
        store.update(tiles.grow(edge, size, fresh))
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
    changed = tiles.grow({t: store[t] for t in tiles.edge(600)}, 600, MANY[600:610])
    assert set(changed) == {Tile(0, 2)}
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


def needed(ranges: list[tuple[int, int]]) -> int:
    return len(tiles.tiles_needed(ranges))


def read_for_one_proof(size: int, chance: random.Random, tries: int) -> int:
    """The most tiles that any tried inclusion proof reads."""
    indexes = [0, size - 1, size // 2, *(chance.randrange(size) for _ in range(tries))]
    return max(needed(tiles.inclusion_ranges(index, size)) for index in indexes)


def test_a_proof_reads_at_most_five_tiles_of_a_million_leaves_and_seven_of_a_billion() -> None:
    chance = random.Random(9162)
    for limit, most in ((10**6, 5), (10**9, 7)):
        sizes = [limit, limit - 1, *(chance.randint(1, limit) for _ in range(60))]
        assert max(read_for_one_proof(size, chance, 40) for size in sizes) <= most


@given(st.integers(1, 10**9), st.data())
def test_a_consistency_proof_reads_few_tiles(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    assert needed(tiles.consistency_ranges(old, size)) <= 9


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
    ],
)
def test_tiles_have_the_paths_of_c2sp(tile: Tile, width: int, path: str) -> None:
    assert tiles.tile_path(tile, width) == path


def test_a_tree_of_seventy_thousand_has_the_tiles_that_c2sp_counts() -> None:
    """C2SP tlog-tiles: 273 full and one partial tile of 112; 1 full and one of 17; one of 1."""
    store = grown(70_000, [])
    widths = {tile: len(content) // 32 for tile, content in store.items()}
    assert widths.pop(Tile(0, 273)) == 112
    assert widths.pop(Tile(1, 1)) == 17
    assert widths.pop(Tile(2, 0)) == 1
    assert set(widths.values()) == {256}
    assert len(widths) == 273 + 1
    assert tiles.edge(70_000) == [Tile(0, 273), Tile(1, 1), Tile(2, 0)]
