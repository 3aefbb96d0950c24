"""Layouts: the shipped ones say what Linux says, and a wrong one is refused as a whole."""

from pathlib import Path

import pytest

from pagexchange.errors import ConfigError
from pagexchange.model.layout import POLICIES, ROLES, Field, Flag, Layout

SHIPPED = ["linux-5.0", "linux-6.18"]

# enum pageflags of include/linux/page-flags.h, the part that no configuration moves
FIXED = {
    "linux-5.0": (
        "locked referenced uptodate dirty lru active workingset waiters error slab owner_priv_1 arch_1 reserved "
        "private private_2 writeback head mappedtodisk reclaim swapbacked unevictable"
    ),
    "linux-6.18": (
        "locked writeback referenced uptodate dirty lru head waiters active workingset owner_priv_1 owner_2 arch_1 "
        "reserved private private_2 reclaim swapbacked unevictable dropbehind"
    ),
}

STAY = "locked waiters lru head arch_1 arch_2 uncached node zone section kasan_tag"
REFUSE = "writeback slab reserved hwpoison private_2"
TAILS = {  # flags whose bit means something in the word of a later frame of a folio
    "linux-5.0": {"swap": "private_2 mappedtodisk", "refuse": "reserved hwpoison"},
    "linux-6.18": {"swap": "owner_2", "refuse": "active reserved reclaim hwpoison"},
}


def test_the_shipped_layouts_are_these():
    assert Layout.available() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_bits_stand_where_linux_has_them(name):
    layout = Layout.load(name)
    assert [flag.name for flag in layout.flags][: len(FIXED[name].split())] == FIXED[name].split()
    assert [flag.bit for flag in layout.flags] == list(range(len(layout.flags)))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_three_policies_share_out_the_whole_word(name):
    layout = Layout.load(name)
    masks = [layout.mask(policy) for policy in POLICIES]
    assert sum(masks) == 2**64 - 1
    assert masks[0] & masks[1] == masks[0] & masks[2] == masks[1] & masks[2] == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_what_belongs_to_the_frame_stays(name):
    layout = Layout.load(name)
    parts: tuple[Flag | Field, ...] = (*layout.flags, *layout.fields)
    for part in parts:
        expected = "stay" if part.name in STAY.split() else "refuse" if part.name in REFUSE.split() else "swap"
        assert part.policy == expected, part.name
        assert part.meaning


@pytest.mark.parametrize("name", SHIPPED)
def test_of_a_tails_word_only_what_says_something_of_the_page_moves(name):
    layout = Layout.load(name)
    for policy in ("swap", "refuse"):
        named = TAILS[name][policy].split()
        assert [flag.name for flag in layout.flags if flag.tail == policy] == named
        assert layout.tail_mask(policy) == layout.word(*named)
    assert sum(layout.tail_mask(policy) for policy in POLICIES) == 2**64 - 1
    with pytest.raises(ValueError, match="policy 'swop'; did you mean 'swap'"):
        layout.tail_mask("swop")  # type: ignore[arg-type]


def test_names_that_linux_has_for_bits_of_the_first_tail():
    layout = Layout.load("linux-6.18")
    names = ("has_hwpoisoned", "large_rmappable", "partially_mapped")
    assert [layout.flag(name).name for name in names] == ["active", "workingset", "reclaim"]
    assert layout.native()["tail_broken"] == layout.word("hwpoison", "has_hwpoisoned")
    assert Layout.load("linux-5.0").native()["tail_broken"] == 1 << 23


def test_what_is_being_written_is_waited_for(tmp_path):
    for name in SHIPPED:
        layout = Layout.load(name)
        assert layout.native()["writeback"] == layout.waited_for == layout.word("writeback", "private_2")
    theirs = GOOD.replace('dirty = { bit = 3, policy = "swap"', 'private_2 = { bit = 3, policy = "swap"')
    assert load(tmp_path, theirs).waited_for == 0  # a page with it is moved: nothing to wait for


def test_upper_fields_lie_from_the_top_downwards_without_gaps():
    for name in SHIPPED:
        top = 64
        for field in Layout.load(name).fields:
            assert field.shift + field.width == top
            top = field.shift
        assert top >= len(Layout.load(name).flags)


def test_a_word_is_read_back_as_it_was_written():
    layout = Layout.load("linux-6.18")
    word = layout.word("dirty", "swapcache", "readahead", node=5, zone=2, last_cpupid=77)
    assert layout.names(word) == ["dirty", "owner_priv_1", "reclaim"]
    assert layout.values(word) == {"node": 5, "zone": 2, "last_cpupid": 77, "lru_gen": 0, "lru_refs": 0}
    assert layout.get(layout.set(word, "node", 1023), "zone") == 2
    assert layout.describe(word) == "dirty|owner_priv_1|reclaim node=5 zone=2 last_cpupid=77"
    with pytest.raises(ValueError, match="does not fit 10 bits"):
        layout.set(word, "node", 1024)
    with pytest.raises(KeyError, match="did you mean 'dirty'"):
        layout.word("drity")


def test_aliases_are_the_same_bit():
    new, old = Layout.load("linux-6.18"), Layout.load("linux-5.0")
    assert new.flag("swapcache") is new.flag("checked") is new.flag("owner_priv_1")
    assert new.flag("mappedtodisk").name == "owner_2"
    assert old.flag("mappedtodisk").name == "mappedtodisk"
    assert new.flag("fscache").name == "private_2"
    assert "error" in old
    assert "error" not in new


@pytest.mark.parametrize("name", SHIPPED)
def test_the_native_form_has_every_role_and_no_other_key(name):
    layout = Layout.load(name)
    native = layout.native()
    shifts = {"node_shift", "node_width", "zone_shift", "zone_width"}
    assert set(native) == {"name", *POLICIES, *ROLES, *shifts, "tail_swap", "tail_refuse", "tail_broken"}
    assert native["swapcache"] == layout.flag("owner_priv_1").mask
    assert native["node_shift"] == 54
    assert layout.word(node=1) == 1 << native["node_shift"]


GOOD = """
schema = 1
name = "mine"
[flags]
locked = { bit = 0, policy = "stay", meaning = "lock" }
dirty = { bit = 3, policy = "swap", meaning = "d" }
"""
FIELDS = [("x", 65), ("y", 1)]


def load(tmp_path: Path, text: str) -> Layout:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return Layout.load(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_a_layout_of_ones_own_needs_little(tmp_path):
    layout = load(tmp_path, GOOD)
    assert layout.mask("swap") == 8
    assert layout.mask("stay") == 2**64 - 1 - 8
    assert layout.native()["node_width"] == 0
    assert Layout.load("mine.toml", base=tmp_path) == layout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('dirty = { bit = 3, policy = "swap", ', "dirty = { bit = 3, "), "6:1: flags.dirty: missing key 'policy'"),
        (("bit = 3", "bit = 0"), "6:17: flags.dirty.bit: bit 0 is already 'locked'"),
        (("bit = 3", "bit = 64"), "6:17: flags.dirty.bit: expected an integer from 0 to 63, got 64"),
        (("bit = 3", "bit = true"), "6:17: flags.dirty.bit: expected an integer from 0 to 63, got True"),
        (('"swap"', '"swop"'), "6:29: flags.dirty.policy: unknown value 'swop'; did you mean 'swap'?"),
        (('"stay"', '"swap"'), "5:30: flags.locked.policy: 'locked' belongs to the frame: its policy must be 'stay'"),
        (("locked =", "lokced ="), "4:1: flags: missing flag 'locked': an exchange locks both frames"),
        (
            ('policy = "swap", ', 'policy = "swap", tail = "swop", '),
            "6:44: flags.dirty.tail: unknown value 'swop'; did you mean 'swap'?",
        ),
        (
            ('policy = "stay", ', 'policy = "stay", tail = "swap", '),
            "5:45: flags.locked.tail: 'locked' belongs to the frame: its policy in tails must be 'stay'",
        ),
        (
            ('dirty = { bit = 3, policy = "swap"', 'hwpoison = { bit = 3, policy = "refuse", tail = "stay"'),
            "a folio with a 'hwpoison' frame cannot be moved: its policy in tails must be 'refuse'",
        ),
        (("dirty", "waiters"), "'waiters' must be bit 7"),
        (("dirty", "writeback"), "a page with 'writeback' cannot be moved: its policy must be 'refuse'"),
        (("schema = 1", "schema = 2"), "2:10: schema: schema 2 is not known; this version reads schema = 1"),
        (('name = "mine"', 'nmae = "mine"'), "3:1: nmae: unknown key 'nmae'; did you mean 'name'?"),
        (
            ("[flags]", '[fields.node]\nwidth = 9\npolicy = "swap"\nmeaning = ""\n[flags]'),
            "'node' belongs to the frame",
        ),
        (
            ("[flags]", '[fields]\nx = { width = 61, policy = "stay", meaning = "" }\n[flags]'),
            "5:15: fields.x.width: lies on bits 3 to 63, over the flag dirty",
        ),
        (
            ("[flags]", '[fields]\nx = { width = 65, policy = "stay", meaning = "" }\n[flags]'),
            "5:15: fields.x.width: 65 bits, but only 64 of 64 are left: more than 64 bits",
        ),
        (
            ("[flags]", '[fields]\nx = { width = -1, policy = "stay", meaning = "" }\n[flags]'),
            "5:15: fields.x.width: expected an integer of at least 0, got -1",
        ),
        (
            ("[flags]", '[fields]\nx = { width = "9", policy = "stay", meaning = "" }\n[flags]'),
            "5:15: fields.x.width: expected an integer of at least 0, got '9'",
        ),
        (
            ("[flags]", '[fields]\ndirty = { width = 9, policy = "stay", meaning = "" }\n[flags]'),
            "5:1: fields.dirty: is the name of a flag too",
        ),
        (("schema = 1\n", ""), "1:1: missing key 'schema'; write `schema = 1` at the top"),
        (
            ("[flags]", "[flags]\nlru = 3"),
            "5:7: flags.lru: expected { bit = int, policy = 'swap' | 'stay' | 'refuse', meaning = str }, got 3",
        ),
        (("dirty", "Dirty"), "6:1: flags.Dirty: a name is lower case: letters, digits and _"),
        (('"mine"', f'"{"m" * 32}"'), "3:8: name: a layout's name has at most 31 bytes"),
        (("[flags]", '[aliases]\ndirty = "locked"\n[flags]'), "5:1: aliases.dirty: is the name of a flag itself"),
        (("[flags]", '[aliases]\nd = "drity"\n[flags]'), "5:5: aliases.d: no flag 'drity'; did you mean 'dirty'?"),
    ],
)
def test_a_wrong_layout_is_refused_with_its_place(tmp_path, change, expected):
    assert change[0] in GOOD
    assert any(expected in problem for problem in problems(tmp_path, GOOD.replace(*change)))


def test_flags_are_in_the_order_of_their_bits_however_the_file_has_them(tmp_path):
    text = GOOD.replace("locked = { bit = 0", "locked = { bit = 8")  # where no waiters are, any bit will do
    assert [flag.name for flag in load(tmp_path, text).flags] == ["dirty", "locked"]


def test_each_field_that_does_not_fit_is_told_how_much_is_left(tmp_path):
    fields = "".join(f'{name} = {{ width = {width}, policy = "stay", meaning = "" }}\n' for name, width in FIELDS)
    assert [
        problem.split(": ", 1)[1]
        for problem in problems(tmp_path, GOOD.replace("[flags]", f"[fields]\n{fields}[flags]"))
    ] == [
        "fields.x.width: 65 bits, but only 64 of 64 are left: more than 64 bits",
        "fields.x.width: lies on bits 0 to 63, over the flags locked, dirty",
        "fields.y.width: 1 bits, but only 0 of 64 are left: more than 64 bits",
    ]


def test_locked_and_waiters_share_a_byte(tmp_path):
    text = GOOD.replace("dirty = { bit = 3", "waiters = { bit = 7").replace('"swap"', '"stay"')
    assert load(tmp_path, text).native()["waiters"] == 1 << 7
    assert problems(tmp_path, text.replace("bit = 0", "bit = 8")) == [
        "mine.toml:5:18: flags.locked.bit: 'locked' must be in the same byte as 'waiters': bits 0 to 6"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[flags]", '[fields]\nx = { width = "9", policy = "stay", meaning = "" }\n[flags]'),
        ('dirty = { bit = 3, policy = "swap"', 'writeback = { bit = 3, policy = "refuze"'),
        ('dirty = { bit = 3, policy = "swap"', 'writeback = { bit = "3", policy = "refuse"'),
        ("[flags]", "[x]"),
        ('name = "mine"', "name = 3"),
    ],
)
def test_a_rule_is_not_applied_to_a_value_that_is_wrong_already(tmp_path, old, new):
    assert old in GOOD
    text = GOOD.replace(old, new)
    assert len(problems(tmp_path, text)) == (2 if new == "[x]" else 1)  # an unknown key, and a missing one


def test_flags_that_are_no_table_are_one_mistake(tmp_path):
    text = 'schema = 1\nname = "mine"\nflags = 3\n'
    assert problems(tmp_path, text) == ["mine.toml:3:9: flags: expected a table, got 3"]


def test_all_that_is_wrong_with_a_layout_is_said_at_once(tmp_path):
    text = GOOD.replace("bit = 3", "bit = 0").replace('"stay"', '"saty"') + '\nx = 3\n[aliases]\nq = "none"\n'
    assert len(problems(tmp_path, text)) == 4


def test_an_unknown_layout_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'linux-6\.18'"):
        Layout.load("linux-6.81")


def test_a_field_or_policy_that_a_layout_has_not_is_answered_with_the_nearest():
    layout = Layout.load("linux-6.18")
    with pytest.raises(KeyError, match=r"layout linux-6\.18 has no field 'noed'; did you mean 'node'\?"):
        layout.field("noed")
    with pytest.raises(ValueError, match="policy 'swop'; did you mean 'swap'"):
        layout.mask("swop")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_text_of_a_layout_gives_an_equal_one(name):
    layout = Layout.load(name)
    again = Layout.parse(layout.text, "its text")
    assert again == layout
    assert again.native() == layout.native()
    assert again.text == layout.text


def test_the_text_of_a_layout_has_whatever_a_file_can_say():
    said = """
schema = 1
name = "\u00fc \\" \\\\ \\u007f"
summary = "two\\nlines \U0001f600"
notes = ["a note", ""]
[flags]
b = { bit = 63, policy = "refuse", tail = "swap", meaning = "''" }
locked = { bit = 2, policy = "stay", meaning = "" }
[aliases]
"an alias. \\t" = "b"
"""
    layout = Layout.parse(said, "made up")
    assert layout.notes == ("a note", "")
    assert Layout.parse(layout.text.encode(), "its text") == layout
