// Bundles the page into ../static: one script, one style sheet, and the licences of what is in them.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";

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

// what the bundle was made of: tests/web/test_bundle.py says where it is older than its sources
const sources = (await readdir("src", { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`);
const digest = createHash("sha256");
for (const name of [...sources, "build.mjs", "package-lock.json"].sort()) digest.update(`${name}\n`).update(await readFile(name));
await writeFile(`${out}/SOURCES.sha256`, `${digest.digest("hex")}\n`);
