// Prints what a camfleet fleet publishes: frames with their boxes, states that change, and what was missed.
//
//   npm install
//   node reader.mjs [tcp://127.0.0.1:5555] [CAMERA]
//
// A message has two parts: its topic and one msgpack map. Topics end in "/", so detections/gate/ is never gate2's.

import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

const [endpoint = "tcp://127.0.0.1:5555", camera] = process.argv.slice(2);
const of = (kind) => (camera ? `${kind}/${camera}/` : `${kind}/`);

const last = new Map(); // by topic: which publisher spoke last, and which number it gave
const states = new Map(); // by camera

// How many messages of this topic never came; -1 if this one has come before.
function missed(topic, { publisher, number }) {
  if (!number) return 0; // this fleet does not count
  const before = last.get(topic);
  const since = before?.publisher === publisher ? before.number : 0; // a publisher that began anew counts from 1
  if (before && number <= since) return -1;
  last.set(topic, { publisher, number });
  return before ? number - since - 1 : 0; // of what was before one came, one has missed nothing
}

const box = ({ class_name, track_id, xyxy }) => `${class_name}#${track_id}(${xyxy.map(Math.trunc).join(",")})`;

const printers = {
  // The detector has seen a frame, or the tracker has filled it in; of a "skipped" one nothing is known.
  detections: ({ camera_id, frame_id, origin, tracks }) =>
    console.log(camera_id, frame_id, origin, ...tracks.map(box)),

  // Comes once a second, too; "live" and "degraded" are states in which boxes can be relied on.
  cameras: ({ camera_id, state, detail }) => {
    if (states.get(camera_id) === state) return;
    states.set(camera_id, state);
    console.log(camera_id, "is", state + (detail && `: ${detail}`));
  },

  // Once a second, whatever happens: if it stays away, the fleet is gone.
  fleet: ({ fleet, cameras, kept }) =>
    console.log(fleet, "has", Object.keys(cameras).length, "cameras; latency", kept ? "kept" : "not kept"),
};

const socket = new Subscriber();
socket.connect(endpoint); // also a fleet that starts later
socket.subscribe(of("detections"), of("cameras"), "fleet/");

for await (const [name, body] of socket) {
  const topic = name.toString();
  const message = decode(body); // times in ns come as the nearest number JavaScript has: within 0.3 µs
  const gap = missed(topic, message);
  if (gap < 0) continue;
  if (gap > 0) console.log(topic, "missed", gap);
  printers[topic.split("/")[0]]?.(message);
}
