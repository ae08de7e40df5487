// What all parts of the page use.

export const $ = (id) => document.getElementById(id);
export const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** An element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** One line at the top of the page, or none. */
export function tell(problem) {
  if ($("problem").textContent !== problem) $("problem").textContent = problem;
  $("problem").hidden = problem === "";
}

/** The JSON that the server answers. */
export async function ask(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

/** A canvas of a picture in one colour, as opaque as there is ink. */
export function picture(pixels, rows, columns, colour) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const [red, green, blue] = rgb(colour);
  const data = context.createImageData(columns, rows);
  pixels.forEach((pixel, i) => data.data.set([red, green, blue, pixel], 4 * i));
  context.putImageData(data, 0, 0);
  return canvas;
}

/** Red, green and blue of #rrggbb. */
export const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** A share of 1 in percent; what is not certain is not rounded to it. */
export const percent = (share) => (share > 0.9995 ? "> 99.9 %" : `${(100 * share).toFixed(share === 0 ? 0 : 1)} %`);
