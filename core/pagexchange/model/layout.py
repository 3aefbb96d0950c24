"""Layouts of the flags word as data: each bit's name, place and policy, read from TOML and checked as a whole."""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from pagexchange.errors import ConfigError, Problem, UnknownFlagError, did_you_mean
from pagexchange.model import live
from pagexchange.model.table import check_schema, convert, show
from pagexchange.model.tomlfile import KeyPath, TomlFile, unwritable, written

Policy = Literal["swap", "stay", "refuse"]

POLICIES: Final[tuple[Policy, ...]] = ("swap", "stay", "refuse")
SCHEMA: Final = 1
WORD: Final = 64
ALL: Final = (1 << WORD) - 1

ROLES: Final = (
    "locked", "writeback", "dirty", "swapbacked", "private", "swapcache", "hwpoison", "reserved", "head", "waiters",
)  # fmt: skip
"""Flags that the engine itself looks at, by name or alias."""

_TAIL: Final[dict[str, Policy]] = {
    "locked": "stay", "waiters": "stay", "head": "stay", "hwpoison": "refuse", "reserved": "refuse",
}  # fmt: skip
"""Policies in a tail's word that no layout may change, and that need not be written down; of all others `stay` is the
default."""

_MUST: Final[dict[str, dict[str, Policy]]] = {
    "flags": {
        "locked": "stay", "waiters": "stay", "head": "stay",
        "writeback": "refuse", "hwpoison": "refuse", "reserved": "refuse",
    },
    "fields": {"section": "stay", "node": "stay", "zone": "stay", "kasan_tag": "stay"},
}  # fmt: skip
"""Policies that no layout may change: what is the frame's, not the page's, and pages that cannot be moved."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Flag:
    """One bit of the flags word."""

    name: str
    bit: int
    """0 is the lowest."""
    policy: Policy
    meaning: str
    tail: Policy = "stay"
    """The policy of the bit in the words of a large folio's later frames."""

    @property
    def mask(self) -> int:
        """The bit in its place."""
        return 1 << self.bit


@dataclass(frozen=True, slots=True)
class Field:
    """A number in the upper part of the flags word."""

    name: str
    shift: int
    """Its lowest bit."""
    width: int
    """In bits; 0 if this layout does not have it."""
    policy: Policy
    meaning: str

    @property
    def mask(self) -> int:
        """All its bits in their place."""
        return ((1 << self.width) - 1) << self.shift

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        return f"in bits {self.shift} to {self.shift + self.width - 1}" if self.width else "in no bits"


@dataclass(frozen=True, repr=False)
class Layout:
    """What each of the 64 bits of a flags word is, and what an exchange does with it."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    """In the order of their bits."""
    fields: tuple[Field, ...]
    """From the top of the word downwards."""
    aliases: dict[str, str]
    """Another name -> name of a flag."""
    notes: tuple[str, ...] = ()
    """What of it is assumed or not known, in sentences."""

    @classmethod
    def load(cls, name: str | Path, base: Path | None = None) -> "Layout":
        """Return a layout that ships with pagexchange, by name, or one's own, by the path of a TOML file.

        Parameters
        ----------
        name
            `linux-6.18`; `live`, the running kernel's own; or a path: anything with a `/` or the ending `.toml`.
        base
            Folder that a relative path starts from; the working directory if not given.

        Raises
        ------
        ConfigError
            No such layout, or the file is wrong: all that is wrong with it, each with line and column.
        """
        text = str(name)
        if isinstance(name, Path) or is_file_name(text):
            path = Path(name) if base is None else base / name
            return _parse(TomlFile.read(path))
        if text == live.NAME:
            return _parse(TomlFile.from_bytes(live_file().encode(), f"{text} ({live.FILE})"))
        return _shipped(text)

    @classmethod
    def parse(cls, text: str | bytes, origin: str) -> "Layout":
        """Return the layout that the text of a layout file says. ConfigError as of `load`; `origin` names the text."""
        return _parse(TomlFile.from_bytes(text.encode() if isinstance(text, str) else text, origin))

    @cached_property
    def text(self) -> str:
        """The layout as the text of a layout file: `parse` makes an equal one of it."""
        lines = [f"schema = {SCHEMA}", f"name = {written(self.name)}", f"summary = {written(self.summary)}"]
        lines += [f"notes = [{', '.join(map(written, self.notes))}]"] if self.notes else []
        lines += ["", "[flags]"]
        for flag in self.flags:
            policies = f"policy = {written(flag.policy)}, tail = {written(flag.tail)}"
            lines.append(f"{flag.name} = {{ bit = {flag.bit}, {policies}, meaning = {written(flag.meaning)} }}")
        lines += ["", "[fields]"]
        for field in self.fields:
            policy = f"policy = {written(field.policy)}, meaning = {written(field.meaning)}"
            lines.append(f"{field.name} = {{ width = {field.width}, {policy} }}")
        lines += ["", "[aliases]", *(f"{written(alias)} = {written(name)}" for alias, name in self.aliases.items())]
        return "\n".join(lines) + "\n"

    @staticmethod
    def available() -> list[str]:
        """Return the names of the layouts that ship with pagexchange."""
        folder = resources.files("pagexchange.model") / "layouts"
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    @cached_property
    def _by_name(self) -> dict[str, Flag]:
        flags = {flag.name: flag for flag in self.flags}  # words are read in loops over all frames: found once
        return flags | {alias: flags[name] for alias, name in self.aliases.items()}

    def __hash__(self) -> int:
        return hash((self.name, self.flags, self.fields))  # aliases are a dict; what is equal in all is equal in these

    def __repr__(self) -> str:
        fields = ", ".join(field.name for field in self.fields if field.width)
        return f"<Layout {self.name}: {len(self.flags)} flags, {fields or 'no fields'}>"

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def flag(self, name: str) -> Flag:
        """Return a flag by its name or alias; UnknownFlagError names the nearest one, and all."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownFlagError(self.name, "flag", name, self._by_name) from None

    def field(self, name: str) -> Field:
        """Return an upper field by name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise UnknownFlagError(self.name, "field", name, (field.name for field in self.fields))

    def masks(self) -> dict[str, int]:
        """Return name -> mask of every flag, every alias and every field that is there."""
        out = {name: flag.mask for name, flag in self._by_name.items()}
        return out | {field.name: field.mask for field in self.fields if field.width}

    def word(self, *names: str, **fields: int) -> int:
        """Return a flags word with these flags set, and these fields: `word("dirty", "lru", node=1)`."""
        word = 0
        for name in names:
            word |= self.flag(name).mask
        for name, value in fields.items():
            word = self.set(word, name, value)
        return word

    def names(self, word: int) -> list[str]:
        """Return the names of the flags that are set, lowest bit first; fields are not flags, see `values`."""
        return [flag.name for flag in self.flags if int(word) >> flag.bit & 1]

    def values(self, word: int) -> dict[str, int]:
        """Return the upper fields of a word that this layout has, by name."""
        return {field.name: self.get(word, field.name) for field in self.fields if field.width}

    def get(self, word: int, field: str) -> int:
        """Return an upper field of a word; 0 when its width is 0."""
        part = self.field(field)
        return (int(word) & part.mask) >> part.shift

    def set(self, word: int, field: str, value: int) -> int:
        """Return the word with one upper field replaced; ValueError if the value does not fit."""
        part = self.field(field)
        if not 0 <= value < 1 << part.width:
            raise ValueError(f"{field} = {value} does not fit {part.width} bits of layout {self.name}")
        return (int(word) & ~part.mask & ALL) | value << part.shift

    def mask(self, policy: Policy) -> int:
        """Return all bits with this policy, upper fields included; unused bits are `stay`.

        `swap`, `stay` and `refuse` are disjoint and together cover the whole word.
        """
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}{did_you_mean(policy, POLICIES)}")
        masks: dict[str, int] = dict.fromkeys(POLICIES, 0)
        parts: tuple[Flag | Field, ...] = (*self.flags, *self.fields)
        for part in parts:
            masks[part.policy] |= part.mask
        # Linux may use a bit that a layout does not name, so it must not travel with a page.
        masks["stay"] |= ALL & ~(masks["swap"] | masks["refuse"])
        return masks[policy]

    def tail_mask(self, policy: Policy) -> int:
        """Return all bits with this policy in the word of a tail; whatever else is in it stays with the frame."""
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}{did_you_mean(policy, POLICIES)}")
        named = sum(flag.mask for flag in self.flags if flag.tail == policy)
        others = ALL & ~sum(flag.mask for flag in self.flags)
        return named | others if policy == "stay" else named

    @property
    def waited_for(self) -> int:
        """The bits that say that a page is being written somewhere: they end in time, and sync waits for that."""
        named = [self.flag(name) for name in ("writeback", "private_2") if name in self]
        return sum(flag.mask for flag in named if flag.policy == "refuse")

    def describe(self, word: int) -> str:
        """Write a word for people: `uptodate|dirty node=1 zone=2`."""
        parts = ["|".join(self.names(word)) or "0"]
        parts += [f"{name}={value}" for name, value in self.values(word).items() if value]
        return " ".join(parts)

    def differences(self, other: "Layout") -> list[str]:
        """Return in sentences what of this layout is not as in another one; meanings and aliases aside."""
        said = []
        theirs = {flag.name: flag for flag in other.flags}
        for flag in self.flags:
            there = theirs.pop(flag.name, None)
            if there is None:
                said.append(f"{flag.name} is bit {flag.bit}; {other.name} does not have it")
                continue
            if flag.bit != there.bit:
                said.append(f"{flag.name} is bit {flag.bit}; in {other.name} it is bit {there.bit}")
            if flag.policy != there.policy:
                said.append(f"{flag.name} is {flag.policy}; in {other.name} it is {there.policy}")
            if flag.tail != there.tail:
                said.append(f"{flag.name} is {flag.tail} in tails; in {other.name} it is {there.tail} there")
        said += [f"{flag.name} is not there; {other.name} has it as bit {flag.bit}" for flag in theirs.values()]
        fields = {field.name: field for field in other.fields}
        for field in self.fields:
            match = fields.get(field.name)
            if match is None or (field.width, field.width and field.shift) != (
                match.width,
                match.width and match.shift,
            ):
                where = "does not have it" if match is None else f"has it {match.place}"
                said.append(f"{field.name} is {field.place}; {other.name} {where}")
        return said

    def native(self) -> dict[str, Any]:
        """Return what `Region.create(layout=...)` takes: `name`, masks by policy, role and of tails, node and zone."""
        out: dict[str, Any] = {"name": self.name}
        out |= {policy: self.mask(policy) for policy in POLICIES}
        out |= {role: self.flag(role).mask if role in self else 0 for role in ROLES}
        out["writeback"] = self.waited_for
        out |= {f"tail_{policy}": self.tail_mask(policy) for policy in POLICIES if policy != "stay"}
        broken = [self.flag(name).mask for name in ("hwpoison", "has_hwpoisoned") if name in self]
        out["tail_broken"] = sum(broken) & out["tail_refuse"]
        present = {field.name: field for field in self.fields}
        for name in ("node", "zone"):
            out[f"{name}_shift"] = present[name].shift if name in present and present[name].width else 0
            out[f"{name}_width"] = present[name].width if name in present else 0
        return out


@dataclass(frozen=True, slots=True)
class _File:
    """What may stand at the top of a layout file."""

    name: str
    flags: dict[str, Any]
    schema: Any = None
    summary: str = ""
    fields: dict[str, Any] | None = None
    aliases: dict[str, Any] | None = None
    notes: list[str] | None = None


@dataclass(frozen=True, slots=True)
class _FlagEntry:
    """What may stand under the name of a flag."""

    bit: Annotated[int, msgspec.Meta(ge=0, le=WORD - 1)]
    policy: Policy
    meaning: str
    tail: Policy | None = None


@dataclass(frozen=True, slots=True)
class _FieldEntry:
    """What may stand under the name of a field."""

    width: Annotated[int, msgspec.Meta(ge=0)]
    policy: Policy
    meaning: str


def live_file() -> str:
    """Return the layout file of the running kernel. ConfigError: it does not tell, or what it tells is not sound."""
    known: dict[str, live.Known] = {}
    for name in Layout.available():  # in the order of their versions: the newest one has the last word
        shipped = Layout.load(name)
        parts: tuple[Flag | Field, ...] = (*shipped.flags, *shipped.fields)
        known |= {part.name: live.Known(part.policy, part.meaning) for part in parts}
    try:
        return live.layout_file(live.read(), known, os.uname().release)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        instead = f"choose one of {', '.join(Layout.available())}, or give the path of a .toml file"
        raise ConfigError(Problem("layout", f"{live.NAME!r}: {live.FILE}: {why}; {instead}")) from error


@cache  # read for each strategy that is bound, and nobody changes these files
def _shipped(name: str) -> Layout:
    try:
        known = Layout.available()
        if name not in known:
            hint = did_you_mean(name, [*known, live.NAME])
            raise ConfigError(Problem("layout", f"unknown layout {name!r}{hint} (or give the path of a .toml file)"))
        data = (resources.files("pagexchange.model") / "layouts" / f"{name}.toml").read_bytes()
    except OSError as error:
        raise ConfigError(Problem("layout", f"{name!r} cannot be read: {error.strerror}")) from error
    return _parse(TomlFile.from_bytes(data, f"{name}.toml"))


def is_file_name(name: str) -> bool:
    """Whether a layout is named by the path of a file, and is none that ships with pagexchange or of the kernel."""
    return "/" in name or name.endswith(".toml")


def _parse(file: TomlFile) -> Layout:
    """Make a Layout of a file, or raise one ConfigError with everything that is wrong."""
    check = _Check(file)
    for wrong in unwritable(file.data):
        check.bad(*wrong)
    table = convert(file.data, _File, check.bad)
    check_schema(file.data, SCHEMA, check.bad)
    if len(table.get("name", "").encode()) > 31:
        check.bad(("name",), "a layout's name has at most 31 bytes")
    named: dict[str, Any] = table.get("flags", {})
    flags = check.flags(named)
    fields = check.fields(table.get("fields", {}))
    check.overlaps(flags, fields)
    for name in named.keys() & {field.name for field in fields}:
        check.bad(("fields", name), "is the name of a flag too", False)
    if "flags" in table:
        check.locked(named, {flag.name: flag.bit for flag in flags})
    aliases = table.get("aliases", {})
    check.aliases(aliases, named)
    if check.problems:
        raise ConfigError(sorted(check.problems, key=lambda problem: (problem.line, problem.column)))
    notes = tuple(table.get("notes") or ())
    return Layout(table["name"], table.get("summary", ""), tuple(flags), tuple(fields), aliases, notes)


class _Check:
    """Collects what is wrong with a layout file; here are the rules that the types of its keys do not say.

    A rule looks only at values of the right type, so that one mistake is reported once.
    """

    def __init__(self, file: TomlFile) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def bad(self, path: KeyPath, problem: str, value: bool = True) -> None:
        self.problems.append(self.file.problem(path, problem, value=value))

    def entry(self, kind: type, path: tuple[str, str], entry: object) -> dict[str, Any]:
        """Check what stands under one name, and that the policy is the one that the engine relies on."""
        section, name = path
        if not _NAME.fullmatch(name):
            self.bad(path, "a name is lower case: letters, digits and _", False)
        good = convert(entry, kind, self.bad, path)
        must = _MUST[section].get(name)
        if must and good.get("policy", must) != must:
            reason = "{!r} belongs to the frame" if must == "stay" else "a page with {!r} cannot be moved"
            self.bad((*path, "policy"), f"{reason.format(name)}: its policy must be {must!r}")
        tail = _TAIL.get(name) if section == "flags" else None
        if tail and (good.get("tail") or tail) != tail:
            reason = "{!r} belongs to the frame" if tail == "stay" else "a folio with a {!r} frame cannot be moved"
            self.bad((*path, "tail"), f"{reason.format(name)}: its policy in tails must be {tail!r}")
        return good

    def flags(self, table: dict[str, Any]) -> list[Flag]:
        """Return the flags that have a bit, in the order of their bits."""
        entries = {name: self.entry(_FlagEntry, ("flags", name), entry) for name, entry in table.items()}
        flags = [
            Flag(
                name,
                good["bit"],
                good.get("policy", "stay"),
                good.get("meaning", ""),
                good.get("tail") or _TAIL.get(name, "stay"),
            )
            for name, good in entries.items()
            if "bit" in good
        ]
        return sorted(flags, key=lambda flag: flag.bit)

    def fields(self, table: dict[str, Any]) -> list[Field]:
        """Return the fields, each below the one before it, from the top of the word downwards."""
        fields: list[Field] = []
        top = WORD
        for name, entry in table.items():  # a field has a width and no place: so that fields cannot overlap
            good = self.entry(_FieldEntry, ("fields", name), entry)
            width = good.get("width", 0)
            if width > top:
                problem = f"{width} bits, but only {top} of {WORD} are left: more than {WORD} bits"
                self.bad(("fields", name, "width"), problem)
                width = top  # the word is full: what follows is wrong too, and each is told how much is left
            top -= width
            fields.append(Field(name, top, width, good.get("policy", "stay"), good.get("meaning", "")))
        return fields

    def overlaps(self, flags: list[Flag], fields: list[Field]) -> None:
        taken: dict[int, str] = {}
        for flag in flags:
            if flag.bit in taken:
                self.bad(("flags", flag.name, "bit"), f"bit {flag.bit} is already {taken[flag.bit]!r}")
            taken.setdefault(flag.bit, flag.name)  # a third one is told the first
        for field in fields:
            hit = [flag.name for flag in flags if field.mask >> flag.bit & 1]
            if hit:
                place = f"bits {field.shift} to {field.shift + field.width - 1}"
                problem = f"lies on {place}, over the flag{'s' if hit[1:] else ''} {', '.join(hit)}"
                self.bad(("fields", field.name, "width"), problem)

    def locked(self, flags: Collection[str], bits: dict[str, int]) -> None:
        """Check the lock of a page, which the engine takes and hands over as Linux does: see `waiters` there."""
        if "locked" not in flags:
            self.bad(("flags",), "missing flag 'locked': an exchange locks both frames", False)
        if bits.get("waiters", 7) != 7:
            problem = "'waiters' must be bit 7: the unlock tests it as the sign of the byte that holds 'locked'"
            self.bad(("flags", "waiters", "bit"), problem)
        if "waiters" in bits and bits.get("locked", 0) > 6:
            self.bad(("flags", "locked", "bit"), "'locked' must be in the same byte as 'waiters': bits 0 to 6")

    def aliases(self, table: dict[str, Any], flags: Collection[str]) -> None:
        for alias, name in table.items():
            if alias in flags:
                self.bad(("aliases", alias), "is the name of a flag itself", False)
            elif not isinstance(name, str) or name not in flags:
                self.bad(("aliases", alias), f"no flag {show(name)}{did_you_mean(str(name), flags)}")
