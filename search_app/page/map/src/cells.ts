/**
 * The table's cells, and all their ancestors.
 *
 * Ids of one resolution, in order of number, hold the descendants of any ancestor next to each other. So a level
 * is the list of where each ancestor's cells begin, and what is in view is found by going down the levels.
 */

import { ancestry, cellAt, centre, compare, edgeKm, text, type Id } from "./h3";
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
  readonly footprintKm2: number; // of a row, where larger than its hexagon; else 0
  readonly rows?: Uint16Array; // where any cell has several
  readonly levels: Level[]; // by resolution

  constructor({ meta, arrays }: Packed) {
    const halves = arrays.cell as Uint32Array;
    this.count = halves.length / 2;
    this.resolution = meta.resolution as number;
    this.scattered = meta.scattered as boolean;
    this.footprintKm2 = meta.footprint_km2 as number;
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
  const high = Uint32Array.from({ length: count }, (_, i) => halves[2 * i + 1]);
  const low = Uint32Array.from({ length: count }, (_, i) => halves[2 * i]);
  return Array.from({ length: resolution + 1 }, (_, r) => levelOf(high, low, r));
}

/** The ancestors of cells at a resolution, each once. */
function levelOf(high: Uint32Array, low: Uint32Array, resolution: number): Level {
  const { ofHigh, ofLow, sevens } = ancestry(resolution);
  const [first, upHigh, upLow] = [0, 0, 0].map(() => new Uint32Array(high.length));
  let nodes = 0;
  for (let i = 0; i < high.length; i++) {
    const h = ((high[i] & ofHigh) | sevens) >>> 0;
    const l = (low[i] | ofLow) >>> 0;
    if (nodes && h === upHigh[nodes - 1] && l === upLow[nodes - 1]) continue;
    first[nodes] = i;
    upHigh[nodes] = h;
    upLow[nodes++] = l;
  }
  return {
    resolution,
    first: withEnd(first, nodes, high.length),
    high: upHigh.slice(0, nodes),
    low: upLow.slice(0, nodes),
    lonLat: new Float64Array(2 * nodes).fill(NaN),
  };
}

function withEnd(first: Uint32Array, nodes: number, end: number): Uint32Array {
  const ended = new Uint32Array(nodes + 1);
  ended.set(first.subarray(0, nodes));
  ended[nodes] = end;
  return ended;
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
