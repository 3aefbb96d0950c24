"""What users and plug-ins import and install by: these paths stay, wherever the code behind them lives."""

import importlib
import subprocess
import sys
from importlib.metadata import distribution

import pytest

import pagexchange

PROMISED = {
    "pagexchange": "Arena ExchangeResult Frame Layout PagexchangeError Strategy __version__ hookimpl strategy",
    "pagexchange.cli": "main",
    "pagexchange.errors": "ArenaError ConfigError PagexchangeError PluginError UnknownPluginError UnknownStrategyError",
    "pagexchange.hookspecs": "DataMover FlagPolicy GROUP MappingUpdater hookimpl",
    "pagexchange.oracle": "Oracle check",
    "pagexchange.statuses": "EHWPOISON REASONS errno_name reason",
    "pagexchange.testing": "CLAUSES Clause DataMoverContract FlagPolicyContract MappingUpdaterContract "
    "PairingContract StrategyContract",
    "pagexchange.testing.plugin": "pytest_addoption",
    "pagexchange_native": "get_cython_include get_include",
}
BUILT_IN = (
    "per-flag whole-word masked-word two-pass word-swap temp-page list-exchange numpy-swap null xarray radix-tree "
    "folio-copy streaming-copy numpy-copy "
    "hottest-coldest quota timing trace faults"
)


@pytest.mark.parametrize("module", PROMISED)
def test_a_promised_name_is_where_it_was(module):
    missing = [name for name in PROMISED[module].split() if not hasattr(importlib.import_module(module), name)]
    assert missing == []


def test_the_entry_points_are_those_that_were_promised():
    found = {(point.group, point.name): point.value for point in distribution("pagexchange").entry_points}
    assert found["console_scripts", "pagexchange"] == "pagexchange.cli:main"
    assert found["pytest11", "pagexchange"] == "pagexchange_plugins.pytest_entry"
    assert {name for group, name in found if group == "pagexchange.plugins"} == set(BUILT_IN.split())


def test_python_m_pagexchange_is_the_command():
    command = [sys.executable, "-P", "-m", "pagexchange", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert pagexchange.__version__ in done.stdout
