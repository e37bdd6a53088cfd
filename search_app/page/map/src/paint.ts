/** From codes and kinds to the colours of what is drawn. */

import { NOTHING, type Answer } from "./answer";
import type { Cells } from "./cells";
import { amount, KINDS, NEUTRAL, SCALES, type Rgb } from "./colour";
import type { Drawn } from "./drawn";
import type { Settings } from "./settings";

export const NO_KIND = 255;
const BELOW = 0.12; // of the opacity, for what the threshold or the filters leave out
const STEPS = 256;

export type Painted = Pick<Drawn, "level" | "nodes">;

export interface Paint {
  settings: Settings;
  threshold: number; // a code; what lies below it fades
  stretch: [number, number]; // codes where the scale begins and ends
}

/** Four bytes for each node that is drawn. */
export function paintAmounts(drawn: Painted, answer: Answer, { settings, threshold, stretch }: Paint): Uint8Array {
  const codes = answer.bestOf(drawn.level);
  const table = steps(SCALES[settings.scale]);
  const [low, high] = stretch;
  const scaled = STEPS / Math.max(1, high - low);
  return fill(drawn, (node) => {
    const code = codes[node];
    if (code === NOTHING) return { rgb: NEUTRAL, share: BELOW };
    if (!answer.searched) return { rgb: NEUTRAL, share: 1 };
    const step = Math.max(0, Math.min(STEPS - 1, Math.floor((code - low) * scaled)));
    return { rgb: table[step], share: code >= threshold ? 1 : BELOW };
  }, settings.opacity);
}

export function paintKinds(cells: Cells, drawn: Painted, kinds: Uint8Array, opacity: number): Uint8Array {
  const { first } = drawn.level;
  const base = drawn.level.resolution === cells.resolution;
  return fill(drawn, (node) => {
    const kind = base ? kinds[node] : commonest(kinds, first[node], first[node + 1]);
    return kind === NO_KIND ? { rgb: NEUTRAL, share: 0.4 } : { rgb: KINDS[kind % KINDS.length], share: 1 };
  }, opacity);
}

export function paintPlain(drawn: Painted, opacity: number): Uint8Array {
  return fill(drawn, () => ({ rgb: NEUTRAL, share: 1 }), opacity);
}

/** What is not picked fades; `picked` has a byte for each cell, and an ancestor counts with the cells below it. */
export function fade({ level, nodes }: Painted, colours: Uint8Array, picked: Uint8Array): Uint8Array {
  nodes.forEach((node, i) => {
    const below = picked.subarray(level.first[node], level.first[node + 1]);
    if (!below.includes(1)) colours[4 * i + 3] *= BELOW;
  });
  return colours;
}

function fill(drawn: Painted, colour: (node: number) => { rgb: Rgb; share: number }, opacity: number): Uint8Array {
  const colours = new Uint8Array(4 * drawn.nodes.length);
  drawn.nodes.forEach((node, i) => {
    const { rgb, share } = colour(node);
    colours.set(rgb, 4 * i);
    colours[4 * i + 3] = Math.round(255 * opacity * share);
  });
  return colours;
}

function steps(scale: Rgb[]): Rgb[] {
  return Array.from({ length: STEPS }, (_, i) => amount(scale, i / (STEPS - 1)));
}

function commonest(kinds: Uint8Array, begin: number, end: number): number {
  const votes = new Uint32Array(256);
  for (let i = begin; i < end; i++) votes[kinds[i]]++;
  votes[NO_KIND] = 0;
  const most = votes.reduce((best, count, kind) => (count > votes[best] ? kind : best), 0);
  return votes[most] ? most : NO_KIND;
}
