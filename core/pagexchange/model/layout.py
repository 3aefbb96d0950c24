"""Layouts of the flags word as data: each bit's name, place and policy, read from TOML and checked as a whole."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pagexchange.errors import ConfigError, Problem, did_you_mean
from pagexchange.model.tomlfile import KeyPath, TomlFile

T = TypeVar("T")
Policy = Literal["swap", "stay", "refuse"]

POLICIES: Final[tuple[Policy, ...]] = ("swap", "stay", "refuse")
WORD: Final = 64
ALL: Final = (1 << WORD) - 1

ROLES: Final = (
    "locked", "writeback", "dirty", "swapbacked", "private", "swapcache", "hwpoison", "reserved", "head", "waiters",
    "uptodate",
)  # fmt: skip
"""Flags that the engine itself looks at, by name or alias."""

_FRAME_ROLES: Final = ("locked", "waiters", "head")
_FRAME_FIELDS: Final = ("section", "node", "zone", "kasan_tag")
_REFUSED_ROLES: Final = ("writeback", "hwpoison", "reserved")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Flag:
    """One bit of the flags word."""

    name: str
    bit: int
    """0 is the lowest."""
    policy: Policy
    meaning: str

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


@dataclass(frozen=True)
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

    @classmethod
    def load(cls, name: str | Path, base: Path | None = None) -> "Layout":
        """Return a layout that ships with pagexchange, by name, or one's own, by the path of a TOML file.

        Parameters
        ----------
        name
            `linux-6.18`, or a path: anything with a `/` or the ending `.toml`.
        base
            Folder that a relative path starts from; the working directory if not given.

        Raises
        ------
        ConfigError
            No such layout, or the file is wrong: all that is wrong with it, each with line and column.
        """
        text = str(name)
        if isinstance(name, Path) or "/" in text or text.endswith(".toml"):
            path = Path(name) if base is None else base / name
            return _parse(TomlFile.read(path))
        try:
            known = cls.available()
            if text not in known:
                hint = did_you_mean(text, known)
                raise ConfigError(
                    Problem("layout", f"unknown layout {text!r}{hint} (or give the path of a .toml file)")
                )
            data = (resources.files("pagexchange.model") / "layouts" / f"{text}.toml").read_bytes()
        except OSError as error:
            raise ConfigError(Problem("layout", f"{text!r} cannot be read: {error.strerror}")) from error
        return _parse(TomlFile.from_bytes(data, f"{text}.toml"))

    @staticmethod
    def available() -> list[str]:
        """Return the names of the layouts that ship with pagexchange."""
        folder = resources.files("pagexchange.model") / "layouts"
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    @cached_property
    def _by_name(self) -> dict[str, Flag]:
        flags = {flag.name: flag for flag in self.flags}
        return flags | {alias: flags[name] for alias, name in self.aliases.items()}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def flag(self, name: str) -> Flag:
        """Return a flag by its name or alias; KeyError names the nearest one."""
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"layout {self.name} has no flag {name!r}{did_you_mean(name, self._by_name)}") from None

    def field(self, name: str) -> Field:
        """Return an upper field by name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(
            f"layout {self.name} has no field {name!r}{did_you_mean(name, (field.name for field in self.fields))}"
        )

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
        found = self.field(field)
        return (int(word) & found.mask) >> found.shift

    def set(self, word: int, field: str, value: int) -> int:
        """Return the word with one upper field replaced; ValueError if the value does not fit."""
        found = self.field(field)
        if not 0 <= value < 1 << found.width:
            raise ValueError(f"{field} = {value} does not fit {found.width} bits of layout {self.name}")
        return (int(word) & ~found.mask & ALL) | value << found.shift

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
        masks["stay"] |= ALL & ~(masks["swap"] | masks["refuse"])
        return masks[policy]

    def describe(self, word: int) -> str:
        """Write a word for people: `uptodate|dirty node=1 zone=2`."""
        parts = ["|".join(self.names(word)) or "0"]
        parts += [f"{name}={value}" for name, value in self.values(word).items() if value]
        return " ".join(parts)

    def native(self) -> dict[str, Any]:
        """Return what `Region.create(layout=...)` takes: `name`, masks by policy, masks by role, node and zone."""
        out: dict[str, Any] = {"name": self.name}
        out |= {policy: self.mask(policy) for policy in POLICIES}
        out |= {role: self.flag(role).mask if role in self else 0 for role in ROLES}
        present = {field.name: field for field in self.fields}
        for name in ("node", "zone"):
            out[f"{name}_shift"] = present[name].shift if name in present and present[name].width else 0
            out[f"{name}_width"] = present[name].width if name in present else 0
        return out


def _parse(file: TomlFile) -> Layout:
    """Make a Layout of a file, or raise one ConfigError with everything that is wrong."""
    check = _Check(file)
    data = file.data
    check.keys((), data, ("schema", "name", "summary", "flags", "fields", "aliases"), ("schema", "name", "flags"))
    if "schema" in data and (isinstance(data["schema"], bool) or data["schema"] != 1):
        check.bad(("schema",), f"schema {data['schema']!r} is not known; this version reads schema = 1")
    empty: dict[str, Any] = {}
    name = check.typed((), data, "name", "")
    if len(name.encode()) > 31:
        check.bad(("name",), "a layout's name has at most 31 bytes")
    summary = check.typed((), data, "summary", "")
    flags = [check.flag(key, entry) for key, entry in check.typed((), data, "flags", empty).items()]
    fields: list[Field] = []
    top = WORD
    for key, entry in check.typed((), data, "fields", empty).items():
        field = check.field(key, entry, top)
        top = max(field.shift, 0)
        fields.append(field)
    good = [flag for flag in flags if flag.bit >= 0]
    check.overlaps(good, fields)
    check.roles(good, fields)
    aliases = check.aliases({flag.name for flag in flags}, check.typed((), data, "aliases", empty))
    if check.problems:
        raise ConfigError(sorted(check.problems, key=lambda p: (p.line, p.column)))
    return Layout(name, summary, tuple(sorted(good, key=lambda flag: flag.bit)), tuple(fields), aliases)


class _Check:
    """Collects what is wrong with a layout file."""

    def __init__(self, file: TomlFile) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def bad(self, path: KeyPath, what: str, *, value: bool = True) -> None:
        self.problems.append(self.file.problem(path, what, value=value))

    def keys(self, path: KeyPath, table: dict[str, Any], known: Iterable[str], needed: Iterable[str]) -> None:
        known = tuple(known)
        for key in table:
            if key not in known:
                self.bad((*path, key), f"unknown key {key!r}{did_you_mean(key, known)}", value=False)
        for key in needed:
            if key not in table:
                self.bad(path, f"missing key {key!r}", value=False)

    def typed(self, path: KeyPath, table: dict[str, Any], key: str, default: T) -> T:
        """Return a value that has the default's type, or note that it has not and return the default."""
        value = table.get(key, default)
        if type(value) is not type(default):
            words = {str: "a string", int: "an integer", dict: "a table"}
            self.bad((*path, key), f"expected {words[type(default)]}, got {value!r:.60}")
            return default
        return value

    def common(self, path: KeyPath, entry: object, place: str) -> tuple[dict[str, Any], int, Policy, str]:
        """Check what a flag and a field have in common: name, place (`bit` or `width`), policy, meaning."""
        name = str(path[-1])
        if not _NAME.fullmatch(name):
            self.bad(path, "a name is lower case: letters, digits and _", value=False)
        if not isinstance(entry, dict):
            self.bad(path, f'expected {{ {place} = N, policy = "swap" | "stay" | "refuse", meaning = "..." }}')
            return dict[str, Any](), -1, "stay", ""
        needed = (place, "policy", "meaning")
        known = {*needed}
        self.keys(path, entry, known, needed)
        word = self.typed(path, entry, "policy", "stay")
        policy: Policy | None = next((known for known in POLICIES if known == word), None)
        if policy is None:
            self.bad((*path, "policy"), f"unknown policy {word!r}{did_you_mean(word, POLICIES)}")
            policy = "stay"
        number = self.typed(path, entry, place, -1)
        return entry, number, policy, self.typed(path, entry, "meaning", "")

    def flag(self, name: str, entry: object) -> Flag:
        path = ("flags", name)
        table, bit, policy, meaning = self.common(path, entry, "bit")
        if "bit" in table and not 0 <= bit < WORD:
            if type(table["bit"]) is int:
                self.bad((*path, "bit"), f"bit {bit} is outside the word: 0 to {WORD - 1}")
            bit = -1
        return Flag(name, bit, policy, meaning)

    def field(self, name: str, entry: object, top: int) -> Field:
        path = ("fields", name)
        table, width, policy, meaning = self.common(path, entry, "width")
        if "width" in table and not 0 <= width <= top:
            if type(table["width"]) is int and width < 0:
                self.bad((*path, "width"), "a width is not negative")
            elif width > top:
                self.bad((*path, "width"), f"{width} bits, but only {top} of {WORD} are left: more than {WORD} bits")
        width = min(max(width, 0), top)
        return Field(name, top - width, width, policy, meaning)

    def overlaps(self, flags: list[Flag], fields: list[Field]) -> None:
        taken: dict[int, str] = {}
        for flag in flags:
            if flag.bit in taken:
                self.bad(("flags", flag.name, "bit"), f"bit {flag.bit} is already {taken[flag.bit]!r}")
            taken.setdefault(flag.bit, flag.name)
        for field in fields:
            hit = [flag.name for flag in flags if field.mask >> flag.bit & 1]
            if hit:
                end = field.shift + field.width - 1
                what = f"lies on bits {field.shift} to {end}, over the flag{'s' if hit[1:] else ''} {', '.join(hit)}"
                self.bad(("fields", field.name, "width"), what)
        for name in {field.name for field in fields} & {flag.name for flag in flags}:
            self.bad(("fields", name), "is the name of a flag too", value=False)

    def roles(self, flags: list[Flag], fields: list[Field]) -> None:
        """What the engine relies on: see mm/page-flags.h for waiters, and what belongs to a frame."""
        by_name = {flag.name: flag for flag in flags}
        if "locked" not in (self.file.data.get("flags") or ()):
            self.bad(("flags",), "missing flag 'locked': an exchange locks both frames", value=False)
        waiters, locked = by_name.get("waiters"), by_name.get("locked")
        if waiters and waiters.bit != 7:
            what = "'waiters' must be bit 7: the unlock tests it as the sign of the byte that holds 'locked'"
            self.bad(("flags", "waiters", "bit"), what)
        if waiters and locked and locked.bit > 6:
            self.bad(("flags", "locked", "bit"), "'locked' must be in the same byte as 'waiters': bits 0 to 6")
        for name in _FRAME_ROLES:
            if name in by_name and by_name[name].policy != "stay":
                self.bad(("flags", name, "policy"), f"{name!r} belongs to the frame: its policy must be 'stay'")
        for name in _REFUSED_ROLES:
            if name in by_name and by_name[name].policy != "refuse":
                self.bad(
                    ("flags", name, "policy"), f"a page with {name!r} cannot be moved: its policy must be 'refuse'"
                )
        for field in fields:
            if field.name in _FRAME_FIELDS and field.policy != "stay":
                what = f"{field.name!r} belongs to the frame: its policy must be 'stay'"
                self.bad(("fields", field.name, "policy"), what)

    def aliases(self, flags: set[str], table: dict[str, Any]) -> dict[str, str]:
        for alias, name in table.items():
            if alias in flags:
                self.bad(("aliases", alias), "is the name of a flag itself", value=False)
            elif not isinstance(name, str) or name not in flags:
                self.bad(("aliases", alias), f"no flag {name!r:.60}{did_you_mean(str(name), flags)}")
        return table
