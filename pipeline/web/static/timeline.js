// The last minutes of a camera as charts that share their time.

import { h, say } from './dom.js';
import { store } from './store.js';
import { age, clock, number } from './words.js';

const KEPT = 600;
const HEIGHT = 150;
const CAUSES = ['#c2502e', '#8c6bb1', '#2b8a7e', '#a07818', '#5f6f7f'];
// Columns of a point, as pipeline/web/history.py has them.
const [AT, AGE, DETECTION_AGE, STRIDE, FRAMES, DETECTED, STATE, RECONNECTS, RESTARTS, DROPS, BEGUN] = [...Array(11).keys()];

const hour = (at) => clock(at * 1000);
const loading = import('./vendor/uplot/uPlot.esm.js');

/** Charts of one camera; `add` takes in the newest second, `close` ends it. */
export class Timeline {
  constructor(name) {
    this.name = name;
    this.points = [];
    this.charts = [];
    this.summary = h('p', { class: 'summary' });
    this.holder = h('div', { class: 'charts' });
    this.element = h('section', { class: 'card', 'aria-label': 'The last ten minutes' }, h('h2', {}, 'The last ten minutes'), this.summary, this.holder);
    this.closed = false;
    this.resized = new ResizeObserver(() => this.#resize());
    this.#begin();
  }

  async #begin() {
    const [{ default: uPlot }, answer] = await Promise.all([loading, fetch(`/api/history/${encodeURIComponent(this.name)}`).catch(() => null)]);
    const { points } = answer?.ok ? await answer.json() : { points: [] };
    if (this.closed) return;
    const last = points.at(-1)?.[AT] ?? 0;
    this.points = [...points, ...this.points.filter((point) => point[AT] > last)];
    this.uPlot = uPlot;
    this.#make();
    this.resized.observe(this.holder);
    this.scheme = matchMedia('(prefers-color-scheme: dark)');
    this.remake = () => this.#make();
    this.scheme.addEventListener('change', this.remake);
  }

  add() {
    const figures = store.state?.cameras[this.name];
    if (!figures) return;
    const point = [store.state.at_ns / 1e6, figures.age_p95_ms, figures.detection_age_ms, figures.stride, figures.frame_hz,
      figures.detect_hz, figures.state, store.cameras.get(this.name)?.reconnects ?? 0, this.#restarts(), store.drops[this.name] ?? {}, store.begun[this.name] ?? {}];
    this.points.push(point);
    if (this.points.length > KEPT) this.points.shift();
    if (!this.uPlot) return;
    if (this.#series() !== this.made) this.#make();
    else this.#data().forEach((data, at) => this.charts[at].setData(data));
    this.#say();
  }

  close() {
    this.closed = true;
    this.resized.disconnect();
    this.scheme?.removeEventListener('change', this.remake);
    this.charts.forEach((chart) => chart.destroy());
  }

  /** Of the processes that this camera depends on: its own, and the worker. */
  #restarts() {
    const mine = store.state.processes.filter(({ name, role }) => role === 'worker' || name === `camera ${this.name}`);
    return mine.reduce((sum, process) => sum + process.restarts, 0);
  }

  /** How many more than a second before, for each point: a count that falls has begun anew. */
  #rises(at) {
    return this.points.map((point, second) => (second ? Math.max(0, point[at] - this.points[second - 1][at]) : 0));
  }

  #causes() {
    return [...new Set(this.points.flatMap((point) => Object.keys(point[DROPS])))].sort();
  }

  /** The camera's zones and lines. */
  #rules() {
    const { zones = {}, lines = {} } = store.rules?.[this.name] ?? {};
    return [...Object.keys(zones), ...Object.keys(lines)];
  }

  /** What charts have to be there for. */
  #series() {
    return JSON.stringify([this.#causes(), this.#rules()]);
  }

  #column(at) {
    return this.points.map((point) => point[at]);
  }

  #data() {
    const time = this.points.map((point) => point[AT] / 1000);
    const goal = this.points.map(() => store.state?.p95_ms ?? null);
    const marks = (at) => this.#rises(at).map((rise) => rise || null);
    return [
      [time, this.#column(AGE), this.#column(DETECTION_AGE), goal],
      [time, this.#column(FRAMES), this.#column(DETECTED)],
      [time, this.points.map((point) => point[STRIDE] || null)],
      [time, ...this.causes.map((cause) => this.points.map((point) => point[DROPS][cause] ?? 0)), marks(RECONNECTS), marks(RESTARTS)],
      ...(this.rules.length ? [[time, ...this.rules.map((rule) => this.points.map((point) => point[BEGUN][rule] ?? null))]] : []),
    ];
  }

  #make() {
    this.charts.forEach((chart) => chart.destroy());
    this.holder.replaceChildren();
    this.causes = this.#causes();
    this.rules = this.#rules();
    this.made = this.#series();
    const ink = getComputedStyle(this.element);
    const colour = (name) => ink.getPropertyValue(name).trim();
    const line = (label, stroke, more = {}) => ({ label, stroke, width: 1.5, points: { show: false }, spanGaps: false, ...more });
    const mark = (label, stroke) => line(label, stroke, { width: 0, points: { show: true, size: 9, fill: stroke } });
    const shown = [
      ['Age, ms', [line('95 of 100 below', colour('--blue')), line('last detection', colour('--amber')), line('goal', colour('--quiet'), { dash: [6, 4] })]],
      ['A second', [line('frames', colour('--quiet')), line('detected', colour('--blue'))]],
      ['Stride', [line('every … frame', colour('--blue'))]],
      ['Left out or lost, frames a second', [...this.causes.map((cause, at) => line(cause, CAUSES[at % CAUSES.length])),
        mark('connected again', colour('--red')), mark('a process started again', colour('--blue'))]],
      ...(this.rules.length ? [['Events that began in a second', this.rules.map((rule, at) => mark(rule, CAUSES[at % CAUSES.length]))]] : []),
    ];
    const data = this.#data();
    // All places before the first chart: each is as wide as it is beside the others.
    const places = shown.map(([title]) => h('figure', { class: 'chart' }, h('figcaption', {}, title)));
    this.holder.append(...places);
    this.charts = shown.map(([, series], at) => this.#chart(places[at], series, data[at], colour));
    this.#say();
  }

  #chart(place, series, data, colour) {
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const options = {
      width: Math.max(240, place.clientWidth),
      height: HEIGHT,
      cursor: { sync: { key: this.name }, points: { size: 6 } },
      scales: { y: { range: (chart, low, high) => [0, Math.max(1, (high ?? 1) * 1.1)] } },
      axes: [{ ...axis, values: (chart, splits) => splits.map(hour), space: 90, size: 32 }, { ...axis, size: 44 }],
      legend: { live: true },
      series: [{ value: (chart, at) => (at === null ? '–' : hour(at)) }, ...series.map((one) => ({ ...one, value: (chart, value) => (value === null || value === undefined ? '–' : number(value, value < 10 ? 1 : 0)) }))],
    };
    return new this.uPlot(options, data, place);
  }

  #resize() {
    for (const chart of this.charts) {
      const width = Math.max(240, chart.root.parentElement.clientWidth);
      if (width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
  }

  /** The same in words, for those who do not see charts. */
  #say() {
    const ages = this.#column(AGE).filter((value) => value !== null);
    const drops = this.points.reduce((sum, point) => sum + Object.values(point[DROPS]).reduce((a, b) => a + b, 0), 0);
    const sum = (at) => this.#rises(at).reduce((a, b) => a + b, 0);
    const bad = this.points.filter((point) => ['blind', 'retrying', 'failed'].includes(point[STATE])).length;
    say(this.summary, ages.length
      ? `At worst ${age(Math.max(...ages))} old, now ${age(ages.at(-1))}; ${drops} frames left out or lost beyond the stride; connected again ${sum(RECONNECTS)} times, its processes started again ${sum(RESTARTS)} times; ${bad} s without sight.`
      : 'Nothing is known yet.');
  }
}
