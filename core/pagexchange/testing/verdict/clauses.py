"""The contract, clause by clause. Names are stable: they are the names of tests, and of what a report quotes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence of the contract. Its test is called `test_`, its name with underscores."""

    name: str
    source: str
    """Where the sentence comes from: a rule of the exchange, or a number under *Must* of a hook."""
    says: str

    @property
    def test(self) -> str:
        """Name of the test."""
        return f"test_{self.name.replace('-', '_')}"

    def __str__(self) -> str:
        return f"{self.name} ({self.source}): {self.says}"


# Sentences and not numbers alone: a report must be readable without this file. A name is never used again for another
# sentence, because strangers' pages and skip lists quote it.
EXCHANGE: Final = (
    Clause(
        "a-plug-in-serves-or-declines",
        "hooks, Must 1",
        "asked for any arena a hook returns what fits the protocol or declines: None, NotImplementedError, PluginError",
    ),
    Clause(
        "the-declaration-is-true",
        "strategies.toml, expect",
        "exact loses nothing, loses is seen to lose a flag, refused exchanges no pair of two nodes",
    ),
    Clause(
        "a-status-for-every-pair",
        "rule 1",
        "every status is written, 0 or -errno; what the result says besides follows from the statuses",
    ),
    Clause(
        "a-refused-pair-is-as-it-was",
        "rule 2",
        "a pair that cannot be exchanged gets its -errno and keeps everything; the others do not notice",
    ),
    Clause("nothing-stays-held", "rule 2", "no lock, frozen count, migration entry, pin or frame is left behind"),
    Clause("twice-is-the-identity", "rule 3", "the same list exchanged twice leaves everything as it was"),
    Clause("either-way-round-is-the-same", "rule 3", "(a, b) and (b, a) lead to the same state"),
    Clause(
        "every-pair-is-exchanged",
        "rule 4",
        "anonymous, file and shared-memory pages in any combination, of one mapping or two, of any order and size",
    ),
    Clause(
        "a-batch-equals-its-pairs",
        "rule 4",
        "a list does what its pairs do one by one: none, one, many, chains, duplicates, self-pairs, the last frame",
    ),
    Clause("threads-change-nothing", "rule 4", "any number of workers leads to the state that one leads to"),
    Clause("the-contents-move", "rule 5", "each frame of a pair has all bytes of the other page"),
    Clause("the-flags-move", "rule 5", "each flag whose policy is swap goes with its page"),
    Clause("a-flag-nobody-knew-moves", "rule 5", "so does a flag that was added after the plug-in was written"),
    Clause(
        "the-identity-moves",
        "rule 5",
        "mapping, index, private word, file slots, marks and page tables lead to the page at its new place",
    ),
    Clause("the-counts-move", "rule 5", "references and map counts go with the page; node counters follow"),
    Clause("the-frame-keeps-its-own", "rule 5", "pfn, node, zone, section, order, head and every flag that stays"),
    Clause("nothing-else-changes", "rule 5", "no frame, page, mapping or node beside the pairs is written to"),
    Clause(
        "a-reader-sees-its-own-page",
        "rule 6",
        "who looks a page up by (mapping, index) reads its bytes, before, during and after; never another's",
    ),
    Clause("in-place-takes-no-frame", "rule 7", "a mover in place asks the allocator for nothing"),
    Clause(
        "what-is-taken-is-shown",
        "rule 7",
        "a mover that takes frames shows how many, gives all back, and refuses with -ENOMEM when there are none",
    ),
    Clause(
        "waiting-is-asked-for",
        "step lock",
        "async waits for nothing; sync-light waits for locks, sync for write-back too, and never beyond the time-out",
    ),
    Clause(
        "a-stopped-mover-can-be-finished",
        "rule 8",
        "whatever the instruction at which a native mover stops, its log says enough to finish both pages: it takes the"
        " pairs in the order of the list, one after the other",
    ),
    Clause(
        "a-dead-process-is-finished",
        "rule 8",
        "after a kill at any step the next process that needs the page finishes or undoes the exchange",
    ),
)
"""Of a whole strategy. A single object is judged by them too, among neutral partners."""

FLAGS: Final = (
    Clause("flags-swap-what-swaps", "exchange_flags", "each bit whose policy is swap is in the other word afterwards"),
    Clause("flags-leave-what-stays", "exchange_flags, Must 3", "each bit whose policy is stay or refuse is as it was"),
    Clause(
        "flags-follow-the-words-alone",
        "exchange_flags, Must 2",
        "the same two words give the same two words, whatever was asked before and beside them",
    ),
    Clause("flags-treat-both-frames-alike", "rule 3", "words the other way round give the results the other way round"),
)
"""Of a flag policy alone."""

DATA: Final = (
    Clause("data-exchanges-every-byte", "exchange_data, Must 1", "all bytes of both folios, of any size and number"),
    Clause("data-touches-nothing-else", "exchange_data, Must 1", "no other byte is written"),
    Clause("data-serves-two-threads", "exchange_data", "two workers may call one mover at a time"),
    Clause("data-says-what-it-chose", "exchange_data, Must 3", "describe(), if there is one, returns texts by topic"),
)
"""Of a data mover alone."""

COPY: Final = (
    Clause(
        "copy-copies-every-byte",
        "copy_data, Must 1",
        "all bytes of a folio are in its frame, of any size and number",
    ),
    Clause("copy-touches-nothing-else", "copy_data, Must 1", "no other byte is written, and none of the folios' own"),
    Clause("copy-serves-two-threads", "copy_data", "two workers may call one copier at a time"),
    Clause("copy-says-what-it-chose", "copy_data, Must 4", "describe(), if there is one, returns texts by topic"),
)
"""Of a data copier alone."""

MIGRATION: Final = (
    Clause(
        "every-page-is-migrated",
        "migration",
        "anonymous, file and shared-memory pages of any order and size get a free frame of the node that is asked for",
    ),
    Clause(
        "a-page-goes-whole",
        "migration",
        "contents, identity, counts and the flags that swap go with the page; its new frame keeps its own, and all"
        " other pages keep everything",
    ),
    Clause(
        "what-it-leaves-is-free",
        "migration",
        "the frames that pages have left are free; no lock, frozen count, migration entry, pin or frame is left behind",
    ),
    Clause(
        "a-refused-page-is-as-it-was",
        "migration",
        "a page that cannot be migrated gets its -errno and keeps everything, and so does each that finds no free frame"
        " (-ENOMEM)",
    ),
    Clause(
        "what-it-takes-is-shown",
        "migration",
        "the frames asked for and got are what the allocator counts; as many are free afterwards as before",
    ),
    Clause("threads-migrate-alike", "migration", "any number of workers migrates the pages that one migrates"),
    Clause(
        "a-dead-migration-is-finished",
        "migration",
        "after a kill at any step the next process that needs the page finishes or undoes the migration",
    ),
)
"""Of a whole strategy that migrates, and of a data copier among neutral partners."""

MAPPING: Final = (
    Clause(
        "mapping-finds-the-slot",
        "update_mapping",
        "the word at the offset is the entry of that mapping and index; entry and offset are returned",
    ),
    Clause("mapping-stores-nothing", "update_mapping, Must 1", "no byte of the arena changes"),
    Clause("mapping-misses-what-is-gone", "update_mapping, Must 2", "a page that is not there is not found"),
    Clause(
        "mapping-answers-in-any-order",
        "update_mapping",
        "sorted, backwards, one at a time or all at once: the answer for a page is the same",
    ),
)
"""Of a mapping updater alone."""

PAIRING: Final = (
    Clause(
        "pairing-keeps-to-its-sides",
        "pair_pages, Must 1",
        "pairs of a block of the slow node and one of the fast node, none twice, no more than the limit",
    ),
    Clause(
        "pairing-follows-the-view-alone",
        "pair_pages, Must 2",
        "the same view gives the same pairs, whatever was asked before",
    ),
    Clause("pairing-changes-nothing", "pair_pages, Must 3", "no byte of the arena changes, and nothing of the view"),
)
"""Of a pairing alone."""

PLUGIN: Final = (
    Clause("a-plug-in-can-be-loaded", "discovery", "it can be imported, and pluggy takes each hook that it marks"),
    Clause("a-wrapper-is-never-wrong", "hooks", "wrapped objects may refuse pairs; they do not lose anything"),
)
"""Of an installed plug-in."""

CLAUSES: Final = {
    clause.name: clause for clause in (*EXCHANGE, *FLAGS, *DATA, *COPY, *MAPPING, *PAIRING, *MIGRATION, *PLUGIN)
}
"""All of them, by name."""
