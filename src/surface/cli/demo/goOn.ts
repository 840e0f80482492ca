import { relative } from "node:path";
import { ENVIRONMENT } from "#base/config/environment.ts";
import { readStackEndpoints } from "#base/config/settings.ts";
import { dataFolder } from "#tools/stack/stackState.ts";

/** What `--keep` says at the end: how to go on by hand, and after a failure where to look. */
export const goOn = (home: string, { failed }: Readonly<{ failed: boolean }>): string => {
  const fromHere = relative(process.cwd(), home);
  const folder = fromHere.startsWith("..") ? home : fromHere;
  const endpoints = readStackEndpoints(home); // none where the servers were never planned
  return [
    failed
      ? `What is up stays up; the logs are in ${dataFolder(folder)}. Go on by hand, for example:`
      : "Everything stays up. Go on by hand, for example:",
    `  export ${ENVIRONMENT.home.env}=${folder}`,
    ...(failed ? ["  npm run --silent ferry -- stack status"] : []),
    "  npm run --silent ferry -- status",
    "  npm run --silent ferry -- kc test.users",
    ...(failed ? [] : ["  npm run --silent ferry -- gen-data --workload mixed --duration 10"]),
    "  npm run --silent ferry -- stack logs -f",
    ...(endpoints === undefined ? [] : [`  npx mongosh "${endpoints.source}"`, `  npx mongosh "${endpoints.target}"`]),
    "  npm run --silent ferry -- stack reset        # when you are done",
  ].join("\n");
};
