"""The folder of a sweep: made, or opened again to go on where it was left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pagexchange.errors import FolderError, Problem
from pagexchange.samples.folder import Folder

if TYPE_CHECKING:
    from pagexchange.sweep.plan import Plan


def existing(plan: Plan, path: Path) -> Folder | None:
    """Return the folder of a plan that is there already; None: it can be made.

    What is wrong in it is in its `problems`: it is done again.

    Raises
    ------
    FolderError
        It cannot be made; or what is there is no run folder, or is of another sweep.
    """
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        Folder.check(path)
        return None
    folder = Folder.open(path, strict=False)
    there, here = ({cell.id for cell in manifest.cells} for manifest in (folder.manifest, plan.manifest))
    if there == here:
        return folder
    before, now = folder.manifest.versions, plan.manifest.versions
    why = f"it has {len(there)} cells, this one {len(here)}, and {len(there & here)} are the same in both"
    if before.pagexchange != now.pagexchange or before.distributions != now.distributions:
        why += "; the versions of pagexchange or of plug-ins are others, too"
    what = f"another {folder.manifest.verb} is in it ({why}); choose another --out"
    raise FolderError(Problem(str(path), f"{what}, and bring both together with `pagexchange merge`"))
