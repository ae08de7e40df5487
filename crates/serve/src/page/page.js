// The page: asking the server, the tabs, and the start. Nothing here comes from elsewhere or goes there.

import { show, showExamples, showLayers } from "./answer.js";
import { $, ask, tell } from "./basics.js";
import { bitmap, raster } from "./ink.js";
import { onPaper, putExample, refresh, whenDrawn } from "./paper.js";
import { drawCharts, watch } from "./training.js";

let model = null;
/** The answer that is shown. */
let shown = null;
/** Whether a question is out, and the paper has changed since. */
let [isAsking, isNew] = [false, false];

/** What is on the paper is asked about when the last answer is there. */
function drawn() {
  isNew = true;
  predict();
}

function showAnswer(answer) {
  shown = answer;
  show(model, answer);
}

async function predict() {
  if (isAsking || !isNew || !model?.ready) return;
  isNew = false;
  const { strokes, example } = onPaper();
  if (strokes.length === 0 && !example) return showAnswer(null);
  const [type, body] = example
    ? ["application/json", JSON.stringify({ pixels: example.pixels })]
    : ["image/bmp", bitmap(raster(strokes))];
  isAsking = true;
  try {
    const options = { method: "POST", headers: { "Content-Type": type }, body };
    const answer = await ask("/api/predict?show=all", options);
    tell("");
    // If the paper was cleared meanwhile, the next round shows it.
    showAnswer(answer);
  } catch (error) {
    tell(error.message);
  } finally {
    isAsking = false;
  }
  predict();
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
  $("call-json").textContent = `curl ${address} -H 'Content-Type: application/json' -d '{"pixels": [0, 0, ..., 255, 0]}'`;
  $("call-picture").textContent = `curl '${address}?show=all' -H 'Content-Type: image/png' --data-binary @digit.png`;
  const { rows, columns } = model;
  showExamples(model, ({ pixels }) => putExample({ pixels, rows, columns }));
  showAnswer(shown);
  refresh();
  drawn();
}

/** Where sizes or colours have changed. */
function redraw() {
  if (!model) return;
  refresh();
  showLayers(model, shown ? shown.activations : null);
  if (!$("training").hidden) drawCharts();
}

whenDrawn(drawn);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", redraw);

await learn();
if (model?.training) {
  if (!model.ready) open($("tab-training"));
  watch(learn);
}
const chosen = $(`tab-${location.hash.slice(1)}`);
if (chosen && !chosen.hidden) open(chosen);
