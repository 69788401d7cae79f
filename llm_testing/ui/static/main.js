// The page's own script: Gradio hands each gr.HTML element to `mount`, and its buttons ask which run is meant.

import { whoAmI } from "./call.js";
import { Feed } from "./feed.js";
import { mountHead } from "./monitor.js";
import { mountStrip } from "./strip.js";
import { mountLive } from "./live.js";
import { mountSummary } from "./form.js";
import { mountAttention } from "./attention.js";
import { mountChat } from "./chat.js";
import { mountExamples } from "./examples.js";
import { mountEstimator, wantedChanges } from "./estimator.js";
import { followRuns } from "./models.js";
import { mountPlayground } from "./playground.js";
import { mountShelf } from "./shelf.js";
import { mountViews } from "./views.js";
import { mountOpened, mountRuns } from "./history.js";
import { closeLeftLists } from "./lists.js";
import { followTabs } from "./tabs.js";

let feed = null;
function theFeed() {
  if (!feed) {
    followRuns((feed = new Feed()));
    // Who may only look sees no buttons; what they may not do is refused by the server in any case.
    whoAmI().then((role) => { if (role) document.documentElement.dataset.ltRole = role; });
  }
  return feed;
}
const PARTS = {
  head: mountHead, strip: mountStrip, views: mountViews, live: mountLive, playground: mountPlayground,
  attention: mountAttention, chat: mountChat, examples: mountExamples, shelf: mountShelf, summary: mountSummary, runs: mountRuns, opened: mountOpened, vram: mountEstimator,
};

// `of` tells several elements of a part from each other, as their ids do.
export function mount(part, element, props, watch, of) {
  PARTS[part](element, theFeed(), props, watch, of);
}

// A command was sent: look at once, and again when its effect should show.
export function wake() {
  theFeed().wake();
  setTimeout(() => theFeed().wake(), 400);
}

export const shownRun = () => theFeed().status?.run?.run_id ?? "";
export { shownFork } from "./forking.js";
export { wantedValues } from "./uploads.js";
export { newModels } from "./tuningfields.js";
export { wantedChanges };

// Opens a question under the strip, or closes it with "".
export function ask(question) {
  document.documentElement.dataset.ltAsk = question;
  if (question) requestAnimationFrame(() => document.querySelector(`#lt-${question}-save`)?.focus());
}

followTabs();
closeLeftLists();

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") ask("");
  // Gradio's tab bar does not move with arrow keys.
  const tab = event.altKey && !event.ctrlKey && !event.metaKey && /^Digit[1-4]$/.test(event.code) ? Number(event.code.slice(5)) : 0;
  if (tab) document.querySelectorAll("#lt-tabs [role=tab]")[tab - 1]?.click();
});
