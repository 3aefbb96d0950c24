"""What is said of samples: percentiles, who wins, and what to set; a lead only where intervals are apart."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pagexchange.bench.axes import Point
from pagexchange.bench.summary import Figure, PointFigures, exit_code, latency, summary
from pagexchange.bench.tune import Setting, pasted, tune
from pagexchange.bench.verdict import leaders, winner_words
from pagexchange.cli.bench_table import tuning
from pagexchange.cli.layout import render
from pagexchange.exits import EXIT_INPUT, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.host import read
from pagexchange.runs.contenders import contenders
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell, Host, Planned
from pagexchange.samples.statistics import median, ratio, relation
from tests.core.folders import HOST, IDS, cell, finished, manifest, sample

MIB = 1 << 20
NOISE = (0.995, 1.0, 1.004, 0.998, 1.002, 1.001, 0.997)


def figure(name, ns, noise=NOISE, verdict="exact", clean=True, reference=100.0) -> Figure:
    costs = {number: ns * factor for number, factor in enumerate(noise)}
    to = ratio(costs, {number: reference * factor for number, factor in enumerate(noise)})
    return Figure(
        Planned(id=IDS[0], name=name), Cell(id=IDS[0], host=HOST, name=name, started="", seconds=1.0, verdict=verdict),
        costs, median(costs), to, relation(to), None, clean, 0, len(noise),
    )  # fmt: skip


def at(*figures: Figure, **point: Any) -> PointFigures:
    values: dict[str, Any] = {"size": MIB} | point
    return PointFigures(Point(**values).values(), HOST, figures)


# ---- latency ---------------------------------------------------------------------------------------------------------


def test_percentiles_are_of_the_calls_of_all_samples_and_the_worst_is_the_worst() -> None:
    calls = list(range(1, 5001))
    found = latency([sample(call_ns=calls[i::5], calls=1000, pairs=4000) for i in range(5)])
    assert found is not None
    assert found.at == {50.0: 2501.0, 90.0: 4501.0, 99.0: 4951.0, 99.9: 4996.0}
    assert (found.worst, found.calls, found.pairs) == (5000, 5000, 4)


def test_a_percentile_that_too_few_calls_lie_beyond_is_not_known() -> None:
    found = latency([sample(call_ns=[7] * 299 + [900])])
    assert found is not None
    assert found.at == {50.0: 7.0, 90.0: 7.0, 99.0: 7.0, 99.9: None}
    few = latency([sample(call_ns=[7, 8])])
    assert few is not None
    assert list(few.at.values())[1:] == [None] * 3
    assert latency([sample()]) is None


# ---- who wins --------------------------------------------------------------------------------------------------------


def test_only_a_lead_beyond_the_interval_and_the_least_effect_is_a_win() -> None:
    clear = at(figure("a", 100), figure("b", 130))
    assert [f.name for f in leaders(clear)] == ["a"]
    assert winner_words(clear).startswith("a wins: 100 ns per pair, 1.00 of the reference")
    assert "b takes 1.30 times as long" in winner_words(clear)
    close = at(figure("a", 100), figure("b", 102), figure("c", 140))
    assert [f.name for f in leaders(close)] == ["a", "b"]
    assert winner_words(close).startswith("a, b are level: ")
    rng = np.random.default_rng(3)
    strewn = at(figure("a", 100, rng.uniform(0.5, 2, 7)), figure("b", 130, rng.uniform(0.5, 2, 7)))
    assert len(leaders(strewn)) == 2


@pytest.mark.parametrize("verdict", ["loses", "wrong", "refused", "failed"])
def test_what_loses_something_wins_nothing(verdict) -> None:
    assert [f.name for f in leaders(at(figure("a", 10, verdict=verdict), figure("b", 130)))] == ["b"]


def test_what_cannot_be_trusted_wins_nothing() -> None:
    assert [f.name for f in leaders(at(figure("a", 10, clean=False), figure("b", 130)))] == ["b"]
    alone = at(figure("a", 10, clean=False))
    assert winner_words(alone) == "No strategy has figures that can be trusted here."


# ---- what to set -----------------------------------------------------------------------------------------------------


def test_the_crossover_along_the_sizes_is_said_and_set() -> None:
    found = [
        at(figure("word-swap", 100), figure("list-exchange", 120), size=MIB),
        at(figure("word-swap", 200), figure("list-exchange", 198), size=32 * MIB),
        at(figure("word-swap", 700), figure("list-exchange", 500), size=256 * MIB),
    ]
    advice = tune(found)
    assert advice.sentences == (
        "1 MiB: word-swap wins; 32 MiB: list-exchange, word-swap are level; 256 MiB: list-exchange wins",
    )
    assert advice.settings == (Setting("word-swap"), Setting("list-exchange", least=256 * MIB))


def test_where_one_leads_everywhere_there_is_one_table_and_sizes_are_told_together() -> None:
    found = [at(figure("word-swap", 200), figure("list-exchange", 100), size=n * MIB) for n in (1, 2, 4)]
    advice = tune(found)
    assert advice.sentences == ("1 MiB to 4 MiB: list-exchange wins",)
    assert advice.settings == (Setting("list-exchange"),)


def test_orders_and_batches_are_told_apart() -> None:
    found = [
        at(figure("a", 100 + 50 * (order == 4)), figure("b", 120), order=order, batch=batch)
        for order in (0, 4) for batch in (1, 16)
    ]  # fmt: skip
    assert tune(found).sentences == (
        "folios of 4 KiB, 1 pair per call: 1 MiB: a wins",
        "folios of 4 KiB, 16 pairs per call: 1 MiB: a wins",
        "folios of 64 KiB, 1 pair per call: 1 MiB: b wins",
        "folios of 64 KiB, 16 pairs per call: 1 MiB: b wins",
    )


def threaded(two: dict[int, float], one: float = 100.0) -> list[PointFigures]:
    return [
        at(figure("a", one if threads == 1 else ns), batch=batch, threads=threads, size=size)
        for size in (MIB, 2 * MIB) for batch, ns in two.items() for threads in (1, 2)
    ]  # fmt: skip


def test_threads_pay_from_the_batch_on_where_they_are_ahead_at_every_size() -> None:
    advice = tune(threaded({1: 150, 16: 60, 64: 110, 128: 70, 512: 60}))
    assert "a: 2 threads pay from 128 pairs per call on" in advice.sentences
    assert advice.settings == (Setting("a", threads=2, threads_from=128),)
    assert "a: several threads do not pay at any batch that was measured" in tune(threaded({1: 99, 16: 101})).sentences
    mixed = threaded({128: 70})
    mixed[-1] = at(figure("a", 99), batch=128, threads=2, size=2 * MIB)
    assert "a: several threads do not pay at any batch that was measured" in tune(mixed).sentences


def test_one_that_migrates_is_no_choice_for_who_exchanges() -> None:
    found = [at(figure("migrate", 50), figure("list-exchange", 100), figure("word-swap", 120), size=MIB)]
    assert tune(found).settings == (Setting("migrate"),)
    advice = tune(found, ["migrate", "unmeasured"])
    assert advice.settings == (Setting("list-exchange"),)
    assert advice.sentences == (
        "migrate migrates, and is no choice where pages are exchanged: it is not compared",
        "1 MiB: list-exchange wins",
    )
    plan: Any = SimpleNamespace(config=read.load())
    printed = render(tuning(found, plan), 100)
    assert "migrate migrates, and is no choice" in printed
    assert 'data = ["list-exchange"]' in printed
    alone = tune([at(figure("migrate", 50), figure("by-row", 90))], ["migrate", "by-row"])
    assert alone.settings == (Setting("migrate"),)
    assert alone.sentences == ("1 MiB: migrate wins",)


def test_nothing_is_set_where_nothing_can_be_trusted() -> None:
    advice = tune([at(figure("a", 100, clean=False), figure("b", 200, clean=False))])
    assert advice.settings == ()
    assert "there is nothing to set" in advice.sentences[-1]


def test_what_is_to_be_pasted_loads_behind_the_file_that_it_is_of(tmp_path) -> None:
    found = [
        at(figure("copy-page", 100), figure("list-exchange", 120), size=MIB),
        *threaded({128: 70}),
    ]
    found = [
        PointFigures(each.point, each.host, tuple(
            Figure(Planned(id=IDS[0], name={"a": "list-exchange"}.get(f.name, f.name)), *_rest(f)) for f in each.figures
        ))
        for each in found
    ]  # fmt: skip
    config = read.load(None)
    text = pasted(config, tune(found))
    file = tmp_path / "strategies.toml"
    file.write_bytes(read.packaged() + b"\n" + text.encode())
    loaded = read.load(file)
    tuned = [spec for name, spec in loaded.strategies.items() if name.startswith("tuned")]
    assert tuned
    for spec in tuned:
        origin = loaded.strategies[spec.data[0].plugin if spec.data[0].plugin != "temp-page" else "copy-page"]
        assert (spec.flags, spec.data, spec.mapping) == (origin.flags, origin.data, origin.mapping)
    assert any((spec.threads, spec.threads_from) == (2, 128) for spec in tuned)


def _rest(f: Figure):
    return f.cell, f.costs, f.cost, f.ratio, f.relation, f.latency, f.clean, f.aside, f.turns


# ---- from a folder ---------------------------------------------------------------------------------------------------


def test_ratios_are_to_the_reference_of_the_point_in_the_rounds_that_both_have(tmp_path) -> None:
    made = Folder.create(tmp_path / "run", manifest(verb="bench", reference="rfc-2019", cells=[
        Planned(id=IDS[0], name="word-swap", point=Point(MIB).values()),
        Planned(id=IDS[1], name="rfc-2019", point=Point(MIB).values()),
    ]))  # fmt: skip
    made.add_host(Host(id=HOST, fingerprint="3f29c1", environment={}))
    made.append(sample(IDS[0], turn, cpu_ns=1000, wall_ns=1000) for turn in range(5))
    made.append(sample(IDS[1], turn, cpu_ns=(2000 if turn < 5 else 9000), wall_ns=9000) for turn in range(10))
    (point,) = summary(made)
    swap, reference = point.figures
    assert swap.ratio is not None
    assert swap.ratio.middle == pytest.approx(0.5)
    assert swap.relation == "below"
    assert swap.cell is None
    assert reference.ratio is not None
    assert reference.ratio.middle == 1


def test_the_gravest_thing_is_the_exit_code(tmp_path) -> None:
    config = read.load(None)
    specs = contenders(config)
    fine = figure("word-swap", 100)
    assert exit_code([at(fine)], specs) == EXIT_OK
    assert exit_code([at(fine, figure("rfc-2019", 90, verdict="loses"))], specs) == EXIT_OK
    assert exit_code([at(fine, figure("rfc-2019", 90))], specs) == EXIT_UNEXPECTED
    assert exit_code([at(figure("word-swap", 100, clean=False))], specs) == EXIT_UNTRUSTED
    crashed = Figure(fine.planned, cell(error="killed", exit=-11), {}, None, None, None, None, True, 0, 0)
    assert exit_code([at(fine, crashed)], specs) == EXIT_PLUGIN
    absent = Figure(
        fine.planned, cell(error="no OpenBLAS", exit=3, kind="peer"), {}, None, None, None, None, True, 0, 0
    )
    assert exit_code([at(fine, absent)], specs) == EXIT_OK
    assert exit_code([at(absent)], specs) == EXIT_INPUT
    assert exit_code(summary(finished(tmp_path / "run")), specs) == EXIT_UNEXPECTED  # rfc-2019 lost nothing there
