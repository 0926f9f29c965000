"""How long a program takes from its start to the first byte through a network, and its imports.

    python bench/cold_start.py [--rounds 20] [--before OTHER_SOURCE_DIRECTORY] [--imports]
                               [--uncompiled]

The program is a new interpreter that calls `holloway.open`, connects, sends a byte and gets it back
from a network of this process. Bytecode is compiled first, as pip does when it installs; with
`--uncompiled` there is none, as where a source tree cannot be written. Rounds of both stacks and
both versions are interleaved; `--before` is the `src` of another version, with its extension.
`--imports` prints the modules that take longest instead (`python -X importtime`).
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import holloway
from holloway import AllowedIP, Key, Network, PeerUpdate
from holloway.net.blocking import BlockingNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import holloway, os, sys
with holloway.open(sys.argv[1], stack=sys.argv[2]) as net, net.connect("10.7.0.1", 7) as sock:
    sock.sendall(b"x")
    sock.recv(1)
    print(flush=True)
    os._exit(0)
"""
IMPORTS = "import asyncio, holloway; holloway.open; import holloway.device.tunnel"
STACKS = ("kernel", "userspace")
KINDS = ("to the first byte", "processor")
SHOWN = 25


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    writer.write(await reader.read(1))


def far_end(near: Key) -> tuple[BlockingNetwork, str]:
    """Return a network that echoes, and the configuration of its peer."""
    key = Key(os.urandom(32)).clamped()
    peer = PeerUpdate(near.public(), allowed_ips=(AllowedIP.parse("10.7.0.2/32"),))
    network = BlockingNetwork(
        Network(private_key=key, addresses=["10.7.0.1/24"], peers=[peer], stack="userspace")
    )
    network.run(network.network.start_server(echo, port=7))
    port = network.device.listen_port
    return network, (
        f"[Interface]\nPrivateKey = {near.base64}\nAddress = 10.7.0.2/24\n"
        f"[Peer]\nPublicKey = {key.public().base64}\nAllowedIPs = 10.7.0.1/32\n"
        f"Endpoint = 127.0.0.1:{port}\n"
    )


def environment(source: Path) -> dict[str, str]:
    """Return the environment of a program that uses the version in a source directory."""
    return {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}


def first_byte(source: Path, config: str, stack: str) -> tuple[float, float]:
    """Return the milliseconds to the first byte, and those of processor time."""
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, config, stack], stdout=subprocess.PIPE, cwd="/",
        env=environment(source),
    )  # fmt: skip
    assert program.stdout is not None
    program.stdout.read(1)
    wall = time.monotonic() - began
    _, status, used = os.wait4(program.pid, 0)
    program.stdout.close()
    program.returncode = status
    assert status == 0
    return 1000 * wall, 1000 * (used.ru_utime + used.ru_stime)


def imports(source: Path, rounds: int) -> Iterator[tuple[float, str]]:
    """Yield the least time of each import by itself, in milliseconds, and its module."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", IMPORTS],
            capture_output=True, text=True, check=True, cwd="/",
            env=environment(source),
        )  # fmt: skip
        for line in done.stderr.splitlines()[1:]:
            own, _, module = line.removeprefix("import time:").split("|")
            milliseconds = float(own) / 1000
            least[module.strip()] = min(least.get(module.strip(), milliseconds), milliseconds)
    yield from sorted(((each, name) for name, each in least.items()), reverse=True)


def print_imports(source: Path, rounds: int) -> None:
    """Print the modules that take longest, and the sum of all."""
    found = list(imports(source, rounds))
    ours = sum(each for each, name in found if name.startswith(("holloway", "cryptography")))
    print(f"{source}: {sum(each for each, _ in found):.1f} ms, of which {ours:.1f} ms are")
    print("modules of holloway and cryptography")
    for each, name in found[:SHOWN]:
        print(f"{each:8.2f} {name}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("--uncompiled", action="store_true")
    options = parser.parse_args()
    sources = {"now": Path(holloway.__file__).parent.parent}
    if options.before is not None:
        sources = {"before": options.before, **sources}
    with tempfile.TemporaryDirectory() as copies:
        if options.uncompiled:
            for name, source in sources.items():
                sources[name] = Path(copies, name)
                without = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, sources[name], ignore=without)
        else:
            for source in sources.values():
                compileall.compile_dir(source / "holloway", quiet=1)
        measure(sources, options)


def measure(sources: dict[str, Path], options: argparse.Namespace) -> None:
    """Measure the versions, and print."""
    if options.imports:
        for source in sources.values():
            print_imports(source, options.rounds)
        return
    near = Key(os.urandom(32)).clamped()
    network, text = far_end(near)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with network, tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(text)
        config.flush()
        for _ in range(options.rounds):
            for name, source in sources.items():
                for stack in STACKS:
                    one = first_byte(source, config.name, stack)
                    found.setdefault((name, stack), []).append(one)
    print(f"load average {os.getloadavg()[0]:.1f}; ms, median [least-greatest] of {options.rounds}")
    for (name, stack), measured in found.items():
        for kind, values in zip(KINDS, zip(*measured, strict=True), strict=True):
            middle = statistics.median(values)
            print(f"{name:8}{stack:11}{kind:18}{middle:6.0f} [{min(values):.0f}-{max(values):.0f}]")


if __name__ == "__main__":
    main()
