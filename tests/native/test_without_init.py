"""Objects whose __init__ was not called, as a subclass may forget super().__init__(), raise; none of them crashes."""

from tests.native.arena_state import run_python

# Every call is named before it is made: what crashes is the last line.
CODE = """
import copy, importlib, itertools, pickle, pkgutil
import numpy as np
import pagexchange_native
from pagexchange.arena.arena import Arena
from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.engine.python_objects import PythonFlags, PythonMapping, PythonMover
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.pages import cache, space
from pagexchange_native.plugin import check_table
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from pagexchange_native.wrappers import Meter, wrap
from pagexchange_native.xarray.array import XArray
from pagexchange_native.xarray.cursor import Cursor

arena = Arena.create([("fast", 8), ("slow", 8)])
arena.new_mapping()
rows = np.zeros((2, 512), np.uint8)
words = np.zeros(2, np.uint64)
pages = np.zeros(1, [("mapping", "u8"), ("index", "u8"), ("pfn", "u4")])
pairs, status = np.array([[0, 8]]), np.zeros(1, np.int32)
ARGUMENTS = [(), (0,), (0, 0), (0, 0, 0), (None,), ("x",), (words,), (words, words), (rows, rows), (pages, arena),
             (arena,), (pairs, status), (arena, 0, 0)]
SPECIAL = [memoryview, repr, bool, len, iter, list, hash, copy.copy, pickle.dumps, lambda x: x == x,
           lambda x: x.__enter__(), lambda x: x.__exit__(None, None, None), lambda x: x.name]


def classes():
    for found in pkgutil.walk_packages(pagexchange_native.__path__, "pagexchange_native."):
        module = importlib.import_module(found.name)
        if not module.__file__.endswith(".so"):
            continue
        for name, cls in vars(module).items():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and cls.__dictoffset__ == 0:
                yield cls


def without_init(cls):
    try:
        return type("Forgetful", (cls,), {"__init__": lambda self, *a, **k: None})
    except TypeError:  # final
        return cls


def attempt(what, call):
    print(what, flush=True)
    try:
        call()
    except Exception:
        pass


seen = []
for cls in classes():
    made = without_init(cls)
    for given in ((), (arena, MaskedWord(1), [WordSwap()], XArrayCursor())):
        try:
            made.__new__(made, *given)
        except TypeError:
            continue
        seen.append(cls.__name__)
        new = lambda: made.__new__(made, *given)
        for number, special in enumerate(SPECIAL):
            attempt(f"{cls.__name__} special {number}", lambda: special(new()))
        for name in dir(cls):
            if name.startswith("_") and name != "__call__":
                continue
            attempt(f"{cls.__name__}.{name}", lambda: getattr(new(), name))
            for arguments in ARGUMENTS:
                attempt(f"{cls.__name__}.{name}{arguments}", lambda: getattr(new(), name)(*arguments))
        # And what is handed to others.
        for other in (
            lambda x: check_table(x), lambda x: wrap(x, Meter()), lambda x: wrap(x, Meter()).describe(),
            lambda x: wrap(WordSwap(), x), lambda x: XArray(x), lambda x: Cursor(x), lambda x: Cursor(x).load(),
            lambda x: cache.add(x, 0, [1], [1]), lambda x: space.map(x, 0, [1], [1]),
            lambda x: XArrayCursor()(pages, x),
            lambda x: Exchanger(x, MaskedWord(1), [WordSwap()], XArrayCursor()),
            lambda x: Exchanger(arena, x, [WordSwap()], XArrayCursor()).exchange(pairs, status),
            lambda x: Exchanger(arena, MaskedWord(1), [x], XArrayCursor()).exchange(pairs, status),
            lambda x: Exchanger(arena, MaskedWord(1), [WordSwap()], x).exchange(pairs, status),
            lambda x: PythonFlags(x, x), lambda x: PythonMapping(x, x), lambda x: PythonMover(x),
        ):
            attempt(f"{cls.__name__} given to a call", lambda: other(new()))
for other in (
    lambda: Exchanger(None, MaskedWord(1), [WordSwap()], XArrayCursor()), lambda: Exchanger(arena, None, [], None),
    lambda: Exchanger(arena, MaskedWord(1), [None], XArrayCursor()), lambda: cache.add(None, 0, [0], [0]),
    lambda: cache.load(None, 0, 0), lambda: cache.remove(None, 0, 0), lambda: cache.set_private(None, [0], [0]),
    lambda: space.map(None, 0, [0], [0]), lambda: space.unmap(None, 0, 0), lambda: space.translate(None, 0, 0),
    lambda: space.entry(None, 0, 0), lambda: XArray(None), lambda: Cursor(None), lambda: XArrayCursor()(pages, None),
):
    attempt("None in the place of an object", other)
print("classes: " + " ".join(sorted(set(seen))))
"""
CLASSES = {
    "CallSlot", "Cursor", "DataCopier", "DataMover", "Exchanger", "FaultPlan", "FlagPolicy", "FolioCopy", "Heat",
    "HottestColdest", "ListExchange", "MappingUpdater", "MaskedWord", "Meter", "NativeObject", "NullMover",
    "Outcome", "Pairing", "PerFlag", "PythonCopier", "PythonFlags", "PythonMapping", "PythonMover", "Quota",
    "RadixTree", "Reader", "Region", "StreamingCopy", "TempPage", "TierStep", "TierView", "TwoPass", "Use", "WholeWord",
    "WordSwap", "WrappedCopier", "WrappedFlags", "WrappedMover", "WrappedPairing", "WrappedUpdater", "XArray",
    "XArrayCursor",
}  # fmt: skip


def test_no_method_of_an_object_without_init_crashes() -> None:
    said = run_python(CODE, timeout=300).splitlines()
    assert set(said[-1].removeprefix("classes: ").split()) == CLASSES
