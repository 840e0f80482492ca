import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { translated } from "#io/mongo/errors.ts";
import { CognitoAccount } from "#sink/cognito/cognitoAccount.ts";
import { type NamedUser, UserPool } from "#sink/cognito/userPool.ts";
import { ANY_CREDENTIALS, startCognitoLocal } from "#tools/stack/cognitoLocal.ts";
import { type Demo, type DemoOutcome, type DemoStep, NEWCOMER, PATIENCE_MS, users } from "./runBook.ts";

/** A user pool of the demo's own, and the file whose route leads to it. */
export type DemoPool = AsyncDisposable &
  Readonly<{
    config: string;
    users: () => Promise<readonly NamedUser[]>;
  }>;

const REGION = "local";

const routeTo = (userPoolId: string, endpoint: string): string => `routes:
  - name: users-to-cognito
    from: test.users
    to:
      cognito:
        userPoolId: ${userPoolId}
        region: ${REGION}
        endpoint: ${endpoint}
        username: user-{_id}
        attributes: { email: email, given_name: firstname, family_name: lastname }
    fields: { deny: [age, sex] }
`;

const createPool = async (endpoint: string): Promise<string> => {
  const { CognitoIdentityProviderClient, CreateUserPoolCommand } = await import(
    "@aws-sdk/client-cognito-identity-provider"
  );
  const client = new CognitoIdentityProviderClient({ endpoint, region: REGION });
  const { UserPool: created } = await client.send(new CreateUserPoolCommand({ PoolName: "ferry-demo" }));
  client.destroy();
  return created?.Id ?? "";
};

/** An empty pool of cognito-local, in a folder of the demo's. @throws FERRY_USAGE where cognito-local is not installed */
export const openDemoPool = async (home: string, signal: AbortSignal): Promise<DemoPool> => {
  const folder = join(home, "cognito");
  Object.assign(process.env, ANY_CREDENTIALS); // of the emulator's: a demo uses none of the user's own
  mkdirSync(folder, { recursive: true });
  const { endpoint, ...server } = await startCognitoLocal(folder);
  const id = await createPool(endpoint);
  const config = join(folder, "ferry.yaml");
  writeFileSync(config, routeTo(id, endpoint));
  const account = new CognitoAccount({ region: REGION, endpoint }, systemClock);
  const pool = new UserPool(account, id, { signal, onRetry: () => undefined });
  return {
    config,
    users: async () => (await Array.fromAsync(pool.list())).flat(),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

/** Fields of the run book's users that stay out of the pool. */
const KEPT_OUT = ["age", "sex"];

const countInPool = (pool: DemoPool, wanted: number, signal: AbortSignal): Promise<readonly NamedUser[]> =>
  waitFor(
    async () => {
      const found = await pool.users();
      return found.length === wanted ? { done: found } : { seen: `${found.length} users in the pool` };
    },
    { what: `${wanted} users in the pool`, clock: systemClock, timeoutMs: PATIENCE_MS, signal },
  );

const compareBoth = async (demo: Demo, pool: DemoPool): Promise<DemoOutcome> => {
  const documents = await translated("counting on mongo-target", () => users(demo.target).find().toArray());
  const inPool = await countInPool(pool, documents.length, demo.signal);
  const whole = documents.filter((one) => KEPT_OUT.some((field) => field in one)).length;
  const leaked = inPool.filter(({ attributes }) =>
    KEPT_OUT.some((name) => attributes.has(name) || attributes.has(`custom:${name}`)),
  );
  const newcomer = inPool.find(({ attributes }) => attributes.get("email") === NEWCOMER.email);
  demo.show(`user pool> ${JSON.stringify(Object.fromEntries(newcomer?.attributes ?? []))}`);
  const seen = `${documents.length} on mongo-target, ${whole} of them with ${KEPT_OUT.join(" or ")}; ${inPool.length} in the pool, ${leaked.length} with these`;
  return { ok: whole === documents.length && leaked.length === 0 && newcomer !== undefined, seen };
};

/** After the run book: the same topic feeds a user pool as well. */
export const poolSteps = (pool: DemoPool): readonly DemoStep[] => [
  {
    title: "Send the same users to a Cognito user pool, without age and sex",
    expected: "101 on mongo-target with all fields, and 101 in the pool without age and sex",
    act: (demo) => {
      // Of a state and a group of its own: the stack's workers know no routes.
      const own = ["--state-db", "ferry_pool", "--group", "ferry-pool", "--log-level", "error"];
      demo.start("worker", "--config", pool.config, ...own);
      return compareBoth(demo, pool);
    },
  },
];
