/** What a person asked and the page has not yet taken: sent again until it has, so that no press is lost. */

import type { Ask } from "./scene";

/** The question that an ask makes of another, as the page will write it; null where only the page knows. */
export function asked(question: string, does: Ask["does"], place: string): string | null {
  const params = new URLSearchParams(question);
  const [like, unlike] = [params.getAll("like"), params.getAll("unlike")];
  const without = (places: string[]) => places.filter((other) => other !== place);
  const joined = (places: string[]) => (places.includes(place) ? places : [...places, place]);
  const changed = new Map([
    ["like", [[place], []]],
    ["add", [joined(like), without(unlike)]],
    ["unlike", [without(like), joined(unlike)]],
  ]).get(does);
  if (!changed) return null;
  params.delete("like");
  params.delete("unlike");
  if (does === "like") params.delete("marks"); // they are about another question
  const places = [...changed[0].map((one) => ["like", one]), ...changed[1].map((one) => ["unlike", one])];
  return new URLSearchParams([...places, ...params]).toString();
}

/** Whether a question has an example, so that cells have similarities. */
export function searches(question: string): boolean {
  const params = new URLSearchParams(question);
  return params.has("like") || params.has("unlike");
}

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

  /** Whether the page has yet to take some. */
  get open(): boolean {
    return this.waiting.length > 0;
  }

  /** The page has taken all asks up to a number; what is left goes out again. */
  heard(number: number): void {
    const before = this.waiting.length;
    this.waiting = this.waiting.filter((ask) => ask.number > number);
    if (this.waiting.length && this.waiting.length < before) this.send(this.waiting);
  }
}
