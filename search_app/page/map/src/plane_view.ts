/** Which part of a plane is seen, and how it is moved: what a map is to the globe. Its x and y go as lon and lat. */

import type { Surface } from "./tools";

const PADDING = 0.06; // of the shorter side
const MOST_ZOOM = 10; // doublings beyond all of it
const WHEEL = 0.002; // doublings a pixel of the wheel

export class PlaneView implements Surface {
  private middle: [number, number] = [0, 0];
  private zoom = 0; // doublings beyond what shows all
  private whole = 2; // width of what is to be seen, in the plane
  private readonly home: { middle: [number, number] } = { middle: [0, 0] };
  private pans = true;
  private held: { x: number; y: number } | null = null;
  readonly dragPan = { enable: () => void (this.pans = true), disable: () => void (this.pans = false) };

  constructor(private readonly surface: HTMLElement, private readonly changed: () => void) {
    surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    surface.addEventListener("pointerdown", (event) => this.hold(event));
    surface.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"] as const) surface.addEventListener(name, () => (this.held = null));
  }

  /** Looks at all of some points. */
  fit(xs: Float32Array, ys: Float32Array): void {
    const [west, east, south, north] = [...ends(xs), ...ends(ys)];
    this.whole = Math.max(east - west, north - south, 1e-6);
    this.home.middle = [(west + east) / 2, (south + north) / 2];
    this.seeAll();
  }

  seeAll(): void {
    this.middle = [...this.home.middle];
    this.zoomTo(0);
  }

  getZoom(): number {
    return this.zoom;
  }

  zoomTo(zoom: number): void {
    this.zoom = Math.max(-1, Math.min(MOST_ZOOM, zoom));
    this.changed();
  }

  panBy([dx, dy]: [number, number]): void {
    this.middle = [this.middle[0] + dx / this.scale, this.middle[1] - dy / this.scale];
    this.changed();
  }

  project([x, y]: [number, number]): { x: number; y: number } {
    const { clientWidth: wide, clientHeight: high } = this.surface;
    return { x: wide / 2 + (x - this.middle[0]) * this.scale, y: high / 2 - (y - this.middle[1]) * this.scale };
  }

  unproject([x, y]: [number, number]): { lng: number; lat: number } {
    const { clientWidth: wide, clientHeight: high } = this.surface;
    return { lng: this.middle[0] + (x - wide / 2) / this.scale, lat: this.middle[1] - (y - high / 2) / this.scale };
  }

  /** Pixels of a unit of the plane. */
  private get scale(): number {
    const short = Math.min(this.surface.clientWidth, this.surface.clientHeight) || 1;
    return ((short * (1 - 2 * PADDING)) / this.whole) * 2 ** this.zoom;
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const box = this.surface.getBoundingClientRect();
    const at: [number, number] = [event.clientX - box.left, event.clientY - box.top];
    const before = this.unproject(at);
    this.zoomTo(this.zoom - event.deltaY * WHEEL);
    const after = this.unproject(at);
    this.middle = [this.middle[0] + before.lng - after.lng, this.middle[1] + before.lat - after.lat];
    this.changed();
  }

  private hold(event: PointerEvent): void {
    this.held = this.pans && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
    if (this.held) this.surface.setPointerCapture(event.pointerId);
  }

  private drag(event: PointerEvent): void {
    if (!this.held) return;
    this.panBy([this.held.x - event.clientX, this.held.y - event.clientY]);
    this.held = { x: event.clientX, y: event.clientY };
  }
}

function ends(values: Float32Array): [number, number] {
  return values.reduce<[number, number]>(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}
