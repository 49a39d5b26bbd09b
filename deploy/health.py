"""Whether the fleet in this container is well: exit code 0 if so, else 1 and why on stdout.

    python health.py live     it says how it is (a fleet whose cameras are all down does)
    python health.py ready    results come that a detection stands behind

Asks the fleet's page, at $CAMFLEET_PAGE (http://127.0.0.1:8080). `ready` needs the page's token, if it has one: from
$PAGE_TOKEN or /run/secrets/page_token. Probes run often, so this needs Python's own library alone (50 ms, not 500).
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

PATHS = {"live": "/livez", "ready": "/readyz"}
TIMEOUT_S = 4.0
MOST_BYTES = 4096
"""Of the reasons; Docker and Kubernetes keep as many."""


def ask(path: str) -> tuple[bool, str]:
    """Whether the page says so, and what it says."""
    request = urllib.request.Request(os.environ.get("CAMFLEET_PAGE", "http://127.0.0.1:8080") + path)
    if token := _token():
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=_unchecked()) as answer:
            return True, answer.read(MOST_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return False, error.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return False, f"the page does not answer: {error}"


def _unchecked() -> ssl.SSLContext:
    """The page's certificate has the name that browsers know it by, which is not that of this machine to itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _token() -> str:
    file = Path(os.environ.get("CAMFLEET_SECRETS", "/run/secrets")) / "page_token"
    return os.environ.get("PAGE_TOKEN") or (file.read_text("utf-8").strip() if file.is_file() else "")


def main() -> None:
    """Tell."""
    if len(sys.argv) != 2 or sys.argv[1] not in PATHS:
        sys.exit(f"usage: health.py {'|'.join(PATHS)}")
    well, words = ask(PATHS[sys.argv[1]])
    print(words.strip())
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
