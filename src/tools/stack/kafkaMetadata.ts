import { connect } from "node:net";
import { LOOPBACK } from "#base/config/listenAddress.ts";

/**
 * Asks a broker for its metadata (api key 3, version 1: https://kafka.apache.org/protocol#The_Messages_Metadata) over a
 * connection of its own, for no topics. A broker that lists itself is registered and takes requests; one that merely
 * listens does not list itself yet.
 * @returns the number of brokers it knows. @throws the socket's error, or a time-out.
 */
export const knownBrokers = (port: number, timeoutMs = 3000): Promise<number> =>
  new Promise((resolve, reject) => {
    const client = Buffer.from("ferry");
    const request = Buffer.alloc(4 + 10 + client.length + 4);
    request.writeInt32BE(request.length - 4, 0);
    request.writeInt16BE(3, 4);
    request.writeInt16BE(1, 6);
    request.writeInt32BE(1, 8);
    request.writeInt16BE(client.length, 12);
    request.set(client, 14);
    request.writeInt32BE(0, 14 + client.length); // an empty list of topics, where -1 would mean all

    const socket = connect({ port, host: LOOPBACK });
    let received = Buffer.alloc(0);
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was closed")));
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 12) return;
      resolve(received.readInt32BE(8)); // after size and correlation id: the length of the array of brokers
      socket.destroy();
    });
  });
