"""How a test says over which values it runs; the candidate comes first in every id."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pytest

from pagexchange.testing.candidate import Candidate

T = TypeVar("T", bound=Callable[..., None])


def over(name: str, values: Iterable[Any] | Callable[[bool], Iterable[Any]]) -> Callable[[T], T]:
    """Run a test once for each value, which it takes by name.

    Parameters
    ----------
    values
        What `str` makes a good id of; or a function that is told whether the candidate brings a layout of its own.
    """

    def mark(test: T) -> T:
        test.axis = (name, values if callable(values) else lambda _own: values)  # type: ignore[attr-defined]
        return test

    return mark


class Judging:
    """Base of the contract classes: where the candidate comes from, and how tests are multiplied."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate] | None:
        """Return what is judged; None: the fixture `candidate` makes it."""
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each candidate and each value of the test's axis."""
        candidates = self.candidates(metafunc.config)
        name, values = getattr(metafunc.function, "axis", ("", None))
        if candidates is None:
            if values is not None:
                metafunc.parametrize(name, list(values(False)), ids=str)
        elif values is None:
            metafunc.parametrize("candidate", candidates, ids=str)
        else:
            rows = [(one, value) for one in candidates for value in values(one.own_layout is not None)]
            metafunc.parametrize(["candidate", name], rows, ids=[f"{one}-{value}" for one, value in rows])
