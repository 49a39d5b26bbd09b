// All players of the view that is open: who is seen is watched, and drawn at the pace that the machine keeps.

import { Painter } from './painter.js';
import { Player } from './player.js';

const SLOW_MS = 70; // between two chances to draw: a browser that is behind
const EASED_MS = 58; // between two pictures of a camera, then: of 25 a second every other one
const JUDGE = 60; // chances between two judgements
const MANY = 9; // cameras, beyond which a dozen pictures a second of each are enough to follow people

const players = new Map();
let wish = () => {};
let asked = '{}';
let before = 0;
let slow = 0;
let chances = 0;
let pause = 0;

/** `watch` gets which cameras are to be sent, and how, whenever that changes. */
export function open(watch) {
  wish = watch;
  document.addEventListener('visibilitychange', tellWishes);
  requestAnimationFrame(turn);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const place = [...players.values()].find((one) => one.canvas === entry.target);
    if (place) place.visible = entry.isIntersecting;
  }
  tellWishes();
}, { rootMargin: '80px' });

/** Show a camera on this canvas, at most so wide; `watch(result, wh)` is told of each picture. */
export function show(camera, canvas, most, watch = null) {
  hide(camera);
  const painter = new Painter(camera, canvas);
  painter.most = most;
  painter.watch = watch;
  const player = new Player(camera, (...what) => painter.paint(...what), tellWishes);
  players.set(camera, { player, painter, canvas, visible: false });
  seen.observe(canvas);
}

/** Show it no more. */
export function hide(camera) {
  const place = players.get(camera);
  if (!place) return;
  seen.unobserve(place.canvas);
  place.player.stop();
  players.delete(camera);
  tellWishes();
}

/** Show nothing. */
export function clear() {
  for (const camera of [...players.keys()]) hide(camera);
}

/** A record of a camera's pictures or results. */
export function take(head, data) {
  const place = players.get(head.c);
  if (!place || !place.visible || document.hidden) return;
  if (head.t === 'unit') place.player.unit(head, data);
  else if (head.t === 'shown') place.player.shown(head);
  else if (head.t === 'still') place.player.still(head, data);
  else place.player.result(head);
}

/** The connection is lost: what was begun is not continued. */
export function interrupt() {
  for (const { player } of players.values()) player.stop();
}

function tellWishes() {
  const wishes = {};
  for (const [camera, { player, visible }] of players) {
    if (visible && !document.hidden) wishes[camera] = player.mode;
    else player.stop();
  }
  const text = JSON.stringify(wishes);
  if (text === asked) return;
  asked = text;
  wish(wishes);
}

function turn(now) {
  judge(now);
  for (const { player } of players.values()) {
    player.pause = players.size > MANY ? EASED_MS : pause;
    player.tick(performance.now());
  }
  requestAnimationFrame(turn);
}

/** Draw less often where the browser is behind, and as often as pictures come where it is not. */
function judge(now) {
  if (before && now - before < 1000) {
    chances++;
    if (now - before > SLOW_MS) slow++;
  }
  before = now;
  if (chances < JUDGE) return;
  if (slow > chances / 5) pause = EASED_MS;
  else if (slow === 0) pause = 0;
  chances = slow = 0;
}
