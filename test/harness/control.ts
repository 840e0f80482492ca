import { OPERATIONS, type OperationName } from "../../src/surface/api/contract/operations.ts";
import { FerryProcess } from "./worker.ts";

/** `ferry control` as a child process. `says` waits until it is in control, or stands by. */
export const startControl = async (
  args: readonly string[],
  { env = {}, says = "in control at" }: Readonly<{ env?: Readonly<Record<string, string>>; says?: string }> = {},
): Promise<FerryProcess> => {
  const control = new FerryProcess("control", ["control", ...args], env, says);
  await control.start();
  return control;
};

/** Where it is asked; the last place, where it was in control before. */
export const controlUrl = (control: FerryProcess): string => {
  const [, url] = [...control.log().matchAll(/in control at (https?:[^"]+)/g)].at(-1) ?? [];
  if (url === undefined) throw new Error(`it is not in control: ${control.logTail(10)}`);
  return url;
};

export type Answer = Readonly<{ status: number; headers: Headers; text: string }>;

export type Question = Readonly<{
  token?: string | undefined;
  params?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  body?: unknown;
}>;

/** Asks one operation of the API over HTTP. */
export const ask = async (url: string, name: OperationName, question: Question = {}): Promise<Answer> => {
  const { token, params = {}, query = {}, body } = question;
  const { method, path } = OPERATIONS[name];
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? "x"));
  const response = await fetch(`${url}/api/v1${filled}?${new URLSearchParams(query)}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (name === "watchOverview" && response.ok) {
    await response.body?.cancel();
    return { status: response.status, headers: response.headers, text: "" };
  }
  return { status: response.status, headers: response.headers, text: await response.text() };
};

/** Follows the overview's events until one of them is as wanted. @throws where the stream ends before */
export const watched = async <T>(
  url: string,
  token: string,
  wanted: (overview: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> => {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/api/v1/events`, { headers, signal: AbortSignal.timeout(timeoutMs) });
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString("utf8");
    for (const [, data = ""] of text.matchAll(/^event: overview\ndata: (.*)\n\n/gm)) {
      const overview = JSON.parse(data) as T;
      if (wanted(overview)) return overview;
    }
  }
  throw new Error(`the stream ended: ${text.slice(-500)}`);
};
