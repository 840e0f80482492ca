import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

/**
 * The houses of `src` and their rooms (docs/00-reading-path.md); what stands first here is the lowest. Imports point down: a file
 * may use its own room, the rooms before it in its house, and every house before its own.
 */
const HOUSES: Readonly<Record<string, readonly string[]>> = {
  base: ["errors", "bson", "flow", "config", "observe"],
  io: ["mongo", "kafka", "wire", "state", "log", "pace"],
  source: ["stream", "copy", "spool", "connect", "connector", "capture"],
  route: ["filter", "drift", "table"],
  sink: ["mongo", "cognito", "open"],
  structure: ["model", "plan", "build", "operations", "follow"],
  apply: ["plan", "lanes", "deadletter", "conflict", "repair", "barrier", "pipeline"],
  proof: ["structure", "verify", "receipt", "repair"],
  cutover: ["ending", "machine", "fence", "parts"],
  process: ["metrics", "report", "steer", "worker", "capture", "run", "switch", "control"],
  tools: ["stack", "workload", "check"],
  surface: ["terminal", "live", "completion", "demo", "console", "api", "cli"],
};

/** A folder with more files than this has more than one thing to own. */
const MOST_FILES = 25;
/** No room has more than this part of the code. */
const LARGEST_ROOM = 0.1;

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

/** `house/room`; the house alone for a file that stands in no room. */
const roomOf = (path: string): string => {
  const [house = "", room = ""] = path.split("/");
  return HOUSES[house]?.includes(room) === true ? `${house}/${room}` : house;
};

const ORDER = Object.entries(HOUSES).flatMap(([house, rooms]) => [house, ...rooms.map((room) => `${house}/${room}`)]);
const rankOf = (room: string): number => ORDER.indexOf(room);

test("every file of src stands in a house, and in one of its rooms where it has some", () => {
  const strays = files.filter((file) => {
    const [house = "", room = ""] = file.split("/");
    const rooms = HOUSES[house];
    return rooms === undefined || (rooms.length > 0 && !room.endsWith(".ts") && !rooms.includes(room));
  });
  assert.deepEqual(strays, []);
});

const complaint = (file: string, path: string): string | undefined => {
  const own = roomOf(file);
  if (path.startsWith("../") && !own.startsWith("surface/")) return `${path} climbs; use #house/room/file.ts`;
  if (!path.startsWith("#")) return undefined;
  const target = roomOf(path.slice(1));
  if (target === own) return `${path} is in the same room; use ./`;
  return rankOf(target) < rankOf(own) ? undefined : `${path} is not below ${own}`;
};

test("imports across rooms use # and point down", () => {
  const wrong = files.flatMap((file) => {
    const text = readFileSync(join("src", file), "utf8");
    return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].flatMap(([, path = ""]) => {
      const reason = complaint(file, path);
      return reason === undefined ? [] : [`${file}: ${reason}`];
    });
  });
  assert.deepEqual(wrong, []);
});

test("a kind of target is named by its own room and by the table that opens it, and by no other", () => {
  const kinds = (HOUSES["sink"] ?? []).filter((room) => room !== "open");
  const wrong = files
    .filter((file) => !file.startsWith("sink/open/"))
    .filter((file) => file !== "surface/demo/demoPool.ts") // looks at its pool from outside, as a person would
    .filter((file) => {
      const text = readFileSync(join("src", file), "utf8");
      return kinds.some((kind) => text.includes(`"#sink/${kind}/`));
    });
  assert.deepEqual(wrong, []);
});

test("no folder is flat beyond reading, and no room is a second project", () => {
  const inFolder = Map.groupBy(files, (file) => file.slice(0, file.lastIndexOf("/")));
  const flat = [...inFolder].filter(([, names]) => names.length > MOST_FILES).map(([folder]) => folder);
  assert.deepEqual(flat, []);
  const linesOf = (names: readonly string[]): number =>
    names.reduce((sum, name) => sum + readFileSync(join("src", name), "utf8").split("\n").length, 0);
  const most = linesOf(files) * LARGEST_ROOM;
  const rooms = [...Map.groupBy(files, roomOf)].map(([room, names]) => [room, linesOf(names)] as const);
  assert.deepEqual(
    rooms.filter(([, lines]) => lines > most),
    [],
  );
});

/** What unit tests cover besides `src`; `harness` is `test/harness`. A test of the whole tree, as this one, stands at the top. */
const BESIDE_SRC = ["bin", "console", "deploy", "docs", "harness"];

const unitTests = readdirSync(join("test", "unit"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => name.includes("/") && !BESIDE_SRC.includes(dirname(name)));

/** What the files import, with what they take from the harness: a test may drive its room through that. */
const importsOf = (file: string): readonly string[] => {
  const paths = [...readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
    ([, path = ""]) => path,
  );
  const helpers = paths.filter((path) => path.startsWith(".")).map((path) => join(dirname(file), path));
  return [
    ...paths.filter((path) => path.startsWith("#")).map((path) => path.slice(1)),
    ...helpers.flatMap((path) => (path.startsWith("src/") ? [path.slice("src/".length)] : importsOf(path))),
  ];
};

test("test/unit mirrors src: a unit test lies in the folder of a room, and uses what is in that room", () => {
  const misplaced = unitTests.flatMap((file) => {
    const room = roomOf(file);
    if (!existsSync(join("src", dirname(file))) || !room.includes("/"))
      return [`${file}: its folder is no room of src`];
    const uses = importsOf(join("test", "unit", file)).some((path) => roomOf(path) === room);
    return uses ? [] : [`${file}: uses nothing of ${room}`];
  });
  assert.deepEqual(misplaced, []);
});
