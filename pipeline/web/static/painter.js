// A picture and its boxes on one canvas, drawn in one go: what is seen together belongs together.

import { carried, isChosen } from './present.js';

const COLOURS = ['#4d9fff', '#2fbf8f', '#ff9d4d', '#c79bff', '#ffd23f', '#7fd4d4'];
const TRAIL = 24; // positions of an object that are kept
const FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

const OFTEN = ['person', 'bicycle', 'car', 'van', 'truck', 'bus'];
const colours = new Map();
const widths = new Map();

/** A class's colour, the same on all cameras and at all times. */
export function colourOf(name) {
  if (!colours.has(name)) {
    let at = OFTEN.indexOf(name);
    if (at < 0) at = [...name].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) % 9973, 7);
    colours.set(name, COLOURS[at % COLOURS.length]);
  }
  return colours.get(name);
}

/** Draws one camera's pictures. */
export class Painter {
  constructor(camera, canvas) {
    this.camera = camera;
    this.canvas = canvas;
    this.most = 640; // px; the canvas is no wider
    this.watch = null; // gets what is known of each picture that is drawn, and its width and height
    this.context = canvas.getContext('2d', { alpha: false });
    this.trails = new Map();
    this.session = null;
  }

  /** A picture with what is known of its frame; `result` is null where that did not come. */
  paint(source, result, frame, orientation) {
    const turns = orientation?.turns ?? 0;
    const across = source.displayWidth ?? source.width;
    const down = source.displayHeight ?? source.height;
    const [width, height] = turns % 2 ? [down, across] : [across, down];
    this.#fit(width, height);
    this.#picture(source, turns, orientation?.mirrored ?? false);
    const drawn = result && isChosen() ? carried(result) : result;
    if (drawn) this.#boxes(drawn);
    if (!drawn) this.#note('no boxes');
    else if (drawn.o === 'skipped') this.#note('not detected');
    else if (drawn.ahead) this.#note(`boxes of now: ${Math.round(drawn.ahead)} ms later`);
    this.watch?.(drawn, [width, height]);
    tellShown(this, drawn, frame);
  }

  #fit(width, height) {
    const box = this.canvas.clientWidth || width;
    const scale = Math.min(1, this.most / width, (box * Math.min(devicePixelRatio, 2)) / width);
    const [w, h] = [Math.max(2, Math.round(width * scale)), Math.max(2, Math.round(height * scale))];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
  }

  #picture(source, turns, mirrored) {
    const { context, canvas } = this;
    if (!turns && !mirrored) {
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      return;
    }
    const [w, h] = turns % 2 ? [canvas.height, canvas.width] : [canvas.width, canvas.height];
    context.save();
    context.translate(canvas.width / 2, canvas.height / 2);
    context.rotate((turns * Math.PI) / 2);
    if (mirrored) context.scale(-1, 1);
    context.drawImage(source, -w / 2, -h / 2, w, h);
    context.restore();
  }

  #boxes(result) {
    if (this.session !== result.s) {
      this.session = result.s;
      this.trails.clear();
    }
    const { context } = this;
    const scale = this.canvas.width / result.wh[0];
    const size = Math.max(10, Math.round(this.canvas.width / 60));
    context.lineWidth = Math.max(1.5, this.canvas.width / 480);
    context.font = `600 ${size}px ${FONT}`;
    context.textBaseline = 'alphabetic';
    const trails = new Map();
    for (const [id, name, origin, x1, y1, x2, y2] of result.b) {
      context.strokeStyle = context.fillStyle = colourOf(name);
      trails.set(id, this.#trail(id, (x1 + x2) / 2, y2, scale));
      context.setLineDash(origin === 'd' ? [] : [size * 0.6, size * 0.4]);
      context.strokeRect(x1 * scale, y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale);
      const labels = Object.values(result.l?.[id] ?? {}).join(', ');
      this.#label(`${name} ${id}${labels && ` ${labels}`}`, x1 * scale, y1 * scale, size);
    }
    context.setLineDash([]);
    this.trails = trails;
  }

  #trail(id, x, y, scale) {
    const trail = this.trails.get(id) ?? [];
    trail.push(x, y);
    if (trail.length > 2 * TRAIL) trail.splice(0, 2);
    if (trail.length > 4) {
      const { context } = this;
      context.globalAlpha = 0.6;
      context.setLineDash([]);
      context.beginPath();
      context.moveTo(trail[0] * scale, trail[1] * scale);
      for (let at = 2; at < trail.length; at += 2) context.lineTo(trail[at] * scale, trail[at + 1] * scale);
      context.stroke();
      context.globalAlpha = 1;
    }
    return trail;
  }

  #label(text, x, y, size) {
    const { context } = this;
    const key = `${size} ${text}`;
    if (!widths.has(key)) {
      if (widths.size > 2000) widths.clear();
      widths.set(key, context.measureText(text).width);
    }
    const width = widths.get(key) + size * 0.6;
    const height = size * 1.35;
    const left = Math.min(Math.max(0, x), this.canvas.width - width);
    const top = y > height ? y - height : y;
    context.fillRect(left, top, width, height);
    context.fillStyle = '#101418';
    context.fillText(text, left + size * 0.3, top + size);
  }

  #note(text) {
    const { context, canvas } = this;
    const size = Math.max(11, Math.round(canvas.width / 40));
    context.font = `600 ${size}px ${FONT}`;
    const width = context.measureText(text).width + size;
    context.fillStyle = '#101418';
    context.fillRect(canvas.width - width, 0, width, size * 1.6);
    context.fillStyle = '#ffffff';
    context.fillText(text, canvas.width - width + size / 2, size * 1.15);
  }
}

// What was drawn of late: for tests, and for whoever wants to know how old the pictures are.
const MOST_SHOWN = 2000;
const shown = [];
window.camfleet = { shown, drawn: 0, onshown: null };

function tellShown(painter, result, frame) {
  const entry = {
    camera: painter.camera,
    session: frame?.s ?? null,
    frame: frame?.f ?? null,
    boxesOf: result ? [result.s, result.f] : null,
    boxes: result ? result.b.length : null,
    ahead: result?.ahead ?? 0,
    capturedAt: result?.at ?? null,
    drawnAt: performance.timeOrigin + performance.now(),
  };
  window.camfleet.drawn++;
  shown.push(entry);
  if (shown.length > MOST_SHOWN) shown.splice(0, MOST_SHOWN / 2);
  window.camfleet.onshown?.(entry, painter.canvas);
}
