"""What every pytest run loads of pagexchange: nothing, unless the conformance suite is named on its command line."""

from typing import Any


def pytest_load_initial_conftests(early_config: Any, args: list[str]) -> None:  # noqa: ANN401 - pytest is not imported
    """Load the suite's own plug-in, with its option, for `pytest --pyargs pagexchange.testing`."""
    if any(_names_suite(argument) for argument in args):
        early_config.pluginmanager.import_plugin("pagexchange.testing.plugin")


def _names_suite(argument: str) -> bool:
    module = argument.partition("::")[0]
    return module == "pagexchange.testing" or module.startswith("pagexchange.testing.")
