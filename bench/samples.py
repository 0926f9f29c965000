"""Where a device spends its time: samples of perf during traffic, grouped by activity.

    python bench/samples.py [--seconds 5] [--device holloway] [--stacks]

A sample belongs to the innermost of PARTS on its stack. Needs Debian's linux-perf.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measures import CUBIC
from tunnel import IMPLEMENTATIONS, PROGRAMS, Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Host

LOADS = {
    "TCP, 1 stream": (*CUBIC, "-t", "{seconds}"),
    "UDP, 64 bytes": ("-u", "-b", "0", "-l", "64", "-t", "{seconds}"),
}
PARTS = {
    "cipher": r"holloway_aead|chacha20|poly1305",
    "copies between kernel and device": r"copy_.*user|_copy_(to|from)_iter|rep_movs",
    "TCP of the two ends": r"\btcp_|\btcp[46]_",
    "TUN write": r"tun_(chr_write|get_user)",
    "TUN read": r"tun_(chr_read|do_read|put_user)",
    "UDP send, with the cable": r"udp(v6)?_sendmsg",
    "UDP receive": r"udp(v6)?_recvmsg|inet6?_recvmsg|recvm?msg",
    "waiting and waking": r"\bep_poll|epoll_(p?wait|ctl)|\bschedule\b|finish_task_switch",
    "other system calls": r"do_syscall_64|entry_SYSCALL",
    "interrupts, with packets that come": r"asm_(sysvec|common_interrupt|exc)",
    "Python": r"python|_Py",
    "the device's own code": r"\(/",
}
"""Activities, each with a pattern of its frames; a stack is searched from its innermost frame."""


def stacks(text: str) -> Iterator[list[str]]:
    """Yield each sample's frames, innermost first, as perf script prints them."""
    for block in text.split("\n\n"):
        if frames := block.strip().splitlines()[1:]:
            yield frames


def part(frames: list[str]) -> str:
    """Return the activity of a sample."""
    for frame in frames:
        for name, pattern in PARTS.items():
            if re.search(pattern, frame):
                return name
    return "unknown"


def sampled(tunnel: Tunnel, load: tuple[str, ...], seconds: int) -> list[list[str]]:
    """Run a load, and return samples of both devices."""
    pids = [pid for host in tunnel.hosts for pid in device_pids(host)]
    with TemporaryDirectory() as directory:
        data = str(Path(directory) / "perf.data")
        record = ["perf", "record", "-q", "-F", "1999", "-g", "-p", ",".join(pids), "-o", data,
                  "sleep", str(seconds)]  # fmt: skip
        options = [word.format(seconds=seconds + 1) for word in load]
        running = threading.Thread(target=tunnel.iperf, args=("10.98.0.2", *options))
        running.start()
        subprocess.run(record, check=True, capture_output=True)
        running.join()
        script = ["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"]
        shown = subprocess.run(script, check=True, capture_output=True, text=True)
    return list(stacks(shown.stdout))


def device_pids(host: Host) -> Iterator[str]:
    """Yield the PIDs of the device in the machine's PID namespace, without that of its monitor."""
    namespace = Path(f"/proc/{host.pid}/ns/pid").readlink()
    parents: dict[str, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name = (path / "comm").read_text().strip()
            known = any(fnmatch(name, program) for program in PROGRAMS.split("|"))
            if known and (path / "ns/pid").readlink() == namespace:
                parents[path.name] = (path / "stat").read_text().rpartition(")")[2].split()[1]
    yield from (pid for pid, parent in parents.items() if parent not in parents)


def main() -> int:
    """Sample and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--device", choices=IMPLEMENTATIONS, default="holloway")
    parser.add_argument(
        "--stacks", action="store_true", help="also print the most common innermost frames"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        tunnel = Tunnel(options.device, stack)
        for name, load in LOADS.items():
            samples = sampled(tunnel, load, options.seconds)
            print(f"{name}: {len(samples)} samples")
            for what, count in Counter(map(part, samples)).most_common():
                print(f"  {count / len(samples):6.1%}  {what}")
            if options.stacks:
                for frame, count in Counter(s[0].split(None, 1)[1] for s in samples).most_common(
                    45
                ):
                    print(f"  {count / len(samples):6.1%}  {frame}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
