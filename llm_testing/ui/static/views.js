// The tabs over the right half of the Pretraining page: what is trained now, and what can be done with what is trained.

import { el, keep, kept } from "./dom.js";

const VIEWS = [
  ["live", "Live"],
  ["playground", "Playground"],
  ["attention", "Attention"],
  ["shelf", "Checkpoints"],
];

export function mountViews(element) {
  const box = element.querySelector(".lt-views");
  const tabs = VIEWS.map(([name, title]) =>
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `lt-tab-${name}`,
        "aria-controls": `lt-${name}`,
        onclick: () => showView(name),
      },
      title,
    ),
  );
  box.replaceChildren(
    el(
      "div",
      { class: "lt-tabs", role: "tablist", "aria-label": "Views", onkeydown: (event) => moved(event, tabs) },
      tabs,
    ),
  );
  const wanted = kept("view-shown", "live");
  showView(VIEWS.some(([name]) => name === wanted) ? wanted : "live");
}

export function showView(name) {
  document.documentElement.dataset.ltView = name;
  keep("view-shown", name);
  for (const [other] of VIEWS) {
    const tab = document.getElementById(`lt-tab-${other}`);
    tab?.setAttribute("aria-selected", String(other === name));
    if (tab) tab.tabIndex = other === name ? 0 : -1;
    const panel = document.getElementById(`lt-${other}`);
    panel?.setAttribute("role", "tabpanel");
    panel?.setAttribute("aria-labelledby", `lt-tab-${other}`);
  }
  document.dispatchEvent(new CustomEvent("lt-view", { detail: name }));
}

export const isShown = (name) => document.documentElement.dataset.ltView === name;

// Calls back each time the view comes into sight.
export function onShown(name, listener) {
  document.addEventListener("lt-view", (event) => {
    if (event.detail === name) listener();
  });
  if (isShown(name)) listener();
}

function moved(event, tabs) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const at = tabs.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next.click();
  next.focus();
}
