"""Says of two runs what is faster, slower, level or unclear: `pagexchange compare`."""
