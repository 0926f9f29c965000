"""The loads of `embedded_load` for wireguard-requests, whose blocking sockets have a special type.

`embedded_load` calls this with `.peers/python` on the module path.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import wireguard_requests  # type: ignore[import-not-found]  # built for benchmarks only
from embedded_load import BUFFER, CLOSE, FAR, OK, SINK, TIMEOUT, WEB, resident

if TYPE_CHECKING:
    from collections.abc import Callable


def run(load: str, amount: float, config: str) -> dict[str, float]:
    """Run one load."""
    with wireguard_requests.wireguard_context(
        wireguard_requests.WireGuardConfig.from_string(config)
    ) as tunnel:

        def connect(port: int) -> Any:
            made = wireguard_requests.WireGuardSocket(tunnel)
            made.connect((FAR, port))
            made.settimeout(TIMEOUT)
            return made

        return LOADS[load](connect, amount)


def down(connect: Callable[[int], Any], seconds: float) -> dict[str, float]:
    with connect(WEB) as made:
        return fetch(made, b"/big", seconds)


def fetch(made: Any, path: bytes, seconds: float) -> dict[str, float]:
    made.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: far\r\n\r\n")
    count, began, used = 0, time.monotonic(), sum(os.times()[:2])
    while time.monotonic() < began + seconds:
        got = made.recv(BUFFER)
        if not got:
            raise ConnectionResetError
        count += len(got)
    took = time.monotonic() - began
    return {"bytes": count, "seconds": took, "cpu": sum(os.times()[:2]) - used}


def up(connect: Callable[[int], Any], seconds: float) -> dict[str, float]:
    data = bytes(1 << 16)
    with connect(SINK) as made:
        began, used = time.monotonic(), sum(os.times()[:2])
        while time.monotonic() < began + seconds:
            made.sendall(data)
        return {"cpu": sum(os.times()[:2]) - used}


def connections(at_once: int) -> Callable[[Callable[[int], Any], float], dict[str, float]]:
    def measure(connect: Callable[[int], Any], seconds: float) -> dict[str, float]:
        began = time.monotonic()
        done = [0] * at_once

        def one(number: int) -> None:
            while time.monotonic() < began + seconds:
                with contextlib.suppress(OSError), connect(WEB) as made:
                    made.sendall(CLOSE)
                    while made.recv(4096):
                        pass
                    done[number] += 1

        _together(one, at_once, seconds + TIMEOUT)
        return {"a second": sum(done) / (time.monotonic() - began)}

    return measure


def idle(connect: Callable[[int], Any], number: float) -> dict[str, float]:
    held: list[Any] = []
    left = list(range(int(number)))

    def one(_: int) -> None:
        while left:
            left.pop()
            with contextlib.suppress(OSError):
                made = connect(WEB)
                made.sendall(OK)
                if b"200 OK" in made.recv(4096):
                    held.append(made)

    before = resident()
    _together(one, 50, 120)
    print(json.dumps({"up": len(held), "before": before, "after": resident()}), flush=True)
    sys.stdin.read()
    return {}


def first_byte(connect: Callable[[int], Any], _: float) -> dict[str, float]:
    with connect(WEB) as made:
        made.sendall(OK)
        assert made.recv(4096)
        return {"at": time.monotonic()}


def silence(connect: Callable[[int], Any], seconds: float) -> dict[str, float]:
    with connect(WEB) as made:
        for wait in (seconds, 0):
            made.sendall(OK)
            assert made.recv(4096)
            time.sleep(wait)
    return {"survives": 1}


def roam(connect: Callable[[int], Any], seconds: float) -> dict[str, float]:
    with connect(WEB) as made:
        fetch(made, b"/slow", 1)
        print("flowing", flush=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert made.recv(1 << 14)
    return {"survives": 1}


def _together(work: Callable[[int], None], at_once: int, seconds: float) -> None:
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(at_once)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


LOADS: dict[str, Callable[[Callable[[int], Any], float], dict[str, float]]] = {
    "down": down,
    "up": up,
    "connections 1": connections(1),
    "connections 50": connections(50),
    "idle": idle,
    "first byte": first_byte,
    "silence": silence,
    "roam": roam,
}
