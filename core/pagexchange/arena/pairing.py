"""Who pairs the pages of a tier: found by name or given, asked, and its answer checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.strategy import Strategy
from pagexchange.errors import PluginContractError
from pagexchange.hookspecs import ANSWERS, TierView
from pagexchange.host.built import BuiltStrategy, Served
from pagexchange.host.discovery import Plugin
from pagexchange.model.config import PluginUse
from pagexchange_native.tier.heat import Heat

DEFAULT: Final = "hottest-coldest"
HOOK: Final = ANSWERS["pairing"]
Wanted = str | Mapping[str, Any] | Callable[[TierView], Any] | None


def served(wanted: Wanted, strategy: Strategy) -> Served:
    """Return who pairs pages: what is wanted, whom the strategy names, or the default; within its wrappers.

    Raises
    ------
    TypeError
        It is neither a name, nor a table with one, nor a callable.
    UnknownPluginError, ConfigError, PluginError, PluginContractError
        The plug-in does not exist, or does not serve.
    """
    if wanted is None:
        if strategy.built.pairing is not None:
            return strategy.built.pairing
        wanted = DEFAULT
    if isinstance(wanted, str):
        return _asked(PluginUse(wanted), strategy)
    if isinstance(wanted, Mapping) and isinstance(wanted.get("plugin"), str):
        options = {key: value for key, value in wanted.items() if key != "plugin"}
        return _asked(PluginUse(wanted["plugin"], options), strategy)
    if callable(wanted):
        name = str(getattr(wanted, "__name__", type(wanted).__name__))
        return Served("pairing", name, wanted, False, "", "", "", {}, ())
    raise TypeError(
        "pairing: want the name of a plug-in, a table as in strategies.toml ({'plugin': name, option: value}), "
        f"or a callable (view) -> pairs; got {type(wanted).__name__}"
    )


def _asked(use: PluginUse, strategy: Strategy) -> Served:
    later = strategy.built.later
    with strategy.watched("pairing", lambda: later.loaded(use)):
        return later.pairing(use)


def suspects(pairing: Served, built: BuiltStrategy) -> list[tuple[str, Plugin]]:
    """Return (question or `wrap`, plug-in) of those whose code runs when a pairing is asked."""
    who = Plugin(pairing.plugin, pairing.instance, pairing.distribution, pairing.version, pairing.file, {})
    around = [one for one in built.plugins if one[0] == "wrap" and one[1].name in pairing.wrappers]
    return [("pairing", who), *around]


def ask(pairing: Served, view: TierView, heat: Heat) -> NDArray[np.int64]:
    """Return the pairs that are to trade places, int64[n, 2], checked. On the trail is whoever may run, by the caller.

    PluginError: it raised, or failed with an errno. PluginContractError: another shape, a block of another node, one
    that stands there twice, more pairs than the limit.
    """
    wrong = ""
    if pairing.native:
        try:  # and no block around it: that would take longer than all else that is done here
            answer = pairing.object(view)
        except Exception:
            with pairing.guard("failed to pair pages"):
                raise
    else:
        with pairing.guard("failed to pair pages"):
            answer = pairing.object(view)
        wrong = _wrong_array(answer, view)
        answer = answer if wrong else np.array(answer, order="C")  # the plug-in may go on with its own
    wrong = wrong or _wrong_blocks(answer, view, heat)
    if wrong:
        facts = {"distribution": pairing.distribution, "version": pairing.version}
        raise PluginContractError(HOOK, pairing.plugin, wrong, answer, **facts)
    pairs: NDArray[np.int64] = answer
    return pairs


def _wrong_array(answer: object, view: TierView) -> str:
    """Return what would be right, or nothing if it is."""
    if not isinstance(answer, np.ndarray) or answer.dtype != np.int64 or answer.ndim != 2 or answer.shape[1] != 2:
        return "an array int64[n, 2]"
    if len(answer) > view.limit:
        return f"{view.limit} pairs at most, not {len(answer)}"
    return ""


def _wrong_blocks(pairs: NDArray[np.int64], view: TierView, heat: Heat) -> str:
    """Return what would be right of the first block that is wrong, or nothing."""
    found = heat.wrong(pairs)
    if found is None:
        return ""
    what, row = found
    slow, fast = (int(block) for block in pairs[row])
    return (
        f"{_blocks(view.slow)} of the slow node in column 0, not {slow}",
        f"{_blocks(view.fast)} of the fast node in column 1, not {fast}",
        f"each block once, not block {slow} twice",
        f"each block once, not block {fast} twice",
    )[what - 1]


def _blocks(blocks: range) -> str:
    return f"blocks {blocks.start} to {blocks.stop - 1}"
