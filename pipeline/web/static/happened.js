// What has happened in zones and at lines: one event from its begin to its end, in words. Nothing is drawn here.

const MOST = 300;
const TOLD_MS = 25_000; // what lasts is told again every ten seconds; after two and a half times that nobody knows

const VERBS = {
  enter: ['is inside', 'was inside'],
  dwell: ['stays', 'stayed'],
  stopped: ['stands still', 'stood still'],
  leave: ['left'],
  appeared: ['appeared'],
  gone: ['disappeared'],
  cross: ['crossed'],
};

/** The newest that is known of each event. */
export class Happened {
  constructor() {
    this.events = new Map(); // by id, in the order in which they were told of last
    this.counts = {}; // of lines: {camera: {rule: {in: 3}}}
  }

  /** What was known before this page was opened. */
  begin(events, counts) {
    this.events.clear();
    this.counts = counts;
    for (const event of events) this.#keep(event);
  }

  take(event) {
    this.#keep(event);
    if (!event.direction) return;
    const lines = (this.counts[event.camera_id] ??= {});
    (lines[event.rule] ??= {})[event.direction] = event.count;
  }

  /** Newest first, by when they began. */
  newest() {
    return [...this.events.values()].sort((a, b) => b.at_ns - a.at_ns);
  }

  /** Those of a zone or line. */
  of(camera, rule) {
    return [...this.events.values()].filter((event) => event.camera_id === camera && event.rule === rule);
  }

  #keep(event) {
    this.events.delete(event.event_id);
    this.events.set(event.event_id, event);
    if (this.events.size > MOST) this.events.delete(this.events.keys().next().value);
  }
}

/** When something was told of it last, in ms of the fleet's clock. */
const toldAt = (event) => event.at_ns / 1e6 + 1000 * event.lasted_s;

/** Whether it goes on now, by the fleet's clock: `on`, `over`, or `unknown` where its end was not heard. */
export function stageOf(event, now) {
  if (event.withdrawn || event.phase === 'end' || event.phase === 'once') return 'over';
  return now - toldAt(event) < TOLD_MS ? 'on' : 'unknown';
}

/** Whether something goes on in these events (`lasts`), or has happened just now (`just`); else empty. */
export function activityOf(events, now, just = 2000) {
  const so = events.filter((event) => !event.withdrawn);
  if (so.some((event) => stageOf(event, now) === 'on')) return 'lasts';
  return so.some((event) => event.phase === 'once' && now - toldAt(event) < just) ? 'just' : '';
}

/** For how long it lasts or has lasted, s; null of what takes no time. */
export function lastedOf(event, now) {
  if (event.phase === 'once') return null;
  return stageOf(event, now) === 'on' ? Math.max(event.lasted_s, (now - event.at_ns / 1e6) / 1000) : event.lasted_s;
}

/** What happened, in a few words. */
export function wordsOf(event, now) {
  const { happening, condition, count } = event;
  if (happening === 'count') return `${count} object${count === 1 ? '' : 's'} (${condition})`;
  if (happening === 'nothing') return condition;
  const [lasting, over = lasting] = VERBS[happening] ?? [happening];
  const verb = stageOf(event, now) === 'over' ? over : lasting;
  const where = event.direction ? ` ${event.direction === 'in' ? 'inwards' : 'outwards'}` : '';
  const long = happening === 'dwell' || happening === 'stopped' ? ` (${condition})` : '';
  const found = Object.values(event.attributes ?? {}).map((attribute) => `${attribute.label} `).join('');
  return `${found}${event.class_name} ${verb}${where}${long}`;
}
