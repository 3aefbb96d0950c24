"""From a strategies file to what a run takes: strategies built by the host, bound to an arena, observers told."""

from __future__ import annotations

from contextlib import nullcontext
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from msgspec import structs

from pagexchange.errors import PluginError, raised_in
from pagexchange.runs.result import PlugIn
from pagexchange.runs.run import Contender

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from pagexchange.arena.result import ExchangeResult
    from pagexchange.host.build import BuiltStrategy, PagexchangeHost
    from pagexchange.host.discovery import Plugin
    from pagexchange.model.config import Config, StrategySpec
    from pagexchange.runs.watchdog import Watchdog


class Bound:
    """A strategy on one arena."""

    def __init__(
        self,
        spec: StrategySpec,
        host: PagexchangeHost,
        arena: Any,  # noqa: ANN401 - an Arena
        watchdog: Watchdog | None = None,
    ) -> None:
        from pagexchange.arena.strategy import Strategy

        self._spec, self._host, self._arena, self._watchdog = spec, host, arena, watchdog
        with self._watched():
            self._built = host.build(spec, arena)
        self._strategy = Strategy(arena, self._built)

    def _watched(self) -> AbstractContextManager[None]:
        """Around what may call a plug-in."""
        return self._watchdog.watch(self._spec.name, self._suspects, self._arena) if self._watchdog else nullcontext()

    def _suspects(self) -> list[tuple[str, Plugin]]:
        """Each plug-in that may be running, and the question that it is named for."""
        uses = self._spec.by_question()
        return [(question, found) for question, use in uses if (found := self._host.registry.loaded(use.plugin))]

    def plugins(self) -> list[PlugIn]:
        """Who serves each question."""
        return [self._originated(plugin) if plugin.question == "wrap" else plugin for plugin in plugins(self._built)]

    def _originated(self, wrapper: PlugIn) -> PlugIn:
        known = self._host.registry.loaded(wrapper.name)
        return structs.replace(wrapper, distribution=known.distribution, version=known.version) if known else wrapper

    def started(self) -> None:
        """Tell the observers."""
        self._tell("run_started")

    def exchange(self, pairs: NDArray[np.int64], threads: int) -> ExchangeResult:
        """Exchange the list; observers are told before and after, outside of what is timed."""
        seen = _read_only(pairs)
        self._tell("exchange_started", pairs=seen)
        with self._watched():
            result = self._strategy.exchange(pairs, threads=threads)
        self._tell("exchange_finished", pairs=seen, statuses=_read_only(result.status))
        return result

    def finished(self) -> dict[str, Any]:
        """Tell the observers; what the plug-ins report."""
        self._tell("run_finished")
        try:
            with self._watched():
                return self._built.report()
        except PluginError:
            raise
        except Exception as error:
            raise self._failed("strategy_report", error) from error

    def _tell(self, event: str, **facts: NDArray[Any]) -> None:
        try:
            with self._watched():
                getattr(self._built.hook, event)(strategy=self._spec, arena=self._arena, **facts)
        except Exception as error:
            raise self._failed(event, error) from error

    def _failed(self, event: str, error: Exception) -> PluginError:
        name = _who(getattr(self._built.hook, event), error)
        plugin = self._host.registry.loaded(name)
        what = f"{event} failed: {type(error).__name__}: {error}"
        return plugin.error(what + raised_in(error, plugin.file)) if plugin else PluginError(what, plugin=name)


def _who(hook: Any, error: Exception) -> str:  # noqa: ANN401 - pluggy's caller
    """The plug-in whose function an error went through."""
    codes = {frame.f_code for frame, _ in walk_tb(error.__traceback__)}
    found = [one for one in hook.get_hookimpls() if getattr(one.function, "__code__", None) in codes]
    return found[0].plugin_name.partition("#")[0] if found else ""


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


def contenders(config: Config, names: Sequence[str] = (), watchdog: Watchdog | None = None) -> list[Contender]:
    """The strategies of a file, all or those named, in the file's order.

    Parameters
    ----------
    watchdog
        Is told whenever a plug-in may run, and says which one does not return.

    Raises
    ------
    UnknownStrategyError
        A name is not in the file.
    """
    from pagexchange.host.build import PagexchangeHost

    host = PagexchangeHost(config.block)
    for name in names:
        config.strategy(name)
    specs = [spec for name, spec in config.strategies.items() if not names or name in names]
    return [_contender(spec, host, watchdog) for spec in specs]


def _contender(spec: StrategySpec, host: PagexchangeHost, watchdog: Watchdog | None) -> Contender:
    return Contender(
        name=spec.name,
        build=lambda arena: Bound(spec, host, arena, watchdog),
        summary=spec.summary,
        expected=spec.expect,
        mode=spec.mode,
        threads=spec.threads,
    )


def plugins(built: BuiltStrategy) -> list[PlugIn]:
    """Who serves each question, in the order asked, then the wrappers, outermost first."""
    answers = [
        PlugIn(
            question=served.question,
            name=served.plugin,
            distribution=served.distribution,
            version=served.version or None,
            details=served.describe() | {f"option {key}": str(value) for key, value in served.options.items()},
        )
        for served in (built.flags, built.mapping, *built.data)
    ]
    by_name = {answer.name: answer for answer in answers}
    return answers + [
        PlugIn(question="wrap", name=name, distribution=by_name[name].distribution if name in by_name else "")
        for name in built.wrappers
    ]
