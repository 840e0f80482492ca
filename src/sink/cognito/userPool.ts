import type { AttributeType, UserPoolType, UserStatusType } from "@aws-sdk/client-cognito-identity-provider";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Caller, CognitoAccount, Send } from "./cognitoAccount.ts";
import { isAnswer } from "./cognitoErrors.ts";
import { LONGEST_VALUE } from "./poolRules.ts";
import type { QuotaClass } from "./quota.ts";

/** Attributes of a user, by name. */
export type Attributes = ReadonlyMap<string, string>;

/** A user as the pool has it. */
export type PoolUser = Readonly<{
  sub: string;
  enabled: boolean;
  attributes: Attributes;
  /** False: it was created without one, and has not chosen one. */
  hasPassword: boolean;
}>;

/** The same with its username. */
export type NamedUser = PoolUser & Readonly<{ username: string }>;

const listOf = (attributes: Attributes): AttributeType[] => [...attributes].map(([Name, Value]) => ({ Name, Value }));

const mapOf = (attributes: readonly AttributeType[] | undefined): Attributes =>
  new Map((attributes ?? []).map(({ Name = "", Value = "" }) => [Name, Value]));

const subOf = (attributes: Attributes): string => attributes.get("sub") ?? "";

type FoundUser = Readonly<{
  Enabled?: boolean | undefined;
  UserStatus?: UserStatusType | undefined;
  Attributes?: readonly AttributeType[] | undefined;
}>;

const userOf = ({ Enabled, UserStatus, Attributes }: FoundUser): PoolUser => {
  const attributes = mapOf(Attributes);
  const hasPassword = UserStatus !== "FORCE_CHANGE_PASSWORD";
  return { sub: subOf(attributes), enabled: Enabled !== false, attributes, hasPassword };
};

/** An error of the SDK whose words repeat the secret keeps its name only: its words come into logs and dead letters. */
const withoutSecret = (error: unknown, secret: string): unknown => {
  if (!(error instanceof Error) || !error.message.includes(secret)) return error;
  const { $metadata } = error as Error & { $metadata?: object };
  return Object.assign(new Error(), { name: error.name, $metadata });
};

/** Most users, or groups, that Cognito lists at a time, and most attributes that it adds. */
const PAGE = 60;
const MOST_ADDED = 25;

/** The calls that ferry makes to one pool. Every method throws what `CognitoAccount.call` throws. */
export class UserPool {
  readonly id: string;
  readonly #account: CognitoAccount;

  readonly #caller: Caller;

  constructor(account: CognitoAccount, id: string, caller: Caller) {
    this.#account = account;
    this.id = id;
    this.#caller = caller;
  }

  #call<T>(quota: QuotaClass, what: string, send: Send<T>): Promise<T> {
    return this.#account.call(quota, what, send, this.#caller);
  }

  /** @throws FERRY_COGNITO_POOL where there is none of this id */
  async describe(): Promise<UserPoolType> {
    const { UserPool } = await this.#call("UserPoolRead", `reading pool ${this.id}`, (sdk, client, options) =>
      client.send(new sdk.DescribeUserPoolCommand({ UserPoolId: this.id }), options),
    );
    if (UserPool === undefined) throw new FerryError("FERRY_COGNITO_POOL", `there is no pool ${this.id}`);
    return UserPool;
  }

  /** Names of its groups. */
  async groups(): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const input = { UserPoolId: this.id, Limit: PAGE, ...(token === undefined ? {} : { NextToken: token }) };
      const page = await this.#call("UserPoolResourceRead", `listing groups of ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.ListGroupsCommand(input), options),
      );
      names.push(...(page.Groups ?? []).flatMap(({ GroupName }) => GroupName ?? []));
      token = page.NextToken;
    } while (token !== undefined);
    return names;
  }

  /** Custom attributes for texts of any length that may be changed. @param names without `custom:` */
  async addAttributes(names: readonly string[]): Promise<void> {
    const CustomAttributes = names.map((Name) => ({
      ...({ Name, AttributeDataType: "String", Mutable: true } as const),
      StringAttributeConstraints: { MinLength: "0", MaxLength: String(LONGEST_VALUE) },
    }));
    for (let from = 0; from < names.length; from += MOST_ADDED) {
      const input = { UserPoolId: this.id, CustomAttributes: CustomAttributes.slice(from, from + MOST_ADDED) };
      await this.#call("UserPoolResourceUpdate", `adding attributes to ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.AddCustomAttributesCommand(input), options),
      );
    }
  }

  async hasUsers(): Promise<boolean> {
    const { Users = [] } = await this.#call("UserList", `listing users of ${this.id}`, (sdk, client, options) =>
      client.send(new sdk.ListUsersCommand({ UserPoolId: this.id, Limit: 1 }), options),
    );
    return Users.length > 0;
  }

  /** All users, page by page. Those that come or go meanwhile may be there or not. */
  async *list(): AsyncGenerator<readonly NamedUser[]> {
    let token: string | undefined;
    do {
      const input = { UserPoolId: this.id, Limit: PAGE, ...(token === undefined ? {} : { PaginationToken: token }) };
      const page = await this.#call("UserList", `listing users of ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.ListUsersCommand(input), options),
      );
      yield (page.Users ?? []).map(({ Username = "", ...found }) => ({ username: Username, ...userOf(found) }));
      token = page.PaginationToken;
    } while (token !== undefined);
  }

  /** Undefined where there is none of this name. */
  async user(username: string): Promise<PoolUser | undefined> {
    try {
      const found = await this.#call("UserRead", "reading a user", (sdk, client, options) =>
        client.send(new sdk.AdminGetUserCommand(this.#named(username)), options),
      );
      return userOf({ ...found, Attributes: found.UserAttributes });
    } catch (error) {
      if (isAnswer(error, "UserNotFoundException")) return undefined;
      throw error;
    }
  }

  /** Names of the groups that a user is in; none where there is no user of this name. */
  async groupsOf(username: string): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const input = { ...this.#named(username), Limit: PAGE, ...(token === undefined ? {} : { NextToken: token }) };
      const page = await unlessGone(
        this.#call("UserResourceRead", "reading a user's groups", (sdk, client, options) =>
          client.send(new sdk.AdminListGroupsForUserCommand(input), options),
        ),
      );
      names.push(...(page?.Groups ?? []).flatMap(({ GroupName }) => GroupName ?? []));
      token = page?.NextToken;
    } while (token !== undefined);
    return names;
  }

  /** Usernames of a group, page by page. Those that come or go meanwhile may be there or not. */
  async *members(group: string): AsyncGenerator<readonly string[]> {
    let token: string | undefined;
    do {
      const next = token === undefined ? {} : { NextToken: token };
      const input = { UserPoolId: this.id, GroupName: group, Limit: PAGE, ...next };
      const page = await this.#call("UserList", `listing groups of ${this.id}`, (sdk, client, options) =>
        client.send(new sdk.ListUsersInGroupCommand(input), options),
      );
      yield (page.Users ?? []).flatMap(({ Username }) => Username ?? []);
      token = page.NextToken;
    } while (token !== undefined);
  }

  /** Without a message and a password. @returns its `sub` @throws UsernameExistsException as an answer */
  async create(username: string, attributes: Attributes): Promise<string> {
    const input = { ...this.#named(username), UserAttributes: listOf(attributes), MessageAction: "SUPPRESS" } as const;
    const { User } = await this.#call("UserCreation", "creating a user", (sdk, client, options) =>
      client.send(new sdk.AdminCreateUserCommand(input), options),
    );
    return subOf(mapOf(User?.Attributes));
  }

  /** Sets these, and leaves others as they are. @throws UserNotFoundException as an answer */
  async setAttributes(username: string, attributes: Attributes): Promise<void> {
    const input = { ...this.#named(username), UserAttributes: listOf(attributes) };
    await this.#call("UserUpdate", "updating a user", (sdk, client, options) =>
      client.send(new sdk.AdminUpdateUserAttributesCommand(input), options),
    );
  }

  /** @throws UserNotFoundException as an answer */
  async deleteAttributes(username: string, names: readonly string[]): Promise<void> {
    const input = { ...this.#named(username), UserAttributeNames: [...names] };
    await this.#call("UserUpdate", "removing attributes of a user", (sdk, client, options) =>
      client.send(new sdk.AdminDeleteUserAttributesCommand(input), options),
    );
  }

  /** Permanent: the user need not change it. No error holds it. @throws UserNotFoundException as an answer */
  async setPassword(username: string, password: string): Promise<void> {
    const input = { ...this.#named(username), Password: password, Permanent: true };
    await this.#call("UserAccountRecovery", "setting a user's password", async (sdk, client, options) => {
      try {
        await client.send(new sdk.AdminSetUserPasswordCommand(input), options);
      } catch (error) {
        throw withoutSecret(error, password);
      }
    });
  }

  /** No-op where the user is in it. @throws UserNotFoundException as an answer */
  async join(username: string, group: string): Promise<void> {
    const input = { ...this.#named(username), GroupName: group };
    await this.#call("UserUpdate", "adding a user to a group", (sdk, client, options) =>
      client.send(new sdk.AdminAddUserToGroupCommand(input), options),
    );
  }

  /** A no-op where there is none of this name, or it is not in the group. */
  async leave(username: string, group: string): Promise<void> {
    const input = { ...this.#named(username), GroupName: group };
    await unlessGone(
      this.#call("UserUpdate", "removing a user from a group", (sdk, client, options) =>
        client.send(new sdk.AdminRemoveUserFromGroupCommand(input), options),
      ),
    );
  }

  /** @throws UserNotFoundException as an answer */
  async enable(username: string): Promise<void> {
    await this.#call("UserUpdate", "enabling a user", (sdk, client, options) =>
      client.send(new sdk.AdminEnableUserCommand(this.#named(username)), options),
    );
  }

  /** A no-op where there is none of this name. */
  async disable(username: string): Promise<void> {
    await unlessGone(
      this.#call("UserUpdate", "disabling a user", (sdk, client, options) =>
        client.send(new sdk.AdminDisableUserCommand(this.#named(username)), options),
      ),
    );
  }

  /** A no-op where there is none of this name. */
  async delete(username: string): Promise<void> {
    await unlessGone(
      this.#call("UserUpdate", "deleting a user", (sdk, client, options) =>
        client.send(new sdk.AdminDeleteUserCommand(this.#named(username)), options),
      ),
    );
  }

  #named(Username: string): Readonly<{ UserPoolId: string; Username: string }> {
    return { UserPoolId: this.id, Username };
  }
}

/** The same, whatever makes them. */
export type PoolCalls = Pick<UserPool, keyof UserPool>;

const unlessGone = async <T>(call: Promise<T>): Promise<T | undefined> => {
  try {
    return await call;
  } catch (error) {
    if (!isAnswer(error, "UserNotFoundException")) throw error;
    return undefined;
  }
};
