"""The model's helpers say what they found, as test modules do."""

import pytest

pytest.register_assert_rewrite("tests.model.compare", "tests.model.machine")
