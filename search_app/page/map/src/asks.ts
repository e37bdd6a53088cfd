/** What a person asked and the page has not yet taken: sent again until it has, so that no press is lost. */

import type { Ask } from "./scene";

export type Send = (asks: Ask[]) => void;

export class Asks {
  private waiting: Ask[] = [];
  private last = 0;

  constructor(public send: Send) {}

  ask(does: Ask["does"], place = ""): void {
    this.last = Math.max(this.last + 1, Date.now());
    this.waiting.push({ number: this.last, does, place });
    this.send(this.waiting);
  }

  /** The page has taken all asks up to a number; what is left goes out again. */
  heard(number: number): void {
    const before = this.waiting.length;
    this.waiting = this.waiting.filter((ask) => ask.number > number);
    if (this.waiting.length && this.waiting.length < before) this.send(this.waiting);
  }
}
