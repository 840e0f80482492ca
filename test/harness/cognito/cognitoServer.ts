import {
  AdminCreateUserCommand,
  AdminDeleteUserCommand,
  AdminEnableUserCommand,
  AdminInitiateAuthCommand,
  AdminListGroupsForUserCommand,
  AdminRemoveUserFromGroupCommand,
  AdminUpdateUserAttributesCommand,
  CognitoIdentityProviderClient,
  CreateGroupCommand,
  CreateUserPoolClientCommand,
  CreateUserPoolCommand,
  type CreateUserPoolCommandInput,
  ListUsersCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { type CognitoLocal, startCognitoLocal } from "#tools/stack/cognitoLocal.ts";
import { bareEnvironment } from "../ferry.ts";
import { removeFolder, tempFolder } from "../folders.ts";
import { CognitoProxy } from "./cognitoProxy.ts";

/** A user as a test compares it; `sub` left out. */
export type SeenUser = Readonly<{ enabled: boolean; attributes: Readonly<Record<string, string>> }>;

/**
 * cognito-local, which answers as Amazon Cognito over HTTP, behind a proxy that adds what it lacks. Its caller disposes of it.
 */
export class CognitoServer implements AsyncDisposable {
  readonly proxy: CognitoProxy;
  readonly #server: CognitoLocal;
  readonly #folder: string;
  readonly #direct: CognitoIdentityProviderClient;

  private constructor(server: CognitoLocal, proxy: CognitoProxy, folder: string) {
    this.#server = server;
    this.proxy = proxy;
    this.#folder = folder;
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.#direct = new CognitoIdentityProviderClient({ endpoint: server.endpoint, region: "local", credentials });
  }

  static async start(): Promise<CognitoServer> {
    const folder = tempFolder().path;
    const server = await startCognitoLocal(folder, bareEnvironment());
    return new CognitoServer(server, await CognitoProxy.start(server.port), folder);
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

  async leaveGroup(UserPoolId: string, Username: string, GroupName: string): Promise<void> {
    await this.#direct.send(new AdminRemoveUserFromGroupCommand({ UserPoolId, Username, GroupName }));
  }

  /** Can a user sign in with a password that need not be changed? */
  async signsIn(UserPoolId: string, USERNAME: string, PASSWORD: string): Promise<boolean> {
    const { UserPoolClient } = await this.#direct.send(
      new CreateUserPoolClientCommand({ UserPoolId, ClientName: "test" }),
    );
    const { AuthenticationResult } = await this.#direct.send(
      new AdminInitiateAuthCommand({
        UserPoolId,
        ClientId: UserPoolClient?.ClientId,
        AuthFlow: "ADMIN_USER_PASSWORD_AUTH",
        AuthParameters: { USERNAME, PASSWORD },
      }),
    );
    return AuthenticationResult?.AccessToken !== undefined;
  }

  async remove(UserPoolId: string, Username: string): Promise<void> {
    await this.#direct.send(new AdminDeleteUserCommand({ UserPoolId, Username }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#direct.destroy();
    await this.proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
    removeFolder(this.#folder);
  }
}
