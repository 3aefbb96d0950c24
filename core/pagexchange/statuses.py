"""Statuses of pairs, under the path that users are promised. They live in `pagexchange.model.statuses`."""

from pagexchange.model.statuses import EHWPOISON, REASONS, errno_name, reason

__all__ = ["EHWPOISON", "REASONS", "errno_name", "reason"]
