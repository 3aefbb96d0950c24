"""Flag policies and mapping updaters."""
