/** Small helpers for elements. Text goes in as text, never as markup. */

type Child = Node | string;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void) | undefined>;

/** An element; functions become listeners, false and undefined are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

export const CLOSE = "M6 6l12 12M18 6L6 18";

/** A drawing of 24 by 24 in lines. */
export function icon(path: string): SVGSVGElement {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  drawing.append(line);
  return drawing;
}

export function iconButton(path: string, label: string, act: (event: Event) => void, attributes: Attributes = {}) {
  return element("button", { type: "button", "aria-label": label, title: label, click: act, ...attributes }, icon(path));
}

/** A function that has something drawn at the next frame, however often it is called until then. */
export function atNextFrame(draw: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}
