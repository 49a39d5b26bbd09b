// The fleet in figures: is the promise kept, who gave way and why, what it costs.

import { h, mark, say } from './dom.js';
import { cameraNames, isFresh, listen, stateOf, store } from './store.js';
import { age, ms, number, percent, promises, sign, span, stateWord } from './words.js';
import { changeButton } from './change.js';
import { noticeRow } from './notices.js';

const MEASURE_MS = 2000;
const PROBLEMS = 6;

const COLUMNS = [
  ['Camera', 'name'],
  ['State', 'state'],
  ['For', 'right'],
  ['Frames/s', 'right'],
  ['Detected/s', 'right'],
  ['Stride', 'right'],
  ['Age p95', 'right'],
  ['Detection age', 'right'],
  ['Kept', 'right'],
  ['Objects', 'right'],
];

/** The view; `close` ends it. */
export function fleetView(main) {
  const verdict = h('p', { class: 'verdict' });
  const reasons = h('ul', { class: 'reasons' });
  const cameras = table('Cameras', COLUMNS.map(([title, kind]) => h('th', { scope: 'col', class: kind }, title)));
  const processes = table('Processes', [
    h('th', { scope: 'col' }, 'Process'),
    h('th', { scope: 'col' }, 'State'),
    h('th', { scope: 'col', class: 'right' }, 'Restarts'),
    h('th', { scope: 'col', class: 'right' }, 'Cores'),
    h('th', { scope: 'col', class: 'right' }, 'Memory'),
  ]);
  const problems = h('ol', { class: 'events' });
  const tools = h('div', { class: 'tools' });
  main.append(
    h('h1', {}, 'Fleet'),
    h('section', { class: 'card', 'aria-label': 'Promise' }, verdict, reasons, tools),
    h('section', { class: 'card' }, h('h2', {}, 'Cameras'), cameras.element),
    h('div', { class: 'pair' },
      h('section', { class: 'card' }, h('h2', {}, 'Processes'), processes.element),
      h('section', { class: 'card' }, h('h2', {}, 'Latest problems'), problems)),
  );

  function update() {
    promise(verdict, reasons);
    cameras.fill(cameraNames().map(cameraRow));
    problems.replaceChildren(...latestProblems());
    tools.replaceChildren(...(store.controls ? [changeButton('Apply the fleet file', '/api/reload')] : []));
  }

  let closed = false;
  let before = new Map();
  async function measure() {
    const answer = await fetch('/status').catch(() => null);
    const found = answer?.ok ? await answer.json() : null;
    if (closed) return;
    const now = new Map();
    const rows = (found?.processes ?? []).map(({ process, takes }) => {
      now.set(process.name, { at: ms(found.at_ns), cpu: takes?.cpu_s });
      return processRow(process, takes, coresSince(before.get(process.name), now.get(process.name)));
    });
    before = now;
    processes.fill(rows);
    timer = setTimeout(measure, MEASURE_MS);
  }
  let timer = setTimeout(measure, 0);
  const stop = listen((what) => (what === 'fleet' || what === 'notice') && update());
  const looking = setInterval(() => isFresh() || update(), 1000);
  update();
  return {
    title: 'Fleet',
    close() {
      closed = true;
      stop();
      clearInterval(looking);
      clearTimeout(timer);
    },
  };
}

function table(name, heads) {
  const body = h('tbody');
  const element = h('div', { class: 'scroll', role: 'region', 'aria-label': name, tabindex: '0' },
    h('table', {}, h('thead', {}, h('tr', {}, heads)), body));
  return { element, fill: (rows) => body.replaceChildren(...rows) };
}

function promise(verdict, reasons) {
  const { state } = store;
  const { kept, broken, loss } = state ? promises(state) : { kept: null, broken: {}, loss: '' };
  const level = kept === null || !isFresh() ? 'unknown' : kept ? 'good' : 'bad';
  const goal = state ? `95 of 100 frames within ${Math.round(state.p95_ms)} ms, with a detection behind them${loss}` : '';
  const word = { good: 'Kept', bad: 'Not kept', unknown: 'Not known yet' }[level];
  mark(verdict, 'data-level', level);
  verdict.replaceChildren(
    h('span', { class: 'sign', 'aria-hidden': 'true' }, sign(level)),
    h('strong', {}, word),
    h('span', { class: 'goal' }, goal),
  );
  reasons.replaceChildren(
    ...Object.entries(broken).map(([name, why]) => h('li', {}, h('a', { href: link(name) }, name), ` ${why}`)),
    ...gaveWay(),
  );
}

/** Who is detected less often than every frame: what the promise costs. */
function gaveWay() {
  const strides = new Map();
  for (const [name, figures] of Object.entries(store.state?.cameras ?? {})) {
    if (figures.stride > 1) strides.set(figures.stride, [...(strides.get(figures.stride) ?? []), name]);
  }
  return [...strides.entries()].sort((a, b) => b[0] - a[0]).map(([stride, names]) =>
    h('li', { class: 'quiet' }, `${names.join(', ')} ${names.length > 1 ? 'give' : 'gives'} way: every ${ordinal(stride)} frame is detected, the others are filled`));
}

const ordinal = (value) => (value === 2 ? 'second' : value === 3 ? 'third' : `${value}th`);

const link = (name) => `#/camera/${encodeURIComponent(name)}`;

function cameraRow(name) {
  const known = store.cameras.get(name);
  const figures = store.state?.cameras[name];
  const { word, level } = stateWord(stateOf(name));
  const limit = store.state?.p95_ms;
  const late = figures?.age_p95_ms > limit;
  const since = known?.since_ns ? span((Date.now() - ms(known.since_ns)) / 1000) : '–';
  return h('tr', { 'data-level': level },
    h('th', { scope: 'row' }, h('a', { href: link(name) }, name)),
    h('td', { class: 'state' }, h('span', { class: 'sign', 'aria-hidden': 'true' }, sign(level)), word,
      known?.detail ? h('span', { class: 'why' }, known.detail) : null),
    right(since),
    right(number(figures?.frame_hz, 1)),
    right(number(figures?.detect_hz, 1)),
    right(figures?.stride ? String(figures.stride) : '–'),
    right(age(figures?.age_p95_ms), late),
    right(age(figures?.detection_age_ms)),
    right(percent(figures?.kept_percent)),
    right(figures?.frame_hz ? String(figures.objects) : '–'));
}

const right = (text, bad) => h('td', { class: bad ? 'right over' : 'right' }, text);

/** Cores that a process took between two measurements; null where that is not known. */
function coresSince(before, now) {
  if (!before || before.cpu === undefined || now.cpu === undefined || now.at <= before.at) return null;
  return Math.max(0, ((now.cpu - before.cpu) * 1000) / (now.at - before.at));
}

function processRow(process, takes, cores) {
  const loses = process.sink?.lost || process.sink?.missed;
  const level = process.condition === 'running' ? (loses ? 'warn' : 'good') : process.condition === 'given up' ? 'bad' : 'plain';
  const memory = takes?.proportional_bytes ?? takes?.resident_bytes ?? null;
  const lanes = process.lanes ? `${number(process.lanes_busy, 1)} of ${process.lanes} lanes busy` : '';
  const why = [process.detail, lanes].filter(Boolean).join('; ');
  return h('tr', { 'data-level': level },
    h('th', { scope: 'row' }, process.name),
    h('td', { class: 'state' }, h('span', { class: 'sign', 'aria-hidden': 'true' }, sign(level)), process.condition,
      why ? h('span', { class: 'why' }, why) : null),
    right(String(process.restarts)),
    right(number(cores, 2)),
    right(memory === null ? '–' : `${Math.round(memory / 1e6)} MB`));
}

function latestProblems() {
  const found = store.notices.filter((notice) => notice.level === 'bad' || notice.level === 'warn').slice(-PROBLEMS).reverse();
  if (!found.length) return [h('li', { class: 'empty' }, 'None since this page began to listen.')];
  return found.map(noticeRow);
}
