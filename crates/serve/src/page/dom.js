// Functions that all scripts of the page use: elements, requests to the server, colors.

export const $ = (id) => document.getElementById(id);
export const cssVariable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** An element with attributes and children. */
export function createElement(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Shows an error message at the top of the page; an empty one hides it. */
export function showError(message) {
  if ($("error").textContent !== message) $("error").textContent = message;
  $("error").hidden = message === "";
}

/** The JSON of a response. */
export async function fetchJson(path, options) {
  const response = await fetch(path, options).catch(() => {
    throw new Error("The server does not respond. Check that it is running.");
  });
  const value = await response.json();
  if (!response.ok) throw new Error(value.error);
  return value;
}

/** A canvas with an image in one color, whose opacity is the pixels' value. */
export function imageCanvas(pixels, rows, columns, color) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const [red, green, blue] = rgb(color);
  const data = context.createImageData(columns, rows);
  pixels.forEach((pixel, i) => data.data.set([red, green, blue, pixel], 4 * i));
  context.putImageData(data, 0, 0);
  return canvas;
}

/** Red, green and blue of #rrggbb. */
export const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

/** A probability in percent. One below 1 is not rounded to 100%. */
export const percent = (probability) => (probability > 0.9995 ? ">99.9%" : `${(100 * probability).toFixed(1)}%`);
