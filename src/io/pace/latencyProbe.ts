/**
 * A thread that asks the target for one small majority write again and again, and tells how long each took: what a
 * service of the target waits for. In a thread of its own, since the worker's own turns would count as the target's time.
 */
import { openMongo } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { timedAgain, told } from "./timedAgain.ts";

export type ProbeData = Readonly<{ uri: string; stateDb: string; workerId: string }>;

const { uri, stateDb, workerId } = told<ProbeData>();
const client = openMongo(uri, { appName: `${workerId}-probe`, maxPoolSize: 1 });
const probes = new StateDb(client, stateDb).collection<{ _id: string; n: number }>("probes");

await timedAgain(() => probes.updateOne({ _id: workerId }, { $inc: { n: 1 } }, { upsert: true }));
