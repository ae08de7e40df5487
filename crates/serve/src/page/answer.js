// What the network says of a drawing, and what it sees.

import { $, make, percent, picture, rgb, style } from "./basics.js";

/** Classes that are shown: all of a few, else the likeliest. */
const MOST_BARS = 12;
const SHOWN_OF_MANY = 10;
let saying = 0;

/** Shows an answer of the model; of none, what there is to show. */
export function show(model, answer) {
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
  paintInput(input, model, answer ? answer.input : null);
  input.setAttribute("aria-label", answer ? `The ${answer.label} as the network sees it` : "Nothing yet");
  showLayers(model, answer ? answer.activations : null);
}

/** Says it to a screen reader when the drawing rests. */
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    if ($("summary").textContent !== text) $("summary").textContent = text;
  }, 800);
}

/** Pixels as the network takes them: light on black. */
function paintInput(canvas, model, pixels) {
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

/** Lights the hidden layers up, each from its least output to its strongest. */
export function showLayers(model, layers) {
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

/** Shows the model's examples; `choose` is told of the one that is taken. */
export function showExamples(model, choose) {
  $("examples-part").hidden = model.examples.length === 0;
  $("examples").replaceChildren(...model.examples.map((example) => {
    const canvas = make("canvas", { "aria-hidden": "true" });
    paintInput(canvas, model, example.pixels);
    const label = model.labels[example.label] ?? example.label;
    const button = make("button", { type: "button", title: `A ${label}`, "aria-label": `Example: a ${label}` }, canvas);
    button.addEventListener("click", () => choose(example));
    return button;
  }));
}
