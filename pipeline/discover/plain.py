"""What devices send, made harmless: XML without a document type, text that a terminal may show."""

from __future__ import annotations

import re

from pipeline.errors import SourceError
from pipeline.redact import printable, redact

_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_GAPS = re.compile(r"\s+")
MOST_SHOWN = 100
"""Characters of a device's own words: a name, or the begin of an error."""


class DeviceError(SourceError):
    """A device of the network cannot be asked, or answers what nobody can use."""


def plain_xml(sent: bytes) -> str:
    """A SOAP message as text, to be parsed as UTF-8 whatever it says of itself.

    SOAP has no document types (SOAP 1.2 part 1, section 5), and without one there are no entities: nothing that
    unfolds to gigabytes, names a file or an address. In another encoding one could not be seen here.

    Raises:
        DeviceError: It has one.
    """
    text = sent.decode("utf-8-sig", "replace")
    if "<!DOCTYPE" in text:
        raise DeviceError("answers XML with a document type, which no ONVIF device has any use for")
    return _DECLARATION.sub("", text, count=1)


def shown(text: object) -> str:
    """A device's own words on one line of bounded length, with what is secret masked."""
    words = printable(_GAPS.sub(" ", redact(str(text)[: 8 * MOST_SHOWN])).strip())
    return words if len(words) <= MOST_SHOWN else f"{words[: MOST_SHOWN - 1]}…"
