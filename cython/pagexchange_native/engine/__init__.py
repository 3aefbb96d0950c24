"""An exchange: its steps, lists, threads, what happens when memory fails meanwhile."""
