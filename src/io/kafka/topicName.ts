import { createHash } from "node:crypto";

/**
 * The topics of namespaces. A topic is called like its namespace, as the connector does it, wherever Kafka takes that name.
 * What it refuses (characters but `a-z A-Z 0-9 . _ -`, more than 249 of them) is encoded as `db..coll`, in which each byte
 * of UTF-8 but `a-z A-Z 0-9 . -` is `_` and two hex digits: `shop.my orders` is `shop..my_20orders`. No collection's name
 * begins with a dot, so no namespace is called like an encoded one. Where that is too long it is `db...` and a digest,
 * which does not tell the namespace: its records do.
 */

/** Kafka's own limit (org.apache.kafka.common.internals.Topic). */
const MAX_LENGTH = 249;
const LEGAL = /^[a-zA-Z0-9._-]+$/;
const ENCODED = /^([^.]+)\.\.(?!\.)(.+)$/;
const DIGEST = /^[^.]+\.{3}[\w-]{43}$/;

const encoded = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[a-zA-Z0-9.-]/.test(char) ? char : `_${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");

const decoded = (name: string): string =>
  Buffer.from(
    name.replace(/_([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  ).toString();

/** Does Kafka take this name for a topic? */
export const isTopicName = (name: string): boolean =>
  LEGAL.test(name) && name.length <= MAX_LENGTH && name !== "." && name !== "..";

/** The topic of a namespace. @param ns `db.collection` */
export const topicFor = (ns: string): string => {
  if (isTopicName(ns)) return ns;
  const dot = ns.indexOf(".");
  const db = encoded(ns.slice(0, dot));
  const topic = `${db}..${encoded(ns.slice(dot + 1))}`;
  if (topic.length <= MAX_LENGTH) return topic;
  return `${db}...${createHash("sha256").update(ns).digest("base64url")}`;
};

/** The namespace of a topic, its own name where it is no encoded one; undefined where only its records tell. */
export const namespaceFor = (topic: string): string | undefined => {
  if (DIGEST.test(topic)) return undefined;
  const [, db, coll] = ENCODED.exec(topic) ?? [];
  if (db === undefined || coll === undefined) return topic;
  const ns = `${decoded(db)}.${decoded(coll)}`;
  return topicFor(ns) === topic ? ns : topic; // another program's name
};
