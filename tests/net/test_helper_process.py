"""The helper process of the kernel's stack: what happens when it ends, and when its parent does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.net import namespace as helper
from holloway.net.errors import NoNamespace
from holloway.net.kernel import KernelStack
from holloway.net.namespace import Namespace
from hosts import eventually
from net.pair import FIRST, descriptors, echo, network, new_key, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway import Network

PROGRAM = """
import asyncio, os, sys, time
sys.path.insert(0, {tests!r})
from net.pair import network, new_key
from net.test_helper_process import helper_of

async def run():
    async with network(1, new_key(), stack="kernel") as opened:
        if sys.argv[1] == "forks" and os.fork() == 0:
            time.sleep(60)
        print(helper_of(opened), flush=True)
        await asyncio.sleep(60)

asyncio.run(run())
"""


def greeter(words: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """A server that sends something and ends."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()

    return greet


def helper_of(opened: Network) -> int:
    """Return the helper process of a network: the only child that runs that program."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    (found,) = [
        int(child)
        for child in children
        if Path(f"/proc/{child}/comm").read_text().strip() == "holloway-namesp"
    ]
    assert opened.stack == "kernel"
    return found


def test_every_socket_fails_when_the_helper_is_killed() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with network(1, new_key(), stack="kernel") as opened:
            server = await opened.start_server(echo, port=5000)
            reader, writer = await opened.open_connection(FIRST[0], 5000)
            plain = opened.socket(socket.AF_INET, socket.SOCK_DGRAM)
            plain.setblocking(False)
            plain.bind((FIRST[0], 0))
            waiting = [
                asyncio.create_task(reader.read()),
                asyncio.create_task(loop.sock_recv(plain, 1)),
            ]
            await asyncio.sleep(0)
            os.kill(helper_of(opened), signal.SIGKILL)
            reason = await asyncio.wait_for(opened.died, 20)
            assert reason.strerror == "the helper process was ended by SIGKILL"
            assert opened.failure is reason
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            # Both ends of the stream are in that namespace; the other one may reset it first.
            assert all(isinstance(end, ConnectionError) for end in ends), ends
            with pytest.raises(OSError, match="ended by SIGKILL"):
                opened.socket()
            with pytest.raises(OSError, match="ended by SIGKILL"):
                await opened.connect(FIRST[0], 5000)
            assert not server.is_serving()
            writer.close()
            plain.close()

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_helper_to_the_program(number: int) -> None:
    async def run() -> None:
        async with network(1, new_key(), stack="kernel") as opened:
            os.kill(helper_of(opened), number)
            await opened.start_server(echo, port=5000)
            reader, writer = await opened.open_connection(FIRST[0], 5000)
            writer.write(b"on")
            assert await reader.readexactly(2) == b"on"
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["plain", "forks"])
def test_a_killed_program_leaves_nothing(kind: str) -> None:
    tests = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(tests=tests), kind],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        program.kill()
        program.wait()
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
        if kind == "forks":
            os.killpg(program.pid, signal.SIGKILL)


def test_the_helper_of_a_closed_network_is_gone() -> None:
    async def run() -> None:
        opened = network(1, new_key(), stack="kernel")
        await opened.open()
        pid = helper_of(opened)
        await opened.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(run())


def test_networks_may_have_the_same_addresses() -> None:
    async def run() -> None:
        async with pair() as one, pair() as two:
            for number, both in enumerate((one, two)):
                await both.first.start_server(greeter(b"%d" % number), port=5000)
            for number, both in enumerate((one, two)):
                reader, writer = await both.second.open_connection(FIRST[0], 5000)
                assert await reader.read() == b"%d" % number
                writer.close()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_request_does_not_mix_up_the_next_answers() -> None:
    class Interrupted(Exception):
        pass

    kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP)  # of this kind none are made in advance
    armed = False

    def interrupt(*_: object) -> None:
        # A signal may come late if another thread receives it.
        nonlocal armed
        if armed:
            armed = False
            raise Interrupted

    made = asyncio.run(namespace())
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for number in range(400):
            family = (socket.AF_INET, socket.AF_INET6)[number % 2]
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, (1 + number % 20) * 2e-6)
                made.socket(family, *kind).close()
                signal.setitimer(signal.ITIMER_REAL, 0)
                armed = False
            except Interrupted:
                interrupted += 1
            with made.socket(family, *kind) as whole:
                assert whole.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == family
    finally:
        signal.signal(signal.SIGALRM, before)
        made.close()
        gc.collect()  # what the test could not close because of an interrupt
    assert interrupted > 0


async def namespace() -> Namespace:
    made = Namespace()
    os.close(await made.start("wg0", (), 1420))
    return made


def test_no_more_sockets_are_made_in_advance_than_were_asked_for() -> None:
    before = descriptors()
    made = asyncio.run(namespace())
    pooled = []
    for _ in range(40):
        made.socket(socket.AF_INET, socket.SOCK_STREAM, 0).close()
        pooled.append(made.pooled)
    assert pooled[:7] == [0, 1, 0, 3, 2, 1, 0]
    assert max(pooled) == helper.MAX_BATCH - 1
    made.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    made.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    assert made.pooled == pooled[-1]
    made.close()
    assert made.pooled == 0
    assert descriptors() == before


def test_sockets_that_were_requested_ahead_come_before_those_of_another_request() -> None:
    before = descriptors()
    made = asyncio.run(namespace())
    arguments = (socket.AF_INET, socket.SOCK_STREAM, 0)
    for _ in range(1 + 2 + 4 + 8 + 4 * helper.MAX_BATCH + helper.MAX_BATCH // 2):
        made.socket(*arguments).close()
    assert made.pooled == helper.MAX_BATCH // 2
    with made.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        assert raw.type == socket.SOCK_RAW
    assert made.pooled == helper.MAX_BATCH * 3 // 2
    for _ in range(helper.MAX_BATCH * 2):
        with made.socket(*arguments) as sock:
            assert sock.type == socket.SOCK_STREAM
    made.close()  # while more are on their way
    assert descriptors() == before


def test_near_the_limit_there_are_as_many_sockets_as_there_are_descriptors() -> None:
    made = asyncio.run(namespace())
    held = [made.socket(socket.AF_INET6, socket.SOCK_STREAM, 0) for _ in range(31)]
    assert made.pooled == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.dup(0) for _ in range(3)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
    filled = []
    with contextlib.suppress(OSError):
        while True:
            filled.append(os.dup(0))
    for number in spare:
        os.close(number)
    try:
        held += [made.socket(socket.AF_INET6, socket.SOCK_STREAM, 0) for _ in range(3)]
        assert {each.family for each in held} == {socket.AF_INET6}
        with pytest.raises(OSError, match="Too many open files"):
            made.socket(socket.AF_INET6, socket.SOCK_STREAM, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            each.close()
        for number in filled:
            os.close(number)
        made.close()


def test_an_error_in_the_namespace_is_raised_as_the_system_reports_it() -> None:
    async def run() -> None:
        async with network(1, new_key(), stack="kernel") as opened:
            with pytest.raises(OSError, match="Address family not supported"):
                opened.socket(9999, socket.SOCK_STREAM)
            with opened.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
                assert made.gettimeout() is None
                assert not made.get_inheritable()

    asyncio.run(run())


def test_without_a_free_descriptor_the_ordinary_error_is_raised() -> None:
    async def run() -> None:
        async with network(1, new_key(), stack="kernel") as opened:
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = os.open("/dev/null", os.O_RDONLY)
            os.close(spare)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
            try:
                with pytest.raises(OSError, match="Too many open files"):
                    opened.socket()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            opened.socket().close()

    asyncio.run(run())


def test_descriptors_beyond_the_limit_of_select_work() -> None:
    async def run() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
        filled = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
        try:
            async with pair() as both:
                await both.first.start_server(echo, port=5000)
                reader, writer = await both.second.open_connection(FIRST[0], 5000)
                writer.write(b"many")
                assert await reader.readexactly(4) == b"many"
                writer.close()
        finally:
            for descriptor in filled:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    asyncio.run(run())


def test_a_missing_helper_program_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "PROGRAM", tmp_path / "nothing")

    async def run() -> None:
        with pytest.raises(NoNamespace, match="is not installed"):
            await network(1, new_key(), stack="kernel").open()
        with pytest.raises(NoNamespace, match="is not installed"):
            await KernelStack("wg0", (), 1420).open()

    asyncio.run(run())


def test_a_system_without_user_namespaces_is_reported() -> None:
    """Use the kernel's own limit: a namespace that allows no further ones."""
    script = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1])\n"
        "from net.pair import network, new_key\n"
        "asyncio.run(network(1, new_key(), stack='kernel').open())"
    )
    refused = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c",
         'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh",
         "setpriv", "--bounding-set", "-all", "--inh-caps", "-all",
         sys.executable, "-c", script, str(Path(__file__).parent.parent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "this system forbids user namespaces" in refused.stderr
    assert "user.max_user_namespaces" in refused.stderr


def test_a_system_without_the_helper_gets_the_userspace_stack_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "PROGRAM", tmp_path / "nothing")

    async def run() -> None:
        async with network(1, new_key(), stack=None) as opened:
            assert opened.stack == "userspace"
            assert "is not installed" in opened.stack_reason

    asyncio.run(run())
