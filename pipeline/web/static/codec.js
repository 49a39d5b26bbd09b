// What WebCodecs wants to know of a stream, from its key picture and extradata.

const hex = (byte) => byte.toString(16).padStart(2, '0').toUpperCase();

/** The first NAL unit of this type in a byte stream (Annex B of H.264), from its header on; null if there is none. */
function nalUnit(data, type) {
  for (let at = 0; at + 3 < data.length; at++) {
    if (data[at] === 0 && data[at + 1] === 0 && data[at + 2] === 1 && (data[at + 3] & 31) === type) {
      return data.subarray(at + 3);
    }
  }
  return null;
}

const isByteStream = (data) => data.length > 3 && data[0] === 0 && data[1] === 0 && (data[2] === 1 || data[3] === 1);

function h264(extradata, picture) {
  if (extradata[0] === 1) {
    const codec = `avc1.${hex(extradata[1])}${hex(extradata[2])}${hex(extradata[3])}`;
    return { config: { codec, description: extradata.slice() }, prefix: null };
  }
  const inBand = nalUnit(picture, 7);
  const sps = inBand ?? (isByteStream(extradata) ? nalUnit(extradata, 7) : null);
  if (sps === null) return null;
  const codec = `avc1.${hex(sps[1])}${hex(sps[2])}${hex(sps[3])}`;
  return { config: { codec }, prefix: inBand ? null : extradata.slice() };
}

const OTHERS = { vp8: 'vp8', vp9: 'vp09.00.51.08', av1: 'av01.0.09M.08' };

/**
 * The configuration for a decoder, and what is to precede key pictures; null where this stream cannot be played here.
 */
export function configurationOf(codec, extradata, picture) {
  const found = codec === 'h264' ? h264(extradata, picture) : OTHERS[codec] && { config: { codec: OTHERS[codec] }, prefix: null };
  if (!found) return null;
  found.config.optimizeForLatency = true;
  return found;
}

/** Two byte arrays put together. */
export function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
