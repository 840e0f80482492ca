import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { BSON, type Document } from "bson";
import { LOOPBACK } from "#base/config/listenAddress.ts";

/**
 * One command to one mongod, over a connection of its own: OP_MSG, kind 0 section
 * (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg). Starting servers needs two commands and
 * must see a node that is not yet a member of anything; a driver's topology monitoring would only be in the way.
 */
const OP_MSG = 2013;

const request = (command: Document): Buffer => {
  const body = BSON.serialize(command);
  const message = Buffer.alloc(21 + body.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(1, 4);
  message.writeInt32LE(OP_MSG, 12);
  message.set(body, 21);
  return message;
};

/**
 * @param options `ca`: the authority of a server that takes TLS alone, as PEM text
 * @returns the server's reply, whether ok or not. @throws the socket's error, or a time-out.
 */
export const mongoCommand = (
  port: number,
  command: Document,
  { host = LOOPBACK, timeoutMs = 5000, ca }: Readonly<{ host?: string; timeoutMs?: number; ca?: string }> = {},
): Promise<Document> =>
  new Promise((resolve, reject) => {
    const socket = ca === undefined ? connect({ port, host }) : connectTls({ port, host, ca });
    let received = Buffer.alloc(0);
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was closed")));
    socket.on(ca === undefined ? "connect" : "secureConnect", () => socket.write(request(command)));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < received.readInt32LE(0)) return;
      resolve(BSON.deserialize(received.subarray(21, received.readInt32LE(0))));
      socket.destroy();
    });
  });
