"""What the tests of the core share: a small arena with pages of every kind."""

from collections.abc import Iterator

import pytest

from tests.core.pages import Pages


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.arena.close()
