/** What the page tells the map with every run, and what the map asks of the page. */

export type Extent = [west: number, south: number, east: number, north: number]; // degrees; east may pass 180

export interface Marks {
  like: string[]; // hex ids of the question's examples
  unlike: string[];
  results: string[]; // in order of rank
  chosen: string; // the result that is looked at, or ""
}

/** What the amounts of cells are, and the address that has them. */
export type Measure = "similarity" | "change" | "confidence";

/** What every address names. */
export interface Rows {
  table: string; // by its name; "" where there is one alone
  snapshot: number;
}

export interface Scene extends Rows {
  question: string; // as an address's query; "" asks nothing and leaves nothing out
  colour: "similarity" | "prototype";
  prototype: string; // REGION or REGION/NUMBER that alone is coloured, or ""
  layer: string; // classes coloured in the place of prototypes, as an address's query, or ""
  kinds: string[]; // a label for each kind of prototype, or class
  marks: Marks;
  home: Extent; // what to look at
  look: number; // a new number moves the map to `home`
  heard: number; // the last of the map's asks that the page has taken
  canUndo: boolean;
  asks: boolean; // false: a map to look at, that asks nothing
  paints: string; // the class that a click and a shape give to cells, "" = none: they ask
  teaches: boolean; // whether the card says right and wrong
  measure: Measure;
  period: string; // rows of it are looked at first, and alone have kinds; "" = of all
  link: string; // maps of one link move together; "" = alone
  tells: boolean; // whether the page wants to know which cell is looked at
  picks: boolean; // whether a shape picks cells, here and in what is linked
  picked: string; // the shape that is picked, on this map or elsewhere; or ""
  ground: string; // the page's own background, below its addresses, or ""
  outlines: string[]; // shapes that limit the question, as `lon lat,lon lat,...`
}

/** What a person wants; `place` is a cell's hex id or a shape as `within:lon lat,lon lat,...`. */
export interface Ask {
  number: number;
  does: "like" | "add" | "unlike" | "only" | "undo" | "look" | "pick" | "paint" | "right" | "wrong";
  place: string;
}
