"""Numbers the members of groups that lie side by side: the one idiom by which folios become base frames."""

import numpy as np
from numpy.typing import NDArray


def within(size: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each member within its group, for groups of these sizes one after the other.

    `np.repeat(first, size) + within(size)` are all frames of folios that begin at `first`.

    Parameters
    ----------
    size : int64[n], 0 or more

    Returns
    -------
    int64[size.sum()]

    Examples
    --------
    >>> within(np.array([3, 1, 0, 2])).tolist()
    [0, 1, 2, 0, 0, 1]
    """
    # A running number over all members, less the number at which the member's own group begins.
    end = np.cumsum(size)
    return np.arange(size.sum()) - np.repeat(end - size, size)
