"""The layout of the running kernel: what its BTF says is read, what it does not say is assumed and said."""

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pagexchange.errors import ConfigError
from pagexchange.model import live
from pagexchange.model.btf import Btf
from pagexchange.model.layout import Layout, live_file
from tests.core.btf_blob import Blob
from tests.core.command_line import pagexchange

FLAGS = ["locked", "writeback", "referenced", "uptodate", "dirty", "lru", "head", "waiters", "active", "owner_2"]
OTHERS = {"readahead": 2, "anon_exclusive": 9, "has_hwpoisoned": 8, "zebra_stripe": 9}


def blob(
    flags: list[str] = FLAGS,
    order: str = "<",
    nodes: int = 64,
    cpus: int = 2,
    lru: str = "lru_gen_folio",
    tiers: tuple[int, ...] = (8,),
    **without: bool,
) -> Blob:
    """A kernel with these flags, and every type that a width is computed from, but those that are left out."""
    made = Blob(order)
    values = {f"PG_{name}": bit for bit, name in enumerate(flags)} | {"__NR_PAGEFLAGS": len(flags)}
    made.enum("zone", {"nothing": 1})  # a name that another one begins with
    made.enum(
        "pageflags", values | {f"PG_{name}": bit for name, bit in OTHERS.items()}, wide=without.get("wide", False)
    )
    if not without.get("zones"):
        made.enum("zone_type", {"ZONE_DMA32": 0, "ZONE_NORMAL": 1, "ZONE_MOVABLE": 2, "__MAX_NR_ZONES": 3})
    if not without.get("slab"):
        made.struct("kmem_cache", size=0, node=made.array(nodes))
    if not without.get("zonelist"):
        made.struct("zonelist", _zonerefs=made.array(nodes * 3 + 1))
    made.struct("cpumask", bits=made.array(cpus))
    made.struct("task_struct", **({} if without.get("balancing") else {"numa_faults": 0}))
    made.struct("page", flags=0, **({"_last_cpupid": 0} if without.get("beside") else {}))
    made.struct(lru, timestamps=made.array(4), avg_refaulted=made.array(*tiers))
    return made


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a BTF file in the running kernel's place."""

    def place(data: bytes) -> Path:
        path = tmp_path / "vmlinux"
        path.write_bytes(data)
        monkeypatch.setattr(live, "FILE", path)
        monkeypatch.setattr(live.read, "__defaults__", (path,))
        return path

    return place


def widths(layout: Layout) -> dict[str, int]:
    return {field.name: field.width for field in layout.fields if field.width}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("wide", [False, True])
def test_flags_stand_where_the_kernel_has_them_and_policies_come_by_name(kernel: Any, order: str, wide: bool) -> None:
    kernel(blob(order=order, wide=wide).bytes())
    layout, shipped = Layout.load("live"), Layout.load("linux-6.18")
    assert layout.name == "live"
    assert [(flag.name, flag.bit) for flag in layout.flags] == [(name, bit) for bit, name in enumerate(FLAGS)]
    assert [flag.policy for flag in layout.flags] == [shipped.flag(name).policy for name in FLAGS]
    assert {flag.name: flag.tail for flag in layout.flags if flag.tail != "stay"} == {
        "active": "refuse",
        "owner_2": "swap",
    }
    assert layout.flag("readahead").name == "referenced"
    assert layout.flag("zebra_stripe") is layout.flag("anon_exclusive") is layout.flag("owner_2")
    assert layout.native()["tail_broken"] == layout.word("has_hwpoisoned")


def test_a_flag_that_no_layout_knows_is_named_and_refuses_its_page(kernel: Any) -> None:
    kernel(blob([*FLAGS, "zebra", "reserved"]).bytes())
    layout = Layout.load("live")
    assert layout.flag("zebra").policy == "refuse"
    assert layout.notes[0] == "zebra (bit 10): not known to pagexchange: a page with it is not exchanged"
    assert sum("zebra" in note for note in layout.notes) == 1


# as include/linux/page-flags-layout.h computes them
@pytest.mark.parametrize(
    ("made", "expected", "assumed"),
    [
        ({}, {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, []),
        ({"lru": "lru_gen_struct"}, {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, []),
        ({"tiers": (2, 4)}, {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, []),
        ({"lru": "other"}, {"node": 6, "zone": 2, "last_cpupid": 15}, []),
        ({"cpus": 4}, {"node": 6, "zone": 2, "last_cpupid": 16, "lru_gen": 3, "lru_refs": 2}, []),
        ({"cpus": 128}, {"node": 6, "zone": 2, "last_cpupid": 21, "lru_gen": 3, "lru_refs": 2}, []),
        ({"cpus": 1}, {"node": 6, "zone": 2, "last_cpupid": 14, "lru_gen": 3, "lru_refs": 2}, ["64 processors"]),
        ({"balancing": True}, {"node": 6, "zone": 2, "lru_gen": 3, "lru_refs": 2}, []),
        ({"beside": True}, {"node": 6, "zone": 2, "lru_gen": 3, "lru_refs": 2}, []),
        ({"slab": True}, {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, []),
        ({"slab": True, "zonelist": True}, {"node": 10, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2},
         ["1024 nodes"]),
        ({"zones": True}, {"node": 6, "zone": 3, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, ["5 to 8 zones"]),
        ({"nodes": 1}, {"zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 2}, []),
        # what does not fit is not in the word at all; accesses get what is left
        ({"flags": [*FLAGS, *(f"f{n}" for n in range(28))]},
         {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3}, []),
        ({"flags": [*FLAGS, *(f"f{n}" for n in range(27))]},
         {"node": 6, "zone": 2, "last_cpupid": 15, "lru_gen": 3, "lru_refs": 1}, []),
        ({"flags": [*FLAGS, *(f"f{n}" for n in range(29))]}, {"node": 6, "zone": 2, "lru_gen": 3, "lru_refs": 2}, []),
        ({"flags": [*FLAGS, *(f"f{n}" for n in range(44))]}, {"zone": 2, "lru_gen": 3, "lru_refs": 2}, []),
    ],
)  # fmt: skip
def test_widths_are_computed_as_linux_does_and_what_is_assumed_is_said(
    kernel: Any, made: dict[str, Any], expected: dict[str, int], assumed: list[str]
) -> None:
    kernel(blob(**made).bytes())
    layout = Layout.load("live")
    assert widths(layout) == expected
    said = [note for note in layout.notes if note.startswith("assumed: ")]
    assert len(said) == len(assumed) + 1  # sections and tags are assumed in any case
    for words in assumed:
        assert any(words in note for note in said)


def test_the_text_is_a_layout_file_that_gives_the_same_layout(kernel: Any, tmp_path: Path) -> None:
    kernel(blob([*FLAGS, "zebra"]).bytes())
    (tmp_path / "mine.toml").write_text(live_file(), encoding="utf-8")
    assert Layout.load(tmp_path / "mine.toml") == Layout.load("live")


def cut(data: bytes, at: int, *values: int) -> bytes:
    return data[:at] + bytes(values) + data[at + len(values) :]


GOOD = blob().bytes()
ONE = Blob()
ONE.enum("pageflags", {"PG_dirty": 1})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no BTF: it begins with nothing"),
        (b"\x7fELF" + bytes(60), "no BTF: it begins with 7f45"),
        (GOOD[:20], "no BTF: 20 bytes, the header has 24"),
        (cut(GOOD, 2, 9), "BTF of version 9"),
        (cut(GOOD, 12, 255, 255, 255, 255), "the types lie at 24 to"),
        (cut(GOOD, 20, 255, 255, 255, 255), "the names lie at"),
        (cut(GOOD, 24 + 7, 31), "type 1 is of kind 31, which is not known"),
        (cut(GOOD, 24 + 4, 255, 255), "type 1 has 65535 members, more than there is room for"),
        (cut(GOOD, 12, 16, 0, 0, 0), "type 1 has 1 members, more than there is room for"),
        (cut(GOOD, 12, 25, 0, 0, 0), "type 2 is cut off"),
        (ONE.bytes(), "BTF has no enum pageflags with PG_locked"),
        (Blob().bytes(), "BTF has no enum pageflags"),
        (bytes(live.LARGEST + 1), f"more than {live.LARGEST} bytes"),
    ],
)
def test_what_is_not_sound_is_refused_with_what_would_be_right(kernel: Any, data: bytes, says: str) -> None:
    path = kernel(data)
    with pytest.raises(ConfigError, match=r"or give the path of a \.toml file") as caught:
        Layout.load("live")
    assert f"layout: 'live': {path}: " in str(caught.value)
    assert says in str(caught.value)


def test_a_kernel_without_btf_is_said_to_have_none(kernel: Any) -> None:
    kernel(b"").unlink()
    with pytest.raises(ConfigError, match=r"No such file or directory; choose one of linux-5\.0, linux-6\.18"):
        Layout.load("live")


def test_a_hostile_file_costs_an_error_and_nothing_else() -> None:
    random_ = random.Random(5)
    known: dict[str, Any] = {
        flag.name: live.Known(flag.policy, flag.meaning) for flag in Layout.load("linux-6.18").flags
    } | {field.name: live.Known(field.policy, field.meaning) for field in Layout.load("linux-6.18").fields}
    for length in range(0, len(GOOD), 7):
        with pytest.raises(ValueError, match="BTF"):
            live.layout_file(GOOD[:length], known, "1")
    for _ in range(3000):
        data = bytearray(GOOD)
        for _ in range(random_.randint(1, 4)):
            data[random_.randrange(len(data))] = random_.choice([0, 1, 255, random_.randrange(256)])
        with suppress(ValueError):
            live.layout_file(bytes(data), known, "1")


def test_an_array_that_leads_to_itself_ends() -> None:
    made = Blob()
    made.struct("s", m=2)
    made.add("", 3, 0, 0, made.word(2, 0, 7))
    assert Btf(made.bytes()).dimensions("s", "m") == (7,) * 32


@pytest.mark.skipif(not live.FILE.exists(), reason="this kernel has no BTF")
def test_this_machines_kernel() -> None:
    layout = Layout.load("live")
    assert layout.flag("waiters").bit == 7
    assert {"locked", "dirty", "private", "swapbacked"} <= {flag.name for flag in layout.flags}
    assert layout.mask("swap") & layout.flag("dirty").mask


# ---- the verb --------------------------------------------------------------------------------------------------------


def test_the_verb_lists_what_there_is() -> None:
    lines = pagexchange("layout").out.splitlines()
    assert [line.split()[0] for line in lines] == ["linux-5.0", "linux-6.18", "live"]
    listed = json.loads(pagexchange("layout", "--json").out)
    assert [each["name"] for each in listed["layouts"]] == Layout.available()


def test_the_verb_shows_each_flag_with_both_policies(kernel: Any) -> None:
    shown = pagexchange("layout", "linux-6.18").out
    assert "not as" not in shown
    (line,) = [line for line in shown.splitlines() if " owner_2 " in line]
    assert line.split()[:4] == ["11", "owner_2", "swap", "swap"]
    kernel(blob([*FLAGS, "zebra"]).bytes())
    shown = pagexchange("layout", "live").out
    assert "not as linux-6.18: owner_2 is bit 9; in linux-6.18 it is bit 11" in shown
    assert "note: zebra (bit 10): not known to pagexchange" in shown
    data = json.loads(pagexchange("layout", "live", "--json").out)
    assert data["flags"][9]["tail"] == "swap"
    assert data["nearest"] == "linux-6.18"
    assert "zebra is bit 10; linux-6.18 does not have it" in data["differences"]
    assert "dropbehind is not there; linux-6.18 has it as bit 19" in data["differences"]
    assert "node is in bits 58 to 63; linux-6.18 has it in bits 54 to 63" in data["differences"]
    assert data["notes"] == list(Layout.load("live").notes)


def test_the_verb_writes_a_layout_file(kernel: Any) -> None:
    kernel(blob().bytes())
    assert pagexchange("layout", "--toml").out == live_file()
    for arguments in (("linux-6.18", "--toml"), ("live", "--toml", "--json")):
        done = pagexchange("layout", *arguments)
        assert done.code == 2
        assert "--toml writes the layout 'live' and nothing else" in done.err


def test_differences_in_policies_are_said() -> None:
    new = Layout.load("linux-6.18")
    flags = tuple(
        type(flag)(flag.name, flag.bit, "stay", flag.meaning, "swap") if flag.name == "dirty" else flag
        for flag in new.flags
    )
    changed = Layout("mine", "", flags, new.fields[:-1], new.aliases)
    assert changed.differences(new) == [
        "dirty is stay; in linux-6.18 it is swap", "dirty is swap in tails; in linux-6.18 it is stay there",
    ]  # fmt: skip
    assert new.differences(changed)[-1] == "lru_refs is in bits 25 to 26; mine does not have it"
