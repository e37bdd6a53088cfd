/** The layers of deck.gl: cells, dots where they lie apart, and what is pointed out. */

import type { Layer } from "@deck.gl/core";
import { PathLayer, PolygonLayer, ScatterplotLayer, SolidPolygonLayer, TextLayer } from "@deck.gl/layers";
import type { Cells } from "./cells";
import { CHOSEN, LIKE, RESULT, UNLIKE, type Rgb } from "./colour";
import type { Drawn } from "./drawn";
import type { Footprint } from "./footprints";
import { centre, corners, parse } from "./h3";
import type { Marks } from "./scene";

const DOT_PX = 5;
const PIN_PX = 8;
const MOST_RANKED = 50; // results whose rank is written
const FONT = "system-ui, sans-serif";

/** The colour of each node that is drawn, four bytes each. */
export type Colours = Uint8Array;

export function cellLayers(
  cells: Cells,
  drawn: Drawn,
  colours: Colours,
  version: number,
  footprints: Footprint[],
): Layer[] {
  const { starts, positions, triangles } = drawn.outlines;
  const colour = (_: unknown, { index }: { index: number }) => colourAt(colours, index);
  const hexagons = new SolidPolygonLayer({
    id: "hexagons",
    data: geometry(drawn, () => ({
      length: drawn.nodes.length,
      startIndices: starts,
      attributes: {
        getPolygon: { value: positions, size: 2 },
        indices: { value: triangles, size: 1 },
      },
    })) as never,
    positionFormat: "XY",
    _normalize: false,
    getFillColor: colour as never,
    updateTriggers: { getFillColor: version },
  });
  if (footprints.length) return [footprintLayer(drawn, colours, version, footprints), hexagons];
  return drawn.dots ? [hexagons, dotLayer(cells, drawn, colours, version)] : [hexagons];
}

/** Footprints in the colours of their cells, which lie in them. */
function footprintLayer(drawn: Drawn, colours: Colours, version: number, footprints: Footprint[]): Layer {
  const place = new Map(drawn.nodes.map((node, i) => [node, i]));
  const colour = ({ node }: Footprint) => colourAt(colours, place.get(node) ?? 0);
  return new PolygonLayer<Footprint>({
    id: "footprints",
    data: footprints.filter(({ node }) => place.has(node)),
    getPolygon: (d) => d.ring,
    getFillColor: colour,
    getLineColor: [255, 255, 255, 200],
    lineWidthMinPixels: 1,
    updateTriggers: { getFillColor: version },
  });
}

/** A dot where a hexagon would be too small to see, the best on top. */
function dotLayer(cells: Cells, drawn: Drawn, colours: Colours, version: number): Layer {
  return new ScatterplotLayer({
    id: "dots",
    data: drawn.nodes,
    getPosition: (node: number) => cells.centre(drawn.level, node),
    getFillColor: ((_: number, { index }: { index: number }) => colourAt(colours, index)) as never,
    getRadius: 1,
    radiusMinPixels: DOT_PX,
    updateTriggers: { getFillColor: version },
  });
}

/** deck.gl takes shapes anew only when they are another object. */
const kept = new WeakMap<Drawn, unknown>();
function geometry(drawn: Drawn, make: () => unknown): unknown {
  if (!kept.has(drawn)) kept.set(drawn, make());
  return kept.get(drawn);
}

function colourAt(colours: Colours, index: number): [number, number, number, number] {
  const at = 4 * index;
  return [colours[at], colours[at + 1], colours[at + 2], colours[at + 3]];
}

interface Outline {
  path: [number, number][];
  colour: Rgb;
  width: number;
}

export function markLayers(marks: Marks, looked: string, hovered: string, ink: Rgb): Layer[] {
  const outlines: Outline[] = [
    ...marks.results.map((cell) => outline(cell, RESULT, 1.5)),
    ...[marks.chosen, looked].filter(Boolean).map((cell) => outline(cell, CHOSEN, 3.5)),
    ...marks.like.map((cell) => outline(cell, LIKE, 3.5)),
    ...marks.unlike.map((cell) => outline(cell, UNLIKE, 3.5)),
    ...(hovered ? [outline(hovered, ink, 2)] : []),
  ];
  const ranked = marks.results.slice(0, MOST_RANKED);
  const pins = [
    ...[...ranked].reverse().map((cell) => pin(cell, cell === marks.chosen ? CHOSEN : RESULT, "")),
    ...marks.unlike.map((cell) => pin(cell, UNLIKE, "−")),
    ...marks.like.map((cell) => pin(cell, LIKE, "+")),
  ];
  const ranks = ranked.map((cell, i) => pin(cell, RESULT, String(i + 1)));
  const signs = pins.filter(({ sign }) => sign);
  return [
    new PathLayer<Outline>({
      id: "outlines",
      data: outlines,
      getPath: (d) => d.path,
      getColor: (d) => d.colour,
      getWidth: (d) => d.width,
      widthUnits: "pixels",
      jointRounded: true,
    }),
    new ScatterplotLayer<Pin>({
      id: "pins",
      data: pins,
      getPosition: (d) => d.at,
      getFillColor: (d) => d.colour,
      stroked: true,
      getLineColor: [255, 255, 255],
      lineWidthMinPixels: 1,
      getRadius: 1,
      radiusMinPixels: PIN_PX,
      radiusMaxPixels: PIN_PX,
    }),
    new TextLayer<Pin>({
      id: "ranks",
      data: [...ranks.reverse(), ...signs],
      getPosition: (d) => d.at,
      getText: (d) => d.sign,
      getSize: 10,
      getColor: [255, 255, 255],
      fontWeight: 600,
      fontFamily: FONT,
      characterSet: "0123456789+−",
    }),
  ];
}

interface Pin {
  at: [number, number];
  colour: Rgb;
  sign: string;
}

function pin(cell: string, colour: Rgb, sign: string): Pin {
  const { high, low } = parse(cell);
  return { at: centre(high, low), colour, sign };
}

function outline(cell: string, colour: Rgb, width: number): Outline {
  const { high, low } = parse(cell);
  const ring = corners(high, low);
  return { path: [...ring, ring[0]], colour, width };
}

export interface Stroke {
  path: [number, number][];
  filled: boolean;
}

/** Shapes that are being drawn, and those that limit the question. */
export function shapeLayers(strokes: Stroke[], ink: Rgb): Layer[] {
  return [
    new SolidPolygonLayer<Stroke>({
      id: "shape fills",
      data: strokes.filter(({ filled, path }) => filled && path.length > 2),
      getPolygon: (d) => d.path,
      getFillColor: [...CHOSEN, 28],
    }),
    new PathLayer<Stroke>({
      id: "shape lines",
      data: strokes,
      getPath: (d) => d.path,
      getColor: ink,
      getWidth: 2,
      widthUnits: "pixels",
      jointRounded: true,
      capRounded: true,
    }),
  ];
}
