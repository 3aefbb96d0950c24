"""What the wrappers share: how one sees the answers to all questions, and how an object in Python is wrapped."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from pagexchange.hookspecs import MOVES, ArenaFacts, hookimpl


class Wrapping:
    """Base of a plug-in that may put something around each answer, by `_wrap`."""

    @hookimpl(wrapper=True)
    def exchange_flags(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the flag policy."""
        return self._wrap("flags", (yield))

    @hookimpl(wrapper=True)
    def exchange_data(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the data mover; each one of a chain separately."""
        return self._wrap("data", (yield))

    @hookimpl(wrapper=True)
    def copy_data(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the data copier; each one of a chain separately."""
        return self._wrap("copy", (yield))

    @hookimpl(wrapper=True)
    def update_mapping(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the mapping updater."""
        return self._wrap("mapping", (yield))

    @hookimpl(wrapper=True)
    def pair_pages(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the pairing."""
        return self._wrap("pairing", (yield))

    def _wrap(self, question: str, answer: Any) -> Any:  # noqa: ANN401 - any answer
        raise NotImplementedError


def is_callable(answer: object) -> bool:
    """Return whether an answer that is not native can be called; anything else is for the host to refuse."""
    return callable(answer) and not isinstance(answer, type)


def pairs_of(question: str, arguments: Sequence[Any], answer: object) -> int:
    """Return how many pairs, or pages of a mapping updater, a call of an object in Python was about.

    A pairing is the only one that is not told them: they are its answer, 0 where that is none.
    """
    if question == "pairing":
        return len(answer) if isinstance(answer, np.ndarray) and answer.ndim else 0
    return len(arguments[1 if question in MOVES else 0])


class Wrapped:
    """Base of what stands around an object in Python."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner = inner
        self.name = getattr(inner, "name", getattr(inner, "__name__", type(inner).__name__))

    def describe(self) -> dict[str, str]:
        """Return what the wrapped object says."""
        describe: Callable[[], dict[str, str]] | None = getattr(self.inner, "describe", None)
        return describe() if describe else {}
