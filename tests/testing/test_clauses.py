"""The list of clauses: their names stay, each has one test, and the documentation has them all."""

import re
from pathlib import Path

from pagexchange.testing import (
    CLAUSES,
    DataCopierContract,
    DataMoverContract,
    FlagPolicyContract,
    MappingUpdaterContract,
    MigratingStrategyContract,
    PairingContract,
    StrategyContract,
    test_plugins,
)
from pagexchange.testing.checks.wrappers import WrapperChecks

NAMES = [
    "a-plug-in-serves-or-declines",
    "the-declaration-is-true",
    "a-status-for-every-pair",
    "a-refused-pair-is-as-it-was",
    "nothing-stays-held",
    "twice-is-the-identity",
    "either-way-round-is-the-same",
    "every-pair-is-exchanged",
    "a-batch-equals-its-pairs",
    "threads-change-nothing",
    "the-contents-move",
    "the-flags-move",
    "a-flag-nobody-knew-moves",
    "the-identity-moves",
    "the-counts-move",
    "the-frame-keeps-its-own",
    "nothing-else-changes",
    "a-reader-sees-its-own-page",
    "in-place-takes-no-frame",
    "what-is-taken-is-shown",
    "waiting-is-asked-for",
    "a-stopped-mover-can-be-finished",
    "a-dead-process-is-finished",
    "flags-swap-what-swaps",
    "flags-leave-what-stays",
    "flags-follow-the-words-alone",
    "flags-treat-both-frames-alike",
    "data-exchanges-every-byte",
    "data-touches-nothing-else",
    "data-serves-two-threads",
    "data-says-what-it-chose",
    "copy-copies-every-byte",
    "copy-touches-nothing-else",
    "copy-serves-two-threads",
    "copy-says-what-it-chose",
    "mapping-finds-the-slot",
    "mapping-stores-nothing",
    "mapping-misses-what-is-gone",
    "mapping-answers-in-any-order",
    "pairing-keeps-to-its-sides",
    "pairing-follows-the-view-alone",
    "pairing-changes-nothing",
    "every-page-is-migrated",
    "a-page-goes-whole",
    "what-it-leaves-is-free",
    "a-refused-page-is-as-it-was",
    "what-it-takes-is-shown",
    "threads-migrate-alike",
    "a-dead-migration-is-finished",
    "a-plug-in-can-be-loaded",
    "a-wrapper-is-never-wrong",
]
"""Reports of other people quote these. New ones are added; none is renamed or taken away."""

CONTRACTS = (
    FlagPolicyContract, DataMoverContract, DataCopierContract, MappingUpdaterContract, StrategyContract,
    MigratingStrategyContract, PairingContract,
)  # fmt: skip


def test_the_names_of_the_clauses_stay():
    assert set(NAMES) <= set(CLAUSES)
    assert set(CLAUSES) <= set(NAMES), "add the new names here, so that they stay too"


def test_each_clause_has_a_test_of_its_name_and_each_test_a_clause():
    places = (*CONTRACTS, WrapperChecks, test_plugins)
    tests = {name for place in places for name in dir(place) if name.startswith("test_")}
    assert tests == {clause.test for clause in CLAUSES.values()}


def test_each_test_says_what_it_does():
    for contract in (*CONTRACTS, WrapperChecks):
        for name in dir(contract):
            if name.startswith("test_"):
                assert getattr(contract, name).__doc__.endswith(".")


def test_the_documentation_has_every_clause_in_its_words():
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    table = {
        name: (source, says) for name, source, says in re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", text, re.M)
    }
    assert table == {clause.name: (clause.source, clause.says) for clause in CLAUSES.values()}
