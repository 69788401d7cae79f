// The checkpoint browser: what every run has saved, and what can be done with it.

import { call } from "./call.js";
import { askResume } from "./resume.js";
import { attendTo } from "./attention.js";
import { chatWith } from "./chat.js";
import { dot, el, id, keep, kept, show, stateChip } from "./dom.js";
import { askExport } from "./export.js";
import { checkpoints, grouped, onModels, readModels, runOf, shelfError, wasRead } from "./models.js";
import { fork } from "./forking.js";
import { playWith } from "./playground.js";
import { onShown } from "./views.js";
import * as words from "./words.js";

// What differs between the checkpoints of the two kinds of run.
const ABOUT = {
  "": {
    filters: [
      ["corpus", "Corpus"],
      ["config_name", "Model"],
      ["context_length", "Context"],
    ],
    facts: (row) => [
      row.corpus,
      row.config_name,
      row.context_length && `context ${words.number(row.context_length)}`,
      row.precision,
      row.attention_impl && `${row.attention_impl} attention`,
      row.optimizer,
    ],
    actions: (row) => [
      action("Generate", "Write a text with it in the Playground", () => playWith(row.id)),
      action("Attention", "See what it looks at", () => attendTo(row.id)),
      action("Fork", "Fill the form with a new run that starts from here", () => fork(row.id)),
    ],
    empty:
      "No checkpoints yet. A run saves one when it is paused or stopped, at its best validation, every ten minutes " +
      "and at its end.",
  },
  tune: {
    filters: [
      ["model_name", "Base model"],
      ["dataset", "Dataset"],
      ["adapter", "Method"],
    ],
    facts: (row) => [row.adapter, row.model_name, row.dataset],
    actions: (row, about) => [
      action("Chat", "Talk to it, its base model beside it", () => chatWith(row.id)),
      action("Export", "Take it away: adapter, whole model, GGUF, Hub", () => askExport(row, about)),
      action("Go on tuning", "Fill the form with a new run that starts from this adapter", () => fork(row.id, "tune")),
    ],
    empty:
      "No adapters yet. A run saves one when it is paused or stopped, at its best validation, every ten minutes and " +
      "at its end; here you talk to it, go on tuning it, or take it away.",
  },
};
const ORDERS = [
  ["new", "newest first"],
  ["loss", "lowest validation loss first"],
  ["size", "largest first"],
];
export function mountShelf(element, feed, props, watch, of) {
  const box = element.querySelector(".lt-shelf"),
    kind = ABOUT[of],
    keptAs = of ? `${of}-shelf` : "shelf";
  const chosen = { order: "new", ...kept(keptAs, {}) };
  const selects = kind.filters.map(([name, title]) => picker(name, title));
  const order = el(
    "select",
    {
      "aria-label": "Order",
      onchange: () => {
        chosen.order = order.value;
        keep(keptAs, chosen);
        draw();
      },
    },
    ORDERS.map(([value, title]) => el("option", { value, selected: value === chosen.order }, title)),
  );
  const sum = el("p", { class: "lt-hint" }),
    note = el("div", { role: "status" }),
    list = el("div", { class: "lt-shelf-list" });
  box.replaceChildren(
    el(
      "div",
      { class: "lt-toolbar" },
      selects.map(([, select]) => select),
      order,
    ),
    el("div", { class: "lt-doing" }, sum),
    note,
    list,
  );
  onModels(draw, of);
  onShown("shelf", () => readModels(of), of);
  draw();

  function picker(name, title) {
    const select = el("select", {
      "aria-label": title,
      onchange: () => {
        chosen[name] = select.value;
        keep(keptAs, chosen);
        draw();
      },
    });
    return [name, select, title];
  }

  function offered() {
    for (const [name, select, title] of selects) {
      const values = [...new Set(checkpoints(of).map((row) => String(row[name] ?? "")))].filter(Boolean).sort();
      show(select, values, () => [
        el("option", { value: "" }, `${title}: all`),
        ...values.map((value) => el("option", { value }, words.plain(value))),
      ]);
      select.value = values.includes(chosen[name]) ? chosen[name] : "";
    }
  }

  function shown() {
    return checkpoints(of).filter((row) =>
      selects.every(([name, select]) => !select.value || String(row[name] ?? "") === select.value),
    );
  }

  function draw() {
    offered();
    const rows = shown();
    show(list, [rows, chosen.order, shelfError(of), wasRead(of), rows.map((row) => runOf(row.run_id)?.state)], () => {
      if (shelfError(of)) return el("p", { class: "lt-warning" }, words.plain(shelfError(of)));
      if (!rows.length)
        return el(
          "p",
          { class: "lt-empty-small" },
          checkpoints(of).length ? "Nothing fits these filters." : wasRead(of) ? kind.empty : "Reading …",
        );
      return ordered(grouped(rows), chosen.order).map(card);
    });
    const spare = rows.filter((row) => !row.needed && !row.damaged);
    show(sum, [rows.length, spare.map((row) => row.id)], () =>
      rows.length
        ? [
            `${rows.length} ${rows.length === 1 ? "checkpoint" : "checkpoints"}, ${words.bytes(total(rows))}. `,
            spare.length
              ? el(
                  "button",
                  { type: "button", class: "lt-link", onclick: () => askDelete(spare, sum) },
                  `Delete the ${spare.length} that nothing needs (${words.bytes(total(spare))})`,
                )
              : null,
          ]
        : [],
    );
  }

  function card(rows) {
    const [first] = rows,
      run = runOf(first.run_id),
      about = el("div", {});
    const body = el(
      "table",
      { class: "lt-table" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["Step", "Validation", "Tokens", "Size", "Saved", ""].map((title, i) =>
            el("th", { class: i && i < 4 ? "lt-number" : "" }, title || el("span", { class: "lt-unseen" }, "Actions")),
          ),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) => line(row, about)),
      ),
    );
    return el(
      "section",
      { class: "lt-card", "data-run": first.run_id },
      el(
        "div",
        { class: "lt-card-head" },
        el(
          "span",
          { class: "lt-name", title: words.plain(first.run_name) },
          run ? dot(run.colour) : null,
          words.plain(first.run_name || first.run_id),
        ),
        run ? stateChip(run.state) : null,
        el("span", { class: "lt-hint" }, words.plain(kind.facts(first).filter(Boolean).join(" · "))),
        el("span", { class: "lt-spring" }),
        action(
          "Resume",
          `Go on with this run from step ${words.number(newest(rows).step)}`,
          () => askResume(first.run_id, about, of),
          resumable(run),
        ),
      ),
      about,
      el("div", { class: "lt-table-box" }, body),
    );
  }

  function line(row, about) {
    const kinds = [
      row.kinds.includes("best") && "best",
      row.kinds.includes("final") && "final",
      row.needed?.includes("newest") && "newest",
    ].filter(Boolean);
    if (row.damaged)
      return el(
        "tr",
        { class: "lt-damaged" },
        el("td", {}, words.number(row.step)),
        el("td", { colspan: 4 }, `damaged: ${words.plain(row.damaged)}`),
        el("td", {}, remove(row, about)),
      );
    return el(
      "tr",
      { "data-checkpoint": row.id },
      el(
        "td",
        {},
        el("b", {}, words.number(row.step)),
        kinds.map((kind) => el("span", { class: "lt-kind" }, kind)),
      ),
      number("validation", words.loss(validation(row))),
      number("tokens", words.short(row.tokens_seen)),
      number("", words.bytes(row.bytes)),
      el("td", {}, words.day(row.timestamp)),
      el(
        "td",
        { class: "lt-row-actions" },
        kind.actions(row, about),
        remove(row, about),
      ),
    );
  }

  function remove(row, about) {
    return action(
      "Delete",
      row.needed ? `Kept: ${row.needed}` : `Delete it (${words.bytes(row.bytes)})`,
      () => askDelete([row], about),
      !row.needed,
    );
  }

  function askDelete(rows, place) {
    const what =
      rows.length === 1
        ? `step ${words.number(rows[0].step)} of ${words.plain(rows[0].run_name)}`
        : `${rows.length} checkpoints`;
    const close = () => {
      question.remove();
    };
    const question = el(
      "div",
      {
        class: "lt-question",
        role: "alertdialog",
        "aria-label": "Delete?",
        onkeydown: (event) => {
          if (event.key === "Escape") close();
        },
      },
      el("span", {}, `Delete ${what}, ${words.bytes(total(rows))}? This cannot be undone.`),
      el(
        "button",
        {
          type: "button",
          class: "lt-button lt-danger",
          onclick: async () => {
            close();
            await removeAll(rows);
          },
        },
        "Delete",
      ),
      el("button", { type: "button", class: "lt-button", onclick: close }, "Keep"),
    );
    (place === sum ? note : place).replaceChildren(question);
    question.querySelector("button").focus();
  }

  async function removeAll(rows) {
    let gone = 0,
      trouble = null;
    for (const row of rows) {
      try {
        await call("DELETE", `pretraining/checkpoints/${row.id}`);
        gone += row.bytes;
      } catch (error) {
        trouble = error.message;
      }
    }
    note.replaceChildren(
      el(
        "p",
        { class: trouble ? "lt-warning" : "lt-hint" },
        trouble ? words.plain(trouble) : `Deleted; ${words.bytes(gone)} are free again.`,
      ),
    );
    await readModels(of);
  }
}

function action(label, title, onclick, on = true) {
  return el("button", { type: "button", class: "lt-link", title, disabled: !on, onclick }, label);
}

const validation = (row) => row.val_loss ?? row.eval_loss;
const number = (title, value) => el("td", { class: "lt-number", "data-title": title }, value);
const total = (rows) => rows.reduce((sum, row) => sum + row.bytes, 0);
const newest = (rows) => rows.reduce((a, b) => (b.step > a.step && !b.damaged ? b : a));
const resumable = (run) =>
  Boolean(run) && !["queued", "starting", "running", "pausing", "paused", "stopping"].includes(run.state);

function ordered(groups, order) {
  if (order === "loss") return groups.sort((a, b) => lowest(a) - lowest(b));
  return order === "size" ? groups.sort((a, b) => total(b) - total(a)) : groups;
}
const lowest = (rows) => Math.min(...rows.map((row) => validation(row) ?? Infinity));
