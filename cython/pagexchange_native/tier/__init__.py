"""A tier's loops: heat of blocks, what a pairing is shown of it, the pairings that come with pagexchange."""
