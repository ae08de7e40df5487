// Rasterizing strokes, and BMP files.

/** The drawing area has SIDE x SIDE units. A stroke is 2 x PEN_RADIUS units wide, about as thick as those of MNIST. */
export const SIDE = 140;
export const PEN_RADIUS = 6;

/** Points along a smooth curve: parabolas between the midpoints of neighboring points. */
export function smooth(points) {
  if (points.length < 3) return points;
  const midpoint = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const curve = [points[0]];
  for (let i = 1; i + 1 < points.length; i++) {
    const [from, via, to] = [curve.at(-1), points[i], midpoint(points[i], points[i + 1])];
    const parts = Math.min(8, Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 2)));
    for (let part = 1; part <= parts; part++) {
      const t = part / parts;
      const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
      curve.push({ x: a * from.x + b * via.x + c * to.x, y: a * from.y + b * via.y + c * to.y });
    }
  }
  curve.push(points.at(-1));
  return curve;
}

/**
 * The drawing as gray levels, light on black. It is computed here, since some browsers add noise to what a script reads from a canvas,
 * against fingerprinting.
 */
export function rasterize(strokes) {
  const bytes = new Uint8Array(SIDE * SIDE);
  for (const points of strokes) {
    const curve = smooth(points);
    for (let i = 0; i < curve.length; i++) {
      const [a, b] = [curve[Math.max(0, i - 1)], curve[i]];
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const length = dx * dx + dy * dy;
      const range = (p, q) => [Math.max(0, Math.floor(Math.min(p, q) - PEN_RADIUS - 1)), Math.min(SIDE, Math.ceil(Math.max(p, q) + PEN_RADIUS + 1))];
      const [[left, right], [top, bottom]] = [range(a.x, b.x), range(a.y, b.y)];
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
          const t = length > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
          const amount = 255 * (PEN_RADIUS + 0.5 - Math.hypot(px - t * dx, py - t * dy));
          const index = y * SIDE + x;
          if (amount > bytes[index]) bytes[index] = Math.min(255, amount);
        }
      }
    }
  }
  return bytes;
}

/** A BMP file of gray levels: 54 bytes of headers, 256 colors, the rows from bottom to top. SIDE is a multiple of 4. */
export function bmpFile(bytes) {
  const start = 54 + 1024;
  const file = new DataView(new ArrayBuffer(start + bytes.length));
  file.setUint16(0, 0x424d);
  const fields = [start + bytes.length, 0, start, 40, SIDE, SIDE, (8 << 16) | 1, 0, bytes.length, 0, 0, 256, 0];
  fields.forEach((field, i) => file.setUint32(2 + 4 * i, field, true));
  for (let level = 0; level < 256; level++) file.setUint32(54 + 4 * level, level * 0x010101, true);
  for (let row = 0; row < SIDE; row++) {
    new Uint8Array(file.buffer, start + row * SIDE, SIDE).set(bytes.subarray((SIDE - 1 - row) * SIDE, (SIDE - row) * SIDE));
  }
  return file.buffer;
}
