// All cameras at once.

import { h, mark, say } from './dom.js';
import * as stage from './stage.js';
import { cameraNames, isFresh, listen, stateOf, store } from './store.js';
import { age, ms, number, sign, span, stateWord } from './words.js';

const MOST_PX = 640;
const LEAST_TILE_PX = 250;
const CAPTION_PX = 44;
const GATHER_MS = 100;

/** The view; `close` ends it. */
export function mosaicView(main) {
  let soon = null;
  const grid = h('ul', { class: 'mosaic' });
  const tiles = new Map();
  const empty = h('p', { class: 'empty' }, 'Waiting for the fleet’s cameras …');
  main.append(h('h1', { class: 'visually-hidden' }, 'Cameras'), grid, empty);

  let arranged = 0;

  function update() {
    soon = null;
    const names = cameraNames();
    empty.hidden = names.length > 0;
    for (const [name, tile] of tiles) {
      if (!names.includes(name)) {
        tile.close();
        tiles.delete(name);
      }
    }
    for (const name of names) {
      if (!tiles.has(name)) {
        tiles.set(name, new Tile(name));
        const after = names[names.indexOf(name) - 1];
        grid.insertBefore(tiles.get(name).element, after ? tiles.get(after).element.nextSibling : grid.firstChild);
        stage.show(name, tiles.get(name).canvas, MOST_PX);
      }
      tiles.get(name).update();
    }
    if (tiles.size !== arranged) arrange();
  }

  /** As few columns as let all cameras fit on the screen; the page scrolls where they would be too small. */
  function arrange() {
    arranged = tiles.size;
    const count = Math.max(1, arranged);
    const gap = 12;
    const width = grid.clientWidth;
    const height = window.innerHeight - grid.getBoundingClientRect().top - window.scrollY - gap;
    const most = Math.max(1, Math.floor((width + gap) / (LEAST_TILE_PX + gap)));
    let columns = 1;
    const high = () => Math.ceil(count / columns) * (((width / columns - gap) * 9) / 16 + CAPTION_PX + gap);
    while (columns < Math.min(most, count) && high() > height) columns++;
    grid.style.setProperty('--columns', columns);
  }

  // Sixty cameras that say how they are once a second are one change of the page in a while, not sixty.
  const stop = listen((what) => {
    if (['hello', 'camera', 'fleet', 'lost'].includes(what) && soon === null) soon = setTimeout(update, GATHER_MS);
  });
  window.addEventListener('resize', arrange);
  const timer = setInterval(update, 1000);
  update();
  return {
    title: 'Cameras',
    close() {
      stop();
      window.removeEventListener('resize', arrange);
      clearInterval(timer);
      clearTimeout(soon);
      tiles.clear();
    },
  };
}

class Tile {
  constructor(name) {
    this.name = name;
    this.canvas = h('canvas', { width: 320, height: 180, 'aria-hidden': 'true' });
    this.sign = h('span', { class: 'sign', 'aria-hidden': 'true' });
    this.state = h('span', { class: 'state' });
    this.figures = h('span', { class: 'figures' });
    this.trouble = new Trouble();
    this.link = h(
      'a',
      { class: 'tile', href: `#/camera/${encodeURIComponent(name)}` },
      h('span', { class: 'picture' }, this.canvas, this.trouble.element),
      h('span', { class: 'caption' }, this.sign, h('strong', {}, name), this.state, this.figures),
    );
    this.element = h('li', {}, this.link);
  }

  update() {
    const known = store.cameras.get(this.name);
    const figures = store.state?.cameras[this.name];
    const { word, level } = stateWord(stateOf(this.name));
    const broken = store.state?.broken_by[this.name];
    const shown = level === 'good' && broken ? 'warn' : level;
    mark(this.link, 'data-level', shown);
    say(this.sign, sign(shown));
    // Trouble says it over the picture, large; here it would take the room of the name.
    say(this.state, broken || shown === 'bad' ? '' : word);
    const live = figures && (level === 'good' || level === 'warn');
    say(this.figures, live ? `${number(figures.detect_hz, 0)} det/s · ${age(figures.age_p95_ms)}` : '');
    this.trouble.update(isFresh() ? known : undefined, shown, isFresh() ? broken : undefined);
  }

  close() {
    stage.hide(this.name);
    this.element.remove();
  }
}

/** What everybody must see from three metres: a large word over the picture, and why. */
export class Trouble {
  constructor() {
    this.sign = h('span', { class: 'trouble-sign', 'aria-hidden': 'true' });
    this.word = h('span', { class: 'trouble-word' });
    this.why = h('span', { class: 'trouble-why' });
    this.element = h('span', { class: 'trouble', hidden: true }, h('span', { class: 'trouble-head' }, this.sign, this.word), this.why);
  }

  update(known, level, broken) {
    const { word, level: of } = stateWord(known?.state);
    const covers = known && (of === 'bad' || of === 'plain');
    this.element.hidden = !covers && !broken;
    if (this.element.hidden) return;
    mark(this.element, 'data-covers', covers ? 'true' : 'false');
    mark(this.element, 'data-level', covers ? of : level);
    say(this.sign, sign(covers ? of : level));
    say(this.word, covers ? word : 'promise broken');
    const since = known?.since_ns ? `for ${span((Date.now() - ms(known.since_ns)) / 1000)}` : '';
    say(this.why, covers ? [since, known.detail].filter(Boolean).join(': ') : broken);
  }
}
