"""Sizes are read as people write them, and nothing else is taken for a size."""

import pytest

from pagexchange.model.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (4096, 4096),
        ("7", 7),
        ("7 B", 7),
        ("3 K", 3 << 10),
        ("3 KiB", 3 << 10),
        ("3MB", 3 << 20),
        ("1.5 GiB", 3 << 29),
        ("2 TiB", 2 << 40),
    ],
)
def test_units_are_powers_of_1024(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("size", ["0.5", "0.3 KiB", -1, 1 << 60, "1048576 TiB"])
def test_a_size_is_a_whole_number_of_bytes_in_range(size):
    with pytest.raises(ValueError, match="want a whole number of bytes"):
        parse_size(size)


def test_a_size_beyond_any_number_is_refused_like_another():
    for size in ("9" * 400, 1 << 2000, 1 << 20_000):  # infinite as a float; and what Python does not even print
        with pytest.raises(ValueError, match="want a whole number of bytes"):
            parse_size(size)
