"""Tables and paragraphs: what wraps, what never is cut, which layout is shown; and that only printing imports rich."""

import subprocess
import sys

import pytest
from rich.text import Text

from pagexchange.cli.layout import PROSE, Layouts, Paragraph, Words, render, table, text

SENTENCE = "words that do not fit on the one line that there is"


def test_texts_stand_left_and_numbers_right() -> None:
    rows = [{"name": "a", "n": "1"}, {"name": "longer", "n": "1,000"}]
    assert render([table(rows, ("name", "n"), left=["name"])], 80) == "name        n\na           1\nlonger  1,000\n"


def test_a_column_of_sentences_is_wrapped_in_the_width_that_is_left() -> None:
    rows: list[dict[str, Words]] = [{"step": "1 lock", "what": (SENTENCE, "dim")}, {"step": "2", "what": "short"}]
    steps = Layouts([table(rows, ("step", "what"), left=["step"], prose="what")])
    assert render([steps], 40).splitlines() == [
        "step    what",
        "1 lock  words that do not fit on the one",
        "        line that there is",
        "2       short",
    ]
    assert max(map(len, render([steps], 10).splitlines())) <= 8 + PROSE
    assert SENTENCE in " ".join(render([steps], 10).replace("1 lock", "").split())


@pytest.mark.parametrize(
    ("width", "shown"),
    [(19, "a b c"), (18, "a c, a b"), (12, "a c, a b"), (11, "a, b, c"), (5, "a, b, c"), (3, "a, b, c")],
)
def test_the_first_layout_that_fits_is_shown_else_the_last_and_nothing_is_cut(width: int, shown: str) -> None:
    rows = [{"a": "1", "b": "two words", "c": "333 m"}]  # 1, 9 and 5 wide
    wide, middle, narrow = ["abc"], ["ac", "ab"], ["a", "b", "c"]
    layouts = Layouts(*([table(rows, heads, left=()) for heads in layout] for layout in (wide, middle, narrow)))
    printed = render([layouts], width)
    tables = printed.split("\n\n")
    assert ", ".join(" ".join(one.splitlines()[0].split()) for one in tables) == shown
    assert {"1", "two words", "333 m"} <= {cell.strip() for line in printed.splitlines() for cell in line.split("  ")}


def test_a_head_of_two_words_may_stand_on_two_lines() -> None:
    rows = [{"name": "a", "frames got": "1"}]
    printed = render([table(rows, ("name", "frames got"), left=["name"], tall=True)], 80)
    assert printed.splitlines() == ["      frames", "name     got", "a          1"]


def test_words_are_wrapped_under_the_label_and_keep_their_style() -> None:
    words: list[Words] = [("head ", "bold"), "one two three ", ("four ", "warn"), ("five six", "warn"), " end"]
    paragraph = Paragraph(*words, label="l: ")
    assert render([paragraph], 3 + PROSE).splitlines() == ["l: head one two three four", "   five six end"]
    assert render([paragraph], 100) == "l: head one two three four five six end\n"
    coloured = render([Paragraph(*words, label="l: ")], 3 + PROSE, "standard")
    assert coloured.splitlines() == [
        "l: \x1b[1mhead \x1b[0mone two three \x1b[33mfour\x1b[0m",
        "   \x1b[33mfive six\x1b[0m end",
    ]


def test_a_label_takes_its_indent_and_a_paragraph_may_be_printed_twice() -> None:
    paragraph = Paragraph("a", label="l", indent=4)
    assert render([paragraph, paragraph], 80) == "l   a\n" * 2
    assert render([Paragraph(label="name: ")], 80) == "name:\n"


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    path = "/" + "x" * 120
    assert render([Paragraph("see ", path, " there", label="l: ")], 40).splitlines()[1:] == ["   " + path, "   there"]


def test_a_line_that_is_just_full_has_no_space_after_it() -> None:
    full = Paragraph("a" * 20, " bbb ", "ccc")
    assert render([full], PROSE).splitlines() == ["a" * 20 + " bbb", "ccc"]


def test_neither_markup_nor_control_characters_of_a_name_have_an_effect() -> None:
    assert text("[bold]", ("\x1b[2J\r\nnext", "dim")).plain == "[bold]\\x1b[2J next"
    assert render([table([{"[red]x": "[/]"}], ["[red]x"], left=())], 80) == "[red]x\n   [/]\n"
    assert render([Text("[bold]:smile: 1")], 80, None) == "[bold]:smile: 1\n"


@pytest.mark.parametrize("args", [["--help"], ["list", "--json"], ["check"], ["completion", "bash"], ["run", "--help"]])
def test_rich_is_not_imported_where_no_table_is_printed(args: list[str]) -> None:
    code = (
        "import sys\nfrom pagexchange.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as stop: assert not stop.code\n"
        "assert 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code, *args], check=True, capture_output=True, timeout=120)
