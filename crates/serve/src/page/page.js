// The page: predictions, tabs, start. It talks to its own server only.

import { currentDrawing, onChange, putExample, requestPaint } from "./canvas.js";
import { $, fetchJson, showError } from "./dom.js";
import { markExample, showExamples, showLayers, showPrediction } from "./prediction.js";
import { bmpFile, rasterize } from "./strokes.js";
import { drawCharts, watch } from "./training.js";

let model = null;
/** The prediction on the page, and whether it is that of an example. */
let [shown, isOfExample] = [null, false];
/** Whether a request is running, and whether the drawing has changed since it began. */
let [isRunning, isChanged] = [false, false];

/** Requests a prediction for the new drawing, after the running request. */
function drawingChanged() {
  isChanged = true;
  if (model) markExample(model, currentDrawing().example?.pixels);
  predict();
}

function setPrediction(prediction, isExample = false) {
  [shown, isOfExample] = [prediction, isExample];
  showPrediction(model, prediction, isExample);
}

async function predict() {
  if (isRunning || !isChanged || !model?.ready) return;
  isChanged = false;
  const { strokes, example } = currentDrawing();
  if (strokes.length === 0 && !example) return setPrediction(null);
  const [type, body] = example
    ? ["application/json", JSON.stringify({ pixels: example.pixels })]
    : ["image/bmp", bmpFile(rasterize(strokes))];
  isRunning = true;
  try {
    const options = { method: "POST", headers: { "Content-Type": type }, body };
    const prediction = await fetchJson("/api/predict?show=all", options);
    showError("");
    // If the drawing was cleared meanwhile, the next call shows that.
    setPrediction(prediction, Boolean(example));
  } catch (error) {
    showError(error.message);
  } finally {
    isRunning = false;
  }
  predict();
}

const tabs = [...document.querySelectorAll("[role=tab]")];
const panel = (tab) => $(tab.getAttribute("aria-controls"));

function open(tab) {
  for (const other of tabs) {
    const isOpen = other === tab;
    other.setAttribute("aria-selected", isOpen);
    other.tabIndex = isOpen ? 0 : -1;
    panel(other).hidden = !isOpen;
  }
  // The report repeats the title. Its file may be new, so the frame loads it again.
  $("title").hidden = tab.id === "tab-report";
  if (tab.id === "tab-report") $("report-frame").src = "/report";
  if (tab.id === "tab-training") drawCharts();
  if (tab.id === "tab-draw") requestPaint();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const visible = tabs.filter((other) => !other.hidden);
    const at = visible.indexOf(tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = visible.at(next % visible.length);
    open(chosen);
    chosen.focus();
  });
}

/** Makes the report's frame as high as its content, so that only the page scrolls. */
function fitFrame() {
  const page = $("report-frame").contentDocument?.documentElement;
  if (!page || $("report").hidden) return;
  $("report-frame").style.height = "0";
  $("report-frame").style.height = `${page.scrollHeight + 2}px`;
}
$("report-frame").addEventListener("load", fitFrame);

/** Loads and shows the description of the model. */
async function loadModel() {
  try {
    model = await fetchJson("/api/model");
  } catch (error) {
    return showError(error.message);
  }
  const parameters = model.layers.reduce((sum, layer) => sum + layer.parameters, 0);
  $("title").textContent = model.title + (parameters ? `, ${parameters.toLocaleString("en")} parameters` : "");
  document.title = `ziffer: ${model.title}`;
  $("not-ready").hidden = model.ready;
  $("tab-training").hidden = !model.training;
  $("bars").classList.toggle("named", model.labels.some((label) => label.length > 3));
  const address = `${location.origin}/api/predict`;
  $("call-json").textContent = `curl ${address} -H 'Content-Type: application/json' -d '{"pixels": [0, 0, ..., 255, 0]}'`;
  $("call-picture").textContent = `curl '${address}?show=all' -H 'Content-Type: image/png' --data-binary @digit.png`;
  const { rows, columns } = model;
  showExamples(model, ({ pixels }) => putExample({ pixels, rows, columns }));
  setPrediction(shown, isOfExample);
  requestPaint();
  drawingChanged();
}

/** Repaints after a change of sizes or colors. */
function repaint() {
  if (!model) return;
  requestPaint();
  showLayers(shown ? shown.activations : []);
  fitFrame();
  if (!$("training").hidden) drawCharts();
}

onChange(drawingChanged);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
addEventListener("resize", repaint);

await loadModel();
if (model?.training) {
  if (!model.ready) open($("tab-training"));
  watch(loadModel);
}
const chosen = $(`tab-${location.hash.slice(1)}`);
if (chosen && !chosen.hidden) open(chosen);
