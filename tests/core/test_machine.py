"""Which machine a run was on: the same id for the same machine, another one for another."""

from __future__ import annotations

import copy

import msgspec
import pytest

from pagexchange.runs.environment import collect
from pagexchange.runs.machine import VARIABLE, fingerprint, this_host
from pagexchange.samples.schema import Host


def test_this_machine_has_one_id() -> None:
    one, two = this_host(), this_host()
    assert one.id == two.id
    assert one.id.endswith(one.fingerprint[:6])
    assert msgspec.json.decode(msgspec.json.encode(one), type=Host) == one


def test_load_and_free_memory_are_not_in_the_fingerprint_and_the_processor_is() -> None:
    here = collect()
    later = copy.deepcopy(here)
    later["load"], later["memory"]["available"], later["memory"]["hugepages_free"] = [9.0, 9.0, 9.0], 1, 77
    later["memory"]["total"] = (here["memory"]["total"] or 0) ^ 4096  # of the next boot
    assert fingerprint(later) == fingerprint(here)
    limited = copy.deepcopy(here)
    limited["limits"]["cpu"] = "50000 100000"
    assert fingerprint(limited) != fingerprint(here)
    later["cpu"]["model"] = "another"
    assert fingerprint(later) != fingerprint(here)


@pytest.mark.parametrize(
    ("given", "name"),
    [("box-7.example.org", "box-7"), ("ä/b", "b"), ("..", "host"), ("a b", "a-b"), ("x" * 200, "x" * 100)],
)
def test_a_name_that_is_given_becomes_one_of_a_file(given: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, given)
    host = this_host()
    assert host.id == f"{name}-{host.fingerprint[:6]}"
    assert msgspec.json.decode(msgspec.json.encode(host), type=Host) == host
