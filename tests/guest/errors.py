"""Why a guest could not be had."""


class SkippedError(Exception):
    """Something that this machine would have to provide is not there: said loudly, and an exit code of its own."""
