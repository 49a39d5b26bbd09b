// An event of a zone or line as a row of a list, which changes with it from its begin to its end.

import { h, mark, say } from './dom.js';
import { lastedOf, stageOf, wordsOf } from './happened.js';
import { clock, ms, span } from './words.js';

const STAGES = { on: 'now', over: '', unknown: 'its end was not heard' };

export class EventRow {
  constructor() {
    this.time = h('time');
    this.camera = h('a');
    this.rule = h('strong');
    this.words = h('span');
    this.flags = h('span', { class: 'flags' });
    this.lasted = h('span', { class: 'lasted' });
    this.element = h('li', { class: 'event' }, this.time, h('span', { class: 'mark', 'aria-hidden': 'true' }),
      h('span', { class: 'what' }, this.camera, ' ', this.rule, ' ', this.words, ' ', this.flags), this.lasted);
  }

  update(event, now) {
    const stage = stageOf(event, now);
    const at = new Date(ms(event.at_ns));
    mark(this.element, 'data-stage', event.withdrawn ? 'withdrawn' : stage);
    mark(this.time, 'datetime', at.toISOString());
    mark(this.time, 'title', event.error_ms ? `± ${Math.round(event.error_ms)} ms` : null);
    say(this.time, clock(at.getTime()));
    say(this.camera, event.camera_id);
    mark(this.camera, 'href', `#/camera/${encodeURIComponent(event.camera_id)}`);
    say(this.rule, event.rule);
    say(this.words, wordsOf(event, now));
    say(this.flags, [event.withdrawn ? 'withdrawn: it did not happen' : event.revised ? 'revised' : '', event.withdrawn ? '' : STAGES[stage]].filter(Boolean).join(', '));
    say(this.lasted, figureOf(event, now));
  }
}

/** How long, or how many by then. */
function figureOf(event, now) {
  const lasted = lastedOf(event, now);
  if (lasted !== null) return lasted < 1 ? '< 1 s' : span(lasted);
  return event.direction ? `no. ${event.count} ${event.direction}` : '';
}
