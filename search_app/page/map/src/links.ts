/** What maps and planes of one page share: where they look, colours of cells, which cells are picked. */

import type { LngLat } from "maplibre-gl";

export interface Camera {
  center: LngLat;
  zoom: number;
}

export interface Picked {
  shape: string; // as the page writes it, in the words of whom it was drawn on
  cells: Uint8Array; // 1 for each that is picked, in the order of all cells
}

export interface Linked {
  follow?(camera: Camera): void;
  coloured?(colours: Uint8Array): void; // of all cells, four bytes each
  picked?(picked: Picked | null): void;
  seeCell?(node: number): void; // which of the cells is looked at; -1: none
}

interface Link {
  members: Set<Linked>;
  colours: Uint8Array | null;
  picked: Picked | null;
}

const links = new Map<string, Link>();

function linkOf(name: string): Link {
  if (!links.has(name)) links.set(name, { members: new Set(), colours: null, picked: null });
  return links.get(name)!;
}

/** Who comes later is told what the others know. */
export function join(name: string, one: Linked): void {
  if (!name) return;
  const link = linkOf(name);
  link.members.add(one);
  if (link.colours) one.coloured?.(link.colours);
  if (link.picked) one.picked?.(link.picked);
}

/** The last to leave takes what was shared along. */
export function leave(name: string, one: Linked): void {
  const link = links.get(name);
  link?.members.delete(one);
  if (link?.members.size === 0) links.delete(name);
}

/** The others of a link; none where there is no link. */
export function others(name: string, one: Linked): Linked[] {
  return [...(links.get(name)?.members ?? [])].filter((other) => other !== one);
}

export function shareColours(name: string, one: Linked, colours: Uint8Array): void {
  linkOf(name).colours = colours;
  for (const other of others(name, one)) other.coloured?.(colours);
}

/** Tells all of a link what is picked, whoever says it. */
export function sharePicked(name: string, picked: Picked | null): void {
  const link = linkOf(name);
  link.picked = picked;
  for (const member of link.members) member.picked?.(picked);
}

export function pickedOf(name: string): Picked | null {
  return links.get(name)?.picked ?? null;
}
