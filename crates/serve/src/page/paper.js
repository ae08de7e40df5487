// Drawing: by mouse, finger, pen or keys.

import { $, picture, style } from "./basics.js";
import { PEN, SIDE, smooth } from "./ink.js";

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
export function onPaper() {
  const start = deeds.findLastIndex((deed) => deed.kind !== "stroke");
  const example = start >= 0 && deeds[start].kind === "example" ? deeds[start].example : null;
  const strokes = deeds.slice(start + 1).map((deed) => deed.points);
  if (stroke) strokes.push(stroke);
  // Drawing begins a picture of one's own.
  return strokes.length > 0 ? { strokes } : { strokes, example };
}

/** Whether a frame is due, and the paper has changed since the last one. */
let [isDue, isNew] = [false, false];
let tellOfChange = () => {};

/** Sets what is called after a frame in which the paper has changed. */
export function whenDrawn(callback) {
  tellOfChange = callback;
}

/** What is on the paper has changed. */
function changed() {
  isNew = true;
  refresh();
}

/** Shows paper and pen with the next frame. */
export function refresh() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    paint();
    if (isNew) {
      isNew = false;
      tellOfChange();
    }
  });
}

/** Puts a picture with its rows and columns on the paper. */
export function putExample(example) {
  endStroke();
  deeds.push({ kind: "example", example });
  changed();
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
    ink.drawImage(picture(example.pixels, example.rows, example.columns, style("--ink")), 0, 0, SIDE, SIDE);
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
  $("undo").disabled = deeds.length === 0 && !stroke;
  $("clear").disabled = strokes.length === 0 && !example;
}

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
