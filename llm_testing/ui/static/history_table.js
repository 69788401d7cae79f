// The list of runs: a window of its rows is in the document, so that a thousand runs scroll like ten.

import { dot, el, show } from "./dom.js";
import { chooseColumn, chosenColumns, COLUMNS, columnsAsAtFirst } from "./history_columns.js";
import { editor, mayAct, starButton, tagChips } from "./history_marks.js";
import { openRun, state, tick } from "./history_state.js";
import * as words from "./words.js";

const ROW_PX = 38, CARD_PX = 66, SPARE = 8; // prettier-ignore
const narrow = window.matchMedia("(max-width: 700px)");

export class RunTable {
  constructor(filters) {
    this.filters = filters;
    this.rows = [];
    this.at = null; // the row that Tab reaches; arrows move it
    this.last = null; // where a tick with Shift begins
    this.made = new Map();
    this.head = el("thead", {});
    this.body = el("tbody", { onkeydown: (event) => this.key(event) });
    this.table = el("table", { class: "lt-table lt-run-table" }, this.head, this.body);
    this.box = el("div", { class: "lt-run-box", onscroll: () => this.scrolled() }, this.table);
    this.said = el("p", { class: "lt-warning", role: "alert", hidden: true });
    this.element = el("div", {}, this.said, this.box);
    narrow.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.window()).observe(this.box);
  }

  draw() {
    this.rows = this.filters.rows();
    this.columns = chosenColumns();
    if (!this.rows.some((run) => run.run_id === this.at)) this.at = this.rows[0]?.run_id ?? null;
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.heading();
    this.window();
  }

  heading() {
    const [by, direction] = this.filters.order;
    const ticked = this.rows.filter((run) => state.ticked.has(run.run_id)).length;
    show(this.head, [by, direction, this.columns.map((column) => column.key), ticked, this.rows.length, narrow.matches], () => {
      const every = el("input", {
        type: "checkbox",
        "aria-label": ticked ? "Untick all" : `Tick all ${this.rows.length}`,
        title: ticked ? "Untick all" : "Tick all that are listed",
        onchange: () => tick(ticked ? [...state.ticked] : this.rows.filter((run) => run.usable).map((run) => run.run_id), !ticked),
      });
      every.checked = ticked > 0 && ticked === this.rows.length;
      every.indeterminate = ticked > 0 && ticked < this.rows.length;
      const title = (key, words_, number) =>
        el("th", { scope: "col", class: number ? "lt-number" : "", "aria-sort": key === by ? (direction > 0 ? "ascending" : "descending") : null },
          el("button", { type: "button", onclick: () => this.filters.sortBy(key, number) }, words_, key === by ? (direction > 0 ? " ↑" : " ↓") : "")); // prettier-ignore
      return el("tr", {}, el("th", { class: "lt-narrow" }, every), el("th", { class: "lt-narrow" }, el("span", { class: "lt-unseen" }, "Star")),
        title("name", "Run", false), this.columns.map((column) => title(column.key, column.title, column.number))); // prettier-ignore
    });
  }

  scrolled() {
    document.activeElement?.closest?.("[data-editing]")?.blur();
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.window();
    });
  }

  // The rows in sight and a few on both sides; what stands before and after them is two empty rows of the right height.
  window() {
    if (this.body.querySelector("[data-editing]")) return; // a hand is writing; what is new is drawn after that
    const height = narrow.matches ? CARD_PX : ROW_PX,
      seen = Math.ceil((this.box.clientHeight || 600) / height);
    const first = Math.max(0, Math.min(Math.floor(this.box.scrollTop / height) - SPARE, this.rows.length - seen - SPARE)),
      end = Math.min(this.rows.length, first + seen + 2 * SPARE);
    const made = new Map();
    const rows = this.rows.slice(first, end).map((run, i) => {
      const said = this.said_of(run);
      const kept = this.made.get(run.run_id);
      const row = kept?.said === said ? kept.row : this.row(run, first + i);
      row.setAttribute("aria-rowindex", first + i + 2);
      made.set(run.run_id, { said, row });
      return row;
    });
    this.made = made;
    const held = document.activeElement?.closest("tr")?.dataset.run,
      act = document.activeElement?.dataset.act;
    if (this.changed(rows, first, end)) {
      this.body.replaceChildren(gap(first * height), ...rows, gap((this.rows.length - end) * height));
      if (held && act) this.body.querySelector(`tr[data-run="${CSS.escape(held)}"] [data-act="${act}"]`)?.focus({ preventScroll: true });
    }
  }

  changed(rows, first, end) {
    const now = [...this.body.children];
    const same = now.length === rows.length + 2 && this.span === `${first}-${end}-${this.rows.length}-${narrow.matches}` && rows.every((row, i) => now[i + 1] === row);
    this.span = `${first}-${end}-${this.rows.length}-${narrow.matches}`;
    return !same;
  }

  said_of(run) {
    return JSON.stringify([run, state.ticked.has(run.run_id), state.showing === "run" && state.open === run.run_id, this.at === run.run_id, this.columns.map((c) => c.key), narrow.matches, mayAct()]);
  }

  row(run) {
    const id = run.run_id, name = words.plain(run.name || id), here = this.at === id ? 0 : -1; // prettier-ignore
    const box = el("input", { type: "checkbox", "data-act": "tick", tabindex: here, "aria-label": `select ${name}`, onclick: (event) => this.ticked(id, event) });
    box.checked = state.ticked.has(id);
    const shown = state.showing === "run" && state.open === id;
    const row = el("tr", { "data-run": id, class: [shown ? "lt-open" : "", run.usable ? "" : "lt-damaged", box.checked ? "lt-ticked" : ""].join(" "), "aria-selected": box.checked ? "true" : null,
      onclick: (event) => { if (!event.target.closest("input, button, a")) openRun(id); } }, el("td", { class: "lt-narrow" }, box)); // prettier-ignore
    const star = !run.usable ? null : starButton(run, (trouble) => this.trouble(trouble));
    star?.setAttribute("tabindex", here);
    row.append(el("td", { class: "lt-narrow" }, star ?? ""), this.nameCell(run, name, here, shown));
    if (!run.usable) row.append(el("td", { colspan: this.columns.length, class: "lt-why", title: words.plain(run.damaged) }, `damaged: ${words.plain(run.damaged)}`));
    else if (narrow.matches) row.append(el("td", { class: "lt-card-state" }, COLUMNS[0].say(run)), el("td", { class: "lt-card-line" }, brief(run)));
    else row.append(...this.columns.map((column) => this.cell(run, column, here)));
    return row;
  }

  nameCell(run, name, here, shown) {
    return el("td", { class: "lt-name-cell" },
      el("button", { type: "button", class: "lt-run-name", "data-act": "open", tabindex: here, title: name, "aria-current": shown ? "true" : null, onclick: () => openRun(run.run_id) }, dot(run.colour), el("span", {}, name)),
      this.columns.some((column) => column.key === "tags") ? null : tagChips(run).slice(0, 2),
      run.damaged && run.usable ? el("span", { class: "lt-kind lt-is-damaged", title: words.plain(run.damaged) }, "damaged") : null,
      mayAct() && run.usable ? el("button", { type: "button", class: "lt-pencil", "data-act": "rename", tabindex: here, "aria-label": `Rename ${name}`, title: "Rename (F2)", onclick: () => this.edit(run.run_id, "name") }, "✎") : null); // prettier-ignore
  }

  cell(run, column, here) {
    if (column.say) return el("td", { class: column.number ? "lt-number" : "" }, column.say(run));
    const what = column.key === "tags" ? tagChips(run) : [words.plain(run.notes)];
    if (!mayAct()) return el("td", { class: "lt-said" }, what);
    const empty = column.key === "tags" ? !run.tags?.length : !run.notes;
    return el("td", { class: "lt-said", title: column.key === "notes" ? words.plain(run.notes) : null },
      el("button", { type: "button", class: "lt-in-place", "data-act": column.key, tabindex: here, "aria-label": `${column.title} of ${words.plain(run.name || run.run_id)}`, onclick: () => this.edit(run.run_id, column.key) }, empty ? el("span", { class: "lt-faint" }, "add") : what)); // prettier-ignore
  }

  edit(id, field) {
    const run = state.byId.get(id),
      row = this.made.get(id)?.row;
    const act = field === "name" ? "rename" : field;
    const cell = row?.querySelector(`[data-act="${act}"]`)?.closest("td");
    if (!run || !cell) return;
    const input = editor(run, field, (trouble) => {
      this.made.delete(id);
      input.remove();
      this.trouble(trouble);
      this.draw();
      this.body.querySelector(`tr[data-run="${CSS.escape(id)}"] [data-act="${field === "name" ? "open" : act}"]`)?.focus({ preventScroll: true });
    });
    cell.replaceChildren(input);
    input.focus();
    input.select();
  }

  trouble(said) {
    this.said.hidden = !said;
    this.said.textContent = said ? words.plain(said) : "";
  }

  ticked(id, event) {
    const on = event.target.checked;
    const ids = this.rows.map((run) => run.run_id), from = ids.indexOf(this.last), to = ids.indexOf(id); // prettier-ignore
    const span = event.shiftKey && from >= 0 ? ids.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
    this.last = id;
    this.at = id;
    tick(span.filter((one) => state.byId.get(one)?.usable || one === id), on);
  }

  // Arrows, Home and End go from row to row; F2 renames; the rest is what buttons do.
  key(event) {
    const id = event.target.closest("tr")?.dataset.run, act = event.target.dataset.act; // prettier-ignore
    if (!id || event.target.dataset.editing) return;
    const ids = this.rows.map((run) => run.run_id), now = ids.indexOf(id), page = Math.max(1, Math.floor(this.box.clientHeight / ROW_PX) - 2); // prettier-ignore
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: ids.length - 1, PageDown: now + page, PageUp: now - page }[event.key];
    if (event.key === "F2" && mayAct()) {
      event.preventDefault();
      this.edit(id, "name");
    }
    if (to === undefined) return;
    event.preventDefault();
    this.at = ids[Math.max(0, Math.min(ids.length - 1, to))];
    const height = narrow.matches ? CARD_PX : ROW_PX, top = Math.max(0, Math.min(ids.length - 1, to)) * height; // prettier-ignore
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + 2 * height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + 2 * height - this.box.clientHeight;
    this.window();
    this.body.querySelector(`tr[data-run="${CSS.escape(this.at)}"] [data-act="${act ?? "open"}"]`)?.focus({ preventScroll: true });
  }

  // Which columns are shown, as a menu.
  columnsMenu() {
    const list = el("div", { class: "lt-menu" });
    const fill = () =>
      list.replaceChildren(
        ...COLUMNS.map((column) => {
          const box = el("input", { type: "checkbox", onchange: () => { chooseColumn(column.key, box.checked); this.draw(); } }); // prettier-ignore
          box.checked = chosenColumns().some((one) => one.key === column.key);
          return el("label", {}, box, column.title);
        }),
        el("button", { type: "button", class: "lt-link", onclick: () => { columnsAsAtFirst(); fill(); this.draw(); } }, "As at first"), // prettier-ignore
      );
    return menu("Columns", list, fill);
  }
}

// A fold that lies over the page, and closes at a click beside it or Escape.
export function menu(title, list, onOpen = () => {}, id = null) {
  const fold = el("details", { class: "lt-overlay", id,
    ontoggle: () => { if (fold.open) onOpen(); },
    onkeydown: (event) => { if (event.key === "Escape" && fold.open) { fold.open = false; fold.firstChild.focus(); event.stopPropagation(); } } },
    el("summary", {}, title), list); // prettier-ignore
  document.addEventListener("click", (event) => {
    if (!fold.contains(event.target)) fold.open = false;
  });
  return fold;
}

const gap = (height) => el("tr", { class: "lt-gap", "aria-hidden": "true", style: `height:${Math.max(0, height)}px` }, el("td", {}));

const brief = (run) => [
  el("span", {}, `val ${words.loss(run.val_loss)}`),
  run.val_bits_per_byte == null ? null : el("span", {}, `${run.val_bits_per_byte.toFixed(3)} bits/byte`),
  el("span", {}, `step ${words.number(run.step)}`),
  el("span", {}, words.day(run.created_at).split(",")[0]),
];
