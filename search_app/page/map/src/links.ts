/** What maps of one page share: those of one link move together. */

import type { LngLat } from "maplibre-gl";

export interface Camera {
  center: LngLat;
  zoom: number;
}

export interface Linked {
  follow(camera: Camera): void;
}

const links = new Map<string, Set<Linked>>();

export function join(link: string, one: Linked): void {
  if (!links.has(link)) links.set(link, new Set());
  links.get(link)?.add(one);
}

export function leave(link: string, one: Linked): void {
  links.get(link)?.delete(one);
}

/** The others of a link; none where there is no link. */
export function others(link: string, one: Linked): Linked[] {
  return link ? [...(links.get(link) ?? [])].filter((other) => other !== one) : [];
}
