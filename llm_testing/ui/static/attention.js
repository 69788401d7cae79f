// What a model looks at in a text: every head of a layer as a small map, one of them large, and the words themselves.

import { call } from "./call.js";
import { el, keep, kept } from "./dom.js";
import { drawHeatMap, fill, visible } from "./heatmap.js";
import { LIVE, ModelPicker, onModels, readModels } from "./models.js";
import { isShown, onShown, showView } from "./views.js";
import * as words from "./words.js";

const FIRST = { text: "The cat sat on the mat because the cat was tired.", layer: 0, head: null };
const WAIT_MS = 500;
const ABOUT =
  "Each row of the map is a token; the darker a cell, the more it looks at that column's token. " +
  "Nothing looks into the future, so the upper right stays empty.";
const NO_MODEL =
  "There is no model yet. Train a run first; while it trains, or after its first checkpoint, you can look into it.";

let page = null;

// Used by the checkpoint browser.
export function attendTo(id) {
  page?.picker.choose(id);
  showView("attention");
  page?.begin();
}

export function mountAttention(element) {
  const box = element.querySelector(".lt-attention");
  const chosen = { ...FIRST, ...kept("attention", {}), layer: 0 };
  let found = null,
    asking = false,
    again = false,
    timer = null,
    row = null,
    cells = null;
  const picker = new ModelPicker("attention", () => {
    chosen.layer = 0;
    look();
  });
  const text = el("textarea", {
    rows: 2,
    maxlength: 2000,
    id: "lt-attention-text",
    spellcheck: "false",
    oninput: () => {
      chosen.text = text.value;
      keep("attention", chosen);
      clearTimeout(timer);
      timer = setTimeout(look, WAIT_MS);
    },
  });
  text.value = chosen.text;
  const layer = el("select", {
    id: "lt-layer",
    onchange: () => {
      chosen.layer = Number(layer.value);
      keep("attention", chosen);
      look();
    },
  });
  const fresh = el(
    "button",
    { type: "button", class: "lt-button", id: "lt-look", onclick: () => look() },
    "Look again",
  );
  const trouble = el("div", { role: "alert" });
  const heads = el("div", { class: "lt-heads", role: "group", "aria-label": "Heads" });
  const tokens = el("div", {
    class: "lt-tokens",
    role: "group",
    "aria-label": "Tokens; choose one to see what it looks at",
  });
  const said = el("p", { class: "lt-hint", "aria-live": "polite" });
  const map = el("canvas", {
    class: "lt-map",
    role: "img",
    "aria-label": "Attention weights: rows look at columns",
    onpointermove: point,
    onclick: point,
  });
  box.replaceChildren(
    el(
      "div",
      { class: "lt-ask-model" },
      el("label", { for: picker.select.id }, "Model"),
      picker.select,
      el("label", { for: layer.id }, "Layer"),
      layer,
      fresh,
    ),
    el("label", { for: text.id, class: "lt-label" }, "Text"),
    text,
    trouble,
    heads,
    tokens,
    said,
    el("div", { class: "lt-map-box" }, map),
    el("p", { class: "lt-hint" }, ABOUT),
  );
  page = {
    picker,
    begin: () => {
      chosen.layer = 0;
      look();
    },
  };
  onModels(() => {
    if (isShown("attention") && !found) look();
  });
  onShown("attention", () => {
    readModels();
    if (found) drawMap();
  });
  new ResizeObserver(() => drawMap()).observe(box);
  new MutationObserver(() => {
    if (found) {
      drawHeads();
      drawMap();
    }
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });

  async function look() {
    if (asking) {
      again = true;
      return;
    }
    fresh.disabled = !picker.value;
    if (!picker.value) {
      trouble.replaceChildren(el("p", { class: "lt-empty-small" }, NO_MODEL));
      return;
    }
    if (!chosen.text) {
      trouble.replaceChildren(el("p", { class: "lt-warning" }, "Write a text to look at."));
      return;
    }
    asking = true;
    try {
      found = await call("POST", "pretraining/analyze/heads", {
        checkpoint_id: picker.value,
        text: chosen.text,
        layer: chosen.layer,
      });
      trouble.replaceChildren(found.left_out ? el("p", { class: "lt-hint" }, cutWords(found)) : "");
      if (chosen.head != null && chosen.head >= found.num_heads) chosen.head = null;
      row = found.tokens.length - 1;
      layer.replaceChildren(
        ...Array.from({ length: found.num_layers }, (_, i) =>
          el("option", { value: i, selected: i === found.layer }, `${i + 1} of ${found.num_layers}`),
        ),
      );
      drawHeads();
      drawTokens();
      drawMap();
    } catch (error) {
      trouble.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
    }
    asking = false;
    if (again) {
      again = false;
      look();
    }
  }

  // The weights that are shown large: of one head, or the mean over all.
  function weights(head = chosen.head) {
    if (head != null) return found.weights[head];
    return found.tokens.map((_, t) =>
      found.tokens.map((_, s) => found.weights.reduce((sum, head) => sum + head[t][s], 0) / found.num_heads),
    );
  }

  function drawHeads() {
    const shown = [null, ...found.weights.keys()];
    heads.replaceChildren(
      ...shown.map((head) => {
        const small = el("canvas", { width: 64, height: 64, "aria-hidden": "true" });
        const label = head == null ? "all heads" : `head ${head + 1}`;
        const button = el(
          "button",
          {
            type: "button",
            "aria-pressed": String(chosen.head === head),
            class: "lt-head-choice",
            onclick: () => {
              chosen.head = head;
              keep("attention", chosen);
              drawHeads();
              drawTokens();
              drawMap();
              heads.querySelector("[aria-pressed=true]")?.focus();
            },
          },
          small,
          el("span", {}, label),
        );
        fill(small.getContext("2d"), weights(head), 0, 0, 64 / found.tokens.length);
        return button;
      }),
    );
  }

  function drawTokens() {
    const looked = weights()[row] ?? [],
      most = Math.max(...looked, 1e-9);
    tokens.replaceChildren(
      ...found.tokens.map((token, i) =>
        el(
          "button",
          {
            type: "button",
            class: i === row ? "lt-token lt-token-on" : "lt-token",
            "aria-pressed": String(i === row),
            title: i <= row ? `${percent(looked[i])} of what “${visible(found.tokens[row])}” looks at` : "later",
            style: i <= row ? `--w:${(looked[i] / most).toFixed(3)}` : "--w:0",
            onclick: () => {
              row = i;
              drawTokens();
              drawMap();
              tokens.children[i].focus();
            },
          },
          visible(token),
        ),
      ),
    );
    const strongest = looked
      .slice(0, row + 1)
      .map((weight, i) => [weight, i])
      .sort((a, b) => b[0] - a[0])
      .slice(0, 3);
    const most3 = strongest.map(([weight, i]) => `“${visible(found.tokens[i])}” ${percent(weight)}`).join(", ");
    const from = found.checkpoint_id === LIVE ? ` Live model at step ${words.number(found.step)}.` : "";
    said.textContent = `“${visible(found.tokens[row])}” looks most at ${most3}.${from}`;
  }

  function drawMap() {
    if (found && isShown("attention")) cells = drawHeatMap(map, box.clientWidth - 16, found.tokens, weights(), row);
  }

  function point(event) {
    const at = cells?.(event.offsetX, event.offsetY);
    if (!at) {
      map.title = "";
      return;
    }
    const [t, s] = at;
    map.title = `“${visible(found.tokens[t])}” looks at “${visible(found.tokens[s])}”: ${weights()[t][s].toFixed(4)}`;
    if (event.type === "click") {
      row = t;
      drawTokens();
      drawMap();
    }
  }
}

const percent = (share) => `${(100 * (share ?? 0)).toFixed(share < 0.1 ? 1 : 0)} %`;
const cutWords = ({ tokens, left_out: more }) =>
  `Only the beginning is shown: this model or the map holds ${tokens.length} tokens, ${more} more are left out.`;
