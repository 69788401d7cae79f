// Attention weights as a picture: the rows look at the columns.

import * as words from "./words.js";

const MOST_LABELS = 40, // with more tokens no label can be read
  MOST_PX = 640,
  LEAST_PX = 120;

const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

// A token as people see it, with what is usually invisible.
export const visible = (token) => words.plain(token).replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "·") || "∅";

// Draws the map with the chosen row framed; gives a function that tells which [row, column] lies at a point.
export function drawHeatMap(canvas, width, tokens, weights, row) {
  const labels = tokens.length <= MOST_LABELS,
    size = Math.max(LEAST_PX, Math.min(width, MOST_PX)),
    margin = labels ? Math.min(110, size * 0.28) : 8,
    cell = (size - margin) / tokens.length,
    scale = window.devicePixelRatio || 1,
    pen = canvas.getContext("2d");
  canvas.width = canvas.height = Math.round(size * scale);
  canvas.style.width = canvas.style.height = `${size}px`;
  pen.scale(scale, scale);
  fill(pen, weights, margin, margin, cell);
  pen.strokeStyle = css("--lt-accent");
  pen.strokeRect(margin + 0.5, margin + row * cell + 0.5, cell * (row + 1) - 1, Math.max(1, cell - 1));
  if (labels) label(pen, tokens, margin, cell, row);
  return (x, y) => {
    const t = Math.floor((y - margin) / cell),
      s = Math.floor((x - margin) / cell);
    return t >= 0 && t < tokens.length && s >= 0 && s <= t ? [t, s] : null;
  };
}

export function fill(pen, weights, left, top, cell) {
  const side = cell * weights.length;
  pen.fillStyle = css("--lt-sunk");
  pen.fillRect(left, top, side, side);
  pen.fillStyle = css("--lt-accent");
  weights.forEach((row, t) =>
    row.forEach((weight, s) => {
      if (s > t || weight <= 0.001) return;
      pen.globalAlpha = Math.min(1, Math.sqrt(weight)); // by the root, so that the many small weights are seen too
      pen.fillRect(left + s * cell, top + t * cell, cell + 0.4, cell + 0.4);
    }),
  );
  pen.globalAlpha = 1;
}

function label(pen, tokens, margin, cell, row) {
  const ink = css("--lt-ink"),
    soft = css("--lt-soft");
  pen.font = `${Math.max(9, Math.min(12, cell * 0.8))}px ui-monospace, monospace`;
  pen.textBaseline = "middle";
  tokens.forEach((token, i) => {
    const at = margin + (i + 0.5) * cell,
      shown = visible(token).slice(0, 12);
    pen.fillStyle = i === row ? ink : soft;
    pen.textAlign = "right";
    pen.fillText(shown, margin - 6, at);
    pen.save();
    pen.translate(at, margin - 6);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(shown, 0, 0);
    pen.restore();
  });
}
