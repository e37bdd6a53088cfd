/** Similarities of all cells, or another measure, as codes of two bytes, and what follows from them. */

import type { Cells, Level } from "./cells";
import type { Measure } from "./scene";

const STEPS = 32767; // of an amount from 0 to 1
const MIDDLE: Record<Measure, number> = { similarity: 0, change: 1, confidence: 0 }; // of what codes stand for, 1 to either side
export const NOTHING = 0; // the code of a cell that the filters leave out
const LOW_SHARE = 0.2; // of the cells, below which the colour scale begins: what is looked for is above
const HIGH_SHARE = 0.995;

export function amountOf(measure: Measure, code: number): number {
  return MIDDLE[measure] + (code - STEPS - 1) / STEPS;
}

export interface Above {
  cells: number;
  km2: number;
}

export class Answer {
  readonly low: number; // codes where the data begin and end
  readonly high: number;
  readonly stretch: [number, number]; // codes where the colour scale begins and ends
  private readonly cellsFrom: Float64Array; // cells with at least a code
  private readonly km2From: Float64Array;
  private readonly best: (Uint16Array | undefined)[] = []; // by resolution

  constructor(
    readonly cells: Cells,
    readonly codes: Uint16Array,
    readonly searched: boolean,
    readonly measure: Measure,
  ) {
    if (codes.length !== cells.count) throw new Error(`${codes.length} amounts for ${cells.count} cells`);
    [this.cellsFrom, this.km2From] = summed(codes, cells.areaKm2);
    this.low = firstAtMost(this.cellsFrom, this.kept - 1) - 1;
    this.high = firstAtMost(this.cellsFrom, 0) - 1;
    const share = (part: number) => firstAtMost(this.cellsFrom, (1 - part) * this.kept);
    this.stretch = [Math.min(share(LOW_SHARE), this.high), Math.min(share(HIGH_SHARE), this.high)];
  }

  /** What a code stands for. */
  amount(code: number): number {
    return amountOf(this.measure, code);
  }

  /** Cells that the filters keep. */
  get kept(): number {
    return this.cellsFrom[1];
  }

  above(code: number): Above {
    return { cells: this.cellsFrom[code], km2: this.km2From[code] };
  }

  /** The best code of each node of a level. */
  bestOf(level: Level): Uint16Array {
    if (level.resolution === this.cells.resolution) return this.codes;
    return (this.best[level.resolution] ??= bestBelow(level, this.codes));
  }

  /** The cell with the best code below a node, and how many there are with at least a code. */
  within(level: Level, node: number, code: number): { best: number; cells: number; above: number } {
    let best = level.first[node];
    let above = 0;
    let cells = 0;
    for (let i = level.first[node]; i < level.first[node + 1]; i++) {
      if (this.codes[i] > this.codes[best]) best = i;
      if (this.codes[i] !== NOTHING) cells++;
      if (this.codes[i] >= code) above++;
    }
    return { best, cells, above };
  }
}

function bestBelow({ first, high }: Level, codes: Uint16Array): Uint16Array {
  const best = new Uint16Array(high.length);
  for (let node = 0; node < best.length; node++)
    for (let i = first[node]; i < first[node + 1]; i++) if (codes[i] > best[node]) best[node] = codes[i];
  return best;
}

/** For each code, how many cells have at least it, and their area. */
function summed(codes: Uint16Array, areaKm2: Float32Array): [Float64Array, Float64Array] {
  const cells = new Float64Array(65537);
  const km2 = new Float64Array(65537);
  codes.forEach((code, i) => {
    if (code === NOTHING) return;
    cells[code]++;
    km2[code] += areaKm2[i];
  });
  for (let code = 65535; code >= 0; code--) {
    cells[code] += cells[code + 1];
    km2[code] += km2[code + 1];
  }
  return [cells, km2];
}

/** The least code that at most so many cells have or exceed. */
function firstAtMost(falling: Float64Array, cells: number): number {
  let [low, high] = [1, 65536];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (falling[middle] > cells) low = middle + 1;
    else high = middle;
  }
  return low;
}
