/** The map itself: joins the ground, the cells, what is drawn and what a person does. */

import { MapboxOverlay } from "@deck.gl/mapbox";
import type { Map as MapLibre } from "maplibre-gl";
import { Answer } from "./answer";
import { asked, Asks, searches, type Send } from "./asks";
import { lookAt, viewOf } from "./camera";
import { CardPanel } from "./card";
import { Cells } from "./cells";
import { Chrome } from "./chrome";
import { inkOn, RESULT, type Rgb } from "./colour";
import { atNextFrame, element } from "./dom";
import { choose, serves, type Drawn } from "./drawn";
import { Footprints } from "./footprints";
import { drawBackground, paintGround, startGround, ticks, type Ink } from "./ground";
import { corners, parse, resolutionOf } from "./h3";
import { Hands, type Held, type Place } from "./hands";
import { nodesInside } from "./inside";
import { cellLayers, markLayers, shapeLayers, type Stroke } from "./layers";
import { HELP, keyActs } from "./keys";
import { Legend, count } from "./legend";
import { join, leave, others, pickedOf, shareColours, sharePicked, type Camera, type Linked, type Picked } from "./links";
import { lines, lookOf, type Known, type Look } from "./look";
import { fade, paintAmounts, paintKinds, paintPlain, type Painted } from "./paint";
import { pick, type Node } from "./pick";
import type { Ask, Scene } from "./scene";
import { address, fetchCodes, fetchKinds, fetchPacked, groundAddress } from "./server";
import { keepSettings, readSettings } from "./settings";
import { closed, Drawing, readShape, written, type Point, type Shape, type Tool } from "./tools";

const HINT = "Click a hexagon to look at it. Shift-click asks for more like it, alt-click for less.";

export class SkyMap implements Linked {
  private readonly root: HTMLElement;
  private readonly stage = element("div", { class: "stage", tabindex: 0, role: "application" });
  private readonly tip = element("div", { class: "tip", hidden: true });
  private readonly edge = element("div", { class: "ticks", "aria-hidden": "true" });
  private readonly said = element("div", { class: "said", role: "status", "aria-live": "polite" });
  private readonly problem = element("p", { class: "problem", role: "alert", hidden: true });
  private readonly credit = element("span", { class: "credit", hidden: true });
  private readonly settings = readSettings();
  private readonly asks: Asks;
  private readonly card: CardPanel;
  private readonly legend: Legend;
  private readonly chrome: Chrome;
  private readonly resized: ResizeObserver;
  private readonly footprints = new Footprints(() => this.redraw());
  private map?: MapLibre;
  private overlay?: MapboxOverlay;
  private hands?: Hands;
  private drawing?: Drawing;
  private cells: Cells | null = null;
  private answer: Answer | null = null;
  private wanted = ""; // the question whose answer is drawn, or on its way
  private answered = ""; // the question whose answer is drawn
  private kinds: Uint8Array | null = null;
  private drawn: Drawn | null = null;
  private colours: Uint8Array = new Uint8Array();
  private version = 0;
  private threshold = 0;
  private looked: Look | null = null;
  private readonly looks: (Look | null)[] = []; // what was looked at before, since the last question
  private hovered: Node | null = null;
  private shape: Shape | null = null; // a shape that waits for what to do with it
  private fetching = new AbortController();
  private readonly drawSoon = atNextFrame(() => this.gone || this.draw());
  private gone = false;
  private following = false; // another map of its link
  private chosen: Picked | null = null;
  private untold = true; // whether those of its link have yet to hear of the colours
  private ink: Rgb = RESULT;

  constructor(parent: HTMLElement | ShadowRoot, private scene: Scene, send: Send) {
    this.asks = new Asks(send);
    this.card = new CardPanel({
      like: (cell) => this.ask("like", cell),
      add: (cell) => this.ask("add", cell),
      unlike: (cell) => this.ask("unlike", cell),
      mark: (cell, right) => this.ask(right ? "right" : "wrong", cell),
      zoom: (ancestor) => this.zoomTo(ancestor),
      closed: () => this.forgetLook(),
    });
    this.legend = new Legend((code) => this.setThreshold(code));
    this.chrome = new Chrome(
      {
        take: (tool) => this.take(tool),
        zoom: (by) => this.map?.zoomTo(this.map.getZoom() + by),
        home: () => this.map && lookAt(this.map, this.scene.home, true),
        undo: () => this.undo(),
        changeLooks: () => this.changeLooks(),
        withShape: (does) => this.askWithShape(does),
        dropShape: () => this.dropShape(),
      },
      this.settings,
    );
    const ground = element("div", { class: "ground" });
    this.stage.append(ground, this.edge, this.chrome.tools, this.chrome.camera, this.card.root, this.chrome.shape, this.tip, this.credit, this.problem);
    this.root = element("div", { class: "sky" }, this.stage, this.legend.root, this.said);
    const styles = element("link", { rel: "stylesheet", href: address("code/style.css") });
    parent.append(styles, this.root);
    this.resized = new ResizeObserver(() => this.map?.resize());
    this.resized.observe(this.stage);
    void this.start(ground, styles);
  }

  private async start(ground: HTMLElement, styles: HTMLLinkElement): Promise<void> {
    const packed = fetchPacked(this.scene);
    await new Promise((ready) => (styles.onload = styles.onerror = ready));
    try {
      this.map = await startGround(ground, this.readInk());
      if (this.gone) return this.map.remove();
      this.cells = new Cells(await packed);
    } catch (error) {
      return this.fail(error);
    }
    this.overlay = new MapboxOverlay({ interleaved: true, layers: [] });
    this.map.addControl(this.overlay);
    this.drawing = new Drawing(this.map, () => this.redraw(), (shape) => this.shaped(shape));
    this.hands = this.listen(this.map);
    lookAt(this.map, this.scene.home, false);
    join(this.scene.link, this);
    this.drawGround();
    await this.fetchAnswer(this.scene.question);
    this.show(this.scene, this.asks.send);
  }

  /** The page has run again. */
  show(scene: Scene, send: Send): void {
    const before = this.scene;
    this.scene = scene;
    this.asks.send = send;
    this.asks.heard(scene.heard);
    if (!this.map || !this.cells) return;
    this.repaintGround();
    if (scene.snapshot !== before.snapshot) return this.begin();
    if (scene.question !== before.question) this.looks.length = 0;
    if (scene.look !== before.look) lookAt(this.map, scene.home, true);
    const other = scene.question !== this.wanted && !this.asks.open; // else its answer is on its way
    const otherKinds = scene.prototype !== before.prototype || scene.layer !== before.layer || scene.kinds.length !== before.kinds.length;
    if (other || otherKinds) void this.fetchAnswer(scene.question);
    this.pickAsked();
    this.recolour();
  }

  /** Another snapshot: all is asked for again. */
  private begin(): void {
    this.answer = this.kinds = this.drawn = null;
    this.card.close();
    void fetchPacked(this.scene).then(
      (packed) => {
        this.cells = new Cells(packed);
        return this.fetchAnswer(this.scene.question);
      },
      (error) => this.fail(error),
    );
  }

  private async fetchAnswer(question: string): Promise<void> {
    this.fetching.abort();
    const { signal } = (this.fetching = new AbortController());
    const scene = this.scene;
    this.wanted = question;
    this.stage.dataset.busy = "";
    try {
      const codes = question ? await fetchCodes(scene, question, signal) : null; // null too where it has no answer
      const kinds = scene.kinds.length ? await fetchKinds(scene) : null;
      if (signal.aborted || !this.cells) return;
      this.kinds = kinds;
      this.answer = codes && new Answer(this.cells, codes, scene.measure !== "similarity" || searches(question), scene.measure);
      this.answered = question;
      this.threshold = this.answer?.low ?? 0;
      this.problem.hidden = true;
      this.recolour();
      this.refreshLook();
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
    if (!signal.aborted) delete this.stage.dataset.busy;
  }

  private fail(error: unknown): void {
    this.problem.hidden = false;
    this.problem.textContent = `${(error as Error).message}. Reload the page to try again.`;
  }

  private setThreshold(code: number): void {
    this.threshold = code;
    this.recolour();
  }

  private recolour(): void {
    this.version++;
    this.untold = true;
    this.legend.draw(this.scene, this.settings, this.answer, this.threshold, this.scene.asks ? HINT : "");
    this.redraw(true);
  }

  /** At the next frame, however many ask for it. */
  private redraw(coloursToo = false): void {
    if (coloursToo) this.colours = new Uint8Array();
    this.drawSoon();
  }

  private draw(): void {
    const { map, cells, overlay, scene } = this;
    if (!map || !cells || !overlay) return;
    const view = viewOf(map);
    if (!this.drawn || !serves(this.drawn, cells, view)) {
      this.drawn = choose(cells, view);
      this.colours = new Uint8Array();
      this.version++;
    }
    this.footprints.follow(scene, cells, this.drawn, view);
    if (this.colours.length !== 4 * this.drawn.nodes.length) this.colours = this.faded(cells, this.drawn);
    this.tellColours(cells);
    const hovered = this.hovered ? cells.id(this.hovered.level, this.hovered.node) : "";
    overlay.setProps({
      layers: [
        ...cellLayers(cells, this.drawn, this.colours, this.version, this.footprints.shown),
        ...shapeLayers(this.strokes(), this.ink),
        ...markLayers(scene.marks, this.looked?.ancestor?.id ?? this.looked?.cell ?? "", hovered, this.ink),
      ],
    });
    this.tell();
  }

  private faded(cells: Cells, drawn: Painted): Uint8Array {
    const colours = this.paint(cells, drawn);
    return this.chosen ? fade(drawn, colours, this.chosen.cells) : colours;
  }

  private tellColours(cells: Cells): void {
    if (!this.untold || !this.scene.picks) return;
    this.untold = false;
    const nodes = Array.from({ length: cells.count }, (_, node) => node);
    shareColours(this.scene.link, this, this.paint(cells, { level: cells.base, nodes }));
  }

  private paint(cells: Cells, drawn: Painted): Uint8Array {
    const { answer, settings, scene, kinds } = this;
    if (kinds && (scene.colour === "prototype" || !answer?.searched)) return paintKinds(cells, drawn, kinds, settings.opacity);
    if (!answer) return paintPlain(drawn, 0.6 * settings.opacity);
    const stretch: [number, number] = settings.stretched ? answer.stretch : [answer.low, answer.high];
    return paintAmounts(drawn, answer, { settings, threshold: this.threshold, stretch });
  }

  private strokes(): Stroke[] {
    const outlined = (path: Point[]) => ({ path, filled: false });
    const limits = this.scene.outlines.flatMap(readShape).map(closed).map(outlined);
    const drawing = this.drawing?.paths().map(outlined) ?? [];
    const waiting = this.shape?.map((ring) => ({ path: closed(ring), filled: true })) ?? [];
    return [...limits, ...drawing, ...waiting];
  }

  /** What is drawn, for who cannot see it and for who tests it. */
  private tell(): void {
    if (!this.cells || !this.drawn || !this.map) return;
    const { level, nodes } = this.drawn;
    const coarse = level.resolution < this.cells.resolution;
    this.stage.dataset.question = this.answered;
    this.stage.dataset.resolution = String(level.resolution);
    this.stage.dataset.nodes = String(nodes.length);
    this.stage.dataset.extent = viewOf(this.map).extent.join(" ");
    this.stage.dataset.tool = this.drawing?.tool ?? "look";
    const what = coarse ? `${count(this.cells.count)} cells, drawn as coarser ones` : `${count(this.cells.count)} cells`;
    this.stage.setAttribute("aria-label", `Hexagon map of ${what}. Arrows move it, Enter looks at its middle, question mark lists the keys.`);
    this.chrome.draw(this.drawing?.tool ?? "look", this.canUndo, this.scene.asks);
  }

  // What a person does.

  private listen(map: MapLibre): Hands {
    map.on("move", () => this.moved());
    map.on("moveend", () => this.moved());
    return new Hands(this.stage, map.getCanvasContainer(), {
      drawing: () => Boolean(this.drawing?.active),
      press: ({ x, y }) => this.drawing?.press(x, y),
      move: ({ x, y }) => this.drawing?.move(x, y),
      release: () => this.drawing?.release(),
      click: ({ x, y }, held) => this.click(x, y, held),
      hover: (at) => this.hover(at),
      key: (name) => this.key(name),
    });
  }

  private moved(): void {
    if (!this.map) return;
    const camera = { center: this.map.getCenter(), zoom: this.map.getZoom() };
    if (!this.following) for (const other of others(this.scene.link, this)) other.follow?.(camera);
    this.edge.replaceChildren(
      ...ticks(this.map).map(({ at, text, side }) => element("span", { class: side, style: `${side === "bottom" ? "left" : "top"}:${at}px` }, text)),
    );
    this.redraw();
  }

  follow(camera: Camera): void {
    this.following = true;
    this.map?.jumpTo(camera);
    this.following = false;
  }

  /** A link, Back or the page itself may ask for another shape than the one that is picked. */
  private pickAsked(): void {
    const { picks, picked, link } = this.scene;
    if (!picks || this.asks.open || picked === (pickedOf(link)?.shape ?? "")) return;
    if (!picked) sharePicked(link, null);
    else if (picked.startsWith("within:")) this.pick(picked);
  }

  /** Picks the cells in a shape, here and in what is linked; returns how many they are. */
  private pick(shape: string): number {
    if (!this.cells) return 0;
    const nodes = nodesInside(this.cells, this.answer, readShape(shape.slice("within:".length)));
    const cells = new Uint8Array(this.cells.count);
    for (const node of nodes) cells[node] = 1;
    sharePicked(this.scene.link, { shape, cells });
    return nodes.length;
  }

  picked(picked: Picked | null): void {
    this.chosen = picked;
    this.stage.dataset.picked = String(picked?.cells.reduce((sum, one) => sum + one, 0) ?? 0);
    this.redraw(true);
    this.version++;
  }

  /** Another that is linked looks at a cell. */
  seeCell(node: number): void {
    if (!this.cells || !this.map) return;
    if (node < 0) return this.card.close();
    const level = this.cells.base;
    this.look(lookOf(this.known(this.cells), { level, node }));
    const centre = this.cells.centre(level, node);
    if (!this.map.getBounds().contains(centre)) this.map.jumpTo({ center: centre });
  }

  private click(x: number, y: number, { shiftKey, altKey }: Held): void {
    if (!this.map || !this.cells || !this.drawn) return;
    const found = this.nodeAt(x, y);
    if (!found) return this.card.close();
    const look = lookOf(this.known(this.cells), found);
    this.card.root.classList.toggle("left", x > this.stage.clientWidth / 2);
    if (this.scene.paints) return this.paintAt(look);
    if (shiftKey && this.scene.asks) return this.ask("add", look.cell);
    if (altKey && this.scene.asks) return this.ask("unlike", look.cell);
    this.looks.push(this.looked);
    this.look(look);
    const base = found.level === this.cells.base ? found.node : -1;
    for (const other of others(this.scene.link, this)) if (this.scene.picks) other.seeCell?.(base);
    if (this.scene.tells) this.asks.ask("look", look.cell);
  }

  /** One cell gets the class; what stands for several is zoomed to. */
  private paintAt(look: Look): void {
    if (look.ancestor) return this.zoomTo(look.ancestor.id);
    this.ask("paint", look.cell);
    this.look(look);
  }

  private nodeAt(x: number, y: number): Node | null {
    const { map, cells, drawn } = this;
    if (!map || !cells || !drawn) return null;
    const { lng, lat } = map.unproject([x, y]);
    const footprint = this.footprints.at(lng, lat);
    return footprint >= 0 ? { level: cells.base, node: footprint } : pick(map, cells, drawn, x, y);
  }

  private known(cells: Cells): Known {
    const { answer, threshold, kinds, scene } = this;
    return { cells, answer, threshold, kinds, kindLabels: scene.kinds };
  }

  private look(look: Look): void {
    this.looked = look;
    void this.card.show(this.scene, look);
    const likeness = look.amount === null ? "" : `, ${look.measure} ${look.amount.toFixed(3)}`;
    this.said.textContent = `Cell ${look.cell}${likeness}.`;
    this.redraw();
  }

  /** A new question: the card says how like its cell is to it. */
  private refreshLook(): void {
    if (!this.looked || !this.cells) return;
    const { cell, ancestor } = this.looked;
    const id = parse(ancestor?.id ?? cell);
    const level = this.cells.levels[resolutionOf(ancestor?.id ?? cell)];
    const node = level ? this.cells.find(level, id) : -1;
    if (node >= 0) this.look(lookOf(this.known(this.cells), { level, node }));
  }

  private forgetLook(): void {
    this.looked = null;
    this.looks.length = 0;
    this.redraw();
  }

  private get canUndo(): boolean {
    return this.looks.length > 0 || this.scene.canUndo;
  }

  /** The last thing done is taken back: a look, which is the map's own, else a question. */
  private undo(): void {
    const before = this.looks.pop();
    if (before) {
      this.look(before);
      if (this.scene.tells) this.asks.ask("look", before.cell);
    } else if (before === null) this.card.close();
    else if (this.scene.canUndo) this.ask("undo", "");
  }

  private ask(does: Ask["does"], place: string): void {
    this.looks.length = 0;
    this.asks.ask(does, place);
    const question = this.scene.measure === "similarity" ? asked(this.wanted, does, place) : null;
    if (question !== null) void this.fetchAnswer(question); // while the page does its part
    const words = {
      like: "Asked for places like it",
      add: "Added",
      unlike: "Asked for places unlike it",
      only: "Only here",
      undo: "Undone",
      look: "Looked at",
      pick: "Picked",
      paint: `Marked as ${this.scene.paints}`,
      right: "Marked right",
      wrong: "Marked wrong",
    };
    this.said.textContent = `${words[does]}.`;
  }

  private hover(at: Place | null): void {
    const { cells } = this;
    if (!cells) return;
    const found = at && this.nodeAt(at.x, at.y);
    const changed = found?.node !== this.hovered?.node || found?.level !== this.hovered?.level;
    this.hovered = found;
    this.tip.hidden = !found;
    if (found && at) this.tip.style.translate = `${at.x + 14}px ${at.y + 14}px`;
    if (!changed) return;
    if (found) this.tip.replaceChildren(...lines(this.known(cells), found).map((line) => element("div", {}, line)));
    this.redraw();
  }

  private take(tool: Tool): void {
    this.dropShape();
    this.drawing?.take(tool);
  }

  private shaped(shape: Shape): void {
    if (!this.cells) return;
    const cells = this.scene.picks ? this.pick(written(shape)) : nodesInside(this.cells, this.answer, shape).length;
    if (this.scene.picks) this.asks.ask("pick", written(shape));
    else this.offer(shape, cells);
    this.said.textContent = `${count(cells)} cells in the shape.`;
    this.card.close();
  }

  private offer(shape: Shape, cells: number): void {
    this.shape = shape;
    this.chrome.offer(cells, this.scene.paints);
  }

  private askWithShape(does: Ask["does"]): void {
    if (this.shape) this.ask(does, written(this.shape));
    this.dropShape();
    if (does !== "paint") this.drawing?.take("look"); // a painter goes on
  }

  private dropShape(): void {
    this.shape = null;
    this.chrome.offer(null);
    this.redraw();
  }

  private key(name: string): boolean {
    const { map, scene } = this;
    if (!map) return false;
    const [x, y] = [this.stage.clientWidth / 2, map.getContainer().clientHeight / 2];
    const acts = {
      enter: () => (this.drawing?.active ? this.drawing.corner(x, y) : this.click(x, y, { shiftKey: false, altKey: false })),
      ask: (does: Ask["does"]) => this.looked && !scene.paints && this.ask(does, this.looked.cell),
      undo: () => this.undo(),
      home: () => lookAt(map, scene.home, true),
      escape: () => this.escape(),
      help: () => void (this.said.textContent = HELP),
      take: (tool: Tool) => this.take(tool),
    };
    const act = keyActs(map, acts, scene.asks)[name];
    act?.();
    return Boolean(act);
  }

  private escape(): void {
    if (this.shape || this.drawing?.active) this.take("look");
    else if (this.chosen && this.scene.picks) this.unpick();
    else this.card.close();
  }

  private unpick(): void {
    sharePicked(this.scene.link, null);
    this.asks.ask("pick", "");
  }

  private zoomTo(ancestor: string): void {
    const { high, low } = parse(ancestor);
    const ring = corners(high, low);
    const [lons, lats] = [ring.map(([lon]) => lon), ring.map(([, lat]) => lat)];
    if (this.map) lookAt(this.map, [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], true);
    this.card.close();
  }

  private changeLooks(): void {
    keepSettings(this.settings);
    this.drawGround();
    this.credit.textContent = this.settings.attribution;
    this.credit.hidden = !(this.settings.background && this.settings.attribution);
    this.recolour();
  }

  /** The background that a person named, or else the page's own. */
  private drawGround(): void {
    if (this.map) drawBackground(this.map, this.settings.background || groundAddress(this.scene));
  }

  // Light and dark.

  private readInk(): Ink {
    const { ink, ground } = inkOn(getComputedStyle(this.root).getPropertyValue("--st-background-color"));
    this.ink = ink;
    return ground;
  }

  private repaintGround(): void {
    if (this.map) paintGround(this.map, this.readInk());
  }

  remove(): void {
    this.gone = true;
    leave(this.scene.link, this);
    this.fetching.abort();
    this.resized.disconnect();
    this.hands?.remove();
    this.card.close();
    this.map?.remove();
    this.root.remove();
  }
}
