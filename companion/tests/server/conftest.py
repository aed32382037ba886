"""Fixtures that several tests of the server share."""

from collections.abc import Iterator

import pytest

from patchlight.wire.run import Run
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
