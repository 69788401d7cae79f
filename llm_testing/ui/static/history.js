// Run History: the list on the left; on the right one run opened, or several compared. Each half is mounted by Gradio.

import { comparison } from "./compare.js";
import { el, inSight, show } from "./dom.js";
import { BulkBar } from "./history_bulk.js";
import { Filters } from "./history_filters.js";
import { OpenedRun } from "./history_run.js";
import { fromAddress, onChange, patchLive, reloadRuns, state } from "./history_state.js";
import { RunTable } from "./history_table.js";
import { mountQueue } from "./queue.js";
import { mountSweep } from "./sweep.js";
import { Trash } from "./trash.js";

const REFRESH_MS = 4000, MORE_MS = 10; // prettier-ignore

export function mountRuns(element, feed) {
  const box = element.querySelector(".lt-runs");
  const filters = new Filters(() => draw());
  const table = new RunTable(filters), bulk = new BulkBar(filters), trash = new Trash(() => reloadRuns()); // prettier-ignore
  const queue = el("section", { class: "lt-waiting", hidden: true }), sweep = el("div", {}), empty = el("div", {}); // prettier-ignore
  mountQueue(queue, feed);
  mountSweep(sweep, feed);
  const tools = el("div", { class: "lt-history-tools" }, filters.search, table.columnsMenu());
  const tags = el("datalist", { id: "lt-known-tags" });
  const list = el("div", {}, tools, filters.line, el("div", { class: "lt-doing" }, filters.count, filters.clear, el("span", { class: "lt-hint lt-how" }, "Open a run by its name; tick two or more to compare them.")), bulk.element, table.element);
  box.replaceChildren(queue, list, empty, sweep, trash.fold, tags);
  let count = null;
  function draw() {
    const none = state.read && !state.runs.length;
    list.hidden = none;
    show(empty, [state.read, state.error, none], () => (state.error ? el("p", { class: "lt-warning" }, state.error) : none ? teach() : state.read ? [] : el("p", { class: "lt-empty-small" }, "Reading the runs …")));
    filters.offer();
    table.draw();
    bulk.draw();
    const known = [...new Set(state.runs.flatMap((run) => run.tags ?? []))].sort();
    show(tags, known, () => known.map((tag) => el("option", { value: tag })));
    if (count !== null && count !== state.runs.length) trash.read();
    count = state.runs.length;
  }
  onChange(draw);
  fromAddress();
  let seen = null;
  feed.listen(() => {
    const run = feed.status?.run, now = `${run?.run_id}${run?.state}${feed.status?.queued}`; // prettier-ignore
    if (!inSight(element)) return;
    if (now !== seen) reloadRuns();
    else patchLive(run);
    seen = now;
  });
  // A long list is looked at less often: what trains in this process comes with the feed in any case.
  const again = async () => {
    if (inSight(element)) await reloadRuns();
    setTimeout(again, feed.pace * REFRESH_MS + state.runs.length * MORE_MS);
  };
  again();
  document.addEventListener("lt-tab", (event) => { if (event.detail === "history") reloadRuns(); }); // prettier-ignore
  draw();
}

function teach() {
  return el("section", { class: "lt-welcome" },
    el("h2", {}, "Every run will be kept here"),
    el("p", {}, "Press Start on the Pretraining tab, or train from a terminal; both appear in this list by themselves, live while they train."),
    el("ol", { class: "lt-steps" },
      el("li", {}, el("b", {}, "Open a run"), " to see its curves, its texts and the settings it was made with, and to go on with it."),
      el("li", {}, el("b", {}, "Tick two or more"), " to lay their curves over one another; what differs between them stands first."),
      el("li", {}, el("b", {}, "Star, tag and write notes"), " so that you still know in a month what this was about.")),
    el("pre", { class: "lt-preview" }, "python -m llm_testing pretrain --preset fast")); // prettier-ignore
}

export function mountOpened(element, feed) {
  const box = element.querySelector(".lt-opened");
  const one = el("div", {}), several = el("div", {}); // prettier-ignore
  box.replaceChildren(one, several);
  const opened = new OpenedRun(one, feed), compared = comparison(several, feed); // prettier-ignore
  const view = () => {
    one.hidden = state.showing !== "run";
    several.hidden = state.showing !== "compare";
    if (!inSight(element)) return;
    if (state.showing === "run") opened.show();
    if (state.showing === "compare") compared.show();
  };
  onChange(view);
  // Also where a narrow window shows this half alone.
  feed.listen(() => { if (inSight(element)) patchLive(feed.status?.run); }); // prettier-ignore
  feed.follow(() => (!inSight(element) ? null : state.showing === "run" ? opened.cursors() : state.showing === "compare" ? compared.cursors() : null));
  document.addEventListener("lt-tab", view); // what changed while another tab was in sight
  document.addEventListener("visibilitychange", view);
  view();
}
