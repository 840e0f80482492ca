import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What the page is made of, besides the room itself: the versions of its packages. */
const LOCK = "../package-lock.json";

/** A digest of everything that the page is built from: another one asks for another build. */
export const stampOf = (room: string): string => {
  const sources = readdirSync(join(room, "src"), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(room.length));
  const hash = createHash("sha256");
  for (const name of ["build.ts", "index.html", LOCK, ...sources.sort()])
    hash
      .update(name)
      .update("\0")
      .update(readFileSync(join(room, name)))
      .update("\0");
  return hash.digest("hex");
};
