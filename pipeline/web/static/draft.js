// Zones and lines while they are drawn: what they are, what is chosen, and how to undo. Nothing is shown here.

import { shapesOf } from './zones.js';

export const LEAST = { zones: 3, lines: 2 }; // corners
const DEFAULT = { zones: 'enter', lines: 'cross' };
const MOST_UNDO = 200;

const within = (share) => Math.max(0, Math.min(1, share));
const inPicture = ([x, y]) => [within(x), within(y)];
const copy = (value) => JSON.parse(JSON.stringify(value));

/**
 * Of one camera. `shapes` are {section, name, points, keys}, corners in shares of the picture; `chosen` is the place of
 * one of them, or null; `drawing`, while a new one is being drawn, is {section, points}.
 */
export class Draft {
  #past = [];
  #kind = '';

  constructor(shapes = []) {
    this.shapes = shapes;
    this.chosen = null;
    this.drawing = null;
  }

  /** Of rules as the fleet has them; in pixels only where the size of the picture is known. */
  static of(rules, wh) {
    const shapes = shapesOf(rules, wh).filter(({ points }) => points);
    return new Draft(shapes.map(({ section, name, rule, points }) => {
      const { polygon, points: ends, ...keys } = rule;
      return { section, name, points, keys: copy(keys) };
    }));
  }

  get shape() {
    return this.shapes[this.chosen] ?? null;
  }

  get canUndo() {
    return this.#past.length > 0 || this.drawing !== null;
  }

  choose(at) {
    this.drawing = null;
    this.chosen = at;
    this.#kind = '';
  }

  /** Begin to draw a zone or line. */
  begin(section) {
    this.choose(null);
    this.drawing = { section, points: [] };
  }

  /** A corner of what is being drawn; a line has two. */
  place(point) {
    this.drawing.points.push(inPicture(point));
    if (this.drawing.section === 'lines' && this.drawing.points.length === LEAST.lines) this.finish();
  }

  get canFinish() {
    return this.drawing !== null && this.drawing.points.length >= LEAST[this.drawing.section];
  }

  /** It is complete; without effect while it has too few corners. */
  finish() {
    if (!this.canFinish) return;
    const { section, points } = this.drawing;
    this.#note();
    this.drawing = null;
    this.shapes.push({ section, name: this.#newName(section), points, keys: { when: [DEFAULT[section]] } });
    this.chosen = this.shapes.length - 1;
  }

  /** Take back the last corner, or stop drawing where there is none. */
  giveUpCorner() {
    if (!this.drawing?.points.pop()) this.drawing = null;
  }

  /** Move a corner of the chosen shape; what is one movement for the hand is one for undo, too. */
  move(corner, point) {
    this.#note(`move ${corner}`);
    this.shape.points[corner] = inPicture(point);
  }

  /** Move all of it, as far as it stays in the picture. */
  shift(dx, dy) {
    this.#note('shift');
    const limit = (by, values) => Math.max(-Math.min(...values), Math.min(1 - Math.max(...values), by));
    const x = limit(dx, this.shape.points.map((point) => point[0]));
    const y = limit(dy, this.shape.points.map((point) => point[1]));
    this.shape.points = this.shape.points.map((point) => inPicture([point[0] + x, point[1] + y]));
  }

  /** The movement is over; the next one is another. */
  rest() {
    this.#kind = '';
  }

  /** A new corner in the midst of the edge that begins at `corner`; of a zone. */
  insert(corner) {
    this.#note();
    const { points } = this.shape;
    const [[x1, y1], [x2, y2]] = [points[corner], points[(corner + 1) % points.length]];
    points.splice(corner + 1, 0, [(x1 + x2) / 2, (y1 + y2) / 2]);
    return corner + 1;
  }

  /** Without this corner; without the whole shape, where too few would be left. */
  removeCorner(corner) {
    if (this.shape.points.length <= LEAST[this.shape.section]) return this.remove();
    this.#note();
    this.shape.points.splice(corner, 1);
  }

  remove() {
    this.#note();
    this.shapes.splice(this.chosen, 1);
    this.choose(null);
  }

  /** What was `in` over a line is `out`. */
  flip() {
    this.#note();
    this.shape.points.reverse();
  }

  rename(name) {
    this.#note(`name ${this.chosen}`);
    this.shape.name = name;
  }

  /** Set a key of a fleet file; null takes it away. */
  set(key, value) {
    this.#note(`${key} ${this.chosen}`);
    if (value === null) delete this.shape.keys[key];
    else this.shape.keys[key] = value;
  }

  /** Take back the last change, or the last corner of what is being drawn. */
  undo() {
    if (this.drawing) {
      this.giveUpCorner();
      return;
    }
    const before = this.#past.pop();
    if (!before) return;
    ({ shapes: this.shapes, chosen: this.chosen } = before);
    this.#kind = '';
  }

  /** As the server checks it, and writes it. */
  asked() {
    return this.shapes.map(({ section, name, points, keys: { when, ...others } }) => ({
      section, name, keys: { [section === 'zones' ? 'polygon' : 'points']: points, when, ...told(others) },
    }));
  }

  #note(kind = '') {
    if (kind && kind === this.#kind) return;
    this.#kind = kind;
    this.#past.push(copy({ shapes: this.shapes, chosen: this.chosen }));
    if (this.#past.length > MOST_UNDO) this.#past.shift();
  }

  #newName(section) {
    const taken = new Set(this.shapes.map(({ name }) => name));
    let number = 1;
    const name = () => `${section === 'zones' ? 'zone' : 'line'}-${number}`;
    while (taken.has(name())) number++;
    return name();
  }
}

const DEFAULTS = { on: 'bottom', min_score: 0, between: null, timezone: null, rests_on: 'detected', evidence: true };

/** The keys that say something: those that differ from what holds without them. */
function told(keys) {
  const isEmpty = (value) => value === '' || (value !== null && typeof value === 'object' && !Object.keys(value).length);
  const says = ([key, value]) => value !== DEFAULTS[key] && !isEmpty(value);
  return Object.fromEntries(Object.entries(keys).filter(says));
}

/** Where a movement by arrow keys leads; null for other keys. */
export function stepOf(key, far) {
  const by = far ? 0.05 : 0.005;
  return { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[key] ?? null;
}
