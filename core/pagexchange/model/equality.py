"""Equality of values that hold arrays: NumPy's own `==` gives an array, of which Python cannot say true or false."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - whatever stands in a field
    """Whether two values are equal: arrays in dtype, shape and every element, other things by `==`."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            isinstance(one, np.ndarray)
            and isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and np.array_equal(one, other)
        )
    return bool(one == other)


def same_fields(one: "DataclassInstance", other: "DataclassInstance") -> bool:
    """Whether two instances of one dataclass are equal field by field."""
    return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
