/** The pointer and the keys on the map, as what they mean: a click, a line drawn, a key. */

export interface Place {
  x: number; // pixels from the map's left and top
  y: number;
}

export interface Held {
  shiftKey: boolean;
  altKey: boolean;
}

export interface Acts {
  drawing(): boolean; // whether a press begins a shape
  press(at: Place): void;
  move(at: Place): void;
  release(): void;
  click(at: Place, held: Held): void;
  hover(at: Place | null): void;
  key(name: string): boolean; // whether it means anything
}

const CLICK_PX = 6; // a press that moves less is a click, however long it lasts

export class Hands {
  private pressed: (Place & { id: number }) | null = null;
  private readonly stop = new AbortController();

  constructor(
    private readonly stage: HTMLElement,
    private readonly surface: HTMLElement,
    private readonly acts: Acts,
  ) {
    const { signal } = this.stop;
    surface.addEventListener("pointerdown", (event) => this.down(event), { signal });
    surface.addEventListener("pointerleave", () => acts.hover(null), { signal });
    addEventListener("pointermove", (event) => this.moved(event), { signal });
    addEventListener("pointerup", (event) => this.up(event), { signal });
    addEventListener("pointercancel", () => (this.pressed = null), { signal });
    stage.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  remove(): void {
    this.stop.abort();
  }

  private down(event: PointerEvent): void {
    this.pressed = null;
    if (event.button !== 0 || !event.isPrimary) return;
    this.pressed = { ...this.place(event), id: event.pointerId };
    this.stage.focus({ preventScroll: true });
    if (this.acts.drawing()) this.acts.press(this.pressed);
  }

  private moved(event: PointerEvent): void {
    const at = this.place(event);
    if (this.acts.drawing()) this.acts.move(at);
    else if (event.composedPath().includes(this.surface)) this.acts.hover(at);
  }

  private up(event: PointerEvent): void {
    const from = this.pressed;
    if (!from || event.pointerId !== from.id) return;
    this.pressed = null;
    const at = this.place(event);
    if (this.acts.drawing()) this.acts.release();
    else if (Math.hypot(at.x - from.x, at.y - from.y) < CLICK_PX) this.acts.click(at, event);
  }

  private key(event: KeyboardEvent): void {
    const on = event.composedPath()[0] as Node; // a button or a field on the map keeps its own keys
    const ours = on === this.stage || this.surface.contains(on);
    if (event.ctrlKey || event.metaKey || event.altKey || !ours) return;
    if (this.acts.key(event.key.toLowerCase())) event.preventDefault();
  }

  private place(event: PointerEvent): Place {
    const box = this.surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}
