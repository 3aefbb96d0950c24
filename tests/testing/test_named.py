"""The suite's options are known wherever pytest may be told of the suite, and in no other run."""

import os
import subprocess
import sys

import pytest

FILE = """\
schema = 1
[strategy.good]
flags = "masked-word"
data = "word-swap"
mapping = "xarray"
"""
COLLECT = ("--collect-only", "-q", "-q", "-k", "good and flags_move and order0")
NAMED = ("--pyargs", "pagexchange.testing")


def run(folder, *args, **options):
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *args]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= options.pop("env", {})
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, **options
    )  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "elsewhere" / "good.toml"
    path.parent.mkdir()
    path.write_text(FILE)
    return path


@pytest.mark.skipif(pytest.version_tuple < (8, 2), reason="pytest 8.2 takes @file")
def test_the_arguments_may_be_in_a_file(tmp_path, file):
    (tmp_path / "args").write_text("\n".join([*NAMED, "--strategies", str(file), *COLLECT]))
    done = run(tmp_path, "@args")
    assert (done.returncode, "test_strategies.py: " in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("form", [["--strategies", "{}"], ["--strategies={}"]])
def test_the_suite_may_be_what_testpaths_say(tmp_path, file, form):
    """pytest takes the value of an option that it does not know yet for a path, and looks there for its own file."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = pagexchange.testing\naddopts = --pyargs\n")
    done = run(tmp_path, *(part.format(file) for part in form), *COLLECT)
    assert (done.returncode, "test_strategies.py: " in done.stdout) == (0, True), done.stderr


def test_it_may_be_in_the_environment(tmp_path, file):
    done = run(tmp_path, "--strategies", str(file), *COLLECT, env={"PYTEST_ADDOPTS": " ".join(NAMED)})
    assert (done.returncode, "test_strategies.py: " in done.stdout) == (0, True), done.stderr


def test_stdin_is_that_of_who_started_pytest(tmp_path):
    done = run(tmp_path, *NAMED, "--strategies", "/dev/stdin", "--collect-only", *COLLECT[3:], input=FILE)
    assert "1 strategy of /dev/stdin: good (exact)" in done.stdout, done.stderr
    assert done.returncode == 0


def test_another_run_imports_nothing_of_ours(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test(request):\n    assert 'pagexchange' not in sys.modules\n"
        "    assert request.config.getoption('strategies') == 'mine'\n"
    )
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--strategies')\n")
    done = run(tmp_path, "--strategies", "mine", "test_it.py")
    assert done.returncode == 0, done.stdout
