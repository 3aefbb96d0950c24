"""A snapshot's facts are of the types that are declared, wherever they come from, or are refused by name."""

import copy
from typing import Any

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot import Snapshot, facts
from pagexchange.pages.snapshot import format as file_format
from tests.core.command_line import pagexchange
from tests.core.test_snapshot_file import small

SOUND = {
    "kernel": "6.18", "machine": "x86_64", "page_size": 4096, "date": "2026-07-01", "frames": 9, "uses": {"free": 3},
    "others": {"slab": 4}, "nodes": [{"number": 0, "spans": [(0, 9), (20, 30)], "cpus": True, "tier": 4},
                                      {"number": 1, "spans": []}],
    "heat": "flags", "lru_gen": True, "unknown": ["kernel"],
    "processes": {"denied": 0}, "mappings": {}, "options": {"limit": None, "names": True}, "partial": False,
    "notes": ["a sentence"], "file_names": ["a"] * 5, "space_names": ["s"] * 3,
}  # fmt: skip
ODD = (None, True, -1, 1.5, float("nan"), 1 << 70, "many", [1], [None], ["a\ud800"], {"a": None}, {"limit": -1})
"""One value of each type and some that no fact may have."""
FITTING: dict[str, list[object]] = {
    "kernel": ["many"], "machine": ["many"], "date": ["many"], "partial": [True], "lru_gen": [True],
    "notes": [], "file_names": [], "space_names": [], "page_size": [], "frames": [], "uses": [],
    "processes": [], "mappings": [], "options": [{"a": None}], "others": [], "nodes": [], "heat": [], "unknown": [],
}  # fmt: skip
"""Which of them fit which fact: all others must be refused. An option that is not known is left out."""


def bad():
    for name in facts.Facts.__annotations__:
        for value in ODD:
            if not any(value is fit or value == fit for fit in FITTING.get(name, [])):
                yield pytest.param(name, value, id=f"{name}={value!a}")


def test_sound_facts_come_back_as_they_are():
    assert facts.sound(SOUND) == SOUND


@pytest.mark.parametrize(("name", "value"), list(bad()))
def test_a_fact_of_another_type_is_refused_by_name_at_construction_when_loaded_and_when_saved(name, value, tmp_path):
    says = f"not a sound snapshot: .*facts.{name}"
    columns: dict[str, Any] = {**vars(small()), "facts": {name: value}}
    with pytest.raises(SnapshotError, match=says):
        Snapshot(**columns)
    changed: Any = copy.copy(small())  # a copy is not constructed
    changed.facts = {**changed.facts, name: value}
    with pytest.raises(SnapshotError, match=says):
        file_format.save(changed, tmp_path / "s")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SnapshotError, match=f"^name of the file: .*{says}"):
        file_format.loads(file_format.dumps(changed), "name of the file")


def test_all_facts_that_are_wrong_are_named_at_once():
    with pytest.raises(SnapshotError, match=r"facts.kernel: expected `str`, got `int`; facts.notes\[0\]: expected"):
        facts.sound({"notes": [1], "kernel": 3})


def test_facts_that_this_version_does_not_know_are_left_out_when_loaded():
    changed: Any = copy.copy(small())
    changed.facts = {**changed.facts, "of tomorrow": [{"\ud800": None}]}
    assert file_format.loads(file_format.dumps(changed), "s").facts == small().facts


@pytest.mark.parametrize(("name", "numbered"), [("file_names", 5), ("space_names", 3)])
def test_fewer_names_than_files_or_spaces_are_refused(name, numbered):
    snapshot: Any = small()
    assert (snapshot.nfiles, snapshot.nspaces) == (5, 3)
    snapshot.facts[name] = ["a"] * (numbered - 1)
    with pytest.raises(SnapshotError, match=f"facts.{name}: fewer than the {numbered} that are numbered"):
        snapshot.check()
    snapshot.facts[name] = ["a"] * numbered
    snapshot.check()
    snapshot.select(np.arange(len(snapshot)))


@pytest.mark.parametrize("notes", [5, None, [1], ["a\ud800b"]])
@pytest.mark.parametrize("json", [(), ("--json",)])
def test_run_ends_with_3_on_notes_that_are_not_sentences(notes, json, tmp_path):
    changed: Any = copy.copy(small())
    changed.facts = {**changed.facts, "notes": notes}
    (tmp_path / "f.pgxsnap").write_bytes(file_format.dumps(changed))
    ran = pagexchange("run", "--rounds", "0", "--strategy", "word-swap", "--input", str(tmp_path / "f.pgxsnap"), *json)
    assert (ran.code, ran.out) == (3, "")
    assert "f.pgxsnap: not a sound snapshot: facts.notes" in ran.err
