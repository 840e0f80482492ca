import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** Licences under which ferry, of Apache-2.0, may be passed on with a package. */
const ALLOWED = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT OR Apache-2.0"];

type Package = Readonly<{
  license?: string;
  integrity?: string;
  dev?: boolean;
  dependencies?: Readonly<Record<string, string>>;
}>;

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Readonly<Record<string, Package>>;
};
/** What is built into the console's page is shipped with it, though nothing of it is installed. */
const IN_PAGE = ["@ariakit/react", "react", "react-dom", "uplot"];

const inPage = (names: readonly string[]): readonly string[] =>
  names.flatMap((name) => [name, ...inPage(Object.keys(packages[`node_modules/${name}`]?.dependencies ?? {}))]);

const others = Object.entries(packages).filter(([path]) => path !== "");

test("every package that is shipped has a licence that allows it, and all are pinned by checksum", () => {
  assert.ok(others.length > 50);
  const page = new Set(inPage(IN_PAGE).map((name) => `node_modules/${name}`));
  assert.ok(page.size > IN_PAGE.length);
  const shipped = others.filter(([path, { dev }]) => dev !== true || page.has(path));
  const strange = shipped.filter(([, { license }]) => !ALLOWED.includes(license ?? ""));
  assert.deepEqual(
    strange.map(([path, { license }]) => `${path}: ${license}`),
    [],
  );
  const loose = others.filter(([, { integrity }]) => integrity === undefined);
  assert.deepEqual(
    loose.map(([path]) => path),
    [],
  );
});
