"""An explicit-state model checker: every order of the stores of several processes, any of which may die at any of them.

A program is a generator function. It sees shared memory only through what it yields, and each yield is one step:

    x = yield load(word)            (x, y) = yield load(word, other)
    yield store(word, value)
    won = yield cas(word, old, new)
    x = yield peek(word)            as load, but no step of its own: a word that nobody else may store to now
    result = yield until(question)  blocked while `question(look)` is None; the look and the answer are one step
    result = yield at_once(change, ...)    `change(look, ...)` is None: blocked; else a result, a word and its new value
    x = yield choose(1, 2)          goes on with either
    gone = yield dead(process)      what the kernel answers about the lock byte of a process

Words are any hashable values that the model gives an initial value for, `("owner", frame)` for instance. A word whose
name begins with "private" belongs to the process in its second place and is lost when that dies.

What a program will do follows from where it stands and its local variables; that is what a state holds of it. So a
program keeps everything that it knows in local variables, of hashable values; a yield is a statement or the whole right
side of an assignment; and a loop that yields runs over values that differ. Each program becomes an automaton while the
states are explored, breadth first: the way to the first state that is wrong is a shortest one.

The memory is sequentially consistent. What compilers and weak processors reorder, no model of this kind sees.
"""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any

Word = Hashable
Op = tuple[Any, ...]
Program = Generator[Op, Any, Any]
State = tuple[tuple[Any, ...], tuple[int, ...], int]  # memory, where each thread stands, crashes that may still come

DEAD, ENDED = -1, -2


def load(*words: Word) -> Op:
    return ("load", words)


def peek(*words: Word) -> Op:
    return ("peek", words)


def store(word: Word, value: Hashable) -> Op:
    return ("store", word, value)


def cas(word: Word, old: Hashable, new: Hashable) -> Op:
    return ("cas", word, old, new)


def until(question: "Callable[..., Any]", *facts: Hashable) -> Op:
    return ("until", question, *facts)


def at_once(change: "Callable[..., Any]", *facts: Hashable) -> Op:
    return ("at_once", change, *facts)


def choose(*answers: Hashable) -> Op:
    return ("choose", answers)


def dead(process: int) -> Op:
    return ("dead", process)


@dataclass(frozen=True)
class Thread:
    """A program that a process runs from its start; and what a new process does that gets its lock byte later."""

    process: int
    program: Callable[..., Program]
    facts: tuple[Hashable, ...] = ()
    again: Callable[..., Program] | None = None  # None: the same program


@dataclass
class Model:
    """What is explored. `always` is asked in every state, `at_rest` where no living process has anything left to do."""

    memory: Mapping[Any, Any]
    threads: list[Thread]
    always: Callable[["Look"], str | None] = lambda look: None
    at_rest: Callable[["Look"], str | None] = lambda look: None
    crashes: int = 2


@dataclass
class Found:
    """States seen; and what is wrong, if anything, with the shortest way to it."""

    states: int
    wrong: str | None = None
    trace: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.wrong is None:
            return f"right in all {self.states:,} states"
        lines = [f"{self.wrong}, after {len(self.trace)} steps ({self.states:,} states):"]
        return "\n".join([*lines, *(f"{n:4} {step}" for n, step in enumerate(self.trace, 1))])


class TooManyStatesError(Exception):
    """The model is larger than its caller wants to wait for."""


class NoSuchWordError(Exception):
    """A program goes by what is no record, and stores to what is no word."""


class Look:
    """One state, as questions and invariants see it."""

    def __init__(self, places: dict[Word, int]) -> None:
        self.places = places
        self.values: tuple[Any, ...] = ()
        self.gone: frozenset[int] = frozenset()

    def __getitem__(self, word: Word) -> Any:
        return self.values[self.places[word]]

    def dead(self, process: int) -> bool:
        return process in self.gone


class Automaton:
    """The programs, as far as they were followed: numbered places, and the next place for each answer."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.lines: list[str] = []
        self.ways: list[
            tuple[Thread, bool, tuple[Any, ...]]
        ] = []  # a thread, whether again, answers that lead to the place
        self.numbers: dict[Hashable, int] = {}
        self.following: dict[tuple[int, Any], int] = {}

    def start(self, thread: Thread, again: bool = False) -> int:
        return self._place(thread, again, ())

    def next(self, place: int, answer: Any) -> int:
        known = self.following.get((place, answer))
        if known is None:
            thread, again, answers = self.ways[place]
            known = self.following[place, answer] = self._place(thread, again, (*answers, answer))
        return known

    def _place(self, thread: Thread, again: bool, answers: tuple[Any, ...]) -> int:
        program = (thread.again if again and thread.again else thread.program)(*thread.facts)
        try:
            op = next(program)
            for answer in answers:
                op = program.send(answer)
        except StopIteration:
            return ENDED
        key, line = [thread, op[0]], ""
        inner: Any = program
        while isinstance(inner, GeneratorType):
            frame: Any = inner.gi_frame
            key.append((frame.f_lasti, frame.f_code, tuple(frame.f_locals.items())))
            line = f"{inner.__name__}:{frame.f_lineno}"
            inner = inner.gi_yieldfrom
        place = self.numbers.setdefault(tuple(key), len(self.ops))
        if place == len(self.ops):
            self.ops.append(op)
            self.lines.append(line)
            self.ways.append((thread, again, answers))
        program.close()
        return place


class Exploration:
    """Breadth first over all states of a model."""

    def __init__(self, model: Model, limit: int) -> None:
        self.model = model
        self.limit = limit
        self.places = {word: place for place, word in enumerate(model.memory)}
        self.programs = Automaton()
        self.processes = sorted({thread.process for thread in model.threads})
        self.members = {p: [i for i, t in enumerate(model.threads) if t.process == p] for p in self.processes}
        self.look = Look(self.places)
        self.lost = {  # what a death takes with it
            p: [
                (self.places[w], v) for w, v in model.memory.items() if isinstance(w, tuple) and w[:2] == ("private", p)
            ]
            for p in self.processes
        }
        self.states: list[State] = []
        self.numbers: dict[State, int] = {}
        self.parents: list[
            tuple[int, str, int]
        ] = []  # how a state was first reached: from where, what, and by what place
        self.before: list[list[int]] = []  # the states from which the living come here

    def run(self) -> Found:
        memory = tuple(self.model.memory.values())
        first = tuple(self.programs.start(thread) for thread in self.model.threads)
        self._reach((memory, first, self.model.crashes), -1, "start", -1)
        finished = []
        queue = deque([0])
        while queue:
            number = queue.popleft()
            self._show(self.states[number])
            if wrong := self.model.always(self.look):
                return self._found(number, wrong)
            before = len(self.states)
            try:
                moved = self._step_all(number)
            except NoSuchWordError as error:
                return self._found(number, str(error))
            if not moved:
                wrong = self._stuck(self.states[number]) or self.model.at_rest(self.look)
                if wrong:
                    return self._found(number, wrong)
                finished.append(number)
            queue.extend(range(before, len(self.states)))
            if len(self.states) > self.limit:
                raise TooManyStatesError(f"more than {self.limit:,} states")
        hopeless = self._hopeless(finished)
        return Found(len(self.states)) if hopeless is None else self._found(hopeless, "the living can never finish")

    def _show(self, state: State) -> None:
        self.look.values = state[0]
        self.look.gone = frozenset(p for p in self.processes if all(state[1][i] == DEAD for i in self.members[p]))

    def _reach(self, state: State, parent: int, what: str, place: int) -> int:
        number = self.numbers.get(state)
        if number is None:
            number = self.numbers[state] = len(self.states)
            self.states.append(state)
            self.parents.append((parent, what, place))
            self.before.append([])
        return number

    def _step_all(self, number: int) -> bool:
        """Reaches all states that follow. False when no living process can do anything."""
        memory, threads, crashes = self.states[number]
        moved = False
        for i, place in enumerate(threads):
            if place < 0:
                continue
            self.look.values = memory
            for answer, after in self._results(self.programs.ops[place], memory):
                moved = True
                state = (after, (*threads[:i], self._settle(place, answer, after), *threads[i + 1 :]), crashes)
                self.before[self._reach(state, number, "step", place)].append(number)
        alone = len(self.look.gone) == len(self.processes)
        for p in self.processes:
            if p in self.look.gone:
                state = (memory, self._replaced(threads, p, None), crashes)
                after_restart = self._reach(state, number, f"P{p} starts again", -1)
                if alone:
                    self.before[after_restart].append(number)
            elif crashes and not all(self._idle(threads[i]) for i in self.members[p]):
                values = list(memory)
                for at, value in self.lost[p]:
                    values[at] = value
                self._reach((tuple(values), self._replaced(threads, p, DEAD), crashes - 1), number, f"P{p} dies", -1)
        return moved or alone

    def _replaced(self, threads: tuple[int, ...], process: int, place: int | None) -> tuple[int, ...]:
        return tuple(
            t if self.model.threads[i].process != process
            else self.programs.start(self.model.threads[i], again=True) if place is None else place
            for i, t in enumerate(threads)
        )  # fmt: skip

    def _settle(self, place: int, answer: Any, memory: tuple[Any, ...]) -> int:
        """The place after an answer, and after the peeks that follow."""
        place = self.programs.next(place, answer)
        while place >= 0 and self.programs.ops[place][0] == "peek":
            place = self.programs.next(place, self._load(self.programs.ops[place][1], memory))
        return place

    def _load(self, words: tuple[Word, ...], memory: tuple[Any, ...]) -> Any:
        values: tuple[Any, ...] = tuple(memory[self.places[word]] for word in words)
        return values[0] if len(words) == 1 else values

    def _results(self, op: Op, memory: tuple[Any, ...]) -> Iterable[tuple[Any, tuple[Any, ...]]]:
        """What a step may answer, and the memory after it. Nothing: it is blocked."""
        kind = op[0]
        if kind in ("store", "cas") and op[1] not in self.places:
            raise NoSuchWordError(f"a store to {op[1]}, which is no word")
        if kind in ("load", "peek"):
            return ((self._load(op[1], memory), memory),)
        if kind == "store":
            at = self.places[op[1]]
            return ((None, (*memory[:at], op[2], *memory[at + 1 :])),)
        if kind == "cas":
            at = self.places[op[1]]
            return ((True, (*memory[:at], op[3], *memory[at + 1 :])) if memory[at] == op[2] else (False, memory),)
        if kind == "until":
            answer = op[1](self.look, *op[2:])
            return () if answer is None else ((answer, memory),)
        if kind == "at_once":
            done = op[1](self.look, *op[2:])
            if done is None:
                return ()
            at = self.places[done[1]]
            return ((done[0], (*memory[:at], done[2], *memory[at + 1 :])),)
        if kind == "dead":
            return ((op[1] in self.look.gone, memory),)
        return [(answer, memory) for answer in op[1]]

    def _idle(self, place: int) -> bool:
        """Whether a thread has nothing to do and holds nothing: it has ended, or waits for somebody to die."""
        return place == ENDED or (place >= 0 and getattr(self.programs.ops[place][1], "idle", False))

    def _stuck(self, state: State) -> str | None:
        """A program that is blocked for ever, unless it says that it waits for deaths (`idle` questions)."""
        for i, place in enumerate(state[1]):
            if place != DEAD and not self._idle(place):
                return f"P{self.model.threads[i].process} waits for ever in {self.programs.lines[place]}"
        return None

    def _hopeless(self, finished: Sequence[int]) -> int | None:
        """The first state from which no way leads to a state at rest, if nobody dies any more."""
        good = bytearray(len(self.states))
        stack = list(finished)
        for number in stack:
            good[number] = 1
        while stack:
            for number in self.before[stack.pop()]:
                if not good[number]:
                    good[number] = 1
                    stack.append(number)
        at = good.find(0)
        return None if at < 0 else at

    def _found(self, number: int, wrong: str) -> Found:
        way = []
        while number > 0:
            parent, what, place = self.parents[number]
            way.append(self._told(place) if what == "step" else what)
            number = parent
        return Found(len(self.states), wrong, way[::-1])

    def _told(self, place: int) -> str:
        op, (thread, _, _) = self.programs.ops[place], self.programs.ways[place]
        what = " ".join(getattr(part, "__name__", repr(part)) for part in op[1:])
        return f"P{thread.process} {op[0]} {what}    ({self.programs.lines[place]})"


def explore(model: Model, limit: int = 200_000) -> Found:
    """Visit every state, or stop at the first that is wrong. Raises TooManyStatesError beyond `limit`."""
    return Exploration(model, limit).run()
