// One camera, large: its pictures, how it is, and its last minutes.

import { changeButton } from './change.js';
import { h, mark, say } from './dom.js';
import { choose, isChosen } from './present.js';
import { Trouble } from './mosaic.js';
import { Overlay } from './overlay.js';
import * as stage from './stage.js';
import { Standing } from './standing.js';
import { isFresh, listen, stateOf, store } from './store.js';
import { Timeline } from './timeline.js';
import { age, ms, number, percent, promises, sign, span, stateWord } from './words.js';
import { ZoneList } from './zonelist.js';

const MOST_PX = 1280;

/** The view; `close` ends it. */
export function cameraView(main, name) {
  const canvas = h('canvas', { width: 640, height: 360, 'aria-hidden': 'true' });
  const trouble = new Trouble();
  const state = h('p', { class: 'verdict' });
  const facts = h('dl', { class: 'facts' });
  const tools = h('div', { class: 'tools' });
  const picture = `/cameras/${encodeURIComponent(name)}.jpg`;
  const timeline = new Timeline(name);
  const standing = new Standing(name);
  const overlay = new Overlay();
  const zones = new ZoneList(name, draw);
  main.append(
    h('p', { class: 'back' }, h('a', { href: '#/' }, '← All cameras')),
    h('h1', {}, name),
    h('div', { class: 'one' },
      h('div', { class: 'seen' }, h('div', { class: 'picture large' }, canvas, overlay.element, trouble.element), zones.element),
      h('section', { class: 'card side', 'aria-label': 'How it is' }, state, facts, tools)),
    timeline.element,
  );
  tools.append(
    h('a', { class: 'button', href: `${picture}?boxes=1`, target: '_blank', rel: 'noopener' }, 'Full-size picture with boxes'),
    h('a', { class: 'button', href: picture, target: '_blank', rel: 'noopener' }, 'Without boxes'),
  );
  tools.append(presentButton());
  const buttons = h('div', { class: 'tools' });
  tools.after(buttons);
  let offered = '';

  function update() {
    const known = isFresh() ? store.cameras.get(name) : undefined;
    const figures = isFresh() ? store.state?.cameras[name] : undefined;
    const broken = isFresh() && store.state ? promises(store.state).broken[name] : undefined;
    const { word, level } = stateWord(stateOf(name));
    const shown = level === 'good' && broken ? 'warn' : level;
    mark(state, 'data-level', shown);
    state.replaceChildren(h('span', { class: 'sign', 'aria-hidden': 'true' }, sign(shown)), h('strong', {}, word),
      h('span', { class: 'goal' }, known?.detail || broken || ''));
    trouble.update(known, shown, broken);
    facts.replaceChildren(...rows(known, figures));
    offer(known?.state);
    draw();
  }

  function draw() {
    const now = standing.now();
    overlay.update(now);
    zones.update(now);
  }

  /** Pause or resume, whichever applies; the button stays where it is while its answer is read. */
  function offer(now) {
    const wanted = !store.controls ? '' : now === 'paused' ? 'resume' : 'pause';
    if (wanted === offered) return;
    offered = wanted;
    const words = { pause: 'Pause this camera', resume: 'Resume this camera' };
    buttons.replaceChildren(...(wanted ? [changeButton(words[wanted], `/api/cameras/${encodeURIComponent(name)}/${wanted}`)] : []));
  }

  const stop = listen((what) => {
    if (['hello', 'camera', 'fleet', 'lost'].includes(what)) update();
    if (what === 'rules' || what === 'event') draw();
    if (what === 'fleet') timeline.add();
  });
  const timer = setInterval(update, 1000);
  stage.show(name, canvas, MOST_PX, (result, wh) => {
    standing.see(result);
    overlay.fit(wh);
    draw();
  });
  update();
  return {
    title: name,
    close() {
      stop();
      clearInterval(timer);
      timeline.close();
    },
  };
}

/** Boxes of the picture, or of now. */
function presentButton() {
  const title = 'Carry boxes on to the moment they are drawn; the picture stays as it was';
  const button = h('button', { type: 'button', title, 'aria-pressed': String(isChosen()), onclick: change }, 'Boxes of now');

  function change() {
    choose(!isChosen());
    mark(button, 'aria-pressed', String(isChosen()));
  }

  return button;
}

function rows(known, figures) {
  const since = known?.since_ns ? span((Date.now() - ms(known.since_ns)) / 1000) : '–';
  const facts = [
    ['In this state for', since],
    ['Frames a second', number(figures?.frame_hz, 1)],
    ['Detected a second', number(figures?.detect_hz, 1)],
    ['Stride', figures?.stride ? String(figures.stride) : '–'],
    ['Age, median', age(figures?.age_p50_ms)],
    ['Age, 95 of 100 below', age(figures?.age_p95_ms)],
    ['Age of the last detection', age(figures?.detection_age_ms)],
    ['Frames that keep the promise', percent(figures?.kept_percent)],
    ['Points of HOTA lost, estimated', number(figures?.loss ?? null, 1)],
    ['Objects in view', figures?.frame_hz ? String(figures.objects) : '–'],
    ['Picture', known?.frame_wh?.[0] ? `${known.frame_wh[0]} × ${known.frame_wh[1]}, ${known.codec}` : '–'],
    ['Reconnects', known ? String(known.reconnects) : '–'],
  ];
  return facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)));
}
