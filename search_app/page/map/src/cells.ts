/**
 * The table's cells, and all their ancestors.
 *
 * Ids of one resolution, in order of number, hold the descendants of any ancestor next to each other. So a level
 * is the list of where each ancestor's cells begin, and what is in view is found by going down the levels.
 */

import { compare, cellAt, centre, edgeKm, parentOf, text, type Id } from "./h3";
import type { Extent } from "./scene";
import type { Packed } from "./server";

const KM_PER_DEGREE = 111.2;
const FAMILY_EDGES = 1.3; // how far a descendant's centre may lie from its ancestor's, in mean edges
const CORNER_EDGES = 1.2; // and a corner of the ancestor itself

export interface Level {
  resolution: number;
  first: Uint32Array; // where each node's cells begin; one more at the end
  high: Uint32Array;
  low: Uint32Array;
  lonLat: Float64Array; // of centres, two a node; NaN until asked for
}

export class Cells {
  readonly count: number;
  readonly resolution: number;
  readonly scattered: boolean; // cells lie apart, as chips do
  readonly areaKm2: Float32Array;
  readonly rows?: Uint16Array; // where any cell has several
  readonly levels: Level[]; // by resolution

  constructor({ meta, arrays }: Packed) {
    const halves = arrays.cell as Uint32Array;
    this.count = halves.length / 2;
    this.resolution = meta.resolution as number;
    this.scattered = meta.scattered as boolean;
    this.areaKm2 = arrays.area_km2 as Float32Array;
    this.rows = arrays.rows as Uint16Array | undefined;
    this.levels = levelsOf(halves, this.resolution);
  }

  get base(): Level {
    return this.levels[this.resolution];
  }

  /** Hex id of a node. */
  id(level: Level, node: number): string {
    return text(level.high[node], level.low[node]);
  }

  /** The node of an id, or -1. */
  find(level: Level, { high, low }: Id): number {
    const node = lowerBound(level.high.length, (i) => compare(level.high[i], level.low[i], { high, low }) < 0);
    return node < level.high.length && level.high[node] === high && level.low[node] === low ? node : -1;
  }

  at(level: Level, lon: number, lat: number): number {
    return this.find(level, cellAt(lon, lat, level.resolution));
  }

  centre(level: Level, node: number): [number, number] {
    const at = 2 * node;
    if (Number.isNaN(level.lonLat[at])) level.lonLat.set(centre(level.high[node], level.low[node]), at);
    return [level.lonLat[at], level.lonLat[at + 1]];
  }

  /** Nodes of a level that may be seen in an extent, at most about `most` of them; null where there are more. */
  inView(resolution: number, extent: Extent, most: number): number[] | null {
    let nodes = this.levels[0].high.length ? range(0, this.levels[0].high.length) : [];
    for (let r = 0; ; r++) {
      const level = this.levels[r];
      const reachKm = edgeKm(r) * (r === resolution ? CORNER_EDGES : FAMILY_EDGES);
      nodes = nodes.filter((node) => meets(this.centre(level, node), reachKm, extent));
      if (r === resolution) return nodes.length > most ? null : nodes;
      if (nodes.length > most) return null;
      nodes = nodes.flatMap((node) => this.children(r, node));
    }
  }

  private children(resolution: number, node: number): number[] {
    const { first } = this.levels[resolution];
    const below = this.levels[resolution + 1].first;
    const begin = lowerBound(below.length, (i) => below[i] < first[node]);
    let end = begin;
    while (below[end] < first[node + 1]) end++;
    return range(begin, end);
  }
}

function levelsOf(halves: Uint32Array, resolution: number): Level[] {
  const count = halves.length / 2;
  const levels: Level[] = [];
  for (let r = 0; r <= resolution; r++) {
    const first: number[] = [];
    const high: number[] = [];
    const low: number[] = [];
    let last: Id = { high: -1, low: -1 };
    for (let i = 0; i < count; i++) {
      const up = parentOf(halves[2 * i + 1], halves[2 * i], r);
      if (up.high === last.high && up.low === last.low) continue;
      first.push(i);
      high.push(up.high);
      low.push(up.low);
      last = up;
    }
    levels.push({
      resolution: r,
      first: Uint32Array.from([...first, count]),
      high: Uint32Array.from(high),
      low: Uint32Array.from(low),
      lonLat: new Float64Array(2 * first.length).fill(NaN),
    });
  }
  return levels;
}

/** Whether a disc meets an extent, in any copy of the world. */
function meets([lon, lat]: [number, number], reachKm: number, [west, south, east, north]: Extent): boolean {
  const reach = reachKm / KM_PER_DEGREE;
  if (lat + reach < south || lat - reach > north) return false;
  const nearestPole = Math.min(89.9, Math.abs(lat) + reach);
  const wide = reach / Math.cos((nearestPole * Math.PI) / 180);
  return [-360, 0, 360].some((turn) => lon + turn + wide >= west && lon + turn - wide <= east);
}

function lowerBound(length: number, before: (i: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function range(begin: number, end: number): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}
