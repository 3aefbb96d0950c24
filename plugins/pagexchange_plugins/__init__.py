"""The built-in plug-ins."""

from typing import Final

BUILT_IN: Final = {
    "per-flag": "pagexchange_plugins.per_flag:PerFlag",
    "whole-word": "pagexchange_plugins.whole_word:WholeWord",
    "masked-word": "pagexchange_plugins.masked_word:MaskedWord",
    "two-pass": "pagexchange_plugins.two_pass:TwoPass",
    "word-swap": "pagexchange_plugins.word_swap:WordSwap",
    "temp-page": "pagexchange_plugins.temp_page:TempPage",
    "list-exchange": "pagexchange_plugins.list_exchange:ListExchange",
    "numpy-swap": "pagexchange_plugins.numpy_swap:NumpySwap",
    "folio-copy": "pagexchange_plugins.folio_copy:FolioCopy",
    "streaming-copy": "pagexchange_plugins.streaming_copy:StreamingCopy",
    "numpy-copy": "pagexchange_plugins.numpy_copy:NumpyCopy",
    "null": "pagexchange_plugins.null:Null",
    "xarray": "pagexchange_plugins.xarray:XArray",
    "radix-tree": "pagexchange_plugins.radix_tree:RadixTree",
    "hottest-coldest": "pagexchange_plugins.hottest_coldest:HottestColdest",
    "quota": "pagexchange_plugins.quota:Quota",
    "timing": "pagexchange_plugins.timing:Timing",
    "trace": "pagexchange_plugins.trace:Trace",
    "faults": "pagexchange_plugins.faults:Faults",
}
"""Their entry points, for a program that was frozen without the metadata which say the same."""
