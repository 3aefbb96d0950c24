"""The exit codes of the command line and what they mean: the one list. `--help` prints it, docs/cli.md repeats it."""

from typing import Final

EXIT_OK: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INPUT: Final = 3
EXIT_PLUGIN: Final = 4
EXIT_UNSOUND: Final = 5
EXIT_UNTRUSTED: Final = 6
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130

EXIT_CODES: Final = {
    EXIT_OK: "every strategy did as expected; the command did what it says",
    EXIT_UNEXPECTED: "a strategy did not do as expected in what it lost; `compare --ci`: a cell is slower",
    EXIT_USAGE: "wrong usage, or errors in a configuration file",
    EXIT_INPUT: "an input cannot be used: snapshot, run folder, /proc, arena, memory; or stdout has no room",
    EXIT_PLUGIN: "a plug-in failed",
    EXIT_UNSOUND: "the pages were wrong before the first exchange: no strategy is to blame",
    EXIT_UNTRUSTED: "measured, but the figures cannot be trusted: others had the CPU for too long",
    EXIT_BUG: "a bug in pagexchange; the traceback says where",
    EXIT_INTERRUPTED: "interrupted; what was measured until then is printed. By another signal: 128 + its number",
}
"""`exit_code` of every error and of a result is one of them."""
