"""`--dry-run`: what all verbs print alike."""

from pathlib import Path

import pytest

from pagexchange.cli import dry_run
from pagexchange.cli.layout import render

ROWS = [{"way": "migrate", "served by": "folio-copy, hottest-coldest"}, {"way": "nothing", "served by": "-"}]


def printed(remarks=(), out=None, width=60):
    made = dry_run.blocks(
        "play", "2 ways", ROWS, left=("way",), prose="served by", remarks=remarks, takes="1 MiB", done="moved", out=out
    )
    return render(made, width)


def test_a_plan_is_what_would_be_done_a_row_for_each_part_and_what_it_takes():
    assert printed() == (
        "Would play  2 ways\n\nway      served by\nmigrate  folio-copy, hottest-coldest\nnothing  -\n\n"
        "1 MiB. Nothing was moved.\n"
    )


def test_remarks_hang_under_their_labels_and_the_folder_is_named():
    text = printed([("skipped", "no plug-in serves it, " * 3), ("left out", "4 KiB")], Path("runs/night"))
    assert text.splitlines()[-5:] == [
        "skipped   no plug-in serves it, no plug-in serves it, no",
        "          plug-in serves it,",
        "left out  4 KiB",
        "",
        "1 MiB, kept in runs/night. Nothing was moved.",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "about 0 s"), (119, "about 119 s"), (121, "about 2 minutes"), (7200, "120 minutes")]
)
def test_long_times_are_minutes(seconds, words):
    assert words in dry_run.takes(1 << 20, "8 GiB are available", seconds)
    assert dry_run.takes(1 << 20, "8 GiB are available", 1).startswith("At most 1 MiB of memory at one time (8 GiB are")
