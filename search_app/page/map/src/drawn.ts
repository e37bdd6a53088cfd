/** Which nodes are drawn in a view, and their outlines as the graphics card wants them. */

import type { Cells, Level } from "./cells";
import { corners, edgeKm, near } from "./h3";
import type { Extent } from "./scene";

const LEAST_PX = 6; // across a hexagon; smaller ones are drawn as their ancestors
const MOST_NODES = 40_000; // outlines drawn at once
const MOST_DOTS = 50_000; // cells that lie apart, drawn as dots
const MARGIN = 0.2; // of the view, drawn beyond its edges so that it may be moved a little
const COVERAGE = 0.96; // of the hexagon: a thin gap tells neighbours apart

export interface View {
  extent: Extent;
  kmPerPx: number;
}

export interface Drawn {
  level: Level;
  nodes: number[];
  asked: number; // the resolution that the view is best served by
  area: Extent; // what the nodes cover; a view beyond it needs others
  dots: boolean;
  outlines: Outlines;
}

export interface Outlines {
  starts: Uint32Array;
  positions: Float64Array; // lon, lat
  triangles: Uint32Array;
}

export function choose(cells: Cells, view: View): Drawn {
  const area = widened(view.extent);
  const asked = resolutionFor(cells, view);
  for (let resolution = asked; ; resolution = coarser(resolution, cells, view)) {
    const dots = cells.scattered && resolution === cells.resolution;
    const nodes = cells.inView(resolution, area, dots ? MOST_DOTS : MOST_NODES);
    if (!nodes && resolution > 0) continue;
    const level = cells.levels[resolution];
    const middle = (area[0] + area[2]) / 2;
    return { level, nodes: nodes ?? [], asked, area, dots, outlines: outlines(cells, level, nodes ?? [], middle) };
  }
}

/** Whether what is drawn still serves a view. */
export function serves({ area, asked }: Drawn, cells: Cells, { extent, kmPerPx }: View): boolean {
  const [west, south, east, north] = area;
  const [w, s, e, n] = extent;
  const inside = w >= west && s >= south && e <= east && n <= north;
  return inside && (e - w) * 4 > east - west && asked === resolutionFor(cells, { extent, kmPerPx });
}

/** Cells that lie apart are drawn themselves, side by side the finest that are large enough to see. */
function resolutionFor(cells: Cells, view: View): number {
  return cells.scattered ? cells.resolution : largeEnough(cells.resolution, view);
}

function coarser(resolution: number, cells: Cells, view: View): number {
  const next = Math.max(0, resolution - 1);
  return cells.scattered ? largeEnough(next, view) : next;
}

function largeEnough(finest: number, { kmPerPx }: View): number {
  let resolution = finest;
  while (resolution > 0 && 2 * edgeKm(resolution) < LEAST_PX * kmPerPx) resolution--;
  return resolution;
}

function outlines(cells: Cells, level: Level, nodes: number[], middle: number): Outlines {
  const starts = new Uint32Array(nodes.length + 1);
  const positions: number[] = [];
  const triangles: number[] = [];
  nodes.forEach((node, i) => {
    const [lon, lat] = cells.centre(level, node);
    const turn = near(lon, middle) - lon;
    const ring = corners(level.high[node], level.low[node]);
    const start = positions.length / 2;
    starts[i] = start;
    for (const [cornerLon, cornerLat] of ring)
      positions.push(lon + turn + (cornerLon - lon) * COVERAGE, lat + (cornerLat - lat) * COVERAGE);
    for (let k = 1; k < ring.length - 1; k++) triangles.push(start, start + k, start + k + 1);
  });
  starts[nodes.length] = positions.length / 2;
  return { starts, positions: Float64Array.from(positions), triangles: Uint32Array.from(triangles) };
}

function widened([west, south, east, north]: Extent): Extent {
  const [wide, high] = [(east - west) * MARGIN, (north - south) * MARGIN];
  const [w, e] = [west - wide, east + wide];
  const turn = e - w > 360 ? [(w + e) / 2 - 180, (w + e) / 2 + 180] : [w, e];
  return [turn[0], Math.max(-90, south - high), turn[1], Math.min(90, north + high)];
}
