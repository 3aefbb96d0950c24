"""The golden tables, the layouts' policies and docs/linux.md say the same, and what is wrong with one of them is seen.

Without a guest: what Linux did is in the golden tables. `make guest` compares them with what it does.
"""

import json
import re
from pathlib import Path

import pytest

from pagexchange.model.layout import Layout
from tests.guest import golden
from tests.guest.judge import flipped, judge, misjudged, read, unexplained
from tests.guest.policies import differences, explanations
from tests.guest.verdicts import cells, verdict, verdicts

SERIES = sorted(file.stem for file in golden.FOLDER.glob("*.toml"))
TEXT = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "docs" / "linux.md").read_text(encoding="utf-8"))


def tables(series):
    known = golden.load(series)
    assert known is not None
    layout = Layout.load(known.layout)
    return [(lists, table, layout) for lists, table in known.tables.items()]


def test_there_are_tables_of_two_series_for_both_kinds_of_lists():
    assert SERIES == ["6.1", "6.12"]
    assert [[lists for lists, _, _ in tables(series)] for series in SERIES] == [["classic", "mglru"]] * 2
    assert golden.load("2.6") is None


@pytest.mark.parametrize("series", SERIES)
def test_what_linux_does_otherwise_than_a_layout_says_is_explained(series):
    for lists, table, layout in tables(series):
        assert unexplained(lists, table, layout) == []


def test_each_explanation_explains_something_and_stands_in_the_docs():
    found = [(lists, each) for series in SERIES for lists, table, layout in tables(series)
             for each in differences(table, layout)]  # fmt: skip
    for one in explanations():
        assert any(one.covers(lists, each) for lists, each in found), one
        assert one.says in TEXT, one


@pytest.mark.parametrize("series", SERIES)
def test_a_wrong_policy_is_seen_whichever_flag_has_it(series):
    for lists, table, layout in tables(series):
        assert {each.name for each in unexplained(lists, table, misjudged(layout))} == {"uptodate"}


@pytest.mark.parametrize("series", SERIES)
def test_a_wrong_cell_a_missing_and_a_new_one_are_seen(series):
    for _, table, _ in tables(series):
        assert golden.unlike(table, table) == []
        assert len(golden.unlike(flipped(table), table)) == 1
        short = {population: row for population, row in table.items() if population != "anon"}
        assert len(golden.unlike(table, short)) == len(golden.unlike(short, table)) > 5


def test_a_table_survives_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    made = golden.Golden("6.99.1", "linux-6.18", {"classic": {"thp, tails": {"moved": "2 of 2", "lost, -": "a b"}}})
    golden.save("6.99", made)
    assert golden.load("6.99") == made
    assert cells(made.tables["classic"]) == {
        ("thp, tails", "moved"): "2 of 2", ("thp, tails", "a"): "lost, -", ("thp, tails", "b"): "lost, -"
    }  # fmt: skip


def test_a_verdict_has_a_word_for_each_move_and_counts_where_pages_differ():
    there = {"a": 1, "n": 3}
    assert verdict("a", [there, there, there]) == "kept"
    assert verdict("a", [{}, there, there]) == "gained, kept"
    assert verdict("n", [there, {"n": 4}, {}]) == "changed, lost"
    assert verdict("a", [there, {}, {}]) == "lost, -"
    assert verdicts([[there, there, there], [there, {"n": 3}, {"n": 3}]]) == {"1 kept; 1 lost, -": "a", "kept": "n"}


def test_a_guest_that_does_otherwise_is_judged_wrong(capsys):
    (lists, table, layout), *_ = tables("6.12")
    line = json.dumps({"lists": lists, "layout": layout.text, "populations": table})
    assert judge("6.12", read(line.encode())) == 0
    assert "golden table (made with" in capsys.readouterr().out.lower()
    line = json.dumps({"lists": lists, "layout": layout.text, "populations": flipped(table)})
    assert judge("6.12", read(line.encode())) > 0
    assert "1 cells differ" in capsys.readouterr().out
    assert judge("2.6", read(line.encode())) > 0
    with pytest.raises(ValueError, match="no report"):
        read(b"\n")
