"""The command line: a verb a file, the words of reports, the terminal."""

from pagexchange.cli.entry import main

__all__ = ["main"]
