/** Footprints of rows, drawn where they are larger than the hexagon of their cell and large enough to see. */

import type { Cells } from "./cells";
import type { Drawn, View } from "./drawn";
import { near, wrap } from "./h3";
import { holds } from "./inside";
import type { Scene } from "./scene";
import { fetchFootprints } from "./server";
import type { Point } from "./tools";

const LEAST_PX = 9; // across a footprint
const MOST_CELLS = 2_000; // in view; more are not asked for

export interface Footprint {
  node: number; // of the cells
  ring: Point[];
}

export class Footprints {
  shown: Footprint[] = [];
  private asked: Drawn | null = null;

  constructor(private readonly changed: () => void) {}

  /** Fetches what a view shows, where it shows any; what is drawn changes when it comes. */
  follow(scene: Scene, cells: Cells, drawn: Drawn, view: View): void {
    const acrossPx = Math.sqrt(cells.footprintKm2) / view.kmPerPx;
    const seen = acrossPx >= LEAST_PX && drawn.level === cells.base && drawn.nodes.length <= MOST_CELLS;
    if (!seen) {
      this.asked = null;
      this.shown = [];
      return;
    }
    if (drawn === this.asked) return;
    this.asked = drawn;
    void fetchFootprints(scene, boxOf(drawn)).then(
      ({ arrays }) => {
        if (this.asked !== drawn) return;
        this.shown = rings(arrays.node as Uint32Array, arrays.first as Uint32Array, arrays.lonlat as Float64Array, drawn);
        this.changed();
      },
      () => undefined,
    );
  }

  /** The cell whose footprint holds a place, or -1. */
  at(lon: number, lat: number): number {
    return this.shown.find(({ ring }) => holds(ring, near(lon, ring[0][0]), lat))?.node ?? -1;
  }
}

function boxOf({ area: [west, south, east, north] }: Drawn): string {
  const lons = east - west >= 360 ? [-180, 180] : [wrap(west), wrap(east)];
  return [lons[0], Math.max(-89.9, south), lons[1], Math.min(89.9, north)].join(",");
}

function rings(node: Uint32Array, first: Uint32Array, lonLat: Float64Array, { area }: Drawn): Footprint[] {
  const middle = (area[0] + area[2]) / 2;
  return Array.from(node, (of, i) => {
    const turn = near(lonLat[2 * first[i]], middle) - lonLat[2 * first[i]];
    const corner = (at: number): Point => [lonLat[2 * at] + turn, lonLat[2 * at + 1]];
    return { node: of, ring: Array.from({ length: first[i + 1] - first[i] }, (_, k) => corner(first[i] + k)) };
  });
}
