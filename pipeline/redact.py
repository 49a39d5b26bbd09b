"""Credentials out of anything a person or a machine may read.

Cameras carry their password in the URL, and FFmpeg repeats the URL in its messages, so whatever is logged, published,
printed or raised goes through `redact` first. Which part of an address is secret depends on who made the camera, so
what is shown is chosen, not what is hidden: scheme, host, port and path.
"""

from __future__ import annotations

import re

MASK = "***"

_ADDRESS = re.compile(
    r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<rest>\S*)"
    # Or user:password@host without a scheme.
    r"|(?<![\w@/.])[^\s'\"@:/<>(]+:[^\s'\"]+@(?=[\w\[])"
)
_END = re.compile(r"['\"](?=[\s,:;)\]}]|$)")
"""What ends an address inside of a sentence or of JSON."""
_PUNCTUATION = re.compile(r"[.,:;)\]}>]*$")
_QUERY = re.compile(r"\?[^\s'\"?]*=[^\s'\"]*")
_HEADER = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token))(?P<is>['\"]?\s*[:=]\s*)[^\r\n]+"
)
_NAMED = re.compile(
    r"(?i)(?P<name>[\w-]*(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|signature))"
    r"(?P<is>['\"]?\s*=\s*['\"]?)[^\s'\",;&]+"
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


def _masked_address(found: re.Match[str]) -> str:
    rest = found["rest"]
    if rest is None:
        return f"{MASK}@"
    end = _END.search(rest)
    address = rest[: end.start()] if end else rest
    after = rest[len(address) :]
    if not end and (punctuation := _PUNCTUATION.search(address)):
        address, after = address[: punctuation.start()], punctuation[0]
    return found["scheme"] + _masked_rest(address) + redact(after)


def _masked_rest(address: str) -> str:
    """What follows the `//` of one address (RFC 3986, section 3)."""
    parts = re.match(r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>.*)", address, re.DOTALL)
    assert parts is not None
    if "@" in parts["path"] + parts["query"] or re.search(r"['\"]", address):
        # Is what stands before it a host and a path, or a password with / ? # in it?
        return MASK
    userinfo, _, host = parts["authority"].rpartition("@")
    path = "/".join(re.sub(r"=.*", f"={MASK}", segment) for segment in parts["path"].split("/"))
    return (f"{MASK}@" if userinfo else "") + host + path + (f"{parts['query'][0]}{MASK}" if parts["query"] else "")
