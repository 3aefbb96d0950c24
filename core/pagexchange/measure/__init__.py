"""How it is measured: clocks, what the machine did meanwhile, and whether a sample can be trusted."""
