"""Six recordings as RTSP cameras and a fleet that watches them, as two commands anybody can type.

.venv/bin/python scripts/demo.py --duration 30
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CAMFLEET = Path(sys.executable).parent / "camfleet"
CAMERAS = ("gate", "yard", "crossing", "street", "parking", "park")


def main() -> int:
    """Serve the samples, run the fleet, end both; the fleet's exit code."""
    options = _options()
    replay = ["replay", *(f"samples/{name}.mp4" for name in CAMERAS), "--loop", "--port", str(options.port)]
    fleet = ["run", "configs/demo.yaml", "--duration", str(options.duration), "--page", str(_free(options.page))]
    os.environ["RTSP_PORT"] = str(options.port)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    print("\nServing six recordings as cameras:", _shown(replay), sep="\n  ", flush=True)
    with (
        tempfile.TemporaryFile("w+") as server_log,
        subprocess.Popen(
            [CAMFLEET, *replay], cwd=ROOT, stdout=subprocess.PIPE, stderr=server_log, text=True, start_new_session=True
        ) as server,
    ):
        try:
            for _ in CAMERAS:
                address = server.stdout.readline() if server.stdout else ""
                if not address:
                    code = server.wait() or 1
                    server_log.seek(0)
                    print(server_log.read(), file=sys.stderr)
                    return code
                print("    " + address, end="")
            print("\nLaunching a fleet that watches them:", _shown(fleet), sep="\n  ", flush=True)
            print("Read along in another terminal with:", _shown(["subscribe", "--camera", "gate"]), sep="\n  ")
            print("", flush=True)
            return _run([CAMFLEET, *fleet])
        finally:
            server.terminate()


def _run(command: list[str | Path]) -> int:
    """Run the fleet to its end; Ctrl-C reaches it too, so only wait for it."""
    with subprocess.Popen(command, cwd=ROOT) as fleet:
        while True:
            try:
                return fleet.wait()
            except KeyboardInterrupt:
                continue
            except SystemExit:
                fleet.terminate()
                fleet.wait()
                raise


def _free(port: int) -> int:
    """The port if nobody has it, else 0, which takes another."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _shown(command: list[str]) -> str:
    return "$ .venv/bin/camfleet " + shlex.join(command)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--duration", type=float, default=30, help="seconds; 0 runs until Ctrl-C")
    parser.add_argument("--page", type=int, default=8080, help="port of the live page; 0 takes a free one")
    parser.add_argument("--port", type=int, default=8554, help="where the cameras are served")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
