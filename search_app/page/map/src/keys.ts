/** All that the pointer does, by keyboard. */

import type { Map as MapLibre } from "maplibre-gl";
import { TOOLS } from "./chrome";
import type { Tool } from "./tools";

const STEP_PX = 60;

export const HELP =
  "Arrows move, plus and minus zoom, H sees it all. Enter looks at the middle; then L like this, A add, N not like this. " +
  "S lasso, B box, P polygon, R brush; Enter sets corners at the middle. U undoes, Escape closes.";

export interface KeyActs {
  enter(): void;
  ask(does: "like" | "add" | "unlike"): void;
  undo(): void;
  home(): void;
  escape(): void;
  help(): void;
  take(tool: Tool): void;
}

export type Movable = Pick<MapLibre, "getZoom"> & {
  panBy(by: [number, number], options?: { duration: number }): void;
  zoomTo(zoom: number, options?: { duration: number }): void;
};

/** What each key does, by its name in small letters. */
export function keyActs(map: Movable, acts: KeyActs, asks: boolean): Record<string, () => void> {
  const pan = (dx: number, dy: number) => () => map.panBy([dx * STEP_PX, dy * STEP_PX], { duration: 0 });
  const zoom = (by: number) => () => map.zoomTo(map.getZoom() + by, { duration: 0 });
  const looking = {
    arrowleft: pan(-1, 0),
    arrowright: pan(1, 0),
    arrowup: pan(0, -1),
    arrowdown: pan(0, 1),
    "+": zoom(1),
    "=": zoom(1),
    "-": zoom(-1),
    h: acts.home,
    enter: acts.enter,
    escape: acts.escape,
    "?": acts.help,
  };
  if (!asks) return looking;
  return {
    ...looking,
    l: () => acts.ask("like"),
    a: () => acts.ask("add"),
    n: () => acts.ask("unlike"),
    u: acts.undo,
    ...Object.fromEntries(TOOLS.map(({ tool, key }) => [key, () => acts.take(tool)])),
  };
}
