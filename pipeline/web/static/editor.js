// Zones and lines of one camera, drawn over its picture. Nothing is changed: what is drawn is given as YAML to paste.

import { h, mark, say } from './dom.js';
import { Draft, LEAST } from './draft.js';
import { Pasted } from './pasted.js';
import { ShapeForm } from './shapeform.js';
import { Sheet } from './sheet.js';
import * as stage from './stage.js';
import { listen, store } from './store.js';
import { shapesOf } from './zones.js';

const MOST_PX = 1280;
const drafts = new Map(); // by camera: who looks at another view and comes back goes on

/** The view; `close` ends it. */
export function editorView(main, name) {
  const seen = new Set(classesOf(store.rules));
  const canvas = h('canvas', { width: 640, height: 360, 'aria-hidden': 'true' });
  const chips = h('ul', { class: 'chips', 'aria-label': 'Zones and lines' });
  const hint = h('p', { class: 'hint', id: 'hint', role: 'status' });
  const draw = ['zones', 'lines'].map((section) => h('button', { type: 'button', onclick: (event) => begin(section, event) }, `New ${section === 'zones' ? 'zone' : 'line'}`));
  const finish = h('button', { type: 'button', onclick: () => act(() => sheet.draft.finish()) }, 'Close the zone');
  const stop = h('button', { type: 'button', onclick: () => act(() => sheet.draft.choose(null)) }, 'Stop drawing');
  const undo = h('button', { type: 'button', onclick: () => act(() => sheet.draft.undo()) }, 'Undo');
  const anew = h('button', { type: 'button', onclick: () => begin() }, 'Begin anew');
  const form = new ShapeForm(() => act(() => {}));
  const pasted = new Pasted(name, told, (section, called) => act(() => sheet.draft.choose(sheet.draft.shapes.findIndex((one) => one.section === section && one.name === called))));
  let size = store.cameras.get(name)?.frame_wh;
  const kept = drafts.get(name);
  const sheet = new Sheet(name, kept?.canUndo ? kept : fresh(), changed);
  const link = `#/camera/${encodeURIComponent(name)}`;
  main.append(
    h('p', { class: 'back' }, h('a', { href: link }, `← ${name}`)),
    h('h1', {}, `Zones and lines of ${name}`),
    h('div', { class: 'one editor' },
      h('div', { class: 'seen' },
        h('div', { class: 'picture large' }, canvas, sheet.element),
        h('div', { class: 'tools' }, draw, finish, stop, undo, anew),
        hint, chips),
      h('section', { class: 'card side', 'aria-label': 'The chosen zone or line' }, form.element,
        h('p', { class: 'empty' }, 'Choose a zone or line to say what in it is an event.')),
      pasted.element),
  );

  function fresh() {
    return Draft.of(store.rules?.[name], size);
  }

  /** A new zone or line; without one, as the fleet has them. */
  function begin(section, event) {
    if (section) sheet.begin(section, event.detail === 0);
    else act(() => (sheet.draft = fresh()));
  }

  function act(change) {
    change();
    sheet.draw();
    changed();
  }

  function changed() {
    const { draft } = sheet;
    drafts.set(name, draft);
    form.update(draft, seen);
    form.element.nextElementSibling.hidden = draft.shape !== null;
    for (const button of [...draw, anew]) button.hidden = draft.drawing !== null;
    finish.hidden = draft.drawing?.section !== 'zones';
    finish.disabled = !draft.canFinish;
    stop.hidden = !draft.drawing;
    undo.disabled = anew.disabled = !draft.canUndo;
    say(hint, hintOf(draft));
    showChips();
    // What is given in pixels is not drawn before a picture has come, and would be missing in what is pasted.
    if (shapesOf(store.rules?.[name], size).some(({ points }) => !points)) pasted.refuse('Zones in pixels can be drawn once a picture has come.');
    else pasted.update(draft.asked());
  }

  function showChips() {
    const { draft } = sheet;
    while (chips.children.length > draft.shapes.length) chips.lastChild.remove();
    draft.shapes.forEach((shape, at) => {
      const button = chips.children[at]?.firstChild ?? chips.appendChild(h('li', {}, h('button', { type: 'button', onclick: () => act(() => sheet.draft.choose(at)) }))).firstChild;
      say(button, shape.name || '(no name)');
      mark(button, 'aria-pressed', String(at === draft.chosen));
      mark(button, 'data-wrong', sheet.wrong.has(`${shape.section} ${shape.name}`) || null);
    });
  }

  function told(mistakes) {
    sheet.wrong = new Set(mistakes.map((one) => `${one.section} ${one.name}`));
    sheet.draw();
    showChips();
    form.tell(mistakes);
  }

  function key(event) {
    const typing = event.target.closest('input, select, textarea');
    if (typing || event.key.toLowerCase() !== 'z' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    act(() => sheet.draft.undo());
  }

  const quiet = listen((what) => {
    if (what === 'rules' && !sheet.draft.canUndo) act(() => (sheet.draft = fresh()));
  });
  document.addEventListener('keydown', key);
  stage.show(name, canvas, MOST_PX, (result, wh) => {
    sheet.fit(wh);
    if (!size?.[0]) {
      size = wh;
      if (!sheet.draft.canUndo) act(() => (sheet.draft = fresh()));
    }
    const known = seen.size;
    result?.b.forEach(([, called]) => seen.add(called));
    if (seen.size > known) form.offer(seen);
  });
  changed();
  return {
    title: `Zones of ${name}`,
    close() {
      quiet();
      document.removeEventListener('keydown', key);
      sheet.close();
      pasted.close();
    },
  };
}

/** What to do next. */
function hintOf({ shape, drawing }) {
  const keys = (words) => (matchMedia('(pointer: fine)').matches ? ` With keys: ${words}.` : '');
  if (drawing?.section === 'lines') return drawing.points.length ? 'Tap where the line ends.' : 'Tap where the line begins.';
  if (drawing?.points.length >= LEAST.zones) return 'Tap the next corner, or the first one again to close the zone.';
  if (drawing) return `Tap the corners of the zone in turn; ${drawing.points.length} so far.${keys('arrows move a cross, Enter puts a corner there')}`;
  if (!shape && store.rules === null) return 'Which zones and lines the fleet has is not known.';
  if (!shape) return 'Choose a zone or line, or draw a new one.';
  const what = shape.section === 'zones' ? 'Drag corners, or the whole zone; small dots are new corners.' : 'Drag its ends, or the whole line.';
  return `${what}${keys('arrows move, Delete removes, Escape ends')}`;
}

const classesOf = (rules) => Object.values(rules ?? {}).flatMap(({ zones, lines }) => [...Object.values(zones), ...Object.values(lines)].flatMap(({ classes }) => classes));
