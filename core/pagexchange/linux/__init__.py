"""Pages of this process's own, moved by Linux itself: what an exchange in an arena is compared with."""
