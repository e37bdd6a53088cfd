/** Colours that read the same to colour-blind eyes. */

export type Rgb = [number, number, number];

/** Scales of amounts at nine even steps, linear between: van der Walt and Smith (2015), Nuñez et al. (2018). */
export const SCALES: Record<string, Rgb[]> = {
  Viridis: [
    [68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140],
    [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37],
  ],
  Cividis: [
    [0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120],
    [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56],
  ],
  Inferno: [
    [0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106], [188, 55, 84],
    [228, 90, 49], [249, 142, 9], [249, 203, 53], [252, 255, 164],
  ],
};

/** Kinds: Tol, "Colour schemes" (2021), muted. */
export const KINDS: Rgb[] = [
  [51, 34, 136], [136, 204, 238], [68, 170, 153], [17, 119, 51], [153, 153, 51],
  [221, 204, 119], [204, 102, 119], [136, 34, 85], [170, 68, 153],
];

export const NEUTRAL: Rgb = [148, 163, 184]; // no value: not searched, or no prototype
export const LIKE: Rgb = [255, 45, 120];
export const UNLIKE: Rgb = [234, 88, 12];
export const RESULT: Rgb = [15, 23, 42];
export const CHOSEN: Rgb = [37, 99, 235];

/** The colour at a position from 0 to 1 of a scale. */
export function amount(scale: Rgb[], position: number): Rgb {
  const at = Math.max(0, Math.min(1, position)) * (scale.length - 1);
  const step = Math.min(Math.floor(at), scale.length - 2);
  const mix = at - step;
  return scale[step].map((low, channel) => Math.round(low + (scale[step + 1][channel] - low) * mix)) as Rgb;
}

export function css(rgb: Rgb): string {
  return `rgb(${rgb.join(" ")})`;
}

export function gradient(scale: Rgb[]): string {
  return `linear-gradient(90deg, ${scale.map(css).join(", ")})`;
}

/** What is drawn on a page of a colour, written as #rrggbb or rgb(...): light or dark. */
export function inkOn(page: string): { ink: Rgb; ground: { sea: string; land: string; line: string } } {
  const hex = /^#(..)(..)(..)/.exec(page.trim())?.slice(1).map((pair) => parseInt(pair, 16));
  const [red, green, blue] = hex ?? page.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
  const dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
  return dark
    ? { ink: [226, 232, 240], ground: { sea: "#0f1620", land: "#1d2935", line: "#36475a" } }
    : { ink: [15, 23, 42], ground: { sea: "#f7f9fb", land: "#e6ebf1", line: "#cbd5e1" } };
}
