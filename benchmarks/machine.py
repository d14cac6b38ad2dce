"""What every benchmark says of the machine it ran on, and where the command lies that some of them run.

In: nothing. Out: plain data for the JSON file, a line for the terminal, a path. Imports neither torch nor eyesight.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

EYESIGHT = str(Path(sysconfig.get_path("scripts")) / "eyesight")
_BUSY = 0.5  # load average from which others take a noticeable part of two cores


def describe() -> dict[str, Any]:
    """Return processor, cores, Python and the load by others; call it before anything is measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = said.get("model name") or platform.processor() or platform.machine()
    matrices = " with AMX" if "amx_bf16" in said.get("flags", "").split() else ""  # its bf16 products are far faster
    return {
        "processor": f"{model}{matrices}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def announce() -> dict[str, Any]:
    """Print and return the description; warn on stderr when others use the machine as well."""
    machine = describe()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, load {machine['load']}")
    if machine["load"] > _BUSY:
        print(f"warning: load {machine['load']}: other programs are running, the numbers mean little", file=sys.stderr)
    return machine
