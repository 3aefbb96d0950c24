"""check and run say the same of a file: the same sentences, the same places, the same exit code; never a traceback."""

import os
import re
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagexchange.model import config
from tests.core.command_line import pagexchange

GOOD = """\
schema = 1
[arena]
nodes = { fast = "1 MiB", slow = "1 MiB" }
[workload]
source = "synthetic"
pairs = 30
[strategy.good]
flags = "masked-word"
data = "word-swap"
mapping = "xarray"
"""
NUL, ESCAPE = "\\u0000", "\\u001b"

FAULTY: dict[str, Any] = {
    # what the file says
    "strategy a number": (GOOD, "schema = 1\nstrategy = 5\n", 2, "s.toml:2:12: strategy: expected a table, got 5"),
    "strategies a list": ("[strategy.good]", "[[strategy]]", 2, "s.toml:7:1: strategy: expected a table, got ["),
    "watermarks beyond 2^32": (
        "[arena]",
        "[arena]\nwatermarks = [1, 2, 5000000000]",
        2,
        "s.toml:3:21: arena.watermarks.2",
    ),
    "watermarks beyond frames": ("[arena]", "[arena]\nwatermarks = [1, 2, 2147483648]", 2, "from 0 to 2147483647"),
    "an integer beyond 64 bits": ("pairs = 30", f"pairs = {1 << 70}", 2, "s.toml:6:9: workload.pairs: expected an"),
    "a share that is no number": ("pairs = 30", "dirty = nan", 2, "s.toml:6:9: workload.dirty: expected a number"),
    "a date": ("pairs = 30", "pairs = 1979-05-27", 2, "s.toml:6:9: workload.pairs: expected an integer"),
    "a name of a date": ('"masked-word"', "1979-05-27", 2, "s.toml:8:9: strategy.good.flags: expected the name"),
    "deep": ('mapping = "xarray"', "mapping = " + "[" * 5000 + "]" * 5000, 2, "nested too deeply"),
    "UTF-16": (None, GOOD.encode("utf-16"), 2, "s.toml:1:1: is UTF-16, not UTF-8: save it as UTF-8"),
    "no text": (None, GOOD.encode() + b"# gr\xfc\n", 2, "s.toml:11:5: is not UTF-8: byte 0xfc"),
    "NUL in a node": ("fast =", f'"a{NUL}b" =', 2, 's.toml:3:11: arena.nodes."a\\x00b": its name holds a character'),
    "NUL in a path": ("[arena]", f'[arena]\npath = "x{NUL}y"', 2, "s.toml:3:8: arena.path: holds the character U+0000"),
    "NUL in a snapshot": ('source = "synthetic"', f'snapshot = "x{NUL}"', 2, "s.toml:5:12: workload.snapshot: holds"),
    "NUL in a layout": ("[arena]", f'[arena]\nlayout = "x{NUL}.toml"', 2, "s.toml:3:10: arena.layout: holds"),
    "NUL in a summary": (
        "[strategy.good]",
        f'[strategy.good]\nsummary = "{NUL}"',
        2,
        "s.toml:8:11: strategy.good.summary",
    ),
    "NUL in a plug-in": (
        '"word-swap"',
        f'"word{NUL}"',
        2,
        "s.toml:9:8: strategy.good.data: holds the character U+0000",
    ),
    "escape in a node": ("fast =", f'"{ESCAPE}[31m" =', 2, "cannot hold the control character U+001B"),
    "escape in a path": (
        "[arena]",
        f'[arena]\npath = "{ESCAPE}"',
        2,
        "s.toml:3:8: arena.path: a name or a path cannot",
    ),
    "no path": ("[arena]", '[arena]\npath = ""', 2, "s.toml:3:8: arena.path: an empty string"),
    "no snapshot's name": ('source = "synthetic"', 'snapshot = ""', 2, "s.toml:5:12: workload.snapshot: an empty"),
    "blocked, misspelt": (
        "[arena]",
        '[plugins]\nblock = ["null", "xaray"]\n[arena]',
        2,
        "s.toml:3:18: plugins.block.1: unknown",
    ),
    "under a wrong key": (
        'flags = "masked-word"',
        'flags = "word-swap"',
        2,
        "s.toml:8:9: strategy.good.flags: plug-in",
    ),
    "deep under a wrong key": (
        '"word-swap"',
        '["word-swap",\n  { plugin = "xarray" }]',
        2,
        "s.toml:10:14: strategy.good.data.1.plugin: plug-in",
    ),
    "no wrapper": ("[strategy.good]", '[strategy.good]\nwrap = ["word-swap"]', 2, "s.toml:8:9: strategy.good.wrap.0"),
    # what it needs
    "no such snapshot": ('source = "synthetic"', 'snapshot = "none"', 3, "none: cannot be read: No such file"),
    "no snapshot": ('source = "synthetic"', 'snapshot = "s.toml"', 3, "s.toml: not a pagexchange snapshot"),
    "a path that exists": ("[arena]", '[arena]\npath = "s.toml"', 3, "it is no arena; want a path that does not exist"),
    "a folder that does not": ("[arena]", '[arena]\npath = "no/such"', 3, "No such file or directory; want a path"),
    "too much memory": ('"1 MiB"', '"4 TiB"', 3, "MiB of memory, the machine has"),
    "too many pairs": ("pairs = 30", "pairs = 1000000000000", 3, "MiB of memory, the machine has"),
    "no hot page": ("pairs = 30", "hot = 0.0", 3, "made-up pages: there is no hot page on 'slow'"),
    # who serves
    "one that refuses": ('"word-swap"', '"null"', 4, "s.toml:9:8: strategy.good.data: plug-in 'null'"),
    "everyone blocked": ("[arena]", '[plugins]\nblock = ["xarray"]\n[arena]', 4, "strategy.good"),
}


def numbers(text):
    """Without the memory that the machine has at this moment."""
    return re.sub(r"\d+(,\d+)* MiB", "N MiB", text)


@pytest.mark.parametrize("name", FAULTY)
def test_check_and_run_say_the_same(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, new, code, said = FAULTY[name]
    text = new if isinstance(new, bytes) else GOOD.replace(old, new, 1).encode()
    assert isinstance(new, bytes) or text != GOOD.encode()
    (tmp_path / "s.toml").write_bytes(text)
    checked, ran = pagexchange("check", "s.toml"), pagexchange("run", "s.toml", "--rounds=0", "--json")
    assert (checked.code, ran.code) == (code, code), (checked.err, ran.err)
    assert said in checked.err
    *lines, last = numbers(checked.err).splitlines()
    assert last == f"{len(lines)} error{'' if len(lines) == 1 else 's'}"
    if code == 4:  # a run says it in its result, beside what the others did
        assert lines[0].split("plug-in ")[-1].split(":")[0] in ran.out
    else:
        assert (numbers(ran.err).splitlines(), ran.out) == (lines, "")
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_check_says_all_at_once(tmp_path, monkeypatch):
    """What needs the file alone, what needs the machine, and whose plug-in fails."""
    monkeypatch.chdir(tmp_path)
    text = GOOD.replace('"synthetic"', '"snapshot"\nsnapshot = "none"').replace('"word-swap"', '"null"')
    (tmp_path / "s.toml").write_text(text)
    ran = pagexchange("check", "s.toml")
    assert ran.code == 3  # as a run would
    assert "plug-in 'null'" in ran.err.splitlines()[0]
    assert "none: cannot be read" in ran.err.splitlines()[1]
    assert ran.err.splitlines()[2] == "2 errors"


def test_without_a_file_it_is_said_which_one_is_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies.toml").write_text("schema = 2")
    assert pagexchange("check").out.startswith("the packaged strategies.toml: nothing is wrong; 8 strategies: ")
    assert "from the packaged strategies.toml;" in " ".join(pagexchange("explain", "numpy").out.split())
    assert pagexchange("check", "strategies.toml").err.startswith("strategies.toml:1:")


@pytest.mark.parametrize("verb", ["check", "run", "explain"])
def test_a_file_that_can_be_read_once_is_read_once(verb, tmp_path):
    """Strategies and layout from pipes, as `<(...)` makes them."""
    for name, text in (
        ("s.toml", GOOD.replace("[arena]", f'[arena]\nlayout = "{tmp_path}/l.toml"')),
        ("l.toml", "schema = 1\nname = 'mine'\n[flags]\nlocked = { bit = 0, policy = 'stay', meaning = '' }\n"),
    ):
        os.mkfifo(tmp_path / name)
        threading.Thread(target=(tmp_path / name).write_text, args=[text], daemon=True).start()
    args = ["good", str(tmp_path / "s.toml")] if verb == "explain" else [str(tmp_path / "s.toml")]
    command = [sys.executable, "-P", "-m", "pagexchange", verb, *args, *(["--rounds=0"] if verb == "run" else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


VALUES = st.recursive(
    st.none().map(lambda _: "1979-05-27")
    | st.sampled_from(["nan", "-inf", "07:32:00", "1979-05-27T07:32:00Z", "0x" + "f" * 5000, '""', '"\\u0000"', '"/"'])
    | st.integers(-(1 << 70), 1 << 70).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.booleans().map(lambda value: str(value).lower())
    | st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"]), max_size=9).map(
        lambda t: f'"{t}"'
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(
            st.sampled_from(["plugin", "fast", "slow", "0", "anon", "x", '"\\u001b"']), inner, max_size=3
        ).map(lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }")
    ),
    max_leaves=6,
)
KEYS = [
    "schema", "run", "arena", "workload", "plugins", "plugins.block", "strategy", "strategy.good", "strategy.new",
    *(f"run.{key}" for key in config.RunConfig.__slots__), *(f"arena.{key}" for key in config.ArenaConfig.__slots__),
    *(f"workload.{key}" for key in config.WorkloadConfig.__slots__ if key != "pairs"),
    *(f"strategy.good.{key}" for key in config.StrategySpec.__slots__),
    "arena.nodes.fast", "workload.orders.0", "workload.kinds.anon", "strategy.good.data.plugin",
    "strategy.good.data.isa",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_no_value_at_any_key_is_a_traceback(key, value):
    """Nor a difference between check and run."""
    asked = ("--set", f"{key}={value}")
    file = "/dev/fd/{}"
    with open(os.memfd_create("s.toml"), "w+b") as made:  # noqa: PTH123
        made.write(GOOD.encode())
        made.flush()
        path = file.format(made.fileno())
        checked = pagexchange("check", path, *asked)
        assert "Traceback" not in checked.err
        if checked.code == 2:
            ran = pagexchange("run", path, "--rounds=0", *asked)
            lines = checked.err.splitlines()[:-1]
            assert (ran.code, ran.err.splitlines()) == (2, lines[: len(ran.err.splitlines())])
        else:
            assert checked.code in (0, 3, 4), checked.err
