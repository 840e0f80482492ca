import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import {
  AdminCreateUserCommand,
  AdminDeleteUserCommand,
  AdminEnableUserCommand,
  AdminListGroupsForUserCommand,
  AdminUpdateUserAttributesCommand,
  CognitoIdentityProviderClient,
  CreateGroupCommand,
  CreateUserPoolCommand,
  type CreateUserPoolCommandInput,
  ListUsersCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { freePort } from "#tools/stack/ports.ts";
import { Server } from "#tools/stack/server.ts";
import { bareEnvironment } from "../ferry.ts";
import { removeFolder, tempFolder } from "../folders.ts";
import { CognitoProxy } from "./cognitoProxy.ts";

const START = join(createRequire(import.meta.url).resolve("cognito-local"), "..", "bin", "start.js");

/** What the AWS SDK needs, and cognito-local does not look at. */
export const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
  AWS_EC2_METADATA_DISABLED: "true",
} as const;

/** A user as a test compares it; `sub` left out. */
export type SeenUser = Readonly<{ enabled: boolean; attributes: Readonly<Record<string, string>> }>;

/**
 * cognito-local, which answers as Amazon Cognito over HTTP, behind a proxy that adds what it lacks. Its caller disposes of it.
 */
export class CognitoServer implements AsyncDisposable {
  readonly proxy: CognitoProxy;
  readonly #server: Server;
  readonly #folder: string;
  readonly #direct: CognitoIdentityProviderClient;

  private constructor(server: Server, proxy: CognitoProxy, folder: string, endpoint: string) {
    this.#server = server;
    this.proxy = proxy;
    this.#folder = folder;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.#direct = new CognitoIdentityProviderClient({ endpoint, region: "local", credentials });
  }

  static async start(): Promise<CognitoServer> {
    const folder = tempFolder().path;
    // By default its pools sign in by e-mail address.
    mkdirSync(join(folder, ".cognito"));
    writeFileSync(
      join(folder, ".cognito", "config.json"),
      JSON.stringify({ UserPoolDefaults: { UsernameAttributes: [] } }),
    );
    const port = await freePort();
    const endpoint = `http://${LOOPBACK}:${port}`;
    const answers = async (): Promise<true | string> => {
      const answer = await fetch(`${endpoint}/health`).catch(() => undefined);
      return answer?.ok === true ? true : "no answer yet";
    };
    const server = new Server({
      name: "cognito-local",
      command: process.execPath,
      args: [START],
      env: { ...bareEnvironment(CREDENTIALS), PORT: String(port), HOST: LOOPBACK },
      cwd: folder,
      logFile: join(folder, "cognito.log"),
      ports: [port],
      ready: answers,
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 5000,
    });
    await server.start();
    return new CognitoServer(server, await CognitoProxy.start(port), folder, endpoint);
  }

  /** Where ferry is sent: the proxy. */
  get endpoint(): string {
    return this.proxy.endpoint;
  }

  /** @returns its id */
  async createPool(more: Partial<CreateUserPoolCommandInput> = {}): Promise<string> {
    const { UserPool } = await this.#direct.send(new CreateUserPoolCommand({ PoolName: "test", ...more }));
    return UserPool?.Id ?? "";
  }

  async createGroup(UserPoolId: string, GroupName: string): Promise<void> {
    await this.#direct.send(new CreateGroupCommand({ UserPoolId, GroupName }));
  }

  /** Names, sorted. */
  async groupsOf(UserPoolId: string, Username: string): Promise<readonly string[]> {
    const { Groups = [] } = await this.#direct.send(new AdminListGroupsForUserCommand({ UserPoolId, Username }));
    return Groups.flatMap(({ GroupName }) => GroupName ?? []).sort();
  }

  /** All users of a pool, by username. cognito-local lists all on one page. */
  async users(pool: string): Promise<Readonly<Record<string, SeenUser>>> {
    const { Users = [] } = await this.#direct.send(new ListUsersCommand({ UserPoolId: pool }));
    const users = Users.map(({ Username = "", Enabled = true, Attributes = [] }): [string, SeenUser] => {
      const attributes = Attributes.flatMap(({ Name = "", Value = "" }) => (Name === "sub" ? [] : [[Name, Value]]));
      return [Username, { enabled: Enabled, attributes: Object.fromEntries(attributes) }];
    });
    return Object.fromEntries(users);
  }

  /** What others do to users of a pool: past the proxy. */
  async create(UserPoolId: string, Username: string): Promise<void> {
    await this.#direct.send(new AdminCreateUserCommand({ UserPoolId, Username, MessageAction: "SUPPRESS" }));
  }

  async change(UserPoolId: string, Username: string, attributes: Readonly<Record<string, string>>): Promise<void> {
    const UserAttributes = Object.entries(attributes).map(([Name, Value]) => ({ Name, Value }));
    await this.#direct.send(new AdminUpdateUserAttributesCommand({ UserPoolId, Username, UserAttributes }));
  }

  async enable(UserPoolId: string, Username: string): Promise<void> {
    await this.#direct.send(new AdminEnableUserCommand({ UserPoolId, Username }));
  }

  async remove(UserPoolId: string, Username: string): Promise<void> {
    await this.#direct.send(new AdminDeleteUserCommand({ UserPoolId, Username }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#direct.destroy();
    await this.proxy[Symbol.asyncDispose]();
    await this.#server.stop();
    removeFolder(this.#folder);
  }
}
