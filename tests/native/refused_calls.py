"""System calls that Linux refuses this process from now on: a filter of seccomp, for a process of its own."""

import ctypes
import platform
import struct

MADV_COLLAPSE = 25
_MADVISE = {"x86_64": 28, "aarch64": 233}
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ADDRESS, _ADVICE = 0, 16, 32
_ALLOW, _ERRNO, _TRAP = 0x7FFF0000, 0x00050000, 0x00030000


def collapse(error: int, *, where: int = 0xFFFFFFFF, known: bool = True) -> None:
    """Let madvise(MADV_COLLAPSE) fail with an errno; 0: do nothing and send SIGSYS.

    Only at addresses of which a bit of the low half is in `where`. Where Linux does not know the advice (`known`
    false), also at address 0, of no byte.
    """
    refused = _TRAP if error == 0 else _ERRNO | error
    program = [
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 5, _MADVISE[platform.machine()]),
        (_LOAD, 0, 0, _ADVICE),
        (_EQUAL, 0, 3, MADV_COLLAPSE),
        (_LOAD, 0, 0, _ADDRESS),
        (_ANY_BIT, 0, 1, where) if known else (_ANY_BIT, 0, 0, 0),
        (_RETURN, 0, 0, refused),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    kept = ctypes.create_string_buffer(code)
    head = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    for what in ((38, 1, 0, 0, 0), (22, 2, ctypes.c_char_p(head), 0, 0)):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        if libc.prctl(*what) != 0:
            raise OSError(ctypes.get_errno(), "seccomp is refused")
