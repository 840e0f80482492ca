import type { Route } from "#base/config/routes.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { siteOf, type TargetSite } from "#io/state/targetSite.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { misfitsAt } from "#sink/open/fits.ts";
import { isSameDeployment, readDeployment } from "#source/stream/deployment.ts";
import { type CheckResult, checking } from "./checkResult.ts";

const lookAt = async (target: MongoClient, apart: MongoClient | undefined): Promise<TargetSite> => {
  const isApart = apart !== undefined && !isSameDeployment(await readDeployment(apart), await readDeployment(target));
  return siteOf(await readTopology(target), isApart ? apart : undefined);
};

/**
 * What the configuration and the flags ask for, and a route's target cannot do. Says nothing where everything fits.
 * @param target undefined where it is not connected: then what it can do at best counts
 * @param apart the connection of `--state`
 */
export const checkFits = (
  routes: readonly Route[] | undefined,
  asked: AskedOfTargets,
  { target, apart }: Readonly<{ target: MongoClient | undefined; apart: MongoClient | undefined }>,
): Promise<CheckResult[]> =>
  checking("routes", async (say) => {
    const site = target && (await lookAt(target, apart));
    for (const { sentence, remedy } of misfitsAt(routes, asked, site)) say("fail", sentence, remedy);
  });
