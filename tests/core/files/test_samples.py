"""Each form is known by what is in it, and whatever is done to a file, the answer is a trace or an error in words."""

import re
import time

import numpy as np
import pytest

from pagexchange.errors import TraceError
from pagexchange.pages.files import ACCESS, packaged, read, save, source
from pagexchange.pages.files.forms import FORMS
from tests.rooms import ROOT

DATA = ROOT / "tests" / "data" / "files"
# form, numbers, kind, rows, pages in all
SAMPLES = {
    "damon.json": ("damo record (JSON)", "pfn", "accesses", 12, 4 * 15360),
    "damon.data": ("damo record (JSON)", "pfn", "accesses", 12, 4 * 15360),
    "damon.txt": ("damo record (text)", "pfn", "accesses", 12, 4 * 15360),
    "damon-trace-cmd.txt": ("damo record (text)", "pfn", "accesses", 12, 4 * 15360),
    "damon-real.data": ("damo record (JSON)", "pfn", "accesses", 646, 2359098),
    "lackey.txt": ("lackey's accesses", "vpn", "accesses", None, None),
    "perf-mem.txt": ("perf mem", "pfn", "accesses", 2, 2),
    "perf-script.txt": ("perf script", "pfn", "accesses", 3, 3),
    "perf-script-faults.txt": ("perf script", "vpn", "accesses", 25, 25),
    "mooncake.jsonl": ("Mooncake's requests", "block", "accesses", 5, 8),
    "page-types.txt": ("page-types listing", "pfn", "state", 3, 4),
    "page-types-ranges.txt": ("page-types listing", "pfn", "state", 2, 65),
    "kpageflags.bin": ("kpageflags dump", "pfn", "state", 3, 4),
    "numa_maps": ("numa_maps", "vpn", "state", 6, 512 + 6 + 1536 + 4),
    "lru_gen": ("lru_gen", "block", "state", 7, 768 + 100 + 96 + 24 + 4096 + 1024 + 5),
}  # fmt: skip


def test_there_is_a_sample_of_every_form():
    assert {sample[0] for sample in SAMPLES.values()} == {form.name for form in FORMS}
    assert {path.name for path in DATA.iterdir()} == {*SAMPLES, "README.md", "moving_hot_set.c"}


def test_the_manual_has_each_form_and_the_command_that_makes_it():
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([^`]+)` \| [^|`\n]*`[^`|\n]+`", text, re.MULTILINE)
    assert table == [form.name for form in FORMS]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_known_by_its_content_whatever_its_name(tmp_path, name):
    path = tmp_path / "file"
    path.write_bytes((DATA / name).read_bytes())
    trace = read(path)
    form, numbers, kind, n, pages = SAMPLES[name]
    assert (trace.form, trace.numbers, trace.kind) == (form, numbers, kind)
    table = np.concatenate(list(trace.chunks()))
    assert table.dtype == ACCESS
    assert n is None or (trace.rows, int(table["pages"].sum())) == (n, pages)
    assert all(note.endswith(".") for note in trace.notes)
    save(trace, tmp_path / "small")
    again = read(tmp_path / "small")
    assert again.facts == trace.facts
    assert np.array_equal(np.concatenate(list(again.chunks())), table)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("step", [1, 7, 333])
def test_a_sample_gives_the_same_table_however_large_the_pieces_are_that_it_is_read_in(monkeypatch, name, step):
    path = DATA / name
    expected = np.concatenate(list(read(path).chunks()))
    monkeypatch.setattr(source, "STEP", step)
    monkeypatch.setattr(source, "HEAD", 2100 if name == "kpageflags.bin" else 700)  # the dump begins with zeros
    assert np.array_equal(np.concatenate(list(read(path).chunks())), expected)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_sample_gives_a_trace_or_an_error_in_words(tmp_path, name):
    data = (DATA / name).read_bytes()
    path = tmp_path / "file"
    random = np.random.default_rng(len(data))
    damaged = [data[:size] for size in sorted({0, 1, 7, *random.integers(0, len(data), 25).tolist()})]
    for at in random.integers(0, len(data), 40).tolist():
        garbage = random.bytes(int(random.integers(1, 9)))
        damaged.append(data[:at] + garbage + data[at + len(garbage) :])
        damaged.append(data[:at] + garbage + data[at:])
    damaged += [data + data, data[len(data) // 2 :], data.replace(b"0", b"99999999999"), data.replace(b"\n", b"\n\n")]
    damaged += [data.replace(b"\n", b" "), data.replace(b":", b""), data.replace(b" ", b"-"), data.replace(b",", b"")]
    for one in damaged:
        path.write_bytes(one)
        began = time.process_time()
        said = ""
        try:
            trace = read(path)
        except TraceError as error:
            said = str(error)
        else:
            assert trace.rows == sum(map(len, trace.chunks()))
        assert not said or re.match(re.escape(str(path)) + r"(:\d+)?: \S", said)
        assert time.process_time() - began < 30


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"hello\n", bytes(4096), b"x" * 3_000_000, b"{" * 100_000, b"[" * 100_000, b"\xff" * 999,
     b'{"snapshots": ' * 50, b"MZ\x90\x00" * 999, b"1 2\n3 4\n", b"\x78\x9cgarbage", b"\x1f\x8b\x08garbage"],
)  # fmt: skip
def test_what_is_of_no_form_is_refused_with_all_forms_and_what_each_is_known_by(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(TraceError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    if "of no form that is known here" in said:
        for form in FORMS:
            assert f"  {form.name}: {form.sign}" in said
        assert "begins with b'PGXTRAC\\x00'" in said


def test_the_packaged_accesses_are_a_hot_set_that_moves():
    trace = packaged()
    assert (trace.numbers, trace.page_size, trace.kind) == ("pfn", 4096, "accesses")
    table = np.concatenate(list(trace.chunks()))
    assert 60e9 < trace.duration < 200e9
    times = np.unique(table["time"])
    middle = []
    for one in times[5:]:
        rows = table[table["time"] == one]
        assert rows["pages"].sum() == trace.facts.end - trace.facts.lowest  # all memory, and none of it twice
        hot = rows[rows["heat"] >= 0.6 * rows["heat"].max()]
        assert hot["pages"].sum() < 0.4 * rows["pages"].sum()
        middle.append(np.average(hot["page"] + hot["pages"] / 2, weights=hot["pages"]))
    assert np.ptp(middle) > 0.5 * (trace.facts.end - trace.facts.lowest)


@pytest.mark.parametrize("what", ["/dev/zero", "/", "/nonexistent"])
def test_what_is_no_file_is_refused(what):
    with pytest.raises(TraceError, match=rf"^{what}: (neither a file nor a pipe|cannot be read: .*)"):
        read(what)


def test_progress_is_told_in_bytes_of_the_file(tmp_path):
    path = tmp_path / "file"
    data = (DATA / "lackey.txt").read_bytes() * 400
    path.write_bytes(data)
    told = []
    read(path, progress=lambda done, total, what: told.append((done, total, what)))
    assert told[-1] == (len(data), len(data), "reading file")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert len(told) >= len(data) >> 20
