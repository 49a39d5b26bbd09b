// How a camera's zones and lines stand: how many objects are in them now, how many have crossed, what goes on.

import { activityOf } from './happened.js';
import { fleetNow, isFresh, stateOf, store } from './store.js';
import { UNKNOWN } from './words.js';
import { countIn, directionsOf, shapesOf } from './zones.js';

const SEEN_MS = 2000; // a picture that is older says nothing of now
const SEEING = ['live', 'degraded'];

/** Of one camera. */
export class Standing {
  constructor(camera) {
    this.camera = camera;
    this.result = null;
    this.seenAt = -Infinity;
    this.wh = null; // of the picture, px
  }

  /** A picture was drawn with this; null where nothing is known of it. */
  see(result) {
    this.result = result;
    this.seenAt = performance.now();
    this.wh = result?.wh ?? this.wh;
  }

  /** Each zone and line with `state`: `on`, `off` or `unknown`; `words`, its figures; `activity`, why it is `on`. */
  now() {
    const known = isFresh() && SEEING.includes(stateOf(this.camera));
    const seen = known && performance.now() - this.seenAt < SEEN_MS ? this.result : null;
    const shapes = shapesOf(store.rules?.[this.camera], this.wh ?? store.cameras.get(this.camera)?.frame_wh);
    return shapes.map((shape) => {
      const { sure, words } = shape.section === 'zones' ? inZone(shape, seen) : overLine(shape, this.camera, known);
      const activity = known ? activityOf(store.happened.of(this.camera, shape.name), fleetNow()) : '';
      return { ...shape, words, activity, state: activity ? 'on' : sure ? 'off' : 'unknown' };
    });
  }
}

function inZone(shape, result) {
  const count = countIn(shape, result);
  return { sure: count !== null, words: count === null ? UNKNOWN : String(count) };
}

function overLine(shape, camera, known) {
  const counts = store.happened.counts[camera]?.[shape.name] ?? {};
  const words = directionsOf(shape.rule).map((word) => `${word} ${counts[word] ?? UNKNOWN}`).join(' · ');
  return { sure: known, words };
}
