"""The door for compiled plug-ins: the classes to subclass or to take, and the core's own loops.

    from pagexchange_native cimport DataCopier, DataMover, isa_of
    from pagexchange_native cimport FlagPolicy, MappingUpdater, pgx_xa_entry, xa_find_word
    from pagexchange_native.plugin cimport PGX_ABI, pgx_log, pgx_move

These two files hold all that is promised. What lies in the folders beside them may move. The declarations need the headers
in `pagexchange_native.get_include()`.
"""

from pagexchange_native.arena.region cimport Region
from pagexchange_native.format cimport pgx_xa_entry
from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.movers.copier cimport DataCopier
from pagexchange_native.movers.mover cimport DataMover, isa_of
from pagexchange_native.movers.moves cimport pgx_ahead, pgx_isa
from pagexchange_native.xarray.tree cimport xa_find_word
