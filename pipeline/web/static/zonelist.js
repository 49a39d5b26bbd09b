// A camera's zones and lines in words, and the way to change them.

import { h, say } from './dom.js';
import { store } from './store.js';
import { isShown, show } from './overlay.js';
import { UNKNOWN } from './words.js';

const ACTIVITIES = { lasts: 'an event lasts', just: 'just now', '': '' };

/** The card below the picture; `update` takes what `Standing.now` gives. */
export class ZoneList {
  #rows = new Map();

  constructor(camera, changed) {
    this.list = h('ul', { class: 'standing' });
    this.empty = h('p', { class: 'empty' });
    this.toggle = h('button', { type: 'button', 'aria-pressed': String(isShown()), onclick: () => this.#turn(changed) }, 'Show in the picture');
    this.element = h('section', { class: 'card', 'aria-label': 'Zones and lines' },
      h('h2', {}, 'Zones and lines'), this.list, this.empty,
      h('div', { class: 'tools' }, h('a', { class: 'button', href: `#/edit/${encodeURIComponent(camera)}` }, 'Edit zones'), this.toggle));
  }

  update(standing) {
    const names = standing.map(({ section, name }) => `${section} ${name}`);
    if (names.join() !== [...this.#rows.keys()].join()) {
      this.#rows = new Map(standing.map((shape, at) => [names[at], row(shape)]));
      this.list.replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
    }
    standing.forEach((shape, at) => {
      const { element, words, state } = this.#rows.get(names[at]);
      if (element.dataset.state !== shape.state) element.dataset.state = shape.state;
      say(words, shape.section === 'zones' ? objects(shape.words) : shape.words);
      say(state, shape.state === 'unknown' ? 'not known now' : ACTIVITIES[shape.activity]);
    });
    this.toggle.hidden = !standing.length;
    this.list.hidden = !standing.length;
    this.empty.hidden = standing.length > 0;
    say(this.empty, store.rules === null ? 'Which zones and lines there are is not known.' : 'None yet: what happens in a part of the picture, or at a line through it, can become an event.');
  }

  #turn(changed) {
    show(!isShown());
    this.toggle.setAttribute('aria-pressed', String(isShown()));
    changed();
  }
}

function row({ section, name, rule }) {
  const words = h('span', { class: 'now' });
  const state = h('span', { class: 'goes-on' });
  const element = h('li', {},
    h('span', { class: 'what' }, h('strong', {}, name), ` ${section === 'zones' ? 'zone' : 'line'}: ${rule.when.join(', ')}`),
    h('span', { class: 'figures' }, state, ' ', words));
  return { element, words, state };
}

const objects = (count) => (count === UNKNOWN ? count : `${count} object${count === '1' ? '' : 's'}`);
