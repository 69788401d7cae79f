// The page's own script: Gradio hands each gr.HTML element to `mount`, and its buttons ask which run is meant.

import { Feed } from "./feed.js";
import { mountHead, mountStrip } from "./strip.js";
import { mountLive } from "./live.js";
import { mountSummary } from "./form.js";
import { mountOpened, mountRuns, openedRun, reloadRuns } from "./history.js";

let feed = null;
const theFeed = () => (feed ??= new Feed());
const PARTS = { head: mountHead, strip: mountStrip, live: mountLive, summary: mountSummary, runs: mountRuns, opened: mountOpened };

export function mount(part, element, props, watch) {
  PARTS[part](element, theFeed(), props, watch);
}

// A command was sent: look at once, and again when its effect should show.
export function wake() {
  theFeed().wake();
  setTimeout(() => theFeed().wake(), 400);
}

export const shownRun = () => theFeed().status?.run?.run_id ?? "";
export const openRun = () => openedRun();
export function reloadHistory() { wake(); return reloadRuns(); }

// Opens a question under the strip, or closes it with "".
export function ask(question) {
  document.documentElement.dataset.ltAsk = question;
  if (question) requestAnimationFrame(() => document.querySelector(`#lt-${question}-save`)?.focus());
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") ask("");
  // Gradio's tab bar does not move with arrow keys.
  const tab = event.altKey && !event.ctrlKey && !event.metaKey && /^Digit[1-4]$/.test(event.code) ? Number(event.code.slice(5)) : 0;
  if (tab) document.querySelectorAll("#lt-tabs [role=tab]")[tab - 1]?.click();
});
