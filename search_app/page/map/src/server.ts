/** Fetches what the server has: packed arrays, similarities, cards. */

import type { Rows, Scene } from "./scene";

const REFUSED = 422;
// A browser holds a request back while one of the same address that was given up is still in its cache.
const stoppable = (signal: AbortSignal): RequestInit => ({ signal, cache: "no-store" });

export interface Packed {
  meta: Record<string, unknown>;
  arrays: Record<string, Uint32Array | Float32Array | Uint16Array | Float64Array>;
}

interface Place {
  type: string;
  first: number;
  count: number;
}

export interface CardLine {
  sample: string;
  period: string;
  dates: string;
  valid_fraction?: number;
  cloud_fraction?: number;
  prototype?: string;
  kind?: string;
  pictures: string[];
}

export interface Card {
  cell: string;
  lon: number;
  lat: number;
  row: number; // the first to be shown
  rows: CardLine[];
}

/** An address under the page's own, whatever folder the page is served from. */
export function address(name: string, params: Record<string, string | number> = {}, question = ""): string {
  const query = new URLSearchParams(question);
  for (const [key, value] of Object.entries(params)) query.set(key, String(value));
  return new URL(`skyhex/${name}?${query}`, document.baseURI).href;
}

/** What an address names of a scene. */
export function rowsOf({ table, snapshot }: Rows): { table: string; snapshot: number } {
  return { table, snapshot };
}

/** Of a background that the page itself has: braces stay as they are. */
export function groundAddress(scene: Scene): string {
  return scene.ground && `${new URL("skyhex/", document.baseURI).href}${scene.ground}`;
}

export async function fetchPacked(scene: Scene): Promise<Packed> {
  return unpack(await bytes(address("cells", rowsOf(scene))));
}

/** Two bytes a cell, in the order of the cells; null where the question has no answer, which the page explains. */
export async function fetchCodes(scene: Scene, question: string, signal: AbortSignal): Promise<Uint16Array | null> {
  const url = address(scene.measure, rowsOf(scene), question);
  const answer = await fetch(url, stoppable(signal));
  if (answer.status === REFUSED) return null;
  return new Uint16Array(await (await sound(answer)).arrayBuffer());
}

/** Outer rings of the rows in a box, and the cells that they are of. */
export async function fetchFootprints(scene: Scene, bbox: string): Promise<Packed> {
  return unpack(await bytes(address("footprints", { ...rowsOf(scene), bbox })));
}

export interface PlaneRows {
  x: Float32Array;
  y: Float32Array;
  node: Uint32Array; // the cell of each, in the order of all cells
  period: Uint16Array; // the number of each one's period
  periods: string[];
  cells: number; // of the table
}

/** Rows in a plane: see plane.py. */
export async function fetchPlane(rows: Rows, method: string, signal: AbortSignal): Promise<PlaneRows> {
  const { meta, arrays } = unpack(await bytes(address("plane", { ...rowsOf(rows), method }), signal));
  return { ...meta, ...arrays } as unknown as PlaneRows;
}

/** One byte a cell. */
export async function fetchKinds(scene: Scene): Promise<Uint8Array> {
  return new Uint8Array(await bytes(address("kinds", { ...rowsOf(scene), prototype: scene.prototype, period: scene.period }, scene.layer)));
}

export async function fetchCard(scene: Scene, cell: string, signal: AbortSignal): Promise<Card> {
  const answer = await checked(address("card", { ...rowsOf(scene), cell, period: scene.period }), signal);
  return (await answer.json()) as Card;
}

export interface Picture {
  source: string; // address of the picture in this page
  caption: string;
}

export async function fetchPicture(
  scene: Scene,
  cell: string,
  row: number,
  sensor: string,
  signal: AbortSignal,
): Promise<Picture> {
  const answer = await checked(address("picture", { ...rowsOf(scene), cell, row, sensor }), signal);
  const caption = decodeURIComponent(answer.headers.get("X-Caption") ?? "");
  return { source: URL.createObjectURL(await answer.blob()), caption };
}

async function bytes(url: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await checked(url, signal)).arrayBuffer();
}

async function checked(url: string, signal?: AbortSignal): Promise<Response> {
  return sound(await fetch(url, signal && stoppable(signal)));
}

async function sound(answer: Response): Promise<Response> {
  if (!answer.ok) throw new Error((await answer.text()) || `the server answered ${answer.status}`);
  return answer;
}

/** A header of JSON, its length before it, then arrays, little-endian: see map_bytes.py. */
export function unpack(buffer: ArrayBuffer): Packed {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const places: [string, Place][] = Object.entries(header.arrays);
  const arrays = places.map(([name, place]) => [name, view(buffer, 4 + length + place.first, place)]);
  return { meta: header, arrays: Object.fromEntries(arrays) };
}

function view(buffer: ArrayBuffer, first: number, { type, count }: Place) {
  switch (type) {
    case "uint64": // as low and high halves
      return new Uint32Array(buffer, first, 2 * count);
    case "uint32":
      return new Uint32Array(buffer, first, count);
    case "float32":
      return new Float32Array(buffer, first, count);
    case "float64":
      return new Float64Array(buffer, first, count);
    case "uint16":
      return new Uint16Array(buffer, first, count);
    default:
      throw new Error(`arrays of ${type} are unknown`);
  }
}
