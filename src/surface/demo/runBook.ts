import { fileURLToPath } from "node:url";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { Collection, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { compareBytes } from "./compareBytes.ts";
import type { Said } from "./runFerry.ts";

/** What the steps work with. */
export type Demo = Readonly<{
  source: MongoClient;
  target: MongoClient;
  kafka: string;
  signal: AbortSignal;
  /** Runs `ferry ARGS` and shows it; of long output only the beginning and the end. */
  ferry: (...args: string[]) => Promise<Said>;
  /** Starts `ferry ARGS`, which stays until the demo ends. */
  start: (...args: string[]) => void;
  /** Shows a line, as typed into a database's shell. */
  show: (line: string) => void;
}>;

export type DemoOutcome = Readonly<{ ok: boolean; seen: string }>;

/** One thing that the run book does, and what it promises then. */
export type DemoStep = Readonly<{ title: string; expected: string; act: (demo: Demo) => Promise<DemoOutcome> }>;

/** The user's own connector file, as it is. */
const CONNECTOR_FILE = fileURLToPath(new URL("../../../deploy/kafka-source-connect.json", import.meta.url));
const CONNECTOR = "mongo-source-connect";
const TOPIC = "test.users";
const GENERATED = 100;
/** How long a record may take to arrive, ms. It takes milliseconds; this is for a machine that is busy otherwise. */
export const PATIENCE_MS = 60_000;

/** Without `_id`: the driver gives it an ObjectId, where the generated people have numbers. `sex` is the new field. */
export const NEWCOMER = { firstname: "duc", lastname: "nguyen", age: 22, email: "itsme@gmail.com", sex: "female" };

export const users = (client: MongoClient): Collection => client.db("test").collection("users");

const countIs = async (demo: Demo, side: "source" | "target", expected: number): Promise<DemoOutcome> => {
  demo.show(`mongo-${side}> db.users.countDocuments()`);
  const seen = await waitFor(
    async () => {
      const found = await translated(`counting on mongo-${side}`, () => users(demo[side]).countDocuments());
      return found === expected ? { done: found } : { seen: `${found} documents on mongo-${side}` };
    },
    {
      what: `${expected} documents on mongo-${side}`,
      clock: systemClock,
      timeoutMs: PATIENCE_MS,
      signal: demo.signal,
    },
  );
  demo.show(String(seen));
  return { ok: true, seen: String(seen) };
};

/** Does the output hold each of these? What is missing is what was seen instead. */
export const holds = ({ code, output }: Said, ...wanted: readonly (string | RegExp)[]): DemoOutcome => {
  const missing = wanted.filter((one) => (typeof one === "string" ? !output.includes(one) : !one.test(output)));
  if (code !== 0) return { ok: false, seen: `exit status ${code}: ${output.trim().split("\n").slice(-4).join(" ")}` };
  return missing.length === 0
    ? { ok: true, seen: wanted.join(", ") }
    : { ok: false, seen: `no ${missing.join(", no ")} in its output` };
};

const endOf = (offset: number): string => `% Reached end of topic ${TOPIC} [0] at offset ${offset}`;

const topicEndsAt = async (demo: Demo, offset: number): Promise<void> => {
  await using kafka = new KafkaClient({ bootstrap: demo.kafka, clientId: "ferry-demo", group: "ferry-demo" });
  await waitFor(
    async () => {
      const [end] = await kafka.offsets(TOPIC, "latest");
      return end === offset ? { done: end } : { seen: `${TOPIC} [0] ends at offset ${end}` };
    },
    { what: endOf(offset), clock: systemClock, timeoutMs: PATIENCE_MS, signal: demo.signal },
  );
};

/** The run book, line by line; bringing the servers up is the step before these. */
export const RUN_BOOK: readonly DemoStep[] = [
  {
    title: "Generate data for mongo-source",
    expected: "Data inserted successfully!",
    act: async (demo) =>
      holds(await demo.ferry("gen-data", "--count", String(GENERATED)), "Data inserted successfully!"),
  },
  {
    title: "Count them",
    expected: `${GENERATED} on mongo-source`,
    act: (demo) => countIs(demo, "source", GENERATED),
  },
  {
    title: "Start the source connector, with the connector file as it is",
    expected: `${CONNECTOR} is RUNNING`,
    act: async (demo) => holds(await demo.ferry("cx", CONNECTOR_FILE), `${CONNECTOR} is RUNNING`),
  },
  {
    title: "Monitor the status of the source connector",
    expected: "its topics, and connector and task RUNNING",
    act: async (demo) =>
      holds(
        await demo.ferry("status"),
        ...["status", "offsets", "configs"].map((what) => `"topic": "docker-connect-${what}"`),
        '"topic": "__consumer_offsets"',
        `"topic": "${TOPIC}"`,
        /source +\| +mongo-source-connect +\| +RUNNING +\| +RUNNING +\| +com\.mongodb\.kafka\.connect\.MongoSourceConnector/,
        `[\n  "${CONNECTOR}"\n]`,
      ),
  },
  {
    title: `Monitor topic ${TOPIC}`,
    expected: endOf(GENERATED),
    act: async (demo) => {
      await topicEndsAt(demo, GENERATED);
      return holds(await demo.ferry("kc", TOPIC, "--end"), endOf(GENERATED));
    },
  },
  {
    title: "Check that the workers wrote to mongo-target",
    expected: `${GENERATED} on mongo-target`,
    act: (demo) => countIs(demo, "target", GENERATED),
  },
  {
    title: "Add a record with the new field to mongo-source",
    expected: "acknowledged, with an ObjectId as _id",
    act: async (demo) => {
      demo.show(`mongo-source> db.users.insertOne(${JSON.stringify(NEWCOMER)})`);
      const done = await translated("inserting on mongo-source", () => users(demo.source).insertOne({ ...NEWCOMER }));
      const seen = `acknowledged: ${done.acknowledged}, insertedId: ObjectId('${done.insertedId.toHexString()}')`;
      demo.show(seen);
      return { ok: done.acknowledged, seen };
    },
  },
  {
    title: "Check Kafka's offset",
    expected: endOf(GENERATED + 1),
    act: async (demo) => {
      await topicEndsAt(demo, GENERATED + 1);
      return holds(await demo.ferry("status"), endOf(GENERATED + 1));
    },
  },
  {
    title: "Check that mongo-target is in sync with the new data",
    expected: `${GENERATED + 1} on mongo-target`,
    act: (demo) => countIs(demo, "target", GENERATED + 1),
  },
  {
    title: "Compare both collections byte for byte",
    expected: `${GENERATED + 1} equal documents`,
    act: async (demo) => {
      const { source, target, different, sha256 } = await compareBytes(users(demo.source), users(demo.target));
      const seen = `${source} on mongo-source, ${target} on mongo-target, ${different} different, sha256 ${sha256}`;
      demo.show(seen);
      return { ok: different === 0 && source === GENERATED + 1, seen };
    },
  },
  {
    title: "See what the drift ledger says of the new field",
    expected: "sex (string), a new field, passed",
    act: async (demo) => holds(await demo.ferry("drift"), /sex \(string\) +new field +pass +1×/),
  },
];
