"""What a library's error says, as a part of a sentence of ours."""

from __future__ import annotations

import re

from pipeline.redact import redact

_CODE = re.compile(r"^(?:\[(?:Errno|code)[: ]?-?\d+\]|nats:|Error \d+)\s*")


def said(error: object) -> str:
    """The error's words without codes in front and a full stop behind; credentials masked.

    Example:
        >>> said(ConnectionRefusedError(111, "Connection refused"))
        'Connection refused'
    """
    return _CODE.sub("", redact(error)).strip().rstrip(".") or type(error).__name__
