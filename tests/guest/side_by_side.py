"""Our programs and the original ones in the guest, run on the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guest.machine import ORIGINAL, OURS, Done

if TYPE_CHECKING:
    from guest.machine import Machine


@dataclass
class SideBySide:
    """Two interfaces, wg0 and wg1, and two programs called `wg`."""

    machine: Machine

    def ours(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run our `wg`."""
        return self._run(OURS, arguments, stdin, environment)

    def original(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run the original `wg`."""
        return self._run(ORIGINAL, arguments, stdin, environment)

    def equal(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run both with the same arguments, check that all is the same, and return it."""
        ours = self.ours(*arguments, stdin=stdin, **environment)
        assert ours == self.original(*arguments, stdin=stdin, **environment), arguments
        return ours

    def change(self, command: str, *arguments: str, stdin: str = "") -> Done:
        """Change wg0 with ours and wg1 with the original, and check that both are the same then."""
        ours = self.ours(command, "wg0", *arguments, stdin=stdin)
        theirs = self.original(command, "wg1", *arguments, stdin=stdin)
        assert ours == theirs, (command, arguments)
        assert self.state("wg0") == self.state("wg1"), (command, arguments)
        return ours

    def state(self, interface: str) -> list[str]:
        """Return all that can be set on an interface, peers in one order, without random ports."""
        dump = self.machine.must("/usr/bin/wg", "show", interface, "dump")
        device, *peers = dump.splitlines()
        # Without the port, of which each interface has its own.
        private, public, _, mark = device.split("\t")
        fields = sorted(line.split("\t") for line in peers)
        for peer in fields:
            peer[3] = ",".join(sorted(peer[3].split(",")))
            peer[4:7] = []
        return ["\t".join(line) for line in ([private, public, mark], *fields)]

    def _run(
        self, path: str, arguments: tuple[str, ...], stdin: str, environment: dict[str, str]
    ) -> Done:
        return self.machine.run("wg", *arguments, stdin=stdin,
                                environment={"PATH": path, **environment})  # fmt: skip
