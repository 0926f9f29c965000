"""A fork gets an error instead of a wait without end, and leaves its parent's network alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from holloway.net.blocking import BlockingNetwork
from net.pair import network, new_key

TESTS = str(Path(__file__).parent.parent)

REFUSED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from net.blocking_pair import open_two

first, second = open_two(sys.argv[1])
listener = first.listen(5000)
sock = second.connect("10.7.0.1", 5000)
accepted, _ = listener.accept()

async def nothing():
    pass

def refusal(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except PermissionError as error:
        return error.strerror

if (child := os.fork()) == 0:
    texts = {
        refusal(second.ping, "10.7.0.1", timeout=1),
        refusal(second.connect, "10.7.0.1", 5000, timeout=2),
        refusal(second.listen),
        refusal(second.resolve, "10.7.0.1"),
        refusal(lambda: second.device),
        refusal(lambda: second.stack),
        refusal(second.socket),
        refusal(second.run, nothing()),
        refusal(listener.accept, timeout=1),
    }
    print(*texts, sep="\\n")
    sock.sendall(b"inherited")
    for each in (sock, accepted, listener, second, first):
        each.close()
    sys.exit(0)  # with all that an interpreter does at its end
assert os.waitpid(child, 0)[1] == 0
print(accepted.recv(100))
sock.sendall(b"later")
print(accepted.recv(100))
print(second.ping("10.7.0.1") > 0, first.ping("10.7.0.2") > 0)
with second.connect("10.7.0.1", 5000) as another, listener.accept()[0] as server:
    another.sendall(b"another")
    print(server.recv(100))
for each in (sock, accepted, listener, second, first):
    each.close()
"""

ASYNCIO = """
import asyncio, multiprocessing, sys
sys.path.insert(0, sys.argv[2])
from net.pair import pair

def child(network):
    async def run():
        try:
            await network.ping("10.7.0.1", timeout=1)
        except PermissionError as error:
            print(error.strerror, flush=True)
        await network.close()

    asyncio.run(run())

async def run():
    async with pair(sys.argv[1]) as both:
        await both.second.ping("10.7.0.1")
        fork = multiprocessing.get_context("fork").Process(target=child, args=(both.second,))
        fork.start()
        await asyncio.to_thread(fork.join)
        print(fork.exitcode, await both.second.ping("10.7.0.1") > 0)

asyncio.run(run())
"""

OWN = """
import logging, os, sys
import holloway
sys.path.insert(0, sys.argv[2])
from net.pair import new_key

logging.basicConfig(stream=sys.stdout, format="%(message)s")
key = new_key().base64, new_key().public().base64
text = "[Interface]\\nPrivateKey=%s\\nAddress=10.7.0.1/24\\n" % key[0]
text += "[Peer]\\nPublicKey=%s\\nAllowedIPs=10.7.0.2/32\\n" % key[1]
with holloway.open(text, stack=sys.argv[1]):
    if (child := os.fork()) == 0:
        with holloway.open(text, stack=sys.argv[1]) as own:
            print(own.device.listen_port > 0)
        sys.exit(0)
    print(os.waitpid(child, 0)[1])
"""

FORGOTTEN = """
import asyncio, gc, os, sys, warnings
sys.path.insert(0, sys.argv[2])
from net.pair import FIRST, SECOND, Endpoint, network, new_key, peer

def opened(*arguments):
    return loop.run_until_complete(network(*arguments, stack=sys.argv[1]).open())

loop = asyncio.new_event_loop()
keys = new_key(), new_key()
first = opened(1, keys[0], peer(keys[1], *SECOND))
there = Endpoint("127.0.0.1", first.device.listen_port)
second = opened(2, keys[1], peer(keys[0], *FIRST, endpoint=there))
loop.run_until_complete(second.ping(FIRST[0]))
if (child := os.fork()) == 0:
    warnings.simplefilter("ignore")  # asyncio says that the loop was not closed
    del loop, first, second
    gc.collect()
    sys.exit(0)  # which frees what is left
print(os.waitpid(child, 0)[1])
print(loop.run_until_complete(second.ping(FIRST[0])) > 0)
print(loop.run_until_complete(first.ping(SECOND[1])) > 0)
for each in (second, first):
    loop.run_until_complete(each.close())
loop.close()
"""

TEXT = (
    "the network holloway serves the process that opened it, not its forks: open one in this "
    'process, with a key of its own (with multiprocessing, in the child, or use "spawn"); '
    "the sockets that it inherited still work"
)


def printed(script: str, stack: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, stack, TESTS],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    assert done.returncode == 0
    return done.stdout.splitlines()


def test_every_call_of_a_fork_is_refused_and_its_end_harms_nothing(stack: str) -> None:
    assert printed(REFUSED, stack) == [
        TEXT,
        "b'inherited'",
        "b'later'",
        "True True",
        "b'another'",
    ]


def test_a_network_that_is_sent_to_another_process_says_what_to_do() -> None:
    with BlockingNetwork(network(1, new_key(), stack="userspace")) as opened:
        for each in (opened, opened.network):
            with pytest.raises(TypeError, match="the network holloway cannot be sent to another"):
                pickle.dumps(each)


def test_a_fork_opens_a_network_of_its_own_and_is_warned_of_its_parents_key(stack: str) -> None:
    warning, *rest = printed(OWN, stack)
    assert warning.startswith("In the parent process the network holloway (made at <string>:")
    assert warning.endswith("give each process a key of its own")
    assert rest == ["True", "0"]


def test_a_fork_that_forgets_a_network_leaves_it_working_in_the_original(stack: str) -> None:
    assert printed(FORGOTTEN, stack) == ["0", "True", "True"]


def test_a_fork_of_a_program_of_asyncio_is_refused(stack: str) -> None:
    assert printed(ASYNCIO, stack) == [TEXT, "0 True"]
