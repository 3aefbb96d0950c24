"""After each test of the suite every tree in the arena is whole and no node is lost."""

import pytest

from tests.native.xarray_suite.helpers import check_trees


@pytest.fixture(autouse=True)
def whole_trees(request):
    if not {"xa", "small_region"} & set(request.fixturenames):
        yield
        return
    xa, region = request.getfixturevalue("xa"), request.getfixturevalue("small_region")
    yield
    check_trees(region, xa.nodes_in_use)
