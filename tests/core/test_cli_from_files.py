"""snapshot --from keeps what other tools' files say; run --input says what such a file is and what takes it."""

import json

import numpy as np
import pytest

from pagexchange.pages import files
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.proc import kpageflags
from tests.core.command_line import pagexchange
from tests.rooms import ROOT

DATA = ROOT / "tests" / "data" / "files"


def test_accesses_become_a_small_file_that_gives_the_same_table(tmp_path):
    out = tmp_path / "a.pgxtrace"
    ran = pagexchange("snapshot", "--from", str(DATA / "damon.json"), str(out))
    assert ran.code == 0
    assert ran.out.startswith(f"{out}: 12 rows of accesses over 0.300 s, frames 1,024 to 16,383, ")
    assert ran.out.endswith(", read as damo record (JSON)\n")
    assert "note: whether addresses are physical a record does not say" in ran.err
    made, read = files.read(out), files.read(DATA / "damon.json")
    assert made.facts == read.facts
    assert all((one == other).all() for one, other in zip(made.chunks(), read.chunks(), strict=True))


def test_the_summary_is_json_without_anything_else(tmp_path):
    out = tmp_path / "a"
    said = json.loads(pagexchange("snapshot", "--from", str(DATA / "mooncake.jsonl"), str(out), "--json").out)
    assert {name: said[name] for name in ("form", "numbers", "page_size", "kind", "rows", "duration_ns")} == {
        "form": "Mooncake's requests", "numbers": "block", "page_size": 0, "kind": "accesses", "rows": 5,
        "duration_ns": 3_052_000_000,
    }  # fmt: skip
    assert said["path"] == str(out)
    assert said["bytes"] == out.stat().st_size


@pytest.mark.parametrize("name", ["kpageflags.bin", "page-types.txt"])
def test_flags_words_become_a_snapshot_or_by_its_suffix_a_trace(tmp_path, name):
    snapshot, trace = tmp_path / "a", tmp_path / "a.pgxtrace"
    ran = pagexchange("snapshot", "--from", str(DATA / name), str(snapshot))
    assert (ran.code, ran.out.startswith(f"{snapshot}: a snapshot of 4 pages")) == (0, True)
    assert len(file_format.load(snapshot)) == 4
    assert pagexchange("snapshot", "--from", str(DATA / name), str(trace)).code == 0
    assert files.read(trace).kind == "state"


def test_run_takes_the_snapshot_that_was_made_of_a_dump(tmp_path):
    words = np.full(4096, kpageflags.mask("LRU", "UPTODATE"), dtype=np.uint64)
    words[::3] |= kpageflags.mask("ACTIVE", "REFERENCED")
    words[1::5] = kpageflags.mask("LRU", "UPTODATE", "ANON", "SWAPBACKED", "MMAP")
    (tmp_path / "dump").write_bytes(words.tobytes())
    snapshot = tmp_path / "dump.pgxsnap"
    assert pagexchange("snapshot", "--from", str(tmp_path / "dump"), str(snapshot)).code == 0
    ran = pagexchange("run", "--input", str(snapshot), "--rounds", "0", "--strategy", "list-exchange", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["strategies"][0]["verdict"] == "exact"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "damon.data",
            "of the form damo record (JSON), which has no pages for an arena: `pagexchange tier --input {}`",
        ),
        ("numa_maps", "of the form numa_maps, which has no pages for an arena: `pagexchange tier --input {}` takes it"),
        ("page-types.txt", "a page-types listing, no snapshot: `pagexchange snapshot --from {} OUT.pgxsnap` makes one"),
        ("README.md", "not a pagexchange snapshot"),
    ],
)
def test_run_says_what_another_tools_file_is_and_what_takes_it(name, says):
    file = str(DATA / name)
    ran = pagexchange("run", "--input", file, "--rounds", "0")
    assert ran.code == 3
    assert f"{file}: {says.format(file)}" in ran.err
    assert "Traceback" not in ran.err


def test_run_says_so_of_our_own_file_of_accesses_too(tmp_path):
    out = tmp_path / "a.pgxtrace"
    assert pagexchange("snapshot", "--from", str(DATA / "lackey.txt"), str(out)).code == 0
    ran = pagexchange("run", "--input", str(out), "--rounds", "0")
    assert (ran.code, "`pagexchange tier --input" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--limit", "5"), "--from and --limit exclude each other"),
        (("--pid", "1"), "--from and --pid exclude each other"),
        (("--proc", "/proc"), "--from and --proc exclude each other"),
    ],
)
def test_what_is_asked_of_a_machine_is_refused_beside_from(tmp_path, more, says):
    ran = pagexchange("snapshot", "--from", str(DATA / "lackey.txt"), str(tmp_path / "a"), *more)
    assert (ran.code, says in ran.err) == (2, True)
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_kept_ends_in_words_and_leaves_nothing(tmp_path):
    out = tmp_path / "a.pgxsnap"
    ran = pagexchange("snapshot", "--from", str(DATA / "lackey.txt"), str(out))
    assert (ran.code, "which has no pages for an arena" in ran.err) == (3, True)
    ran = pagexchange("snapshot", "--from", str(DATA / "README.md"), str(out))
    assert (ran.code, "of no form that is known here" in ran.err) == (3, True)
    assert pagexchange("snapshot", "--from", str(DATA / "lackey.txt")).code == 2
    assert list(tmp_path.iterdir()) == []
    out.write_bytes(b"mine")
    assert pagexchange("snapshot", "--from", str(DATA / "kpageflags.bin"), str(out)).code == 2
    assert out.read_bytes() == b"mine"
    assert pagexchange("snapshot", "--from", str(DATA / "kpageflags.bin"), str(out), "--force").code == 0
    assert len(file_format.load(out)) == 4
