/** Shapes drawn by hand: lasso, box, polygon, brush; with the pointer or with the keyboard at the map's middle. */

export type Tool = "look" | "lasso" | "box" | "polygon" | "brush";
export type Point = [lon: number, lat: number];
export type Shape = Point[][]; // rings that together are one

/** What shapes are drawn on: a map, or a plane whose x and y go as lon and lat. */
export interface Surface {
  project(point: Point): { x: number; y: number };
  unproject(pixel: [x: number, y: number]): { lng: number; lat: number };
  dragPan: { enable(): void; disable(): void };
}

const APART_PX = 4; // between the points of a line drawn by hand
const BRUSH_PX = 14; // half its width
const CLOSE_PX = 10; // a click this near the first corner closes a polygon
const MOST_CORNERS = 80; // of a ring in an address
const MOST_STROKES = 16; // of a brush

export class Drawing {
  tool: Tool = "look";
  points: Point[] = []; // so far
  private pressed = false;

  constructor(
    private readonly map: Surface,
    private readonly changed: () => void,
    private readonly done: (shape: Shape) => void,
  ) {}

  get active(): boolean {
    return this.tool !== "look";
  }

  take(tool: Tool): void {
    this.tool = tool;
    this.points = [];
    this.pressed = false;
    const dragged = tool === "lasso" || tool === "box" || tool === "brush";
    if (dragged) this.map.dragPan.disable();
    else this.map.dragPan.enable();
    this.changed();
  }

  press(x: number, y: number): void {
    if (this.tool === "polygon") return this.corner(x, y);
    this.pressed = true;
    this.points = [this.at(x, y)];
    this.changed();
  }

  move(x: number, y: number): void {
    if (!this.pressed) return;
    if (this.tool === "box") this.points = [this.points[0], this.at(x, y)];
    else if (this.away(this.points[this.points.length - 1], x, y) >= APART_PX) this.points.push(this.at(x, y));
    this.changed();
  }

  release(): void {
    if (!this.pressed) return;
    this.pressed = false;
    this.finish();
  }

  /** Adds a corner of a polygon or a box; a polygon ends at its first corner, a box at its second. */
  corner(x: number, y: number): void {
    const closes = this.points.length > 2 && this.away(this.points[0], x, y) < CLOSE_PX;
    if (!closes) this.points.push(this.at(x, y));
    if (closes || (this.tool === "box" && this.points.length === 2)) this.finish();
    else this.changed();
  }

  /** Ends the shape with the corners there are. */
  finish(): void {
    const shape = this.shape();
    this.points = [];
    if (shape.length) this.done(shape);
    this.changed();
  }

  /** The outlines so far. */
  paths(): Point[][] {
    if (this.tool === "brush" || this.tool === "box") return this.shape().map(closed);
    return this.points.length ? [this.points] : [];
  }

  private shape(): Shape {
    if (this.tool === "box") return this.points.length === 2 ? [box(this.points)] : [];
    const line = this.points.map((point) => this.pixel(point));
    if (this.tool === "brush") return strokes(simplified(line, MOST_STROKES)).map((ring) => this.onGround(ring));
    return line.length > 2 ? [this.onGround(simplified(line, MOST_CORNERS))] : [];
  }

  private onGround(ring: [number, number][]): Point[] {
    return ring.map(([x, y]) => this.at(x, y));
  }

  private at(x: number, y: number): Point {
    const { lng, lat } = this.map.unproject([x, y]);
    return [lng, lat];
  }

  private pixel(point: Point): [number, number] {
    const { x, y } = this.map.project(point);
    return [x, y];
  }

  private away(point: Point, x: number, y: number): number {
    const [px, py] = this.pixel(point);
    return Math.hypot(px - x, py - y);
  }
}

/** A shape as the page and its address write it. */
export function written(shape: Shape): string {
  return `within:${rings(shape)}`;
}

export function rings(shape: Shape): string {
  return shape.map((ring) => ring.map(([lon, lat]) => `${short(lon)} ${short(lat)}`).join(",")).join(";");
}

export function readShape(text: string): Shape {
  return text.split(";").map((ring) => ring.split(",").map((pair) => pair.trim().split(" ").map(Number) as Point));
}

export function closed(ring: Point[]): Point[] {
  return ring.length ? [...ring, ring[0]] : ring;
}

function short(degrees: number): string {
  return String(Number(degrees.toFixed(5)));
}

function box([[west, south], [east, north]]: Point[]): Point[] {
  return [[west, south], [east, south], [east, north], [west, north]];
}

/** What a brush covers along a line: a capsule of eight corners for each of its parts. */
function strokes(line: [number, number][]): [number, number][][] {
  if (line.length === 1) line = [line[0], [line[0][0] + 0.1, line[0][1]]];
  return line.slice(1).map(([x, y], i) => {
    const [fromX, fromY] = line[i];
    const heading = Math.atan2(y - fromY, x - fromX);
    const around = (cx: number, cy: number, turns: number[]) =>
      turns.map((turn): [number, number] => {
        const angle = heading + (turn * Math.PI) / 6;
        return [cx + BRUSH_PX * Math.cos(angle), cy + BRUSH_PX * Math.sin(angle)];
      });
    return [...around(x, y, [-3, -1, 1, 3]), ...around(fromX, fromY, [3, 5, 7, 9])];
  });
}

/** At most so many points, those that matter least left out: Visvalingam and Whyatt (1993). */
function simplified(points: [number, number][], most: number): [number, number][] {
  const kept = [...points];
  while (kept.length > most) {
    let [least, at] = [Infinity, 1];
    for (let i = 1; i < kept.length - 1; i++) {
      const [[ax, ay], [bx, by], [cx, cy]] = [kept[i - 1], kept[i], kept[i + 1]];
      const area = Math.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay));
      if (area < least) [least, at] = [area, i];
    }
    kept.splice(at, 1);
  }
  return kept;
}
