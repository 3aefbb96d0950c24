"""Flags and mapping slots in Cython."""
