/** Why an encrypted connection did not come about, whatever it was made to. */
export type TlsFault = "expired" | "early" | "foreign" | "name" | "plain" | "cut" | "certificate";

/** Node's TLS codes. Source: Node's documentation, "TLS (SSL)", "X509 certificate error codes". */
const CODES: Readonly<Record<string, TlsFault>> = {
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "early",
  DEPTH_ZERO_SELF_SIGNED_CERT: "foreign",
  SELF_SIGNED_CERT_IN_CHAIN: "foreign",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "foreign",
  UNABLE_TO_GET_ISSUER_CERT: "foreign",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "foreign",
  ERR_TLS_CERT_ALTNAME_INVALID: "name",
  ERR_SSL_WRONG_VERSION_NUMBER: "plain",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "plain",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "certificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "certificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "certificate",
};

/** What a look finds in an error, or in those that it was made of. */
export const foundIn = <T>(error: unknown, look: (error: Error) => T | undefined): T | undefined => {
  if (!(error instanceof Error)) return undefined;
  const inner: readonly unknown[] = error instanceof AggregateError ? error.errors : [error.cause];
  return look(error) ?? inner.map((one) => foundIn(one, look)).find((found) => found !== undefined);
};

/** Sentences of Node and OpenSSL where the code is one of the socket's and says nothing of TLS. */
const SENTENCES: readonly (readonly [RegExp, TlsFault])[] = [
  [/wrong version number|packet length too long/, "plain"],
  [/disconnected before secure TLS connection/, "cut"],
];

/** undefined where no TLS is to blame, or none that Node names. */
export const tlsFaultOf = (error: unknown): TlsFault | undefined =>
  foundIn(
    error,
    (one) => CODES[String((one as { code?: unknown }).code)] ?? SENTENCES.find(([text]) => text.test(one.message))?.[1],
  );

/** The sentence, with the settings that it is about: those of the trusted authorities, of the client's own certificate, and of TLS itself. */
export const tlsText = (
  fault: TlsFault,
  { trust, own, tls }: Readonly<{ trust: string; own: string; tls: string }>,
): string => {
  switch (fault) {
    case "expired":
      return "its certificate has expired";
    case "early":
      return "its certificate is not valid yet";
    case "foreign":
      return `its certificate is of an authority that ${trust} does not hold`;
    case "name":
      return "its certificate is for another name than this address";
    case "plain":
      return `it speaks no TLS, and ${tls} asks for it`;
    case "cut":
      return `it hangs up where TLS begins: it may speak none, and ${tls} asks for it`;
    case "certificate":
      return `it takes only clients that show a certificate it knows: ${own}`;
    default:
      return fault satisfies never;
  }
};
