"""All forms that are read, in the order in which they are tried: one line each."""

from __future__ import annotations

from typing import Final

from pagexchange.pages.files import damo_json, damo_text
from pagexchange.pages.files.form import Form

FORMS: Final[tuple[Form, ...]] = (
    damo_json.FORM,
    damo_text.FORM,
)
