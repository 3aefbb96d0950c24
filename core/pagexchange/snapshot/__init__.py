"""Snapshots of a machine's page frames: record, save, load."""

from pagexchange.snapshot.model import Snapshot
from pagexchange.snapshot.take import take

__all__ = ["Snapshot", "take"]
