import type { Command } from "commander";
import { DeadLetterStore } from "#apply/deadletter/store.ts";
import { bsonText } from "#base/bson/text.ts";
import { readConfig } from "#base/config/routes.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { systemClock } from "#base/flow/clock.ts";
import { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { type PairDeps, pairOf } from "#proof/verify/routePairs.ts";
import { type Pair, type PassResult, Verification, type VerificationDeps } from "#proof/verify/verification.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { type CaptureRecord, CaptureStore } from "#source/capture/captureStore.ts";
import { secondsOf, tokenTime } from "#source/stream/resumeToken.ts";
import { type Flags, withConnections, withState } from "../connections.ts";
import { type NamesFlags, namesIn, withNames } from "../namesFlags.ts";
import { plainLogger, print, printJson } from "../output.ts";
import { withSignals } from "../signals.ts";
import { count } from "../table.ts";

type VerifyFlags = Flags & NamesFlags & Readonly<{ config?: string }>;

/** Ranges that are read at once: each keeps one core of a server busy. */
const READERS = 2;
/** Nothing could be judged for so long: nobody carries what is behind, ms. */
const PATIENCE_MS = 30_000;

/** `ferry verify`: is everything on the target that should be there? */
export const registerVerify = (program: Command): void => {
  withNames(withConnections(program.command("verify"), ["source", "target", "stateDb"]), {
    include: "namespaces of the source to compare (default: everything)",
    exclude: "namespaces to leave out",
  })
    .description(
      "compare source and target of a `ferry run`, document by document; what differs is looked at again until it settles",
    )
    .option("--config <file>", "routes and their rules (default: ferry.yaml here)")
    .action(verify);
};

/** The run whose documents are compared. @throws FERRY_RUN_NONE, FERRY_USAGE, FERRY_VERIFY_EARLY */
const readRun = async (captures: CaptureStore): Promise<CaptureRecord> => {
  const record = await captures.read();
  if (record === undefined) throw new FerryError("FERRY_RUN_NONE", "nothing to verify");
  if (record.mode !== "direct")
    throw new FerryError(
      "FERRY_USAGE",
      "this version verifies what `ferry run` carries; the target is fed through Kafka",
    );
  if (record.phase !== "stream") throw new FerryError("FERRY_VERIFY_EARLY", "documents are being copied");
  return record;
};

const pairsOf = (record: CaptureRecord, flags: VerifyFlags, deps: PairDeps): readonly Pair[] => {
  const { routes } = readConfig(flags.config);
  const filter = new NamespaceFilter(namesIn(flags));
  return record.topics
    .map(({ name }) => name)
    .filter((name) => filter.has(parseNamespace(name)))
    .sort()
    .flatMap((name) => routesOn(routes, name))
    .map((route) => pairOf(route, deps));
};

const verify = (flags: VerifyFlags): Promise<void> =>
  withState(flags, "ferry verify", (target, stateDb) =>
    withSignals(async ({ soft: signal }) => {
      const { source: uri } = resolveSettings(flags, ["source"]);
      const source = await connectMongo(uri, { appName: "ferry verify" });
      try {
        const captures = new CaptureStore(target, stateDb, "", 0);
        const record = await readRun(captures);
        const store = new VerificationStore(target, stateDb);
        await store.prepare();
        const applied = async (): Promise<bigint | undefined> => {
          const now = await captures.read();
          return now === undefined ? undefined : tokenTime(now.token);
        };
        const pairs = pairsOf(record, flags, {
          source,
          target,
          letters: new DeadLetterStore(target, stateDb),
          applied,
        });
        if (pairs.length === 0)
          throw new FerryError("FERRY_USAGE", "nothing that is carried fits --include and --exclude");
        const results: PassResult[] = [];
        for (const pair of pairs) {
          const result = await new Verification(pair, depsOf(store, signal)).pass();
          if (flags.json !== true) print(lines(result).join("\n"));
          results.push(result);
        }
        if (flags.json === true) printJson(results.map(facts));
        conclude(results);
      } finally {
        await source.close();
      }
    }),
  );

const depsOf = (store: VerificationStore, signal: AbortSignal): VerificationDeps => ({
  store,
  clock: systemClock,
  signal,
  onRetry: ({ detail }, attempt) => {
    if (attempt === 3) plainLogger.warn({ stage: "verify" }, `${detail}; trying again`);
  },
  onProgress: () => undefined,
  readers: READERS,
  graceMs: PATIENCE_MS,
  patienceMs: PATIENCE_MS,
});

const timeText = (at: bigint): string => new Date(secondsOf(at) * 1000).toISOString();

/** Buckets are told by the name of their time series. */
const nameOf = ({ route }: PassResult): string => {
  const series = seriesOf(parseNamespace(route));
  return series === undefined ? route : `${series.db}.${series.coll} (buckets)`;
};

const lines = (result: PassResult): string[] => {
  const { documents, wrong, excused, behind, at, examples } = result;
  const notes = [
    wrong === 0 ? "all equal" : `${count(wrong)} wrong`,
    ...(excused === 0 ? [] : [`${count(excused)} in the dead letters`]),
    ...(behind === 0 ? [] : [`${count(behind)} behind`]),
  ];
  return [
    `${nameOf(result)}: ${count(documents)} documents compared, ${notes.join(", ")}; the source as of ${timeText(at)}`,
    ...examples.map(({ key, kind, difference }) => {
      const how = difference === undefined ? "" : `, ${difference.kind} at ${difference.path || "the document itself"}`;
      return `  ${bsonText(key)} ${kind}${how}`;
    }),
    ...(wrong > examples.length ? [`  … and ${count(wrong - examples.length)} more`] : []),
  ];
};

const facts = ({ examples, at, ...rest }: PassResult): object => ({
  ...rest,
  sourceTime: timeText(at),
  examples: examples.map(({ key, kind, difference, since }) => ({
    key: JSON.parse(bsonText(key)),
    kind,
    ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
    since: timeText(since),
  })),
});

/** @throws FERRY_VERIFY_WRONG, FERRY_VERIFY_BEHIND */
const conclude = (results: readonly PassResult[]): void => {
  const wrong = results.reduce((sum, result) => sum + result.wrong, 0);
  const behind = results.reduce((sum, result) => sum + result.behind, 0);
  if (wrong > 0) throw new FerryError("FERRY_VERIFY_WRONG", `${count(wrong)} documents`);
  if (behind > 0) throw new FerryError("FERRY_VERIFY_BEHIND", `${count(behind)} documents`);
};
