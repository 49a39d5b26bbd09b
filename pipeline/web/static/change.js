// Buttons that change the fleet; they are there only where the page may.

import { h, say } from './dom.js';

/** A button that posts to this path, and says beside it how that went. */
export function changeButton(text, path) {
  const answer = h('span', { class: 'answer', role: 'status' });
  const button = h('button', { type: 'button', onclick: change }, text);

  async function change() {
    button.disabled = true;
    say(answer, '…');
    const response = await fetch(path, { method: 'POST' }).catch(() => null);
    const body = await response?.json().catch(() => null);
    button.disabled = false;
    say(answer, response?.ok ? 'done' : (body?.error ?? 'the fleet does not answer'));
  }

  return h('span', { class: 'change' }, button, answer);
}
