/**
 * A thread that reads one document of the source again and again, and tells how long each read took: what a service of the
 * source waits for. It never writes there. In a thread of its own, since the copy's own turns would count as the source's time.
 */
import type { Namespace } from "#base/flow/types.ts";
import { openMongo, type ReadPreferenceMode } from "#io/mongo/connect.ts";
import { timedAgain, told } from "./timedAgain.ts";

export type SourceProbeData = Readonly<{
  uri: string;
  appName: string;
  ns: Namespace;
  readPreference: ReadPreferenceMode;
}>;

const { uri, appName, ns, readPreference } = told<SourceProbeData>();
const client = openMongo(uri, { appName, maxPoolSize: 1, readPreference });
const documents = client.db(ns.db).collection(ns.coll);

await timedAgain(() => documents.findOne({}, { projection: { _id: 1 }, raw: true }));
