"""How a test says over which values it runs; the candidate comes first in every id."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pytest

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.session.watch import Watch

T = TypeVar("T", bound=Callable[..., None])


def over(name: str, values: Iterable[Any] | Callable[[bool], Iterable[Any]]) -> Callable[[T], T]:
    """Run a test once for each value, which it takes by name. Several of these multiply; the uppermost leads.

    Parameters
    ----------
    values
        What `str` makes a good id of; or a function that is told whether the candidate brings a layout of its own.
    """

    def mark(test: T) -> T:
        axis = (name, values if callable(values) else lambda _own: values)
        test.axes = (axis, *getattr(test, "axes", ()))  # type: ignore[attr-defined]
        return test

    return mark


class Judging:
    """Base of the contract classes: where the candidate comes from, and how tests are multiplied."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate] | None:
        """Return what is judged; None: the fixture `candidate` makes it."""
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each candidate and each value of the test's axes."""
        Watch.of(metafunc.config)  # also where a stranger's own tests use these classes without the plug-in
        candidates = self.candidates(metafunc.config)
        axes = getattr(metafunc.function, "axes", ())
        names = [name for name, _ in axes]
        rows: list[tuple[Any, ...]] = []
        # Values are asked for anew for each candidate: one with a layout of its own is judged under that, too.
        for candidate in [None] if candidates is None else candidates:
            own = candidate is not None and candidate.own_layout is not None
            values = itertools.product(*(list(values(own)) for _, values in axes))
            rows += [row if candidate is None else (candidate, *row) for row in values]
        if candidates is not None:
            names = ["candidate", *names]
        if names:
            metafunc.parametrize(names, rows, ids=["-".join(map(str, row)) for row in rows])
