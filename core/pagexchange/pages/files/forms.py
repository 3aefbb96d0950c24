"""All forms that are read, in the order in which they are tried: one line each."""

from __future__ import annotations

from typing import Final

from pagexchange.pages.files import (
    damo_json,
    damo_text,
    kpageflags_dump,
    lackey,
    lru_gen,
    mooncake,
    numa_maps,
    page_types,
    perf_mem,
    perf_script,
)
from pagexchange.pages.files.form import Form

FORMS: Final[tuple[Form, ...]] = (
    damo_json.FORM,
    damo_text.FORM,
    lackey.FORM,
    perf_mem.FORM,
    perf_script.FORM,
    mooncake.FORM,
    page_types.FORM,
    numa_maps.FORM,
    lru_gen.FORM,
    kpageflags_dump.FORM,  # the last one: words of any bits could be anything
)
