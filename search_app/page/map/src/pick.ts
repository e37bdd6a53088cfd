/** From a place on the screen to the node that is meant there. */

import type { Map as MapLibre } from "maplibre-gl";
import type { Cells, Level } from "./cells";
import type { Drawn } from "./drawn";
import { edgeKm, near } from "./h3";

const REACH_PX = 12; // beside a hexagon or a dot that still counts

export interface Node {
  level: Level;
  node: number;
}

/** The node under a place, or the nearest beside it; no picture is read, so no press is lost to drawing. */
export function pick(map: MapLibre, cells: Cells, drawn: Drawn, x: number, y: number): Node | null {
  const { lng, lat } = map.unproject([x, y]);
  const under = cells.at(drawn.level, lng, lat);
  if (under >= 0) return { level: drawn.level, node: under };
  const beside = nearest(map, cells, drawn, x, y);
  return beside >= 0 ? { level: drawn.level, node: beside } : null;
}

function nearest(map: MapLibre, cells: Cells, { level, nodes, area }: Drawn, x: number, y: number): number {
  const reach = REACH_PX + edgePx(map, cells, level, nodes);
  const corner = map.unproject([x - reach, y + reach]);
  const other = map.unproject([x + reach, y - reach]);
  const middle = (area[0] + area[2]) / 2;
  let [found, least] = [-1, reach];
  for (const node of nodes) {
    const [lon, lat] = cells.centre(level, node);
    const turned = near(lon, middle);
    if (turned < corner.lng || turned > other.lng || lat < corner.lat || lat > other.lat) continue;
    const at = map.project([turned, lat]);
    const away = Math.hypot(at.x - x, at.y - y);
    if (away < least) [found, least] = [node, away];
  }
  return found;
}

/** How far a corner of a hexagon lies from its centre, on the screen. */
function edgePx(map: MapLibre, cells: Cells, level: Level, nodes: number[]): number {
  if (!nodes.length) return 0;
  const [lon, lat] = cells.centre(level, nodes[0]);
  const [a, b] = [map.project([lon, lat]), map.project([lon, lat + 0.01])];
  const pxPerKm = Math.hypot(a.x - b.x, a.y - b.y) / 1.112;
  return edgeKm(level.resolution) * pxPerKm;
}
