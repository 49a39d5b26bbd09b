"""A front's end of the mark: claims it, keeps it, and knows when another front has it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import structlog

from pipeline.errors import ClusterError
from pipeline.scale.cluster import ActorAway, ActorLost, Call, Cluster

log = structlog.get_logger()

RENEW_S = 1.0
CLAIM_S, CLAIM_LOOK_S = 10.0, 0.1
"""How long a front waits for the mark of one before it, which may have been killed; and how often it looks."""

RELEASE_LOOKS = 10


class Claim:
    """Not thread-safe."""

    def __init__(self, cluster: Cluster, fleet: str) -> None:
        """Nothing is claimed yet."""
        self._cluster, self._fleet = cluster, fleet
        self._front = secrets.token_hex(8)
        self._mark = cluster.mark()
        self._asked: Call | None = None
        self._asked_s = 0.0

    def take(self, wait: Callable[[float], object]) -> None:
        """Be this fleet's only front; blocks, `wait` being called with seconds between looks.

        Raises:
            ClusterError: It has a front already.
        """
        asked: Call | None = None
        for _ in range(max(1, round(CLAIM_S / CLAIM_LOOK_S))):
            asked = asked or self._mark.call("hold", self._front)
            if asked.done:
                if self._given(asked):
                    return
                asked = None
            wait(CLAIM_LOOK_S)
        raise ClusterError(
            f"the fleet “{self._fleet}” is run from elsewhere already; end that, or give this one another name"
        )

    def keep(self, now_s: float) -> bool:
        """Say that this front is there, when it is time to; never blocks.

        True if the mark was made anew: the one before may have ended because it had not heard of this front for long,
        and then nothing of the fleet is kept any more.

        Raises:
            ClusterError: Another front has followed this one, which has been silent for too long.
        """
        anew = False
        if self._asked is not None and self._asked.done:
            asked, self._asked, before = self._asked, None, self._mark
            if self._given(asked) is False:
                raise ClusterError(
                    f"this front of the fleet “{self._fleet}” was silent for a while, and another has followed it; it "
                    "ends, and touches nothing"
                )
            anew = self._mark is not before
        if self._asked is None and now_s - self._asked_s >= RENEW_S:
            self._asked_s = now_s
            self._asked = self._mark.call("hold", self._front)
        return anew

    def release(self, wait: Callable[[float], object], *, ended: bool) -> None:
        """Let another follow at once, and make sure for a moment that it was heard. `ended`: the fleet is over."""
        call = self._mark.call("release", self._front, ended)
        for _ in range(RELEASE_LOOKS):
            if call.done:
                return
            wait(CLAIM_LOOK_S)

    def _given(self, asked: Call) -> bool | None:
        """Whether this front has the mark; None where that is not known now. One that is lost is made anew."""
        try:
            given: bool = asked.result()
        except ActorAway:
            return None
        except ActorLost as error:
            log.info(f"the mark of the fleet's front is gone and made anew: {error}")
            self._mark = self._cluster.mark()
            return None
        return given
