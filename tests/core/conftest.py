"""What the tests of the core share: a small arena with pages of every kind."""

from collections.abc import Iterator

import pytest

from tests.core.pages import Pages


@pytest.fixture
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.arena.close()


@pytest.fixture(autouse=True)
def no_terminal_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed does not depend on who runs the tests, or in what."""
    monkeypatch.delenv("COLUMNS", raising=False)
