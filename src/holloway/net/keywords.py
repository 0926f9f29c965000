"""The settings of a network from a program's arguments, with text where it has one meaning.

Every `ConfigError` and `TypeError` names the argument, as in `peers[0].endpoint`. Names of
endpoints are looked up later, with the given resolver. Called by `network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TYPE_CHECKING, Any, Final, Required, TypedDict

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import MAX_PORT, AllowedIP, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.net.arguments import checked_port, kind_of
from holloway.net.settings import (
    DEFAULT_MTU,
    FALLBACK_NAME,
    MAX_MTU,
    MIN_MTU,
    NAME,
    Settings,
    own_addresses,
)

if TYPE_CHECKING:
    from holloway.text.resolver import Resolver

AnyKey = Key | str
"""A key, or its 44 characters of base64."""

AnyEndpoint = Endpoint | str | tuple[str, int]
"""An endpoint, `host:port` or `[address]:port`, or both as a tuple; the host may be a name."""

Network = IPv4Network | IPv6Network | IPv4Interface | IPv6Interface | IPv4Address | IPv6Address
Texts = str | Network | Iterable[str | Network]
"""Addresses or networks: one, several in one text with commas between, or several values."""


class PeerArguments(TypedDict, total=False):
    """A peer as a `dict`, with the names of `PeerUpdate`; annotate one to have it checked."""

    public_key: Required[AnyKey]
    preshared_key: AnyKey | None
    endpoint: AnyEndpoint | None
    allowed_ips: Texts | Iterable[AllowedIP]
    persistent_keepalive: int | None


AnyPeer = Peer | PeerUpdate | Mapping[str, object]
"""A peer; a mapping has the names of `PeerArguments`."""


@dataclass(frozen=True, slots=True)
class NamedEndpoints:
    """Endpoints with names, by the place of their peer: host, service, and the whole text."""

    names: dict[int, tuple[str, str, str]]

    def resolved(self, update: DeviceUpdate, resolver: Resolver) -> DeviceUpdate:
        """Look the names up; raises ConfigError."""
        peers = list(update.peers)
        for index, (host, service, text) in self.names.items():
            try:
                endpoint = resolver.endpoint(host, service, text)
            except ConfigError as error:
                raise ConfigError(error.reason, key=_endpoint_of(index)) from None
            peers[index] = replace(peers[index], endpoint=endpoint)
        return replace(update, peers=tuple(peers))


def from_arguments(
    *,
    private_key: AnyKey,
    peers: AnyPeer | Iterable[AnyPeer] = (),
    addresses: Texts = (),
    dns: Texts = (),
    mtu: int = DEFAULT_MTU,
    listen_port: int = 0,
    name: str = FALLBACK_NAME,
) -> Settings:
    """Check a program's arguments; raises ConfigError and TypeError."""
    names: dict[int, tuple[str, str, str]] = {}
    updates = tuple(
        _peer(peer, f"peers[{index}]", lambda found, place=index: names.update({place: found}))
        for index, peer in enumerate(_each(peers, "peers", (Peer, PeerUpdate, Mapping)))
    )
    return Settings(
        name=name if NAME.fullmatch(_text(name, "name")) else FALLBACK_NAME,
        update=DeviceUpdate(
            private_key=_private_key(private_key),
            listen_port=checked_port(listen_port, "listen_port"),
            replace_peers=True,
            peers=updates,
        ),
        addresses=own_addresses(_texts(addresses, "addresses"), "addresses"),
        dns=tuple(_texts(dns, "dns")),
        mtu=_number(mtu, "mtu", MIN_MTU, MAX_MTU),
        source=NamedEndpoints(names) if names else None,
    )


def converted(update: DeviceUpdate) -> DeviceUpdate:
    """Return an update whose text is converted; a name of an endpoint is refused."""

    def refuse(key: str, found: tuple[str, str, str]) -> None:
        raise ConfigError(f"`{found[2]}' is a name: look it up before `set'", key=key)

    peers = tuple(
        _peer(
            peer, f"peers[{index}]", lambda found, place=index: refuse(_endpoint_of(place), found)
        )
        for index, peer in enumerate(_each(update.peers, "peers", (PeerUpdate, Mapping)))
    )
    private_key = None if update.private_key is None else _key(update.private_key, "private_key")
    if update.listen_port is not None:
        checked_port(update.listen_port, "listen_port")
    return replace(update, private_key=private_key, peers=peers)


def _peer(given: object, key: str, note_name: Any) -> PeerUpdate:
    """Convert a peer; `note_name` gets an endpoint that is a name."""
    if isinstance(given, Peer):
        values: dict[str, Any] = {each: getattr(given, each) for each in _PEER}
    elif isinstance(given, PeerUpdate):
        values = {each.name: getattr(given, each.name) for each in fields(PeerUpdate)}
    elif isinstance(given, Mapping):
        values = _known(given, key)
    else:
        raise TypeError(f"{key} is a Peer, a PeerUpdate or a dict, not {kind_of(given)}")
    values["public_key"] = _key(values["public_key"], f"{key}.public_key")
    if values.get("preshared_key") is not None:
        values["preshared_key"] = _key(values["preshared_key"], f"{key}.preshared_key")
    for each in ("allowed_ips", "removed_allowed_ips"):
        values[each] = tuple(_allowed_ips(values.get(each, ()), f"{key}.{each}"))
    if values.get("persistent_keepalive") is not None:
        keepalive = f"{key}.persistent_keepalive"
        _number(values["persistent_keepalive"], keepalive, 0, MAX_PORT)
    endpoint = _endpoint(values.get("endpoint"), f"{key}.endpoint")
    values["endpoint"] = endpoint if isinstance(endpoint, Endpoint) else None
    if isinstance(endpoint, tuple):
        note_name(endpoint)
    return PeerUpdate(**values)


def _known(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    for each in given:
        if each not in _PEER:
            from difflib import get_close_matches

            close = get_close_matches(str(each).lower(), _PEER, n=1, cutoff=0.5)
            hint = f"; is it `{close[0]}'?" if close else f"; there are {', '.join(_PEER)}"
            raise ConfigError(f"`{each}' is no setting of a peer{hint}", key=key)
    if "public_key" not in given:
        raise ConfigError("a peer needs a public_key", key=key)
    return dict(given)


def _private_key(given: object) -> Key:
    key = _key(given, "private_key")
    if not key:
        raise ConfigError("a network needs a private key: Key.generate() makes one",
                          key="private_key")  # fmt: skip
    return key


def _key(given: object, key: str) -> Key:
    if isinstance(given, Key):
        return given
    try:
        return Key.from_base64(_text(given, key, "a Key or its base64").strip())
    except KeyFormatError as error:
        raise ConfigError(str(error), key=key) from None


def _endpoint(given: object, key: str) -> Endpoint | tuple[str, str, str] | None:
    """Return an endpoint, or the parts of one that is a name."""
    if given is None or isinstance(given, Endpoint):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        host, service = given
        host = _text(host, key).removeprefix("[").removesuffix("]")
    else:
        text = _text(given, key, "an Endpoint, `host:port' or (host, port)").strip()
        host, colon, service = text.rpartition(":")
        has_brackets = host.startswith("[") and host.endswith("]")
        if not colon or not host or (":" in host and not has_brackets):
            raise ConfigError(f"`{text}' is not host:port or [address]:port", key=key)
        host = host.strip("[]")
    port = checked_port(service, key)
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return Endpoint.parse(text)
    except ValueError:
        if not host or ":" in host or any(each.isspace() for each in host):
            raise ConfigError(f"`{host}' is neither an address nor a name", key=key) from None
        return host, str(port), text


def _allowed_ips(given: object, key: str) -> Iterable[AllowedIP]:
    for each in _each(given, key, (str, AllowedIP, *_NETWORKS)):
        if isinstance(each, AllowedIP):
            yield each
            continue
        for text in _texts(each, key):
            try:
                yield AllowedIP.parse(text)
            except ValueError:
                raise ConfigError(f"`{text}' is not an IP address or network", key=key) from None


def _texts(given: object, key: str) -> Iterable[str]:
    """Yield each address or name of one text, one value, or several."""
    for each in _each(given, key, (str, *_NETWORKS)):
        text = str(each) if isinstance(each, _NETWORKS) else _text(each, key)
        yield from text.replace(",", " ").split()


def _each(given: Any, key: str, one: tuple[type, ...]) -> Iterable[Any]:
    """Return a value that stands for itself as the only one, or several as they are."""
    if isinstance(given, one):
        return (given,)
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{key} is one value or several, not {kind_of(given)}")
    return given


def _text(given: object, key: str, wanted: str = "text") -> str:
    if not isinstance(given, str):
        raise TypeError(f"{key} is {wanted}, not {kind_of(given)}")
    return given


def _number(given: object, key: str, least: int, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{key} is a number, not {kind_of(given)}")
    if not least <= given <= most:
        raise ConfigError(f"`{given}' is not from {least} to {most}", key=key)
    return given


def _endpoint_of(index: int) -> str:
    return f"peers[{index}].endpoint"


_PEER: Final = (
    "public_key", "preshared_key", "endpoint", "allowed_ips", "persistent_keepalive",
)  # fmt: skip
_NETWORKS: Final = (
    IPv4Network, IPv6Network, IPv4Interface, IPv6Interface, IPv4Address, IPv6Address,
)  # fmt: skip
