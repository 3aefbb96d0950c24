"""The stubs say what the compiled modules are: names, parameters, defaults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pagexchange_native

pytest.importorskip("mypy.stubtest")

ALLOWED = r"""
# What Cython puts into modules and classes, and nobody calls.
.*\.__test__
.*\.__pyx_capi__
.*\.__reduce_cython__
.*\.__setstate_cython__
# Compiled classes do not tell the parameters of this one: (*args, **kwargs) always.
.*\.__init__
# The buffer protocol has this name from Python 3.12 on.
pagexchange_native\.arena\.region\.Region\.__buffer__
# Nothing in them can be called from Python.
pagexchange_native\.engine\.worker
pagexchange_native\.pages\.placing
pagexchange_native\.xarray\.store
"""


def test_the_stubs_describe_the_compiled_modules(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text(ALLOWED)
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n")
    where = Path(str(pagexchange_native.__file__)).parents[1]
    environment = {**os.environ, "MYPYPATH": "" if where.name == "site-packages" else str(where)}
    # disjoint bases: every class of Cython is one, and a stub for Python 3.11 cannot say so.
    options = ["--concise", "--ignore-disjoint-bases", "--ignore-unused-allowlist"]
    command = [sys.executable, "-m", "mypy.stubtest", "pagexchange_native", *options]
    command += ["--allowlist", str(allowed), "--mypy-config-file", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
