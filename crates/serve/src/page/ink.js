// Strokes as pixels.

/** The paper has SIDE x SIDE units; a stroke is 2 x PEN units wide, as thick in its digit as MNIST's are. */
export const SIDE = 140;
export const PEN = 6;

/** Points along a smooth curve: parabolas between the middles of neighbours. */
export function smooth(points) {
  if (points.length < 3) return points;
  const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const curve = [points[0]];
  for (let i = 1; i + 1 < points.length; i++) {
    const [from, via, to] = [curve.at(-1), points[i], middle(points[i], points[i + 1])];
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
 * The paper as bytes of ink, computed here: some browsers add noise to what is read back from a canvas, against
 * fingerprinting.
 */
export function raster(strokes) {
  const bytes = new Uint8Array(SIDE * SIDE);
  for (const points of strokes) {
    const curve = smooth(points);
    for (let i = 0; i < curve.length; i++) {
      const [a, b] = [curve[Math.max(0, i - 1)], curve[i]];
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const length = dx * dx + dy * dy;
      const range = (p, q) => [Math.max(0, Math.floor(Math.min(p, q) - PEN - 1)), Math.min(SIDE, Math.ceil(Math.max(p, q) + PEN + 1))];
      const [[left, right], [top, bottom]] = [range(a.x, b.x), range(a.y, b.y)];
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
          const t = length > 0 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
          const amount = 255 * (PEN + 0.5 - Math.hypot(px - t * dx, py - t * dy));
          const place = y * SIDE + x;
          if (amount > bytes[place]) bytes[place] = Math.min(255, amount);
        }
      }
    }
  }
  return bytes;
}

/** A BMP file of grey bytes: 54 bytes of headers, 256 colours, the rows from the lowest up. SIDE is a multiple of 4. */
export function bitmap(bytes) {
  const start = 54 + 1024;
  const file = new DataView(new ArrayBuffer(start + bytes.length));
  file.setUint16(0, 0x424d);
  const fields = [start + bytes.length, 0, start, 40, SIDE, SIDE, (8 << 16) | 1, 0, bytes.length, 0, 0, 256, 0];
  fields.forEach((field, i) => file.setUint32(2 + 4 * i, field, true));
  for (let tone = 0; tone < 256; tone++) file.setUint32(54 + 4 * tone, tone * 0x010101, true);
  for (let row = 0; row < SIDE; row++) {
    new Uint8Array(file.buffer, start + row * SIDE, SIDE).set(bytes.subarray((SIDE - 1 - row) * SIDE, (SIDE - row) * SIDE));
  }
  return file.buffer;
}
