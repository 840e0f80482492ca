/**
 * Makes the secrets of the secure stack (deploy/secure/compose.yaml), once: an authority with a certificate for each server, a
 * password for each user, and what each container needs of them, in a folder of its own. No two stacks have the same.
 * Usage: secrets.ts FOLDER, with one folder for each container in it. It runs as root, to hand the files to the containers' users.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , root = "/secrets"] = process.argv;
/** Where each container mounts its folder, and the user that it runs as. */
const PLACES = {
  "mongo-source": { at: "/run/ferry", uid: 999 },
  "mongo-target": { at: "/run/ferry", uid: 999 },
  kafka: { at: "/run/ferry", uid: 1000 },
  "kafka-connect": { at: "/opt/kafka-connect/secrets", uid: 1000 },
  worker: { at: "/run/ferry", uid: 1000 },
} as const;
type Place = keyof typeof PLACES;
const DAYS = "3650";

const openssl = (...args: readonly string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
/** In a URI and in a JAAS line it stands as it is. */
const password = (): string => randomBytes(24).toString("base64url");

/** An authority that signs in a folder of its own, which is deleted: nothing more can be signed later. */
class Authority implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "authority-"));
  readonly certificate: string;

  constructor() {
    const subject = ["-subj", "/CN=ferry's secure stack", "-days", DAYS];
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:3072",
      "-nodes",
      ...subject,
      "-keyout",
      this.#at("ca.key"),
      "-out",
      this.#at("ca.pem"),
    );
    this.certificate = readFileSync(this.#at("ca.pem"), "utf8");
  }

  /** Key and certificate of a server, as one PEM text. */
  signed(host: string): string {
    const [key, request, extensions] = ["key", "csr", "ext"].map((end) => this.#at(`${host}.${end}`)) as [
      string,
      string,
      string,
    ];
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", key);
    openssl("req", "-new", "-key", key, "-subj", `/CN=${host}`, "-out", request);
    writeFileSync(extensions, `subjectAltName=DNS:${host},DNS:localhost,IP:127.0.0.1\n`);
    const by = ["-CA", this.#at("ca.pem"), "-CAkey", this.#at("ca.key"), "-CAcreateserial"];
    return (
      readFileSync(key, "utf8") + openssl("x509", "-req", "-in", request, ...by, "-extfile", extensions, "-days", DAYS)
    );
  }

  #at(name: string): string {
    return join(this.#folder, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

const write = (place: Place, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, place, name), `${text.trimEnd()}\n`);
};

/** Last of all: afterwards these folders are no longer the maker's to write to. */
const handOver = (place: Place): void => {
  const folder = join(root, place);
  for (const name of readdirSync(folder)) {
    chmodSync(join(folder, name), 0o400);
    chownSync(join(folder, name), PLACES[place].uid, 0);
  }
  chmodSync(folder, 0o550);
  chownSync(folder, PLACES[place].uid, 0);
};

const PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required";

const make = (): void => {
  using authority = new Authority();
  const mongo = {
    source: { operator: password(), ferry: password() },
    target: { operator: password(), ferry: password() },
  };
  const kafka = { broker: password(), connect: password(), worker: password(), operator: password() };

  const uri = (side: "source" | "target", user: "operator" | "ferry", options = ""): string =>
    `mongodb://${user === "ferry" ? `ferry-${side}` : user}:${mongo[side][user]}@mongo-${side}/?authSource=admin&tls=true${options}`;
  const from = (place: Place): string => `&tlsCAFile=${PLACES[place].at}/ca.pem`;
  const client = (place: Place, user: keyof typeof kafka): string =>
    [
      "security.protocol=SASL_SSL",
      "sasl.mechanism=PLAIN",
      `sasl.jaas.config=${PLAIN} username="${user}" password="${kafka[user]}";`,
      "ssl.truststore.type=PEM",
      `ssl.truststore.location=${PLACES[place].at}/ca.pem`,
    ].join("\n");

  for (const place of Object.keys(PLACES) as Place[]) write(place, { "ca.pem": authority.certificate });
  for (const side of ["source", "target"] as const) {
    const place = `mongo-${side}` as const;
    write(place, {
      key: randomBytes(48).toString("base64"),
      "server.pem": authority.signed(place),
      root: password(),
      operator: mongo[side].operator,
      ferry: mongo[side].ferry,
      // For the commands that are typed there.
      "source-uri": uri("source", "operator", from(place)),
      "target-uri": uri("target", "ferry", from(place)),
      "kafka.properties": client(place, "operator"),
    });
  }
  const known = Object.entries(kafka).map(([user, secret]) => `user_${user}="${secret}"`);
  write("kafka", {
    "server.pem": authority.signed("kafka"),
    jaas: `${PLAIN} username="broker" password="${kafka.broker}" ${known.join(" ")};`,
  });
  write("kafka-connect", { source: uri("source", "ferry"), "kafka.properties": client("kafka-connect", "connect") });
  write("worker", {
    "source-uri": uri("source", "ferry", from("worker")),
    "target-uri": uri("target", "ferry", from("worker")),
    "kafka.properties": client("worker", "worker"),
  });
  for (const place of Object.keys(PLACES) as Place[]) handOver(place);
};

/** The last folder to be handed over. */
const isMade = (): boolean => statSync(join(root, "worker")).uid === PLACES.worker.uid;

if (isMade()) process.stdout.write("the secrets are there\n");
else {
  make();
  process.stdout.write("the secrets are made\n");
}
