"""`pagexchange tier` on the command line: what it prints, keeps, and ends with."""

import json
import re

import msgspec
import pytest

from pagexchange.html import ways
from pagexchange.samples.export import FORMATS
from pagexchange.samples.folder import Folder
from pagexchange.tier.result import TierResult
from tests.core.command_line import pagexchange
from tests.core.tier.small import FLAGS


def tier(*args):
    return pagexchange("tier", *FLAGS, *args)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tier"
    ran = tier("--rounds", "2", "--json", "--out", str(path))
    assert ran.code == 0, ran.err
    return Folder.open(path), msgspec.json.decode(ran.out, type=TierResult)


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_table_says_who_loses_how_much_and_who_wins(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    ran = tier()
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert all(len(line) <= int(columns) for line in lines)
    for head in ("hits", "lost ns", "ratio", "stalls", "read p50", "back and forth", "Accesses that hit the fast node"):
        assert head in " ".join(ran.out.split()) or all(word in ran.out for word in head.split())
    assert sum(line.startswith("list-exchange") for line in lines) >= 3
    assert "80 ns" in ran.out
    assert "assumed" in ran.out


def test_without_unicode_and_colour_every_character_is_ascii(monkeypatch):
    import io
    from contextlib import redirect_stdout

    from pagexchange.cli import main

    out = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    with redirect_stdout(out), pytest.raises(SystemExit) as ended:
        main(["tier", *FLAGS])
    assert ended.value.code == 0
    text = out.buffer.getvalue().decode("ascii")
    assert "\\u" not in text
    assert "exact ok" in text


def test_json_is_one_object_and_what_was_kept_is_the_same(kept):
    folder, result = kept
    assert folder.manifest.verb == "tier"
    assert folder.manifest.reference == "nothing"
    ids = {cell.name: cell.id for cell in folder.manifest.cells}
    for way in result.ways:
        samples = [sample for sample in folder.samples() if sample.cell == ids[way.name]]
        assert [(s.round, s.exchanged, s.cpu_ns, s.tier.hits, s.tier.cost_ns) for s in samples] == [
            (p.round, p.moved.done, p.moved.cpu_ns, p.moved.hits, p.cost_ns) for p in way.rounds
        ]
    (host,) = folder.hosts.values()
    assert {cell.verdict for cell in folder.cells.values()} == {"exact"}
    assert host.after is not None


def test_the_same_again_has_the_same_ids_and_another_price_has_others(kept, tmp_path):
    ids = [cell.id for cell in kept[0].manifest.cells]
    for args, same in ((("--rounds", "1"), True), (("--slow-ns", "33"), False), (("--seed", "9"), False)):
        path = tmp_path / "-".join(args).strip("-")
        assert tier(*args, "--out", str(path), "-q").code == 0
        assert ([cell.id for cell in Folder.open(path).manifest.cells] == ids) is same


def _columns(page, title):
    """Columns of the first table below a title, as many in its head as in each row."""
    table = page[page.index(f">{title}</h2>") :].partition("</table>")[0]
    (count,) = {len(re.findall(r"<t[hd]\b", row)) for row in re.findall(r"<tr.*?</tr>", table, re.S)}
    return count


def test_report_export_and_compare_take_the_folder(kept, tmp_path):
    folder, result = kept
    made = pagexchange("report", str(folder.path), "-o", "-")
    assert made.code == 0
    for words in ("Hits over time", "What each way did", "list-exchange", "time of the stream", result.answer[0][:20]):
        assert words in made.out
    assert "ns per pair" not in made.out
    assert _columns(made.out, "What each way did") == len(ways.HEADS) + 1
    assert _columns(made.out, "What it took") == len(ways.COUNTS) + 1
    rows = FORMATS["csv"](folder).decode().splitlines()
    assert "cost_ns" in rows[0]
    assert len(rows) == 1 + 4 * 2
    assert "ns per access" in FORMATS["markdown"](folder).decode()
    assert "time lost per access" in FORMATS["pyperf"](folder).decode()
    other = tmp_path / "other"
    assert tier("--slow-ns", "160", "--out", str(other), "-q").code == 0
    compared = pagexchange("compare", str(folder.path), str(other), "--json")
    assert compared.code == 0, compared.err
    nothing = next(cell for cell in json.loads(compared.out)["cells"] if cell["name"] == "nothing")
    assert nothing["clock"] == "cost"
    assert nothing["ratio"] == pytest.approx(2.0, rel=0.05)


def test_a_dry_run_says_what_would_play_and_plays_nothing(tmp_path):
    ran = tier("--dry-run", "--out", str(tmp_path / "run"))
    assert ran.code == 0, ran.err
    assert "4 ways" in ran.out
    assert "Nothing was moved" in " ".join(ran.out.split())
    assert not (tmp_path / "run").exists()
    plan = json.loads(tier("--dry-run", "--json").out)
    assert [way["name"] for way in plan["ways"]] == ["nothing", "migrate", "list-exchange", "copy-page"]
    assert "list-exchange" in plan["ways"][2]["served_by"]


def test_quiet_says_nothing():
    ran = tier("-q")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--way", "list-exchang"), 2, "did you mean 'list-exchange'"),
        (("--policy", "hotest-coldest"), 2, "did you mean 'hottest-coldest'"),
        (("--input", "nowhere.data"), 3, "nowhere.data"),
        (("--set", "tier.zip=1"), 2, "did you mean 'zipf'"),
        (("--set", "tier.scan=1.5"), 2, "tier.scan"),
        (("--free", "5000"), 3, "no page is left"),
    ],
)
def test_what_cannot_be_played_is_refused_with_its_code(args, code, said):
    ran = tier(*args)
    assert (ran.code, said in ran.err) == (code, True), ran.err


def test_one_way_alone_is_played_beside_nothing():
    ran = tier("--way", "copy-page", "--json")
    assert [way["name"] for way in json.loads(ran.out)["ways"]] == ["nothing", "copy-page"]


def test_a_file_of_accesses_is_named_and_its_path_is_from_here(tmp_path, monkeypatch):
    from tests.core.files.damo_made import as_json, record

    monkeypatch.chdir(tmp_path)
    page = 4096
    regions = [(0, 100 * page, 5, 1), (100 * page, 400 * page, 0, 1)]
    (tmp_path / "damon.data").write_bytes(as_json(record([(10**9, regions), (2 * 10**9, regions)])))
    ran = tier("--input", "damon.data")
    assert ran.code == 0, ran.err
    assert re.search(r"damon\.data \(.*damo.*\), 400 pages of 4 KiB", " ".join(ran.out.split())), ran.out
