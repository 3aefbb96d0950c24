"""The conformance suite: judges strategies and plug-ins, also those of strangers, clause by clause.

    pytest --pyargs pagexchange.testing                           # the shipped strategies, and every plug-in found
    pytest --pyargs pagexchange.testing --strategies my.toml      # those of a file, and every plug-in found

Or subclass what fits, in a file of your own; `make` is called for each arena that is tried:

    class TestMine(pagexchange.testing.DataMoverContract):
        def make(self):
            return MyMover()

Needs pytest: `pip install pagexchange[testing]`.
"""

from pagexchange.testing.contracts import (
    DataCopierContract,
    DataMoverContract,
    FlagPolicyContract,
    MappingUpdaterContract,
    MigratingStrategyContract,
    PairingContract,
    StrategyContract,
)
from pagexchange.testing.verdict.clauses import CLAUSES, Clause

__all__ = [
    "CLAUSES",
    "Clause",
    "DataCopierContract",
    "DataMoverContract",
    "FlagPolicyContract",
    "MappingUpdaterContract",
    "MigratingStrategyContract",
    "PairingContract",
    "StrategyContract",
]
