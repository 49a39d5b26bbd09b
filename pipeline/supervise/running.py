"""A fleet that runs, as those see it who ask and change it: on one machine (`Supervisor`), or over several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.config.values import Fleet
from pipeline.supervise.changes import Changes
from pipeline.supervise.status import ProcessStatus
from pipeline.worker.process import WorkerReady

A = TypeVar("A")


class Ready(Protocol):
    """Where the results of a fleet are."""

    @property
    def endpoint(self) -> str:
        """For subscribers, with the port."""

    @property
    def inside(self) -> str:
        """For the fleet's own members."""

    @property
    def json_endpoint(self) -> str:
        """In JSON; empty where there is none."""

    @property
    def limited(self) -> Mapping[str, str]:
        """For those who may not hear everything, by the names of their limits."""

    @property
    def workers(self) -> Mapping[str, WorkerReady]:
        """The words of the workers of this machine, by their names."""


class Running(Protocol):
    """What may be asked of it. Everything but `submit` and `stop` is for the thread that runs the fleet."""

    @property
    def fleet(self) -> Fleet:
        """What runs now."""

    @property
    def directory(self) -> Path:
        """The run's, private to this user."""

    @property
    def ready(self) -> Ready | None:
        """Where results are; None until the fleet serves."""

    @property
    def page(self) -> str:
        """The address of its page; empty where it has none."""

    @property
    def paused(self) -> frozenset[str]:
        """The cameras that are paused."""

    @property
    def shards(self) -> Sequence[Any]:
        """Its parts on several machines; none on a single one."""

    @property
    def scaling(self) -> str:
        """How many parts are wanted, and why; empty where nothing decides that."""

    def open(self) -> Ready:
        """Start it; returns once it serves."""

    def run(self, duration_s: float | None = None) -> None:
        """Keep it alive until `stop`, or until that is over."""

    def submit(self, change: Callable[[Any], Future[A]]) -> Future[A]:
        """Make this change soon, in the thread that runs the fleet."""

    def apply(self, fleet: Fleet) -> Future[Changes]:
        """Run as this fleet file says from now on."""

    def pause(self, camera_id: str) -> Future[None]:
        """Let go of a camera and keep its settings."""

    def resume(self, camera_id: str) -> Future[None]:
        """Take up a camera that was paused."""

    def drain(self, node: str) -> Future[str]:
        """Empty a machine; its id."""

    def order_clip(self, camera_id: str, order: ClipOrder) -> Future[Callable[[], Clip]]:
        """Have what is kept of a camera's second stream written.

        The answer is to be called in the thread of whoever ordered it: it blocks until the file is there.
        """

    def status(self) -> list[ProcessStatus]:
        """The processes of this machine."""

    def stop(self) -> None:
        """Make `run` return soon; safe in a signal handler."""

    def close(self) -> None:
        """End everything; may be called again."""
