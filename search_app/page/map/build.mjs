// Builds dist/ from src/: the component, MapLibre's worker, the styles, and the licences of all that went in.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const out = process.argv[2] ?? "dist";

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
  entryPoints: { map: "src/main.ts", style: "src/style.css" },
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  outdir: out,
  alias: { "maplibre-gl": "maplibre-gl/dist/maplibre-gl-csp.js" }, // with its worker in a file of its own
  define: { "process.env.NODE_ENV": '"production"' },
});
const worker = readFileSync("node_modules/maplibre-gl/dist/maplibre-gl-csp-worker.js", "utf8");
writeFileSync(join(out, "worker.js"), worker.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
writeFileSync(join(out, "LICENSES.txt"), licences(packages()));

/** Folders of all packages but those that only build: MapLibre's files hold parts of its own dependencies. */
function packages() {
  const locked = Object.entries(JSON.parse(readFileSync("package-lock.json", "utf8")).packages);
  return locked.filter(([folder, { dev }]) => folder && !dev && existsSync(folder)).map(([folder]) => folder).sort();
}

/** Name, version and licence of each package, with its licence's text. */
function licences(folders) {
  return folders
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
      return `${name} ${version}, ${license}\n\n${text}`.trim();
    })
    .join(`\n\n${"-".repeat(80)}\n\n`)
    .concat("\n");
}
