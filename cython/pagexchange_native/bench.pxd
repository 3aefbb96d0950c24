"""Nothing to cimport: the bare loops are called from Python, once per measurement."""
