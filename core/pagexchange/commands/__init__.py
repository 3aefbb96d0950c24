"""The verbs of the command line, one small module for those that belong together; imported by `pagexchange.cli`."""
