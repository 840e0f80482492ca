import { readTextFile } from "#base/config/textFile.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { shownUri } from "#base/errors/secrets.ts";
import { requireEncoded } from "#io/mongo/uri.ts";

/** Where Kafka Connect's REST API is, and whose certificates are trusted there. */
export type ConnectAddress = Readonly<{
  /** Base URL, `http://host:port` or `https://host:port`, with `user:password@` where Connect asks for them. */
  url: string;
  /** PEM of authorities; without it those of Node. */
  ca?: string;
}>;

/** Of the command line and the environment. */
type ConnectSettings = Readonly<{ connect?: string | undefined; connectCa?: string | undefined }>;

/** As the settings say it. @throws FERRY_CONFIG */
export const connectAddress = ({ connect = "", connectCa }: ConnectSettings): ConnectAddress => {
  if (connectCa === undefined) return { url: connect };
  const refuse = (reason: string): FerryError => new FerryError("FERRY_CONFIG", `--connect-ca ${connectCa}: ${reason}`);
  return { url: connect, ca: readTextFile(connectCa, refuse) };
};

/** Kafka Connect's base URL, and what a request must carry besides where the URL holds a user. */
export type ConnectUrl = Readonly<{ url: string; headers: Readonly<Record<string, string>> }>;

/** @throws FERRY_URI */
export const connectUrl = (given: string): ConnectUrl => {
  requireEncoded(given);
  if (!URL.canParse(given)) throw new FerryError("FERRY_URI", `${shownUri(given)}: it is not a URL`);
  const parsed = new URL(given);
  const user = [parsed.username, parsed.password].map(decodeURIComponent).join(":");
  [parsed.username, parsed.password] = ["", ""];
  const url = parsed.href.replace(/\/+$/, "");
  return {
    url,
    headers: user === ":" ? {} : { authorization: `Basic ${Buffer.from(user, "utf8").toString("base64")}` },
  };
};
