// What happens, as it happens, the newest first: in zones and at lines, and to the fleet itself.

import { h, mark, say } from './dom.js';
import { EventRow } from './eventrow.js';
import { noticeRow } from './notices.js';
import { fleetNow, listen, store } from './store.js';

const GATHER_MS = 250;
const MOST_ROWS = 200;
const FLEET = ' fleet'; // no rule is called so
const RULES = ' rules';

let chosen = { camera: '', rule: '' }; // of this browser's tab, whatever it looks at meanwhile

/** The view; `close` ends it. */
export function eventsView(main) {
  const list = h('ol', { class: 'events', 'aria-label': 'Newest first' });
  const empty = h('p', { class: 'empty' });
  const camera = select('Camera', (value) => (chosen.camera = value));
  const rule = select('What', (value) => (chosen.rule = value));
  const rows = new Map();
  let soon = null;
  main.append(h('h1', {}, 'Events'), h('div', { class: 'filters' }, camera.element, rule.element), h('section', { class: 'card' }, list, empty));

  function select(label, choose) {
    const input = h('select', { onchange: () => {
      choose(input.value);
      update();
    } });
    return { input, element: h('label', {}, label, input) };
  }

  function update() {
    soon = null;
    offer(camera.input, [['', 'all cameras'], ...camerasHeard().map((name) => [name, name])], chosen.camera);
    offer(rule.input, [['', 'everything'], [RULES, 'zones and lines'], [FLEET, 'cameras, promise, processes'], ...rulesHeard(chosen.camera).map((name) => [name, name])], chosen.rule);
    const entries = entriesOf(chosen).slice(0, MOST_ROWS);
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, row] of rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      rows.delete(key);
    }
    let at = list.firstChild;
    for (const { key, event, notice } of entries) {
      if (!rows.has(key)) rows.set(key, event ? new EventRow() : { element: noticeRow(notice), update() {} });
      const row = rows.get(key);
      row.update(event, fleetNow());
      if (row.element === at) at = at.nextSibling;
      else list.insertBefore(row.element, at);
    }
    empty.hidden = entries.length > 0;
    say(empty, chosen.camera || chosen.rule ? 'Nothing of this has happened since this page began to listen.' : NOTHING);
  }

  const stop = listen((what) => {
    if (['notice', 'event', 'rules', 'hello'].includes(what)) soon ??= setTimeout(update, GATHER_MS);
  });
  const timer = setInterval(update, 1000); // what lasts grows
  update();
  return {
    title: 'Events',
    close() {
      stop();
      clearTimeout(soon);
      clearInterval(timer);
    },
  };
}

const NOTHING = 'Nothing has happened since this page began to listen. Here will stand: what happens in zones and at lines; cameras that go down and come back, with the reason; promises broken and kept again; processes that were started again.';

/** All that has happened and is wanted, newest first. */
function entriesOf({ camera, rule }) {
  const wanted = (event) => rule !== FLEET && (!camera || event.camera_id === camera) && (['', RULES].includes(rule) || event.rule === rule);
  const events = store.happened.newest().filter(wanted).map((event) => ({ key: event.event_id, at: event.at_ns, event }));
  const isAbout = (notice) => ['', FLEET].includes(rule) && (!camera || (notice.about !== 'process' && notice.name === camera));
  const notices = store.notices.filter(isAbout).map((notice) => ({ key: `${notice.at_ns} ${notice.name} ${notice.what}`, at: notice.at_ns, notice }));
  return [...events, ...notices].sort((a, b) => b.at - a.at);
}

const sorted = (names) => [...new Set(names)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));

const camerasHeard = () => sorted([...store.cameras.keys(), ...store.happened.newest().map((event) => event.camera_id), chosen.camera].filter(Boolean));

function rulesHeard(camera) {
  const named = Object.entries(store.rules ?? {}).filter(([name]) => !camera || name === camera)
    .flatMap(([, { zones, lines }]) => [...Object.keys(zones), ...Object.keys(lines)]);
  const heard = store.happened.newest().filter((event) => !camera || event.camera_id === camera).map((event) => event.rule);
  return sorted([...named, ...heard, chosen.rule].filter((name) => name && !name.startsWith(' ')));
}

/** What may be chosen; left alone where it is the same, so that it does not close under the finger. */
function offer(input, options, value) {
  const text = JSON.stringify(options);
  if (input.dataset.offered !== text) {
    mark(input, 'data-offered', text);
    input.replaceChildren(...options.map(([one, words]) => h('option', { value: one }, words)));
  }
  input.value = value;
}
