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
