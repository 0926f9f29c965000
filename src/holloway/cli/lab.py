"""`holloway lab`: a network of hosts on this machine to experiment with.

`holloway.lab` builds it; here are the commands, also those from another terminal. The lab ends with
the process that built it, however that ends.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from typing import NoReturn

from holloway import lab
from holloway.cli import display
from holloway.lab import Lab, Topology, running
from holloway.lab.topologies import TOPOLOGIES

USAGE = """\
Usage: holloway lab
       holloway lab TOPOLOGY [--no-steps]
       holloway lab shell [TOPOLOGY/]HOST [COMMAND...]
       holloway lab down [TOPOLOGY]"""
HELP = f"""{USAGE}

Builds a network of hosts on this machine, each with its own interfaces, processes and
/etc/wireguard. Connects them by WireGuard as a page of the Ubuntu Server guide does, and explains
each step. The lab runs until Ctrl-C or `holloway lab down`, and leaves nothing behind. Needs root.

Without arguments it lists the topologies, and marks those that run. COMMAND is a line of shell, as
with ssh.

  --no-steps    connect the hosts and write their files, but bring no tunnel up

Examples:
  sudo holloway lab site-to-site
  sudo holloway lab shell alpha                     open a shell on a host, in another terminal
  sudo holloway lab shell alpha wg show             run one command there
  sudo holloway lab shell alpha 'ip a; ip route'    run several
  sudo holloway lab shell site-to-site/laptop       if more than one lab has a laptop
  sudo holloway lab down                            end all labs
"""


def main(arguments: list[str]) -> int:
    """Run `holloway lab`; returns the exit status."""
    match arguments:
        case ["-h" | "--help" | "help"]:
            print(HELP, end="")
            return 0
        case []:
            return _list()
        case ["shell", host, *command]:
            return _as_root() or _shell(host, command)
        case ["down", *names] if len(names) <= 1:
            return _as_root() or _down(names)
        case [name] if name in TOPOLOGIES:
            return _as_root() or _run(TOPOLOGIES[name], with_steps=True)
        case [name, "--no-steps"] | ["--no-steps", name] if name in TOPOLOGIES:
            return _as_root() or _run(TOPOLOGIES[name], with_steps=False)
        case [name]:
            print(f"There is no topology {name!r}: {', '.join(TOPOLOGIES)}", file=sys.stderr)
    print(USAGE, file=sys.stderr)
    return 1


def _list() -> int:
    runs = {found.topology for found in running.running_labs()} if os.geteuid() == 0 else set()
    for topology in TOPOLOGIES.values():
        mark = "  (running)" if topology.name in runs else ""
        print(f"{display.bold(topology.name)}{mark}\n  {topology.summary}\n{topology.diagram}")
    return 0


def _as_root() -> int:
    if os.geteuid() == 0:
        return 0
    print("A lab needs root, for network namespaces and TUN interfaces.\n"
          "Run it as:  sudo holloway lab ...", file=sys.stderr)  # fmt: skip
    return 1


def _run(topology: Topology, *, with_steps: bool) -> int:
    programs = [program for program in topology.programs if shutil.which(program) is None]
    if missing := lab.missing_tools() + programs:
        print(f"This lab needs these programs: {', '.join(missing)}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with running.claim(topology.name) as state_file, Lab(topology) as built:
            state_file.write_hosts({name: host.pid for name, host in built.hosts.items()})
            _present(built)
            if with_steps:
                _take_steps(built)
            _wait(topology)
    except KeyboardInterrupt:
        print("\nThe lab is down, and nothing is left of it.")
        return 0
    except running.AlreadyRunning:
        print(f"The lab {topology.name} runs already. To end it: holloway lab down",
              file=sys.stderr)  # fmt: skip
    except subprocess.CalledProcessError as error:
        print(f"\nThis command failed: {' '.join(error.cmd)}\n{error.stdout or ''}"
              f"{error.stderr or ''}", file=sys.stderr)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"\nThe lab failed: {error}", file=sys.stderr)
    return 1


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _present(built: Lab) -> None:
    topology = built.topology
    print(display.bold(f"{topology.name}: {topology.summary}"))
    print(topology.diagram)
    built.make_keys()
    display.explain("Each host with a tunnel has made its own key pair. Only the public keys are"
                    " copied, into the files of the other hosts:")  # fmt: skip
    for tunnel in topology.tunnels:
        built.configure(tunnel.host)
        text = built.with_public_keys(tunnel.config)
        hidden = text.replace(f"<private key of {tunnel.host}>", "(hidden)")
        display.file(tunnel.host, f"/etc/wireguard/{tunnel.interface}.conf", hidden)


def _take_steps(built: Lab) -> None:
    for step in built.topology.steps:
        print()
        display.explain(step.text)
        display.prompt(step.host, step.command)
        display.output(built.sh(step.host, f"exec 2>&1; {step.command}").stdout)


def _wait(topology: Topology) -> NoReturn:
    """Keep the lab up until a signal ends it."""
    print(f"\n{display.bold('The lab is up.')} From another terminal:")
    for host in topology.hosts:
        print(f"  sudo holloway lab shell {host}")
    print("Ctrl-C here, or `sudo holloway lab down` there, takes it down.", flush=True)
    while True:
        signal.pause()


def _shell(argument: str, command: list[str]) -> int:
    """Run a shell, or another command, on a host."""
    topology, _, host = argument.rpartition("/")
    labs = [found for found in running.running_labs() if topology in {"", found.topology}]
    matches = [found for found in labs if host in found.hosts]
    if len(matches) != 1:
        print(_not_one(host, labs, matches), file=sys.stderr)
        return 1
    in_place = f'cd {lab.CONFIG_DIRECTORY} && exec "$@"'
    # As with ssh, the words are one line of a shell: `shell alpha 'a; b'` runs both commands.
    words = ["bash", "-c", " ".join(command)] if command else ["bash"]
    inside = lab.enter(matches[0].hosts[host], "sh", "-c", in_place, "sh", *words)
    return subprocess.run(inside, check=False, env=os.environ | lab.environment()).returncode


def _not_one(host: str, labs: list[running.RunningLab], matches: list[running.RunningLab]) -> str:
    if matches:
        choices = " or ".join(f"{found.topology}/{host}" for found in matches)
        return f"More than one lab has a host {host}: name {choices}"
    if labs:
        return f"There is no host {host}: {', '.join(name for run in labs for name in run.hosts)}"
    return f"No such lab runs; start one of {', '.join(TOPOLOGIES)}"


def _down(names: list[str]) -> int:
    labs = [found for found in running.running_labs() if not names or found.topology in names]
    if not labs:
        print("No such lab runs.", file=sys.stderr)
        return 1
    for found in labs:
        process = os.pidfd_open(found.pid)
        signal.pidfd_send_signal(process, signal.SIGTERM)
        select.select([process], [], [])
        os.close(process)
        print(f"{found.topology} is down.")
    return 0
