// One camera's pictures, each with the boxes of its own frame.
//
// A coded picture waits until what is known of its frame has come, and is decoded when it is due: so pictures and boxes
// cannot come apart, hardly any decoded picture has to be kept, and frames that came in a burst are played evenly. Where
// nothing comes for a frame in time, it is shown without boxes, and says so.

import { configurationOf, joined } from './codec.js';

const WAIT_MS = 600; // for what is known of a frame
const MOST_RESULTS = 200;
const MOST_UNITS = 400;
const MOST_HELD = 12;
const MOST_DECODING = 15;
const LATEST_MS = 120; // a picture is not held longer than this for the sake of an even pace
const EASE = 0.02; // of the way back to less delay, with each frame: two seconds after a burst
const LATE_MS = 80; // behind its time, a picture is left out for the next one
const STARVED_MS = 500; // but one is drawn now and then
const MOST_FAILURES = 3;

const keyOf = (head) => `${head.s}/${head.f}`;

/** Takes records of one camera; `paint(source, result, orientation)` draws, `playing(mode)` is told what it needs. */
export class Player {
  constructor(camera, paint, playing) {
    this.camera = camera;
    this.mode = 'VideoDecoder' in window ? 'units' : 'stills';
    this.pause = 0; // ms between pictures that are drawn, where the machine is slow
    this.paint = paint;
    this.playing = playing;
    this.units = [];
    this.byFrame = new Map();
    this.byNumber = new Map();
    this.results = new Map();
    this.stills = [];
    this.held = new Map();
    this.failures = 0;
    this.forget();
  }

  forget() {
    this.waitsForKey = true;
    this.lastNumber = -1;
    this.delay = this.floor = this.session = null;
    this.drawnAt = this.paintedMs = 0;
    this.hasUnits = false;
  }

  unit(head, data) {
    if (this.mode !== 'units') return;
    const follows = head.n === this.lastNumber + 1;
    this.lastNumber = head.n;
    if (head.key) this.waitsForKey = false;
    else if (!follows) this.waitsForKey = true;
    if (this.waitsForKey) return;
    // The message's memory is kept no longer than its other records need it.
    const unit = { n: head.n, key: Boolean(head.key), head, data: data.slice(), at: performance.now(), result: null };
    this.units.push(unit);
    this.byNumber.set(unit.n, unit);
    for (const map of [this.byNumber, this.byFrame]) {
      if (map.size > 2 * MOST_UNITS) map.delete(map.keys().next().value);
    }
    if (this.units.length > MOST_UNITS) this.#skipToKey();
  }

  shown(head) {
    const unit = this.byNumber.get(head.n);
    if (!unit) return;
    unit.frame = head;
    const key = keyOf(head);
    const result = this.results.get(key);
    if (result) this.#know(unit, result);
    else this.byFrame.set(key, unit);
  }

  still(head, data) {
    if (this.mode === 'units' && this.hasUnits) return;
    this.stills.push({ head, data: data.slice(), at: performance.now() });
    if (this.stills.length > MOST_HELD) this.stills.shift();
  }

  result(head) {
    const key = keyOf(head);
    this.results.set(key, head);
    if (this.results.size > MOST_RESULTS) this.results.delete(this.results.keys().next().value);
    const unit = this.byFrame.get(key);
    if (unit) {
      this.byFrame.delete(key);
      this.#know(unit, head);
    }
  }

  /** Decode and draw what is due. */
  tick(now) {
    this.#tickHeld(now);
    let last = -1;
    for (let at = this.units.length - 1; at >= 0; at--) {
      if (this.#isDue(this.units[at], now)) {
        last = at;
        break;
      }
    }
    if (last >= 0) {
      const due = this.units.splice(0, last + 1);
      for (const unit of due) {
        unit.skip = unit !== due[due.length - 1] && this.#isDue(unit, now);
        this.#decode(unit);
      }
    }
    this.#tickStills(now);
  }

  stop() {
    this.#close();
    for (const frame of this.held.values()) frame.close();
    this.held.clear();
    this.units = [];
    this.stills = [];
    this.byFrame.clear();
    this.byNumber.clear();
    this.forget();
  }

  #know(unit, result) {
    unit.result = result;
    const lag = performance.now() - result.at;
    if (this.session !== result.s || this.delay === null) {
      this.session = result.s;
      this.delay = this.floor = lag;
    }
    this.floor = Math.min(lag, this.floor + 0.05);
    const wanted = lag > this.delay ? lag : this.delay - (this.delay - lag) * EASE;
    this.delay = Math.min(wanted, this.floor + LATEST_MS);
    unit.due = result.at + this.delay;
  }

  #isDue(unit, now) {
    return unit.result ? unit.due <= now : now - unit.at > WAIT_MS;
  }

  #decode(unit) {
    if (unit.key && !this.#configure(unit)) return;
    if (!this.decoder || this.decoder.state !== 'configured') {
      this.byNumber.delete(unit.n);
      return;
    }
    if (this.decoder.decodeQueueSize > MOST_DECODING) {
      this.#skipToKey();
      return;
    }
    let data = unit.data;
    if (unit.key) {
      data = data.subarray(unit.head.x);
      if (this.prefix) data = joined(this.prefix, data);
    }
    unit.data = null;
    try {
      this.decoder.decode(new EncodedVideoChunk({ type: unit.key ? 'key' : 'delta', timestamp: unit.n, data }));
    } catch {
      // Such as a stream that is refreshed step by step: what it begins with is no key picture to a browser.
      this.#useStills();
    }
  }

  #configure(unit) {
    const { codec, x } = unit.head;
    const extradata = unit.data.subarray(0, x);
    const found = configurationOf(codec, extradata, unit.data.subarray(x));
    if (!found) return this.#useStills();
    this.orientation = { turns: unit.head.turns, mirrored: unit.head.mirrored };
    this.prefix = found.prefix;
    const same = `${found.config.codec} ${found.config.description ?? ''}`;
    if (this.decoder && this.decoder.state === 'configured' && same === this.configured) return true;
    this.#close();
    this.configured = same;
    this.decoder = new VideoDecoder({ output: (frame) => this.#output(frame), error: () => this.#failed() });
    try {
      this.decoder.configure(found.config);
    } catch {
      return this.#useStills();
    }
    return true;
  }

  #output(frame) {
    const now = performance.now();
    const unit = this.byNumber.get(frame.timestamp);
    this.failures = 0;
    if (!unit || unit.skip || now - this.paintedMs < this.pause || this.#isLate(unit, now)) {
      this.byNumber.delete(frame.timestamp);
      frame.close();
    } else if (this.#isDue(unit, now)) {
      this.#draw(unit, frame);
    } else {
      this.held.set(unit.n, frame);
      if (this.held.size > MOST_HELD) this.#drop(this.held.keys().next().value);
    }
  }

  /** Whether a newer picture is on its way, and this one would only hold it up. */
  #isLate(unit, now) {
    return unit.result && now - unit.due > LATE_MS && this.decoder?.decodeQueueSize > 0 && now - this.paintedMs < STARVED_MS;
  }

  #tickHeld(now) {
    for (const [number, frame] of this.held) {
      const unit = this.byNumber.get(number);
      if (!unit) this.#drop(number);
      else if (this.#isDue(unit, now)) {
        this.held.delete(number);
        this.#draw(unit, frame);
      }
    }
  }

  #draw(unit, frame) {
    this.byNumber.delete(unit.n);
    this.hasUnits = true;
    const at = unit.result ? unit.result.at : 0;
    if (!at || at >= this.drawnAt || unit.result.s !== this.drawnSession) {
      this.drawnAt = at || this.drawnAt;
      this.drawnSession = unit.result?.s ?? this.drawnSession;
      this.paintedMs = performance.now();
      this.paint(frame, unit.result, unit.frame ?? null, this.orientation);
    }
    frame.close();
  }

  #tickStills(now) {
    let newest = -1;
    this.stills.forEach((still, at) => {
      if (this.results.has(keyOf(still.head)) || now - still.at > WAIT_MS) newest = at;
    });
    if (newest < 0 || this.decodingStill) return;
    const still = this.stills.splice(0, newest + 1)[newest];
    this.decodingStill = true;
    createImageBitmap(new Blob([still.data], { type: 'image/jpeg' }))
      .then((bitmap) => {
        if (this.mode === 'stills' || !this.hasUnits) {
          this.paintedMs = performance.now();
          this.paint(bitmap, this.results.get(keyOf(still.head)) ?? null, still.head, null);
        }
        bitmap.close();
      })
      .catch(() => {}) // a damaged still is a gap; the next one comes
      .finally(() => {
        this.decodingStill = false;
      });
  }

  #skipToKey() {
    const at = this.units.findIndex((unit) => unit.key);
    const left = this.units.splice(0, at < 0 ? this.units.length : at);
    for (const unit of left) this.byNumber.delete(unit.n);
    if (at < 0) this.waitsForKey = true;
    if (this.decoder?.state === 'configured') {
      this.decoder.reset();
      this.configured = null;
    }
  }

  #drop(number) {
    this.held.get(number)?.close();
    this.held.delete(number);
    this.byNumber.delete(number);
  }

  #failed() {
    this.#close();
    this.#skipToKey();
    if (++this.failures >= MOST_FAILURES) this.#useStills();
  }

  #useStills() {
    this.#close();
    this.mode = 'stills';
    this.units = [];
    this.byNumber.clear();
    this.playing();
    return false;
  }

  #close() {
    if (this.decoder && this.decoder.state !== 'closed') this.decoder.close();
    this.decoder = null;
    this.configured = null;
  }
}
