"""Credentials out of anything a person or a machine may read.

Cameras carry their password in the URL, and FFmpeg repeats the URL in its messages, so whatever is logged, published,
printed or raised goes through `redact` first. Which part of an address is secret depends on who made the camera, so
what is shown is chosen, not what is hidden: scheme, host, port and path.
"""

from __future__ import annotations

import re

MASK = "***"

# Every pattern looks at a bounded piece of the text from each of its places, so none takes long on a long one.
_ADDRESS = re.compile(
    # Up to a space, or to a quote that ends a word of a sentence or of JSON.
    r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://)(?P<rest>(?:(?!['\"](?:[\s,:;)\]}]|$))\S)*)"
    # Or user:password@host without a scheme.
    r"|(?<![\w@/.])[^\s'\"@:/<>(]{1,64}:[^\s'\"]{1,256}@(?=[\w\[])"
)
_ENDS = re.compile(r"[\s'\"]")
_AUTHORITY = re.compile(r"[^/?#]*")
_PATH = re.compile(r"[^?#]*")
_QUERY = re.compile(r"\?[^\s'\"?]*=[^\s'\"]*")
_HEADER = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,40}(?:key|token))"
    r"(?P<is>['\"]?[ \t]{0,8}[:=][ \t]{0,8})[^\r\n]+"
)
_NAMED = re.compile(
    r"(?i)(?<![\w-])(?P<name>[\w-]{0,40}"
    r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|signature))"
    r"(?P<is>['\"]?[ \t]{0,8}=[ \t]{0,8}['\"]?)[^\s'\",;&]+"
)


def redact(text: object) -> str:
    """`text` with everything masked that may be secret: of every address all but scheme, host, port and path.

    Where an address can be read in two ways, such as `rtsp://bob:p/ss@host/live`, nothing of it is shown.

    Example:
        >>> redact("cannot open rtsp://bob:hunter2@10.0.0.1/live?token=abc&ch=1: no answer")
        'cannot open rtsp://***@10.0.0.1/live?***: no answer'
    """
    masked = _ADDRESS.sub(_masked_address, str(text))
    masked = _QUERY.sub(f"?{MASK}", masked)
    masked = _HEADER.sub(rf"\g<name>\g<is>{MASK}", masked)
    return _NAMED.sub(rf"\g<name>\g<is>{MASK}", masked)


def redact_argument(argument: str) -> str:
    """One argument of a command line, masked as by `redact`; a space or a quote does not end an address in it.

    Example:
        >>> redact_argument("rtsp://bob:hunter 2@10.0.0.1/live")
        'rtsp://***'
    """
    scheme, is_address, rest = argument.partition("://")
    return f"{scheme}://{MASK}" if is_address and _ENDS.search(rest) else redact(argument)


def printable(text: str) -> str:
    r"""`text` with a sign in place of every character that a terminal would obey instead of showing it.

    Example:
        >>> printable("gate\x1b[2J")
        'gate�[2J'
    """
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def _masked_address(found: re.Match[str]) -> str:
    rest = found["rest"]
    if rest is None:
        return f"{MASK}@"
    address = rest.rstrip(".,:;)]}>")
    return found["scheme"] + _masked_rest(address) + rest[len(address) :]


def _masked_rest(address: str) -> str:
    """What follows the `//` of one address (RFC 3986, section 3)."""
    authority = _AUTHORITY.match(address)[0]  # type: ignore[index]  # it matches everything
    path = _PATH.match(address, len(authority))[0]  # type: ignore[index]
    query = address[len(authority) + len(path) :]
    if "@" in path + query or "'" in address or '"' in address:
        # Is what stands before it a host and a path, or a password with / ? # in it?
        return MASK
    userinfo, _, host = authority.rpartition("@")
    shown = "/".join(f"{name}={MASK}" if found else name for name, found, _ in map(_parted, path.split("/")))
    return (f"{MASK}@" if userinfo else "") + host + shown + (f"{query[0]}{MASK}" if query else "")


def _parted(segment: str) -> tuple[str, str, str]:
    return segment.partition("=")
