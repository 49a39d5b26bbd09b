// Boxes of now: carried on from their picture to the moment they are drawn, by their velocity, if the viewer wants that.

import { recall, remember } from './remember.js';
import { fleetNow } from './store.js';

const KEY = 'camfleet.boxes';
const LONGEST_MS = 1000; // after which nothing is known of an object, as in the tracker

let chosen = recall(KEY) === 'now';

/** Whether boxes of now are drawn instead of those of the picture. */
export const isChosen = () => chosen;

export function choose(now) {
  chosen = now;
  remember(KEY, now ? 'now' : 'picture');
}

/** What is known of a frame, with its boxes where they are by now, `ahead` ms later. */
export function carried(result) {
  const ahead = fleetNow() - result.at;
  if (ahead <= 0) return result;
  const [wide, high] = result.wh;
  const boxes = ahead > LONGEST_MS ? [] : result.b.map((box) => moved(box, ahead / 1000, wide, high)).filter(Boolean);
  return { ...result, b: boxes, ahead };
}

function moved(box, seconds, wide, high) {
  const [id, name, , x1, y1, x2, y2, score, v1 = 0, v2 = 0, v3 = 0, v4 = 0] = box;
  const left = Math.max(0, x1 + v1 * seconds);
  const top = Math.max(0, y1 + v2 * seconds);
  const right = Math.min(wide, x2 + v3 * seconds);
  const bottom = Math.min(high, y2 + v4 * seconds);
  return right > left && bottom > top ? [id, name, 'p', left, top, right, bottom, score] : null;
}
