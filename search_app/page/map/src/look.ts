/** What is known in the browser of a node under the pointer. */

import type { Answer } from "./answer";
import type { Cells } from "./cells";
import { count } from "./legend";
import { NO_KIND } from "./paint";
import type { Measure } from "./scene";
import type { Node } from "./pick";

export interface Look {
  cell: string; // what is looked at: a cell, or the best in an ancestor that is drawn in its place
  amount: number | null;
  measure: Measure;
  ancestor?: { id: string; cells: number; above: number }; // that stands for several cells
}

export interface Known {
  cells: Cells;
  answer: Answer | null;
  threshold: number; // a code
  kinds: Uint8Array | null;
  kindLabels: string[];
}

export function lookOf({ cells, answer, threshold }: Known, { level, node }: Node): Look {
  const begin = level.first[node];
  const all = { best: begin, cells: level.first[node + 1] - begin, above: 0 };
  const below = answer?.within(level, node, threshold) ?? all;
  const code = answer?.searched ? answer.codes[below.best] : 0;
  const coarse = level.resolution < cells.resolution;
  return {
    cell: cells.id(cells.base, below.best),
    amount: answer && code ? answer.amount(code) : null,
    measure: answer?.measure ?? "similarity",
    ancestor: coarse ? { id: cells.id(level, node), cells: below.cells, above: below.above } : undefined,
  };
}

export function lines(known: Known, found: Node): string[] {
  const { ancestor, cell, amount, measure } = lookOf(known, found);
  const likeness = amount === null ? "" : `${measure} ${amount.toFixed(3)}`;
  if (ancestor) {
    const above = likeness && `${count(ancestor.above)} above the threshold`;
    return [`${count(ancestor.cells)} cells`, likeness && `highest ${likeness}`, above].filter(Boolean);
  }
  const kind = known.kinds?.[found.node] ?? NO_KIND;
  const rows = known.cells.rows?.[found.node] ?? 1;
  return [cell, likeness, known.kindLabels[kind] ?? "", rows > 1 ? `${rows} rows` : ""].filter(Boolean);
}
