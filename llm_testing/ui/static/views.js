// The tabs over the right half of a page with a form: what is trained now, and what can be done with what is trained.

import { el, id, keep, kept } from "./dom.js";

const VIEWS = {
  "": [
    ["live", "Live"],
    ["playground", "Playground"],
    ["attention", "Attention"],
    ["shelf", "Checkpoints"],
  ],
  tune: [
    ["examples", "Examples"],
    ["live", "Live"],
    ["chat", "Playground"],
    ["shelf", "Adapters"],
  ],
};
const FIRST = { "": "live", tune: "examples" };

export function mountViews(element, feed, props, watch, of) {
  const box = element.querySelector(".lt-views");
  const tabs = VIEWS[of].map(([name, title]) =>
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: id(`tab-${name}`, of),
        "aria-controls": id(name, of),
        onclick: () => showView(name, of),
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
  const wanted = kept(shown(of), FIRST[of]);
  showView(VIEWS[of].some(([name]) => name === wanted) ? wanted : FIRST[of], of);
}

export function showView(name, of = "") {
  document.documentElement.dataset[attribute(of)] = name;
  keep(shown(of), name);
  for (const [other] of VIEWS[of]) {
    const tab = document.getElementById(id(`tab-${other}`, of));
    tab?.setAttribute("aria-selected", String(other === name));
    if (tab) tab.tabIndex = other === name ? 0 : -1;
    const panel = document.getElementById(id(other, of));
    panel?.setAttribute("role", "tabpanel");
    panel?.setAttribute("aria-labelledby", id(`tab-${other}`, of));
  }
  document.dispatchEvent(new CustomEvent("lt-view", { detail: id(name, of) }));
}

const shown = (of) => (of ? `${of}-view-shown` : "view-shown");
const attribute = (of) => (of ? "ltTuneView" : "ltView");
export const isShown = (name, of = "") => document.documentElement.dataset[attribute(of)] === name;

// Calls back each time the view comes into sight.
export function onShown(name, listener, of = "") {
  document.addEventListener("lt-view", (event) => {
    if (event.detail === id(name, of)) listener();
  });
  if (isShown(name, of)) listener();
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
