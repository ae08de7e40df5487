// The page: drawing, asking the server, and showing what it says. Nothing here comes from elsewhere or goes there.

const $ = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** An element with attributes and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** One line at the top of the page, or none. */
function tell(problem) {
  if ($("problem").textContent !== problem) $("problem").textContent = problem;
  $("problem").hidden = problem === "";
}

/** The JSON that the server answers. */
async function ask(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

// ---------------------------------------------------------------------------------------------------------------- drawing

/** The paper has SIDE x SIDE units; a stroke is 2 x PEN units wide, as thick in its digit as MNIST's are. */
const SIDE = 140;
const PEN = 6;
/** How far an arrow key moves the pen, and with Shift. */
const STEP = 5;
const SMALL_STEP = 1;

const paper = $("paper");
const ink = paper.getContext("2d");
/** What was done, in order: strokes, examples, and clearings. Undo takes the last one back. */
const deeds = [];
/** The stroke that is being drawn, and the pointer that draws it: "keys" for the keyboard. */
let stroke = null;
let pointer = null;
const cursor = { x: SIDE / 2, y: SIDE / 2, shown: false };

/** The strokes, or the example, that are on the paper. */
function onPaper() {
  const start = deeds.findLastIndex((deed) => deed.kind !== "stroke");
  const example = start >= 0 && deeds[start].kind === "example" ? deeds[start].example : null;
  const strokes = deeds.slice(start + 1).map((deed) => deed.points);
  if (stroke) strokes.push(stroke);
  // Drawing begins a picture of one's own.
  return strokes.length > 0 ? { strokes } : { strokes, example };
}

/** Points along a smooth curve: parabolas between the middles of neighbours. */
function smooth(points) {
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
function raster(strokes) {
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
function bitmap(bytes) {
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

/** Shows strokes, example and pen. */
function paint() {
  const size = Math.round(paper.clientWidth * devicePixelRatio) || SIDE;
  if (paper.width !== size) paper.width = paper.height = size;
  const scale = size / SIDE;
  ink.setTransform(scale, 0, 0, scale, 0, 0);
  ink.clearRect(0, 0, SIDE, SIDE);
  const { strokes, example } = onPaper();
  if (example) {
    ink.imageSmoothingEnabled = false;
    ink.drawImage(picture(example.pixels, model.rows, model.columns, style("--ink")), 0, 0, SIDE, SIDE);
  }
  ink.strokeStyle = ink.fillStyle = style("--ink");
  ink.lineWidth = 2 * PEN;
  ink.lineCap = ink.lineJoin = "round";
  for (const points of strokes) {
    ink.beginPath();
    ink.moveTo(points[0].x, points[0].y);
    // A line of no length is a dot.
    for (const point of smooth(points)) ink.lineTo(point.x, point.y);
    ink.stroke();
  }
  if (cursor.shown) {
    ink.strokeStyle = style("--accent");
    ink.lineWidth = 1.5;
    ink.beginPath();
    ink.arc(cursor.x, cursor.y, PEN, 0, 2 * Math.PI);
    for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ink.moveTo(cursor.x + x * PEN, cursor.y + y * PEN);
      ink.lineTo(cursor.x + x * 2 * PEN, cursor.y + y * 2 * PEN);
    }
    ink.stroke();
  }
  const isEmpty = strokes.length === 0 && !example;
  $("undo").disabled = deeds.length === 0 && !stroke;
  $("clear").disabled = isEmpty;
  return { strokes, example, isEmpty };
}

/** A canvas of a picture in one colour, as opaque as there is ink. */
function picture(pixels, rows, columns, colour) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const [red, green, blue] = rgb(colour);
  const data = context.createImageData(columns, rows);
  pixels.forEach((pixel, i) => data.data.set([red, green, blue, pixel], 4 * i));
  context.putImageData(data, 0, 0);
  return canvas;
}

/** Red, green and blue of #rrggbb. */
const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function pointOf(event) {
  const box = paper.getBoundingClientRect();
  const within = (value) => Math.min(SIDE, Math.max(0, value));
  // The border is no paper.
  const [x, y] = [event.clientX - box.left - paper.clientLeft, event.clientY - box.top - paper.clientTop];
  return { x: within((x / paper.clientWidth) * SIDE), y: within((y / paper.clientHeight) * SIDE) };
}

function endStroke() {
  if (stroke) deeds.push({ kind: "stroke", points: stroke });
  [stroke, pointer] = [null, null];
  sayPen();
}

function undo() {
  // What is being drawn is the last stroke.
  if (stroke) [stroke, pointer] = [null, null];
  else deeds.pop();
  sayPen();
  changed();
}

function clear() {
  endStroke();
  if (!onPaper().example && onPaper().strokes.length === 0) return;
  deeds.push({ kind: "clearing" });
  changed();
}

function sayPen() {
  $("pen").textContent = pointer === "keys" ? "Pen down" : cursor.shown ? "Pen up" : "";
}

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null && pointer !== "keys") return;
  if (event.button !== 0) return;
  endStroke();
  paper.setPointerCapture(event.pointerId);
  cursor.shown = false;
  [stroke, pointer] = [[pointOf(event)], event.pointerId];
  sayPen();
  changed();
});
paper.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const between = event.getCoalescedEvents?.() ?? [];
  for (const moved of between.length > 0 ? between : [event]) stroke.push(pointOf(moved));
  changed();
});
for (const end of ["pointerup", "pointercancel"]) {
  paper.addEventListener(end, (event) => {
    if (event.pointerId !== pointer) return;
    endStroke();
    refresh();
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
paper.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in ARROWS) {
    const [x, y] = ARROWS[event.key];
    const step = event.shiftKey ? SMALL_STEP : STEP;
    cursor.x = Math.min(SIDE, Math.max(0, cursor.x + x * step));
    cursor.y = Math.min(SIDE, Math.max(0, cursor.y + y * step));
    if (pointer === "keys") {
      stroke.push({ x: cursor.x, y: cursor.y });
      isNew = true;
    }
  } else if (event.key === " " || event.key === "Enter") {
    if (event.repeat) return event.preventDefault();
    if (pointer === "keys") endStroke();
    else if (pointer === null) [stroke, pointer] = [[{ x: cursor.x, y: cursor.y }], "keys"];
    isNew = true;
  } else {
    return;
  }
  event.preventDefault();
  cursor.shown = true;
  sayPen();
  refresh();
});
paper.addEventListener("focus", () => {
  cursor.shown = paper.matches(":focus-visible");
  sayPen();
  refresh();
});
paper.addEventListener("blur", () => {
  if (pointer === "keys") endStroke();
  cursor.shown = false;
  sayPen();
  refresh();
});
addEventListener("keydown", (event) => {
  if ($("draw").hidden) return;
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
  const isClear = !event.ctrlKey && !event.metaKey && !event.altKey && ["Delete", "Escape"].includes(event.key);
  if (!isUndo && !isClear) return;
  event.preventDefault();
  if (isUndo) undo();
  else clear();
});
$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);

// ----------------------------------------------------------------------------------------------------------------- asking

let model = null;
/** Whether a frame is due, a question is out, and the paper has changed since. */
let [isDue, isAsking, isNew] = [false, false, false];

/** What is on the paper has changed: it is asked about when the last answer is there. */
function changed() {
  isNew = true;
  refresh();
}

/** Shows paper and pen with the next frame. */
function refresh() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (!model) return;
    paint();
    predict();
  });
}

async function predict() {
  if (isAsking || !isNew || !model.ready) return;
  isNew = false;
  const { strokes, example } = onPaper();
  if (strokes.length === 0 && !example) return show(null);
  const [type, body] = example
    ? ["application/json", JSON.stringify({ pixels: example.pixels })]
    : ["image/bmp", bitmap(raster(strokes))];
  isAsking = true;
  try {
    const options = { method: "POST", headers: { "Content-Type": type }, body };
    const answer = await ask("/api/predict?show=all", options);
    tell("");
    // If the paper was cleared meanwhile, the next round shows it.
    show(answer);
  } catch (error) {
    tell(error.message);
  } finally {
    isAsking = false;
  }
  predict();
}

// ---------------------------------------------------------------------------------------------------------------- showing

/** Classes that are shown: all of a few, else the likeliest. */
const MOST_BARS = 12;
const SHOWN_OF_MANY = 10;
let shown = null;
let saying = 0;

const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share === 0 ? 0 : 1)} %`;

function show(answer) {
  shown = answer;
  const count = model.labels.length;
  const probabilities = answer ? answer.probabilities.map((p) => p ?? 0) : new Array(count).fill(0);
  let order = probabilities.map((_, digit) => digit);
  if (count > MOST_BARS) {
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    order = order.slice(0, SHOWN_OF_MANY);
  }
  const bars = $("bars");
  while (bars.children.length < order.length) {
    const track = make("span", { class: "track", "aria-hidden": "true" }, make("span", { class: "fill" }));
    bars.append(make("li", {}, make("span", { class: "label" }), track, make("span", { class: "percent" })));
  }
  order.forEach((digit, i) => {
    const [label, track, text] = bars.children[i].children;
    label.textContent = model.labels[digit];
    track.firstChild.style.width = `${100 * probabilities[digit]}%`;
    text.textContent = answer ? percent(probabilities[digit]) : "";
    bars.children[i].classList.toggle("best", answer?.digit === digit);
  });
  $("top").textContent = answer ? answer.label : "–";
  $("sure").textContent = answer ? `${percent(probabilities[answer.digit])} sure` : "Draw something, or take an example.";
  say(answer ? `Most likely ${answer.label}, ${percent(probabilities[answer.digit])}` : "");
  const input = $("input");
  paintInput(input, answer ? answer.input : null);
  input.setAttribute("aria-label", answer ? `The ${answer.label} as the network sees it` : "Nothing yet");
  showLayers(answer ? answer.activations : null);
}

/** Says it to a screen reader when the drawing rests. */
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    if ($("summary").textContent !== text) $("summary").textContent = text;
  }, 800);
}

/** Pixels as the network takes them: light on black. */
function paintInput(canvas, pixels) {
  [canvas.width, canvas.height] = [model.columns, model.rows];
  if (pixels) canvas.getContext("2d").drawImage(picture(pixels, model.rows, model.columns, "#ffffff"), 0, 0);
}

/** The side of a cell and the gap to the next, in pixels. */
const CELL = 12;
const GAP = 2;

/** A colour for each output, from the least to the strongest of its layer. */
function colours() {
  const [zero, up, down] = ["--cell", "--cell-up", "--cell-down"].map((name) => rgb(style(name)));
  return (share) => {
    const end = share < 0 ? down : up;
    const part = Math.min(1, Math.abs(share));
    return `rgb(${zero.map((value, i) => Math.round(value + part * (end[i] - value))).join()})`;
  };
}

function showLayers(layers) {
  const hidden = layers ?? model.layers.filter((layer) => layer.parameters > 0).slice(0, -1).map((layer) => ({
    layer: layer.name,
    outputs: new Array(layer.outputs).fill(0),
  }));
  $("inside").hidden = hidden.length === 0;
  const colour = colours();
  const list = $("layers");
  const has = (name) => [...list.children].some((figure) => figure.dataset.layer === name);
  if (!hidden.every(({ layer }) => has(layer))) {
    list.replaceChildren(...hidden.map(({ layer }) =>
      make("figure", { "data-layer": layer }, make("figcaption"), make("canvas", { role: "img" }))));
  }
  let isSigned = false;
  hidden.forEach(({ layer, outputs }, i) => {
    const [caption, canvas] = list.children[i].children;
    const strongest = outputs.reduce((most, output) => Math.max(most, Math.abs(output)), 0);
    isSigned ||= outputs.some((output) => output < 0);
    const lit = outputs.filter((output) => Math.abs(output) > 0.02 * strongest).length;
    const said = layers ? `${outputs.length} units, ${lit} lit` : `${outputs.length} units`;
    caption.textContent = `${layer}: ${said}`;
    canvas.setAttribute("aria-label", caption.textContent);
    const columns = Math.max(16, Math.ceil(Math.sqrt(2 * outputs.length) / 16) * 16);
    const rows = Math.ceil(outputs.length / columns);
    [canvas.width, canvas.height] = [columns * CELL - GAP, rows * CELL - GAP];
    const context = canvas.getContext("2d");
    outputs.forEach((output, unit) => {
      context.fillStyle = colour(strongest > 0 ? output / strongest : 0);
      const [x, y] = [(unit % columns) * CELL, Math.floor(unit / columns) * CELL];
      context.fillRect(x, y, CELL - GAP, CELL - GAP);
    });
  });
  const scale = $("scale").getContext("2d");
  const width = $("scale").width;
  for (let x = 0; x < width; x++) {
    scale.fillStyle = colour(isSigned ? (2 * x) / (width - 1) - 1 : x / (width - 1));
    scale.fillRect(x, 0, 1, 1);
  }
  $("least").textContent = isSigned ? "the most negative" : "0";
}

function showExamples() {
  $("examples-part").hidden = model.examples.length === 0;
  $("examples").replaceChildren(...model.examples.map((example) => {
    const canvas = make("canvas", { "aria-hidden": "true" });
    paintInput(canvas, example.pixels);
    const label = model.labels[example.label] ?? example.label;
    const button = make("button", { type: "button", title: `A ${label}`, "aria-label": `Example: a ${label}` }, canvas);
    button.addEventListener("click", () => {
      endStroke();
      deeds.push({ kind: "example", example });
      changed();
    });
    return button;
  }));
}

// ------------------------------------------------------------------------------------------------------------------- tabs

const tabs = [...document.querySelectorAll("[role=tab]")];
const panel = (tab) => $(tab.getAttribute("aria-controls"));

function open(tab) {
  for (const other of tabs) {
    const isOpen = other === tab;
    other.setAttribute("aria-selected", isOpen);
    other.tabIndex = isOpen ? 0 : -1;
    panel(other).hidden = !isOpen;
  }
  // Read again each time: there may be a new one.
  if (tab.id === "tab-report") $("frame").src = "/report";
  if (tab.id === "tab-training") drawCharts();
  if (tab.id === "tab-draw") refresh();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const there = tabs.filter((other) => !other.hidden);
    const at = there.indexOf(tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = there.at(next % there.length);
    open(chosen);
    chosen.focus();
  });
}

// --------------------------------------------------------------------------------------------------------------- training

/** How often a training is asked after, in milliseconds. */
const POLL = 250;
const POLL_AFTER_FAILURE = 2000;
/** Epochs that the table shows. */
const TABLE_ROWS = 50;
const curve = { generation: 0, points: [], finished: [], epochs: 0, steps: 0, phase: "starting", now: null };

async function watch() {
  let wait = POLL;
  try {
    const known = `generation=${curve.generation}&points=${curve.points.length}&epochs=${curve.finished.length}`;
    const news = await ask(`/api/training?${known}`);
    const { points_from: from, epochs_from: first } = news;
    const isNew = news.points.length > 0 || news.finished.length > 0 || news.phase !== curve.phase;
    const points = [...curve.points.slice(0, from), ...news.points];
    const finished = [...curve.finished.slice(0, first), ...news.finished];
    Object.assign(curve, news, { points, finished });
    tell("");
    sayProgress();
    if (isNew && !$("training").hidden) drawCharts();
  } catch (error) {
    tell(error.message);
    wait = POLL_AFTER_FAILURE;
  }
  if (curve.phase === "ended") await learn();
  else setTimeout(watch, wait);
}

function sayProgress() {
  const { phase, now, epochs, steps } = curve;
  const numbers = now ? `loss ${now.loss?.toFixed(4)}, accuracy ${percent(now.accuracy)}` : "";
  $("progress").textContent =
    phase === "starting" ? "Training begins."
    : phase === "ended" ? `Training has ended: test accuracy ${(100 * curve.test_accuracy).toFixed(2)} %. The Draw tab has the network.`
    : `Epoch ${now.epoch + 1} of ${epochs}, step ${now.step} of ${steps}: ${numbers}`;
}

function drawCharts() {
  const line = (which) => curve.points.map((point) => [point[0], point[which]]);
  const after = (key) => curve.finished.map((epoch, i) => [i + 1, epoch[key]]).filter(([, y]) => y !== null);
  drawChart($("loss"), "Loss", line(1), after("val_loss"));
  drawChart($("accuracy"), "Accuracy", line(2), after("val_accuracy"));
  $("validation-key").hidden = after("val_loss").length === 0 && curve.finished.length > 0;
  $("epochs").hidden = curve.finished.length === 0;
  const number = (value) => make("td", {}, value === null ? "–" : value.toFixed(4));
  const first = Math.max(0, curve.finished.length - TABLE_ROWS);
  $("epochs").tBodies[0].replaceChildren(...curve.finished.slice(first).map((epoch, i) =>
    make("tr", {}, make("td", {}, `${first + i + 1}`),
      ...["loss", "accuracy", "val_loss", "val_accuracy"].map((key) => number(epoch[key])))).reverse());
}

/** Round steps of 1, 2 or 5 that divide a range into a few parts. */
function ticks(from, to, parts) {
  const rough = (to - from) / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const count = Math.floor((to - from) / step + 1e-6);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: count + 1 }, (_, i) => [from + i * step, (from + i * step).toFixed(digits)]);
}

function drawChart(svg, title, line, dots) {
  const node = (name, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const [width, height] = [svg.clientWidth || 320, svg.clientHeight || 240];
  const [left, right, top, bottom] = [44, width - 12, 8, height - 38];
  const values = [...line, ...dots].map(([, y]) => y).filter(Number.isFinite);
  const isAccuracy = title === "Accuracy";
  let [low, high] = isAccuracy ? [Math.floor(10 * Math.min(0.9, ...values)) / 10, 1] : [0, Math.max(0.1, ...values) * 1.05];
  const last = Math.max(1, curve.epochs, ...dots.map(([x]) => x));
  const place = (x, y) => [left + (x / last) * (right - left), bottom - ((y - low) / (high - low)) * (bottom - top)];
  const path = (points) => points.map((point, i) => (i ? "L" : "M") + place(...point).map((v) => v.toFixed(1)).join(" ")).join("");
  const parts = [];
  for (const [value, text] of ticks(low, high, 5)) {
    const [, y] = place(0, value);
    parts.push(node("path", { class: "grid", d: `M${left} ${y}H${right}` }));
    parts.push(node("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, text));
  }
  const epochs = ticks(0, last, Math.min(last, Math.max(2, Math.floor(width / 90)))).filter(([value]) => Number.isInteger(value));
  for (const [value, text] of epochs) {
    parts.push(node("text", { x: place(value, low)[0], y: bottom + 16, "text-anchor": "middle" }, text));
  }
  parts.push(node("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, "epochs"));
  const finite = ([, y]) => Number.isFinite(y);
  parts.push(node("path", { class: "train", d: path(line.filter(finite)) }));
  parts.push(node("path", { class: "validation", d: path(dots.filter(finite)) }));
  for (const dot of dots.filter(finite)) {
    const [cx, cy] = place(...dot);
    parts.push(node("circle", { class: "validation", cx, cy, r: dots.length > 60 ? 2 : 4 }));
  }
  const latest = values.length > 0 && line.length > 0 ? `, now ${line.at(-1)[1]?.toFixed(4)}` : "";
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", `${title} over the epochs${latest}; the table has the numbers`);
  svg.replaceChildren(...parts);
}

// ------------------------------------------------------------------------------------------------------------------ start

/** Asks what is served, and shows it. */
async function learn() {
  try {
    model = await ask("/api/model");
  } catch (error) {
    return tell(error.message);
  }
  const parameters = model.layers.reduce((sum, layer) => sum + layer.parameters, 0);
  $("title").textContent = model.title + (parameters ? `, ${parameters.toLocaleString("en")} parameters` : "");
  document.title = `ziffer: ${model.title}`;
  $("waiting").hidden = model.ready;
  $("tab-training").hidden = !model.training;
  $("input-size").textContent = `${model.rows} x ${model.columns} pixels`;
  $("bars").classList.toggle("named", model.labels.some((label) => label.length > 3));
  const address = `${location.origin}/api/predict`;
  $("call-json").textContent = `curl ${address} --json '{"pixels": [0, 0, ..., 255, 0]}'`;
  $("call-picture").textContent = `curl ${address}?show=all -H 'Content-Type: image/png' --data-binary @digit.png`;
  showExamples();
  show(shown);
  changed();
}

function redraw() {
  if (!model) return;
  refresh();
  showLayers(shown ? shown.activations : null);
  if (!$("training").hidden) drawCharts();
}
dark.addEventListener("change", redraw);
addEventListener("resize", redraw);

await learn();
if (model?.training) {
  if (!model.ready) open($("tab-training"));
  watch();
}
const chosen = $(`tab-${location.hash.slice(1)}`);
if (chosen && !chosen.hidden) open(chosen);
