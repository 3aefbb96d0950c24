"""The page in a real browser: it complains of nothing, asks for nothing, and every picture is there to be seen.

Pictures of the page are kept in build/screenshots/ of the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from pagexchange.html.page import page
from pagexchange.samples.folder import Folder
from tests.core import run_folders
from tests.core.browser import NAMES, Browser, browser, found

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PROGRAM = found()

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"no browser: none of {', '.join(NAMES)} is in the PATH")

PICTURES = """[...document.querySelectorAll('svg')].filter(svg => !svg.closest('details:not([open])')).map(svg => {
    const box = svg.getBoundingClientRect(), drawn = svg.getBBox();
    return [svg.querySelector('title')?.textContent || 'legend', box.width, box.height, drawn.width + drawn.height];
})"""
"""Of each that is not folded: what it shows, its width and height, and the size of what is drawn in it."""

CONTRAST = """(() => {
    const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                         return .2126 * r + .7152 * g + .0722 * b; };
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const behind = node => { for (; node; node = node.parentElement) {
        const c = parse(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); }
        return [255, 255, 255]; };
    const worst = {};
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim()) continue;
        if (node.closest('script, details:not([open]), .inside, title')) continue;
        const style = getComputedStyle(node), ink = parse(node.closest('svg') ? style.fill : style.color).slice(0, 3);
        const [a, b] = [light(ink), light(behind(node))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05), key = node.tagName + '.' + (node.className.baseVal ?? node.className);
        worst[key] = Math.min(worst[key] ?? 99, ratio);
    }
    return worst;
})()"""
"""Kind of element -> the least contrast of its words to what is behind them, as WCAG computes it."""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with browser(PROGRAM, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Folder, Path]]:
    """Name -> folder and its page: a bench on two hosts, a run, and a tier."""
    path = tmp_path_factory.mktemp("pages")
    made = {
        "bench": run_folders.large(path / "bench", rounds=5),
        "run": run_folders.plain(path / "run"),
        "tier": run_folders.tier(path / "tier"),
    }
    for name, folder in made.items():
        (path / f"{name}.html").write_text(page(folder), encoding="utf-8")
    return {name: (folder, path / f"{name}.html") for name, folder in made.items()}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("name", "fewest"), [("bench", 11), ("run", 11), ("tier", 1)])
def test_a_page_is_shown_without_complaint_and_without_a_request(
    window: Browser, folders: dict[str, tuple[Folder, Path]], name: str, fewest: int, dark: bool
) -> None:
    file = folders[name][1]
    window.show(file, dark=dark)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    kept = SCREENSHOTS / f"report-{name}-{'dark' if dark else 'light'}.png"
    window.screenshot(kept)
    print(f"kept: {kept}")
    assert window.complaints() == []
    assert window.requested() == [file.as_uri()]
    pictures = window.value(PICTURES)
    assert len(pictures) >= fewest
    assert [what for what, width, height, drawn in pictures if not (width > 8 and height > 8 and drawn > 4)] == []
    assert window.value("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)"
    )
    contrast = window.value(CONTRAST)
    assert {kind: ratio for kind, ratio in contrast.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("name", ["bench", "run", "tier"])
@pytest.mark.parametrize("width", [1200, 390], ids=["desk", "phone"])
def test_nothing_sticks_out_at_the_side(
    window: Browser, folders: dict[str, tuple[Folder, Path]], name: str, width: int
) -> None:
    window.show(folders[name][1], width=width)
    assert window.value("document.documentElement.scrollWidth") <= width


def test_tables_of_a_tier_need_no_scrolling_in_1000_pixels(
    window: Browser, folders: dict[str, tuple[Folder, Path]]
) -> None:
    window.show(folders["tier"][1], width=1000)
    boxes = window.value(
        "[...document.querySelectorAll('#ways .scroll, #took .scroll')].map(box => [box.scrollWidth, box.clientWidth])"
    )
    assert len(boxes) == 2
    assert all(needed <= there for needed, there in boxes), boxes
    over = window.value(
        "[...document.querySelectorAll('#over-time svg text')].map(text => [text.textContent,"
        " text.getBoundingClientRect().right - text.closest('svg').getBoundingClientRect().right])"
    )
    assert "list-exchange/hottest-coldest" in [words for words, _ in over]
    assert [words for words, by in over if by > 0] == []


def test_what_is_seen_is_what_the_samples_say(window: Browser, folders: dict[str, tuple[Folder, Path]]) -> None:
    folder, file = folders["run"]
    window.show(file)
    rows = window.value(
        "[...document.querySelectorAll('#samples tbody tr')].map(row => [...row.children].map(td => td.innerText))"
    )
    ids = {one.name: one.id for one in folder.manifest.cells}
    seen = {name: (cpu, wall) for name, _, cpu, wall, *_ in rows}
    assert len(seen) == len(ids)
    for name, printed in seen.items():
        taken = [s for s in folder.samples() if s.cell == ids[name] and not s.aside]
        for words, clock in zip(printed, ("cpu_ns", "wall_ns"), strict=True):
            if taken:
                said = median(getattr(sample, clock) / sample.exchanged for sample in taken)
                assert float(words.split()[0].replace(",", "")) == pytest.approx(said, rel=0.005)
    # A dot is where its sample is, as the browser has drawn it.
    (place,) = window.value(
        "[...document.querySelectorAll('#samples .strip .dots.cpu')].slice(0, 1).map(path =>"
        " [path.getPointAtLength(0).x, +path.closest('table').querySelector('[data-low]').dataset.low,"
        " +path.closest('table').querySelector('[data-low]').dataset.high])"
    )
    x, low, high = place
    first = next(s for s in folder.samples() if s.cell == ids[rows[0][0]])
    assert low * (high / low) ** ((x - 8) / 344) == pytest.approx(first.cpu_ns / first.exchanged, rel=0.002)


def test_it_is_printed_on_a4_with_what_is_folded(
    window: Browser, folders: dict[str, tuple[Folder, Path]], tmp_path: Path
) -> None:
    window.show(folders["run"][1])
    window.print(tmp_path / "run.pdf")
    printed = (tmp_path / "run.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([\d. ]+)\]", printed)}
    (box,) = boxes
    assert box[2:] == pytest.approx((595, 842), abs=2)
    window.show(folders["bench"][1], medium="print")
    heights = window.value("[...document.querySelectorAll('details')].map(each => each.getBoundingClientRect().height)")
    assert min(heights) > 50


def test_it_says_the_same_where_scripts_are_off(window: Browser, folders: dict[str, tuple[Folder, Path]]) -> None:
    file = folders["bench"][1]
    window.show(file)
    words = window.value("document.body.innerText")
    window.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        window.show(file)
    finally:
        window.call("Emulation.setScriptExecutionDisabled", value=False)
    assert window.value("document.body.innerText") == words


def test_what_a_stranger_wrote_is_shown_and_does_nothing(window: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(run_folders.hostile(tmp_path / "run")), encoding="utf-8")
    window.show(file)
    assert window.complaints() == []
    assert window.requested() == [file.as_uri()]
    assert window.value("document.images.length") == 0
    assert window.value("[...document.scripts].map(script => script.type)") == ["application/json"]
    assert window.value("JSON.parse(document.getElementById('data').textContent).name") == run_folders.HOSTILE
    assert "<script>alert(1)</script>" in window.value("document.querySelector('#repeat').textContent")
