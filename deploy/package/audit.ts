/**
 * `npm run audit`: known faults of the packages that are shipped, as the registry lists them. Fails where one is high or critical. A
 * registry that keeps no such list, as a mirror, is said and is no failure.
 */
import { spawnSync } from "node:child_process";

type Answer = Readonly<{
  metadata?: Readonly<{ vulnerabilities: Readonly<Record<string, number>> }>;
  vulnerabilities?: Readonly<Record<string, Readonly<{ severity: string }>>>;
}>;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const BAD = ["high", "critical"];

const { stdout } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8", maxBuffer: 2 ** 26 });
const answer = ((): Answer => {
  try {
    return JSON.parse(stdout) as Answer;
  } catch {
    return {};
  }
})();
if (answer.metadata === undefined) print("not looked at: the registry does not say which packages have known faults");
else {
  const bad = Object.entries(answer.vulnerabilities ?? {}).filter(([, { severity }]) => BAD.includes(severity));
  for (const [name, { severity }] of bad) print(`${name}: ${severity}; npm audit says more`);
  if (bad.length === 0) print("no package that is shipped has a known fault that is high or critical");
  else process.exitCode = 1;
}
