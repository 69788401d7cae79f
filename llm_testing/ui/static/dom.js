// Elements are built, never written as markup: whatever a text holds, it is shown as text.

import { plain } from "./words.js";

export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

// As ui/parts.py makes ids: those of the second form and its views begin with what tells them apart.
export const id = (name, of = "") => (of ? `lt-${of}-${name}` : `lt-${name}`);

// Replace an element's children only if what they say has changed, so that focus, selection and scroll stay.
export function show(element, key, build) {
  const said = JSON.stringify(key);
  if (element.dataset.said === said) return;
  element.dataset.said = said;
  element.replaceChildren(...[build()].flat(Infinity).filter(Boolean));
}

const WORDS = {
  queued: "queued", starting: "starting", running: "running", pausing: "pausing", paused: "paused",
  stopping: "stopping", completed: "done", stopped: "stopped", failed: "failed", interrupted: "interrupted",
};
const SIGNS = {
  queued: "…", starting: "▸", running: "▶", pausing: "‖", paused: "‖", stopping: "■",
  completed: "✓", stopped: "■", failed: "✕", interrupted: "⚡",
};
export const ACTIVE = ["starting", "running", "pausing", "paused", "stopping"];

export function stateChip(state) {
  return el("span", { class: `lt-state lt-${state}` }, el("span", { "aria-hidden": "true" }, `${SIGNS[state] ?? "?"} `), WORDS[state] ?? state ?? "unknown");
}

export const dot = (colour) => el("span", { class: "lt-dot", style: `background:${colour}`, "aria-hidden": "true" });

// A compared run's letter beside its colour, so that neither is told by colour alone.
export const badge = (letter, colour) => el("span", { class: "lt-badge" }, dot(colour), el("b", {}, letter));

// What someone chose to look at, kept in this browser.
export function kept(name, fallback) {
  try { return JSON.parse(localStorage.getItem(`llm-testing-${name}`)) ?? fallback; } catch { return fallback; }
}
export function keep(name, value) {
  try { localStorage.setItem(`llm-testing-${name}`, JSON.stringify(value)); } catch { /* a browser without storage forgets */ }
}

// Where in the program something went wrong, folded away; null where that is not known.
export function bugReport(traceback) {
  if (!traceback) return null;
  const copy = el("button", { type: "button", class: "lt-link", onclick: () => navigator.clipboard?.writeText(traceback) }, "Copy");
  return el("details", {}, el("summary", {}, "Details for a bug report"), copy, el("pre", {}, plain(traceback)));
}

export const inSight = (element) => document.visibilityState === "visible" && element.offsetParent !== null;

// To another tab of the page, by its title; on a narrow window Gradio may keep it in a menu.
export function openTab(title) {
  const tabs = document.querySelectorAll("#lt-tabs [role=tab]");
  [...tabs].find((tab) => tab.textContent.trim() === title)?.click();
}
