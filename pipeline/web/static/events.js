// What happens, as it happens; the newest first.

import { h } from './dom.js';
import { noticeRow } from './notices.js';
import { listen, store } from './store.js';

/** The view; `close` ends it. */
export function eventsView(main) {
  const list = h('ol', { class: 'events', 'aria-label': 'Newest first' });
  const empty = h('p', { class: 'empty' },
    'Nothing has happened since this page began to listen. Here will stand: cameras that go down and come back, with the reason; promises broken and kept again; processes that were started again.');
  main.append(h('h1', {}, 'Events'), h('section', { class: 'card' }, list, empty));

  function update() {
    empty.hidden = store.notices.length > 0;
    list.replaceChildren(...[...store.notices].reverse().map(noticeRow));
  }

  const stop = listen((what) => (what === 'notice' || what === 'hello') && update());
  update();
  return { title: 'Events', close: stop };
}
