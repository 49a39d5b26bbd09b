// The one WebSocket: records in, acknowledgements and wishes out. It comes back by itself.

const RETRY_MS = [250, 500, 1000, 2000, 4000];
const words = new TextDecoder();

/** Connects, and hands on each record as `take(head, bytes)`. */
export class Socket {
  #take;
  #lost;
  #socket = null;
  #wishes = {};
  #failures = 0;

  constructor(take, lost) {
    this.#take = take;
    this.#lost = lost;
    this.#connect();
  }

  /** Which cameras are shown from now on, and how: {gate: 'units' | 'stills'}. */
  watch(wishes) {
    this.#wishes = wishes;
    this.#say({ watch: wishes });
  }

  #connect() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = (this.#socket = new WebSocket(`${scheme}://${location.host}/live`));
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.#failures = 0;
    };
    socket.onmessage = (message) => {
      this.#read(message.data);
      this.#say({ ack: 1 });
    };
    socket.onclose = () => {
      this.#lost();
      const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
      setTimeout(() => this.#connect(), wait);
    };
  }

  #say(what) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(what));
  }

  #read(buffer) {
    const view = new DataView(buffer);
    let at = 0;
    while (at < buffer.byteLength) {
      const headBytes = view.getUint32(at, true);
      const dataBytes = view.getUint32(at + 4, true);
      const head = JSON.parse(words.decode(new Uint8Array(buffer, at + 8, headBytes)));
      const data = new Uint8Array(buffer, at + 8 + headBytes, dataBytes);
      at += 8 + headBytes + dataBytes;
      this.#take(head, data);
      if (head.t === 'hello') this.#say({ watch: this.#wishes });
    }
  }
}

/** The JSON behind a record's head. */
export const json = (data) => JSON.parse(words.decode(data));
