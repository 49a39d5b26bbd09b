"""Prints what a camfleet fleet publishes: frames with their boxes, states that change, and what was missed.

    pip install pyzmq msgpack
    python reader.py [tcp://127.0.0.1:5555] [CAMERA]

A message has two parts: its topic and one msgpack map. Topics end in "/", so detections/gate/ is never gate2's.
"""

import sys

import msgpack
import zmq

last: dict[str, tuple[str, int]] = {}
"""By topic: which publisher spoke last, and which number it gave."""
states: dict[str, str] = {}
"""By camera."""


def missed(topic: str, message: dict) -> int:
    """How many messages of this topic never came; -1 if this one has come before."""
    publisher, number = message["publisher"], message["number"]
    if not number:
        return 0  # this fleet does not count
    before = last.get(topic)
    # A publisher that began anew counts from 1.
    since = before[1] if before and before[0] == publisher else 0
    if before and number <= since:
        return -1
    last[topic] = (publisher, number)
    # Of what was before one came, one has missed nothing.
    return number - since - 1 if before else 0


def box(track: dict) -> str:
    """One object: its class, the number it keeps, and left, top, right, bottom in pixels."""
    return f"{track['class_name']}#{track['track_id']}({','.join(str(int(side)) for side in track['xyxy'])})"


def show_frame(message: dict) -> None:
    """The detector has seen it, or the tracker has filled it in; of a "skipped" one nothing is known."""
    print(message["camera_id"], message["frame_id"], message["origin"], *map(box, message["tracks"]), flush=True)


def show_camera(message: dict) -> None:
    """Comes once a second, too; "live" and "degraded" are states in which boxes can be relied on."""
    camera_id, state, detail = message["camera_id"], message["state"], message["detail"]
    if states.get(camera_id) != state:
        states[camera_id] = state
        print(camera_id, "is", f"{state}: {detail}" if detail else state, flush=True)


def show_fleet(message: dict) -> None:
    """Once a second, whatever happens: if it stays away, the fleet is gone."""
    kept = "kept" if message["kept"] else "not kept"
    print(message["fleet"], "has", len(message["cameras"]), "cameras; latency", kept, flush=True)


SHOW = {"detections": show_frame, "cameras": show_camera, "fleet": show_fleet}


def main(endpoint: str = "tcp://127.0.0.1:5555", camera: str = "") -> None:
    """Print until interrupted."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.connect(endpoint)  # also to a fleet that starts later
    for kind in ("detections", "cameras"):
        socket.subscribe(f"{kind}/{camera}/" if camera else f"{kind}/")
    socket.subscribe("fleet/")
    while True:
        name, body = socket.recv_multipart()
        topic, message = name.decode(), msgpack.unpackb(body)
        gap = missed(topic, message)
        if gap > 0:
            print(topic, "missed", gap, flush=True)
        # What a later version adds is none of ours.
        if gap >= 0 and (show := SHOW.get(topic.split("/")[0])):
            show(message)


if __name__ == "__main__":
    main(*sys.argv[1:])
