"""Events that the publisher has died with."""

from __future__ import annotations

import pytest

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline.clock import NS_PER_S
from pipeline.events.unheard import Unheard, name_of
from pipeline.wire.event import Event


def event(event_id: str = "a", phase: str = "once") -> Event:
    return Event(
        fleet="f",
        camera_id="c",
        event_id=event_id,
        phase=phase,
        rule="r",
        happening="cross",
        condition="cross",
        at_ns=1,
    )


@pytest.fixture
def unheard() -> Unheard:
    """One event was given to publisher `p` at 1 s."""
    found = Unheard()
    found.overdue("p", 0)
    found.put([event()], NS_PER_S)
    return found


def test_unheard_event_that_is_told_is_not_given_again(unheard: Unheard):
    unheard.hear(name_of(event("b")))
    unheard.hear(name_of(event()))
    assert unheard.overdue("p", 100 * NS_PER_S) == []


def test_unheard_event_is_given_again_after_a_while_once_in_a_while(unheard: Unheard):
    assert unheard.overdue("p", 2 * NS_PER_S) == []
    assert unheard.overdue("p", 4 * NS_PER_S) == [event()]
    assert unheard.overdue("p", 5 * NS_PER_S) == []
    assert unheard.overdue("p", 7 * NS_PER_S) == [event()]


def test_unheard_event_may_have_waited_for_the_next_publisher(unheard: Unheard):
    assert unheard.overdue("q", 30 * NS_PER_S) == []
    assert unheard.overdue("q", 31 * NS_PER_S) == []
    assert unheard.overdue("q", 33 * NS_PER_S) == [event()]
