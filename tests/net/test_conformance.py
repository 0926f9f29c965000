"""What TCP sockets do alike: plain ones, those of the kernel stack, and the userspace stack's."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hosts import eventually
from net.sides import KINDS, Side, two_sides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAMILIES = (socket.AF_INET, socket.AF_INET6)
Sides = tuple[Side, Side]


@pytest.fixture(scope="module", params=KINDS)
def sides(request: pytest.FixtureRequest) -> Iterator[Sides]:
    with two_sides(request.param) as made:
        yield made


@contextlib.contextmanager
def connection(sides: Sides, family: int = socket.AF_INET) -> Iterator[tuple[Any, Any]]:
    """Yield the client's socket and the server's."""
    server, client = sides
    with server.listener(family) as listener, client.new(family) as made:
        made.settimeout(None)  # with a timeout the kernel lets one more `connect` succeed
        made.connect(listener.getsockname())
        made.settimeout(20)
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(20)
            yield made, accepted


def error_of(call: Callable[..., object], *arguments: object) -> int | None:
    with pytest.raises(OSError, match=r".*") as raised:
        call(*arguments)
    return raised.value.errno


def can_bind(sock: socket.socket, port: int) -> bool:
    try:
        sock.bind(("", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


@pytest.mark.parametrize("family", FAMILIES)
def test_addresses_have_the_form_of_their_family(sides: Sides, family: int) -> None:
    server, client = sides
    length = 4 if family == socket.AF_INET6 else 2
    with server.listener(family) as listener, client.new(family) as made:
        anywhere = ("::", 0, 0, 0) if family == socket.AF_INET6 else ("0.0.0.0", 0)
        assert made.getsockname() == anywhere
        made.connect(listener.getsockname()[:2])
        accepted, address = listener.accept()
        with accepted:
            assert made.getpeername() == accepted.getsockname() == listener.getsockname()
            assert made.getsockname() == accepted.getpeername() == address
            assert [len(each) for each in (address, listener.getsockname())] == [length] * 2
            assert (made.getpeername()[0], address[0]) == (
                server.hosts[family],
                client.hosts[family],
            )
            assert (accepted.family, accepted.type) == (family, socket.SOCK_STREAM)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_forms_of_an_address_are_taken(sides: Sides, family: int) -> None:
    server, client = sides
    with server.new(family) as listener:
        listener.bind(("", 0))
        port = listener.getsockname()[1]
        assert port > 0
        listener.listen()
        rest = [(), (0,), (0, 0)] if family == socket.AF_INET6 else [()]
        for more in rest:
            with client.new(family) as made:
                made.connect((server.hosts[family], port, *more))
                listener.accept()[0].close()


def test_a_bad_address_is_refused(sides: Sides) -> None:
    server, _ = sides
    with server.new() as made, server.new(socket.AF_INET6) as six:
        for bad in ("10.7.0.1", ("10.7.0.1",), ("10.7.0.1", 1, 0, 0), ("10.7.0.1", "80")):
            with pytest.raises(TypeError):
                made.bind(bad)
            with pytest.raises(TypeError):
                made.connect(bad)
        with pytest.raises(OverflowError):
            made.connect(("10.7.0.1", 70_000))
        with pytest.raises(socket.gaierror):
            made.connect((server.hosts[socket.AF_INET6], 80))
        with pytest.raises(socket.gaierror):
            six.connect((server.hosts[socket.AF_INET], 80))
        assert error_of(made.bind, ("192.0.2.1", 0)) == errno.EADDRNOTAVAIL


def test_a_port_is_bound_once(sides: Sides) -> None:
    server, _ = sides
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with server.new(kind=kind) as one, server.new(kind=kind) as two:
            one.bind(("", 0))
            port = one.getsockname()[1]
            assert error_of(two.bind, ("", port)) == errno.EADDRINUSE
            assert error_of(two.bind, (server.hosts[socket.AF_INET], port)) == errno.EADDRINUSE
            assert error_of(one.bind, ("", 0)) == errno.EINVAL
            one.close()
            # The helper of a namespace has a copy of a socket for a moment.
            assert eventually(partial(can_bind, two, port))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_all_addresses_of_ipv6_are_those_of_ipv4_too(sides: Sides, kind: int) -> None:
    server, client = sides
    v4 = server.hosts[socket.AF_INET]
    with server.new(socket.AF_INET6, kind) as both, client.new(kind=kind) as made:
        assert both.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0
        both.bind(("::", 0))
        port = both.getsockname()[1]
        with server.new(kind=kind) as other:
            assert error_of(other.bind, ("", port)) == errno.EADDRINUSE
        if kind == socket.SOCK_STREAM:
            both.listen()
            made.connect((v4, port))
            accepted, address = both.accept()
            with accepted:
                assert accepted.getsockname() == (f"::ffff:{v4}", port, 0, 0)
        else:
            made.sendto(b"x", (v4, port))
            _, address = both.recvfrom(1)
            both.sendto(b"y", address)
            assert made.recvfrom(1) == (b"y", (v4, port))
        mapped = f"::ffff:{client.hosts[socket.AF_INET]}"
        assert address == (mapped, made.getsockname()[1], 0, 0)


def test_an_ipv4_address_is_reached_from_a_socket_for_ipv6(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, client.new(socket.AF_INET6) as made:
        port = listener.getsockname()[1]
        mapped = (f"::ffff:{server.hosts[socket.AF_INET]}", port, 0, 0)
        made.connect(mapped)
        listener.accept()[0].close()
        assert made.getpeername() == mapped
        assert made.getsockname()[0] == f"::ffff:{client.hosts[socket.AF_INET]}"


def test_ipv6_alone_leaves_ipv4_to_others(sides: Sides) -> None:
    server, client = sides
    with server.new(socket.AF_INET6) as six, server.new() as four:
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        six.bind(("::", 0))
        six.listen()
        port = six.getsockname()[1]
        with client.new() as made:
            refused = error_of(made.connect, (server.hosts[socket.AF_INET], port))
            assert refused == errno.ECONNREFUSED
        four.bind(("", port))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loopback_address_and_all_addresses_reach_this_side_itself(
    sides: Sides, family: int
) -> None:
    server, _ = sides
    loopback = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with server.new(family) as listener:
        listener.bind((loopback, 0))
        listener.listen()
        port = listener.getsockname()[1]
        for host in (loopback, ""):
            with server.new(family) as made:
                made.connect((host, port))
                accepted, address = listener.accept()
                accepted.close()
                assert made.getpeername()[:2] == (loopback, port)
                assert address[0] == loopback
    with server.udp(family) as one, server.udp(family) as two:
        one.bind((loopback, 0))
        two.sendto(b"x", one.getsockname())
        assert one.recvfrom(1)[1][0] == loopback


def test_a_loopback_address_reaches_nobody_else(sides: Sides) -> None:
    server, client = sides
    if server is client:
        return  # both are one host
    with server.new() as listener, client.new() as made:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        where = ("127.0.0.1", listener.getsockname()[1])
        assert error_of(made.connect, where) == errno.ECONNREFUSED


def test_a_socket_that_is_not_connected_says_so(sides: Sides) -> None:
    _, client = sides
    with client.new() as made:
        for call in (made.getpeername, lambda: made.recv(1), lambda: made.recv_into(bytearray(1))):
            assert error_of(call) == errno.ENOTCONN
        assert error_of(made.shutdown, socket.SHUT_RDWR) == errno.ENOTCONN
        for send in (made.send, made.sendall):
            assert error_of(send, b"x") == errno.EPIPE
        assert error_of(made.accept) == errno.EINVAL
    with connection(sides) as (made, _):
        made.settimeout(None)  # with a timeout the kernel waits before it looks
        assert error_of(made.connect, ("127.0.0.1", 9)) == errno.EISCONN
        assert made.connect_ex(("127.0.0.1", 9)) == errno.EISCONN
        assert error_of(made.accept) == errno.EINVAL
        assert error_of(made.bind, ("", 0)) == errno.EINVAL
        assert error_of(made.listen) == errno.EINVAL


def test_a_closed_socket_says_so(sides: Sides) -> None:
    _, client = sides
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        made = client.new(kind=kind)
        made.close()
        made.close()
        assert made.fileno() == -1
        assert error_of(made.getsockname) == error_of(made.getpeername) == errno.EBADF
        assert error_of(made.recv, 1) == error_of(made.send, b"x") == errno.EBADF
        assert error_of(made.bind, ("", 0)) == errno.EBADF
        assert error_of(made.connect, ("127.0.0.1", 9)) == errno.EBADF
        assert error_of(made.listen) == errno.EBADF


def test_a_socket_that_was_refused_connects_later(sides: Sides) -> None:
    server, client = sides
    with server.new() as listener, client.new() as made:
        listener.bind((server.hosts[socket.AF_INET], 0))
        made.settimeout(None)  # with a timeout the kernel aborts every second attempt
        for _ in range(3):
            assert error_of(made.connect, listener.getsockname()) == errno.ECONNREFUSED
        assert made.connect_ex(listener.getsockname()) == errno.ECONNREFUSED
        listener.listen()
        made.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            made.sendall(b"at last")
            assert accepted.recv(100) == b"at last"


def test_connecting_without_waiting_ends_when_the_socket_is_writable(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, client.new() as made:
        made.setblocking(False)
        assert made.connect_ex(listener.getsockname()) in {0, errno.EINPROGRESS}
        assert made.getsockname()[0] == client.hosts[socket.AF_INET]
        assert select.select([], [made], [], 20)[1] == [made]
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert made.getpeername() == listener.getsockname()
        assert error_of(made.recv, 1) == errno.EAGAIN
        with listener.accept()[0] as accepted:
            assert made.send(b"x") == 1
            assert accepted.recv(1) == b"x"
            assert select.select([made], [], [], 0)[0] == []
            accepted.send(b"y")
            assert select.select([made], [], [], 20)[0] == [made]
    with client.new() as made:
        made.setblocking(False)
        number = made.connect_ex((server.hosts[socket.AF_INET], 9))
        if number == errno.EINPROGRESS:
            assert select.select([], [made], [], 20)[1] == [made]
            number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert number == errno.ECONNREFUSED
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_epoll_may_watch_a_socket_before_it_connects(sides: Sides) -> None:
    server, client = sides
    with select.epoll() as epoll, server.listener() as listener, client.new() as made:
        epoll.register(made, select.EPOLLIN | select.EPOLLET)
        made.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            epoll.poll(0)
            accepted.sendall(b"x")
            assert epoll.poll(20) == [(made.fileno(), select.EPOLLIN)]


def test_a_listener_is_readable_while_a_connection_waits(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, client.new() as made:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        assert select.select([listener], [], [], 0)[0] == []
        listener.settimeout(0.01)
        with pytest.raises(TimeoutError):
            listener.accept()
        listener.setblocking(False)
        assert error_of(listener.accept) == errno.EAGAIN
        made.connect(listener.getsockname())
        assert select.select([listener], [], [], 20)[0] == [listener]
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.gettimeout() is None
        assert error_of(listener.accept) == errno.EAGAIN
        listener.listen(5)


def test_a_socket_that_listens_unbound_gets_a_port(sides: Sides) -> None:
    server, client = sides
    with server.new() as listener, client.new() as made:
        listener.listen()
        assert listener.getsockname()[0] == "0.0.0.0"
        made.connect((server.hosts[socket.AF_INET], listener.getsockname()[1]))
        listener.accept()[0].close()


def test_a_bound_socket_connects_from_its_port(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, client.new() as made:
        made.bind(("", 0))
        port = made.getsockname()[1]
        made.connect(listener.getsockname())
        accepted, address = listener.accept()
        accepted.close()
        assert address == made.getsockname() == (client.hosts[socket.AF_INET], port)


def test_any_thread_connects_and_accepts(sides: Sides) -> None:
    server, client = sides

    def talk() -> None:
        with client.new() as made:
            made.connect(listener.getsockname())
            made.sendall(b"x" * 1000)

    with server.listener() as listener:
        threads = [threading.Thread(target=talk) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            with listener.accept()[0] as accepted:
                assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


def test_copies_and_files_of_a_socket_share_its_connection(sides: Sides) -> None:
    with connection(sides) as (made, accepted):
        with made.dup() as copy:
            assert copy.getpeername() == made.getpeername()
            assert copy.gettimeout() == made.gettimeout()
            copy.sendall(b"copy")
            assert accepted.recv(4) == b"copy"
        with made.makefile("rw") as lines, accepted.makefile("rwb") as others:
            lines.write("line\n")
            lines.flush()
            assert others.readline() == b"line\n"
        with socket.socket(fileno=made.detach()) as plain:
            plain.sendall(b"plain")
            assert accepted.recv(5) == b"plain"
        assert made.fileno() == -1
        assert accepted.recv(1) == b""


def test_a_copy_keeps_a_listener_open(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, listener.dup() as copy, client.new() as made:
        where = listener.getsockname()
        listener.close()
        assert copy.getsockname() == where
        made.connect(where)
        copy.accept()[0].close()
        copy.close()

    def is_refused() -> bool:
        with client.new() as late:
            return late.connect_ex(where) == errno.ECONNREFUSED

    assert eventually(is_refused)


def test_a_fork_accepts_and_serves(sides: Sides) -> None:
    server, client = sides
    with server.listener() as listener, client.new() as made:
        made.connect(listener.getsockname())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                accepted, address = listener.accept()
                accepted.sendall(f"{address[0]} {accepted.recv(100)!r}".encode())
                accepted.close()
                status = 0
            finally:
                os._exit(status)
        made.sendall(b"hello")
        assert made.recv(100).decode() == f"{client.hosts[socket.AF_INET]} b'hello'"
        assert os.waitpid(child, 0)[1] == 0
        assert made.recv(1) == b""


def test_each_direction_ends_by_itself(sides: Sides) -> None:
    with connection(sides) as (made, accepted):
        made.sendall(b"question")
        made.shutdown(socket.SHUT_WR)
        assert accepted.recv(100, socket.MSG_WAITALL) == b"question"
        assert accepted.recv(1) == b""
        accepted.sendall(b"answer")
        accepted.close()
        assert made.recv(100, socket.MSG_WAITALL) == b"answer"
        assert made.recv(1) == b""


def test_a_reset_after_the_end_leaves_what_came_and_the_end(sides: Sides) -> None:
    with connection(sides) as (client, server):
        server.sendall(b"last words")
        server.shutdown(socket.SHUT_WR)
        assert client.recv(4) == b"last"
        reset = struct.pack("ii", 1, 0)  # close resets the connection
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        server.close()
        assert eventually(lambda: not can_send(client), 10)
        assert client.recv(100) == b" words"
        assert client.recv(100) == b""
        assert error_of(client.send, b"x") == errno.EPIPE


def can_send(sock: socket.socket) -> bool:
    """Whether a byte is taken; what was sent to a connection that is gone brings its reset."""
    try:
        sock.send(b"x")
    except BrokenPipeError:
        return False
    return True


def test_options_tell_what_a_socket_is(sides: Sides) -> None:
    _, client = sides
    for family in FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with client.new(family, kind) as made:
                assert (made.family, made.type, made.proto) == (family, kind, 0)
                option = made.getsockopt
                assert option(socket.SOL_SOCKET, socket.SO_TYPE) == kind
                assert option(socket.SOL_SOCKET, socket.SO_DOMAIN) == family
                assert option(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                assert option(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
                protocol = 6 if kind == socket.SOCK_STREAM else 17
                assert option(socket.SOL_SOCKET, socket.SO_PROTOCOL) == protocol
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if kind == socket.SOCK_STREAM:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
                    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
