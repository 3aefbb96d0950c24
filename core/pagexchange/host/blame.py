"""Whose fault an error is: the plug-in that an exception comes from, in words, with its distribution and what to do.

Three roads lead here. A hook raised: the traceback tells whose. An object that a hook returned raised: the engine knows
which one it had called. The pages are not as they must be: nothing was raised, and the plug-ins that were asked to do
that part of the work are the suspects.
"""

import inspect
from collections.abc import Iterable
from traceback import walk_tb
from types import FrameType
from typing import Final

import pluggy

from pagexchange.errors import PluginContractError, PluginError, in_words, raised_in
from pagexchange.hookspecs import ANSWERS
from pagexchange.host.discovery import OWN, Plugin
from pagexchange.strangers import said

CURE: Final = (
    "Cure: mend it as pagexchange/hookspecs.py says, or leave it out; pagexchange.testing says which clause it breaks"
)
"""What to do about a plug-in that fails or spoils something, where its error does not know better."""


def registered_name(plugin: Plugin, number: int) -> str:
    """Return the name that a plug-in is registered under: pluggy wants each once, a strategy may name one twice."""
    return f"{plugin.name}#{number}"


def name_of(impl: pluggy.HookImpl) -> str:
    """Return the plug-in's name of a function that is registered under a `registered_name`."""
    return impl.plugin_name.rpartition("#")[0]


def raised_by(error: BaseException, hook: pluggy.HookCaller) -> str:
    """Return the name of the plug-in whose function an exception of a hook came from; empty if that cannot be seen.

    The innermost frame of the traceback that belongs to a plug-in decides: pluggy throws what one function raised into
    the wrappers around it, so theirs are in the traceback as well.
    """
    impls, words = hook.get_hookimpls(), said(error)
    # A wrapper that yields never, or twice: pluggy itself raises, and only its message has the function's place.
    for impl in impls:
        code = getattr(impl.function, "__code__", None)
        if code is not None and f" {code.co_filename}:{code.co_firstlineno} " in words:
            return name_of(impl)
    # What Python makes of a StopIteration has no frame of the generator that raised it; its cause has.
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in reversed(list(walk_tb(cause.__traceback__))):
            for impl in impls:
                if _runs_in(frame, impl):
                    return name_of(impl)
        cause = cause.__cause__
    return ""


def _runs_in(frame: FrameType, impl: pluggy.HookImpl) -> bool:
    """Whether a frame runs this function for this plug-in.

    Two plug-ins may share the code of a hook, by a common base class; then only `self` tells them apart.
    """
    if frame.f_code is not getattr(impl.function, "__code__", None):
        return False
    return not inspect.ismethod(impl.function) or any(value is impl.plugin for value in frame.f_locals.values())


def hook_failed(
    error: BaseException, hook: pluggy.HookCaller, plugins: Iterable[Plugin], otherwise: Plugin | None = None
) -> PluginError:
    """Return the error to raise for an exception of a hook.

    Parameters
    ----------
    plugins
        Those that the hook was called for.
    otherwise
        Who is named where the traceback tells nothing.
    """
    name = raised_by(error, hook)
    plugin = next((plugin for plugin in plugins if plugin.name == name), otherwise)
    if plugin and isinstance(error, PluginError) and not error.plugin:  # its own words, which lack its name
        return plugin.error(error.reason)
    reason = f"{hook.name} failed: {in_words(error, plugin.file if plugin else '')}"
    return plugin.error(reason) if plugin else PluginError(reason, plugin=name)


def object_failed(
    error: BaseException, question: str, plugin: str, *, distribution: str = "", version: str = "", file: str = ""
) -> PluginError:
    """Return the error to raise for an exception of the object that answers a question, during an exchange."""
    place = raised_in(error, file)
    reason = f"{in_words(error, file)}; the pages of its batch are as they were"
    # What checks the answers raises TypeError, and is no line of the plug-in's file.
    if question and isinstance(error, TypeError) and not place:
        hook = f"the object of {ANSWERS[question]}"
        expected = "what its protocol says"
        return PluginContractError(hook, plugin, expected, reason, distribution=distribution, version=version)
    return PluginError(reason, plugin=plugin, distribution=distribution, version=version)


def suspects(plugins: Iterable[Plugin]) -> str:
    """Return the plug-ins that may have spoilt something, in words: only the strangers' if there are any.

    Our own are tested by every run of ours; a stranger's is the better guess.
    """
    plugins = list(plugins)
    chosen = [plugin for plugin in plugins if plugin.distribution != OWN] or plugins
    names = dict.fromkeys(f"{plugin.name!r} ({plugin.distribution} {plugin.version})" for plugin in chosen)
    return ("plug-in " if len(names) == 1 else "one of the plug-ins ") + ", ".join(names)


def with_cure(error: Exception) -> str:
    """Return an error in words; if it is a plug-in's and does not say what to do, with what to do."""
    if "Cure: " in str(error) or not getattr(error, "plugin", ""):
        return str(error)
    return f"{error}. {CURE}"
