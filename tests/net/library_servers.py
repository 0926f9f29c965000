"""Servers at home for libraries: FTP, mail, XML-RPC, Redis, MQTT, PostgreSQL and MariaDB.

`serve_libraries` starts them in the home of a lab; this file is also the program that serves what
Python itself serves there.
"""

from __future__ import annotations

import shutil
import sys
import threading
from typing import TYPE_CHECKING, Any
from xmlrpc.server import SimpleXMLRPCServer

if TYPE_CHECKING:
    from net.home_lab import HomeLab

HOST = "10.10.10.5"
PORTS = {
    "vsftpd": 21,
    "smtp": 25,
    "mosquitto": 1883,
    "mariadb": 3306,
    "redis": 6379,
    "xmlrpc": 8000,
}
VSFTPD = f"""\
listen=YES
listen_address={HOST}
background=NO
anonymous_enable=YES
no_anon_password=YES
local_enable=NO
ftp_username=ftp
anon_root=/run/ftp
secure_chroot_dir=/run/ftp
connect_from_port_20=YES
xferlog_enable=NO
seccomp_sandbox=NO
"""
MOSQUITTO = f"""\
listener 1883 {HOST}
allow_anonymous true
persistence false
user root
"""
MARIADB = f"""\
mkdir -p /run/mariadb && chown 65534:65534 /run/mariadb && cd /run/mariadb
exec setpriv --reuid 65534 --regid 65534 --clear-groups mariadbd --no-defaults \
    --datadir=/run/mariadb --socket=/run/mariadb/socket --pid-file=/run/mariadb/pid \
    --bind-address={HOST} --skip-grant-tables --skip-networking=0 --skip-name-resolve \
    --innodb-buffer-pool-size=8M --innodb-log-file-size=4M --innodb-flush-method=fsync
"""
REDIS = ["redis-server", "--bind", HOST, "--protected-mode", "no", "--save", ""]
WAIT = """\
import socket, sys, time
for port in map(int, sys.argv[2:]):
    while True:
        try:
            socket.create_connection((sys.argv[1], port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
"""


def missing_programs() -> list[str]:
    """Return the servers that are not installed."""
    programs = ("vsftpd", "mosquitto", "redis-server", "mariadbd")
    return [program for program in programs if shutil.which(program) is None]


def serve_libraries(lab: HomeLab) -> None:
    """Start all servers, and wait until they accept connections."""
    server = lab.server
    server.run("mkdir", "-m", "755", "/run/ftp")
    server.write("/run/ftp/hello", "hello of the home\n", 0o644)
    server.write("/run/vsftpd.conf", VSFTPD)
    server.write("/run/mosquitto.conf", MOSQUITTO)
    for command in (
        ["vsftpd", "/run/vsftpd.conf"],
        ["mosquitto", "-c", "/run/mosquitto.conf"],
        REDIS,
        ["sh", "-c", MARIADB],
        [sys.executable, __file__],
    ):
        lab.start(*command)
    lab.serve_postgresql()
    _wait(lab, *PORTS.values())


def serve_redis(lab: HomeLab) -> None:
    """Start Redis alone."""
    lab.start(*REDIS)
    _wait(lab, PORTS["redis"])


def _wait(lab: HomeLab, *ports: int) -> None:
    lab.server.run(sys.executable, "-c", WAIT, HOST, *map(str, ports))


class Mail:
    """Answers with who sent a message."""

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, _server: object, session: Any, _envelope: object
    ) -> str:
        return f"250 from {session.peer[0]}, {session.host_name}"


def main() -> None:
    from aiosmtpd.controller import Controller

    Controller(Mail(), hostname=HOST, port=PORTS["smtp"]).start()
    with SimpleXMLRPCServer((HOST, PORTS["xmlrpc"]), logRequests=False) as server:
        server.register_function(lambda base, exponent: base**exponent, "pow")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        thread.join()


if __name__ == "__main__":
    main()
