"""How a camera's sessions are called on the wire."""

from __future__ import annotations


def name_session(session: int, first_frame: int = 0) -> str:
    """The `session_id` of a camera's session; of its rest, where another worker goes on with it at `first_frame`."""
    return f"{session:012x}.{first_frame}" if first_frame else f"{session:012x}"


def first_frame_of(session_id: str) -> int:
    """The camera's own number of the frame that is frame 0 of this session on the wire."""
    return int(session_id.partition(".")[2] or 0)
