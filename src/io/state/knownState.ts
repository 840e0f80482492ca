import { DEFAULT_STATE_DB } from "#base/config/settings.ts";
import { nearest } from "#base/config/suggest.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { StateDb } from "./stateDb.ts";

const meant = (word: string, known: readonly string[]): string => {
  const close = nearest(word, known);
  return close === undefined ? "" : `; did you mean ${close}?`;
};

/** Databases of a deployment that have ferry's state, as far as this user may see them. @throws FERRY_MONGO_* */
export const databasesWithState = (client: MongoClient): Promise<readonly string[]> =>
  translated("looking for ferry's state", async () => {
    const { databases } = await client.db("admin").admin().listDatabases({ nameOnly: true, authorizedDatabases: true });
    const looked = await Promise.all(
      databases.map(async ({ name }) => ((await new StateDb(client, name).hasState()) ? [name] : [])),
    );
    return looked.flat();
  });

/**
 * Refuses a database without ferry's state, where an empty answer would look as if all were well. The default is not there
 * before anything ran; a name of one's own is a claim that it is.
 * @throws FERRY_USAGE with the databases that have it, as far as this user may see them; FERRY_MONGO_*
 */
export const requireState = (state: StateDb): Promise<void> =>
  translated("looking for ferry's state", async () => {
    const { client, name: stateDb } = state;
    if (stateDb === DEFAULT_STATE_DB || (await state.hasState())) return;
    const known = await databasesWithState(client);
    const others = known.length === 0 ? "no other has any" : `it is in ${known.join(", ")}${meant(stateDb, known)}`;
    throw new FerryError("FERRY_USAGE", `there is no state of ferry in database ${stateDb} (--state-db); ${others}`);
  });

/** Refuses the name of a route that has never run. @throws FERRY_USAGE with the names that have; FERRY_MONGO_* */
export const requireRoute = (state: StateDb, route: string | undefined): Promise<void> =>
  translated("looking for the route", async () => {
    if (route === undefined) return;
    const [begun, owned] = [
      await state.collection("runs").distinct("_id"),
      await state.collection("partitions").distinct("route"),
    ];
    const known = [...new Set([...begun, ...owned].map(String))].sort();
    if (known.includes(route)) return;
    const others = known.length === 0 ? "none has run yet" : `there are ${known.join(", ")}${meant(route, known)}`;
    throw new FerryError("FERRY_USAGE", `no route ${route} has run; ${others}`);
  });
