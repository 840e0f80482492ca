import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "#tools/stack/process.ts";

type About = Readonly<{
  /** Instead of 127.0.0.1 and localhost. */
  host?: string;
  /** Beside them. */
  alsoHost?: string;
  expired?: boolean;
  /** Of its key, which is not encrypted otherwise. */
  password?: string;
}>;

/** PEM files of an authority of a test's own. */
export type Certificates = Readonly<{
  /** The authority's certificate. */
  ca: string;
  /** Key and certificate in one file, for 127.0.0.1 and localhost, that this authority signed. */
  signed: (name: string, about?: About) => Promise<string>;
}>;

const openssl = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr, failure } = await runProgram("openssl", args, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${failure ?? stderr}`);
  return stdout;
};

const KEY = ["-newkey", "rsa:2048", "-nodes"];

export const authority = async (folder: string): Promise<Certificates> => {
  const [ca, caKey] = [join(folder, "ca.pem"), join(folder, "ca.key")];
  await openssl(["req", "-x509", ...KEY, "-keyout", caKey, "-out", ca, "-days", "2", "-subj", "/CN=test authority"]);
  const signed: Certificates["signed"] = async (name, { host, alsoHost, expired = false, password } = {}) => {
    const [key, request, extensions] = ["key", "csr", "ext"].map((end) => join(folder, `${name}.${end}`)) as [
      string,
      string,
      string,
    ];
    await openssl(["req", ...KEY, "-keyout", key, "-out", request, "-subj", `/CN=${name}`]);
    const hosts = host === undefined ? ["IP:127.0.0.1", "DNS:localhost"] : [`DNS:${host}`];
    if (alsoHost !== undefined) hosts.push(`DNS:${alsoHost}`);
    writeFileSync(extensions, `subjectAltName=${hosts.join()}\n`);
    const validity = ["-days", expired ? "-1" : "2"];
    const certificate = await openssl([
      ...["x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-extfile", extensions],
      ...validity,
    ]);
    const encryption = password === undefined ? ["-nocrypt"] : ["-passout", `pass:${password}`];
    const pkcs8 = await openssl(["pkcs8", "-topk8", "-in", key, ...encryption]);
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, pkcs8 + certificate);
    return file;
  };
  return { ca, signed };
};
