import type { IncomingMessage } from "node:http";
import { nodeHttp, nodeHttps } from "#base/flow/nodeHttp.ts";

export type HttpCall = Readonly<{
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
  /** PEM of the authorities that are trusted; those of Node otherwise. */
  ca: string | undefined;
  signal: AbortSignal;
}>;

/**
 * One request and its whole answer. `fetch` trusts no authority of one's own.
 * @throws the system's error where there is no answer, and the signal's reason
 */
export const httpCall = ({ url, body, ca, headers, ...rest }: HttpCall): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage): void => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
    };
    const content = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const options = { ...rest, agent: false, headers: { ...headers, ...content } } as const;
    const call = url.startsWith("https:")
      ? nodeHttps().request(url, { ...options, ...(ca === undefined ? {} : { ca }) }, answered)
      : nodeHttp().request(url, options, answered);
    call.once("error", reject);
    call.end(body);
  });
