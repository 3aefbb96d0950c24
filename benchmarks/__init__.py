"""How fast pages are exchanged, in ratios to loops over the same pairs, each with its limit: `python -m benchmarks`."""
