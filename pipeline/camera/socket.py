"""A socket of the camera's process in the run's folder, where it shows pictures."""

from __future__ import annotations

import os
from pathlib import Path

import zmq

from pipeline.errors import SlotError


def view_socket(kind: int, path: Path, queue: int) -> zmq.Socket[bytes]:
    """Bind it; whoever closes it is the caller.

    Args:
        kind: `zmq.PUB` or `zmq.XPUB`.
        path: Of the socket, in the run's folder.
        queue: Messages for each that asks.

    Raises:
        SlotError: The run's folder is gone.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.set(zmq.SNDHWM, queue)
    socket.set(zmq.LINGER, 0)
    # Bound elsewhere and moved: a process that is still ending would take its successor's socket with it, as ZeroMQ
    # removes what it has bound, by its name.
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        socket.bind(f"ipc://{own}")
        own.replace(path)
    except (OSError, zmq.ZMQError) as error:
        socket.close()
        raise SlotError(f"cannot show pictures in {path.parent}: {str(error.strerror).lower()}") from error
    return socket
