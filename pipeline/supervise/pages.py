"""The page of a running fleet: a process of its own. Once it has begun, its fate is nobody else's."""

from __future__ import annotations

from typing import Any

from pipeline.config.page import Page, missing_words
from pipeline.config.values import Fleet
from pipeline.errors import ConfigError, PageError
from pipeline.runscope import RunScope
from pipeline.supervise.child import ProcessHost
from pipeline.supervise.members import Members
from pipeline.supervise.service import Service
from pipeline.web.process import PageReady, PageSpec, run_page

ENDS = 4
"""Behind the publisher, which ends as number 3: the last messages are shown, too."""
ENDS_WITHIN_S = 0.4


def require_page(fleet: Fleet) -> None:
    """Make sure that what a page needs is installed, before anything begins.

    Raises:
        ConfigError: Something is missing; the message says what, and how it is installed.
    """
    if fleet.page is not None and (words := missing_words()):
        raise ConfigError(words)


def make_page(
    fleet: Fleet, scope: RunScope, inside: str, members: Members, host: ProcessHost
) -> Service[PageReady] | None:
    """A member that serves the page, not started yet; None of a fleet that has none.

    Args:
        fleet: The whole fleet.
        scope: The run, in whose folder cameras show their pictures.
        inside: Where the fleet's own members subscribe.
        members: Gets it.
        host: How processes are made.
    """
    if fleet.page is None:
        return None
    page = fleet.page

    def arguments() -> tuple[Any, ...]:
        settings = page if service.ready is None else _at(page, service.ready.port)
        return (PageSpec(settings, scope.directory, inside, fleet.name),)

    service: Service[PageReady] = Service(
        "page", "page", run_page, arguments, host=host, failure=PageError, ends=ENDS, ends_within_s=ENDS_WITHIN_S
    )
    members.add(service)
    return service


def _at(page: Page, port: int) -> Page:
    """The same at the port that it got: browsers will look there again."""
    return page.model_copy(update={"port": port})
