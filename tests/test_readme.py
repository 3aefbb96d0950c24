"""What the README shows works as it stands."""

import re
import tomllib
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_ten_lines_run_and_print_statuses(capsys):
    code = blocks("python")[0]
    assert len(code.strip().splitlines()) <= 11
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert "0" in capsys.readouterr().out
    exec(compile(blocks("python")[1], "README.md", "exec"), scope)  # it goes on with the same arena
    assert "flags dirty active" in capsys.readouterr().out


def test_the_plug_in_of_the_readme_exchanges_pages_and_is_verified(tmp_path, monkeypatch):
    np = pytest.importorskip("numpy")
    import pagexchange

    scope: dict[str, object] = {"__name__": "my_plugin"}
    exec(compile(blocks("python")[2], "README.md", "exec"), scope)
    plugin = scope["BackwardSwap"](step=4)  # type: ignore[operator]
    pieces = np.arange(40, dtype=np.uint64).reshape(-1, 1).repeat(512, axis=1)
    before = pieces.copy()
    with pagexchange.Arena.create(nodes={"fast": "1 MiB"}) as arena:
        plugin.exchange_data(arena)(pieces, np.arange(10), np.arange(20, 30))
    assert (pieces[:10] == before[20:30]).all()
    assert (pieces[20:30] == before[:10]).all()


def test_the_toml_of_the_readme_is_toml():
    for text in blocks("toml"):
        tomllib.loads(text)


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
