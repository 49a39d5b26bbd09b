"""What systemd is told of a fleet that it has started (sd_notify(3)): ready, alive, ending; nothing without systemd.

Ready is a fleet once a camera delivers. Until then it asks for more time as long as its loop turns: a fleet whose
cameras are all down tries them for ever, and is not to be killed for that. Alive is it while the thread that runs it
does what it is asked; the time before it runs, while the model is loaded, is the unit's TimeoutStartSec.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, MutableMapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pipeline.observe.tally import FleetTally
    from pipeline.observe.watch import FleetWatch
    from pipeline.supervise.running import Running

TURN_S = 1.0
"""How often it is told at least; with a watchdog, three times in what that allows."""
MORE_TIME_S = 30.0
"""Asked for with every turn until a camera delivers."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Who has started this process and wants to hear of it.

    Attributes:
        address: Its socket; an abstract one begins with @.
        watchdog_s: After so long without a word it ends the process; None where it does not.
    """

    address: str
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self | None:
        """What the environment says, which is taken out of it: the fleet's other processes have nothing to tell."""
        address = environ.pop("NOTIFY_SOCKET", "")
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")):
            return None
        watched = usec.isdecimal() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if watched else None)

    @property
    def turn_s(self) -> float:
        """How often to say something."""
        return TURN_S if self.watchdog_s is None else min(TURN_S, self.watchdog_s / 3)

    def tell(self, *lines: str) -> None:
        """Say it; what cannot be said is lost."""
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as link:
            link.sendto("\n".join(lines).encode(), address)


class Telling:
    """Tells the manager how a fleet is, from a thread of its own, until closed."""

    def __init__(self, manager: Manager, running: Running, watch: FleetWatch) -> None:
        """Begin to tell.

        Args:
            manager: Is told.
            running: The fleet, which is asked to do nothing, again and again: whether it does.
            watch: Knows which cameras deliver.
        """
        self._manager, self._running, self._watch = manager, running, watch
        self._ready = False
        self._asked: Future[None] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say that the fleet ends, and nothing more."""
        self._ending.set()
        self._thread.join(self._manager.turn_s + TURN_S)
        self._manager.tell("STOPPING=1", "STATUS=ending")

    def _run(self) -> None:
        while not self._ending.wait(self._manager.turn_s):
            if self._turns():
                self._manager.tell(*self._words(self._watch.live()))

    def _turns(self) -> bool:
        """Whether the fleet's loop did what it was asked, within a turn."""
        from pipeline.errors import PipelineError

        self._asked = self._asked or self._running.submit(_nothing)
        try:
            self._asked.result(self._manager.turn_s)
        except TimeoutError:
            return False  # Asked once: it may be busy for as long as the watchdog allows.
        except PipelineError:
            return False  # It has ended.
        self._asked = None
        return True

    def _words(self, tally: FleetTally) -> list[str]:
        words = [] if self._manager.watchdog_s is None else ["WATCHDOG=1"]
        if not self._ready and any(camera.decoded for camera in tally.cameras):
            self._ready = True
            words.append("READY=1")
        if not self._ready:
            words.append(f"EXTEND_TIMEOUT_USEC={MORE_TIME_S * 1e6:.0f}")
        return [*words, f"STATUS={status_of(tally)}"]


@contextmanager
def told_to_manager(running: Running, watch: FleetWatch) -> Iterator[None]:
    """While inside, whoever has started this process is told how the fleet is, if it wants to be."""
    manager = Manager.of(os.environ)
    if manager is None:
        yield
        return
    telling = Telling(manager, running, watch)
    try:
        yield
    finally:
        telling.close()


def status_of(tally: FleetTally) -> str:
    """One line: how many cameras are live, and how the others are."""
    from pipeline.observe.words import some

    others = [f"{one.camera_id} is {one.state}" for one in tally.cameras if one.state != "live"]
    live = len(tally.cameras) - len(others)
    return f"{live} of {len(tally.cameras)} cameras live" + (f": {some(others)}" if others else "")


def _nothing(running: Any) -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
