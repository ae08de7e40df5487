// The prediction for a drawing, the model's input, its hidden layers, and the examples.

import { $, createElement, cssVariable, imageCanvas, percent, rgb } from "./dom.js";

/** The largest number of classes that all have a bar. Of more classes, the most probable ones have. */
const MOST_BARS = 12;
const BARS_OF_MANY = 10;
let speechTimer = 0;

/** Shows a prediction and where its input comes from; `null` shows the empty state. */
export function showPrediction(model, prediction, isExample = false) {
  const count = model.labels.length;
  const probabilities = prediction ? prediction.probabilities.map((p) => p ?? 0) : new Array(count).fill(0);
  let order = probabilities.map((_, index) => index);
  if (count > MOST_BARS) {
    order.sort((a, b) => probabilities[b] - probabilities[a]);
    order = order.slice(0, BARS_OF_MANY);
  }
  const bars = $("bars");
  bars.classList.toggle("empty", !prediction);
  while (bars.children.length < order.length) {
    const track = createElement("span", { class: "track", "aria-hidden": "true" }, createElement("span", { class: "fill" }));
    bars.append(createElement("li", {}, createElement("span", { class: "label" }), track, createElement("span", { class: "percent" })));
  }
  order.forEach((index, i) => {
    const [label, track, text] = bars.children[i].children;
    label.textContent = model.labels[index];
    track.firstChild.style.width = `${100 * probabilities[index]}%`;
    text.textContent = prediction ? percent(probabilities[index]) : "";
    bars.children[i].classList.toggle("best", prediction?.digit === index);
  });
  $("class").textContent = prediction ? prediction.label : "";
  $("confidence").textContent = prediction ? `confidence ${percent(probabilities[prediction.digit])}` : "Draw, or choose an example.";
  announce(prediction ? `Prediction ${prediction.label}, confidence ${percent(probabilities[prediction.digit])}` : "");
  const input = $("input");
  paintInput(input, model, prediction ? prediction.input : null);
  input.classList.toggle("empty", !prediction);
  input.setAttribute("aria-label", prediction ? `The model's input for ${prediction.label}` : "No input");
  $("input-note").textContent = !prediction ? ""
    : isExample ? `${model.rows} x ${model.columns} pixels, light on black, as in the test set.`
    : `${model.rows} x ${model.columns} pixels: the drawing, light on black as in the training set, cropped, scaled and centered.`;
  showLayers(prediction ? prediction.activations : []);
}

/** Gives the text to screen readers once drawing pauses. */
function announce(text) {
  clearTimeout(speechTimer);
  speechTimer = setTimeout(() => {
    if ($("spoken").textContent !== text) $("spoken").textContent = text;
  }, 800);
}

/** Paints pixels as the model takes them, light on black. */
function paintInput(canvas, model, pixels) {
  [canvas.width, canvas.height] = [model.columns, model.rows];
  if (pixels) canvas.getContext("2d").drawImage(imageCanvas(pixels, model.rows, model.columns, "#ffffff"), 0, 0);
}

/** The size of a cell with its gap, and the gap, in pixels. */
const CELL = 12;
const GAP = 2;

/** The color of an output, given its ratio to the largest of its layer, -1 to 1. */
function cellColors() {
  const [zero, positive, negative] = ["--cell", "--positive", "--negative"].map((name) => rgb(cssVariable(name)));
  return (ratio) => {
    const end = ratio < 0 ? negative : positive;
    const part = Math.min(1, Math.abs(ratio));
    return `rgb(${zero.map((value, i) => Math.round(value + part * (end[i] - value))).join()})`;
  };
}

/** Shows the outputs of the hidden layers. */
export function showLayers(layers) {
  $("hidden-layers").hidden = layers.length === 0;
  const color = cellColors();
  const list = $("layers");
  const has = (name) => [...list.children].some((figure) => figure.dataset.layer === name);
  if (!layers.every(({ layer }) => has(layer))) {
    list.replaceChildren(...layers.map(({ layer }) => {
      const canvas = createElement("canvas", { role: "img" });
      canvas.addEventListener("pointermove", (event) => showUnit(canvas, event));
      return createElement("figure", { "data-layer": layer }, createElement("figcaption"), canvas);
    }));
  }
  let isSigned = false;
  layers.forEach(({ layer, outputs }, i) => {
    const [caption, canvas] = list.children[i].children;
    const largest = outputs.reduce((most, output) => Math.max(most, Math.abs(output)), 0);
    isSigned ||= outputs.some((output) => output < 0);
    const nonzero = outputs.filter((output) => output !== 0).length;
    caption.textContent = `${layer}: ${outputs.length} units, ${nonzero} nonzero`;
    canvas.setAttribute("aria-label", caption.textContent);
    canvas.outputs = outputs;
    const columns = Math.max(16, Math.ceil(Math.sqrt(2 * outputs.length) / 16) * 16);
    const rows = Math.ceil(outputs.length / columns);
    [canvas.width, canvas.height] = [columns * CELL - GAP, rows * CELL - GAP];
    const context = canvas.getContext("2d");
    outputs.forEach((output, unit) => {
      context.fillStyle = color(largest > 0 ? output / largest : 0);
      const [x, y] = [(unit % columns) * CELL, Math.floor(unit / columns) * CELL];
      context.fillRect(x, y, CELL - GAP, CELL - GAP);
    });
  });
  const scale = $("scale").getContext("2d");
  const width = $("scale").width;
  for (let x = 0; x < width; x++) {
    scale.fillStyle = color(isSigned ? (2 * x) / (width - 1) - 1 : x / (width - 1));
    scale.fillRect(x, 0, 1, 1);
  }
  $("scale-start").textContent = isSigned ? "most negative output" : "0";
}

/** Sets the tooltip of a layer to the unit under the pointer. */
function showUnit(canvas, event) {
  const cell = (at, size, pixels) => Math.floor(((at / size) * (pixels + GAP)) / CELL);
  const column = cell(event.offsetX, canvas.clientWidth, canvas.width);
  const unit = cell(event.offsetY, canvas.clientHeight, canvas.height) * ((canvas.width + GAP) / CELL) + column;
  const output = canvas.outputs[unit];
  canvas.title = output === undefined ? "" : `unit ${unit}: ${Number(output.toPrecision(4))}`;
}

/** Shows the model's examples. A click calls `choose` with the example. */
export function showExamples(model, choose) {
  $("examples-section").hidden = model.examples.length === 0;
  $("examples").replaceChildren(...model.examples.map((example) => {
    const canvas = createElement("canvas", { "aria-hidden": "true" });
    paintInput(canvas, model, example.pixels);
    const label = model.labels[example.label] ?? example.label;
    const button = createElement("button", { type: "button", title: `${label}`, "aria-label": `Example: ${label}`, "aria-pressed": "false" }, canvas);
    button.addEventListener("click", () => choose(example));
    return button;
  }));
}

/** Marks the example with these pixels, or none. */
export function markExample(model, pixels) {
  [...$("examples").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", pixels !== undefined && model.examples[i].pixels === pixels));
}
