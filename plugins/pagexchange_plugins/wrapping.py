"""What the wrappers share: how one sees the answers to all three questions, and how an object in Python is wrapped."""

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
        """Wrap the data mover; each one of a chain by itself."""
        return self._wrap("data", (yield))

    @hookimpl(wrapper=True)
    def update_mapping(self, arena: ArenaFacts) -> Generator[None, Any, Any]:
        """Wrap the mapping updater."""
        return self._wrap("mapping", (yield))

    def _wrap(self, question: str, found: Any) -> Any:  # noqa: ANN401 - any answer
        raise NotImplementedError


def one_for(found: object, flags: type, mover: type, updater: type) -> type | None:
    """Return the one of three classes that goes around a native answer; None if it is not native."""
    from pagexchange_native.movers.mover import DataMover
    from pagexchange_native.policies.find_slot import MappingUpdater
    from pagexchange_native.policies.flag_policy import FlagPolicy

    kinds: dict[type, type] = {FlagPolicy: flags, DataMover: mover, MappingUpdater: updater}
    return next((around for kind, around in kinds.items() if isinstance(found, kind)), None)


class Wrapped:
    """Base of what stands around an object in Python."""

    def __init__(self, found: Callable[..., Any]) -> None:
        self.inner = found
        self.name = getattr(found, "name", getattr(found, "__name__", type(found).__name__))

    def describe(self) -> dict[str, str]:
        """Return what the wrapped object says."""
        describe: Callable[[], dict[str, str]] | None = getattr(self.inner, "describe", None)
        return describe() if describe else {}
