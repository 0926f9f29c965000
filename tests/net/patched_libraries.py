"""Libraries that make their own sockets, unmodified, in `net.patched()`: a program for the laptop.

Prints for each, as JSON, what it got from its server at home, or the traceback. Runs in the
directory of a lab's files, with the stack as its argument.
"""

from __future__ import annotations

import contextlib
import ftplib
import json
import queue
import smtplib
import ssl
import sys
import traceback
import urllib.request
import xmlrpc.client
from typing import TYPE_CHECKING, Any

import holloway

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 20


def urllib_request() -> object:
    context = ssl.create_default_context(cafile="home-ca.pem")
    found = []
    for url in ("http://nas.home/plain", "https://nas.home/secret", "http://[fd10::5]/six"):
        with urllib.request.urlopen(url, timeout=TIMEOUT, context=context) as answer:
            found.append(answer.read().decode())
    return found


def requests_get() -> object:
    import requests

    answer = requests.get("https://nas.home/secret", timeout=TIMEOUT, verify="home-ca.pem")
    return answer.text


def ftp(passive: bool) -> object:
    lines: list[str] = []
    with ftplib.FTP("nas.home", timeout=TIMEOUT) as client:
        client.set_pasv(passive)
        client.login()
        client.retrlines("RETR hello", lines.append)
    return lines


def ftplib_passive() -> object:
    return ftp(passive=True)


def ftplib_active() -> object:
    return ftp(passive=False)


def smtp() -> object:
    with smtplib.SMTP("nas.home", timeout=TIMEOUT) as client:
        client.ehlo()
        client.mail("laptop@home")
        client.rcpt("nas@home")
        return client.data("Subject: hello\r\n\r\nhello\r\n")[1].decode()


def xmlrpc_client() -> object:
    with xmlrpc.client.ServerProxy("http://nas.home:8000") as proxy:
        return proxy.pow(2, 10)


def paho() -> object:
    """A thread of paho's connects, so that it is inside too."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    came: queue.Queue[str] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)

    def subscribe(*_: object) -> None:
        client.subscribe("home/#")

    def publish(*_: object) -> None:
        client.publish("home/nas", "hello")

    client.on_connect = subscribe
    client.on_subscribe = publish
    client.on_message = lambda _client, _data, message: came.put(message.payload.decode())
    client.connect_async("nas.home")
    client.loop_start()
    try:
        return came.get(timeout=TIMEOUT)
    finally:
        client.disconnect()
        client.loop_stop()


def redis_client() -> object:
    import redis

    with contextlib.closing(redis.Redis("nas.home", socket_timeout=TIMEOUT)) as client:
        client.set("hello", "home")
        (info,) = client.client_list()
        return [client.get("hello").decode(), info["addr"].rpartition(":")[0]]  # type: ignore[union-attr]


def pg8000_native() -> object:
    import pg8000.native  # type: ignore[import-untyped]

    with contextlib.closing(
        pg8000.native.Connection("laptop", host="db.home", database="postgres", timeout=TIMEOUT)
    ) as connection:
        return connection.run("select host(inet_client_addr()), 1 + 1")


def pymysql_client() -> object:
    import pymysql

    with (
        pymysql.connect(host="db.home", connect_timeout=TIMEOUT) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select 1 + %s", (1,))
        return cursor.fetchall()


def dnspython() -> object:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["10.10.10.1"]
    found = []
    for tcp in (False, True):
        answer = resolver.resolve("nas.home", "AAAA", tcp=tcp, lifetime=TIMEOUT)
        found += [str(each) for each in answer]
    return found


def paramiko_client() -> object:
    import paramiko

    with paramiko.SSHClient() as client:
        client.load_host_keys("known_hosts")
        client.connect(
            "nas.home", username="laptop", key_filename="id_ed25519", timeout=TIMEOUT,
            allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        _, printed, _ = client.exec_command("uptime", timeout=TIMEOUT)
        return printed.read().decode()


LIBRARIES: dict[str, tuple[Callable[[], object], Any]] = {
    "urllib.request": (
        urllib_request,
        ["/plain for 10.10.10.2", "/secret for 10.10.10.2", "/six for fd10::2"],
    ),
    "requests": (requests_get, "/secret for 10.10.10.2"),
    "ftplib, passive": (ftplib_passive, ["hello of the home"]),
    "ftplib, active": (ftplib_active, ["hello of the home"]),
    "smtplib": (smtp, "from 10.10.10.2, [10.10.10.2]"),
    "xmlrpc": (xmlrpc_client, 1024),
    "paho-mqtt": (paho, "hello"),
    "redis": (redis_client, ["home", "10.10.10.2"]),
    "pg8000": (pg8000_native, [["10.10.10.2", 2]]),
    "PyMySQL": (pymysql_client, [[2]]),
    "dnspython": (dnspython, ["fd10::5", "fd10::5"]),
    "paramiko": (paramiko_client, "nas: uptime\n"),
}
"""What uses each library, and what that returns."""


def main(stack: str) -> None:
    with holloway.open("laptop.conf", stack=stack) as net, net.patched():
        for name, (use, _) in LIBRARIES.items():
            try:
                found = use()
            except BaseException:
                found = traceback.format_exc()
            print(json.dumps({name: found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
