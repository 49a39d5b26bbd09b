// The picture on which zones and lines are drawn: by mouse, finger or keys.

import { stepOf } from './draft.js';
import { line } from './overlay.js';
import { placeOf, pointsOf, svg, toPx, toShare } from './place.js';
import { isInside } from './zones.js';

const NEAR = { mouse: 12, pen: 16, touch: 24 }; // px from a corner that still mean it
const STILL = 4; // px that a finger trembles
const ROOM = 52; // px of an edge that has room for a corner in its midst
const CORNER = 8;
const MIDST = 6;

/** Shows a `Draft` and changes it; `changed` is called whenever it has. */
export class Sheet {
  #drag = null;
  #hover = null;
  #cross = null;
  #place = null;

  constructor(camera, draft, changed) {
    this.draft = draft;
    this.changed = changed;
    this.wh = [16, 9];
    this.wrong = new Set();
    this.element = svg('svg', {
      class: 'sheet', tabindex: 0, role: 'application', 'aria-label': `Picture of ${camera}, to draw on`, 'aria-describedby': 'hint',
      onpointerdown: (event) => this.#down(event),
      onpointermove: (event) => this.#moved(event),
      onpointerup: () => this.#up(),
      onpointercancel: () => this.#up(),
      onpointerleave: () => this.#hoverAt(null),
      onkeydown: (event) => this.#key(event),
    });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
  }

  close() {
    this.resized.disconnect();
  }

  fit(wh) {
    if (wh.join() === this.wh.join()) return;
    this.wh = wh;
    this.draw();
  }

  /** Begin to draw; with keys, a cross is where the next corner will be. */
  begin(section, byKeys) {
    this.draft.begin(section);
    this.#cross = byKeys ? [0.5, 0.5] : null;
    this.element.focus({ preventScroll: true });
    this.#tell();
  }

  draw() {
    const focused = document.activeElement?.dataset?.handle;
    this.#place = placeOf(this.element, this.wh);
    const { shapes, chosen, drawing } = this.draft;
    this.element.classList.toggle('drawing', drawing !== null);
    this.element.replaceChildren(
      ...shapes.map((shape, at) => this.#shape(shape, at === chosen)),
      ...(this.draft.shape ? this.#handles(this.draft.shape) : []),
      ...(drawing ? this.#begun(drawing) : []),
    );
    if (focused) this.#focus(focused);
  }

  #shape({ section, name, points }, chosen) {
    const corners = points.map((point) => toPx(this.#place, point));
    const kind = [section, chosen && 'chosen', this.wrong.has(`${section} ${name}`) && 'wrong'].filter(Boolean).join(' ');
    const parts = section === 'zones'
      ? ['casing', 'edge'].map((part) => svg('polygon', { class: part, points: pointsOf(corners) }))
      : line(corners);
    const [x, y] = corners.reduce((best, corner) => (corner[1] < best[1] ? corner : best));
    const title = svg('text', { x: x + 12, y: Math.max(y - 8, 16) });
    title.textContent = name;
    return svg('g', { class: `shape ${kind}`, 'aria-hidden': 'true' }, ...parts, title);
  }

  #handles({ section, points }) {
    const corners = points.map((point) => toPx(this.#place, point));
    const found = corners.map(([x, y], at) => this.#handle(`corner ${at}`, x, y, CORNER,
      `Corner ${at + 1} of ${points.length}, ${shares(points[at])}; arrow keys move it, Delete removes it`));
    for (const at of section === 'zones' ? midsts(corners) : []) {
      const [x, y] = middle(corners, at);
      found.unshift(this.#handle(`midst ${at}`, x, y, MIDST, `New corner behind corner ${at + 1}`));
    }
    return found;
  }

  #handle(name, x, y, r, label) {
    return svg('circle', { class: `handle ${name.split(' ')[0]}`, cx: x, cy: y, r, tabindex: 0, role: 'button', 'aria-label': label, 'data-handle': name });
  }

  #begun({ section, points }) {
    const ahead = this.#hover ?? this.#cross;
    const corners = points.map((point) => toPx(this.#place, point));
    const path = ahead ? [...corners, toPx(this.#place, ahead)] : corners;
    const parts = ['casing', 'edge'].map((part) => svg(section === 'zones' ? 'polygon' : 'polyline', { class: part, points: pointsOf(path) }));
    const dots = corners.map(([cx, cy], at) => svg('circle', { class: `dot${at === 0 && this.draft.canFinish ? ' closes' : ''}`, cx, cy, r: at === 0 && this.draft.canFinish ? 11 : 6 }));
    return [svg('g', { class: `shape ${section} chosen`, 'aria-hidden': 'true' }, ...parts), ...dots, ...(this.#cross ? [this.#crosshair()] : [])];
  }

  #crosshair() {
    const [x, y] = toPx(this.#place, this.#cross);
    return svg('path', { class: 'cross', d: `M${x - 14},${y}h28M${x},${y - 14}v28` });
  }

  #down(event) {
    if (event.button) return;
    event.preventDefault();
    const px = this.#pxOf(event);
    const near = NEAR[event.pointerType] ?? NEAR.mouse;
    this.#cross = null;
    if (this.draft.drawing) this.#tap(toShare(this.#place, px), near);
    else this.#grasp(px, near, event.pointerId);
    this.#tell();
  }

  /** A corner of what is being drawn; at the first one again, it is closed. */
  #tap(share, near) {
    const { section, points } = this.draft.drawing;
    const px = toPx(this.#place, share);
    if (section === 'zones' && this.draft.canFinish && distance(px, toPx(this.#place, points[0])) <= near) this.draft.finish();
    else this.draft.place(share);
    if (!this.draft.drawing) this.#hover = null;
  }

  /** What is under the finger: a corner, a place for a new one, the chosen shape, or another. */
  #grasp(px, near, pointer) {
    const handle = this.draft.shape ? this.#handleAt(px, near) : null;
    if (handle) {
      const [kind, at] = handle.split(' ');
      const corner = kind === 'midst' ? this.draft.insert(Number(at)) : Number(at);
      this.#drag = { corner, from: px, moves: kind === 'midst' };
      this.draw();
      this.#focus(`corner ${corner}`);
    } else {
      const hit = this.#shapeAt(px, near);
      if (hit !== this.draft.chosen) this.draft.choose(hit);
      else if (hit !== null) this.#drag = { corner: null, from: px, moves: false };
      this.element.focus({ preventScroll: true });
    }
    if (this.#drag) this.element.setPointerCapture(pointer);
  }

  #handleAt(px, near) {
    const { section, points } = this.draft.shape;
    const corners = points.map((point) => toPx(this.#place, point));
    const places = corners.map((corner, at) => [`corner ${at}`, corner]);
    for (const at of section === 'zones' ? midsts(corners) : []) places.push([`midst ${at}`, middle(corners, at)]);
    const found = places.map(([name, at]) => [name, distance(px, at)]).filter(([, away]) => away <= near);
    return found.sort((a, b) => a[1] - b[1])[0]?.[0] ?? null;
  }

  #shapeAt(px, near) {
    const order = this.draft.shapes.map((_, at) => at).sort((a, b) => (b === this.draft.chosen) - (a === this.draft.chosen) || b - a);
    const isHit = ({ section, points }) => {
      const corners = points.map((point) => toPx(this.#place, point));
      return section === 'zones' ? isInside(corners, px) : fromLine(px, corners) <= near;
    };
    return order.find((at) => isHit(this.draft.shapes[at])) ?? null;
  }

  #moved(event) {
    const px = this.#pxOf(event);
    if (this.draft.drawing && event.pointerType === 'mouse') this.#hoverAt(toShare(this.#place, px));
    const drag = this.#drag;
    if (!drag || (!drag.moves && distance(px, drag.from) < STILL)) return;
    drag.moves = true;
    if (drag.corner === null) {
      this.draft.shift((px[0] - drag.from[0]) / this.#place.width, (px[1] - drag.from[1]) / this.#place.height);
      drag.from = px;
    } else this.draft.move(drag.corner, toShare(this.#place, px));
    this.#tell();
  }

  #up() {
    this.#drag = null;
    this.draft.rest();
  }

  #hoverAt(share) {
    if (!this.#hover && !share) return;
    this.#hover = share;
    if (this.draft.drawing) this.draw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const handle = event.target.dataset.handle;
    const done = this.draft.drawing ? this.#keyDrawing(event) : handle ? this.#keyAt(handle, event) : this.#keyNone(event);
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
    this.#tell();
  }

  #keyDrawing({ key, shiftKey }) {
    const step = stepOf(key, shiftKey);
    if (step) this.#cross = moved(this.#cross ?? [0.5, 0.5], step);
    else if (key === 'Escape') this.draft.choose(null);
    else if (key === 'Backspace' || key === 'Delete') this.draft.giveUpCorner();
    else if ((key === 'Enter' || key === ' ') && this.#cross) this.#tap(this.#cross, NEAR.mouse);
    else return false;
    if (this.draft.shape) this.#focusSoon('corner 0');
    return true;
  }

  #keyAt(handle, { key, shiftKey }) {
    const [kind, at] = handle.split(' ');
    const corner = Number(at);
    const step = kind === 'corner' ? stepOf(key, shiftKey) : null;
    if (step) this.draft.move(corner, moved(this.draft.shape.points[corner], step));
    else if (kind === 'midst' && (key === 'Enter' || key === ' ')) this.#focusSoon(`corner ${this.draft.insert(corner)}`);
    else if (kind === 'corner' && (key === 'Delete' || key === 'Backspace')) {
      this.draft.removeCorner(corner);
      this.#focusSoon(this.draft.shape ? `corner ${Math.min(corner, this.draft.shape.points.length - 1)}` : null);
    } else return this.#keyNone({ key, shiftKey });
    return true;
  }

  #keyNone({ key, shiftKey }) {
    const step = this.draft.shape ? stepOf(key, shiftKey) : null;
    if (step) this.draft.shift(...step);
    else if (key === 'Escape' && this.draft.shape) this.draft.choose(null);
    else if ((key === 'Delete' || key === 'Backspace') && this.draft.shape) this.draft.remove();
    else return false;
    if (!this.draft.shape) this.#focusSoon(null);
    return true;
  }

  /** After the next drawing, which makes all handles anew; null is the picture itself. */
  #focusSoon(name) {
    queueMicrotask(() => this.#focus(name));
  }

  #focus(name) {
    const handle = name && this.element.querySelector(`[data-handle="${name}"]`);
    (handle || this.element).focus({ preventScroll: true });
  }

  #pxOf(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #tell() {
    this.draw();
    this.changed();
  }
}

const distance = ([x1, y1], [x2, y2]) => Math.hypot(x2 - x1, y2 - y1);
const middle = (corners, at) => {
  const [[x1, y1], [x2, y2]] = [corners[at], corners[(at + 1) % corners.length]];
  return [(x1 + x2) / 2, (y1 + y2) / 2];
};
const midsts = (corners) => corners.map((corner, at) => at).filter((at) => distance(corners[at], corners[(at + 1) % corners.length]) >= ROOM);
const moved = ([x, y], [dx, dy]) => [Math.max(0, Math.min(1, x + dx)), Math.max(0, Math.min(1, y + dy))];
const shares = ([x, y]) => `${Math.round(100 * x)} % from the left, ${Math.round(100 * y)} % from the top`;

/** How far a point is from a line between its ends. */
function fromLine([x, y], [[x1, y1], [x2, y2]]) {
  const long = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1;
  const share = Math.max(0, Math.min(1, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / long));
  return distance([x, y], [x1 + share * (x2 - x1), y1 + share * (y2 - y1)]);
}
