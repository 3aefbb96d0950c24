"""Strangers' packages against our wheel, in a fresh environment: the page for authors; compiled plug-ins that fail."""

import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.third_party.page import PAGE, files

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NATIVE = Path(__file__).parent / "native_strangers"
JUDGED = ("by-hand", "short-rows", "late-log", "last-first", "own-numbers", "word-swap")
"""What a file of its own has for the conformance suite, under their own names: two of them are right."""


def test_nothing_of_the_checkout_is_in_sight(environment, tmp_path):
    code = "import pagexchange, pagexchange_native, pagexchange_plugins; print(pagexchange.__file__)"
    done = environment.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(environment.folder)


def test_the_page_for_authors_works_to_the_letter(followed):
    _, steps = followed
    for step in steps:
        assert step.code == 0, f"$ {step.command}\n{step.printed}"
        assert not step.missing(), f"$ {step.command}\nis to print {step.missing()!r}, and printed\n{step.printed}"
    assert sum("pagexchange run" in step.command for step in steps) == 5
    assert sum("pagexchange.testing" in step.command for step in steps) == 5


def test_the_examples_are_the_files_of_the_page():
    made = ("build", "__pycache__", ".egg-info", ".so", ".c")
    there = {
        str(path.relative_to(EXAMPLES)): path.read_text(encoding="utf-8")
        for path in EXAMPLES.rglob("*")
        if path.is_file() and not any(part.endswith(made) for part in path.parts)
    }
    readmes = {name: there.pop(name) for name in list(there) if name.endswith("README.md")}
    del there["sweep.toml"]  # no plug-in: docs/cli.md has it
    del there["buffer-pool/buffer_pool.py"]  # none either: docs/tiers.md
    assert there == files(PAGE.read_text(encoding="utf-8"))
    assert len(readmes) == 6
    assert all("docs/write-a-plugin.md" in text for text in readmes.values())


def test_strangers_are_listed_beside_the_built_in_plug_ins(environment, followed):
    folder, _ = followed
    done = environment.run("pagexchange", "list", "--json", cwd=folder)
    plugins = {one["name"]: one for one in json.loads(done.stdout)["plugins"]}
    assert {one["state"] for one in plugins.values()} == {"ok"}
    assert plugins["look-ahead"]["distribution"] == "pagexchange-look-ahead"
    assert plugins["backward-swap"]["distribution"] == "pagexchange-backward-swap"
    assert plugins["word-swap"]["distribution"] == "pagexchange"


def test_a_native_stranger_runs_without_python_and_a_python_one_with_it(environment, followed):
    folder, _ = followed
    for name, strategy, native in (("look-ahead", "two-ahead", True), ("backward-swap", "backward", False)):
        done = environment.run("pagexchange", "explain", strategy, "strategies.toml", "--json", cwd=folder / name)
        assert json.loads(done.stdout)["native"] is native


@pytest.fixture(scope="module")
def broken(environment, tmp_path_factory):
    """The folder of a strategies.toml in which every compiled plug-in that is broken has its strategy."""
    folder = tmp_path_factory.mktemp("native")
    shutil.copytree(NATIVE, folder / "source", ignore=shutil.ignore_patterns("build", "*.c", "*.egg-info"))
    # as `pip install --no-build-isolation`: what it builds with is in the environment
    done = environment.run("pip", "install", "-q", "./source", cwd=folder, PIP_NO_BUILD_ISOLATION="0")
    assert done.returncode == 0, done.stderr
    files = {"strategies.toml": ["schema = 1"], "judged.toml": ["schema = 1"]}
    for name, flags, data in (
        ("endless", "masked-word", "endless"),
        ("old-abi", "old-abi", "word-swap"),
        ("compiled-hooks", "masked-word", "compiled-hooks"),
        *((name, "masked-word", name) for name in JUDGED),
        ("good", "masked-word", "word-swap"),
    ):
        lines = files["judged.toml" if name in JUDGED else "strategies.toml"]
        lines.append(f'[strategy.{name}]\nflags = "{flags}"\ndata = "{data}"\nmapping = "xarray"')
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines))
    return folder


def test_a_plug_in_compiled_for_another_abi_is_refused_and_the_others_run(environment, broken):
    names = ("--strategy=old-abi", "--strategy=good")
    done = environment.run("pagexchange", "run", "strategies.toml", *names, "--rounds=0", "--json", cwd=broken)
    assert done.returncode == 4, done.stderr
    result = {one["name"]: one for one in json.loads(done.stdout)["strategies"]}
    assert result["old-abi"]["verdict"] == "failed"
    assert "plug-in 'old-abi' (native-strangers 3.1): " in result["old-abi"]["reason"]
    assert "it was compiled for ABI 1, this pagexchange has ABI 2: build it again" in result["old-abi"]["reason"]
    assert result["good"]["verdict"] == "exact"


def test_hooks_that_cython_compiled_are_refused_with_the_cure_or_work(environment, broken):
    """pluggy before 1.7 takes them."""
    version = environment.run("python", "-c", "import pluggy; print(pluggy.__version__)", cwd=broken).stdout
    done = environment.run("pagexchange", "list", "--json", cwd=broken)
    one = next(one for one in json.loads(done.stdout)["plugins"] if one["name"] == "compiled-hooks")
    if tuple(map(int, version.split(".")[:2])) < (1, 7):
        assert one["state"] == "ok"
        return
    assert one["state"] == "no hooks"
    assert "put the methods marked @pagexchange.hookimpl into a plain .py file" in one["reason"]
    check = environment.run("pagexchange", "check", "strategies.toml", cwd=broken)
    assert (
        "strategy.compiled-hooks.data: plug-in 'compiled-hooks' (native-strangers 3.1): pluggy did not" in check.stderr
    )


def test_a_native_mover_that_never_returns_is_named_with_the_way_to_end_it(environment, broken):
    with subprocess.Popen(
        ["pagexchange", "run", "strategies.toml", "--strategy=endless", "--rounds=0"],
        cwd=broken, env=environment.variables | {"PAGEXCHANGE_PATIENCE": "0.4"}, text=True, stdout=-1, stderr=-1,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        patience = threading.Timer(60, process.kill)  # if nothing is said, nobody would end it
        patience.start()
        try:
            line = process.stderr.readline()
            advice = re.search(r"`kill -9 (\d+)`", line)
            assert advice, line
            subprocess.run(["kill", "-9", advice[1]], check=True)  # the process that works: the other one reports
            _, rest = process.communicate(timeout=60)
        finally:
            patience.cancel()
            process.kill()
    assert line.startswith("pagexchange: strategy 'endless': nothing has moved for ")
    assert "plug-in 'endless' (native-strangers 3.1, " in line
    assert "plugins.py) does not return from moving data. It cannot be interrupted" in line
    assert process.returncode == 4, rest
    assert advice[1] != str(process.pid)


def judged(environment, folder, *options: str, block: str):
    """What the conformance suite's one command says of them."""
    command = ("pytest", "-p", "no:cacheprovider", "--pyargs", "pagexchange.testing", "--strategies=judged.toml")
    return environment.run(*command, *options, cwd=folder, PAGEXCHANGE_BLOCK=block)


def test_a_wrong_compiled_mover_is_caught_by_its_clause_and_named_and_the_right_ones_pass(environment, broken):
    """What no plug-in in Python can do: the engine looks at what that one has moved, and writes its log itself."""
    some = f"-k=({' or '.join(JUDGED)}) and (data or stopped or dead or contents and linux-6.18)"
    done = judged(environment, broken, "-v", some, block="endless,old-abi,compiled-hooks")
    assert done.returncode == 1, done.stdout + done.stderr
    seen = re.findall(rf"::test_(\w+)\[({'|'.join(JUDGED)})(?:-\S+)?\] (PASSED|FAILED)", done.stdout)
    failed = {(name, clause) for clause, name, state in seen if state == "FAILED"}
    assert failed == {
        ("late-log", "a_dead_process_is_finished"),
        ("late-log", "a_stopped_mover_can_be_finished"),
        ("last-first", "a_dead_process_is_finished"),
        ("last-first", "a_stopped_mover_can_be_finished"),
        ("short-rows", "a_stopped_mover_can_be_finished"),  # no log says enough about what was not moved
        ("own-numbers", "a_dead_process_is_finished"),  # where no pair is refused it is right
        ("short-rows", "a_dead_process_is_finished"),
        ("short-rows", "data_exchanges_every_byte"),
        ("short-rows", "data_serves_two_threads"),
        ("short-rows", "the_contents_move"),
    }
    for name in JUDGED:
        clauses = {clause for clause, one, _ in seen if one == name}
        assert len(clauses) == 8  # that it serves, four of movers, three of exchanges
    assert "it went back from pair 1 to pair 0: pairs are taken in ascending order" in done.stdout
    for name in ("late-log", "short-rows", "last-first", "own-numbers"):
        assert f"judged: exchange_data of plug-in {name!r} (native-strangers 3.1)" in done.stdout


def test_a_compiled_mover_that_never_returns_ends_the_suites_run_and_is_named(environment, broken):
    some = "-k=endless and test_data_exchanges_every_byte and 1x4KiB"
    done = judged(environment, broken, "--seconds=1", some, block="old-abi,compiled-hooks")
    assert done.returncode not in (0, 1)
    named = "exchange_data of plug-in 'endless' (native-strangers 3.1): never returned: 1 s have passed"
    assert named in done.stdout + done.stderr
