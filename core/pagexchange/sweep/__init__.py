"""Every cell on every host, and what they measured in one folder: `pagexchange sweep` and `merge`."""
