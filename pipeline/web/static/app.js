// The page: one connection, and one view at a time.

import { cameraView } from './camera.js';
import { say, mark } from './dom.js';
import { editorView } from './editor.js';
import { eventsView } from './events.js';
import { fleetView } from './fleet.js';
import { mosaicView } from './mosaic.js';
import * as stage from './stage.js';
import { json, Socket } from './socket.js';
import { isFresh, learn, listen, silentFor, store } from './store.js';
import { promises, sign, some, span } from './words.js';

const VIEWS = { '': mosaicView, fleet: fleetView, events: eventsView, camera: cameraView, edit: editorView };
const OF_CAMERAS = ['', 'camera', 'edit'];
const main = document.getElementById('main');
let current = null;

const PICTURES = new Set(['unit', 'shown', 'still', 'result']);

function take(head, data) {
  if (PICTURES.has(head.t)) stage.take(head, data);
  else if (head.t === 'hello') learn.hello(head);
  else if (head.t === 'camera') learn.camera(json(data));
  else if (head.t === 'fleet') learn.fleet(json(data), head.drops, head.begun);
  else if (head.t === 'rules') learn.rules(json(data));
  else if (head.t === 'events') learn.events(json(data), head.counts);
  else if (head.t === 'event') learn.event(json(data));
  else if (head.t === 'notice') learn.notice(json(data));
}

function lost() {
  stage.interrupt();
  learn.lost();
}

/** Open the view that the address names. */
function go() {
  const [name = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const make = VIEWS[name] ?? mosaicView;
  current?.close();
  stage.clear();
  main.replaceChildren();
  current = make(main, decodeURIComponent(rest.join('/')));
  for (const link of document.querySelectorAll('nav a')) {
    mark(link, 'aria-current', link.hash === `#/${name}` || (link.hash === '#/' && OF_CAMERAS.includes(name)) ? 'page' : null);
  }
  document.title = `${current.title} · ${store.fleet || 'camfleet'}`;
}

/** Whether the promise is kept, in words, at the top of every view. */
function judge() {
  const place = document.getElementById('promise');
  const { state } = store;
  let level = 'unknown';
  let words = 'not known yet';
  if (state) {
    const { kept, broken, loss } = promises(state);
    const goal = `95 % within ${Math.round(state.p95_ms)} ms${loss}`;
    if (kept === true) [level, words] = ['good', `Promise kept: ${goal}`];
    else if (kept === false) [level, words] = ['bad', `Promise broken by ${some(Object.keys(broken))}`];
    else words = `Not known yet: ${goal}`;
  }
  if (!store.connected) [level, words] = ['unknown', 'Not connected'];
  else if (!isFresh()) [level, words] = ['unknown', `Nothing heard of the fleet for ${span(silentFor())}`];
  mark(place, 'data-level', level);
  say(place.querySelector('.sign'), sign(level));
  say(document.getElementById('promise-words'), words);
}

/** Tell those who listen, rarely and briefly. */
let told = '';
function announce() {
  const { state } = store;
  if (!state) return;
  const { kept, broken } = promises(state);
  const words = kept === false ? `Promise broken by ${some(Object.keys(broken))}` : kept ? 'Promise kept' : '';
  if (words && words !== told) {
    told = words;
    say(document.getElementById('live'), words);
  }
}

listen((what) => {
  const banner = document.getElementById('lost');
  if (what === 'hello') {
    say(document.getElementById('fleet'), store.fleet);
    document.title = `${current?.title ?? 'Cameras'} · ${store.fleet}`;
  }
  banner.hidden = store.connected || what !== 'lost';
  if (what === 'lost') say(banner, 'The connection to the fleet is lost. What is shown is old; it is tried again.');
  if (what === 'hello' || what === 'fleet' || what === 'lost') judge();
  if (what === 'fleet') announce();
});

setInterval(judge, 1000);
const socket = new Socket(take, lost);
stage.open((wishes) => socket.watch(wishes));
window.addEventListener('hashchange', () => {
  go();
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
});
go();
