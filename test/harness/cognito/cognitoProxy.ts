import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { systemClock } from "#base/flow/clock.ts";

/** One call that ferry made. `action`: `AdminCreateUser`. */
export type Call = Readonly<{ action: string; username: string; at: number }>;

/**
 * What is done to a call: refused for its quota, or failed, before Cognito sees it; cut off, before Cognito sees it or after it has
 * done it; or answered late. Undefined: nothing.
 */
export type ProxyFault = "throttle" | "fail" | "cut-before" | "cut-after" | "slow" | undefined;

type Answer = Readonly<{ status: number; body: string }>;

const refusal = (status: number, __type: string, message: string): Answer => ({
  status,
  body: JSON.stringify({ __type, message }),
});

/** The part of a list that was asked for; the token says where the next one begins. */
const pageOf = (
  { status, body }: Answer,
  { Limit = 60, PaginationToken = "0" }: Readonly<{ Limit?: number; PaginationToken?: string }>,
): Answer => {
  const { Users, ...rest } = JSON.parse(body) as { Users: unknown[] };
  const [from, end] = [Number(PaginationToken), Number(PaginationToken) + Limit];
  const more = end < Users.length ? { PaginationToken: String(end) } : {};
  return { status, body: JSON.stringify({ ...rest, Users: Users.slice(from, end), ...more }) };
};

const SLOW_MS = 400;

/** AWS's classes of the calls that tests limit. */
const CLASS_OF: Readonly<Record<string, string>> = {
  AdminCreateUser: "UserCreation",
  AdminGetUser: "UserRead",
  ListUsers: "UserList",
  ListUsersInGroup: "UserList",
  AdminListGroupsForUser: "UserResourceRead",
  AdminSetUserPassword: "UserAccountRecovery",
};
const classOf = (action: string): string => CLASS_OF[action] ?? (action.startsWith("Admin") ? "UserUpdate" : "other");

const bodyOf = async (stream: IncomingMessage): Promise<string> => {
  stream.setEncoding("utf8");
  let body = "";
  for await (const text of stream) body += text;
  return body;
};

/**
 * Stands before cognito-local, counts calls, and adds what Amazon Cognito does and cognito-local does not: refusals for a quota,
 * failures, cut connections, late answers, pages of lists, and UserNotFoundException where cognito-local says that the caller is not authorized.
 */
export class CognitoProxy implements AsyncDisposable {
  readonly calls: Call[] = [];
  /** Asked before each call. */
  fault: (call: Call) => ProxyFault = () => undefined;
  /** Calls of a class that are taken in each second, as AWS counts them; the others are refused. */
  limits: Readonly<Record<string, number>> = {};
  readonly #passed = new Map<string, { second: number; calls: number }>();
  readonly #server = createServer((incoming, answer) => void this.#serve(incoming, answer));
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param port cognito-local's */
  static async start(port: number): Promise<CognitoProxy> {
    const proxy = new CognitoProxy(port);
    proxy.#server.listen(0, LOOPBACK);
    await once(proxy.#server, "listening");
    return proxy;
  }

  get endpoint(): string {
    return `http://${LOOPBACK}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many calls there were of each action; they are counted from now on again. */
  taken(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { action } of this.calls.splice(0)) counts[action] = (counts[action] ?? 0) + 1;
    return counts;
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await bodyOf(incoming);
    const action = String(incoming.headers["x-amz-target"]).split(".")[1] ?? "";
    const username = (JSON.parse(body) as { Username?: string }).Username ?? "";
    const call = { action, username, at: Date.now() };
    this.calls.push(call);
    const fault = this.#isOverLimit(call) ? "throttle" : this.fault(call);
    if (fault === "cut-before") return void incoming.socket.destroy();
    const { status, body: text } = await this.#answered(fault, incoming, body, action);
    if (fault === "cut-after") return void incoming.socket.destroy();
    if (fault === "slow") await systemClock.sleep(SLOW_MS);
    answer.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(text);
  }

  #isOverLimit({ action, at }: Call): boolean {
    const name = classOf(action);
    const limit = this.limits[name];
    const second = Math.floor(at / 1000);
    const known = this.#passed.get(name);
    const calls = known?.second === second ? known.calls + 1 : 1;
    if (limit !== undefined && calls > limit) return true;
    this.#passed.set(name, { second, calls });
    return false;
  }

  async #answered(fault: ProxyFault, incoming: IncomingMessage, body: string, action: string): Promise<Answer> {
    if (fault === "throttle") return refusal(400, "TooManyRequestsException", "Rate exceeded");
    if (fault === "fail") return refusal(500, "InternalErrorException", "Something went wrong");
    const answer = await this.#forwarded(incoming, body);
    if (action === "ListUsers" && answer.status === 200) return pageOf(answer, JSON.parse(body));
    const isAboutUser = action.startsWith("Admin") && answer.body.includes("NotAuthorizedException");
    return isAboutUser ? refusal(400, "UserNotFoundException", "User does not exist.") : answer;
  }

  async #forwarded({ method, headers }: IncomingMessage, body: string): Promise<Answer> {
    const forward = request({ host: LOOPBACK, port: this.#port, method, path: "/", headers, agent: false });
    forward.end(body);
    const [answer] = (await once(forward, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 500, body: await bodyOf(answer) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
