"""What a user of the library holds: the arena, its frames, lists of pairs, a strategy bound to it, the result."""
