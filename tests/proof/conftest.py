"""One world for the session (its files are bytes, nobody changes them) and a fresh chain per test."""

from collections.abc import Iterator

import pytest

from ledger.proof.chain_node import Node
from tests.proof.world import Chain, World, _Server, chain_server, serve


@pytest.fixture(scope="session")
def world() -> World:
    """An honest registry, its voucher and its package."""
    return World()


@pytest.fixture(scope="session")
def attacker() -> World:
    """The same registry re-made by somebody else with his own keys."""
    return World("attacker")


@pytest.fixture(scope="session")
def _node_server() -> Iterator[tuple[_Server, str]]:
    server = chain_server()
    with serve(server) as url:
        yield server, url


@pytest.fixture
def chain(world: World, _node_server: tuple[_Server, str]) -> Chain:
    """The chain behind `node`, as the honest registry left it; a test may change it."""
    server, _ = _node_server
    server.chain = world.chain()
    return server.chain


@pytest.fixture
def node(chain: Chain, _node_server: tuple[_Server, str]) -> Node:
    """The node that the exchange trusts."""
    return Node(_node_server[1], timeout_s=5)
