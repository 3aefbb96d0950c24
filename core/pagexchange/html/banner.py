"""Whether the numbers can be trusted: what the machine did meanwhile, and what it did to the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from pagexchange.html.elements import Element, element
from pagexchange.html.tables import figures
from pagexchange.html.words import NOTHING, share
from pagexchange.model.words import counted
from pagexchange.samples import turns

if TYPE_CHECKING:
    from pagexchange.html.facts import Facts
    from pagexchange.measure.pressure import Pressure
    from pagexchange.samples.schema import Host

Light: TypeAlias = Literal["green", "amber", "red"]

SAID: Final[dict[Light, str]] = {
    "green": "Green: nothing speaks against these numbers.",
    "amber": "Amber: read with care. Ratios of CPU time hold; wall times may be longer than on a quiet machine.",
    "red": "Red: do not quote what is named here.",
}
MARKS: Final[dict[Light, str]] = {"green": "✓", "amber": "!", "red": "✕"}
BUSY: Final = 0.1
"""Share of time in which somebody waited for a CPU, from which on it is said."""
STOLEN: Final = 0.01
"""Share that the hypervisor gave to others, or that the control group forbade."""


class Finding(NamedTuple):
    """What there is to say, and how bad it is."""

    light: Light
    sentence: str


def findings(facts: Facts) -> list[Finding]:
    """Everything that speaks against the numbers, the worst first."""
    found = [*_samples(facts)]
    for name in facts.hosts:
        found += _machine(facts.folder.hosts[name], len(facts.hosts) > 1)
    for problem in (*map(str, facts.folder.problems), *facts.folder.warnings):
        found.append(Finding("red", f"The folder is damaged: {problem}."))
    return sorted(found, key=lambda finding: list(SAID).index(finding.light), reverse=True)


def light(facts: Facts) -> Light:
    """The worst of them."""
    found = findings(facts)
    return found[0].light if found else "green"


def _samples(facts: Facts) -> list[Finding]:
    found: list[Finding] = []
    untrusted = list(dict.fromkeys(one.name for one in facts.all() if not one.trusted))
    if untrusted:
        number = sum(not one.trusted for one in facts.all())
        verb = "was" if number == 1 else "were"
        found.append(Finding("red", f"{counted(number, 'cell')} {verb} pushed aside in most turns: "
                                    f"{', '.join(untrusted)}."))  # fmt: skip
    samples = [sample for one in facts.all() for sample in one.samples]
    aside = sum(sample.aside for sample in samples)
    final = [sample for one in facts.all() for sample in turns.final(one.samples)]
    left = sum(sample.aside for sample in final)
    if aside:
        again = f", {aside - left} of them taken again" if aside > left else ""
        stay = f"; {left} stay so" if left else "; none stays so"
        light: Light = "amber" if left or aside > 0.1 * len(samples) else "green"
        found.append(Finding(light, f"{aside:,} of {counted(len(samples), 'sample')} were pushed aside by others"
                                    f"{again}{stay}."))  # fmt: skip
    if any(facts.folder.hosts[host].after is None for host in facts.hosts):
        found.append(Finding("red", "The run did not come to its end: what was finished until then is shown."))
    return found


def _machine(host: Host, several: bool) -> list[Finding]:
    found = []
    on = f" on {host.id}" if several else ""
    during = host.after
    if during is not None and (during.some_cpu or 0) >= BUSY:
        found.append(Finding("amber", f"In {share(during.some_cpu or 0)} of the time somebody waited for a CPU{on}."))
    if during is not None and (during.steal or 0) >= STOLEN:
        found.append(Finding("amber", f"The hypervisor gave {share(during.steal or 0)} of the CPUs to others{on}."))
    if during is not None and (during.throttled or 0) >= STOLEN:
        found.append(
            Finding("amber", f"The control group was not allowed to run for {share(during.throttled or 0)}{on}.")
        )
    cpus = _cpus(host)
    load = host.before.load[0] if host.before.load else 0.0
    if cpus and load > 0.5 * cpus:
        found.append(
            Finding("amber", f"The machine had a load of {load:.1f} on {counted(cpus, 'CPU')} before the run{on}.")
        )
    return found


def _cpus(host: Host) -> int:
    cpu = host.environment.get("cpu")
    usable = cpu.get("usable") if isinstance(cpu, dict) else None
    return usable if isinstance(usable, int) else 0


def view(facts: Facts) -> Element:
    """The banner, with a light that is also a word and a sign, and the machine before and after in numbers."""
    now, said = light(facts), findings(facts)
    return element(
        "section",
        element("p", element("span", MARKS[now], class_="sign", aria_hidden="true"), element("b", SAID[now])),
        element("ul", *(element("li", finding.sentence) for finding in said)) if said else None,
        _table(facts),
        class_=f"banner {now}",
        id="trust",
    )


def _table(facts: Facts) -> Element | None:
    hosts = [facts.folder.hosts[name] for name in facts.hosts]
    heads = ["", "load before", "load after", "waited for CPU", "waited for memory", "waited for I/O", "stolen",
             "throttled"]  # fmt: skip
    rows = [[_load(host.before), _load(host.after), *_shares(host.after)] for host in hosts]
    filled = [n for n in range(len(heads) - 1) if any(row[n] != NOTHING for row in rows)]
    if not filled:
        return None
    head = element("tr", element("th", ""), *(element("th", heads[n + 1], scope="col") for n in filled))
    body = [
        element("tr", element("th", host.id, scope="row"), *(element("td", row[n]) for n in filled))
        for host, row in zip(hosts, rows, strict=True)
    ]
    return figures(element("table", element("thead", head), element("tbody", *body)))


def _load(pressure: Pressure | None) -> str:
    return f"{pressure.load[0]:.2f}" if pressure is not None and pressure.load else NOTHING


def _shares(during: Pressure | None) -> list[str]:
    given = (
        (during.some_cpu, during.some_memory, during.some_io, during.steal, during.throttled) if during else [None] * 5
    )
    return [NOTHING if value is None else share(value) for value in given]
