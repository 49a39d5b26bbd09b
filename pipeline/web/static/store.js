// What the page knows of the fleet; whoever shows something is told when it changes.

import { Happened } from './happened.js';

export const store = {
  fleet: '',
  controls: false,
  connected: false,
  state: null, // the newest FleetState
  drops: {}, // of the last second, by camera and cause
  begun: {}, // events of the last second, by camera and zone or line
  cameras: new Map(), // the newest CameraState by name
  rules: null, // zones and lines by camera, as a fleet file has them; null while that is not known
  happened: new Happened(), // in zones and at lines
  notices: [], // what happened to the fleet itself, newest last
  heardAt: 0, // when the fleet last said how it is
  clockAhead: 0, // by how much this browser's clock is ahead of the fleet's, ms, the shortest way here included
};

const SILENT_MS = 4000; // a fleet says how it is once a second

/** Whether what is known of the fleet is of now. Where it is not, nothing is green. */
export const isFresh = () => store.connected && performance.now() - store.heardAt < SILENT_MS;

/** For how long the fleet has said nothing, s. */
export const silentFor = () => (performance.now() - store.heardAt) / 1000;

/** How a camera is, if that is known now. */
export const stateOf = (name) => (isFresh() ? store.cameras.get(name)?.state : undefined);

/** The time by the fleet's clock, ms. */
export const fleetNow = () => Date.now() - store.clockAhead;

const MOST_NOTICES = 300;
const CLOCKS = 60; // words of the fleet of which the fastest tells how the clocks differ
let clocks = [];

function compareClocks(state) {
  clocks.push(Date.now() - state.at_ns / 1e6);
  clocks = clocks.slice(-CLOCKS);
  store.clockAhead = Math.min(...clocks);
}

const listeners = new Set();

/** Call `listener(what)` whenever something changes; returns how to stop that. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (what) => listeners.forEach((listener) => listener(what));

export const learn = {
  hello(head) {
    store.fleet = head.fleet;
    store.controls = head.controls;
    store.notices = [];
    store.rules = null;
    store.cameras.clear();
    clocks = [];
    store.connected = true;
    store.heardAt = performance.now();
    tell('hello');
  },
  camera(state) {
    if (state.state === 'removed') store.cameras.delete(state.camera_id);
    else store.cameras.set(state.camera_id, state);
    tell('camera');
  },
  fleet(state, drops, begun) {
    compareClocks(state);
    store.state = state;
    store.drops = drops;
    store.begun = begun;
    store.heardAt = performance.now();
    tell('fleet');
  },
  rules(rules) {
    store.rules = rules;
    tell('rules');
  },
  events(events, counts) {
    store.happened.begin(events, counts);
    tell('event');
  },
  event(event) {
    store.happened.take(event);
    tell('event');
  },
  notice(notice) {
    store.notices.push(notice);
    if (store.notices.length > MOST_NOTICES) store.notices.shift();
    tell('notice');
  },
  lost() {
    if (!store.connected) return;
    store.connected = false;
    tell('lost');
  },
};

/** Names of the fleet's cameras, in their order. */
export function cameraNames() {
  const names = new Set([...Object.keys(store.state?.cameras ?? {}), ...store.cameras.keys()]);
  return [...names].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}
