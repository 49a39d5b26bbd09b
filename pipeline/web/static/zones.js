// Zones and lines as a fleet file has them: where they are in a picture, and what is in them. Nothing is drawn here.

// Of each point of a box that a rule may look at: shares of left and right, of top and bottom.
const ANCHORS = { bottom: [0.5, 1], center: [0.5, 0.5], top: [0.5, 0], left: [0, 0.5], right: [1, 0.5] };

export const WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]];

const areShares = (points) => points.every(([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1);

/** Corners as shares of a picture of this size; null where they are pixels and the size is not known. */
export function sharesOf(points, wh) {
  if (areShares(points)) return points;
  return wh?.[0] ? points.map(([x, y]) => [x / wh[0], y / wh[1]]) : null;
}

/** All of a camera's: what they are called, and their corners in shares. */
export function shapesOf(rules, wh) {
  const found = [];
  for (const [section, key] of [['zones', 'polygon'], ['lines', 'points']]) {
    for (const [name, rule] of Object.entries(rules?.[section] ?? {})) {
      found.push({ section, name, rule, points: sharesOf(rule[key], wh) });
    }
  }
  return found;
}

/** The point of a box that a rule looks at, px. */
export function anchorOf([x1, y1, x2, y2], on) {
  const [across, down] = ANCHORS[on] ?? ANCHORS.bottom;
  return [x1 + across * (x2 - x1), y1 + down * (y2 - y1)];
}

/** Whether a point is inside a polygon, by how many of its edges lie to its left. */
export function isInside(polygon, [x, y]) {
  let inside = false;
  polygon.forEach(([x2, y2], at) => {
    const [x1, y1] = polygon.at(at - 1);
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}

/** How many of a picture's boxes are in a zone; null where nothing is known of the picture. */
export function countIn(shape, result) {
  if (!result || result.o === 'skipped' || !shape.points) return null;
  const { on, classes, min_score: least, attributes } = shape.rule;
  const [wide, high] = result.wh;
  const counts = ([id, name, , x1, y1, x2, y2, percent]) => {
    if ((classes.length && !classes.includes(name)) || percent < Math.round(100 * least)) return false;
    const isSo = ([attribute, labels]) => labels.includes(result.l?.[id]?.[attribute]);
    if (!Object.entries(attributes ?? {}).every(isSo)) return false;
    const [x, y] = anchorOf([x1, y1, x2, y2], on);
    return isInside(shape.points, [x / wide, y / high]);
  };
  return result.b.filter(counts).length;
}

/** Where a line's arrow stands and points to, in units of length `long`: across it, to the side that is `in`. */
export function arrowOf([[x1, y1], [x2, y2]], long) {
  const size = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return [[x, y], [x - ((y2 - y1) / size) * long, y + ((x2 - x1) / size) * long]];
}

/** Which directions of a line its conditions tell of. */
export function directionsOf(rule) {
  const told = (word) => rule.when.includes('cross') || rule.when.includes(word);
  return ['in', 'out'].filter(told);
}
