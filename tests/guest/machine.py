"""A virtual machine with three NUMA nodes: two with a processor and memory, one with memory only, a tier of its own."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.guest.archive import Entry, folder, newc
from tests.guest.parts import Parts

NODES_MIB = (768, 768, 256)
PROCESSORS = (0, 1)
# What the firmware says of memory (ACPI HMAT), from near to far: nanoseconds and bandwidth. Nothing is slower for it,
# but newer kernels make tiers of it.
_NEAR, _OTHER, _SLOW = ("10", "100G"), ("20", "80G"), ("60", "20G")
ROOT = Path(__file__).parents[2]
BEGIN, END = "== guest: begin", "== guest: exit code"
_INIT = """#!/bin/busybox sh
set -e
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
mount -t ext4 -o noatime /dev/vda /root
for from in proc sys dev; do mount --move /$from /root/$from; done
mount -t tmpfs tmp /root/guest
cp -r /tests /root/guest
cp /bin/busybox /root/bin/
chroot /root /bin/busybox --install -s /bin
set +e
echo "{begin}"
cd /root/guest
PATH=/bin:{path} HOME=/guest TMPDIR=/guest TERM=dumb COLUMNS=150 PYTHONPATH=/guest chroot /root {command}
echo "{end} $?"
poweroff -f
"""
# What would change pages behind a test's back is off; addresses of Linux are where they are without randomisation.
_APPEND = "console=ttyS0 quiet loglevel=3 nokaslr panic=-1 mitigations=off numa_balancing=disable rdinit=/init"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run in the guest ended: its command's exit code (None: there is none), what it left as results."""

    code: int | None
    results: bytes


def run(parts: Parts, disk: Path, command: list[str], scratch: Path, *, seconds: float, echo: bool = True) -> Outcome:
    """Boot, run one command with the tests of this folder at hand, stop.

    What the command prints is printed here while it runs; what it writes to /dev/ttyS1 is its results.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    initramfs, results = scratch / "initramfs", scratch / "results"
    initramfs.write_bytes(_initramfs(parts, command))
    results.write_bytes(b"")
    with subprocess.Popen(
        _qemu(parts, disk, initramfs, results), env=parts.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as machine:  # fmt: skip
        limit = threading.Timer(seconds, machine.kill)
        limit.start()
        try:
            code = _listen(machine, scratch / "console", echo)
        finally:
            limit.cancel()
            machine.kill()
    return Outcome(code, results.read_bytes())


def _listen(machine: subprocess.Popen[str], log: Path, echo: bool) -> int | None:
    code, begun = None, False
    assert machine.stdout is not None
    with log.open("w", encoding="utf-8") as kept:
        for line in machine.stdout:
            kept.write(line)
            if line.startswith(END):
                code = int(line.removeprefix(END))
            elif begun and echo and code is None:
                sys.stdout.write(line.replace("\r", ""))
                sys.stdout.flush()
            begun = begun or line.startswith(BEGIN)
    return code


def _qemu(parts: Parts, disk: Path, initramfs: Path, results: Path) -> list[str]:
    command = ["nice", "-n", "5", *parts.qemu]
    # QEMU 7.2 computes wrong results with AVX2, which this processor does not have
    command += [
        "-machine",
        "pc,accel=tcg,hmat=on",
        "-cpu",
        "Nehalem",
        "-smp",
        str(len(PROCESSORS)),
        "-m",
        f"{sum(NODES_MIB)}M",
    ]
    for number, size in enumerate(NODES_MIB):
        command += ["-object", f"memory-backend-ram,id=m{number},size={size}M"]
        own = f"cpus={number}" if number in PROCESSORS else f"initiator={PROCESSORS[0]}"
        command += ["-numa", f"node,nodeid={number},memdev=m{number},{own}"]
    for processor in PROCESSORS:
        for number in range(len(NODES_MIB)):
            latency, bandwidth = _NEAR if number == processor else _OTHER if number in PROCESSORS else _SLOW
            said = f"hmat-lb,initiator={processor},target={number},hierarchy=memory"
            command += ["-numa", f"{said},data-type=access-latency,latency={latency}"]
            command += ["-numa", f"{said},data-type=access-bandwidth,bandwidth={bandwidth}"]
    command += [
        "-drive",
        f"file={disk},format=raw,if=virtio,snapshot=on",
        "-nic",
        "none",
        "-display",
        "none",
        "-no-reboot",
    ]
    command += ["-serial", "stdio", "-serial", f"file:{results}", "-monitor", "none"]
    return [*command, "-kernel", str(parts.kernel), "-initrd", str(initramfs), "-append", _APPEND]


def _initramfs(parts: Parts, command: list[str]) -> bytes:
    init = _INIT.format(
        modules=" ".join(name for name, _ in parts.modules), begin=BEGIN, end=END, command=shlex.join(command),
        path=Path(sys.prefix) / "bin",
    )  # fmt: skip
    entries = [folder(name) for name in ("bin", "proc", "sys", "dev", "root", "modules", "tests", "tests/guest")]
    entries += [Entry("dev/console", mode=stat.S_IFCHR | 0o600, device=(5, 1))]
    entries += [Entry("bin/busybox", parts.busybox.read_bytes()), Entry("init", init.encode())]
    entries += [Entry(f"modules/{name}.ko", data) for name, data in parts.modules]
    here = ROOT / "tests" / "guest"
    for path in sorted(here.rglob("*")):
        if path.is_dir() and path.name != "__pycache__":
            entries.append(folder(str(path.relative_to(ROOT))))
        elif path.suffix in (".py", ".toml"):
            entries.append(Entry(str(path.relative_to(ROOT)), path.read_bytes()))
    return newc(entries)
