/** The component: one map in each place of the page, which Streamlit calls with every run. */

import { SkyMap } from "./sky_map";
import type { Ask, Scene } from "./scene";

interface Call {
  data: Scene;
  parentElement: HTMLElement | ShadowRoot;
  setTriggerValue(name: string, value: unknown): void;
}

const maps = new WeakMap<Node, SkyMap>();

export default function mount({ data, parentElement, setTriggerValue }: Call): () => void {
  const send = (asks: Ask[]) => setTriggerValue("asked", asks);
  let map = maps.get(parentElement);
  if (map) map.show(data, send);
  else maps.set(parentElement, (map = new SkyMap(parentElement, data, send)));
  return () => {
    maps.get(parentElement)?.remove();
    maps.delete(parentElement);
  };
}
