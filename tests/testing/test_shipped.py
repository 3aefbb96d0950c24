"""The strategies and plug-ins that ship keep every clause; this is the matrix in our own tests."""

import re

import pytest

from pagexchange.host import read
from pagexchange.testing import CLAUSES
from tests.testing.suite import COMMAND, run


@pytest.mark.slow
def test_the_shipped_strategies_and_plug_ins_keep_every_clause(tmp_path):
    code, output = run(tmp_path, *COMMAND, "-v", "-W", "error")
    assert code == 0, output[-5000:]
    passed = re.findall(r"::(test_\w+)\[(.+)\] PASSED", output)
    assert {test for test, _ in passed} == {clause.test for clause in CLAUSES.values()}
    for strategy, spec in read.load(plugins=False).strategies.items():
        judged = {test for test, where in passed if where == strategy or where.startswith(f"{strategy}-")}
        assert len(judged) >= (8 if spec.migrates else 15), strategy
