/** H3 ids as two halves of 32 bits: a JavaScript number does not hold 64. */

import { cellToBoundary, cellToLatLng, getHexagonEdgeLengthAvg, latLngToCell } from "h3-js";

export interface Id {
  high: number;
  low: number;
}

const DIGITS = 15;
const DIGIT_BITS = 3;
const RESOLUTION_SHIFT = 20; // within the high half

export function text(high: number, low: number): string {
  return high.toString(16) + low.toString(16).padStart(8, "0");
}

export function parse(id: string): Id {
  return { high: parseInt(id.slice(0, -8), 16), low: parseInt(id.slice(-8), 16) };
}

export function resolutionOf(id: string): number {
  return (parse(id).high >>> RESOLUTION_SHIFT) & 0xf;
}

/** What makes an id its ancestor's: the resolution set, sevens for every digit below. */
export function ancestry(resolution: number): { ofHigh: number; sevens: number; ofLow: number } {
  const below = (DIGITS - resolution) * DIGIT_BITS;
  return {
    ofHigh: ~(0xf << RESOLUTION_SHIFT), // kept of the high half
    sevens: (resolution << RESOLUTION_SHIFT) | (below > 32 ? 2 ** (below - 32) - 1 : 0), // added to it
    ofLow: below >= 32 ? 0xffffffff : 2 ** below - 1, // added to the low half
  };
}

/** Order of two ids as numbers. */
export function compare(high: number, low: number, other: Id): number {
  return high - other.high || low - other.low;
}

export function cellAt(lon: number, lat: number, resolution: number): Id {
  return parse(latLngToCell(lat, wrap(lon), resolution));
}

/** Longitude and latitude. */
export function centre(high: number, low: number): [number, number] {
  const [lat, lon] = cellToLatLng([low, high]);
  return [lon, lat];
}

/** Corners as [lon, lat], on the same side of the antimeridian as the centre. */
export function corners(high: number, low: number): [number, number][] {
  const [middle] = centre(high, low);
  return cellToBoundary([low, high]).map(([lat, lon]) => [near(lon, middle), lat]);
}

export function edgeKm(resolution: number): number {
  return getHexagonEdgeLengthAvg(resolution, "km");
}

/** The same longitude, -180 to 180. */
export function wrap(lon: number): number {
  return ((((lon + 180) % 360) + 360) % 360) - 180;
}

/** The same longitude, within 180 degrees of another. */
export function near(lon: number, middle: number): number {
  return lon + 360 * Math.round((middle - lon) / 360);
}
