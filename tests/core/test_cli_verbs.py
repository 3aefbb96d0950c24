"""list, explain, check, env, completion, snapshot and the help: what they print, and with which code they end."""

import json
import os
import re
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pagexchange.cli.command import VERBS
from pagexchange.host.read import packaged
from pagexchange.pages.snapshot.proc import reader
from pagexchange_native.engine.steps import STEPS
from tests.core.command_line import pagexchange, stranger

ROOT = Path(__file__).parents[2]

STRANGER = """
from dataclasses import dataclass
import pagexchange

@dataclass(frozen=True)
class Declines:
    "Serves nobody."
    size: int = 3

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        return None

class NoHooks:
    def exchange_data(self, arena):
        return None
"""


@pytest.fixture
def strange(tmp_path, monkeypatch):
    stranger(
        tmp_path,
        STRANGER,
        declines="stranger_plugins:Declines",
        hookless="stranger_plugins:NoHooks",
        broken="stranger_missing:X",
        word_swap="stranger_plugins:Declines",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("stranger_plugins", None)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_verb_has_help(verb):
    for option in ("--help", "-h"):
        ran = pagexchange(*filter(None, [verb, option]))
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"Usage: pagexchange {verb}".rstrip())
        assert max(map(len, ran.out.splitlines())) <= 100


def test_the_help_shows_every_verb_on_a_line_of_its_own_and_every_exit_code():
    printed = pagexchange("--help").out
    for verb in VERBS:
        assert re.search(rf"^  {verb} +[A-Z].*\.$", printed, re.MULTILINE), verb
    for code in (0, 1, 2, 3, 4, 70, 130):
        assert re.search(rf"^  +{code} +\w", printed, re.MULTILINE)


def test_the_version_is_that_of_the_distribution():
    assert pagexchange("--version").out == f"pagexchange {version('pagexchange')}\n"


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["rnu"], "No such command 'rnu'; did you mean 'run'?"),
        (["run", "--strategi", "x"], "Did you mean --strategy?"),
        (["run", "--strategy", "wordswap"], "unknown strategy 'wordswap'; did you mean 'word-swap'?"),
        (["explain", "wordswap"], "unknown strategy 'wordswap'; did you mean 'word-swap'?"),
        (["list", "wordswap"], "unknown plug-in 'wordswap'; did you mean 'word-swap'?"),
        (["run", "--set", "run.sede=3"], "--set run.sede=3: run.sede: unknown key 'sede'; did you mean 'seed'?"),
        (["check", "--set", "strategy.numpi.threads=3"], "no strategy 'numpi'; did you mean 'numpy'?"),
        (["run", "--input", "x", "--live"], "--input and --live exclude each other"),
        (["run", "no-such.toml"], "no-such.toml: no such file"),
        (["run", "--pairs", "0"], "'--pairs'"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
    ],
)
def test_what_is_unknown_or_wrong_ends_in_2_with_the_nearest_name(args, hint):
    ran = pagexchange(*args)
    assert (ran.code, ran.out) == (2, "")
    assert hint in ran.err.replace("'--strategy'", "--strategy")  # click quotes it since 8.2
    assert "Traceback" not in ran.err


WRONG = """\
schema = 1
[rnu]
x = 1
[run]
sed = 3
mode = "asinc"
[arena]
nodes = { fast = "256 MB", slow = "25x" }
[strategy.fast]
flags = "masked-wrd"
data = { plugin = "word-swap", iza = "scalar" }
mapping = "xarray"
expct = "exact"
"""


@pytest.mark.parametrize("verb", ["check", "run"])
def test_all_errors_of_a_file_are_said_at_once_with_their_places(tmp_path, verb):
    file = tmp_path / "s.toml"
    file.write_text(WRONG)
    ran = pagexchange(verb, str(file))
    assert (ran.code, ran.out) == (2, "")
    assert [line.removeprefix(f"{file}:") for line in ran.err.splitlines()][:7] == [
        "2:1: rnu: unknown key 'rnu'; did you mean 'run'?",
        "5:1: run.sed: unknown key 'sed'; did you mean 'seed'?",
        "6:8: run.mode: unknown value 'asinc'; did you mean 'async'?",
        "8:35: arena.nodes.slow: size '25x': want bytes or text such as '64 MiB'",
        "10:9: strategy.fast.flags: unknown plug-in 'masked-wrd'; did you mean 'masked-word'?",
        "11:32: strategy.fast.data.iza: unknown key 'iza'; did you mean 'isa'?",
        "13:1: strategy.fast.expct: unknown key 'expct'; did you mean 'expect'?",
    ]


@pytest.mark.parametrize("args", [("check",), ("run",), ("explain", "numpy")])
def test_a_folder_is_no_strategies_file(tmp_path, args):
    ran = pagexchange(*args, str(tmp_path))
    assert (ran.code, ran.out) == (2, "")
    assert "is a directory" in ran.err


def test_a_right_file_is_said_to_be_right():
    ran = pagexchange("check")
    assert (ran.code, ran.err) == (0, "")
    assert "nothing is wrong; 8 strategies: rfc-2019, whole-word" in ran.out


def test_list_shows_the_state_of_every_plug_in_and_why(strange, monkeypatch):
    monkeypatch.setenv("PAGEXCHANGE_BLOCK", "null")
    ran = pagexchange("list", "--block", "xarray")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line and line[0] != " "}
    assert re.match(r"declines +ok +data +stranger 2\.5 +Serves nobody\.", rows["declines"])
    assert re.match(r"xarray +blocked", rows["xarray"])
    assert re.match(r"null +blocked", rows["null"])
    assert re.match(r"broken +failed", rows["broken"])
    assert re.match(r"hookless +no hooks", rows["hookless"])
    assert re.search(rf"^word-swap +ok +data +built in {version('pagexchange')}", ran.out, re.MULTILINE)
    assert re.search(r"^word-swap +shadowed +- +stranger 2\.5", ran.out, re.MULTILINE)
    flat = " ".join(ran.out.split())
    assert "broken: failed, cannot be imported: ModuleNotFoundError: No module named 'stranger_missing'" in flat
    assert "word-swap: shadowed, by pagexchange" in flat


def test_list_as_json_is_one_object_with_options(strange):
    data = json.loads(pagexchange("list", "--json").out)
    found = {(p["name"], p["state"]): p for p in data["plugins"]}
    assert found["declines", "ok"]["options"] == [{"name": "size", "type": "int", "default": 3}]
    assert ("word-swap", "shadowed") in found
    assert data["schema"] == 1


def test_list_of_a_name_shows_its_options():
    printed = pagexchange("list", "word-swap").out
    assert "isa: 'auto' | 'scalar' |" in printed
    assert "default 'auto'" in printed
    assert "temp-page" not in printed
    assert "takes no options" not in printed


def test_list_of_a_name_says_that_it_takes_no_options_where_that_is_known(strange):
    assert pagexchange("list", "xarray").out.endswith("\nxarray\n    takes no options\n")
    assert "takes no options" not in pagexchange("list").out
    for name in ("broken", "hookless", "declines"):  # the last one has options, nobody can ask the others
        assert "takes no options" not in pagexchange("list", name).out
    assert "    size: int, default 3" in pagexchange("list", "declines").out
    assert "takes no options" not in pagexchange("list", "xarray", "--block", "xarray").out


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("args", [["list"], ["explain", "copy-page"], ["explain", "list-exchange"]])
def test_what_is_printed_fits_its_width_and_keeps_its_sentences(args, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    printed = pagexchange(*args).out
    assert max(map(len, printed.splitlines())) <= width
    said = "three copies" if args != ["explain", "list-exchange"] else "fail, allocate, block or run Python"
    assert said in " ".join(printed.split())


def test_explain_shows_each_step_in_order_who_serves_it_and_what_it_allocates():
    ran = pagexchange("explain", "copy-page", "--set", "run.threads=2", "--set", "run.mode=sync")
    assert (ran.code, ran.err) == (0, "")
    steps = re.findall(r"^ ?(\d+) (\w+) +(\S+)", ran.out, re.MULTILINE)
    assert steps == [
        ("1", "validate", "core"), ("2", "claim", "core"), ("3", "pins", "core"), ("4", "ready", "core"),
        ("5", "flags", "masked-word"), ("6", "mapping", "xarray"), ("7", "settle", "core"),
        ("8", "prepare", "temp-page"), ("9", "data", "temp-page"), ("10", "tails", "core"), ("11", "finish", "core"),
    ]  # fmt: skip
    assert [name for _, name, _ in steps] == [step.name for step in STEPS]
    assert ran.out.index(" 8 prepare") < ran.out.index("the point of no return") < ran.out.index(" 9 data")
    flat = " ".join(ran.out.split())
    assert "mode sync; 2 threads; no Python in a batch" in flat
    assert f"data: temp-page (built in, {version('pagexchange')}; native;" in flat
    assert "takes frames: one folio per pair" in flat
    assert "write-back: waited for, then ETIMEDOUT" in flat
    assert "a pair that finds no frame gets ENOMEM" in flat


def test_explain_shows_what_a_migration_takes_and_frees_and_who_copies():
    ran = pagexchange("explain", "migrate", "--set", 'strategy.migrate.copy=["folio-copy", "numpy-copy"]')
    assert (ran.code, ran.err) == (0, "")
    flat = " ".join(ran.out.split())
    for words in (
        "then takes free frames for up to 512 base pages at a time; a page that finds none gets ENOMEM",
        "8 prepare folio-copy then numpy-copy",
        "a page that is refused with ENOMEM goes to the next copier",
        "9 data folio-copy then numpy-copy",
        "the frame that a page has left is freed",
        "copy: numpy-copy (built in",
        "Python in each batch",
    ):
        assert words in flat


@pytest.mark.parametrize(
    ("mode", "said"),
    [("async", ["the pair gets EAGAIN", "EBUSY at once"]), ("sync-light", ["waited for in", "EBUSY at once"])],
)
def test_explain_says_what_the_mode_waits_for(mode: str, said: list[str]) -> None:
    chain = 'strategy.copy-page.data=["temp-page", "word-swap"]'
    flat = " ".join(pagexchange("explain", "copy-page", "--set", f"run.mode={mode}", "--set", chain).out.split())
    for words in (*said, "temp-page then word-swap", "a pair that finds no frame goes to the next mover"):
        assert words in flat


def test_explain_shows_the_instruction_set_chosen_and_who_declined(strange):
    chain = 'strategy.word-swap.data=["declines", {plugin="word-swap", isa="scalar"}]'
    ran = pagexchange("explain", "word-swap", "--set", chain)
    flat = " ".join(ran.out.split())
    assert "data: declines does not serve: declined this arena" in flat
    assert "isa: scalar" in flat
    assert "takes frames: none" in flat
    data = json.loads(pagexchange("explain", "word-swap", "--set", chain, "--json").out)
    assert data["skipped"] == [{"question": "data", "name": "declines", "reason": "declined this arena"}]
    assert [(p["question"], p["name"]) for p in data["plugins"]] == [
        ("flags", "masked-word"), ("mapping", "xarray"), ("data", "word-swap")
    ]  # fmt: skip
    assert data["plugins"][2]["details"]["isa"] == "scalar"


def test_a_module_that_is_a_plug_in_takes_no_options(tmp_path, monkeypatch):
    code = "import pagexchange\n@pagexchange.hookimpl\ndef exchange_data(arena): return lambda pieces, a, b: None\n"
    stranger(tmp_path, code, "plain", whole="plain_plugins")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "s.toml"
    wrong = f"{file}:5:28: strategy.s.data.size: unknown option 'size': it takes none\n1 error\n"
    for options, ends, said in (("", 0, ""), (", size = 7", 2, wrong)):
        data = f"data = {{ plugin = 'whole'{options} }}"
        file.write_text(f"schema = 1\n[strategy.s]\nflags = 'masked-word'\nmapping = 'xarray'\n{data}\n")
        ran = pagexchange("check", str(file))
        assert (ran.code, ran.err) == (ends, said)
    sys.modules.pop("plain_plugins")


@pytest.mark.parametrize("dist", ["ant", "zebra"])
def test_explain_says_whose_plug_in_it_is(tmp_path, monkeypatch, dist):
    code = STRANGER.replace("        return None\n\nclass", "        return lambda pieces, a, b: None\n\nclass")
    stranger(tmp_path, code, dist, **{f"of_{dist}": f"{dist}_plugins:Declines"})
    monkeypatch.syspath_prepend(tmp_path)
    ran = pagexchange("explain", "word-swap", "--set", f'strategy.word-swap.data={{plugin="of-{dist}", size=7}}')
    flat = " ".join(ran.out.split())
    assert f"data: of-{dist} ({dist} 2.5; Python; options size = 7)" in flat
    assert "under a whole-page log" in flat
    assert f"mapping: xarray (built in, {version('pagexchange')}; native; " in flat


def test_explain_names_the_wrappers_outermost_first_and_what_each_wraps():
    wraps = 'strategy.word-swap.wrap=["timing", {plugin="faults", every=7}]'
    flat = " ".join(pagexchange("explain", "word-swap", "--set", wraps).out.split())
    assert flat.endswith("wrapped by: timing, faults (outermost first)")
    data = flat[flat.index("data: word-swap (") :]
    assert "; wrapped by timing, faults)" in data
    assert "wrapped by" not in pagexchange("explain", "word-swap").out


def test_a_control_character_of_a_file_is_shown_and_does_nothing(tmp_path):
    strange, shown = r'"\u001b[31mred[/]"', r"\x1b[31mred[/]"
    file = tmp_path / "s.toml"
    served = "flags = 'masked-word'\ndata = 'word-swap'\nmapping = 'xarray'"
    file.write_text(f"schema = 1\n[strategy.good]\nsummary = {strange}\n{served}\n")
    explained = pagexchange("explain", "good", str(file))
    assert (explained.code, explained.out.splitlines()[0]) == (0, f"good  {shown}")
    assert "\x1b" not in explained.out
    file.write_text(f"schema = 1\n[strategy.{strange}]\nflags = {strange}\n")
    for verb in ("check", "run"):
        ran = pagexchange(verb, str(file))
        assert (ran.code, ran.out) == (2, "")
        assert f"unknown plug-in '{shown}'" in ran.err
        assert f'strategy."{shown}": a strategy\'s name is lower case' in ran.err
        assert "\x1b" not in ran.err


def test_a_strategy_that_nobody_serves_ends_in_4(strange):
    ran = pagexchange("explain", "word-swap", "--set", "strategy.word-swap.data=declines")
    assert (ran.code, ran.out) == (4, "")
    assert "no plug-in answers exchange_data: declines declined this arena" in ran.err


def test_env_is_the_environment_of_a_run():
    from pagexchange.runs.environment import collect

    assert json.loads(pagexchange("env", "--json").out).keys() == collect().keys()
    assert re.search(r"^Python +CPython", pagexchange("env").out, re.MULTILINE)


def test_the_manual_is_printed_page_by_page():
    pages = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    listed = pagexchange("docs")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()[: len(pages)]] == pages
    folder = Path(listed.out.splitlines()[-1].removeprefix("Installed in "))
    for page in pages:
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for name in (page, f"{page}.md", f"docs/{page}.md"):
            ran = pagexchange("docs", name)
            assert (ran.code, ran.out) == (0, text)
        assert (folder / f"{page}.md").read_text(encoding="utf-8") == text
    wrong = pagexchange("docs", "write-a-plug")
    assert wrong.code == 2
    assert "no page 'write-a-plug' in the manual; did you mean 'write-a-plugin'?" in wrong.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    ran = pagexchange("completion", shell)
    assert ran.code == 0
    assert f"_PAGEXCHANGE_COMPLETE={shell}_complete" in ran.out


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ru", {"run"}),
        ("run --strategy li", {"list-exchange"}),
        ("explain t", {"two-pass"}),
        ("list numpy-", {"numpy-copy", "numpy-swap"}),
        ("run --verify a", {"all"}),
        ("run --li", {"--live"}),
    ],
)
def test_bash_completes(tmp_path, line, found):
    assert completed(tmp_path, line) == found


def test_strategies_are_completed_from_the_file_of_the_line_and_none_from_a_wrong_one(tmp_path):
    (tmp_path / "own.toml").write_text(packaged().decode().replace("[strategy.list-exchange]", "[strategy.li-mine]"))
    (tmp_path / "wrong.toml").write_text("schema = 1\n[strategy.li-mine]\n")
    assert completed(tmp_path, f"run {tmp_path}/own.toml --strategy li") == {"li-mine"}
    assert completed(tmp_path, f"run {tmp_path}/wrong.toml --strategy li") == set()


def completed(tmp_path, line):
    """What bash offers at the end of a line."""
    command = tmp_path / "pagexchange"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c "from pagexchange.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    words = f"pagexchange {line}".split()
    script = (
        'eval "$(pagexchange completion bash)"\n'
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "_pagexchange_completion pagexchange\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def unreadable(path: Path) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_a_snapshot_is_written_summed_up_and_never_replaced_unasked(tmp_path, monkeypatch):
    real = reader.Words.__init__
    monkeypatch.setattr(
        reader.Words, "__init__", lambda self, p: unreadable(p) if p.name.startswith("kpage") else real(self, p)
    )
    out = tmp_path / "own.pgxsnap"
    ran = pagexchange("snapshot", str(out), "--limit", "500")
    assert ran.code == 0
    assert re.match(rf"{re.escape(str(out))}: 500 frames \(", ran.out)
    assert "note: /proc/kpageflags: Permission denied. Only this process was recorded" in ran.err
    again = pagexchange("snapshot", str(out))
    assert (again.code, again.out) == (2, "")
    assert "exists; give another name, or --force to replace it" in again.err
    data = json.loads(pagexchange("snapshot", str(out), "--limit", "400", "--force", "--json").out)
    assert (data["schema"], data["path"], data["bytes"], data["frames"]) == (1, str(out), out.stat().st_size, 400)
    assert pagexchange("snapshot", str(tmp_path / "none" / "x")).code == 3


def snapshot_bytes() -> bytes:
    from importlib import resources

    return (resources.files("pagexchange") / "data" / "machine.pgxsnap").read_bytes()


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda good: good[: len(good) // 2], "cut short"),
        (lambda good: good[:8] + struct.pack("<I", 99) + good[12:], "99"),
        (lambda good: b"schema = 1\n", "not a pagexchange snapshot"),
        (lambda good: b"", "cut short|not a pagexchange snapshot|empty"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_snapshot_that_cannot_be_used_ends_in_3_with_one_line(tmp_path, spoilt, said):
    file = tmp_path / "spoilt.pgxsnap"
    if spoilt:
        file.write_bytes(spoilt(snapshot_bytes()))
    ran = pagexchange("run", "--input", str(file))
    assert (ran.code, ran.out) == (3, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"pagexchange: {file}")
    assert re.search(said, line)
