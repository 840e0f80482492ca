import { BENCHES } from "./benches.ts";
import { benchOf } from "./lib/bench.ts";
import { PeerError } from "./lib/peers.ts";

const [name = "", ...rest] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(
    `usage: npm run bench -- ${Object.keys(BENCHES).join(" | ")} [--rounds 3] [--scale 1] [--flag value ...]`,
  );
  process.exit(64);
}
const flags: Record<string, string> = {};
for (const [i, word] of rest.entries())
  if (word.startsWith("--")) {
    const [name, value] = [word.slice(2), rest[i + 1] ?? ""];
    flags[name] = flags[name] === undefined ? value : `${flags[name]}\n${value}`; // given again: one a line
  }
try {
  await bench(benchOf(flags));
} catch (error) {
  if (!(error instanceof PeerError)) throw error;
  console.error(error.message);
  process.exit(70);
}
