"""Data movers, and the loops by instruction set that they share."""
