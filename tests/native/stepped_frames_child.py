"""A process with an arena in a file that calls one operation on frames, and is stepped through it."""

import json
import os
import signal
import sys

from pagexchange.testing.scene.stepping import stop_for_parent
from pagexchange_native.arena.region import Region
from tests.native.frame_calls import CALLS, LAYOUT


def main(path: str, name: str) -> None:
    with Region.create(nodes=[("only", 512)], layout=LAYOUT, workers=1, mappings=2, spaces=2, path=path) as region:
        call = CALLS[name]
        CALLS[name].work(region, call.prepare(region))  # everything is warm
        call.again(region)
        arguments = call.prepare(region)
        print(json.dumps(region.geometry()), flush=True)
        stop_for_parent()
        call.work(region, arguments)
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
