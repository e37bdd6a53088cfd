/** Which cells have their centre in a shape, of those that the filters keep. */

import { NOTHING, type Answer } from "./answer";
import type { Cells } from "./cells";
import { near } from "./h3";
import type { Point, Shape } from "./tools";

export function nodesInside(cells: Cells, answer: Answer | null, shape: Shape): number[] {
  const lons = shape.flat().map(([lon]) => lon);
  const lats = shape.flat().map(([, lat]) => lat);
  const [west, east] = [Math.min(...lons), Math.max(...lons)];
  const nodes = cells.inView(cells.resolution, [west, Math.min(...lats), east, Math.max(...lats)], Infinity) ?? [];
  const middle = (west + east) / 2;
  const kept = (node: number) => !answer || answer.codes[node] !== NOTHING;
  return nodes.filter((node) => {
    const [lon, lat] = cells.centre(cells.base, node);
    return kept(node) && shape.some((ring) => holds(ring, near(lon, middle), lat));
  });
}

/** Whether a ring holds a point: a line to the east crosses it an odd number of times. */
export function holds(ring: Point[], lon: number, lat: number): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [[ax, ay], [bx, by]] = [ring[i], ring[j]];
    if (ay > lat !== by > lat && lon < ((bx - ax) * (lat - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
