"""Why PostgreSQL does not do what it was asked, in one sentence that tells what to do and no password."""

from __future__ import annotations

from pipeline.redact import MASK, redact

_BY_STATE = {
    "28": "the server refuses the user or the password",
    "3D000": "there is no such database on the server; make it with CREATE DATABASE",
    "42501": "the user lacks a right: GRANT CREATE, USAGE on the schema for the tables to be made, "
    "and TEMPORARY on the database; then INSERT, SELECT, DELETE on the tables",
    "25006": "the server takes no writes: it is read-only, or a standby",
    "53100": "the server's disk is full",
    "53300": "the server has no connection left for camfleet",
    "57P01": "the server was stopped",
    "57P02": "the server was stopped",
    "57P03": "the server is starting, stopping or recovering",
    "57014": "the server took too long",
    "55P03": "somebody holds a table and does not let go of it",
    "42703": "a table of camfleet's was changed",
    "42P01": "a table of camfleet's is gone",
}
"""By SQLSTATE, or its class (PostgreSQL's manual, appendix A)."""

_FOR_GOOD = {
    "22",  # data exception: a text that the database's encoding has not, a number out of a column's range
    "23514",  # check violation
    "54000",  # program limit exceeded: a text that is too long for an index
}
"""Which values the server never takes; what a change of tables, rights or other rows would mend is not among them."""


def is_for_good(error: Exception) -> bool:
    """Whether the server refuses a value, so that trying again is of no use."""
    state = getattr(error, "sqlstate", None) or ""
    return state in _FOR_GOOD or state[:2] in _FOR_GOOD


def refusal(error: Exception, secrets: tuple[str, ...]) -> str:
    """What the server, or the way to it, says.

    Args:
        error: As psycopg raises it; its words may repeat parts of the address.
        secrets: What must not be repeated in any case.
    """
    said = " ".join(str(error).strip().split("\n")[0].split())
    for secret in secrets:
        said = said.replace(secret, MASK)
    said = redact(said)
    state = getattr(error, "sqlstate", None) or ""
    known = _BY_STATE.get(state) or _BY_STATE.get(state[:2])
    return f"{known} ({said})" if known else said or "the connection broke"
