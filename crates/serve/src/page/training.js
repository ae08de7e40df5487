// The curves of a training while it runs.

import { $, createElement, fetchJson, showError } from "./dom.js";

/** Milliseconds between two requests, and after a failed one. */
const POLL_MS = 250;
const POLL_AFTER_FAILURE_MS = 2000;
/** The fraction of the first epoch that the charts' range ignores. */
const BEGINNING = 0.2;
/** The number of epochs in the table. */
const TABLE_ROWS = 50;
const curve = { generation: 0, points: [], finished: [], epochs: 0, steps: 0, phase: "starting", now: null };

/** Polls the progress until the training has ended, and then calls `end`. */
export async function watch(end) {
  let wait = POLL_MS;
  try {
    const cursor = `generation=${curve.generation}&points=${curve.points.length}&epochs=${curve.finished.length}`;
    const update = await fetchJson(`/api/training?${cursor}`);
    const { points_from: from, epochs_from: first } = update;
    const isNew = update.points.length > 0 || update.finished.length > 0 || update.phase !== curve.phase;
    const points = [...curve.points.slice(0, from), ...update.points];
    const finished = [...curve.finished.slice(0, first), ...update.finished];
    Object.assign(curve, update, { points, finished });
    showError("");
    showProgress();
    if (isNew && !$("training").hidden) drawCharts();
  } catch (error) {
    showError(error.message);
    wait = POLL_AFTER_FAILURE_MS;
  }
  if (curve.phase === "ended") await end();
  else setTimeout(watch, wait, end);
}

function showProgress() {
  const { phase, now, epochs, steps } = curve;
  const numbers = now ? `loss ${now.loss?.toFixed(4)}, accuracy ${(100 * now.accuracy).toFixed(1)}%` : "";
  $("progress").textContent =
    phase === "starting" ? "The training starts."
    : phase === "ended" ? `The training has ended with a test accuracy of ${(100 * curve.test_accuracy).toFixed(2)}%. The Draw tab predicts with the model.`
    : `Epoch ${now.epoch + 1} of ${epochs}, step ${now.step} of ${steps}: ${numbers}`;
}

export function drawCharts() {
  const line = (which) => curve.points.map((point) => [point[0], point[which]]);
  const after = (key) => curve.finished.map((epoch, i) => [i + 1, epoch[key]]).filter(([, y]) => y !== null);
  drawChart($("loss"), "Loss", line(1), after("val_loss"));
  drawChart($("accuracy"), "Accuracy", line(2), after("val_accuracy"));
  $("validation-key").hidden = after("val_loss").length === 0 && curve.finished.length > 0;
  $("epochs").hidden = curve.finished.length === 0;
  const number = (value) => createElement("td", {}, value === null ? "–" : value.toFixed(4));
  const first = Math.max(0, curve.finished.length - TABLE_ROWS);
  $("epochs").tBodies[0].replaceChildren(...curve.finished.slice(first).map((epoch, i) =>
    createElement("tr", {}, createElement("td", {}, `${first + i + 1}`),
      ...["loss", "accuracy", "val_loss", "val_accuracy"].map((key) => number(epoch[key])))).reverse());
}

/** Ticks at steps of 1, 2 or 5 times a power of ten that divide a range into a few parts. */
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
  // The first steps have values far from all others. Later values alone determine the range, once there are some.
  const settled = line.filter(([x]) => x >= BEGINNING);
  const values = [...(settled.length > 1 ? settled : line), ...dots].map(([, y]) => y).filter(Number.isFinite);
  const isAccuracy = title === "Accuracy";
  const [low, high] = isAccuracy ? [Math.floor(20 * Math.min(0.95, ...values)) / 20, 1] : [0, Math.max(0.05, ...values) * 1.05];
  const last = Math.max(1, curve.epochs, ...dots.map(([x]) => x));
  const clamp = (fraction) => Math.min(1, Math.max(0, fraction));
  const point = (x, y) => [left + (x / last) * (right - left), bottom - clamp((y - low) / (high - low)) * (bottom - top)];
  const path = (points) => points.map((pair, i) => (i ? "L" : "M") + point(...pair).map((v) => v.toFixed(1)).join(" ")).join("");
  const parts = [];
  for (const [value, text] of ticks(low, high, 5)) {
    const [, y] = point(0, value);
    parts.push(node("path", { class: "grid", d: `M${left} ${y}H${right}` }));
    parts.push(node("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, text));
  }
  const epochs = ticks(0, last, Math.min(last, Math.max(2, Math.floor(width / 90)))).filter(([value]) => Number.isInteger(value));
  for (const [value, text] of epochs) {
    parts.push(node("text", { x: point(value, low)[0], y: bottom + 16, "text-anchor": "middle" }, text));
  }
  parts.push(node("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, "Epoch"));
  const finite = ([, y]) => Number.isFinite(y);
  parts.push(node("path", { class: "train", d: path(line.filter(finite)) }));
  parts.push(node("path", { class: "validation", d: path(dots.filter(finite)) }));
  for (const dot of dots.filter(finite)) {
    const [cx, cy] = point(...dot);
    parts.push(node("circle", { class: "validation", cx, cy, r: dots.length > 60 ? 2 : 4 }));
  }
  const latest = values.length > 0 && line.length > 0 ? `, now ${line.at(-1)[1]?.toFixed(4)}` : "";
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", `${title} by epoch${latest}; the table has the numbers`);
  svg.replaceChildren(...parts);
}
