"""The command that counts false alarms counts them: of runs that are made up, in a folder as it makes it."""

import pytest

from tests.core.made_runs import BUSY, Made, Noise
from tests.same_twice import main

TIMES = {"word-swap": 100.0, "copy-page": 150.0}


@pytest.fixture
def kept(tmp_path):
    def make(noise, pairs):
        for number in range(pairs):
            for seed, side in enumerate("ab"):
                Made(times=TIMES, noise=noise).folder(tmp_path / f"{side}-{number:03}", 2 * number + seed)
        return ["--kept", str(tmp_path)]

    return make


def test_pairs_and_sides_of_several_runs_are_judged(kept, capsys):
    assert main(kept(BUSY, 10)) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if "false alarms" in line] == [
        "10 pairs of 1 run(s) a side: 0 false alarms , 0 with --ci",
        "5 pairs of 2 run(s) a side: 0 false alarms , 0 with --ci",
        "2 pairs of 5 run(s) a side: 0 false alarms , 0 with --ci",
        "1 pairs of 10 run(s) a side: 0 false alarms , 0 with --ci",
    ]
    assert "    100%: 1 of 1; in 0 of them another strategy is blamed" in out


def test_too_many_false_alarms_are_an_error(kept, capsys):
    """The control: runs that lie far apart although the rounds of each agree, which is not how runs are."""
    assert main(kept(Noise(0.2, 0.2, 0.001, 0.0), 10)) == 1
    assert "10 pairs of 1 run(s) a side: 0 false" not in capsys.readouterr().out
