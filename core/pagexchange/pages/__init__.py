"""Fills an arena with pages: made up from a description, or taken from a snapshot of a real machine."""

from pagexchange.pages.placement import KINDS, Population
from pagexchange.pages.replay import arena_from_snapshot
from pagexchange.pages.synthetic import fill, populate_synthetic

__all__ = ["KINDS", "Population", "arena_from_snapshot", "fill", "populate_synthetic"]
