"""What a bench says of this machine: which strategy wins where, and what to set. Only where intervals are apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from pagexchange.bench.axes import Point
from pagexchange.bench.summary import Figure, PointFigures
from pagexchange.bench.verdict import leaders
from pagexchange.host.resolved import resolved
from pagexchange.model.config import AXES, Config
from pagexchange.model.sizes import format_size
from pagexchange.model.tomltext import toml
from pagexchange.model.words import counted
from pagexchange.samples.statistics import ratio, relation

NAME: Final = "tuned"


@dataclass(frozen=True, slots=True)
class Setting:
    """A table `[strategy.tuned...]`: a strategy of the file, with what this machine wants of it."""

    strategy: str
    """Whose plug-ins it has."""
    threads: int = 1
    threads_from: int = 0
    """Pairs of a call from which the threads pay."""
    least: int = 0
    """Bytes of pages from which on it is the one to choose; 0: always."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to say, and what to set."""

    sentences: tuple[str, ...]
    settings: tuple[Setting, ...]


def tune(found: Sequence[PointFigures], migrating: Collection[str] = ()) -> Advice:
    """Compare strategies at each point, and threads across points.

    Parameters
    ----------
    migrating
        Names of strategies that migrate. They are called otherwise and need free frames, so they are no choice where
        others exchange: there they are left out.
    """
    points = [(Point(**each.point), each) for each in found]
    measured = {figure.name for each in found for figure in each.figures if figure.planned.kind == "strategy"}
    sentences: list[str] = []
    if measured - set(migrating):
        points = [(point, _without(each, migrating)) for point, each in points]
        sentences += [
            f"{name} migrates, and is no choice where pages are exchanged: it is not compared"
            for name in sorted(measured.intersection(migrating))
        ]
    for words, along in _along(points, "size"):
        sentences += _by_size(words, along)
    threads = _threads(points)
    sentences += [sentence for sentence, _ in threads]
    pays = {name: setting for _, (name, setting) in ((s, t) for s, t in threads if t)}
    settings = _settings(points, pays)
    if not settings:
        sentences.append("No strategy is ahead of the others beyond its interval: there is nothing to set")
    return Advice(tuple(dict.fromkeys(sentences)), tuple(settings))


def pasted(config: Config, advice: Advice) -> str:
    """Return the settings as tables of a strategies.toml."""
    text = []
    for number, setting in enumerate(advice.settings):
        spec = config.strategy(setting.strategy)
        table = resolved(config, [spec])["strategy"][spec.name]
        chosen = {key: item for key, item in table.items() if key != "summary" and item != []}
        chosen |= {"threads": setting.threads, "threads_from": setting.threads_from}
        later = advice.settings[number + 1].least if number + 1 < len(advice.settings) else 0
        if later:
            text.append(f"# for less than {format_size(later)} of pages")
        elif setting.least:
            text.append(f"# from {format_size(setting.least)} of pages on")
        name = NAME if len(advice.settings) == 1 else f"{NAME}-{number + 1}"
        text.append(toml({"strategy": {name: chosen}}))
    return "\n".join(text)


def _without(figures: PointFigures, names: Collection[str]) -> PointFigures:
    return replace(figures, figures=tuple(figure for figure in figures.figures if figure.name not in names))


def _along(
    points: Iterable[tuple[Point, PointFigures]], axis: str
) -> list[tuple[str, list[tuple[Point, PointFigures]]]]:
    """Points that differ in one axis alone, ascending; with what they have in common, as far as others differ in it."""
    every = list(points)
    told = [other for other in AXES if other != axis and len({getattr(point, other) for point, _ in every}) > 1]
    others = [other for other in AXES if other not in (axis, "size", "batch")]
    # A small set cuts a batch to what it has: then the batch follows from the size, and is none of its own.
    if axis != "batch":
        others.append("batch")
    found: dict[tuple[Any, ...], list[tuple[Point, PointFigures]]] = {}
    for point, figures in every:
        found.setdefault(tuple(getattr(point, other) for other in others if other != axis), []).append((point, figures))
    out = []
    for along in found.values():
        along.sort(key=lambda pair: (getattr(pair[0], axis), pair[0].size))
        out.append((along[0][0].words(told), along))
    return out


def _by_size(words: str, along: list[tuple[Point, PointFigures]]) -> list[str]:
    """Who leads, from the smallest set to the largest: sets next to each other with the same leaders in one."""
    told = [(point.size, tuple(sorted(f.name for f in leaders(figures)))) for point, figures in along]
    said = []
    for names, several in groupby(told, key=lambda pair: pair[1]):
        sizes = [size for size, _ in several]
        where = format_size(sizes[0]) if len(sizes) == 1 else f"{format_size(sizes[0])} to {format_size(sizes[-1])}"
        if not names:
            said.append(f"{where}: nothing that can be trusted")
        elif len(names) == 1:
            said.append(f"{where}: {names[0]} wins")
        else:
            said.append(f"{where}: {', '.join(names)} are level")
    return [f"{words}: {'; '.join(said)}" if words else "; ".join(said)]


def _threads(points: list[tuple[Point, PointFigures]]) -> list[tuple[str, tuple[str, tuple[int, int]] | None]]:
    """For each strategy that was measured with several threads: from how many pairs of a call on they pay."""
    counts = sorted({point.threads for point, _ in points})
    names = list(dict.fromkeys(f.name for _, each in points for f in each.figures if f.planned.kind == "strategy"))
    out: list[tuple[str, tuple[str, tuple[int, int]] | None]] = []
    for name in names if len(counts) > 1 else ():
        best: tuple[int, int] | None = None
        for threads in counts[1:]:
            start = _pays_from(points, name, threads)
            if start is not None:
                best = (threads, start)
        if best is None:
            out.append((f"{name}: several threads do not pay at any batch that was measured", None))
        else:
            threads, start = best
            out.append(
                (f"{name}: {counted(threads, 'thread')} pay from {counted(start, 'pair')} per call on", (name, best))
            )
    return out


def _pays_from(points: list[tuple[Point, PointFigures]], name: str, threads: int) -> int | None:
    """The least batch from which on so many threads are ahead of one at every size; None: at no batch."""
    alone = {_but_threads(point): figures.of(name) for point, figures in points if point.threads == 1}
    pays: dict[int, list[bool]] = {}
    for point, figures in points:
        mine, one = figures.of(name), alone.get(_but_threads(point))
        if point.threads == threads and mine and one and mine.cost and one.cost:
            pays.setdefault(point.batch, []).append(_faster(mine, one))
    start = None
    for batch in sorted(pays, reverse=True):
        if not all(pays[batch]):
            break
        start = batch
    return start


def _faster(mine: Figure, one: Figure) -> bool:
    """Whether a cell is ahead of one of another point: they took no turns together, so rounds are none of theirs."""
    if not (mine.clean and one.clean):
        return False
    return relation(ratio(list(mine.costs.values()), list(one.costs.values()))) == "below"


def _but_threads(point: Point) -> tuple[Any, ...]:
    return tuple(getattr(point, axis) for axis in AXES if axis != "threads")


def _settings(points: list[tuple[Point, PointFigures]], pays: dict[str, tuple[int, int]]) -> list[Setting]:
    """The strategy that leads at most points of each size; sizes next to each other with the same one in one."""
    led: dict[int, dict[str, int]] = {}
    for point, figures in points:
        first = leaders(figures)
        votes = led.setdefault(point.size, {})
        # Level ones share the lead: who leads alone anywhere decides.
        for figure in first:
            votes[figure.name] = votes.get(figure.name, 0) + (len(figures.figures) if len(first) == 1 else 1)
    settings: list[Setting] = []
    for size in sorted(led):
        votes = led[size]
        if not votes:
            continue
        most = max(votes.values())
        able = [name for name, n in votes.items() if n == most]
        name = settings[-1].strategy if settings and settings[-1].strategy in able else able[0]
        if not settings or settings[-1].strategy != name:
            threads, start = pays.get(name, (1, 0))
            settings.append(Setting(name, threads, start, size if settings else 0))
    return settings
