"""The experiment: inputs, rounds in turns on one bench, results as values, the machine, the watchdog."""
