// Figures as words; what is not known is a dash.

export const UNKNOWN = '–';

const STATES = {
  connecting: ['connecting', 'plain'],
  live: ['live', 'good'],
  degraded: ['degraded', 'warn'],
  blind: ['blind', 'bad'],
  retrying: ['offline', 'bad'],
  paused: ['paused', 'plain'],
  ended: ['ended', 'plain'],
  failed: ['failed', 'bad'],
  removed: ['removed', 'plain'],
};

const SIGNS = { good: '✓', warn: '!', bad: '✕', plain: '–', unknown: '?' };

/** A camera's state in a word, and how good or bad it is. */
export function stateWord(state) {
  const [word, level] = STATES[state] ?? ['unknown', 'unknown'];
  return { word, level };
}

/** A sign that says the same as the colour of a level. */
export const sign = (level) => SIGNS[level] ?? '?';

/** How old: 85 ms, 1.2 s, 4 min. */
export function age(ms) {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return ms < 59950 ? `${(ms / 1000).toFixed(1)} s` : span(ms / 1000);
}

/** How long: 12 s, 4 min, 3 h, 5 d. */
export function span(s) {
  if (s === null || s === undefined || !Number.isFinite(s)) return UNKNOWN;
  if (s < 60) return `${Math.max(0, Math.floor(s))} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

/** Both promises of a fleet as one: kept if each that was made is, not known while one is not; who breaks one, and why. */
export function promises(state) {
  const of_loss = state.loss_broken_by ?? {};
  const broken = { ...of_loss, ...state.broken_by };
  const asked = state.max_loss !== null && state.max_loss !== undefined;
  const lost = asked ? state.loss_kept : true;
  const kept = state.kept === false || lost === false ? false : state.kept && lost;
  return { kept, broken, loss: asked ? `, at most ${state.max_loss} points of HOTA lost` : '' };
}

/** With so many decimals. */
export const number = (value, decimals = 0) => (value === null || value === undefined ? UNKNOWN : value.toFixed(decimals));

/** Rounded down, so that only what is complete is 100. */
export const percent = (share) => (share === null || share === undefined ? UNKNOWN : `${Math.floor(share)} %`);

/** Local time of day. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
}

/** The first few names, and how many more there are. */
export function some(names, most = 3) {
  const more = names.length > most ? ` and ${names.length - most} more` : '';
  return names.slice(0, most).join(', ') + more;
}

/** ns since 1970 as a number of ms; 0 stays 0. */
export const ms = (ns) => ns / 1e6;
