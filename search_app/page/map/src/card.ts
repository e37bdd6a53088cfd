/** A closer look at one cell: pictures, dates, numbers, and what to do with it. */

import { CLOSE, element, iconButton } from "./dom";
import { degrees } from "./ground";
import { count } from "./legend";
import type { Look } from "./look";
import { fetchCard, fetchPicture, type Card, type CardLine } from "./server";
import type { Scene } from "./scene";

export interface CardActs {
  like(cell: string): void;
  add(cell: string): void;
  unlike(cell: string): void;
  mark(cell: string, right: boolean): void;
  zoom(ancestor: string): void;
  closed(): void;
}

export class CardPanel {
  readonly root = element("section", { class: "card", "aria-label": "Cell", hidden: true });
  private stop = new AbortController();
  private pictures: string[] = [];

  constructor(private readonly acts: CardActs) {}

  close(): void {
    if (this.root.hidden) return;
    this.stop.abort();
    this.root.hidden = true;
    this.forget();
    this.acts.closed();
  }

  async show(scene: Scene, look: Look): Promise<void> {
    this.stop.abort();
    this.stop = new AbortController();
    this.forget();
    this.root.hidden = false;
    this.root.dataset.cell = look.cell;
    this.root.replaceChildren(this.head(look.cell), ...this.numbers(look), this.buttons(scene, look));
    const { signal } = this.stop;
    try {
      const card = await fetchCard(scene, look.cell, signal);
      if (!signal.aborted) this.fill(scene, look, card, card.row);
    } catch (error) {
      if (!signal.aborted) this.root.append(element("p", { class: "problem" }, `${(error as Error).message}.`));
    }
  }

  private fill(scene: Scene, look: Look, card: Card, row: number): void {
    const line = card.rows[row];
    this.root.replaceChildren(
      this.head(look.cell),
      this.periods(scene, look, card, row),
      this.gallery(scene, card, row),
      ...this.numbers(look),
      this.facts(card, line),
      this.buttons(scene, look),
    );
  }

  private head(cell: string): HTMLElement {
    const close = iconButton(CLOSE, "Close", () => this.close(), { class: "close" });
    return element("header", {}, copyable(cell, "cell"), close);
  }

  private periods(scene: Scene, look: Look, card: Card, row: number): HTMLElement {
    if (card.rows.length < 2) return element("div", { hidden: true });
    const choices = card.rows.map((line, i) =>
      element("button", { type: "button", "aria-pressed": i === row ? "true" : "false", click: () => this.fill(scene, look, card, i) }, line.period),
    );
    return element("div", { class: "periods", role: "group", "aria-label": "Period" }, ...choices);
  }

  private gallery(scene: Scene, card: Card, row: number): HTMLElement {
    const { signal } = this.stop;
    const frames = card.rows[row].pictures.map((sensor) => {
      const picture = element("img", { alt: "" });
      const caption = element("figcaption");
      void fetchPicture(scene, card.cell, row, sensor, signal).then(
        (shown) => {
          this.pictures.push(shown.source);
          picture.src = shown.source;
          picture.alt = caption.textContent = shown.caption;
        },
        () => undefined,
      );
      return element("figure", {}, picture, caption);
    });
    return element("div", { class: "gallery" }, ...frames);
  }

  private numbers({ amount, measure, ancestor }: Look): HTMLElement[] {
    const lines = [];
    if (ancestor) lines.push(element("p", {}, `The best of ${count(ancestor.cells)} cells here${amount === null ? "" : `, ${count(ancestor.above)} above the threshold`}.`));
    if (amount !== null) lines.push(element("p", { class: "amount" }, element("b", {}, amount.toFixed(3)), ` ${measure}`));
    return lines;
  }

  private facts(card: Card, line: CardLine): HTMLElement {
    const facts: [string, Node | string][] = [["Period", line.period]];
    if (line.sample !== card.cell) facts.unshift(["Sample", line.sample]);
    if (line.dates) facts.push(["Dates", line.dates]);
    if (line.kind) facts.push(["Prototype", `${line.kind} · ${line.prototype}`]);
    if (line.cloud_fraction !== undefined) facts.push(["Cloud", `${Math.round(100 * line.cloud_fraction)} %`]);
    if (line.valid_fraction !== undefined) facts.push(["Valid", `${Math.round(100 * line.valid_fraction)} %`]);
    const place = `${card.lat.toFixed(5)}, ${card.lon.toFixed(5)}`;
    facts.push(["Place", copyable(`${card.lon.toFixed(5)}, ${card.lat.toFixed(5)}`, "longitude and latitude", said(card))]);
    const list = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
    return element("dl", { "data-place": place }, ...list);
  }

  private buttons(scene: Scene, look: Look): HTMLElement {
    const { cell, ancestor } = look;
    const button = (label: string, act: () => void, primary = false, help = "") =>
      element("button", { type: "button", class: primary ? "primary" : "", title: help, click: act }, label);
    const asks = scene.asks && !scene.paints
      ? [
          button("Like this", () => this.acts.like(cell), true, "Search from this cell alone (L)"),
          button("Add", () => this.acts.add(cell), false, "More like this, too (A, or shift-click)"),
          button("Not like this", () => this.acts.unlike(cell), false, "Keep away from this (N, or alt-click)"),
        ]
      : [];
    if (scene.teaches) asks.push(button("Right", () => this.acts.mark(cell, true)), button("Wrong", () => this.acts.mark(cell, false)));
    if (ancestor) asks.push(button("Zoom in", () => this.acts.zoom(ancestor.id)));
    return element("div", { class: "asks" }, ...asks);
  }

  private forget(): void {
    this.pictures.forEach((source) => URL.revokeObjectURL(source));
    this.pictures = [];
  }
}

function said({ lon, lat }: Card): string {
  return `${degrees(lat, "NS", 4)} ${degrees(lon, "EW", 4)}`;
}

/** Text that a click copies. */
function copyable(text: string, what: string, shown = text): HTMLElement {
  const button = element("button", { type: "button", class: "copy", title: `Copy the ${what}` }, shown);
  button.addEventListener("click", () => {
    void navigator.clipboard?.writeText(text).then(() => {
      button.dataset.copied = "";
      setTimeout(() => delete button.dataset.copied, 1200);
    });
  });
  return button;
}
