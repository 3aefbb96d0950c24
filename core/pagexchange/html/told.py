"""What the page says about its pictures, for a reader who sees one for the first time."""

from __future__ import annotations

from typing import Final

SAMPLES: Final = (
    "Each dot is one timed turn: all calls of it together, by the pairs that they exchanged. In a row the upper "
    "lane is CPU time, what an exchange costs; the lower lane is wall time, what passes until it is done. In each "
    "lane the first round is at the top and the last at the bottom. Dots that lie close together are a number to "
    "trust."
)
SPLIT: Final = (
    "Medians of each part: locking and freezing the pages, their flags, their contents, the slots of the mapping, "
    "and the finish. What two strategies share cancels out in their difference."
)
LATENCY: Final = (
    "Of all calls that were timed here: half lasted no longer than p50, 99 of 100 no longer than p99. A "
    "percentile that there are too few calls for is left out."
)
THREADS: Final = (
    "Pairs exchanged per second of wall time, as a multiple of what the fewest threads exchange. On the dotted "
    "line twice the threads do twice the work."
)
RATIOS: Final = (
    "Time per pair divided by that of {reference} at the same point. Below 1 is faster (blue), above 1 is slower "
    "(orange). Grey is level or unclear: the 95 % interval includes 1, or less than 3 % lies between them. A "
    "heavy line stands where a ratio passes 1. A number with ! was pushed aside too often to be trusted."
)
RATIOS_FASTEST: Final = (
    "Time per pair divided by that of the fastest strategy at the same point that loses nothing: it is the 1. "
    "Above 1 is slower (orange). Grey is level or unclear: the 95 % interval includes 1, or less than 3 % lies "
    "between them. A number with ! was pushed aside too often to be trusted."
)
CROSSOVER: Final = (
    "The same ratios as lines. Upright bars are 95 % intervals. Where a line passes 1, the answer changes."
)
LOSSES: Final = (
    "The oracle compares every page before and after a checked call. These are the flags that pages should have "
    "kept, and the pairs that were refused, by errno."
)
OVER_TIME: Final = (
    "The share of accesses that hit the fast node, of the first round. All ways play the same stream from the same "
    "start, in turns from tick to tick."
)
WAYS: Final = (
    "Lost is what accesses to the slow node took longer, at an assumed price, and the CPU time of choosing and moving, "
    "by all accesses. Small print is the 95 % interval over the rounds. The reader reads pages on another CPU while "
    "pages move; its worst case may be another program's turn. A number with ! was pushed aside too often to be "
    "trusted."
)
TOOK: Final = (
    "Medians of the rounds. Frames were allocated for what moved. Requests found a node below its watermark low, or "
    "below min, where they are refused. Stalls are promotions that found no free frame."
)
FAILED: Final = "Each cell runs in a process of its own: one that fails takes nothing of the others with it."
MACHINE: Final = "All that a result depends on and that the machine says."
WORDS: Final = {
    "pair": "Two page frames whose pages trade places: twice the page size moves.",
    "cell": "One strategy, peer or limit at one point, in a process of its own.",
    "point": "One value of each axis: what is the same for all cells that are compared with each other.",
    "CPU time, wall time": "Time of the threads that work, and time that passes. On a busy machine only the first "
    "says what something costs.",
    "95 % interval": "Where the median, or a ratio of medians, lies if the samples are drawn again (bootstrap). "
    "It stands in small print below a figure.",
    "level": "No difference that counts: the interval includes 1, or it is less than 3 %.",
    "pushed aside": "Others had the CPU for more than a fifth of a turn. It is taken again, and both are kept; "
    "figures are of those that were not.",
}
