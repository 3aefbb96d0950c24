"""The command line: a verb a file, the words of reports, the terminal."""

from pagexchange.cli.command import main

__all__ = ["main"]
