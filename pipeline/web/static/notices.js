// What happened to the fleet itself: cameras that came and went, promises, processes.

import { h } from './dom.js';
import { clock, ms, sign } from './words.js';

/** A notice as a row of a list. */
export function noticeRow(notice) {
  return h('li', { 'data-level': notice.level },
    h('time', { datetime: new Date(ms(notice.at_ns)).toISOString() }, clock(ms(notice.at_ns))),
    h('span', { class: 'sign', 'aria-hidden': 'true' }, sign(notice.level)),
    h('span', { class: 'what' }, h('strong', {}, notice.name), ` ${notice.what}`,
      notice.detail ? h('span', { class: 'why' }, notice.detail) : null));
}
