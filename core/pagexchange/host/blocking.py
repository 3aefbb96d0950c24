"""Which plug-ins must not be used, and who says so: the command line, the strategies file, the environment."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Final

from pagexchange.errors import UnknownPluginError
from pagexchange.host.installed import OWN

VARIABLE: Final = "PAGEXCHANGE_BLOCK"


@dataclasses.dataclass(frozen=True, slots=True)
class Blocking:
    """What a command line blocks; a strategies file and the variable may block others besides."""

    names: tuple[str, ...] = ()
    """`-p no:NAME`."""
    external: bool = False
    """`--no-external-plugins`: all that are not built in."""

    def reasons(self, known: Mapping[str, str], file: Iterable[str] = ()) -> dict[str, str]:
        """Return name -> what blocks it.

        Parameters
        ----------
        known
            The installed plug-ins: name -> distribution.
        file
            Names that a strategies file blocks; all of them are in what is returned, known or not.

        Raises
        ------
        UnknownPluginError
            The command line blocks one that is not installed.
        """
        for name in self.names:
            if name not in known:
                raise UnknownPluginError(name, known)
        foreign = [name for name, distribution in known.items() if self.external and distribution != OWN]
        variable = (name.strip() for name in os.environ.get(VARIABLE, "").split(","))
        # The last one to say so is named: whoever wonders looks at the command line first.
        return (
            dict.fromkeys(file, "by [plugins] block")
            | {name: f"by the variable {VARIABLE}" for name in variable if name}
            | dict.fromkeys(foreign, "by --no-external-plugins")
            | {name: f"by -p no:{name}" for name in self.names}
        )


NOTHING: Final = Blocking()
