"""A way's pages: as full as was asked for, each at two places, and held to what the moves say."""

import numpy as np
import pytest

from pagexchange.errors import ArenaError
from pagexchange.tier.scene import Scene, room
from tests.core.tier.small import config_of


@pytest.fixture
def scene():
    config = config_of()
    made = Scene(config, room(config), 1)
    yield made
    made.close()


def test_the_fast_node_is_full_to_its_high_watermark_and_the_slow_one_has_room():
    config = config_of("tier.fast=32 MiB", "tier.slow=96 MiB")
    size = room(config)
    made = Scene(config, size, 1)
    fast, slow = made.nodes
    assert (fast.free, slow.free) == (fast.high, slow.frames // 16)
    assert len(made.where) == size.pages
    made.close()


@pytest.mark.parametrize("free", [0, 7])
def test_so_many_frames_are_free_as_were_asked_for(free):
    config = config_of(f"tier.free={free}")
    made = Scene(config, room(config), 1)
    assert [node.free for node in made.nodes] == [free, free]
    made.close()


def test_no_page_on_a_node_is_refused():
    with pytest.raises(ArenaError, match="no page is left on one of them"):
        room(config_of("tier.free=128"))


@pytest.mark.parametrize("pages", [100, 333, 400])
def test_nodes_shrink_in_proportion_to_few_pages(pages):
    size = room(config_of(), pages)
    assert pages <= size.pages <= pages + 2
    assert abs(size.fast / (size.fast + size.slow) - 0.25) < 0.02


def test_a_new_scene_is_right_and_the_same_for_the_same_seed(scene):
    config = config_of()
    again, other = Scene(config, room(config), 1), Scene(config, room(config), 2)
    assert scene.check() == ""
    assert (scene.where == again.where).all()
    assert (scene.where != other.where).any()
    again.close()
    other.close()


def test_pages_of_files_and_anonymous_ones_are_there_and_all_are_mapped(scene):
    counters = [node["counters"] for node in scene.arena.nodes]
    assert sum(counter["anon"] for counter in counters) > 100
    assert sum(counter["file"] for counter in counters) > 100
    assert (scene.arena.translate(scene.space, np.arange(len(scene.where))) == scene.where).all()


def exchange(scene, pages):
    pairs = scene.where[pages].astype(np.int64).reshape(-1, 2)
    assert scene.arena.exchange(pairs)
    return np.concatenate([pairs, pairs[:, ::-1]])


def test_what_the_moves_say_is_found_so_also_where_one_page_takes_the_frame_that_another_left(scene):
    scene.moved(exchange(scene, [3, 300, 5, 301]))
    scene.moved(exchange(scene, [3, 301]))
    assert scene.check() == ""
    before = scene.where[[7, 8]].copy()
    free = int(scene.arena.alloc("slow", 1)[0])
    scene.moved(np.array([[before[0], free], [before[1], before[0]]]))
    assert scene.where[[7, 8]].tolist() == [free, before[0]]


def test_a_page_that_moved_and_is_in_no_move_is_found(scene):
    exchange(scene, [3, 300])
    assert "2 pages with wrong contents" in scene.check()


def test_a_word_that_somebody_wrote_is_found(scene):
    scene.arena.frames[scene.where[9], 5] ^= np.uint64(1)
    assert "1 page with wrong contents" in scene.check()


def test_a_mapping_that_leads_elsewhere_is_found_though_the_contents_are_right(scene):
    frames = scene.arena.frames
    a, b = scene.where[[3, 300]]
    frames[[a, b]] = frames[[b, a]]  # the bytes moved, the mappings did not
    scene.moved(np.array([[a, b], [b, a]]))
    assert "leads to frame" in scene.check()
