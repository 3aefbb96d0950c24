"""docs/flags.md names every flag and field of the layouts that ship, with their bits and policies as they are."""

from pathlib import Path

from pagexchange.model.layout import Field, Flag, Layout

PAGE = Path(__file__).parents[2] / "docs" / "flags.md"


def row(name: str, *cells: str) -> str:
    return f"| `{name}` | {' | '.join(cells)} |"


def place(part: Flag | Field | None) -> str:
    if part is None or (isinstance(part, Field) and not part.width):
        return "-"
    if isinstance(part, Flag):
        return f"{part.bit}, {part.policy}"
    return f"{part.shift} to {part.shift + part.width - 1}, {part.policy}"


def table() -> list[str]:
    """The rows as they must be: newest layout first, then what only older ones have."""
    layouts = [
        Layout.load(name) for name in sorted(Layout.available(), key=lambda n: [-int(x) for x in n[6:].split(".")])
    ]
    lines = [
        "| name | " + " | ".join(layout.name for layout in layouts) + " | other names |",
        "|---|" + "---|" * len(layouts) + "---|",
    ]
    for kind in ("flags", "fields"):
        parts = [{part.name: part for part in getattr(layout, kind)} for layout in layouts]
        for name in dict.fromkeys(name for named in parts for name in named):
            aliases = dict.fromkeys(a for layout in layouts for a, flag in layout.aliases.items() if flag == name)
            others = ", ".join(f"`{alias}`" for alias in aliases)
            lines.append(row(name, *(place(named.get(name)) for named in parts), others))
    return lines


def test_every_flag_stands_in_the_table() -> None:
    found = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    wanted = table()
    assert found == wanted, "the table of docs/flags.md is to be:\n" + "\n".join(wanted)


def test_the_names_of_the_page_are_those_that_set_flags_takes() -> None:
    layout = Layout.load("linux-6.18")
    for name in (*(flag.name for flag in layout.flags), *layout.aliases):
        assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
        assert layout.word(name)
