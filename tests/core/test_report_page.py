"""The page of a run: its figures and the places of its dots are those of the samples, and nothing in it is markup."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from pagexchange.html import page as pages
from pagexchange.html.page import page
from pagexchange.html.words import NOTHING
from pagexchange.measure.pressure import Pressure
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Planned, Sample
from tests.core import page_tree, run_folders
from tests.core.page_tree import Element, text, with_class
from tests.core.run_folders import HOSTILE, cell, host, hostile, manifest, planned, samples

SIZES, THREADS = [32 << 10, 8 << 20, 256 << 20], [1, 2]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Element]:
    """Two hosts, points, threads, latencies, a failure: all that there can be."""
    folder = run_folders.large(tmp_path_factory.mktemp("large") / "run", sizes=SIZES, threads=THREADS, rounds=5)
    return folder, page_tree.read(page(folder))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, Element]:
    """One point, one thread, no latencies: of `run`."""
    folder = run_folders.plain(tmp_path_factory.mktemp("plain") / "run")
    return folder, page_tree.read(page(folder))


@pytest.fixture(params=["large", "plain"])
def either(request: pytest.FixtureRequest) -> tuple[Folder, Element]:
    found: tuple[Folder, Element] = request.getfixturevalue(request.param)
    return found


def of(folder: Folder, id: str, host: str) -> list[Sample]:
    return [sample for sample in folder.samples() if (sample.cell, sample.host) == (id, host)]


def counting(taken: list[Sample]) -> list[Sample]:
    """Those that were not pushed aside: in these folders each was taken again."""
    return [sample for sample in taken if not sample.aside]


def ratio_of(mine: list[Sample], its: list[Sample], clock: str) -> float:
    """Of medians, of the rounds that both have: one of them may have crashed early."""
    both = {s.round for s in mine} & {s.round for s in its}
    one, other = (
        median(getattr(s, f"{clock}_ns") / s.exchanged for s in side if s.round in both) for side in (mine, its)
    )
    return float(one / other)


def strips(page: Element) -> list[tuple[str, str, Element, Element, list[Element]]]:
    """Host, cell, axis, strip and the other cells of each row of samples."""
    found = []
    for table in (table for table in page.iter("table") if table.get("data-host")):
        (axis,) = (svg for head in table.iter("thead") for svg in head.iter("svg"))
        for cells in page_tree.rows(table).values():
            for svg in (svg for td in cells for svg in td.iter("svg")):
                found.append((table.get("data-host", ""), svg.get("data-cell", ""), axis, svg, cells[1:]))
    return found


def values(places: list[tuple[float, float]], axis: Element) -> list[float]:
    """What dots at such places say, top down."""
    low, high = float(axis.get("data-low", "")), float(axis.get("data-high", ""))
    return [low * (high / low) ** ((x - 8) / (360 - 16)) for x, _ in sorted(places, key=lambda place: place[1])]


# ---- figures and places ----------------------------------------------------------------------------------------------


def test_every_sample_is_a_dot_or_a_cross_at_its_place(either: tuple[Folder, Element]) -> None:
    folder, tree = either
    drawn = strips(tree)
    assert len(drawn) == len(folder.cells)
    seen = 0
    for where, id, axis, svg, _ in drawn:
        for clock in ("cpu", "wall"):
            for aside, name, places in ((False, "dots", page_tree.points), (True, "aside", page_tree.crosses)):
                taken = [sample for sample in of(folder, id, where) if sample.aside == aside]
                taken.sort(key=lambda sample: sample.round)
                paths = [path for path in with_class(svg, name) if clock in path.get("class", "").split()]
                there = values([place for path in paths for place in places(path.get("d", ""))], axis)
                said = [(s.cpu_ns if clock == "cpu" else s.wall_ns) / s.exchanged for s in taken]
                high = float(axis.get("data-high", ""))
                assert aside or max(said, default=0) < high
                assert there == pytest.approx([value for value in said if value < high], rel=0.002)  # tenths of a pixel
                beyond = [place for path in paths for place in page_tree.arrows(path.get("d", ""))]
                assert len(beyond) == sum(value > high for value in said)
                assert {x for x, _ in beyond} <= {358.0}
                seen += len(there) + len(beyond)
    assert seen == 2 * len(folder.samples())


def test_one_that_was_pushed_far_aside_does_not_press_all_others_into_one_dot(tmp_path: Path) -> None:
    one = planned("list-exchange")
    plain: dict[str, Any] = {
        "cell": one.id,
        "host": "build-3f29c1",
        "position": 0,
        "started_ns": 0,
        "pairs": 10,
        "exchanged": 10,
    }
    walls = {0: 1000, 1: 1100, 2: 1200, 3: 2500, 4: 900_000}
    taken = [Sample(**plain, round=n, wall_ns=ns, cpu_ns=900, aside=n > 2) for n, ns in walls.items()]
    ((_, _, axis, svg, _),) = strips(page_tree.read(page(small(tmp_path, taken))))
    (dots,) = (path for path in with_class(svg, "dots") if "wall" in path.get("class", ""))
    (aside,) = (path for path in with_class(svg, "aside") if "wall" in path.get("class", ""))
    places = [x for x, _ in page_tree.points(dots.get("d", ""))]
    assert places[-1] - places[0] > 30
    assert values(list(page_tree.crosses(aside.get("d", ""))), axis) == pytest.approx([250], rel=0.002)
    assert len(list(page_tree.arrows(aside.get("d", "")))) == 1


def test_the_first_round_is_at_the_top_of_its_lane(plain: tuple[Folder, Element]) -> None:
    _, tree = plain
    path = with_class(strips(tree)[0][3], "dots")[0]
    heights = [y for _, y in page_tree.points(path.get("d", ""))]
    assert heights == sorted(heights)
    assert 4 <= heights[0] < heights[-1] <= 17


def test_printed_medians_ratios_and_turns_are_those_of_the_samples(either: tuple[Folder, Element]) -> None:
    folder, tree = either
    reference = folder.manifest.reference
    by_place = {
        (host, str(point.point), point.name): counting(of(folder, point.id, host))
        for host in folder.hosts
        for point in folder.manifest.cells
    }
    plan = {one.id: one for one in folder.manifest.cells}
    for where, id, _, _, (cpu, wall, ratio, aside, _) in strips(tree):
        one, taken = plan[id], of(folder, id, where)
        counted = counting(taken)
        if not counted:
            assert [text(td) for td in (cpu, wall, ratio)] == [NOTHING] * 3
            continue
        for td, clock in ((cpu, "cpu_ns"), (wall, "wall_ns")):
            said = median(getattr(sample, clock) / sample.exchanged for sample in counted)
            assert number(td[0]) == pytest.approx(said, rel=0.005)
        marked = sum(sample.aside for sample in taken)
        assert text(aside) == (f"{marked} of {len(taken)}" if marked else "none")
        base = by_place[where, str(one.point), reference or "list-exchange"]
        if base is not counted and base != counted:
            said = ratio_of(counted, base, one.clock)
            assert float((ratio.text or "").rstrip("x")) == pytest.approx(said, abs=0.006)
        else:
            assert ratio.text == "1"


def number(element: Element) -> float:
    return float(text(element).replace(",", ""))


def test_small_print_is_the_interval_of_the_statistics(plain: tuple[Folder, Element]) -> None:
    from pagexchange.samples.statistics import median as with_interval

    folder, tree = plain
    for where, id, _, _, (cpu, *_) in strips(tree)[:3]:
        known = with_interval({s.round: s.cpu_ns / s.exchanged for s in counting(of(folder, id, where))})
        low, high = (float(word.replace(",", "")) for word in text(cpu[1]).split(" to "))
        assert (low, high) == pytest.approx((known.low, known.high), rel=0.005)


def test_the_data_in_the_page_are_the_samples(either: tuple[Folder, Element]) -> None:
    folder, tree = either
    data = page_tree.data(tree)
    columns = data["samples"]
    there = {
        (data["cells"][n]["id"], data["cells"][n]["host"], *rest)
        for n, *rest in zip(*(columns[name] for name in ("cell", "round", "exchanged", "wall_ns", "cpu_ns", "aside")),
                            strict=True)
    }  # fmt: skip
    assert there == {
        (s.cell, s.host, s.round, s.exchanged, s.wall_ns, s.cpu_ns, int(s.aside)) for s in folder.samples()
    }


def test_the_split_is_of_medians_and_its_bars_have_their_lengths(plain: tuple[Folder, Element]) -> None:
    folder, tree = plain
    section = page_tree.by_id(tree, "split")
    assert section is not None
    (table,) = section.iter("table")
    ids = {one.name: one.id for one in folder.manifest.cells}
    found = page_tree.rows(table)
    assert list(found) == ["list-exchange", "word-swap", "per-flag-loop", "temp-page", "rfc"]
    widths = []
    for name, (picture, *figures) in found.items():
        taken = counting(of(folder, ids[name], "build-3f29c1"))
        parts = [
            median(s.parts[part] / s.exchanged for s in taken)
            for part in ("lock", "flags", "data", "mapping", "finish")
        ]
        assert [number(td) for td in figures] == pytest.approx([*parts, sum(parts)], rel=0.006)
        bars = [float(rect.get("width", "")) + 1 for rect in picture.iter("rect")]
        assert [bar / sum(bars) for bar in bars] == pytest.approx([part / sum(parts) for part in parts], abs=0.01)
        widths.append(sum(bars) / sum(parts))
    assert widths == pytest.approx([widths[0]] * len(widths), rel=0.01)  # one scale for all


def test_the_map_has_every_ratio_in_the_order_of_the_axes(large: tuple[Folder, Element]) -> None:
    folder, tree = large
    section = page_tree.by_id(tree, "ratios")
    assert section is not None
    tables = list(section.iter("table"))
    assert [text(h3) for h3 in section.iter("h3")] == sorted(folder.hosts)
    ids = {(str(one.point), one.name): one for one in folder.manifest.cells}
    for where, table in zip(sorted(folder.hosts), tables, strict=True):
        heads = [text(th) for th in next(table.iter("tr"))]
        assert heads[:2] == ["threads", "working set"]
        places = []
        for row in table.findall("tbody/tr"):
            cells = list(row)
            threads, size = (
                int(text(cells[0])),
                {"32 KiB": SIZES[0], "8 MiB": SIZES[1], "256 MiB": SIZES[2]}[text(cells[1])],
            )
            places.append((threads, size))
            point = str({"size": size, "order": 0, "threads": threads})
            base = counting(of(folder, ids[point, "rfc-2019"].id, where))
            for name, td in zip(heads[2:-1], cells[2:-1], strict=True):
                one = ids[point, name]
                mine = counting(of(folder, one.id, where))
                assert float(text(td)) == pytest.approx(ratio_of(mine, base, one.clock), abs=0.006)
        assert places == [(threads, size) for threads in THREADS for size in SIZES]


def test_the_line_stands_where_a_ratio_passes_1_and_the_sentence_says_so(large: tuple[Folder, Element]) -> None:
    _, tree = large
    section = page_tree.by_id(tree, "ratios")
    assert section is not None
    (table, _) = section.iter("table")
    heads = [text(th) for th in next(table.iter("tr"))]
    passed = []
    for row in table.findall("tbody/tr"):
        passed += [
            (heads[n], text(row[0]), text(row[1]))
            for n, td in enumerate(row)
            if "passes" in td.get("class", "").split()
        ]
    assert passed == [("word-swap", "1", "8 MiB"), ("word-swap", "2", "8 MiB")]
    (answer,) = with_class(tree, "answer")
    assert [text(li) for li in answer.iter("li")] == [
        "word-swap is slower than rfc-2019 at working set 32 KiB, and faster from 8 MiB on (threads 1; threads 2)."
    ]


def test_speed_up_and_latencies_are_those_of_the_samples(large: tuple[Folder, Element]) -> None:
    folder, tree = large
    section = page_tree.by_id(tree, "threads")
    assert section is not None
    ids = {(one.point["size"], one.point["threads"], one.name): one.id for one in folder.manifest.cells}
    host = sorted(folder.hosts)[0]
    table = next(section.iter("table"))
    heads = [text(th) for th in next(table.iter("tr"))][2:]
    for size, row in zip(SIZES, table.findall("tbody/tr"), strict=True):
        assert text(row[1]) == "2"
        for name, td in zip(heads, list(row)[2:], strict=True):
            one, two = (counting(of(folder, ids[size, n, name], host)) for n in (1, 2))
            assert float(text(td).rstrip("x")) == pytest.approx(ratio_of(one, two, "wall"), abs=0.006)
    details = next(tree.iter("details"))
    latencies = [table for table in details.iter("table") if "calls" in text(next(table.iter("tr")))]
    units = {"ns": 1, "µs": 1e3, "ms": 1e6}
    found = page_tree.rows(latencies[0])
    for name in ("list-exchange", "rfc-2019"):
        calls = sorted(ns for s in counting(of(folder, ids[SIZES[0], 1, name], host)) for ns in s.call_ns)
        *times, count = map(text, found[name])
        assert int(count) == len(calls) == 400
        said = [float(value) * units[unit] for value, unit in map(str.split, times)]
        assert said == pytest.approx([calls[200], calls[360], calls[396], calls[-1]], rel=0.006)


# ---- what is there and what is not -----------------------------------------------------------------------------------


def ids(tree: Element) -> list[str | None]:
    return [section.get("id") for section in tree.iter("section")]


def test_a_run_without_points_threads_and_latencies_has_no_section_of_them(plain: tuple[Folder, Element]) -> None:
    _, tree = plain
    assert ids(tree) == ["trust", "samples", "split", "losses", "machine", "repeat", "words"]


def test_a_run_of_everything_has_every_section_and_each_is_linked(large: tuple[Folder, Element]) -> None:
    _, tree = large
    sections = ["ratios", "crossover", "threads", "points", "losses", "failed", "machine", "repeat", "words"]
    assert ids(tree) == ["trust", *sections]
    assert [a.get("href") for nav in tree.iter("nav") for a in nav.iter("a")] == [f"#{id}" for id in sections]


def test_every_picture_has_words_and_a_table_beside_it(either: tuple[Folder, Element]) -> None:
    _, tree = either
    for svg in tree.iter("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg[0].tag == "title" and svg[0].text)
    for section in (section for section in tree.iter("section") if list(section.iter("svg"))):
        assert list(section.iter("table")) or section.get("id") == "crossover"  # its table is the map


def test_losses_and_refusals_are_counted(plain: tuple[Folder, Element]) -> None:
    _, tree = plain
    section = page_tree.by_id(tree, "losses")
    assert section is not None
    lost, refused = (page_tree.rows(table) for table in section.iter("table"))
    assert {flag: text(cells[0]) for flag, cells in lost.items()} == {
        "young": "812", "idle": "403", "workingset": "97", "active": "12",
    }  # fmt: skip
    assert {errno: text(cells[0]) for errno, cells in refused.items()} == {"ENOMEM": "1,000"}
    assert "Nothing was lost by list-exchange, word-swap, temp-page, per-flag-loop." in text(section)


def test_cells_that_failed_are_listed_with_signal_and_sentence(large: tuple[Folder, Element]) -> None:
    _, tree = large
    section = page_tree.by_id(tree, "failed")
    assert section is not None
    found = [[text(cell) for cell in row] for row in section.findall(".//tbody/tr")]
    why = "crashed in the data of memcpy-three: Segmentation fault"
    assert found == [
        ["memcpy-three", "working set 32 KiB, threads 2", host, "signal 11, SIGSEGV", why, "2"]
        for host in ("build-3f29c1", "rack7-81ab20")
    ]


def test_how_to_repeat_it_is_all_there_and_hosts_are_columns(large: tuple[Folder, Element]) -> None:
    folder, tree = large
    section = page_tree.by_id(tree, "repeat")
    assert section is not None
    told = text(section)
    for word in (
        "pagexchange bench mine.toml --seed 7",
        "5c" * 32,
        "pagexchange 0.11",
        "NumPy 2.4.0",
        folder.manifest.config.strip(),
    ):
        assert word in told
    machines = page_tree.by_id(tree, "machine")
    assert machines is not None
    found = page_tree.rows(next(machines.iter("table")))
    assert [text(td) for td in found["CPU ≠"]] == ["AMD EPYC 9354", "Ampere Altra"]
    assert [text(td) for td in found["Linux"]] == ["6.12.10", "6.12.10"]
    assert "microcode" not in found  # which is not recorded in this folder


def test_the_answer_names_the_fastest_that_loses_nothing(plain: tuple[Folder, Element]) -> None:
    _, tree = plain
    (answer,) = with_class(tree, "answer")
    said = re.sub(r"\d[\d.,]*", "N", text(answer))
    first, rest = said.split(":")
    assert first == "list-exchange is the fastest of those that lose nothing"
    assert rest == " N ns of CPU time per pair (N to N), N times as fast as word-swap."


# ---- trust -----------------------------------------------------------------------------------------------------------


def small(path: Path, taken: list[Sample] | None = None, **machine: Any) -> Folder:
    one = planned("list-exchange")
    folder = Folder.create(path / "run", manifest("run", [one]))
    folder.add_host(host("build-3f29c1", **machine))
    quiet = [sample for sample in samples(one, "build-3f29c1", 200.0, rounds=5) if not sample.aside]
    folder.append(quiet if taken is None else taken)
    folder.add_cell(cell(one, "build-3f29c1"))
    return folder


def banner(folder: Folder) -> tuple[str, str]:
    (found,) = with_class(page_tree.read(page(folder)), "banner")
    return found.get("class", "").split()[1], text(found)


def test_a_quiet_machine_is_green_in_words_too(tmp_path: Path) -> None:
    light, said = banner(small(tmp_path))
    assert light == "green"
    assert said.startswith("✓Green: nothing speaks against these numbers.")


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (Pressure(some_cpu=0.25), "In 25% of the time somebody waited for a CPU."),
        (Pressure(steal=0.05), "The hypervisor gave 5.0% of the CPUs to others."),
        (Pressure(throttled=0.4), "The control group was not allowed to run for 40%."),
    ],
)
def test_a_machine_that_had_other_work_is_amber_and_the_page_says_which(
    tmp_path: Path, after: Pressure, words: str
) -> None:
    light, said = banner(small(tmp_path, after=after))
    assert light == "amber"
    assert "Amber: read with care." in said
    assert words in said


def test_cells_that_were_pushed_aside_in_most_turns_are_red_by_name(tmp_path: Path) -> None:
    one = planned("list-exchange")
    taken = [
        Sample(cell=one.id, host="build-3f29c1", round=n, position=0, started_ns=n, pairs=10, exchanged=10,
               wall_ns=5000, cpu_ns=1000, aside=n > 0)
        for n in range(4)
    ]  # fmt: skip
    light, said = banner(small(tmp_path, taken))
    assert light == "red"
    assert "1 cell was pushed aside in most turns: list-exchange." in said
    assert "3 of 4 samples were pushed aside by others; 3 stay so." in said


def test_a_run_that_did_not_come_to_its_end_is_red(tmp_path: Path) -> None:
    light, said = banner(small(tmp_path, after=None))
    assert light == "red"
    assert "did not come to its end" in said


# ---- strangers -------------------------------------------------------------------------------------------------------


def test_nothing_that_comes_from_a_folder_becomes_markup(tmp_path: Path) -> None:
    made = page(hostile(tmp_path / "run"))
    tree = page_tree.read(made)
    assert [script.get("type") for script in tree.iter("script")] == ["application/json"]
    assert not list(tree.iter("img"))
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on")]
    assert page_tree.data(tree)["name"] == HOSTILE
    shown = HOSTILE.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    for id in ("losses", "failed", "machine", "repeat"):
        section = page_tree.by_id(tree, id)
        assert section is not None
        assert shown in text(section), id
    assert "\x1b" not in made
    assert "\u202e" not in made


def test_the_page_fetches_nothing_and_forbids_it(either: tuple[Folder, Element]) -> None:
    _, tree = either
    (policy,) = (
        meta.get("content") for meta in tree.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    for element in tree.iter():
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            assert element.get(name, "#").startswith("#")
    (style,) = tree.iter("style")
    assert "url(" not in text(style)
    assert "@import" not in text(style)


# ---- size ------------------------------------------------------------------------------------------------------------


def test_a_page_has_less_than_300_kilobytes(large: tuple[Folder, Element], plain: tuple[Folder, Element]) -> None:
    assert len(page(large[0]).encode()) <= pages.MOST == 300_000
    assert len(page(plain[0]).encode()) < 50_000


@pytest.mark.parametrize(
    ("most", "points", "words"),
    [
        # six points on two hosts: a byte less than all; samples alone; some of the points
        (-1, 6, r"[12] points? without where the time goes and how long calls last"),
        (-60_000, 6, r"[3-6] points without where the time goes"),
        (-110_000, 4, r" [1-5] points? left out here, so that this file stays small. The map has all."),
    ],
)
def test_of_a_run_that_is_too_large_less_of_fewer_points_is_shown_and_it_is_said(
    large: tuple[Folder, Element], monkeypatch: pytest.MonkeyPatch, most: int, points: int, words: str
) -> None:
    folder = large[0]
    most += len(page(folder).encode())
    monkeypatch.setattr(pages, "MOST", most)
    made = page(folder)
    assert most * 0.8 < len(made.encode()) <= most
    tree = page_tree.read(made)
    shown = [text(summary) for summary in tree.iter("summary") if "working set" in text(summary)]
    assert shown[0].startswith("working set 32 KiB, threads 1")
    assert shown[-1].startswith("working set 256 MiB, threads 2")
    assert len(shown) == points
    section = page_tree.by_id(tree, "points")
    assert section is not None
    assert re.search(words, text(section))
    assert len({cell["id"] for cell in page_tree.data(tree)["cells"]}) == points * len(run_folders.CONTENDERS)
    assert sum(len(list(table.findall("tbody/tr"))) for table in with_class(tree, "map")) == 12


def test_where_even_the_map_is_too_large_points_are_left_out_of_it_too(
    large: tuple[Folder, Element], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 45_000)
    made = page(large[0])
    assert len(made.encode()) <= 45_000
    tree = page_tree.read(made)
    assert "Of 6 points 3 are left out" in text(next(tree.iter("footer")))
    assert sum(len(list(table.findall("tbody/tr"))) for table in with_class(tree, "map")) == 6


def test_many_samples_of_a_cell_are_drawn_and_the_page_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 100_000)
    made = page(run_folders.plain(tmp_path / "run", rounds=500))
    assert len(made.encode()) <= pages.MOST
    tree = page_tree.read(made)
    assert len(list(page_tree.points(with_class(strips(tree)[0][3], "dots")[0].get("d", "")))) > 100
    assert page_tree.data(tree)["cells"] == []


# ---- little ----------------------------------------------------------------------------------------------------------


def test_a_folder_with_nothing_in_it_is_a_page(tmp_path: Path) -> None:
    tree = page_tree.read(page(Folder.create(tmp_path / "run", manifest("run", [planned("list-exchange")]))))
    assert ids(tree) == ["trust", "repeat", "words"]


def test_cells_that_were_never_begun_are_said_to_be_missing(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "run", manifest("run", [planned("list-exchange"), planned("word-swap")]))
    folder.add_host(host("build-3f29c1"))
    folder.append(samples(planned("list-exchange"), "build-3f29c1", 200.0, rounds=1))
    folder.add_cell(cell(planned("list-exchange"), "build-3f29c1"))
    tree = page_tree.read(page(folder))
    section = page_tree.by_id(tree, "failed")
    assert section is not None
    assert "1 cell of the plan did not come to an end: word-swap." in text(section)
    assert "list-exchange takes" in text(with_class(tree, "answer")[0])


def test_two_configurations_of_one_name_are_told_apart(tmp_path: Path) -> None:
    from pagexchange.samples.naming import cell_id

    one = planned("list-exchange")
    other = Planned(id=cell_id({"name": "other"}, digest="", distributions={}), name="list-exchange")
    folder = Folder.create(tmp_path / "run", manifest("run", [one, other]))
    folder.add_host(host("build-3f29c1"))
    for each, ns in ((one, 200.0), (other, 300.0)):
        folder.append(samples(each, "build-3f29c1", ns, rounds=5))
        folder.add_cell(cell(each, "build-3f29c1"))
    tree = page_tree.read(page(folder))
    section = page_tree.by_id(tree, "samples")
    assert section is not None
    assert list(page_tree.rows(next(section.iter("table")))) == ["list-exchange", f"list-exchange {other.id}"]
