"""docs/linux.md says of each flag what the layouts say, and of each status what the code has."""

import re
from pathlib import Path

from pagexchange.model import statuses
from pagexchange.model.layout import Field, Flag, Layout
from pagexchange.model.live import TAILS

TEXT = (Path(__file__).parents[2] / "docs" / "linux.md").read_text(encoding="utf-8")
LAYOUTS = {name: Layout.load(name) for name in Layout.available()}


def rows(mark: str) -> list[dict[str, str]]:
    """The table after a mark, a dict for each row."""
    table = TEXT.partition(f"<!-- {mark} -->\n\n")[2].partition("\n\n")[0].splitlines()
    head, _, *body = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert all(len(cells) == len(head) for cells in body), mark
    return [dict(zip(head, cells, strict=True)) for cells in body]


def said(part: Flag | Field | None) -> str:
    """A policy as the table has it."""
    if part is None:
        return "-"
    tail = getattr(part, "tail", "stay")
    return part.policy if tail == "stay" else f"{part.policy}, tails {tail}"


def test_every_flag_and_field_has_a_row_with_its_policies() -> None:
    parts: dict[str, dict[str, Flag | Field]] = {}
    for name, layout in LAYOUTS.items():
        both: tuple[Flag | Field, ...] = (*layout.flags, *layout.fields)
        parts[name] = {part.name: part for part in both}
    names = set().union(*parts.values())
    table = rows("flags")
    assert sorted(row["flag"] for row in table) == sorted(f"`{name}`" for name in names)
    for row in table:
        flag = row["flag"].strip("`")
        assert {name: row[name] for name in LAYOUTS} == {name: said(parts[name].get(flag)) for name in LAYOUTS}, flag
        assert len(row["verdict"]) > 5, flag


def test_numbers_seen_are_so_many_of_so_many_and_what_differs_says_why() -> None:
    for row in rows("flags"):
        for kernel in ("6.1", "6.12"):
            assert re.fullmatch(r"-|all|\d+ of \d+", row[kernel]), row
        agrees = row["verdict"].startswith(("agrees", "has no bits"))
        assert agrees or row["verdict"].startswith("differs on purpose"), row
        for topic in re.findall(r"see (\w+)", row["verdict"]):
            assert re.search(rf"\*\*{topic}[\w ,]*\*\*|## {topic}", TEXT, re.IGNORECASE), topic


def test_names_in_tails_are_those_that_layouts_and_kernels_have() -> None:
    table = {row["name"].strip("`"): row for row in rows("tails")}
    assert set(table) == set(TAILS) - {"reserved"}
    for name, row in table.items():
        for layout in LAYOUTS.values():
            cell = row[layout.name.removeprefix("linux-")]
            assert cell == (layout.flag(name).tail if name in layout else "-"), (name, layout.name)
            if name in layout:
                assert f"`{layout.flag(name).name}`" in row["bit of"]
                assert layout.flag(name).tail == TAILS[name]
    for layout in LAYOUTS.values():  # and no other bit of theirs means something in a tail
        named = {layout.flag(name).name for name in TAILS if name in layout}
        assert {flag.name for flag in layout.flags if flag.tail != "stay"} <= named


def test_every_status_is_in_the_table_or_named_as_no_pages() -> None:
    known = {statuses.errno_name(code) for code in statuses.REASONS}
    table = set().union(*(re.findall(r"`(E[A-Z]+)`", row["exchange"]) for row in rows("statuses")))
    others = set(re.findall(r"`(E[A-Z]+)`", TEXT.partition("EPERM is not among")[2].partition("\n\n")[0]))
    assert table <= known
    assert table | others == known
    assert not table & others


def test_advice_to_retry_is_for_what_a_retry_cures() -> None:
    cured = {"EAGAIN", "ETIMEDOUT"}
    assert {statuses.errno_name(code) for code, text in statuses.REASONS.items() if "retry" in text} == cured
