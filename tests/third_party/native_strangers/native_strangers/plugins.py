"""The facades."""

import pagexchange


class Endless:
    """A native mover that never returns."""

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        """Return it."""
        from native_strangers.endless import EndlessMover

        return EndlessMover()


class OldAbi:
    """A native flag policy compiled against the headers of another ABI."""

    @pagexchange.hookimpl
    def exchange_flags(self, arena):
        """Return it."""
        from native_strangers.old_abi import OldFlags

        return OldFlags()


class ByHand:
    """A native mover that keeps the undo log by itself."""

    late, missing, backwards, numbered = False, 0, False, False

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        """Return it."""
        from native_strangers.by_hand import ByHand as Mover

        return Mover(self.late, self.missing, self.backwards, self.numbered)


class ShortRows(ByHand):
    """The same, but the last eight bytes of each folio stay."""

    missing = 8


class LateLog(ByHand):
    """The same, but the log is written after the bytes: right in the end, lost if the process dies in between."""

    late = True


class LastFirst(ByHand):
    """The same, but it begins with the last pair: what it publishes says that the first ones are done."""

    backwards = True


class OwnNumbers(ByHand):
    """The same, but what it publishes are places in its list: another pair's number wherever one was refused."""

    numbered = True
