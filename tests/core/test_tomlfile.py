"""Places in a TOML file: every key and value is found, whatever way it was written."""

import re
import time

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from pagexchange.errors import ConfigError
from pagexchange.model.tomlfile import TomlFile, dotted

TEXT = '''# a comment with [brackets] and "quotes
a.b = 1
"quoted \\"key\\"" = { x = [1, 2, { y = "}" }], 'z w'.v = """
multi ]
line""" } # end
list = [ # comment ]
  "one",
  [2, 3], # ]
  { four = 4 },
]
time = 1979-05-27 07:32:00

[[table]]
name = "first"
[[table.inner]]
k = 1
[[table.inner]]
k = 2

[[table]]
name = "second"
[table.sub."dotted.name"]
last = \'\'\'it's\'\'\'\'
'''


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("a", "b"), (2, 1), (2, 7)),
        (('quoted "key"',), (3, 1), (3, 20)),
        (('quoted "key"', "x"), (3, 22), (3, 26)),
        (('quoted "key"', "x", 2, "y"), (3, 35), (3, 39)),
        (('quoted "key"', "z w", "v"), (3, 47), (3, 57)),
        (("list",), (6, 1), (6, 8)),
        (("list", 1, 1), (8, 7), (8, 7)),
        (("list", 2, "four"), (9, 5), (9, 12)),
        (("time",), (11, 1), (11, 8)),
        (("table", 0, "inner", 1, "k"), (18, 1), (18, 5)),
        (("table", 1), (20, 1), (20, 1)),
        (("table", 1, "name"), (21, 1), (21, 8)),
        (("table", 1, "sub", "dotted.name", "last"), (23, 1), (23, 8)),
        (("table", 1, "sub", "dotted.name", "missing"), (22, 1), (22, 1)),
        (("nothing",), (1, 1), (1, 1)),
    ],
)
def test_a_key_and_its_value_are_found(path, key, value):
    file = TomlFile.from_text(TEXT, "f.toml")
    assert file.place(path) == key
    assert file.place(path, value=True) == value


def test_a_problem_is_said_at_the_key_or_at_its_value():
    file = TomlFile.from_bytes(b"[table]\nname = 3\n", "f.toml")
    assert str(file.problem(("table", "name"), "is wrong")) == "f.toml:2:1: table.name: is wrong"
    assert str(file.problem(("table", "name"), "is wrong", value=True)) == "f.toml:2:8: table.name: is wrong"
    assert str(file.problem(("table", "other"), "is missing")) == "f.toml:1:1: table.other: is missing"


def test_a_byte_order_mark_and_crlf_move_nothing():
    raw = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    file = TomlFile.from_bytes(raw, "f.toml")
    assert file.place(("a", "b"), value=True) == (2, 7)
    assert file.place(("table", 1, "sub", "dotted.name", "last")) == (23, 1)


def paths(value, at=()):
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*at, key))


def test_every_path_of_the_data_has_a_place_of_its_own_text():
    file = TomlFile.from_text(TEXT, "f.toml")
    lines = file.text.split("\n")
    for path in paths(file.data):
        if path and isinstance(path[-1], str):
            row, column = file.place(path)
            rest = lines[row - 1][column - 1 :]
            assert path[-1].split('"')[0] in rest, path


keys = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6)
scalars = (
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=8)


def quote(text):
    return '"' + "".join(f"\\U{ord(c):08x}" if c in '"\\' or ord(c) < 32 or ord(c) == 127 else c for c in text) + '"'


def write(value):
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return quote(value)
        case list():
            return "[" + ",\n # x ]\n".join(map(write, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{quote(k)} = {write(v)}" for k, v in value.items()) + "}"
    raise AssertionError(value)


@settings(deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_the_text_at_a_value_s_place_is_that_value(data):
    text = "".join(f"{quote(key)}\t=  {write(value)}\n" for key, value in data.items())
    file = TomlFile.from_text(text, "f.toml")
    assert file.data == data
    lines = text.split("\n")
    for path in paths(data):
        if not path:
            continue
        row, column = file.place(path, value=True)
        value = data
        for part in path:
            value = value[part]
        rest = "\n".join([lines[row - 1][column - 1 :], *lines[row:]])
        assert rest.startswith(write(value))


def test_the_index_takes_one_pass():
    text = "".join(f"[t{i}]\na = {{ b = {i} }}\n" for i in range(20_000))
    file = TomlFile.from_text(text, "f.toml")
    started = time.thread_time()
    assert file.place(("t19999", "a", "b")) == (40_000, 7)
    once = time.thread_time() - started
    for i in range(0, 20_000, 20):
        assert file.place((f"t{i}", "a")) == (2 * i + 2, 1)
    assert once < 20  # a square of the length would take minutes


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a = 1\nb = ", r"^f:2:5: not TOML: .+"),
        (b"a = 1\nb \xff= 2\n", r"^f:2:3: is not UTF-8: byte 0xff at offset 8$"),
        (b"a = [" + b"[" * 100_000, r"nested too deeply|not TOML"),
        (b"a = " + b"9" * 5000, r"^f: not TOML: "),
        (b"a = 1\na = 2\n", r"^f:2:\d+: not TOML: "),
    ],
)
def test_what_is_not_toml_is_said_with_its_place(raw, expected):
    with pytest.raises(ConfigError) as caught:
        TomlFile.from_bytes(raw, "f")
    assert re.search(expected, str(caught.value))


def test_files_that_cannot_be_read_are_said_by_name(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        TomlFile.read(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a directory"):
        TomlFile.read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        TomlFile.read("a\0b")
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * ((16 << 20) + 1))
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        TomlFile.read(big)


def test_paths_are_written_as_toml_writes_them():
    path = ("strategy", "a b", "data", 0, 'q"')
    assert dotted(path) == 'strategy."a b".data.0."q\\""'
    assert tomli.loads('strategy."a b" = 1') == {"strategy": {"a b": 1}}
