"""Libraries for asyncio, trio and anyio reach real servers through a tunnel, without glue.

Each row of the section of that name in docs/reference/libraries.md is one of these tests.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import REPOSITORY
from net.home_lab import DIRECTORY, HomeLab, home_lab
from net.loop_programs import PROGRAMS, TRIO_PROGRAMS
from net.unprivileged import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

PROGRAM, SERVERS = (
    Path(__file__).with_name(name) for name in ("loop_programs.py", "loop_servers.py")
)
PAGE = REPOSITORY / "docs/reference/libraries.md"
NGINX = f"""
daemon off; pid /run/nginx.pid; error_log stderr crit; user root;
events {{}}
http {{
    access_log off;
    client_body_temp_path /run/nginx; proxy_temp_path /run/nginx; fastcgi_temp_path /run/nginx;
    uwsgi_temp_path /run/nginx; scgi_temp_path /run/nginx;
    server {{
        listen 10.10.10.5:8080; listen [fd10::5]:8080; listen 10.10.10.5:8443 ssl;
        ssl_certificate {DIRECTORY}/certificate.pem;
        ssl_certificate_key {DIRECTORY}/certificate.pem;
        location / {{ return 200 "$uri by nginx\\n"; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[HomeLab]:
    with ExitStack() as ended, home_lab() as built:  # the hosts end what runs in them
        built.serve_postgresql()
        built.server.write("/run/nginx.conf", NGINX)
        for command in (
            ["nginx", "-c", "/run/nginx.conf"],
            ["redis-server", "--bind", "10.10.10.5", "--save", "", "--protected-mode", "no",
             "--dir", "/run", "--logfile", "/run/redis.log"],
            [sys.executable, str(SERVERS), DIRECTORY],
        ):  # fmt: skip
            process = built.server.popen(*command)
            ended.callback(process.communicate)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield built


@pytest.mark.parametrize("stack", ["kernel", "userspace"])
@pytest.mark.parametrize("name", [*PROGRAMS, *TRIO_PROGRAMS])
def test_a_library_needs_no_glue(lab: HomeLab, name: str, stack: str) -> None:
    command = f"cd {DIRECTORY} && exec {sys.executable} -W error {PROGRAM} {name} {stack}"
    done = lab.laptop.run(*unprivileged("sh", "-c", command), check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
