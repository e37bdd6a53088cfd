/** What the cells lie on: land and sea without any network, a graticule, and a background that the user names. */

import { Map as MapLibre, addProtocol, setWorkerUrl, type GeoJSONSource, type StyleSpecification } from "maplibre-gl";
import { Protocol } from "pmtiles";
import { wrap } from "./h3";
import { address } from "./server";

const STEPS_DEG = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];
const LINES_ACROSS = 5;
const LAND_FADES = [5.5, 7.5]; // zooms between which the land goes: its outline is true to about 0.1 degree
const TILE_PX = 256;

export interface Ink {
  sea: string;
  land: string;
  line: string;
}

export async function startGround(container: HTMLElement, ink: Ink): Promise<MapLibre> {
  setWorkerUrl(new URL("skyhex/code/worker.js", document.baseURI).href);
  const map = new MapLibre({
    container,
    style: style(ink),
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    doubleClickZoom: false,
    boxZoom: false,
    keyboard: false,
    maxZoom: 20,
    fadeDuration: 0,
    canvasContextAttributes: { preserveDrawingBuffer: false },
  });
  map.getCanvas().tabIndex = -1; // the stage around it takes the keys
  map.touchZoomRotate.disableRotation();

  map.on("moveend", () => drawGraticule(map));
  await new Promise((ready) => map.once("load", ready));
  void loadLand(map);
  return map;
}

function style(ink: Ink): StyleSpecification {
  const nothing = { type: "geojson" as const, data: { type: "FeatureCollection" as const, features: [] } };
  const fade = (opacity: number) => [
    "interpolate", ["linear"], ["zoom"], LAND_FADES[0], opacity, LAND_FADES[1], 0,
  ] as never;
  return {
    version: 8,
    sources: { land: nothing, graticule: nothing },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": ink.sea } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": ink.land, "fill-opacity": fade(1) } },
      { id: "coast", type: "line", source: "land", paint: { "line-color": ink.line, "line-opacity": fade(1) } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": ink.line, "line-width": 0.6 } },
    ],
  };
}

export function paintGround(map: MapLibre, ink: Ink): void {
  map.setPaintProperty("sea", "background-color", ink.sea);
  map.setPaintProperty("land", "fill-color", ink.land);
  map.setPaintProperty("coast", "line-color", ink.line);
  map.setPaintProperty("graticule", "line-color", ink.line);
}

async function loadLand(map: MapLibre): Promise<void> {
  const rings: [number, number][][] = await (await fetch(address("land.json"))).json();
  const features = rings.map((ring) => ({
    type: "Feature" as const,
    properties: {},
    geometry: { type: "Polygon" as const, coordinates: [ring] },
  }));
  (map.getSource("land") as GeoJSONSource | undefined)?.setData({ type: "FeatureCollection", features });
}

/** Spacing that puts about five lines across the view. */
function stepDeg(span: number): number {
  const off = (step: number) => Math.abs(Math.log2(span / step / LINES_ACROSS));
  return STEPS_DEG.reduce((best, step) => (off(step) < off(best) ? step : best));
}

export interface Tick {
  at: number; // pixels from the left, or from the top
  text: string;
  side: "bottom" | "left";
}

/** Draws meridians and parallels over the view. */
function drawGraticule(map: MapLibre): void {
  const { step, lons, lats } = lines(map);
  const [west, east] = [lons[0] - step, lons[lons.length - 1] + step];
  const [south, north] = [lats[0] - step, lats[lats.length - 1] + step];
  const within = (lat: number) => Math.max(-85, Math.min(85, lat));
  const paths = [
    ...lons.map((lon) => [[lon, within(south)], [lon, within(north)]]),
    ...lats.map((lat) => [[west, lat], [east, lat]]),
  ];
  (map.getSource("graticule") as GeoJSONSource | undefined)?.setData({
    type: "Feature",
    properties: {},
    geometry: { type: "MultiLineString", coordinates: paths },
  });
}

/** Where the lines meet the map's edges, and their degrees. */
export function ticks(map: MapLibre): Tick[] {
  const { lons, lats } = lines(map);
  const { lng, lat } = map.getCenter();
  const { clientWidth: wide, clientHeight: high } = map.getContainer();
  const below: Tick[] = lons.map((lon) => ({ at: map.project([lon, lat]).x, text: degrees(lon, "EW"), side: "bottom" }));
  const beside: Tick[] = lats.map((at) => ({ at: map.project([lng, at]).y, text: degrees(at, "NS"), side: "left" }));
  return [...below.filter((t) => t.at > 40 && t.at < wide - 30), ...beside.filter((t) => t.at > 20 && t.at < high - 30)];
}

function lines(map: MapLibre): { step: number; lons: number[]; lats: number[] } {
  const box = map.getBounds();
  const [west, east] = [box.getWest(), box.getEast()];
  const step = stepDeg(Math.min(360, Math.max(east - west, box.getNorth() - box.getSouth())));
  const between = (low: number, high: number) => {
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.max(1, Math.floor(high / step) - first + 1) }, (_, i) => (first + i) * step);
  };
  return { step, lons: between(west, east), lats: between(Math.max(box.getSouth(), -85), Math.min(box.getNorth(), 85)) };
}

/** `9.25° E`, `3° S`; longitudes past 180 wrap. */
export function degrees(value: number, letters: "EW" | "NS", digits = 3): string {
  const turned = letters === "EW" ? wrap(value) : value;
  return `${Number(Math.abs(turned).toFixed(digits))}° ${letters[Number(turned < 0)]}`;
}

let pmtilesKnown = false;

/** Shows the background of an address. Nothing is asked of anyone without one. */
export function drawBackground(map: MapLibre, address: string): void {
  if (map.getLayer("background")) map.removeLayer("background");
  if (map.getSource("background")) map.removeSource("background");
  if (!address) return;
  if (/\.pmtiles(\?|$)/.test(address)) {
    if (!pmtilesKnown) addProtocol("pmtiles", new Protocol().tile);
    pmtilesKnown = true;
    map.addSource("background", { type: "raster", url: `pmtiles://${address}`, tileSize: TILE_PX });
  } else {
    map.addSource("background", { type: "raster", tiles: [tileAddress(address)], tileSize: TILE_PX });
  }
  map.addLayer({ id: "background", type: "raster", source: "background" }, "graticule");
}

/** WMTS writes its tiles' places in other words. */
function tileAddress(address: string): string {
  return address.replace(/\{TileMatrix\}/gi, "{z}").replace(/\{TileCol\}/gi, "{x}").replace(/\{TileRow\}/gi, "{y}");
}
