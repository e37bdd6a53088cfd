/** Buttons on the map: tools, zoom, undo, looks; and what to do with a shape once it is drawn. */

import { SCALES } from "./colour";
import { CLOSE, element, icon, iconButton } from "./dom";
import { count } from "./legend";
import type { Ask } from "./scene";
import type { Settings } from "./settings";
import type { Tool } from "./tools";

export const TOOLS: { tool: Tool; label: string; key: string; icon: string }[] = [
  { tool: "look", label: "Look (V)", key: "v", icon: "M6 3l12 9-5.5 1L16 20l-2.5 1-3.2-7L6 17z" },
  { tool: "lasso", label: "Lasso (S)", key: "s", icon: "M12 4c5 0 9 2.5 9 5.5S17 15 12 15s-9-2.5-9-5.5S7 4 12 4zM7 14c-1 2-1 4 1 4.500M8 18.500c1.500.5 2 2 .5 3" },
  { tool: "box", label: "Box (B)", key: "b", icon: "M4 6h16v12H4z" },
  { tool: "polygon", label: "Polygon (P)", key: "p", icon: "M12 3l8 6-3 10H7L4 9z" },
  { tool: "brush", label: "Brush (R)", key: "r", icon: "M20 4L10 14M9 13c2 0 3 1 3 3 0 3-4 5-8 4 2-1 1-3 2-5 .5-1.200 1.700-2 3-2z" },
];
export const PLUS = "M12 5v14M5 12h14";
export const MINUS = "M5 12h14";
export const HOME = "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5";
const UNDO = "M9 7L4 12l5 5M4 12h10a6 6 0 0 1 0 12";
const LOOKS = "M4 7h9M19 7h1M16 4v6M4 17h1M11 17h9M8 14v6";

export interface ChromeActs {
  take(tool: Tool): void;
  zoom(by: number): void;
  home(): void;
  undo(): void;
  changeLooks(settings: Settings): void;
  withShape(does: Ask["does"]): void;
  dropShape(): void;
}

/** A button for each tool. */
export function toolbar(take: (tool: Tool) => void): { root: HTMLElement; draw(taken: Tool, shown: boolean): void } {
  const root = element("div", { class: "tools", role: "toolbar", "aria-label": "Map tools" });
  const buttons = TOOLS.map(({ tool, label, icon }) => ({ tool, button: iconButton(icon, label, () => take(tool)) }));
  root.append(...buttons.map(({ button }) => button));
  const draw = (taken: Tool, shown: boolean) => {
    root.hidden = !shown;
    for (const { tool, button } of buttons) button.setAttribute("aria-pressed", String(tool === taken));
  };
  return { root, draw };
}

export class Chrome {
  private readonly bar: ReturnType<typeof toolbar>;
  readonly camera = element("div", { class: "camera", role: "toolbar", "aria-label": "View" });
  readonly shape = element("div", { class: "shape", role: "group", "aria-label": "With the cells in the shape", hidden: true });
  private readonly undo: HTMLButtonElement;
  private readonly looks = element("details", { class: "menu looks" });

  constructor(private readonly acts: ChromeActs, settings: Settings) {
    this.bar = toolbar((tool) => acts.take(tool));
    this.undo = iconButton(UNDO, "Undo (U)", () => acts.undo());
    this.camera.append(
      iconButton(PLUS, "Zoom in", () => acts.zoom(1)),
      iconButton(MINUS, "Zoom out", () => acts.zoom(-1)),
      iconButton(HOME, "See it all (H)", () => acts.home()),
      this.undo,
      this.looks,
    );
    this.drawLooks(settings);
  }

  get tools(): HTMLElement {
    return this.bar.root;
  }

  draw(tool: Tool, canUndo: boolean, asks: boolean): void {
    this.bar.draw(tool, asks);
    this.undo.hidden = !asks;
    this.undo.disabled = !canUndo;
  }

  /** Offers what can be done with so many cells; none hides the offer. `paints`: the class they may be given. */
  offer(cells: number | null, paints = ""): void {
    this.shape.hidden = cells === null;
    if (cells === null) return;
    const button = (label: string, does: Ask["does"], primary = false) =>
      element("button", { type: "button", class: primary ? "primary" : "", disabled: cells === 0, click: () => this.acts.withShape(does) }, label);
    const asks = [button("Like all of these", "like", true), button("Not like these", "unlike"), button("Only here", "only")];
    this.shape.replaceChildren(
      element("output", { "data-cells": cells }, `${count(cells)} ${cells === 1 ? "cell" : "cells"}`),
      ...(paints ? [button(`Mark as ${paints}`, "paint", true)] : asks),
      iconButton(CLOSE, "Drop the shape (Esc)", () => this.acts.dropShape()),
    );
  }

  private drawLooks(settings: Settings): void {
    const change = (part: Partial<Settings>) => this.acts.changeLooks(Object.assign(settings, part));
    const scale = element("select", { change: () => change({ scale: scale.value }) });
    scale.append(...Object.keys(SCALES).map((name) => element("option", { selected: name === settings.scale }, name)));
    const opacity = element("input", { type: "range", min: 0.1, max: 1, step: 0.05, value: settings.opacity, input: () => change({ opacity: Number(opacity.value) }) });
    const stretched = element("input", { type: "checkbox", checked: settings.stretched, change: () => change({ stretched: stretched.checked }) });
    const background = element("input", { type: "url", placeholder: "https://…/{z}/{x}/{y}.png or ….pmtiles", value: settings.background });
    const attribution = element("input", { type: "text", placeholder: "© whose map it is", value: settings.attribution });
    const apply = () => change({ background: background.value.trim(), attribution: attribution.value.trim() });
    background.addEventListener("change", apply);
    attribution.addEventListener("change", apply);
    const row = (label: string, input: HTMLElement) => element("label", {}, element("span", {}, label), input);
    const note = element("p", {}, "A background is fetched from the address you name; without one nothing leaves this machine.");
    const summary = element("summary", { "aria-label": "Looks: colours and background", title: "Looks" });
    summary.append(icon(LOOKS));
    this.looks.append(
      summary,
      element("div", { class: "list" },
        row("Colours", scale), row("Stretch to the best", stretched), row("Opacity", opacity),
        row("Background", background), row("Attribution", attribution), note),
    );
  }
}
