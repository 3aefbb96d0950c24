"""From a stranger's file to a trace: the form is guessed by what is in it, never by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pagexchange.errors import TraceError
from pagexchange.pages.files import smallfile
from pagexchange.pages.files.form import About, Form
from pagexchange.pages.files.forms import FORMS
from pagexchange.pages.files.source import Progress, Source
from pagexchange.pages.files.spool import MAX_RUNS, DisorderError, spooled
from pagexchange.pages.files.table import Access, fault
from pagexchange.pages.files.trace import Trace, facts_of


def read(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Trace:
    """Read a file of accesses, or of the state of memory, of any known form.

    The file is read once, from its beginning to its end, in bounded memory; what is in it is kept, packed, in a
    temporary file without a name (in TMPDIR) until the trace is no longer used. Nothing of it is believed unseen.

    Parameters
    ----------
    path
        A file or a pipe; zlib and gzip are unpacked.
    progress : callable, optional
        Is told `(done, total, what)`, in bytes; total 0 is not known.

    Returns
    -------
    Trace

    Raises
    ------
    TraceError
        It cannot be read, is of no known form, is cut short, or has a line or a value that is wrong: which, and where.
    """
    if smallfile.is_one(path):
        return smallfile.load(path)
    with Source(path, progress) as source:
        form = guess(source)
        about = About()
        try:
            store = spooled(_checked(source, form, about), source.path)
        except DisorderError:
            raise source.error(f"time goes back more than {MAX_RUNS} times: sort the file by time first") from None
        except OSError as error:
            raise TraceError(f"{source.path}: no room to keep it while it is read: {error}; set TMPDIR") from error
        if not store.rows:
            raise source.error(f"a {form.name} without a single row: {'; '.join(about.sentences()) or 'it is empty'}")
    facts = facts_of(
        store, form=form.name, numbers=about.numbers, page_size=about.page_size, kind=about.kind,
        notes=tuple(about.sentences()),
    )  # fmt: skip
    return Trace(facts, store)


def guess(source: Source) -> Form:
    """The form of a file. TraceError: of none; it names them all, and what each is recognised by."""
    if not source.head:
        raise source.error("empty")
    if (form := recognised(source)) is not None:
        return form
    known = "\n".join(f"  {form.name}: {form.sign}" for form in FORMS)
    known += f"\n  {smallfile.NAME}: {smallfile.SIGN}"
    begins = f"it begins with {source.head[:24]!r}"
    raise source.error(f"of no form that is known here: {begins}. The forms, and what each is recognised by:\n{known}")


def recognised(source: Source) -> Form | None:
    """The form of a file; None: none that is known."""
    return next((form for form in FORMS if form.fits(source)), None)


def _checked(source: Source, form: Form, about: About) -> Iterator[Access]:
    """The rows that the reader of the form gives, none of them empty, each looked at."""
    try:
        for rows in form.rows(source, about):
            if what := fault(rows):
                raise source.error(f"{what}, before byte {source.at}")
            if len(rows):
                yield rows
    except OverflowError as error:
        raise source.error(f"a number that is out of range, before byte {source.at}: {error}") from None
