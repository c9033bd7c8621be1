// Bundles the page into ../static: one script, one style sheet, and the licences of what is in them.
import { build } from "esbuild";
import { copyFile, readFile, writeFile } from "node:fs/promises";

const out = "../static";
await build({
  entryPoints: [{ in: "src/main.tsx", out: "page" }],
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife", // a classic script also runs from file://
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
});
await copyFile("src/index.html", `${out}/index.html`);
const parts = [];
for (const name of ["preact", "uplot", "yaml"]) {
  const { version } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
  parts.push(`${name} ${version}\n\n${await readFile(`node_modules/${name}/LICENSE`, "utf8")}`);
}
await writeFile(`${out}/LICENSES.txt`, parts.join("\n----\n\n"));
