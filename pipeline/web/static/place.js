// Where a picture is within the element that shows it: as large as fits, in the middle (`object-fit: contain`).

/** The picture's place, px. */
export function placeOf(element, [wide, high]) {
  const { clientWidth, clientHeight } = element;
  const scale = Math.min(clientWidth / wide, clientHeight / high);
  const [width, height] = [wide * scale, high * scale];
  return { left: (clientWidth - width) / 2, top: (clientHeight - height) / 2, width, height };
}

/** A point of the picture, in shares of it, as px of the element; and back. */
export const toPx = (place, [x, y]) => [place.left + x * place.width, place.top + y * place.height];
export const toShare = (place, [x, y]) => [(x - place.left) / place.width, (y - place.top) / place.height];

/** An SVG element with attributes; `on…` are listeners. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat());
  return element;
}

/** Points as SVG wants them. */
export const pointsOf = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
