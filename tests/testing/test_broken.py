"""The suite itself: for each clause a plug-in that breaks it is caught by the clause's test, and by no other."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from pagexchange.testing import CLAUSES
from tests.testing import broken, broken_copiers

pytestmark = pytest.mark.slow
FILES = (broken, broken_copiers)
CASES = {
    name: case
    for file in FILES
    for name, case in vars(file).items()
    if name.startswith("Test") and case.__module__ == file.__name__
}
CELLS = (
    "linux-6.18-anon-file-order0",
    "linux-6.18-shmem-anon-order4",
    "linux-6.18-file-file-order1-one-mapping",
    "linux-5.0-raw-file-order0",
    "unknown-flag-anon-file-order0",
    "unknown-flag-anon-file-order4",
    "linux-5.0-anon-file-order9",
    "linux-6.18-file-file-order1-sync",
)
"""Of the matrix: enough for every case, so that sixty plug-ins are judged in seconds."""


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Which clauses each case broke, and what was said."""
    folder = tmp_path_factory.mktemp("broken")
    report = folder / "report.xml"
    (folder / "fewer.py").write_text(
        f"CELLS = {CELLS!r}\n"
        "def pytest_collection_modifyitems(items):\n"
        "    def kept(item):\n"
        "        cell = getattr(item, 'callspec', None) and item.callspec.params.get('cell')\n"
        "        wide = [value for _, values in getattr(item.function, 'axes', ()) for value in values(False)]\n"
        "        return cell is None or len(wide) < 7 or 'serves' in item.name or str(cell) in CELLS\n"
        "    items[:] = [item for item in items if kept(item)]\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "fewer", "-p", "no:cacheprovider", "-c", os.devnull]
    command += [f"--rootdir={folder}", f"--junitxml={report}", "--import-mode=importlib"]
    command += [str(file.__file__) for file in FILES]
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 1, done.stdout + done.stderr
    failures: dict[str, dict[str, str]] = {name: {} for name in CASES}
    ran = set()
    for case in ElementTree.parse(report).iter("testcase"):
        name, test = case.attrib["classname"].rpartition(".")[2], case.attrib["name"].partition("[")[0]
        ran.add(name)
        for failure in (*case.iter("failure"), *case.iter("error")):
            failures[name][test] = f"{failure.get('message')}\n{failure.text}"
    assert ran == set(CASES)
    return failures


@pytest.mark.parametrize("name", CASES)
def test_a_broken_plug_in_is_caught_by_its_clause_and_no_other(failed, name):
    want = {CLAUSES[clause].test for clause in CASES[name].breaks}
    assert set(failed[name]) == want, failed[name]
    for clause in CASES[name].breaks:
        assert f"broken: {CLAUSES[clause]}" in failed[name][CLAUSES[clause].test]


def test_each_clause_has_a_plug_in_that_breaks_it_alone():
    alone = {case.breaks[0] for case in CASES.values() if len(case.breaks) == 1}
    elsewhere = {"a-plug-in-can-be-loaded", "a-wrapper-is-never-wrong"}  # see test_one_command.py
    assert alone | elsewhere == {clause.name for clause in CLAUSES.values()}
