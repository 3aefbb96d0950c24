"""Clocks, pressure and whether a sample can be trusted: on made-up machines and made-up clocks."""

import pytest

from pagexchange.measure import clocks, pressure, trust

STALL = "some avg10={} avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


def machine(root, *, load="0.50 0.25 0.10 1/99 7", cpu=(0.0, 0), memory=(0.0, 0), io=(0.0, 0), ticks=None, cgroup=None):
    """A root with what `pressure.read` looks at; `cgroup`: group -> its throttled_usec."""
    files = {"proc/loadavg": load}
    files |= {
        f"proc/pressure/{name}": STALL.format(*values)
        for name, values in (("cpu", cpu), ("memory", memory), ("io", io))
    }
    files["proc/stat"] = f"cpu  {' '.join(map(str, ticks or [1, 0, 1, 8, 0, 0, 0, 0, 5, 0]))}\ncpu0 1 2 3\n"
    files["proc/self/cgroup"] = "4:memory:/other\n0::/user/job\n"
    for group, used in (cgroup or {}).items():
        files[f"sys/fs/cgroup{group}/cpu.stat"] = f"usage_usec 9\nthrottled_usec {used}\n"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_pressure_between_two_readings_is_a_share_of_the_time(tmp_path):
    then = machine(
        tmp_path, cpu=(0, 1000), memory=(0, 500), ticks=[10, 0, 10, 70, 0, 0, 0, 10, 6, 0],
        cgroup={"/user/job": 100, "": 0},
    )  # fmt: skip
    before = pressure.read(then, at_ns=0)
    after = pressure.read(
        machine(tmp_path, load="3.00 2.00 1.00 1/9 7", cpu=(0, 601_000), memory=(0, 500), io=(0, 250_000),
                ticks=[50, 0, 10, 70, 0, 0, 0, 70, 90, 0], cgroup={"/user/job": 300_100, "": 400_000}),
        at_ns=1_000_000_000,
    )  # fmt: skip
    assert pressure.between(before, after) == pressure.Pressure(
        load=[3.0, 2.0, 1.0], some_cpu=0.6, some_memory=0.0, some_io=0.25, steal=0.6, throttled=0.4
    )


def test_pressure_at_a_moment_is_that_of_the_last_ten_seconds(tmp_path):
    found = pressure.at(pressure.read(machine(tmp_path, cpu=(98.5, 7), io=(1.25, 7))))
    assert found == pressure.Pressure(load=[0.5, 0.25, 0.1], some_cpu=0.985, some_memory=0.0, some_io=0.0125)


def test_what_a_machine_does_not_say_is_none(tmp_path):
    nothing = pressure.read(tmp_path)
    assert pressure.between(nothing, nothing) == pressure.at(nothing) == pressure.Pressure()
    full = pressure.read(machine(tmp_path / "full", cgroup={"/user/job": 1}), at_ns=0)
    assert pressure.between(nothing, full) == pressure.Pressure(load=[0.5, 0.25, 0.1])


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("proc/stat", "cpu 1 2 3\n"),  # before 2.6.11
        ("proc/stat", "intr 5\n"),
        ("proc/loadavg", "a b c"),
        ("proc/loadavg", "0.1"),
        ("proc/pressure/cpu", "full avg10=0.00 total=5\n"),
        ("proc/self/cgroup", "4:cpu:/v1\n"),
    ],
)
def test_what_cannot_be_read_is_none_and_the_rest_is_there(tmp_path, file, text):
    machine(tmp_path, cgroup={"/user/job": 1})
    whole = pressure.between(pressure.read(tmp_path, at_ns=0), pressure.read(tmp_path, at_ns=10))
    (tmp_path / file).write_text(text)
    part = pressure.between(pressure.read(tmp_path, at_ns=0), pressure.read(tmp_path, at_ns=10))
    missing = [name for name in pressure.Pressure.__struct_fields__ if getattr(part, name) != getattr(whole, name)]
    field = {"stat": "steal", "loadavg": "load", "cpu": "some_cpu", "cgroup": "throttled"}[file.rpartition("/")[2]]
    assert set(missing) <= {field}
    assert getattr(part, field) is None


def test_a_share_is_never_outside_of_0_to_1(tmp_path):
    before = pressure.read(machine(tmp_path, cpu=(0, 5000), cgroup={"/user/job": 0}), at_ns=0)
    after = pressure.read(machine(tmp_path, cpu=(0, 10), cgroup={"/user/job": 9000}), at_ns=1_000_000)
    found = pressure.between(before, after)
    assert (found.some_cpu, found.throttled, found.steal) == (0.0, 1.0, None)  # no tick of the CPUs has passed


def test_this_machine_can_be_read():
    first = pressure.read()
    found = pressure.between(first, pressure.read())
    shares = [getattr(found, name) for name in pressure.Pressure.__struct_fields__ if name != "load"]
    assert all(share is None or 0 <= share <= 1 for share in shares)


def test_clocks_go_on():
    start = clocks.start()
    sum(range(10_000))
    spent = clocks.since(start)
    assert spent.wall_ns > 0
    assert min(spent.process_ns, spent.thread_ns) > 0


@pytest.mark.parametrize(
    ("wall", "cpu", "said"),
    [
        (140, 140, 100),  # 40 are Python's
        (140, 80, 40),  # others had 60 of the part
        (640, 140, 100),  # and 500 of what is around it
        (640, 80, 40),  # both
        (140, 230, 190),  # two threads
        (130, 130, 100),  # less than usual is around it
        (140, 20, 0),  # clocks that do not tick together
    ],
)
def test_the_cpu_time_of_a_part_is_the_process_s_less_what_is_around_it(wall, cpu, said):
    assert clocks.cpu_within(100, clocks.Reading(wall, cpu, cpu), 40) == said


def test_the_off_cpu_share_is_that_of_the_threads_that_had_work():
    assert trust.off_cpu([(100, 100)]) == 0
    assert trust.off_cpu([(100, 25)]) == 0.75
    assert trust.off_cpu([(100, 100), (50, 20)]) == pytest.approx(0.2)  # the second began later: it has not waited
    assert trust.off_cpu([(100, 103)]) == 0  # clocks that do not tick together
    assert trust.off_cpu([]) == trust.off_cpu([(0, 0)]) == 0


def test_a_sample_was_pushed_aside_above_the_limit():
    assert [trust.pushed_aside([(100, cpu)]) for cpu in (81, 80, 79)] == [False, False, True]
    assert not trust.pushed_aside([(100, 1)], above=1.0)


def test_the_limit_is_the_environments(monkeypatch):
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    assert trust.limit() == trust.ASIDE
    monkeypatch.setenv(trust.VARIABLE, " 0.5 ")
    assert trust.limit() == 0.5
    for wrong in ("a lot", "1.5", "-1", "nan", ""):
        monkeypatch.setenv(trust.VARIABLE, wrong)
        assert trust.limit() == trust.ASIDE


def test_a_budget_is_spent_by_turns_and_never_by_one_that_costs_more_than_is_left():
    now = [0.0]

    def turn(seconds):
        def pass_time():
            now[0] += seconds

        return pass_time

    budget = trust.Budget(10, clock=lambda: now[0])
    assert budget.spend(turn(6), expected=6)
    now[0] += 100  # between two turns
    assert budget.left == 4
    assert not budget.spend(turn(6), expected=6)
    assert now[0] == 106, "it was done all the same"
    assert budget.spend(turn(9), expected=3)
    assert budget.left == 0
    assert not budget.spend(turn(0))


def test_a_turn_that_raises_has_cost_what_it_has():
    now = [0.0]

    def turn():
        now[0] += 3
        raise KeyError

    budget = trust.Budget(10, clock=lambda: now[0])
    with pytest.raises(KeyError):
        budget.spend(turn)
    assert budget.left == 7


def test_a_cell_is_trusted_if_most_of_its_turns_are():
    assert trust.clean([])
    assert trust.clean([False])
    assert trust.clean([False, False, True])
    assert not trust.clean([True])
    assert not trust.clean([True, False])
    assert not trust.clean([True, True, False])
