/** The components: a map or a plane in each place of the page, which Streamlit calls with every run. */

import { Plane, type PlaneScene } from "./plane";
import { SkyMap } from "./sky_map";
import type { Ask, Scene } from "./scene";

interface Call<T> {
  data: T;
  parentElement: HTMLElement | ShadowRoot;
  setTriggerValue(name: string, value: unknown): void;
}

type Send = (asks: Ask[]) => void;

interface Shown<T> {
  show(scene: T, send: Send): void;
  remove(): void;
}

/** A component that is made once in each place, and shown again with every run. */
function mounting<T>(make: (parent: HTMLElement | ShadowRoot, scene: T, send: Send) => Shown<T>) {
  const all = new WeakMap<Node, Shown<T>>();
  return ({ data, parentElement, setTriggerValue }: Call<T>): (() => void) => {
    const send = (asks: Ask[]) => setTriggerValue("asked", asks);
    const shown = all.get(parentElement);
    if (shown) shown.show(data, send);
    else all.set(parentElement, make(parentElement, data, send));
    return () => {
      all.get(parentElement)?.remove();
      all.delete(parentElement);
    };
  };
}

export default mounting<Scene>((parent, scene, send) => new SkyMap(parent, scene, send));
export const plane = mounting<PlaneScene>((parent, scene, send) => new Plane(parent, scene, send));
