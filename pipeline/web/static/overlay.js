// A camera's zones and lines over its picture.

import { say } from './dom.js';
import { placeOf, pointsOf, svg, toPx } from './place.js';
import { recall, remember } from './remember.js';
import { arrowOf } from './zones.js';

const KEY = 'camfleet.zones';
const ARROW = 26; // px
const HEAD = 7;
const LABEL = { high: 20, side: 6, base: 14.5 };

let shown = recall(KEY) !== 'off';

/** Whether zones and lines are drawn. */
export const isShown = () => shown;

export function show(now) {
  shown = now;
  remember(KEY, now ? 'on' : 'off');
}

/** Draws what `Standing.now` gives; `fit` says how large the picture is. */
export class Overlay {
  #drawn = '';
  #parts = [];

  constructor() {
    this.element = svg('svg', { class: 'overlay', 'aria-hidden': 'true' });
    this.wh = [16, 9];
  }

  fit(wh) {
    this.wh = wh;
  }

  update(standing) {
    this.element.classList.toggle('off', !shown);
    if (!shown) return;
    const shapes = standing.filter(({ points }) => points);
    const place = placeOf(this.element, this.wh);
    const asked = JSON.stringify([place, shapes.map(({ section, name, points }) => [section, name, points])]);
    if (asked !== this.#drawn) {
      this.#drawn = asked;
      this.#parts = shapes.map((shape) => new Part(shape, place));
      this.element.replaceChildren(...this.#parts.map(({ element }) => element), ...this.#parts.map(({ label }) => label));
    }
    this.#parts.forEach((part, at) => part.update(shapes[at], place));
  }
}

class Part {
  constructor({ section, points, name }, place) {
    const corners = points.map((point) => toPx(place, point));
    this.name = name;
    this.element = svg('g', { class: `shape ${section}` }, ...(section === 'zones' ? zone(corners) : line(corners)));
    this.text = svg('text', { x: LABEL.side, y: LABEL.base });
    this.plate = svg('rect', { height: LABEL.high, rx: 4 });
    this.label = svg('g', { class: 'label' }, this.plate, this.text);
    this.at = corners.reduce((best, corner) => (corner[1] < best[1] ? corner : best));
  }

  update({ words, state }, place) {
    for (const element of [this.element, this.label]) {
      if (element.dataset.state !== state) element.dataset.state = state;
    }
    const text = `${this.name} ${words}`;
    if (this.text.textContent === text) return;
    say(this.text, text);
    const width = this.text.getComputedTextLength() + 2 * LABEL.side;
    this.plate.setAttribute('width', width);
    const x = Math.max(place.left, Math.min(this.at[0], place.left + place.width - width));
    const y = Math.max(place.top, Math.min(this.at[1] - LABEL.high / 2, place.top + place.height - LABEL.high));
    this.label.setAttribute('transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  }
}

const zone = (corners) => ['casing', 'edge'].map((kind) => svg('polygon', { class: kind, points: pointsOf(corners) }));

/** A line, and an arrow across it to the side that is `in`. */
export function line(ends) {
  const [from, to] = arrowOf(ends, ARROW);
  const [dx, dy] = [(to[0] - from[0]) / ARROW, (to[1] - from[1]) / ARROW];
  const side = (turn) => [to[0] - HEAD * (dx - turn * dy), to[1] - HEAD * (dy + turn * dx)];
  const paths = [ends, [from, to], [side(1), to, side(-1)]];
  const path = paths.map((points) => `M${pointsOf(points)}`).join('');
  return ['casing', 'edge'].map((kind) => svg('path', { class: kind, d: path }));
}
