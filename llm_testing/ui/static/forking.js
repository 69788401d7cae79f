// Has a form filled with a new run, from a checkpoint or from a run's settings. Only the form's own side, which knows
// every control, can do that: it is told by pressing its hidden button.

import { id } from "./dom.js";
import { showTab } from "./tabs.js";

const TABS = { "": "pretraining", tune: "finetuning" };
const LONGEST_MS = 5000, EVERY_MS = 50; // prettier-ignore

let wanted = ["", null];

// Asked for by the button's handler: a checkpoint or "", and options by name that differ.
export const shownFork = () => wanted;

export async function fork(checkpoint, of = "", changes = null) {
  showTab(TABS[of]);
  const button = await appears(id("fork", of)); // a tab that was never opened is built now
  if (!button) return;
  wanted = [checkpoint ?? "", changes];
  button.click();
  document.getElementById(id("preset", of))?.scrollIntoView({ behavior: "smooth", block: "start" });
}

async function appears(name) {
  for (const end = performance.now() + LONGEST_MS; performance.now() < end; ) {
    const found = document.getElementById(name);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return null;
}
