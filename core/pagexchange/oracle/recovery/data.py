"""The bytes of a pair: the step that was open is done again, and then the rest; or they are put back."""

from dataclasses import dataclass

from pagexchange.oracle.format import CHUNK, PIECE, PIECES, USED, piece_of
from pagexchange.oracle.recovery.image import Bytes, NonsenseError, Record
from pagexchange.oracle.recovery.pairs import NONE, TEMP, UNDO, WHOLE, Pair

DATA, META, HELP, BACK = 2, 3, 4, 5
HELPERS = 1 << 39
"""A step: the pair is in its helpers' hands."""


@dataclass(frozen=True)
class Move:
    """Bytes that change places, and whose log and publish word say how far."""

    record: Record
    pair: int
    phase: int
    a: Bytes
    b: Bytes
    log: tuple[Bytes, ...]
    """One buffer for the whole move, or two for its chunks in turns."""

    @property
    def size(self) -> int:
        """Bytes of a step."""
        return len(self.a) if len(self.log) == 1 else CHUNK

    @property
    def steps(self) -> int:
        """The last step."""
        return 2 * (len(self.a) // self.size)

    def _of(self, chunk: int) -> tuple[slice, Bytes]:
        return slice(chunk * self.size, (chunk + 1) * self.size), self.log[chunk % len(self.log)]

    def finish(self, step: int) -> None:
        """Goes on from an open step."""
        store = self.record.image.store
        first = 0
        if step:
            first = (step + 1) // 2
            place, saved = self._of(first - 1)
            if step % 2:
                store(self.a, place, self.b[place])
                self.record.publish(self.phase, self.pair, step + 1)
            store(self.b, place, saved[: self.size])
        for chunk in range(first, self.steps // 2):
            place, saved = self._of(chunk)
            store(saved, slice(0, self.size), self.a[place])
            self.record.publish(self.phase, self.pair, 2 * chunk + 1)
            store(self.a, place, self.b[place])
            self.record.publish(self.phase, self.pair, 2 * chunk + 2)
            store(self.b, place, saved[: self.size])

    def put_back(self, step: int) -> None:
        """Goes back from an open step of the way there; nothing was done at step 0."""
        if step == 0:
            return
        chunk = (step - 1) // 2
        if step % 2 == 0:
            self.record.publish(BACK, self.pair, 2 * chunk + 1)
            self.go_back(2 * chunk + 1)
        else:  # B's chunk was not touched
            self.record.publish(BACK, self.pair, 2 * chunk)
            self.go_back(2 * chunk)

    def go_back(self, step: int) -> None:
        """Goes on from an open step of the way back."""
        store, chunk = self.record.image.store, step // 2
        while True:
            place, saved = self._of(chunk)
            if step % 2:
                store(self.b, place, self.a[place])
                self.record.publish(BACK, self.pair, 2 * chunk)
            store(self.a, place, saved[: self.size])
            if chunk == 0:
                return
            chunk -= 1
            place, saved = self._of(chunk)
            store(saved, slice(0, self.size), self.b[place])
            step = 2 * chunk + 1
            self.record.publish(BACK, self.pair, step)


def contents(record: Record, pfn: int, order: int) -> Bytes:
    """The bytes of a folio."""
    size = record.image.page_size
    return record.image.bytes[pfn * size : (pfn + (1 << order)) * size]


def move_of(record: Record, pair: Pair) -> Move:
    """The move of one pair."""
    a, b = (contents(record, pfn, pair.order) for pfn in pair.pfns)
    log: tuple[Bytes, ...] = (record.log[0], record.log[1])
    if pair.kind == TEMP:
        if not is_temp(record, pair.temp) or record.image.entry(pair.temp, "order") < pair.order:
            raise NonsenseError(
                f"slot {record.number}, pair {pair.number}: frame {pair.temp} is not its temporary page"
            )
        log = (contents(record, pair.temp, pair.order),)
    return Move(record, pair.number, DATA, a, b, log)


def is_temp(record: Record, pfn: int) -> bool:
    """Whether a frame is one that this slot has taken."""
    image = record.image
    if not 0 <= pfn < image.raw.nframes or image.entry(pfn, "state") != USED or not record.locked(pfn):
        return False
    return not image.entry(pfn, "mapping") and not image.entry(pfn, "mapcount") and not record.marked(pfn)


# ---- helpers ----------------------------------------------------------------------------------------------------


def helpers_of(record: Record, pair: Pair) -> list[Move]:
    """The moves of the slots that have parts of a pair, checked."""
    image, moves, taken = record.image, [], list[tuple[int, int]]()
    for number in range(1, image.raw.workers + 1):
        helper = Record(image, number)
        if helper.phase not in (HELP, BACK) or helper["parent"] != record.number + 1 or number == record.number:
            continue
        lo, hi, size = helper["lo"], helper["hi"], image.page_size << pair.order
        if lo % PIECE or hi % PIECE or not lo < hi <= size or any(lo < to and start < hi for start, to in taken):
            raise NonsenseError(f"slot {number} helps with bytes {lo} to {hi} of a folio of {size}, or another does")
        taken.append((lo, hi))
        a, b = (contents(record, pfn, pair.order)[lo:hi] for pfn in pair.pfns)
        move = Move(helper, 0, HELP, a, b, (helper.log[0], helper.log[1]))
        if helper.pair or helper.step > move.steps:
            raise NonsenseError(f"slot {number} is in step {helper.step} of pair {helper.pair}; it has {move.steps}")
        moves.append(move)
    return moves


def end_helpers(record: Record) -> None:
    """The parts are done, and the parent's step says so: the helpers' records go."""
    for number in range(1, record.image.raw.workers + 1):
        helper = Record(record.image, number)
        if helper.phase in (HELP, BACK) and helper["parent"] == record.number + 1:
            helper.publish(0)
        if helper["parent"] == record.number + 1:
            helper.store("parent", 0)


# ---- whole pages ------------------------------------------------------------------------------------------------


def pieces_of(record: Record, pairs: list[Pair]) -> list[tuple[Bytes, Bytes]]:
    """The pieces of both sides' pages, in the order of the list."""
    found: list[tuple[Bytes, Bytes]] = []
    piece = piece_of(record.image.page_size)
    for pair in pairs:
        a, b = (contents(record, pfn, pair.order).reshape(-1, piece) for pfn in pair.pfns)
        found += zip(a, b, strict=True)
    return found


def put_pieces_back(record: Record, pieces: list[tuple[Bytes, Bytes]]) -> None:
    """Undoes what a mover in Python has done, group by group, the last one first."""
    step, store = record.step, record.image.store
    log = record.image.raw.pieces[record.number - 1, :, : piece_of(record.image.page_size)]
    group = step // 2
    if step % 2:
        across = record.phase == BACK  # then the log has what lay there after the mover, and goes to the other side
        for k, sides in enumerate(pieces[group * PIECES : (group + 1) * PIECES]):
            for side in range(2):
                store(sides[side], slice(None), log[2 * k + (1 - side if across else side)])
        record.publish(BACK, 0, 2 * group)
    while group:
        group -= 1
        part = pieces[group * PIECES : (group + 1) * PIECES]
        for k, sides in enumerate(part):
            for side in range(2):
                store(log, 2 * k + side, sides[side])
        record.publish(BACK, 0, 2 * group + 1)
        for k, sides in enumerate(part):
            for side in range(2):
                store(sides[side], slice(None), log[2 * k + 1 - side])
        record.publish(BACK, 0, 2 * group)


def check_data(record: Record, pairs: list[Pair]) -> None:
    """The step that the publish word names, and all that `finish_pairs` or `put_pieces_back` will use.

    Raises
    ------
    NonsenseError
        It is no step of these pairs.
    """
    at, step, live = record.pair, record.step, [pair for pair in pairs if pair.status == 0]
    said = f"slot {record.number} is in step {step} of pair {at}"
    if any(pair.kind == WHOLE for pair in live):
        groups = -(-len(pieces_of(record, live)) // PIECES)
        if not all(pair.kind == WHOLE for pair in live) or at or step > 2 * groups:
            raise NonsenseError(f"{said}: {groups} groups of whole pages are to be moved")
        return
    if at > len(pairs) or (at == len(pairs) and step):
        raise NonsenseError(f"{said}: there are {len(pairs)}")
    for pair in live:
        move = move_of(record, pair) if pair.kind != NONE else None
        if pair.number != at:
            continue
        if step == HELPERS and pair.kind == UNDO and record.phase == DATA:
            helpers_of(record, pair)
        elif step > (move.steps - (record.phase == BACK) if move else 0):
            raise NonsenseError(f"{said}: it has not so many")


def finish_pairs(record: Record, pairs: list[Pair]) -> None:
    """From (pair, step) of the publish word to the last pair, forward or back."""
    at, step = record.pair, record.step
    for pair in pairs[at:]:
        if pair.number > at:
            step = 0
        if pair.status or pair.kind == NONE:
            continue
        if step == HELPERS:
            _finish_split(record, pair)
            continue
        move = move_of(record, pair)
        if record.phase == BACK and pair.number == at:
            move.go_back(step)
            dropped(record, pair)
        else:
            if step == 0:
                record.publish(DATA, pair.number, 0)
            move.finish(step)


EHWPOISON = 133


def dropped(record: Record, pair: Pair) -> None:
    """A pair's bytes are back: it is put back from here on, and those after it go on."""
    record.image.store(record.row["pair"]["status"][0], pair.number, -EHWPOISON)
    record.publish(DATA, pair.number + 1, 0)


def _finish_split(record: Record, pair: Pair) -> None:
    moves = helpers_of(record, pair)
    if any(move.record.phase == BACK for move in moves):
        for move in moves:
            if move.record.phase == BACK:
                move.go_back(move.record.step)
            else:
                move.put_back(move.record.step)
        dropped(record, pair)
    else:
        for move in moves:
            move.finish(move.record.step)
        record.publish(DATA, pair.number + 1, 0)
    end_helpers(record)
