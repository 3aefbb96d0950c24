"""Deaths at every store: `python -m tests.steps` prints what of them is recovered, by phase."""
