// Runs that differ in nothing but their seed, as one curve: the mean of them, with everything between their lowest and
// highest point as a band, so that a spike of one of them still shows.

const CELLS = 300;
const MEANS = ["train_loss", "val_loss", "val_bits_per_byte", "final_val_loss", "lr", "grad_norm", "tokens_per_s", "peak_bytes", "tokens_seen", "elapsed_s"]; // prettier-ignore
const RARE = ["val_loss", "val_bits_per_byte", "final_val_loss"];

export class MeanCurve {
  constructor(curves) {
    this.curves = curves;
    this.range = null;
  }

  get length() {
    return Math.max(0, ...this.curves.map((curve) => curve.length));
  }

  get thin() {
    return this.length > CELLS;
  }

  // A closer look takes finer points of every run and spreads the cells over the stretch alone.
  async closer({ steps: [from, to] }) {
    this.range = [from, to];
    this.made = null;
    await Promise.all(this.curves.map((curve) => curve.closer({ x: "step", from, to })));
    return true;
  }

  farther() {
    const had = this.range !== null;
    this.range = null;
    this.made = null;
    for (const curve of this.curves) curve.farther();
    return had;
  }

  get columns() {
    const key = this.curves.map((curve) => `${curve.length} ${curve.next}`).join();
    if (this.made?.key !== key) this.made = { key, ...mean(this.curves.map((curve) => curve.shown).filter(Boolean), this.range) };
    return this.made.columns;
  }

  get shown() {
    return this.columns;
  }

  // {column: [lowest, highest]} beside the columns.
  get band() {
    return this.columns ? this.made.band : {};
  }
}

function mean(runs, range) {
  if (!runs.length) return { columns: null, band: {} };
  const from = range?.[0] ?? Math.min(...runs.map((run) => run.step[0] ?? 0)),
    to = range?.[1] ?? Math.max(...runs.map((run) => run.step.at(-1) ?? 0));
  const cells = Math.max(CELLS, 2 * Math.max(...runs.map((run) => run.val_loss.filter((value) => value != null).length)));
  const width = Math.max(1, (to - from) / cells);
  const rows = new Map();
  runs.forEach((run, r) => {
    run.step.forEach((step, i) => {
      const cell = Math.floor((step - from) / width);
      if (step < from || step > to) return;
      if (!rows.has(cell)) rows.set(cell, { steps: [], at: null, of: runs.map(() => ({})) });
      const row = rows.get(cell);
      row.steps.push(step);
      if (run.val_loss[i] != null) row.at = step;
      for (const name of MEANS) if (run[name][i] != null) (row.of[r][name] ??= []).push(run[name][i]);
    });
  });
  return asColumns([...rows].sort(([a], [b]) => a - b).map(([, row]) => row), runs.length); // prettier-ignore
}

// A cell that one of the runs does not reach would pull the mean to the others: it is left out.
function asColumns(rows, numRuns) {
  const columns = Object.fromEntries(["step", ...MEANS].map((name) => [name, []]));
  const band = { train_loss: [[], []], val_loss: [[], []], val_bits_per_byte: [[], []] };
  for (const { steps, at, of } of rows) {
    if (of.filter((one) => one.train_loss || one.val_loss).length < numRuns) continue;
    columns.step.push(at ?? average(steps));
    for (const name of MEANS) {
      const values = of.map((one) => one[name]).filter(Boolean);
      columns[name].push(values.length < numRuns ? null : average(values.map(RARE.includes(name) ? last : average)));
      if (!band[name]) continue;
      const all = values.length < numRuns ? [] : values.flat();
      band[name][0].push(all.length ? Math.min(...all) : null);
      band[name][1].push(all.length ? Math.max(...all) : null);
    }
  }
  return { columns, band };
}

const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const last = (values) => values.at(-1);
