/** Below the map: what colours mean, the threshold, how much lies above it, and the way to take that along. */

import type { Answer } from "./answer";
import { css, gradient, KINDS, SCALES } from "./colour";
import { element } from "./dom";
import { address, rowsOf } from "./server";
import type { Scene } from "./scene";
import type { Settings } from "./settings";

const FORMS = { CSV: "csv", GeoJSON: "geojson", GeoParquet: "geoparquet" };

export class Legend {
  readonly root = element("div", { class: "legend" });
  private readonly bar = element("div", { class: "bar" });
  private readonly low = element("span", { class: "end" });
  private readonly high = element("span", { class: "end" });
  private readonly above = element("output", { class: "above", "aria-live": "polite" });
  private readonly slider: HTMLInputElement;
  private readonly exports = element("details", { class: "menu exports" });
  private readonly amounts: HTMLElement;
  private readonly kinds = element("div", { class: "kinds" });
  private readonly hint = element("p", { class: "hint" });

  constructor(moved: (code: number) => void) {
    this.slider = element("input", {
      type: "range",
      input: () => moved(Number(this.slider.value)),
    });
    this.bar.append(this.slider);
    this.amounts = element("div", { class: "amounts" }, this.low, this.bar, this.high, this.above, this.exports);
    this.root.append(this.amounts, this.kinds, this.hint);
  }

  /** The threshold's place; a new answer begins with all above it. */
  draw(scene: Scene, settings: Settings, answer: Answer | null, threshold: number, hint: string): void {
    const byKind = scene.colour === "prototype" && scene.kinds.length > 0;
    const searched = Boolean(answer?.searched) && !byKind && (answer?.kept ?? 0) > 0;
    this.amounts.hidden = !searched;
    this.kinds.hidden = !byKind;
    this.hint.hidden = searched || byKind;
    this.hint.textContent = hint;
    if (byKind) this.kinds.replaceChildren(...scene.kinds.map(swatch));
    if (searched && answer) this.drawAmounts(scene, settings, answer, threshold);
  }

  private drawAmounts(scene: Scene, settings: Settings, answer: Answer, threshold: number): void {
    this.slider.min = String(answer.low);
    this.slider.max = String(answer.high);
    this.slider.value = String(Math.max(threshold, answer.low));
    const said = answer.amount(Number(this.slider.value)).toFixed(3);
    const { measure } = answer;
    this.slider.setAttribute("aria-label", `${measure[0].toUpperCase()}${measure.slice(1)} threshold`);
    this.slider.setAttribute("aria-valuetext", `${measure} ${said}`);
    this.bar.style.background = this.stretchedGradient(settings, answer);
    this.low.textContent = answer.amount(answer.low).toFixed(3);
    this.high.textContent = answer.amount(answer.high).toFixed(3);
    const { cells, km2 } = answer.above(Number(this.slider.value));
    const all = Number(this.slider.value) <= answer.low;
    this.above.textContent = `${count(cells)} ${cells === 1 ? "cell" : "cells"} · ${area(km2)} ${all ? "in all" : `≥ ${said}`}`;
    this.above.dataset.cells = String(cells);
    this.above.dataset.km2 = String(km2);
    this.exports.hidden = answer.measure === "confidence"; // the page has the whole map to take along
    this.drawExports(scene, Number(this.slider.value));
  }

  private drawExports(scene: Scene, least: number): void {
    const links = Object.entries(FORMS).map(([label, form]) => {
      const href = address("export", { ...rowsOf(scene), measure: scene.measure, least, form }, scene.question);
      return element("a", { href, download: "" }, label);
    });
    const summary = element("summary", { "aria-label": "Export the cells above the threshold" }, "Export");
    this.exports.replaceChildren(summary, element("div", { class: "list" }, ...links));
  }

  /** The bar spans the data; the scale, where stretched, only its upper part. */
  private stretchedGradient(settings: Settings, answer: Answer): string {
    const scale = SCALES[settings.scale];
    if (!settings.stretched) return gradient(scale);
    const place = (code: number) => (100 * (code - answer.low)) / Math.max(1, answer.high - answer.low);
    const [from, to] = answer.stretch.map(place);
    const stops = scale.map((rgb, i) => `${css(rgb)} ${from + ((to - from) * i) / (scale.length - 1)}%`);
    return `linear-gradient(90deg, ${stops.join(", ")})`;
  }
}

function swatch(label: string, number: number): HTMLElement {
  const colour = element("i", { class: "swatch" });
  colour.style.background = css(KINDS[number % KINDS.length]);
  return element("span", {}, colour, label);
}

export function count(number: number): string {
  return number.toLocaleString("en");
}

/** Three digits that count. */
export function area(km2: number): string {
  if (km2 >= 100) return `${count(Math.round(km2))} km²`;
  if (km2 >= 0.1) return `${Number(km2.toPrecision(3))} km²`;
  return `${count(Math.round(km2 * 1e6))} m²`;
}
