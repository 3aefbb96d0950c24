"""`pagexchange snapshot --from FILE OUT`: what a file of another tool says, kept as a file of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pagexchange.cli.progress import progress_bar
from pagexchange.errors import SnapshotError
from pagexchange.model.sizes import format_size
from pagexchange.pages import files
from pagexchange.pages.files import as_snapshot, smallfile
from pagexchange.pages.snapshot import format as file_format

if TYPE_CHECKING:
    from pagexchange.pages.files import Trace

SNAPSHOT: Final = ".pgxsnap"


def keep(file: str, out: str, *, replace: bool) -> tuple[dict[str, Any], list[str], list[str]]:
    """Write OUT: a snapshot of a file that has the flags words of frames, unless OUT ends in .pgxtrace; else a trace.

    Returns
    -------
    dict, list of str, list of str
        A summary for JSON, lines for people, notes.
    """
    with progress_bar(show=True) as progress:
        made = None if out.endswith(smallfile.SUFFIX) else as_snapshot.snapshot(file, progress=progress)
        if made is not None:
            size = file_format.save(made, out, replace=replace)
            counts = made.summary()
            line = (
                f"{out}: a snapshot of {counts['frames']:,} pages, {format_size(size)}; `pagexchange run --input {out}`"
            )
            return {"path": out, "bytes": size, **counts}, [line], [*made.notes, made.unsaid]
        if out.endswith(SNAPSHOT):
            raise SnapshotError(as_snapshot.why_not(file))
        trace = files.read(file, progress=progress)
    size = smallfile.save(trace, out, replace=replace)
    summary = {
        "path": out, "bytes": size, "form": trace.form, "numbers": trace.numbers, "page_size": trace.page_size,
        "kind": trace.kind, "rows": trace.rows, "duration_ns": trace.duration, "lowest_page": trace.facts.lowest,
        "end_page": trace.facts.end, "notes": list(trace.notes),
    }  # fmt: skip
    return summary, [_line(out, size, trace)], list(trace.notes)


def _line(out: str, size: int, trace: Trace) -> str:
    names = {"pfn": "frames", "vpn": "virtual pages", "block": "blocks"}
    over = f" over {trace.duration / 1e9:.3f} s" if trace.kind == "accesses" else ""
    where = f"{names[trace.numbers]} {trace.facts.lowest:,} to {trace.facts.end - 1:,}"
    return f"{out}: {trace.rows:,} rows of {trace.kind}{over}, {where}, {format_size(size)}, read as {trace.form}"
