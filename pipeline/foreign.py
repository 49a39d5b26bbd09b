"""What msgspec raises for bytes that somebody else wrote: every reader of such bytes catches all of it.

It is more than msgspec's own errors: text that is no UTF-8, and nesting without end, come as Python's.
"""

from __future__ import annotations

import msgspec

UNREADABLE: tuple[type[Exception], ...] = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
