import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { hostname } from "node:os";
import type { Command } from "commander";
import { DeadLetterStore, type LetterFilter } from "#apply/deadletter/deadLetterStore.ts";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import { requireCode } from "#base/config/acceptedCodes.ts";
import { resolveCarrying } from "#base/config/carrying.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readable } from "#io/wire/readable.ts";
import { awaitDecided, awaitWorker, type Decided } from "#process/report/decisions.ts";
import { identityOfText, keyText } from "#process/report/keyOfText.ts";
import { clashKey, letterFacts } from "#process/report/letterFacts.ts";
import { decideLetters, type LetterVerdict } from "#process/steer/decideLetters.ts";
import { type ReplayAloneDeps, replayAlone } from "#process/worker/replayAlone.ts";
import { readSeenRun } from "#source/capture/captureLifecycle.ts";
import { print, printData, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { openLogger } from "#surface/terminal/textLogger.ts";
import { table } from "#surface/terminal/textTable.ts";
import { cliAuthor } from "../cliAuthor.ts";
import { type Flags, wholeNumber, withConnections, withState } from "../connections.ts";
import { VERSION } from "../version.ts";
import { parseWorkerOptions } from "../workerFlags.ts";

type DlqFlags = Flags &
  Readonly<{
    reason?: string;
    route?: string;
    key?: string;
    limit?: string;
    all?: boolean;
    waitSeconds: string;
    config?: string;
    out?: string;
  }>;

const DEFAULT_LIMIT = 100;
const EVERYTHING = 1_000_000;

/** `ferry dlq list | show | replay | discard | export`: events that could not be applied, and the decisions on them. */
export const registerDlq = (command: Command): void => {
  const add = (usage: string, description: string): Command =>
    withConnections(command.command(usage).description(description), ["target", "state"]);
  const selecting = (command: Command): Command =>
    command
      .option("--reason <code>", "only letters with this code")
      .option("--route <name>", "only letters of this route")
      .option("--key <id>", "only letters of this _id, as extended JSON")
      .option("--all", "all letters");

  selecting(add("list", "list dead letters, oldest position first"))
    .option("--limit <n>", "show at most this many", String(DEFAULT_LIMIT))
    .action((flags: DlqFlags) => withStore(flags, (store) => list(store, flags)));
  add("show", "show one letter with its record")
    .argument("<id>", "route/partition/offset")
    .action((id: string, flags: DlqFlags) => withStore(flags, (store) => show(store, id, flags)));
  for (const [verb, description] of [
    ["replay", "apply letters again, in order per key; later changes that waited for them follow"],
    ["discard", "drop letters permanently; later changes that waited for them are applied"],
  ] as const)
    selecting(add(verb, description))
      .argument("[ids...]", "route/partition/offset")
      .option("--config <file>", "routes and their rules, as in the run (default: ferry.yaml here, if it exists)")
      .option("--wait-seconds <n>", "how long to wait for a worker, seconds", "60")
      .action((ids: string[], flags: DlqFlags) =>
        withStore(flags, (store, state) => decide(verb, { store, state, ids, flags })),
      );
  selecting(add("export", "write letters as lines of JSON, raw records in base64"))
    .option("--out <file>", "output file (default: standard output)")
    .action((flags: DlqFlags) => withStore(flags, (store) => exportLetters(store, flags)));
};

const withStore = (flags: DlqFlags, work: (store: DeadLetterStore, state: StateDb) => Promise<void>): Promise<void> =>
  withState(flags, "ferry dlq", (state) => work(new DeadLetterStore(state), state));

/** @throws FERRY_USAGE for a key that is not extended JSON, or a reason that is not a code */
const filterOf = ({ reason, route, key }: DlqFlags, ids: readonly string[] = []): LetterFilter => {
  if (reason !== undefined) requireCode("--reason", reason);
  return {
    ...(ids.length === 0 ? {} : { ids }),
    route,
    code: reason,
    identity: key === undefined ? undefined : identityOfText(key),
  };
};

const letterKey = ({ documentKey }: DeadLetterRecord): string =>
  documentKey === null ? "no key" : keyText(documentKey.buffer);

/** A clash's other document is named: the two of them are what has to be decided on. */
const reasonText = (letter: DeadLetterRecord): string => {
  const other = clashKey(letter);
  return other === null
    ? letter.reason
    : `${letter.reason}: the value of ${letter.clash?.index} is that of _id ${other}`;
};

const list = async (store: DeadLetterStore, flags: DlqFlags): Promise<void> => {
  const limit = wholeNumber("--limit", flags.limit ?? String(DEFAULT_LIMIT));
  const letters = await store.list(filterOf(flags), limit);
  if (flags.json === true) return printData(JSON.stringify(letters.map(letterFacts)));
  if (letters.length === 0) return print("no dead letters");
  const total = letters.length < limit ? letters.length : await store.count(filterOf(flags));
  print(
    table(
      letters.map((letter) => [
        letter._id,
        letterKey(letter),
        letter.code,
        `${letter.attempts}×`,
        letter.state,
        reasonText(letter),
      ]),
    ),
  );
  if (total > letters.length)
    print(
      `${letters.length} of ${total} dead letters are shown, the oldest positions first; --limit ${total} shows all`,
    );
};

const show = async (store: DeadLetterStore, id: string, flags: DlqFlags): Promise<void> => {
  const [letter] = await store.list({ ids: [id] }, 1);
  if (letter === undefined)
    throw new FerryError("FERRY_USAGE", `there is no dead letter ${id}; \`ferry dlq list\` shows them`);
  const raw = await store.raw(id);
  const value = raw === null ? null : readable(raw);
  if (flags.json === true) return printData(JSON.stringify({ ...letterFacts(letter), value }));
  const lines = Object.entries(letterFacts(letter)).map(([name, fact]) => [
    name,
    typeof fact === "string" ? fact : JSON.stringify(fact),
  ]);
  printData(`${table(lines)}\n\n${value ?? "(no value)"}`);
};

type Decision = Readonly<{
  store: DeadLetterStore;
  state: StateDb;
  ids: readonly string[];
  flags: DlqFlags;
}>;

const decide = async (verb: LetterVerdict, { store, state, ids, flags }: Decision): Promise<void> => {
  const waitMs = wholeNumber("--wait-seconds", flags.waitSeconds, { min: 0 }) * 1000;
  const choice = { ...filterOf(flags, ids), all: flags.all === true };
  const chosen = await decideLetters(verb, choice, { state, by: cliAuthor() });
  const carriedOut = (): Promise<Decided> => awaitDecided(chosen, { store, state, clock: systemClock, waitMs });
  let found = await carriedOut();
  const run = await readSeenRun(state);
  if (found.workers === 0 && found.open > 0 && run?.record.mode === "direct" && !run.owned) {
    const carried = async (): Promise<void> => {
      await awaitWorker({ state, clock: systemClock, waitMs });
      found = await carriedOut();
    };
    const deps = await aloneDeps(flags);
    await withSignals(({ hard }) => replayAlone({ ...deps, state, hard }, run.record, chosen, carried));
  }
  if (flags.json === true) printJson({ verb, ...found });
  else print(outcome(verb, found));
  if (found.refused.length > 0) process.exitCode = 76;
  else if (found.open > 0) process.exitCode = 75;
};

/** Decisions are executed by this process itself if no other process is there to do it. */
const aloneDeps = async (flags: DlqFlags): Promise<Omit<ReplayAloneDeps, "state" | "hard">> => {
  const { routes, ddl } = await readConfig(flags.config);
  const { target, state, stateDb, group } = resolveCarrying(flags, routes, []);
  const host = hostname();
  return {
    settings: { target, state, stateDb, group },
    options: parseWorkerOptions({}),
    ...{ routes, ddl, host },
    logger: openLogger("warn", undefined),
    clock: systemClock,
    workerId: `dlq-${host}-${process.pid}`,
    version: VERSION,
  };
};

const outcome = (verb: string, { done, refused, open, workers }: Decided): string =>
  [
    `${done} ${verb === "replay" ? "replayed" : "discarded"}`,
    ...refused.map(({ id, code, reason }) => `still dead: ${id}  ${code}: ${reason}`),
    ...(open === 0
      ? []
      : [
          `${open} noted and not done yet${workers === 0 ? ": no worker runs" : "; earlier letters of the same key may block them"}`,
        ]),
  ].join("\n");

const exportLetters = async (store: DeadLetterStore, flags: DlqFlags): Promise<void> => {
  const out = flags.out === undefined ? process.stdout : createWriteStream(flags.out);
  if (out !== process.stdout) await once(out, "open"); // or its error, before anything is read
  for (const letter of await store.list(filterOf(flags), EVERYTHING)) {
    const raw = await store.raw(letter._id);
    const line = {
      ...letterFacts(letter),
      recordKey: letter.recordKey === null ? null : Buffer.from(letter.recordKey.buffer).toString("base64"),
      raw: raw === null ? null : Buffer.from(raw).toString("base64"),
    };
    if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, "drain");
  }
  if (out !== process.stdout) {
    out.end();
    await once(out, "finish");
  }
};
