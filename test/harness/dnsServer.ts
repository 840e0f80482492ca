import { createSocket } from "node:dgram";
import { once } from "node:events";

/** What a name has: hosts with ports, or the texts beside them. */
export type Zone = Readonly<
  Record<string, Readonly<{ srv?: readonly Readonly<{ host: string; port: number }>[]; txt?: string }>>
>;

const SRV = 33;
const TXT = 16;

const nameBytes = (name: string): Buffer =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);

/** The name and the type that a request asks for (RFC 1035, 4.1.2), and where its question ends. */
const questionOf = (request: Buffer): Readonly<{ name: string; type: number; end: number }> => {
  const labels: string[] = [];
  let at = 12;
  for (let length = request[at] ?? 0; length > 0; length = request[at] ?? 0) {
    labels.push(request.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: request.readUInt16BE(at + 1), end: at + 5 };
};

const recordOf = (type: number, data: Buffer): Buffer => {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
};

const answersTo = (zone: Zone, name: string, type: number): readonly Buffer[] => {
  const { srv = [], txt } = zone[name] ?? {};
  if (type === TXT && txt !== undefined)
    return [recordOf(TXT, Buffer.concat([Buffer.from([txt.length]), Buffer.from(txt)]))];
  if (type !== SRV) return [];
  return srv.map(({ host, port }) => {
    const numbers = Buffer.alloc(6);
    numbers.writeUInt16BE(port, 4);
    return recordOf(SRV, Buffer.concat([numbers, nameBytes(host)]));
  });
};

const NO_SUCH_NAME = 3;

/** A DNS server for SRV and TXT records on loopback, over UDP. The caller disposes of it. */
export const dnsServer = async (zone: Zone): Promise<AsyncDisposable & Readonly<{ address: string }>> => {
  const socket = createSocket("udp4");
  socket.on("message", (request, from) => {
    const { name, type, end } = questionOf(request);
    const answers = answersTo(zone, name, type);
    const head = Buffer.from(request.subarray(0, 12));
    head.writeUInt16BE(0x8180 | (name in zone ? 0 : NO_SUCH_NAME), 2);
    head.writeUInt16BE(answers.length, 6);
    head.fill(0, 8); // no authorities, and nothing more
    socket.send(Buffer.concat([head, request.subarray(12, end), ...answers]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
};
