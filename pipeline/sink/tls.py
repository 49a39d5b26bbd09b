"""How a server's certificate is checked."""

from __future__ import annotations

import ssl
from pathlib import Path

from pipeline.errors import SinkError


def client_tls(ca_file: Path | None) -> ssl.SSLContext:
    """What checks a server's certificate: by this authority, or by those that the machine knows.

    Raises:
        SinkError: The file is none of certificates.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SinkError(f"ca_file: {ca_file} cannot be read as certificates: {error.strerror or error}") from None
