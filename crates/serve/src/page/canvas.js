// Drawing with a mouse, a finger, a pen or keys.

import { $, cssVariable, imageCanvas } from "./dom.js";
import { PEN_RADIUS, SIDE, smooth } from "./strokes.js";

/** The distance that an arrow key moves the pen, and that with Shift. */
const STEP = 5;
const SMALL_STEP = 1;

const canvas = $("canvas");
const context = canvas.getContext("2d");
/** Strokes, examples and clearings in order. Undo removes the last one. */
const actions = [];
/** The unfinished stroke, and the pointer that draws it, which is "keys" for the keyboard. */
let stroke = null;
let pointer = null;
const cursor = { x: SIDE / 2, y: SIDE / 2, shown: false };

/** The strokes or the example on the canvas. */
export function currentDrawing() {
  const start = actions.findLastIndex((action) => action.kind !== "stroke");
  const example = start >= 0 && actions[start].kind === "example" ? actions[start].example : null;
  const strokes = actions.slice(start + 1).map((action) => action.points);
  if (stroke) strokes.push(stroke);
  // A stroke replaces an example.
  return strokes.length > 0 ? { strokes } : { strokes, example };
}

/** Whether a frame is requested, and whether the drawing has changed since the last one. */
let [isRequested, isChanged] = [false, false];
let notifyChange = () => {};

/** Sets the function that is called after a frame in which the drawing has changed. */
export function onChange(callback) {
  notifyChange = callback;
}

/** Records that the drawing has changed. */
function changed() {
  isChanged = true;
  requestPaint();
}

/** Repaints the canvas with the next frame. */
export function requestPaint() {
  if (isRequested) return;
  isRequested = true;
  requestAnimationFrame(() => {
    isRequested = false;
    paint();
    if (isChanged) {
      isChanged = false;
      notifyChange();
    }
  });
}

/** Puts an example, with its rows and columns, on the canvas. */
export function putExample(example) {
  endStroke();
  actions.push({ kind: "example", example });
  changed();
}

/** Paints the strokes, the example and the pen. */
function paint() {
  const size = Math.round(canvas.clientWidth * devicePixelRatio) || SIDE;
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const scale = size / SIDE;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, SIDE, SIDE);
  const { strokes, example } = currentDrawing();
  if (example) {
    context.imageSmoothingEnabled = false;
    context.drawImage(imageCanvas(example.pixels, example.rows, example.columns, cssVariable("--stroke")), 0, 0, SIDE, SIDE);
  }
  context.strokeStyle = context.fillStyle = cssVariable("--stroke");
  context.lineWidth = 2 * PEN_RADIUS;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(points[0].x, points[0].y);
    // A line of length 0 is a dot.
    for (const point of smooth(points)) context.lineTo(point.x, point.y);
    context.stroke();
  }
  if (cursor.shown) {
    context.strokeStyle = cssVariable("--accent");
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(cursor.x, cursor.y, PEN_RADIUS, 0, 2 * Math.PI);
    for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(cursor.x + x * PEN_RADIUS, cursor.y + y * PEN_RADIUS);
      context.lineTo(cursor.x + x * 2 * PEN_RADIUS, cursor.y + y * 2 * PEN_RADIUS);
    }
    context.stroke();
  }
  $("undo").disabled = actions.length === 0 && !stroke;
  $("placeholder").hidden = strokes.length > 0 || Boolean(example) || cursor.shown;
  $("clear").disabled = strokes.length === 0 && !example;
}

function pointOf(event) {
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.min(SIDE, Math.max(0, value));
  // Without the border.
  const [x, y] = [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
  return { x: within((x / canvas.clientWidth) * SIDE), y: within((y / canvas.clientHeight) * SIDE) };
}

function endStroke() {
  if (stroke) actions.push({ kind: "stroke", points: stroke });
  [stroke, pointer] = [null, null];
  showPen();
}

function undo() {
  // An unfinished stroke is the last one.
  if (stroke) [stroke, pointer] = [null, null];
  else actions.pop();
  showPen();
  changed();
}

function clear() {
  endStroke();
  if (!currentDrawing().example && currentDrawing().strokes.length === 0) return;
  actions.push({ kind: "clearing" });
  changed();
}

function showPen() {
  $("pen").textContent = pointer === "keys" ? "Pen down" : cursor.shown ? "Pen up" : "";
}

canvas.addEventListener("pointerdown", (event) => {
  if (pointer !== null && pointer !== "keys") return;
  if (event.button !== 0) return;
  endStroke();
  canvas.setPointerCapture(event.pointerId);
  cursor.shown = false;
  [stroke, pointer] = [[pointOf(event)], event.pointerId];
  showPen();
  changed();
});
canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer) return;
  const between = event.getCoalescedEvents?.() ?? [];
  for (const moved of between.length > 0 ? between : [event]) stroke.push(pointOf(moved));
  changed();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    if (event.pointerId !== pointer) return;
    endStroke();
    requestPaint();
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in ARROWS) {
    const [x, y] = ARROWS[event.key];
    const step = event.shiftKey ? SMALL_STEP : STEP;
    cursor.x = Math.min(SIDE, Math.max(0, cursor.x + x * step));
    cursor.y = Math.min(SIDE, Math.max(0, cursor.y + y * step));
    if (pointer === "keys") {
      stroke.push({ x: cursor.x, y: cursor.y });
      isChanged = true;
    }
  } else if (event.key === " " || event.key === "Enter") {
    if (event.repeat) return event.preventDefault();
    if (pointer === "keys") endStroke();
    else if (pointer === null) [stroke, pointer] = [[{ x: cursor.x, y: cursor.y }], "keys"];
    isChanged = true;
  } else {
    return;
  }
  event.preventDefault();
  cursor.shown = true;
  showPen();
  requestPaint();
});
canvas.addEventListener("focus", () => {
  cursor.shown = canvas.matches(":focus-visible");
  showPen();
  requestPaint();
});
canvas.addEventListener("blur", () => {
  if (pointer === "keys") endStroke();
  cursor.shown = false;
  showPen();
  requestPaint();
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
