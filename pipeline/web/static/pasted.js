// What is drawn as a fleet file says it, checked by the server in the words of `camfleet check`.

import { changeButton } from './change.js';
import { h, mark, say } from './dom.js';
import { store } from './store.js';

const GATHER_MS = 200;

/** The card with the YAML; `checked(mistakes)` is called with what is wrong, and `choose(section, name)` asked for. */
export class Pasted {
  #asked = 0;
  #soon = null;

  constructor(camera, checked, choose) {
    this.checked = checked;
    this.choose = choose;
    this.mistakes = h('ul', { class: 'mistakes', 'aria-label': 'Mistakes' });
    this.said = h('div', { role: 'status' }, this.mistakes);
    this.yaml = h('pre', { tabindex: '0', role: 'region', 'aria-label': 'YAML' });
    this.answer = h('span', { class: 'answer', role: 'status' });
    this.copy = h('button', { type: 'button', onclick: () => this.#copy() }, 'Copy');
    this.where = h('p', { class: 'quiet' });
    this.camera = camera;
    this.element = h('section', { class: 'card pasted', 'aria-label': 'For the fleet file' },
      h('h2', {}, 'For the fleet file'), this.said, this.where, this.yaml,
      h('div', { class: 'tools' }, this.copy, this.answer, ...(store.controls ? [changeButton('Apply the fleet file', '/api/reload')] : [])));
  }

  /** Check what is drawn soon. */
  update(shapes) {
    clearTimeout(this.#soon);
    this.copy.disabled = true;
    mark(this.yaml, 'data-old', true);
    this.#soon = setTimeout(() => this.#check(shapes), GATHER_MS);
  }

  /** Nothing can be pasted, and why. */
  refuse(why) {
    clearTimeout(this.#soon);
    this.#asked += 1;
    this.yaml.hidden = this.copy.hidden = true;
    this.mistakes.replaceChildren();
    say(this.where, why);
  }

  close() {
    clearTimeout(this.#soon);
    this.#asked = Infinity;
  }

  async #check(shapes) {
    const number = ++this.#asked;
    const headers = { 'content-type': 'application/json' };
    const response = await fetch('/api/rules/check', { method: 'POST', headers, body: JSON.stringify(shapes) }).catch(() => null);
    const body = await response?.json().catch(() => null);
    if (number !== this.#asked) return;
    if (response?.ok) this.#show(body, shapes.length);
    else this.#show({ yaml: '', mistakes: [{ section: '', name: null, key: '', text: body?.error ?? 'cannot be checked: the page does not answer' }] }, shapes.length);
  }

  #show({ yaml, mistakes }, drawn) {
    this.mistakes.replaceChildren(...mistakes.map((one) => h('li', {}, this.#mistake(one))));
    say(this.yaml, yaml);
    this.yaml.hidden = this.copy.hidden = !yaml;
    say(this.answer, '');
    this.copy.disabled = false;
    mark(this.yaml, 'data-old', null);
    const without = mistakes.length ? ' What is wrong is left out.' : '';
    say(this.where, yaml
      ? `Paste it under “cameras: ${this.camera}:”, in place of the zones and lines there, then camfleet reload. Until then nothing changes.${without}`
      : drawn ? 'Nothing of it can be pasted yet.' : 'No zones and no lines: take those of this camera out of the file.');
    this.checked(mistakes);
  }

  #mistake({ section, name, key, text }) {
    const words = `${[section, name, key].filter(Boolean).join('.')}${section ? ': ' : ''}${text}`;
    return name === null ? words : h('button', { type: 'button', class: 'mistake', onclick: () => this.choose(section, name) }, words);
  }

  async #copy() {
    const done = await navigator.clipboard?.writeText(this.yaml.textContent).then(() => true, () => false);
    say(this.answer, done || this.#copyChosen() ? 'copied' : 'chosen; copy it with Ctrl-C');
  }

  /** As browsers do it that have no clipboard for pages without HTTPS. */
  #copyChosen() {
    getSelection().selectAllChildren(this.yaml);
    return document.execCommand('copy');
  }
}
