// The fields of one zone or line: what it is called, and what in it is an event.

import { h, mark, say } from './dom.js';

const CONDITIONS = {
  zones: [
    ['enter', 'enter', 'an object comes in'],
    ['leave', 'leave', 'an object goes out'],
    ['appeared', 'appeared', 'an object is first seen within'],
    ['gone', 'gone', 'an object is last seen within'],
    ['dwell', 'dwell > 30s', 'an object stays so long'],
    ['stopped', 'stopped > 60s', 'an object stands so long'],
    ['count', 'count > 5 for 10s', 'so many objects are within'],
    ['nothing', 'nothing for 5m', 'no object is within, so long'],
  ],
  lines: [
    ['cross', 'cross', 'an object crosses it, in either direction'],
    ['in', 'in', 'an object crosses it inwards: as the arrow points'],
    ['out', 'out', 'an object crosses it outwards'],
  ],
};
const POINTS = [['bottom', 'bottom: where it stands'], ['center', 'center'], ['top', 'top'], ['left', 'left'], ['right', 'right']];
const RESTS_ON = [['detected', 'once it is detected'], ['any', 'at once, also of a predicted box']];

/** Fields of the chosen shape of a draft; `changed` is called when one is. */
export class ShapeForm {
  #shape = null;
  #fields = {};
  #names = null;
  #turn = null;

  constructor(changed) {
    this.changed = changed;
    this.element = h('form', { class: 'fields', autocomplete: 'off', onsubmit: (event) => event.preventDefault() });
  }

  /** Show the chosen one; what is being typed is left alone. */
  update(draft, seen) {
    this.draft = draft;
    if (draft.shape !== this.#shape) {
      this.#shape = draft.shape;
      this.#fields = {};
      this.element.replaceChildren(...(this.#shape ? this.#make(this.#shape, seen) : []));
    }
    this.element.hidden = !this.#shape;
  }

  /** Say beside its field what is wrong with each. */
  tell(mistakes) {
    const { section, name } = this.#shape ?? {};
    const mine = mistakes.filter((one) => one.section === section && one.name === name);
    for (const [key, { input, wrong }] of Object.entries(this.#fields)) {
      const texts = mine.filter((one) => keyOf(one) === key).map(({ text }) => text);
      say(wrong, texts.join('; '));
      wrong.hidden = !texts.length;
      if (input) mark(input, 'aria-invalid', texts.length ? 'true' : null);
    }
  }

  #make({ section, name, keys }, seen) {
    const lines = section === 'lines';
    return [
      this.#wrong('corners'),
      this.#text('name', 'Name', name, { maxlength: 63, oninput: (event) => this.#do(() => this.draft.rename(event.target.value)) }),
      this.#conditions(section, keys.when),
      this.#classes(keys.classes ?? [], seen),
      this.#choice('on', 'Point of the box', POINTS, keys.on),
      h('details', { open: ['min_score', 'between', 'timezone'].some((key) => keys[key]) || attributesText(keys.attributes) || keys.rests_on === 'any' }, h('summary', {}, 'More'),
        this.#text('min_score', 'Least score, 0 to 1', keys.min_score || '', { inputmode: 'decimal', oninput: (event) => this.#set('min_score', numberOf(event.target.value)) }),
        this.#text('between', 'Time of day', keys.between ?? '', { placeholder: '22:00-06:00', oninput: this.#orNothing('between') }),
        this.#text('timezone', 'Timezone', keys.timezone ?? '', { placeholder: 'Europe/Berlin', oninput: this.#orNothing('timezone') }),
        this.#text('attributes', 'Attributes, of second looks', attributesText(keys.attributes), { placeholder: 'colour: red, orange', oninput: (event) => this.#set('attributes', attributesOf(event.target.value)) }),
        this.#choice('rests_on', 'Told', RESTS_ON, keys.rests_on)),
      h('div', { class: 'tools' },
        lines ? h('button', { type: 'button', onclick: () => this.#do(() => this.draft.flip()) }, 'Flip direction') : null,
        h('button', { type: 'button', class: 'delete', onclick: () => this.#do(() => this.draft.remove()) }, `Delete this ${lines ? 'line' : 'zone'}`)),
    ];
  }

  #conditions(section, when) {
    const rows = CONDITIONS[section].map(([kind, text, words]) => {
      const own = when.filter((one) => one.match(/^[a-z]+/)?.[0] === kind);
      return { kind, words, on: own.length > 0, texts: own.length ? own : [text], typed: text !== kind };
    });
    const write = () => this.#set('when', rows.filter(({ on }) => on).flatMap(({ texts }) => texts));
    const wrong = this.#wrong('when');
    return h('fieldset', {}, h('legend', {}, 'An event is when'), rows.map((row) => conditionRow(row, write)), wrong);
  }

  /** Names, and a button for each that was seen in the pictures or is named. */
  #classes(classes, seen) {
    const input = h('input', { type: 'text', id: 'field-classes', value: classes.join(', '), placeholder: 'all of them', 'aria-describedby': 'wrong-classes', oninput: () => write(listOf(input.value)) });
    this.#names = h('div', { class: 'tools', role: 'group', 'aria-label': 'Classes seen' });
    const write = (list) => {
      input.value = listOf(input.value).join() === list.join() ? input.value : list.join(', ');
      this.#set('classes', list);
      this.offer(seen);
    };
    this.#turn = (name) => {
      const list = listOf(input.value);
      write(list.includes(name) ? list.filter((one) => one !== name) : [...list, name]);
    };
    this.offer(seen);
    return h('div', { class: 'field' }, h('label', { for: 'field-classes' }, 'Classes'), input, this.#names, this.#wrong('classes', input));
  }

  /** Classes that may be chosen: those that were seen by now. */
  offer(seen) {
    const chosen = this.#shape?.keys.classes ?? [];
    const names = [...new Set([...seen, ...chosen])].sort();
    const buttons = this.#names?.children ?? [];
    if (names.join() !== [...buttons].map((button) => button.textContent).join()) {
      this.#names?.replaceChildren(...names.map((name) => h('button', { type: 'button', onclick: () => this.#turn(name) }, name)));
    }
    for (const button of buttons) mark(button, 'aria-pressed', String(chosen.includes(button.textContent)));
  }

  #text(key, label, value, more) {
    const id = `field-${key}`;
    const input = h('input', { type: 'text', id, value, spellcheck: 'false', autocapitalize: 'off', 'aria-describedby': `wrong-${key}`, ...more });
    return h('div', { class: 'field' }, h('label', { for: id }, label), input, this.#wrong(key, input));
  }

  #choice(key, label, options, value) {
    const id = `field-${key}`;
    const select = h('select', { id, onchange: () => this.#set(key, select.value) }, options.map(([one, words]) => h('option', { value: one, selected: one === value }, words)));
    return h('div', { class: 'field' }, h('label', { for: id }, label), select, this.#wrong(key, select));
  }

  #wrong(key, input = null) {
    const wrong = h('p', { class: 'wrong', id: `wrong-${key}`, hidden: true });
    this.#fields[key] = { input, wrong };
    return wrong;
  }

  #orNothing(key) {
    return (event) => this.#set(key, event.target.value.trim() || null);
  }

  #set(key, value) {
    this.#do(() => this.draft.set(key, value));
  }

  #do(change) {
    change();
    this.changed();
  }
}

/** A condition to be ticked; one with figures can be written otherwise. */
function conditionRow(row, write) {
  const inputs = row.texts.map((text, at) => h('input', {
    type: 'text', value: text, spellcheck: 'false', autocapitalize: 'off', 'aria-label': `Condition ${row.kind}`,
    oninput: (event) => {
      row.texts[at] = event.target.value;
      write();
    },
  }));
  const typed = h('span', { class: 'typed', hidden: !row.on || !row.typed }, inputs);
  const tick = h('input', { type: 'checkbox', onchange: () => {
    row.on = tick.checked;
    typed.hidden = !row.on || !row.typed;
    write();
  } });
  tick.checked = row.on;
  return h('div', { class: 'condition' }, h('label', {}, tick, h('span', {}, h('code', {}, row.kind), ` ${row.words}`)), typed);
}

/** The field that a mistake is said beside. */
function keyOf({ key }) {
  const first = key.split('.')[0];
  return { '': 'name', polygon: 'corners', points: 'corners' }[first] ?? first;
}

/** `colour: red, orange; helmet: no` of what a fleet file has, and back; a text that says no name is left for the check. */
function attributesText(attributes) {
  if (typeof attributes !== 'object') return attributes ?? '';
  return Object.entries(attributes ?? {}).map(([name, labels]) => `${name}: ${labels.join(', ')}`).join('; ');
}

function attributesOf(text) {
  const parts = text.split(';').map((one) => one.trim()).filter(Boolean);
  if (!parts.length) return null;
  if (!parts.every((one) => one.includes(':'))) return text.trim();
  return Object.fromEntries(parts.map((one) => {
    const at = one.indexOf(':');
    return [one.slice(0, at).trim(), listOf(one.slice(at + 1))];
  }));
}

const listOf = (text) => text.split(',').map((one) => one.trim()).filter(Boolean);

/** A number where it is one, else the text, of which the check will say what is wrong. */
const numberOf = (text) => (text.trim() === '' ? null : Number.isNaN(Number(text)) ? text.trim() : Number(text));
