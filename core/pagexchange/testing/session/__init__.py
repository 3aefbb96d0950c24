"""What pytest is told: the axes of the matrix, plug-ins that were found, the watch over the run."""
