/** Where the map looks, and how a place on it becomes kilometres. */

import { LngLatBounds, type Map as MapLibre } from "maplibre-gl";
import type { View } from "./drawn";
import type { Extent } from "./scene";

const EARTH_KM = 40_075.017; // circumference
const WORLD_PX = 512; // at zoom 0
const PADDING = 0.09; // of the shorter side
const CLOSEST = 17;

export function viewOf(map: MapLibre): View {
  const box = map.getBounds();
  const lat = map.getCenter().lat;
  const kmPerPx = (EARTH_KM * Math.cos((lat * Math.PI) / 180)) / (WORLD_PX * 2 ** map.getZoom());
  return { extent: [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()], kmPerPx };
}

/** Moves to see a whole extent; at once where nothing was seen before or motion is not wanted. */
export function lookAt(map: MapLibre, [west, south, east, north]: Extent, glide: boolean): void {
  const { clientWidth: wide, clientHeight: high } = map.getContainer();
  const still = !glide || matchMedia("(prefers-reduced-motion: reduce)").matches;
  const box = new LngLatBounds([west, Math.max(south, -85)], [east, Math.min(north, 85)]);
  map.fitBounds(box, {
    padding: PADDING * Math.min(wide, high),
    maxZoom: CLOSEST,
    duration: still ? 0 : 500,
    linear: true,
  });
}
