"""What the kernel tells of a running process: its memory, and what it took of the processors.

In: a process's id. Out: mebibytes and seconds. It knows nothing of what the process does.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

# The first line of a mapping in /proc/PID/smaps: addresses, rights, offset, device, inode, and what is mapped.
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ (?P<inode>\d+) *(?P<name>.*)")
VALUE = re.compile(r"(?P<key>\w+): +(?P<kib>\d+) kB")
# What has a name like a file and is memory all the same.
MADE_OF_MEMORY = ("/memfd:", "/dev/", "/SYSV")


@dataclass(frozen=True)
class Mapping:
    """One mapping, or several of one name: kibibytes that are resident, and those of them the kernel can drop."""

    name: str
    resident: int
    clean: int


@dataclass(frozen=True)
class Memory:
    """Resident memory, mebibytes.

    `all` is every resident page (the sum of Rss). `own` is what is left without the clean pages of files: program,
    libraries and mapped models, which any number of processes share and the kernel drops when it wants. It is anonymous
    memory plus the pages of files that were written to.
    """

    all: float
    own: float


def mappings(smaps: str) -> list[Mapping]:
    """The mappings in the text of /proc/PID/smaps, those of one name together, the largest first."""
    sums: dict[str, list[int]] = {}
    name, of_file = "", False
    for line in smaps.splitlines():
        if value := VALUE.fullmatch(line.strip()):
            key, kib = value["key"], int(value["kib"])
            if key == "Rss":
                sums.setdefault(name, [0, 0])[0] += kib
            elif key in ("Shared_Clean", "Private_Clean") and of_file:
                sums[name][1] += kib
        elif mapping := MAPPING.fullmatch(line.strip()):
            name = mapping["name"] or "[anonymous]"
            of_file = int(mapping["inode"]) != 0 and not name.startswith(MADE_OF_MEMORY)
    found = [Mapping(name, resident, clean) for name, (resident, clean) in sums.items()]
    return sorted(found, key=lambda it: -it.resident)


def memory_of(smaps: str) -> Memory:
    """The sums over the text of /proc/PID/smaps."""
    found = mappings(smaps)
    resident, clean = sum(it.resident for it in found), sum(it.clean for it in found)
    return Memory(resident / 1024, (resident - clean) / 1024)


def memory(pid: int) -> Memory:
    return memory_of(Path(f"/proc/{pid}/smaps").read_text())


def peak_mib(pid: int) -> float | None:
    """The most that was ever resident since the program began; `None` of a process that has ended.

    `getrusage` would do for a child, but counts what the process that started it had.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


def ticks_of(stat: str) -> int:
    """User and system time in the text of /proc/PID/stat, in the kernel's ticks."""
    # The program's name stands in parentheses and may hold anything; the 14th and 15th fields are the 12th and 13th
    # after it.
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cpu_seconds(pid: int) -> float:
    """What the process, with all its threads, took of the processors so far."""
    return ticks_of(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")
