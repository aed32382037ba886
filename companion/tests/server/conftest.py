"""Fixtures that several tests of the server share."""

from collections.abc import Iterator

import pytest

from patchlight.server.page import Page
from patchlight.wire.run import Run
from tests.helpers.secured import TOKEN, Server, built_page, secured
from tests.helpers.serving import Served, ask, companion


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    """A tiny companion, shared by tests that do not change it."""
    with companion() as served:
        yield served


@pytest.fixture(scope="module")
def run(plain: Served) -> Run:
    """An answer of eight tokens."""
    with plain.client() as client:
        return ask(client, maxNewTokens=8)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A small built page."""
    return built_page(tmp_path_factory.mktemp("built") / "page")


@pytest.fixture(scope="module")
def network_server(page: Page) -> Iterator[Server]:
    """A server open to the network, with a token."""
    with secured(page, host="0.0.0.0", token=TOKEN, allowed_hosts=("box.example",)) as server:
        yield server


@pytest.fixture(scope="module")
def local_server(page: Page) -> Iterator[Server]:
    """A server on loopback, without a token."""
    with secured(page) as server:
        yield server
