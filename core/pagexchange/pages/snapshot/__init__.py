"""Snapshots of a machine's page frames: record, save, load."""

from pagexchange.pages.snapshot.snapshot import Snapshot
from pagexchange.pages.snapshot.take import take

__all__ = ["Snapshot", "take"]
