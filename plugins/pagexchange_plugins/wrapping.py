"""What the wrappers share: how one sees the answers to all questions, and how an object in Python is wrapped."""

from collections.abc import Callable, Generator
from typing import Any

from pagexchange.hookspecs import ArenaFacts, hookimpl


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

    def _wrap(self, question: str, answer: Any) -> Any:  # noqa: ANN401 - any answer
        raise NotImplementedError


def is_callable(answer: object) -> bool:
    """Return whether an answer that is not native can be called; anything else is for the host to refuse."""
    return callable(answer) and not isinstance(answer, type)


class Wrapped:
    """Base of what stands around an object in Python."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner = inner
        self.name = getattr(inner, "name", getattr(inner, "__name__", type(inner).__name__))

    def describe(self) -> dict[str, str]:
        """Return what the wrapped object says."""
        describe: Callable[[], dict[str, str]] | None = getattr(self.inner, "describe", None)
        return describe() if describe else {}
