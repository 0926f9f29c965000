"""`net.patched()`: the standard library's sockets inside a tunnel, for code that takes none.

While there is a block, or a thread or task of one, functions of `socket`, methods of its class
`socket` and what starts work in threads are replaced. Each replacement asks a context variable
whose network the caller is inside of; outside, it calls what it replaced. The class `socket.socket`
itself stays, so that subclasses, `isinstance` and names that were imported earlier keep working.
`blocking` and `network` use this.
"""

from __future__ import annotations

import _socket
import contextlib
import functools
import socket
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from holloway.net.addrinfo import GLOBAL_DEFAULT_TIMEOUT, getaddrinfo
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from holloway.net.addrinfo import Entry
    from holloway.net.from_threads import FromThreads

    Function = Callable[..., Any]


class Inside:
    """What a context is inside of, and whether the threads that it starts are too.

    Contexts outlive the block: those of its tasks and threads. The replacements stay as long.
    """

    __slots__ = ("__weakref__", "network", "threads")

    def __init__(self, network: FromThreads, *, threads: bool) -> None:
        self.network = network
        self.threads = threads
        _replacements.acquire()
        weakref.finalize(self, _replacements.release).atexit = False


_inside: ContextVar[Inside | None] = ContextVar("holloway_inside", default=None)


@contextlib.contextmanager
def patched(network: FromThreads, *, threads: bool) -> Iterator[None]:
    """Be inside the network in this block; see `BlockingNetwork.patched`."""
    token = _inside.set(Inside(network, threads=threads))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # left in another context, which is not inside
            _inside.reset(token)


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Be outside every network in this block."""
    token = _inside.set(None)
    try:
        yield
    finally:
        _inside.reset(token)


class Replacements:
    """Replaced attributes: from the first `acquire` to the last `release`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the collector of garbage may release at any point
        self._users = 0
        self._undo = contextlib.ExitStack()

    def acquire(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for owner, name, make in _table():
                    self._undo.callback(_replace(owner, name, make))

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._undo.close()


def _table() -> list[tuple[Any, str, Callable[[Function], Any]]]:
    import ssl  # not before it is needed, for a quick start
    from concurrent.futures import ThreadPoolExecutor

    return [
        (socket, "create_connection", _create_connection),
        (socket, "getaddrinfo", _getaddrinfo),
        (socket, "gethostbyname", _gethostbyname),
        (socket, "gethostbyname_ex", _gethostbyname_ex),
        (socket, "gethostbyaddr", _gethostbyaddr),
        (socket, "getnameinfo", _getnameinfo),
        (socket.socket, "__new__", _new),
        (socket.socket, "__init__", _init),
        (socket.socket, "connect", _with_address_last),
        (socket.socket, "connect_ex", _with_address_last),
        (socket.socket, "bind", _with_address_last),
        (socket.socket, "sendto", _with_address_last),
        (socket.socket, "sendmsg", functools.partial(_with_address_last, least=4)),
        (ssl.SSLContext, "wrap_socket", _wrap_socket),
        (threading.Thread, "start", _start),
        (ThreadPoolExecutor, "submit", _submit),
    ]


def _replace(owner: Any, name: str, make: Callable[[Function], Any]) -> Callable[[], None]:
    """Replace an attribute and return the inverse, which leaves alone what others have replaced."""
    saved = vars(owner).get(name, ABSENT)
    replacement = make(getattr(owner, name))
    setattr(owner, name, replacement)

    def undo() -> None:
        if vars(owner).get(name) is replacement:
            if saved is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, saved)

    return undo


def _look_up(inside: Inside, host: Any, port: Any, family: int = 0, *rest: int) -> list[Entry]:
    return inside.network.run(getaddrinfo(inside.network.network, host, port, family, *rest))


def _ipv4_addresses(inside: Inside, host: str) -> list[str]:
    found = _look_up(inside, host, None, socket.AF_INET, socket.SOCK_STREAM)
    return [entry[4][0] for entry in found]


def _new(original: Function) -> Any:
    """`socket.socket.__new__`: the network makes the whole socket."""

    def new(cls: type[socket.socket], *arguments: Any, **named: Any) -> socket.socket:
        inside = _inside.get()
        # The arguments of a subclass are its own: `__init__` gets those of `socket.socket`.
        if inside is None or cls is not socket.socket:
            return original(cls, *arguments, **named)  # type: ignore[no-any-return]
        kind = _inet_kind(*arguments, **named)
        if kind is None:
            return original(cls, *arguments, **named)  # type: ignore[no-any-return]
        return _make(inside, *kind)

    return staticmethod(new)


def _init(original: Function) -> Function:
    """`socket.socket.__init__`: a subclass gets the descriptor of a socket of the network."""

    @functools.wraps(original)
    def init(self: socket.socket, *arguments: Any, **named: Any) -> None:
        if _socket.socket.fileno(self) >= 0:
            return  # `__new__` got it from the network
        inside = _inside.get()
        kind = None if inside is None else _inet_kind(*arguments, **named)
        if inside is None or kind is None:
            original(self, *arguments, **named)
            return
        made = _make(inside, *kind)
        if type(made) is not socket.socket:
            from holloway.net.inner_subclass import adopt

            adopt(self, made)  # type: ignore[arg-type]  # it is one of the userspace stack
            return
        timeout = made.gettimeout()
        original(self, *kind, fileno=made.detach())
        self.settimeout(timeout)

    return init


def _inet_kind(
    family: int = -1,
    type: int = -1,  # noqa: A002
    proto: int = -1,
    fileno: int | None = None,
) -> tuple[int, int, int] | None:
    """Return family, type and protocol of a socket that belongs inside, from the arguments."""
    if fileno is not None or family not in (-1, *FAMILIES):
        return None
    return (
        socket.AF_INET if family == -1 else family,
        socket.SOCK_STREAM if type == -1 else type,
        0 if proto == -1 else proto,
    )


def _make(inside: Inside, family: int, type: int, proto: int) -> socket.socket:  # noqa: A002
    made = inside.network.socket(family, type & ~TYPE_FLAGS, proto)
    if type & socket.SOCK_NONBLOCK:
        made.setblocking(False)
    return made


def _with_address_last(original: Function, least: int = 1) -> Function:
    """`connect`, `bind` and `sendto`: libc would look a name up outside.

    With fewer arguments than `least` there is no address.
    """

    @functools.wraps(original)
    def method(self: socket.socket, *arguments: Any) -> Any:
        inside = _inside.get()
        if inside is None or len(arguments) < least or self.family not in FAMILIES:
            return original(self, *arguments)
        return original(self, *arguments[:-1], _looked_up(inside, self.family, arguments[-1]))

    return method


def _looked_up(inside: Inside, family: int, address: Any) -> Any:
    """Return an address of the family with its host as a number; what is none unchanged."""
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str | bytes):
        return address
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in WILDCARDS or numeric(host) is not None:
        return address
    found = _look_up(inside, host, None, family, socket.SOCK_STREAM)
    return found[0][4][0], *address[1:]


def _wrap_socket(original: Function) -> Function:
    """`SSLContext.wrap_socket`: TLS around a socket of the userspace stack that will connect."""

    @functools.wraps(original)
    def wrap_socket(self: Any, sock: socket.socket, *arguments: Any, **named: Any) -> Any:
        from holloway.net.inner_stream import UnconnectedSocket
        from holloway.net.inner_subclass import wrap

        if isinstance(sock, UnconnectedSocket):
            with contextlib.suppress(OSError):
                sock.getpeername()  # if it has connected meanwhile, it becomes a `StreamSocket`
        if type(sock) is UnconnectedSocket:
            return wrap(self, sock, *arguments, **named)
        return original(self, sock, *arguments, **named)

    return wrap_socket


def _create_connection(original: Function) -> Function:
    @functools.wraps(original)
    def create_connection(
        address: tuple[Any, ...],
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
        source_address: tuple[Any, ...] | None = None,
        *,
        all_errors: bool = False,
    ) -> socket.socket:
        inside = _inside.get()
        connect = original if inside is None else inside.network.create_connection
        return connect(address, timeout, source_address, all_errors=all_errors)

    return create_connection


def _getaddrinfo(original: Function) -> Function:
    @functools.wraps(original)
    def getaddrinfo(  # noqa: PLR0913, PLR0917
        host: str | bytes | None,
        port: str | bytes | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[Entry]:
        inside = _inside.get()
        look_up = original if inside is None else functools.partial(_look_up, inside)
        return look_up(host, port, family, type, proto, flags)

    return getaddrinfo


def _gethostbyname(original: Function) -> Function:
    @functools.wraps(original)
    def gethostbyname(host: str) -> str:
        inside = _inside.get()
        if inside is None or host in WILDCARDS:
            return original(host)  # type: ignore[no-any-return]
        return _ipv4_addresses(inside, host)[0]

    return gethostbyname


def _gethostbyname_ex(original: Function) -> Function:
    @functools.wraps(original)
    def gethostbyname_ex(host: str) -> tuple[str, list[str], list[str]]:
        inside = _inside.get()
        if inside is None or host in WILDCARDS:
            return original(host)  # type: ignore[no-any-return]
        return host, [], _ipv4_addresses(inside, host)

    return gethostbyname_ex


def _gethostbyaddr(original: Function) -> Function:
    """A network looks up no names of addresses: for one there is no answer, without delay."""

    @functools.wraps(original)
    def gethostbyaddr(host: str) -> tuple[str, list[str], list[str]]:
        inside = _inside.get()
        if inside is None:
            return original(host)  # type: ignore[no-any-return]
        if numeric(host) is not None:
            raise socket.herror(HOST_NOT_FOUND, "Unknown host")
        found = _look_up(inside, host, None, 0, socket.SOCK_STREAM)
        return host, [], [entry[4][0] for entry in found]

    return gethostbyaddr


def _getnameinfo(original: Function) -> Function:
    @functools.wraps(original)
    def getnameinfo(address: tuple[Any, ...], flags: int) -> tuple[str, str]:
        if _inside.get() is None:
            return original(address, flags)  # type: ignore[no-any-return]
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(address, flags | socket.NI_NUMERICHOST)  # type: ignore[no-any-return]

    return getnameinfo


def _start(original: Function) -> Function:
    """`threading.Thread.start`: the thread is inside too, as a task would be."""

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        inside = _inside.get()
        if inside is not None:
            inherited = [inside if inside.threads else None]
            run = self.run

            def run_once() -> None:
                del self.run  # with which the thread would refer to the network for ever
                _run(inherited.pop(), run)

            self.run = run_once  # type: ignore[method-assign]
        original(self)

    return start


def _submit(original: Function) -> Function:
    """`ThreadPoolExecutor.submit`: the work is inside, not the thread, which others use too."""

    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, work: Function, /, *arguments: Any, **named: Any) -> Any:
        inside = _inside.get()
        if inside is None or not inside.threads:
            return original(self, work, *arguments, **named)
        with outside():
            return original(self, _run, inside, work, *arguments, **named)

    return submit


def _run(inside: Inside | None, work: Function, /, *arguments: Any, **named: Any) -> Any:
    token = _inside.set(inside)
    try:
        return work(*arguments, **named)
    finally:
        _inside.reset(token)


ABSENT: Final = object()
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
TYPE_FLAGS: Final = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
WILDCARDS: Final = ("", "<broadcast>")  # names that `socket` itself knows
HOST_NOT_FOUND: Final = 1  # netdb.h
_replacements: Final = Replacements()
