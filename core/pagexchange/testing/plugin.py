"""The suite's pytest plug-in: where the strategies come from, and what the header says is judged.

It is loaded when `pagexchange.testing` is named on pytest's command line; `-p pagexchange.testing.plugin` does it too.
"""

import argparse
import platform
from pathlib import Path
from typing import Any, Final

import numpy as np
import pluggy
import pytest

from pagexchange.errors import PagexchangeError
from pagexchange.host.installed import version_of
from pagexchange.host.read import Source
from pagexchange.model.words import counted
from pagexchange.strangers import visible, visible_lines
from pagexchange.testing.session import watch
from pagexchange.testing.session.subjects import Subjects
from pagexchange.version import VERSION

_SUBJECTS: Final = pytest.StashKey[Subjects]()
_OPTION: Final = "--strategies"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("pagexchange", "pagexchange: judge strategies and plug-ins")
    group.addoption(
        _OPTION,
        metavar="FILE",
        default=None,
        help="strategies file to judge; default: the one that ships",
    )
    group.addoption(
        watch.OPTION,
        type=_seconds,
        metavar="N",
        default=watch.SECONDS,
        help="end the run, and name what is judged, when a test takes longer; 0: never; default: %(default)g",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the file before anything is collected: what is wrong with it is a usage error."""
    subjects(config)


def subjects(config: pytest.Config) -> Subjects:
    """Return what this run judges."""
    # On first use and not in pytest_configure alone: another plug-in's hook may come first.
    if _SUBJECTS not in config.stash:
        try:
            config.stash[_SUBJECTS] = Subjects.load(_source(config), watch.Watch.of(config).over)
        except PagexchangeError as error:
            raise pytest.UsageError(visible_lines(f"{_OPTION}: {error}")) from None
    return config.stash[_SUBJECTS]


def _source(config: pytest.Config) -> Source:
    """Read the file; it may be a pipe, or the stdin of whoever started pytest."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:  # pytest-xdist's: its stdin is another
        origin, raw, base = workerinput[_OPTION]
        return Source(origin, raw, None if base is None else Path(base))
    given = config.getoption(_OPTION, None)
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if capture is None or not capture.is_globally_capturing():
        return Source.read(given)
    capture.suspend_global_capture(in_=True)
    try:
        return Source.read(given)
    finally:
        # Stdin is pytest's again, and stdout, which it does not take yet, is not: the header is to be seen.
        capture.resume_global_capture()
        capture.suspend_global_capture()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 - pytest-xdist's, which need not be there
    """Hand what was read to a worker, because it may not be there to be read a second time."""
    source = subjects(node.config).source
    node.workerinput[_OPTION] = (source.origin, source.raw, None if source.base is None else str(source.base))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is judged, in which versions, and what is not."""
    judged = subjects(config)
    used = f"pagexchange {VERSION}, pluggy {version_of(pluggy)}, numpy {version_of(np)}"
    lines = [f"judging: {used}, on {platform.machine()}"]
    names = ", ".join(f"{candidate} ({candidate.expect})" for candidate in judged.strategies)
    lines.append(f"{counted(len(judged.strategies), 'strategy', 'strategies')} of {judged.config.origin}: {names}")
    by_origin: dict[str, list[str]] = {}
    for info in judged.plugins:
        label = info.name if info.state == "ok" else f"{info.name} ({info.state})"
        by_origin.setdefault(f"{info.distribution} {info.version}".strip() or "no distribution", []).append(label)
    lines += [f"plug-ins of {origin}: {', '.join(names)}" for origin, names in by_origin.items()]
    lines += [f"note: {wrong}" for wrong in judged.registry.wrong]
    lines += [f"declined, so not judged: {reason}" for reason in judged.declined.values()]
    cure = "Cure: name it, with its options, in a strategy of the file"
    lines += [f"not judged with its defaults: {why}. {cure}" for why in judged.not_made.values()]
    return [visible(line) for line in lines]


def _seconds(given: str) -> float:
    """Return a time that a test may take; what is below 0 would end the run before it began."""
    seconds = float(given)
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"{given}: seconds are expected, 0: no limit")
    return seconds
