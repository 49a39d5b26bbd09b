"""Credentials out of anything a person or a machine may read.

Cameras carry their password in the URL, and FFmpeg repeats the URL in its messages, so whatever is logged, published,
printed or raised goes through `redact` first.
"""

from __future__ import annotations

import re

MASK = "***"

_USERINFO = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s'\"]*@")
_QUERY_SECRET = re.compile(
    r"(?i)(?P<key>[?&;](?:user(?:name)?|usr|login|pass(?:word|wd)?|pwd|pw|token|auth|key|api_?key|secret|signature)=)[^\s&;#'\"]+"
)


def redact(text: object) -> str:
    """`text` with the user, password and tokens of every URL in it masked.

    Example:
        >>> redact("cannot open rtsp://bob:hunter2@10.0.0.1/live?token=abc&ch=1")
        'cannot open rtsp://***@10.0.0.1/live?token=***&ch=1'
    """
    masked = _USERINFO.sub(rf"\g<scheme>{MASK}@", str(text))
    return _QUERY_SECRET.sub(rf"\g<key>{MASK}", masked)
