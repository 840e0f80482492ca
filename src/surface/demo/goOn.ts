import { relative } from "node:path";
import { ENVIRONMENT } from "#base/config/environment.ts";
import { readStackEndpoints } from "#base/config/settings.ts";
import { FERRY } from "#surface/terminal/self.ts";
import { dataFolder } from "#tools/stack/stackState.ts";

/** What `--keep` prints at the end: how to continue by hand, and after a failure where to look. */
export const goOn = (home: string, { failed }: Readonly<{ failed: boolean }>): string => {
  const fromHere = relative(process.cwd(), home);
  const folder = fromHere.startsWith("..") ? home : fromHere;
  const endpoints = readStackEndpoints(home); // none where the servers were never planned
  return [
    failed
      ? `The servers keep running; the logs are in ${dataFolder(folder)}. Continue by hand, for example:`
      : "Everything keeps running. Continue by hand, for example:",
    `  export ${ENVIRONMENT.home.env}=${folder}`,
    ...(failed ? [`  ${FERRY} stack status`] : []),
    `  ${FERRY} status`,
    `  ${FERRY} kc test.users`,
    ...(failed ? [] : [`  ${FERRY} gen-data --workload mixed --duration 10`]),
    `  ${FERRY} stack logs -f`,
    ...(endpoints === undefined ? [] : [`  npx mongosh "${endpoints.source}"`, `  npx mongosh "${endpoints.target}"`]),
    `  ${FERRY} stack reset        # when you are done`,
  ].join("\n");
};
