"""/proc as text and numbers: frames, mappings of processes, bounded reads."""
