/** Rows laid out in a plane, in the colours of the map beside it; what is picked in one is picked in both. */

import { Asks, type Send } from "./asks";
import { HOME, MINUS, PLUS, toolbar } from "./chrome";
import { CHOSEN, css, inkOn, NEUTRAL } from "./colour";
import { atNextFrame, element, iconButton } from "./dom";
import { Hands, type Place } from "./hands";
import { holds } from "./inside";
import { keyActs } from "./keys";
import { count } from "./legend";
import { join, leave, others, pickedOf, sharePicked, type Linked, type Picked } from "./links";
import { PlaneView } from "./plane_view";
import type { Rows } from "./scene";
import { address, fetchPlane, type PlaneRows } from "./server";
import { Drawing, readShape, rings, type Shape, type Tool } from "./tools";

const DOT_PX = 5; // across
const REACH_PX = 12; // beside a dot that still counts
const FADED = 0.15; // of a dot's opacity, for what is not picked

export interface PlaneScene extends Rows {
  method: string;
  link: string;
  picked: string; // the shape that is picked, on this plane or on the map; or ""
  heard: number; // the last of the asks that the page has taken
}

export class Plane implements Linked {
  private readonly root: HTMLElement;
  private readonly stage = element("div", { class: "stage plane", tabindex: 0, role: "application" });
  private readonly ground = element("div", { class: "ground" });
  private readonly canvas = element("canvas");
  private readonly tip = element("div", { class: "tip", hidden: true });
  private readonly problem = element("p", { class: "problem", role: "alert", hidden: true });
  private readonly said = element("div", { class: "said", role: "status", "aria-live": "polite" });
  private readonly tools: ReturnType<typeof toolbar>;
  private readonly asks: Asks;
  private readonly view: PlaneView;
  private readonly drawing: Drawing;
  private readonly hands: Hands;
  private readonly resized: ResizeObserver;
  private rows: PlaneRows | null = null;
  private colours: Uint8Array | null = null;
  private mine: Uint8Array | null = null; // of the rows, where what is picked was drawn here
  private chosen: Picked | null = null;
  private at = -1; // the cell that is looked at
  private readonly redraw = atNextFrame(() => this.gone || this.draw());
  private gone = false;
  private fetching = new AbortController();

  constructor(parent: HTMLElement | ShadowRoot, private scene: PlaneScene, send: Send) {
    this.asks = new Asks(send);
    this.tools = toolbar((tool) => this.take(tool));
    this.ground.append(this.canvas);
    this.view = new PlaneView(this.ground, () => this.redraw());
    this.drawing = new Drawing(this.view, () => this.redraw(), (shape) => this.pick(rings(shape)));
    const camera = element("div", { class: "camera", role: "toolbar", "aria-label": "View" },
      iconButton(PLUS, "Zoom in", () => this.view.zoomTo(this.view.getZoom() + 1)),
      iconButton(MINUS, "Zoom out", () => this.view.zoomTo(this.view.getZoom() - 1)),
      iconButton(HOME, "See it all (H)", () => this.view.seeAll()));
    this.stage.append(this.ground, this.tools.root, camera, this.tip, this.problem);
    this.root = element("div", { class: "sky" }, this.stage, this.said);
    parent.append(element("link", { rel: "stylesheet", href: address("code/style.css") }), this.root);
    this.hands = this.listen();
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.stage);
    join(scene.link, this);
    void this.fetch();
  }

  /** The page has run again. */
  show(scene: PlaneScene, send: Send): void {
    const before = this.scene;
    this.scene = scene;
    this.asks.send = send;
    this.asks.heard(scene.heard);
    if (scene.snapshot !== before.snapshot || scene.method !== before.method) void this.fetch();
    else void this.pickAsked().catch((error) => this.fail(error));
    this.redraw();
  }

  private async fetch(): Promise<void> {
    this.fetching.abort();
    const { signal } = (this.fetching = new AbortController());
    this.stage.dataset.busy = "";
    delete this.stage.dataset.rows;
    try {
      const rows = await fetchPlane(this.scene, this.scene.method, signal);
      if (signal.aborted) return;
      this.rows = rows;
      this.problem.hidden = true;
      this.view.fit(rows.x, rows.y);
      await this.pickAsked();
    } catch (error) {
      if (signal.aborted) return;
      this.fail(error);
    }
    delete this.stage.dataset.busy;
  }

  private fail(error: unknown): void {
    this.problem.hidden = false;
    this.problem.textContent = `${(error as Error).message}.`;
  }

  // What is picked.

  /** A link, Back or the page itself may ask for another shape than the one that is picked. */
  private async pickAsked(): Promise<void> {
    const { picked, link, method } = this.scene;
    if (this.asks.open || picked === (pickedOf(link)?.shape ?? "")) return;
    if (!picked) return sharePicked(link, null);
    if (!picked.startsWith("plane:")) return;
    const other = picked.split(":")[1];
    const rows = other === method ? this.rows : await fetchPlane(this.scene, other, this.fetching.signal);
    if (rows && picked === this.scene.picked) this.mark(picked, rows);
  }

  /** A shape drawn here; none picks nothing. */
  private pick(drawn: string): void {
    const shape = `plane:${this.scene.method}:${drawn}`;
    if (!this.rows) return;
    const { rows, cells } = this.mark(shape, this.rows);
    this.said.textContent = `${count(rows)} rows of ${count(cells)} cells picked.`;
    this.asks.ask("pick", shape);
  }

  /** Picks the rows in a shape, laid out as the shape says, and their cells. */
  private mark(shape: string, { x, y, node, cells }: PlaneRows): { rows: number; cells: number } {
    const drawn = readShape(shape.slice(shape.lastIndexOf(":") + 1));
    this.mine = Uint8Array.from(x, (_, i) => Number(drawn.some((ring) => holds(ring, x[i], y[i]))));
    const mask = new Uint8Array(cells);
    this.mine.forEach((inside, i) => inside && (mask[node[i]] = 1));
    sharePicked(this.scene.link, { shape, cells: mask });
    return { rows: sum(this.mine), cells: sum(mask) };
  }

  picked(picked: Picked | null): void {
    this.chosen = picked;
    if (!picked?.shape.startsWith("plane:")) this.mine = null;
    this.redraw();
  }

  coloured(colours: Uint8Array): void {
    this.colours = colours;
    this.redraw();
  }

  seeCell(node: number): void {
    this.at = node;
    this.redraw();
  }

  // Drawing.

  private draw(): void {
    const { canvas, ground, rows } = this;
    const [wide, high, sharp] = [ground.clientWidth, ground.clientHeight, devicePixelRatio || 1];
    if (canvas.width !== wide * sharp || canvas.height !== high * sharp) Object.assign(canvas, { width: wide * sharp, height: high * sharp });
    const brush = canvas.getContext("2d");
    if (!brush || !rows) return;
    brush.setTransform(sharp, 0, 0, sharp, 0, 0);
    brush.clearRect(0, 0, wide, high);
    const shown = this.dots(brush, rows);
    const { ink } = inkOn(getComputedStyle(this.root).getPropertyValue("--st-background-color"));
    this.ring(brush, rows);
    brush.strokeStyle = css(ink);
    brush.lineWidth = 2;
    for (const path of [...this.drawing.paths(), ...this.outline()]) this.line(brush, path);
    this.tell(rows, shown);
  }

  /** Dots by colour, those that are not picked beneath; returns how many are picked. */
  private dots(brush: CanvasRenderingContext2D, rows: PlaneRows): number {
    const groups: Map<number, number[]>[] = [new Map(), new Map()];
    let picked = 0;
    for (let i = 0; i < rows.x.length; i++) {
      const on = this.isPicked(rows, i);
      picked += Number(on && this.chosen !== null);
      const key = this.colourOf(rows.node[i]);
      const group = groups[Number(on)];
      if (!group.has(key)) group.set(key, []);
      group.get(key)?.push(i);
    }
    groups.forEach((group, on) => {
      for (const [key, dots] of group) {
        const alpha = ((key >>> 24) / 255) * (on ? 1 : FADED);
        brush.fillStyle = `rgb(${key & 255} ${(key >>> 8) & 255} ${(key >>> 16) & 255} / ${alpha})`;
        for (const i of dots) {
          const { x, y } = this.view.project([rows.x[i], rows.y[i]]);
          brush.fillRect(x - DOT_PX / 2, y - DOT_PX / 2, DOT_PX, DOT_PX);
        }
      }
    });
    return picked;
  }

  private isPicked(rows: PlaneRows, i: number): boolean {
    if (this.mine) return this.mine[i] === 1;
    return !this.chosen || this.chosen.cells[rows.node[i]] === 1;
  }

  /** Red, green, blue and opacity of a cell, a byte each from the lowest. */
  private colourOf(node: number): number {
    const { colours } = this;
    const [red, green, blue, alpha] = colours ? colours.subarray(4 * node, 4 * node + 4) : [...NEUTRAL, 150];
    return (red | (green << 8) | (blue << 16) | (alpha << 24)) >>> 0;
  }

  private ring(brush: CanvasRenderingContext2D, rows: PlaneRows): void {
    if (this.at < 0) return;
    brush.strokeStyle = css(CHOSEN);
    brush.lineWidth = 3;
    rows.node.forEach((node, i) => {
      if (node !== this.at) return;
      const { x, y } = this.view.project([rows.x[i], rows.y[i]]);
      brush.beginPath();
      brush.arc(x, y, DOT_PX + 2, 0, 2 * Math.PI);
      brush.stroke();
    });
  }

  private outline(): Shape {
    const shape = this.chosen?.shape ?? "";
    if (!shape.startsWith(`plane:${this.scene.method}:`)) return [];
    return readShape(shape.slice(shape.lastIndexOf(":") + 1)).map((ring) => [...ring, ring[0]]);
  }

  private line(brush: CanvasRenderingContext2D, path: [number, number][]): void {
    brush.beginPath();
    path.forEach((point, i) => {
      const { x, y } = this.view.project(point);
      if (i) brush.lineTo(x, y);
      else brush.moveTo(x, y);
    });
    brush.stroke();
  }

  /** What is drawn, for who cannot see it and for who tests it. */
  private tell(rows: PlaneRows, picked: number): void {
    this.stage.dataset.rows = String(rows.x.length);
    this.stage.dataset.picked = String(picked);
    this.stage.dataset.cells = String(this.chosen ? sum(this.chosen.cells) : 0);
    this.stage.setAttribute("aria-label", `${count(rows.x.length)} rows in a plane, ${count(picked)} picked. Arrows move it, S takes the lasso.`);
    this.tools.draw(this.drawing.tool, true);
  }

  // What a person does.

  private listen(): Hands {
    return new Hands(this.stage, this.ground, {
      drawing: () => this.drawing.active,
      press: ({ x, y }) => this.drawing.press(x, y),
      move: ({ x, y }) => this.drawing.move(x, y),
      release: () => this.drawing.release(),
      click: (at) => this.click(at),
      hover: (at) => this.hover(at),
      key: (name) => this.key(name),
    });
  }

  private click(at: Place): void {
    const row = this.nearest(at);
    const node = row < 0 ? -1 : (this.rows?.node[row] ?? -1);
    this.seeCell(node);
    for (const other of others(this.scene.link, this)) other.seeCell?.(node);
  }

  private hover(at: Place | null): void {
    const row = at ? this.nearest(at) : -1;
    this.tip.hidden = row < 0;
    if (row < 0 || !at || !this.rows) return;
    this.tip.style.translate = `${at.x + 14}px ${at.y + 14}px`;
    this.tip.replaceChildren(element("div", {}, this.rows.periods[this.rows.period[row]]));
  }

  private nearest({ x, y }: Place): number {
    let [found, least] = [-1, REACH_PX];
    this.rows?.x.forEach((px, i) => {
      const at = this.view.project([px, this.rows!.y[i]]);
      const away = Math.hypot(at.x - x, at.y - y);
      if (away < least) [found, least] = [i, away];
    });
    return found;
  }

  private take(tool: Tool): void {
    this.drawing.take(tool);
  }

  private key(name: string): boolean {
    const [x, y] = [this.ground.clientWidth / 2, this.ground.clientHeight / 2];
    const acts = {
      enter: () => (this.drawing.active ? this.drawing.corner(x, y) : this.click({ x, y })),
      ask: () => undefined,
      undo: () => undefined,
      home: () => this.view.seeAll(),
      escape: () => this.escape(),
      help: () => void (this.said.textContent = "Arrows move, plus and minus zoom. S lasso, B box, P polygon, R brush; Enter sets corners."),
      take: (tool: Tool) => this.take(tool),
    };
    const act = keyActs(this.view, acts, true)[name];
    act?.();
    return Boolean(act);
  }

  /** Ends what is being drawn, else drops what is picked. */
  private escape(): void {
    if (this.drawing.points.length || !this.chosen) return this.take("look");
    sharePicked(this.scene.link, null);
    this.asks.ask("pick", "");
  }

  remove(): void {
    this.gone = true;
    this.fetching.abort();
    this.resized.disconnect();
    this.hands.remove();
    leave(this.scene.link, this);
    this.root.remove();
  }
}

function sum(ones: Uint8Array): number {
  return ones.reduce((total, one) => total + one, 0);
}
