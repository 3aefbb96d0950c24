"""Measures strategies beside peers and limits, over axes: `pagexchange bench`."""
