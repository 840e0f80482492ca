import { createHash } from "node:crypto";
import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Namespace } from "#base/flow/types.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { ChangedKeys } from "#proof/verify/changedKeys.ts";
import type { Pair } from "#proof/verify/pair.ts";
import { clusterTimeOf } from "#proof/verify/reads.ts";
import { pairOf } from "#proof/verify/routePairs.ts";
import { digestNamespace } from "./digestNamespace.ts";
import type { Receipt, ReceiptNamespace, ReceiptTime } from "./format.ts";

export type ReceiptDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  routes: readonly Route[];
  /** ferry's own version. */
  version: string;
  clock: Clock;
  signal: AbortSignal;
}>;

const timeOf = (at: bigint): ReceiptTime => ({ t: Number(at >> 32n), i: Number(at & 0xffffffffn) });

/** Keys in order, without blanks: what a digest of JSON is taken of. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

/** @param conflict the policy that the route began with */
export const receiptRulesOf = ({ fields, where, drift }: Route, conflict: string): ReceiptNamespace["rules"] => ({
  ...(fields === undefined ? {} : { fields }),
  ...(where === undefined ? {} : { where }),
  drift,
  conflict,
});

/** Was nothing of these written between two clusterTimes? */
const isStill = async (
  client: MongoClient,
  namespaces: readonly Namespace[],
  from: bigint,
  to: bigint,
): Promise<boolean> => {
  await using changed = await ChangedKeys.open(client, namespaces, from + 1n);
  for (let at = 0n; at < to; ) {
    const batch = await changed.next();
    if (batch.ended || batch.changes.length > 0) return false;
    at = batch.upTo;
  }
  return true;
};

const namespaceOf = async (route: Route, pair: Pair, signal: AbortSignal): Promise<ReceiptNamespace> => {
  const { source, expected, target } = await digestNamespace(pair, signal);
  const rules = receiptRulesOf(route, pair.policy);
  const isEqual = expected.count === target.count && expected.digest === target.digest;
  return {
    ...{ route: route.name, from: route.from, to: destinationText(route.to), rules },
    rulesSha256: createHash("sha256").update(canonical(rules)).digest("hex"),
    ...{ source, expected, target },
    equal: isEqual || (pair.policy === "mirror" && pair.onto === undefined) ? isEqual : null,
  };
};

const allEqual = (namespaces: readonly ReceiptNamespace[]): boolean | null => {
  if (namespaces.some(({ equal }) => equal === false)) return false;
  return namespaces.some(({ equal }) => equal === null) ? null : true;
};

/**
 * Reads both sides of some routes and says what is there: counts and digests. Without writes, a third party that reads both
 * sides later gets the same. @throws FERRY_MONGO_*, the signal's reason
 */
export const makeReceipt = async (deps: ReceiptDeps): Promise<Receipt> => {
  const { source, target, routes, version, signal } = deps;
  const sides = [source, target];
  const from = await Promise.all(sides.map(clusterTimeOf));
  const applied = async (): Promise<bigint | undefined> => undefined; // nothing is judged here
  const pairs = await Promise.all(routes.map((route) => pairOf(route, { ...deps, applied })));
  const namespaces: ReceiptNamespace[] = [];
  for (const [i, route] of routes.entries()) namespaces.push(await namespaceOf(route, pairs[i] as Pair, signal));
  const to = await Promise.all(sides.map(clusterTimeOf));
  const still = await Promise.all(
    (["source", "target"] as const).map((side, i) =>
      isStill(
        sides[i] as MongoClient,
        pairs.map((pair) => pair[side].ns),
        from[i] ?? 0n,
        to[i] ?? 0n,
      ),
    ),
  );
  const servers = await Promise.all(sides.map(readTopology));
  const [here, there] = servers.map(({ version: server, setName }, i) => ({
    ...{ from: timeOf(from[i] ?? 0n), to: timeOf(to[i] ?? 0n), server },
    setName: setName ?? null,
  })) as [Receipt["source"], Receipt["target"]];
  return {
    ferryReceipt: 1,
    ferry: version,
    madeAt: new Date().toISOString(),
    source: here,
    target: there,
    still: still.every(Boolean),
    equal: allEqual(namespaces),
    namespaces,
  };
};

/** A route as a receipt has it. */
export const routeOf = ({ route: name, from, to, rules }: ReceiptNamespace): Route => ({
  ...({ fields: rules.fields, where: rules.where } as Pick<Route, "fields" | "where">),
  ...{ name, from, to: { mongodb: to } },
  drift: rules.drift as Route["drift"],
  conflict: rules.conflict as NonNullable<Route["conflict"]>,
});

/** What of a namespace is not as a receipt says it was: `source`, `expected` or `target`. */
export const differencesFrom = (was: Receipt, is: Receipt): readonly Readonly<{ route: string; sets: string[] }>[] =>
  was.namespaces.flatMap((before) => {
    const now = is.namespaces.find(({ route }) => route === before.route);
    const sets = (["source", "expected", "target"] as const).filter(
      (name) => now === undefined || now[name].digest !== before[name].digest || now[name].count !== before[name].count,
    );
    return sets.length === 0 ? [] : [{ route: before.route, sets }];
  });
