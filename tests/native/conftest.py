"""What native tests share: a small arena, and an XArray of its own in it. The core is not needed for either."""

import pytest

from pagexchange_native.arena.region import Region
from pagexchange_native.xarray.array import XArray

ALL = (1 << 64) - 1
# the least that an arena takes: a lock bit that stays, and the rest moves
LAYOUT = {
    "name": "test",
    "swap": ALL - 1,
    "stay": 1,
    "refuse": 0,
    "locked": 1,
    "node_shift": 0,
    "node_width": 0,
    "zone_shift": 0,
    "zone_width": 0,
}


@pytest.fixture(scope="session")
def make_region():
    """Make a small arena: make_region(mappings=..., xa_nodes=...)."""

    def make(**capacities):
        return Region.create(nodes=[("fast", 64), ("slow", 64)], layout=LAYOUT, **capacities)

    return make


@pytest.fixture
def small_region(make_region):
    with make_region(mappings=8, xa_nodes=2000) as region:
        yield region


@pytest.fixture
def xa(small_region):
    return XArray(small_region)
