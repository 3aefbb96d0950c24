"""What every pytest run loads of pagexchange: nothing, unless the conformance suite is named to it."""

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pluggy import HookimplMarker

SUITE: Final = "pagexchange.testing"
OPTION: Final = "--strategies"


@HookimplMarker("pytest")(trylast=True)  # after the options of others, so that theirs are known
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> None:  # noqa: ANN401 - pytest's
    """Load the suite's own plug-in, with its options, for `pytest --pyargs pagexchange.testing`."""
    # Not only `args`: pytest has read `@file` by now, and takes `testpaths` where it is given no argument.
    paths = early_config.getini("testpaths")
    named = [*args, *early_config.known_args_namespace.file_or_dir, *paths]
    if any(_names_suite(str(argument)) for argument in named):
        early_config.pluginmanager.import_plugin("pagexchange.testing.plugin")
    elif _gives_file(args) and not hasattr(parser.parse_known_args(args), "strategies"):  # or it is another's option
        early_config.pluginmanager.import_plugin("pagexchange.testing.plugin")
        # What pytest did not know it took for a path, and looked there for the file that has `testpaths`: so that it
        # may have nothing to run. Who says what is to be judged, and nothing else, wants the suite.
        if not parser.parse_known_args(args).file_or_dir and not paths:
            args += ["--pyargs", SUITE]


def _gives_file(args: list[str]) -> bool:
    return any(argument == OPTION or argument.startswith(f"{OPTION}=") for argument in args)


def _names_suite(argument: str) -> bool:
    module = argument.partition("::")[0]
    if module == SUITE or module.startswith(f"{SUITE}."):
        return True
    parts = Path(module).parts
    return ("pagexchange", "testing") in pairwise(parts)
