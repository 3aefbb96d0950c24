"""docs/cli.md says what the code has: verbs, options, exit codes, keys and defaults, fields, verdicts, errnos."""

import dataclasses
import re
import typing
from pathlib import Path

import click

from pagexchange import exits
from pagexchange.cli import command as cli
from pagexchange.hookspecs import QUESTIONS
from pagexchange.model import config, statuses, tomltext
from pagexchange.runs import result
from pagexchange.tier import result as tier
from pagexchange_native.engine.steps import COSTS, POINT_OF_NO_RETURN, STEPS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NUMBERS = (ROOT / "docs" / "how-to-read-the-numbers.md").read_text(encoding="utf-8")

RESULTS = {
    "run": result.RunResult,
    "input": result.InputInfo,
    "strategies[]": result.StrategyResult,
    "ns_per_pair": result.Costs,
    "rounds[]": result.Round,
    "tier": tier.TierResult,
    "stream": tier.StreamInfo,
    "nodes[]": tier.NodeInfo,
    "ways[]": tier.WayResult,
    "moved": tier.Moved,
    "reads": tier.Reads,
}
SECTIONS = {
    "[run]": config.RunConfig,
    "[arena]": config.ArenaConfig,
    "[arena] nodes.NAME": config.NodeConfig,
    "[workload]": config.WorkloadConfig,
    "[bench]": config.BenchConfig,
    "[tier]": config.TierConfig,
}


def section(title: str, level: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^{level} {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no heading '{level} {title}'"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of the tables in a text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def first(text: str) -> list[str]:
    return [re.findall(r"`([^`]+)`", row[0])[0] for row in rows(text)]


SHARED = section("Options that verbs share", "##")


def command(verb: str) -> click.Command:
    found = cli.cli.get_command(click.Context(cli.cli), verb)
    assert found is not None
    return found


def test_the_verbs_are_those_of_the_code() -> None:
    assert first(TEXT.split("\n## ")[0]) == list(cli.VERBS)


def options(text: str) -> list[tuple[list[str], bool]]:
    """The options in a section's table, and whether each takes a value."""
    return [(re.findall(r"-{1,2}[a-z-]+", row[0]), " " in re.findall(r"`([^`]+)`", row[0])[-1]) for row in rows(text)]


def options_of(verb: str) -> list[tuple[list[str], bool]]:
    given = [option for option in command(verb).params if isinstance(option, click.Option)]
    return [([*option.opts], not option.is_flag and not option.count) for option in given]


def test_the_options_of_each_verb_are_those_of_the_code() -> None:
    shared = options(SHARED)
    assert {verb: options(section(verb, "##")) for verb in cli.VERBS} == {
        verb: [option for option in options_of(verb) if option not in shared] for verb in cli.VERBS
    }


def test_the_options_that_verbs_share_are_those_of_the_code() -> None:
    shared = options(SHARED)
    have = {verb: [option for option in options_of(verb) if option in shared] for verb in cli.VERBS}
    sharing = {verb for verb in cli.VERBS if have[verb]}
    assert sharing == set(re.findall(r"`(\w+)`", SHARED.partition("|")[0]))
    assert {verb: have[verb] for verb in sharing} == dict.fromkeys(sharing, shared)


def test_the_exit_codes_and_their_meanings_are_those_of_the_code() -> None:
    assert {int(code): meaning for code, meaning in rows(section("Exit codes", "##"))} == exits.EXIT_CODES
    constants = {value for name, value in vars(exits).items() if name.startswith("EXIT_") and isinstance(value, int)}
    assert constants == set(exits.EXIT_CODES)


def default(value: object) -> str | None:
    """A default as a table shows it; None: the table describes it in words."""
    if value in (None, dataclasses.MISSING):
        return None
    return tomltext.value(value) if isinstance(value, bool | tuple) else str(value)


def test_the_keys_of_each_section_and_their_defaults_are_those_of_the_code() -> None:
    documented = {}
    for name in SECTIONS:
        literal = [re.fullmatch(r"`([^`]*)`", row[1]) for row in rows(section(name, "###"))]
        defaults = [text[1].strip('"') if text else None for text in literal]
        documented[name] = list(zip(first(section(name, "###")), defaults, strict=True))
    assert documented == {
        name: [(field.name, default(field.default)) for field in dataclasses.fields(kind)]
        for name, kind in SECTIONS.items()
    }


def test_the_keys_of_a_strategy_are_those_of_the_code() -> None:
    known = [field.name for field in dataclasses.fields(config.StrategySpec)][1:]
    said = first(section("[strategy.NAME]", "###"))
    assert sorted(said) == sorted(known)
    assert set(QUESTIONS) < set(said)


def test_the_json_is_described_field_by_field() -> None:
    documented = {name: first(section(name, "###")) for name in RESULTS}
    assert documented == {name: list(kind.__struct_fields__) for name, kind in RESULTS.items()}


def test_the_costs_are_those_of_the_engine_and_name_the_steps_that_they_count() -> None:
    assert result.Costs.__struct_fields__ == ("total", *COSTS)
    described = {row[0].strip("`"): row[1].partition(":")[0] for row in rows(section("ns_per_pair", "###"))[1:]}
    counted = {cost: [step.name for step in STEPS if step.cost == cost] for cost in COSTS}
    assert {cost: re.findall(r"`(\w+)`", text) for cost, text in described.items()} == counted


def test_the_steps_of_the_architecture_are_those_of_the_engine() -> None:
    table = rows(ARCHITECTURE.partition("<!-- steps -->\n\n")[2].partition("\n\n")[0])
    line = ["", "", "**the point of no return**", "", "", ""]
    steps = [[s.name, s.server, s.action, s.errors, s.undo, s.cost] for s in STEPS]
    at = [step.name for step in STEPS].index(POINT_OF_NO_RETURN)
    assert table == [*steps[:at], line, *steps[at:]]


def test_the_verdicts_are_those_of_the_code() -> None:
    assert first(section("Verdicts", "###")) == list(typing.get_args(result.Verdict))


def test_every_errno_that_a_pair_may_get_is_explained() -> None:
    assert set(first(section("Refused pairs", "###"))) == {statuses.errno_name(code) for code in statuses.REASONS}


def test_the_words_of_the_report_are_explained() -> None:
    for word in (
        "cpu ns", "wall ns", "ratio", "95 %", "level", "frames asked", "frames got", "below low", "below min"
    ):  # fmt: skip
        assert word in NUMBERS, word
    for verdict in typing.get_args(result.Verdict):
        assert f"`{verdict}`" in NUMBERS, verdict
