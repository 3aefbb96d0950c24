"""What was measured and is kept: the samples, what they are of, and the folder they lie in."""
