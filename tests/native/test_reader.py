"""The reader beside an exchange: what it reads is whole, what is not is counted, and it rests when it is told to."""

import threading
import time

import numpy as np
import pytest

from pagexchange import Arena
from pagexchange.oracle.stamp import base_of, pattern_of, stamp
from pagexchange_native.reader import Reader, edges

PAGES = 256


@pytest.fixture
def scene():
    arena = Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"})
    frames = np.concatenate([arena.alloc("fast", PAGES // 2), arena.alloc("slow", PAGES // 2)])
    space = arena.new_space()
    arena.map(space, np.arange(PAGES), frames)
    stamp(arena, seed=3)
    return arena, space, frames


def reader_of(scene, vpns=None):
    arena, space, frames = scene
    vpns = np.arange(PAGES) if vpns is None else np.asarray(vpns)
    known = np.where(vpns < PAGES, vpns, 0)
    return Reader(arena, space, vpns, base_of(frames[known], 3), pattern_of(512, 3))


class Beside:
    """A reader in a thread of its own."""

    def __init__(self, reader):
        self.reader = reader
        self.thread = threading.Thread(target=reader.run)

    def __enter__(self):
        self.thread.start()
        self.reader.begin()
        return self.reader

    def __exit__(self, *_):
        self.reader.end()
        self.thread.join()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_pages_are_read_whole_while_they_are_exchanged(scene):
    arena, _, frames = scene
    pairs = np.stack([frames[: PAGES // 2], frames[PAGES // 2 :]], axis=1)
    with Beside(reader_of(scene)) as reader:
        until(lambda: reader.facts["reads"] > 1000)
        for _ in range(200):
            assert arena.exchange(pairs)
        until(lambda: reader.facts["reads"] > 50_000)
    facts = reader.facts
    assert (facts["wrong"], facts["missing"]) == (0, 0)
    assert reader.counts.sum() == facts["reads"]
    assert facts["longest"] >= edges()[np.flatnonzero(reader.counts)[-1]]


def test_another_word_than_must_be_there_is_counted(scene):
    arena, _, frames = scene
    arena.frames[frames[7]] ^= np.uint64(1)
    with Beside(reader_of(scene)) as reader:
        until(lambda: reader.facts["reads"] > 10 * PAGES)
    assert reader.facts["wrong"] > 0
    assert reader.facts["wrong"] <= reader.facts["reads"] // PAGES + 1


def test_a_page_that_is_not_mapped_is_counted_and_is_no_read(scene):
    with Beside(reader_of(scene, [5, 1 << 30])) as reader:
        until(lambda: reader.facts["missing"] > 10)
    assert abs(reader.facts["missing"] - reader.facts["reads"]) <= 1


def test_a_reader_that_is_paused_reads_nothing_until_it_may(scene):
    with Beside(reader_of(scene)) as reader:
        until(lambda: reader.facts["reads"] > 100)
        reader.pause()
        seen = reader.facts["reads"]
        time.sleep(0.05)
        assert reader.facts["reads"] == seen
        reader.begin()
        until(lambda: reader.facts["reads"] > seen)


def test_times_are_counted_in_buckets_that_ascend():
    bounds = edges()
    assert (np.diff(bounds) > 0).all()
    assert bounds[0] == 1
    assert bounds[16 * 10] == 1024
    assert (bounds[161:] / bounds[160:-1] < 1.0626).all()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"vpns": np.zeros(0, np.int64), "bases": np.zeros(0, np.uint64)}, ValueError),
        ({"bases": np.zeros(3, np.uint64)}, ValueError),
        ({"pattern": np.zeros(511, np.uint64)}, ValueError),
        ({"vpns": np.full(PAGES, -1)}, ValueError),
        ({"space": 99}, LookupError),
    ],
)
def test_what_does_not_fit_is_refused(scene, changed, error):
    arena, space, frames = scene
    given = {"space": space, "vpns": np.arange(PAGES), "bases": base_of(frames, 3), "pattern": pattern_of(512, 3)}
    with pytest.raises(error):
        Reader(arena, **{**given, **changed})


def test_an_arena_with_a_reader_cannot_be_closed(scene):
    arena = scene[0]
    reader = reader_of(scene)
    with pytest.raises(BufferError):
        arena.close()
    del reader
    arena.close()
