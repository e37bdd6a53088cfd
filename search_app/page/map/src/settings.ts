/** How the map looks: kept by the browser, not by the page. */

import { SCALES } from "./colour";

const KEY = "skyhex map";

export interface Settings {
  scale: string;
  opacity: number; // 0 to 1
  stretched: boolean; // the scale spans the upper part of the data, or all of it
  background: string; // an address with {z}/{x}/{y} or of a PMTiles file; "" = the land alone
  attribution: string;
}

export function readSettings(): Settings {
  const plain: Settings = { scale: "Viridis", opacity: 0.85, stretched: true, background: "", attribution: "" };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const known = Object.entries(plain).filter(([name, value]) => typeof kept[name] === typeof value);
    const settings = { ...plain, ...Object.fromEntries(known.map(([name]) => [name, kept[name]])) };
    return settings.scale in SCALES ? settings : { ...settings, scale: plain.scale };
  } catch {
    return plain;
  }
}

export function keepSettings(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // a browser that keeps nothing still shows the map
  }
}
